//! The machine: sockets, batches of datagrams, addresses, interfaces and address filters.
//!
//! In: what the system tells. Out: what is asked of it. Never: a protocol.

pub mod address;
pub mod batch;
#[cfg(feature = "filter")]
pub mod filter;
pub mod interface;
pub mod socket;

/// What stands for a filter where the feature is off: nothing can be asked of it.
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
