//! Who runs against whom.
//!
//! In: nothing. Out: the contestants, each with its task. Never: how a task is done.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Messages of 64 KiB, one way.
    Bulk,
    /// Messages of 64 bytes, one way.
    Small,
    /// One message of 64 bytes there, then one back, then the next.
    PingPong,
    /// Connections that say nothing.
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

/// The size of the datagrams; with what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// No setting is touched: what a program gets that asks for nothing.
    AsItComes,
    /// Payloads of at most 1,452 bytes, what Ethernet carries over IPv6, and what quinn's path-MTU
    /// discovery ends at unless told otherwise.
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

    /// In bytes of UDP payload.
    pub(crate) const fn limit(self) -> Option<usize> {
        match self {
            Self::AsItComes => None,
            Self::Ethernet => Some(1_452),
            Self::Largest => Some(hikyaku::limits::MAX_PAYLOAD_V4),
        }
    }
}

/// Who carries the messages, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One stream, a write a message; the length of a message is known to both.
    QuinnStream,
    /// A stream of its own for each message: message boundaries, and no message waits for another.
    QuinnStreamEach,
    /// An unreliable datagram for each message.
    QuinnDatagrams,
    /// One stream; the application packs messages with their lengths into writes of 64 KiB.
    QuinnPacked,
    /// A connection without any traffic.
    QuinnIdle,
    /// A message is a message.
    Hikyaku,
    /// The application packs messages with their lengths into messages of 64 KiB.
    HikyakuPacked,
}

impl Way {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QuinnStream => "quinn, one stream",
            Self::QuinnStreamEach => "quinn, a stream each",
            Self::QuinnDatagrams => "quinn, datagrams",
            Self::QuinnPacked => "quinn, packed by hand",
            Self::QuinnIdle => "quinn",
            Self::Hikyaku => "hikyaku",
            Self::HikyakuPacked => "hikyaku, packed by hand",
        }
    }
}

/// One of those who are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) row: Row,
    pub(crate) size: Size,
    pub(crate) way: Way,
    /// Messages to carry, round trips to make, or connections to open.
    pub(crate) count: u64,
}

/// Those of a row and a size are compared with each other.
pub(crate) static FIELD: &[Contestant] = &{
    use {Row::*, Size::*, Way::*};
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
        of(Small, AsItComes, Hikyaku, 5_000_000),
        of(Small, Ethernet, QuinnStreamEach, 250_000),
        of(Small, Ethernet, QuinnDatagrams, 1_000_000),
        of(Small, Ethernet, QuinnPacked, 5_000_000),
        of(Small, Ethernet, HikyakuPacked, 5_000_000),
        of(Small, Ethernet, Hikyaku, 5_000_000),
        of(Small, Largest, QuinnStreamEach, 250_000),
        of(Small, Largest, QuinnDatagrams, 1_000_000),
        of(Small, Largest, QuinnPacked, 5_000_000),
        of(Small, Largest, HikyakuPacked, 5_000_000),
        of(Small, Largest, Hikyaku, 5_000_000),
        of(PingPong, AsItComes, QuinnStream, 100_000),
        of(PingPong, AsItComes, QuinnDatagrams, 100_000),
        of(PingPong, AsItComes, Hikyaku, 100_000),
        of(Idle, AsItComes, QuinnIdle, 10_000),
        of(Idle, AsItComes, Hikyaku, 10_000),
    ]
};

const fn of(row: Row, size: Size, way: Way, count: u64) -> Contestant {
    Contestant { row, size, way, count }
}
