//! The contestants and their tasks.

/// The kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Messages of 64 KiB, one way.
    Bulk,
    /// Messages of 64 bytes, one way.
    Small,
    /// Messages of 64 bytes back and forth, one at a time.
    PingPong,
    /// Idle connections.
    Idle,
}

impl Row {
    pub(crate) const ALL: [Self; 4] = [Self::Bulk, Self::Small, Self::PingPong, Self::Idle];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Small => "small",
            Self::PingPong => "pingpong",
            Self::Idle => "idle",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }
}

/// The size of the datagrams and related settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Default settings.
    AsItComes,
    /// Payloads of at most 1,452 bytes, which Ethernet carries over IPv6, and which quinn's MTU
    /// discovery reaches by default.
    Ethernet,
    /// The largest that loopback carries.
    Largest,
}

impl Size {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AsItComes => "as it comes",
            Self::Ethernet => "1,452",
            Self::Largest => "largest",
        }
    }

    /// Returns the maximum UDP payload in bytes.
    pub(crate) const fn limit(self) -> Option<usize> {
        match self {
            Self::AsItComes => None,
            Self::Ethernet => Some(1_452),
            Self::Largest => Some(hikyaku::limits::MAX_PAYLOAD_V4),
        }
    }
}

/// The library, and how it carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// One stream, one write per message; both sides know the length of a message.
    QuinnStream,
    /// One stream per message: with message boundaries, and no message waits for another.
    QuinnStreamEach,
    /// One unreliable datagram per message.
    QuinnDatagrams,
    /// One stream; the application packs messages with their lengths into writes of 64 KiB.
    QuinnPacked,
    /// A connection without traffic.
    QuinnIdle,
    /// One message per message.
    Hikyaku,
    /// As many messages per call as there are.
    HikyakuMany,
    /// The application packs messages with their lengths into messages of 64 KiB.
    HikyakuPacked,
}

impl Carrier {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QuinnStream => "quinn, one stream",
            Self::QuinnStreamEach => "quinn, a stream each",
            Self::QuinnDatagrams => "quinn, datagrams",
            Self::QuinnPacked => "quinn, packed by hand",
            Self::QuinnIdle => "quinn",
            Self::Hikyaku => "hikyaku",
            Self::HikyakuMany => "hikyaku, send_many",
            Self::HikyakuPacked => "hikyaku, packed by hand",
        }
    }
}

/// A contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) row: Row,
    pub(crate) size: Size,
    pub(crate) carrier: Carrier,
    /// The number of messages to carry, round trips to make, or connections to open.
    pub(crate) count: u64,
}

/// Contestants with the same row and size are compared with each other.
pub(crate) static FIELD: &[Contestant] = &{
    use {Carrier::*, Row::*, Size::*};
    const GIB: u64 = 16 << 10;
    [
        of(Bulk, AsItComes, QuinnStream, GIB),
        of(Bulk, AsItComes, Hikyaku, GIB),
        of(Bulk, Ethernet, QuinnStream, GIB),
        of(Bulk, Ethernet, Hikyaku, GIB),
        of(Bulk, Largest, QuinnStream, GIB),
        of(Bulk, Largest, Hikyaku, GIB),
        // As many as take some seconds; rates are compared.
        of(Small, AsItComes, QuinnStreamEach, 250_000),
        of(Small, AsItComes, QuinnDatagrams, 1_000_000),
        of(Small, AsItComes, QuinnPacked, 5_000_000),
        of(Small, AsItComes, HikyakuPacked, 5_000_000),
        of(Small, AsItComes, HikyakuMany, 5_000_000),
        of(Small, AsItComes, Hikyaku, 5_000_000),
        of(Small, Ethernet, QuinnStreamEach, 250_000),
        of(Small, Ethernet, QuinnDatagrams, 1_000_000),
        of(Small, Ethernet, QuinnPacked, 5_000_000),
        of(Small, Ethernet, HikyakuPacked, 5_000_000),
        of(Small, Ethernet, HikyakuMany, 5_000_000),
        of(Small, Ethernet, Hikyaku, 5_000_000),
        of(Small, Largest, QuinnStreamEach, 250_000),
        of(Small, Largest, QuinnDatagrams, 1_000_000),
        of(Small, Largest, QuinnPacked, 5_000_000),
        of(Small, Largest, HikyakuPacked, 5_000_000),
        of(Small, Largest, HikyakuMany, 5_000_000),
        of(Small, Largest, Hikyaku, 5_000_000),
        of(PingPong, AsItComes, QuinnStream, 100_000),
        of(PingPong, AsItComes, QuinnDatagrams, 100_000),
        of(PingPong, AsItComes, Hikyaku, 100_000),
        of(Idle, AsItComes, QuinnIdle, 10_000),
        of(Idle, AsItComes, Hikyaku, 10_000),
    ]
};

const fn of(row: Row, size: Size, carrier: Carrier, count: u64) -> Contestant {
    Contestant { row, size, carrier, count }
}
