//! The peers by name, and which takes part in which workload.

use crate::work::Workload;

/// A peer as a row of the tables: a library with certain settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    Hikyaku,
    HikyakuBbr,
    Quinn,
    QuinnBbr,
    S2n,
    S2nBbr,
    S2nJumbo,
    Tls,
    Enet,
    Kcp,
    Renet,
    Raw,
    RawGso,
}

impl Contestant {
    pub(crate) const ALL: [Self; 13] = [
        Self::Hikyaku,
        Self::HikyakuBbr,
        Self::Quinn,
        Self::QuinnBbr,
        Self::S2n,
        Self::S2nBbr,
        Self::S2nJumbo,
        Self::Tls,
        Self::Enet,
        Self::Kcp,
        Self::Renet,
        Self::Raw,
        Self::RawGso,
    ];

    /// Returns the name for `--peer`, and in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hikyaku => "hikyaku",
            Self::HikyakuBbr => "hikyaku-bbr",
            Self::Quinn => "quinn",
            Self::QuinnBbr => "quinn-bbr",
            Self::S2n => "s2n-quic",
            Self::S2nBbr => "s2n-quic-bbr",
            Self::S2nJumbo => "s2n-quic-jumbo",
            Self::Tls => "tls",
            Self::Enet => "enet",
            Self::Kcp => "kcp",
            Self::Renet => "renet",
            Self::Raw => "raw",
            Self::RawGso => "raw-gso",
        }
    }

    /// Returns its name in the tables.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Hikyaku => "**hikyaku**",
            Self::HikyakuBbr => "**hikyaku**, BBR",
            Self::Quinn => "quinn",
            Self::QuinnBbr => "quinn, BBR",
            Self::S2n => "s2n-quic",
            Self::S2nBbr => "s2n-quic, BBR",
            Self::S2nJumbo => "s2n-quic, MTU 9,001",
            Self::Tls => "rustls over TCP",
            Self::Enet => "rusty_enet ¹",
            Self::Kcp => "tokio_kcp ¹",
            Self::Renet => "renet",
            Self::Raw => "raw UDP ²",
            Self::RawGso => "raw UDP, GSO ²",
        }
    }

    /// Returns `true` if it is another library, or another protocol.
    pub(crate) const fn is_rival(self) -> bool {
        !matches!(self, Self::Hikyaku | Self::HikyakuBbr | Self::Raw | Self::RawGso)
    }

    /// Finds the rows of a library by its name, or one row.
    pub(crate) fn parse(name: &str) -> Vec<Self> {
        let exact = Self::ALL.into_iter().filter(|one| one.name() == name);
        let variants = Self::ALL
            .into_iter()
            .filter(|one| one.name().strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
        exact.chain(variants).collect()
    }

    /// Returns `true` if it was compiled in.
    pub(crate) const fn is_built(self) -> bool {
        match self {
            Self::Hikyaku | Self::HikyakuBbr | Self::Raw | Self::RawGso => true,
            Self::Quinn | Self::QuinnBbr => cfg!(feature = "quinn"),
            Self::S2n | Self::S2nBbr | Self::S2nJumbo => cfg!(feature = "s2n"),
            Self::Tls => cfg!(feature = "tls"),
            Self::Enet => cfg!(feature = "enet"),
            Self::Kcp => cfg!(feature = "kcp"),
            Self::Renet => cfg!(feature = "renet"),
        }
    }

    /// Returns `true` if it can do this, and is not the same as another row.
    pub(crate) const fn takes_part(self, workload: Workload) -> bool {
        use Workload::{
            Bulk, BulkEthernet, BulkLossy, Connect, Small, SmallMany, Ticks, Trips, TripsMulti,
        };
        match self {
            Self::Hikyaku | Self::Quinn | Self::S2n => true,
            Self::HikyakuBbr | Self::QuinnBbr | Self::S2nBbr => {
                matches!(workload, BulkLossy | Ticks)
            }
            Self::S2nJumbo => matches!(workload, Bulk),
            // The relay carries datagrams; the packets of TCP are the kernel's, and its path with
            // loopback's MTU is no Ethernet.
            Self::Tls => !matches!(workload, BulkEthernet | BulkLossy | Ticks),
            // They use no runtime, and have packets of one size.
            Self::Enet | Self::Renet => !matches!(workload, TripsMulti | BulkEthernet),
            // No handshake, and packets of one size.
            Self::Kcp => !matches!(workload, Connect | BulkEthernet),
            Self::Raw => matches!(workload, Bulk | BulkEthernet | Small | Trips | Ticks),
            Self::RawGso => matches!(workload, BulkEthernet | SmallMany),
        }
    }
}
