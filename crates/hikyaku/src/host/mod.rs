//! The machine: sockets, batches of datagrams, addresses, interfaces and address filters.
//!
//! In: reports of the system. Out: requests to the system. Never: a protocol.

pub mod address;
pub mod batch;
#[cfg(feature = "filter")]
pub mod filter;
pub mod interface;
pub mod socket;

/// Replaces the filter where the feature is off: it has no rules.
#[cfg(not(feature = "filter"))]
pub(crate) mod filter {
    use std::net::IpAddr;

    /// A filter without rules.
    #[derive(Debug, Default)]
    pub(crate) struct Filter;

    impl Filter {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) const fn is_empty(&self) -> bool {
            true
        }

        pub(crate) const fn allows(&self, _: IpAddr) -> bool {
            true
        }
    }
}
