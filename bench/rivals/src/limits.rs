//! The bounds of every loop, with their reasons.

use std::time::Duration;

/// The time in which a client sends, if a workload is measured by time. Long enough that the slow
/// start of every peer is over early, short enough for many rounds.
pub(crate) const SPAN: Duration = Duration::from_secs(2);

/// The same through a lossy link, where a window takes seconds to open.
pub(crate) const LOSSY_SPAN: Duration = Duration::from_secs(6);

/// The time limit of one run of one peer, with connecting and closing: then it is ended, and has
/// no figure.
pub(crate) const LONGEST_RUN: Duration = Duration::from_secs(60);

/// The time limit until both ends are ready: packet sizes are searched for in it.
pub(crate) const READY: Duration = Duration::from_secs(20);

/// The rounds that can be asked for.
pub(crate) const MAX_ROUNDS: usize = 100;

/// Round trips per run, at most.
pub(crate) const MAX_TRIPS: usize = 200_000;

/// Connections that are held open: netcode, which renet connects with, allows 1,024.
pub(crate) const CONNECTIONS: usize = 1_000;

/// Handshakes in progress at a time: both processors have work, and no queue overflows.
pub(crate) const CONNECTING_AT_ONCE: usize = 16;

/// The time for which nothing may arrive before the rest of raw datagrams counts as lost.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);

/// The receive buffer of each socket, where the peer lets it be set: hikyaku's.
pub(crate) const KERNEL_BUFFER: usize = hikyaku::limits::KERNEL_RECEIVE_BUFFER;

/// The window of a connection over a long path: more than the bandwidth-delay product of the lossy
/// link (2.5 MB) and its full queue (1 MiB).
pub(crate) const LONG_PATH_WINDOW: u32 = 4 << 20;

/// Unconfirmed bytes, for peers that have no limit of their own: ENet's queue and raw datagrams.
pub(crate) const CREDIT: usize = 1 << 20;

/// Datagrams that the lossy link holds at a time, besides its queue's bytes: 64 MiB of full ones.
pub(crate) const RELAY_PACKETS: usize = 45_000;
