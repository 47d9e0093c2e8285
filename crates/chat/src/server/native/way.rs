//! The route to a device: a native connection, or a web server that shows the device's page.

use std::{net::IpAddr, sync::Arc};

use hikyaku::{Bytes, Connection, Delivery, identity::Identity, signers::Fingerprint};

use crate::server::{members::Member, web::WebWay};

/// The route to a device.
#[derive(Clone, Debug)]
pub(in crate::server) enum Way {
    Native(Connection),
    Web(WebWay),
}

/// An id that distinguishes the routes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum WayId {
    Native(u64),
    Web(u64),
}

/// The route has ended.
#[derive(Debug)]
pub(super) struct Gone;

impl Way {
    pub(in crate::server) fn id(&self) -> WayId {
        match self {
            Self::Native(connection) => WayId::Native(connection.id()),
            Self::Web(web) => WayId::Web(web.number),
        }
    }

    /// Returns whose the way is.
    pub(in crate::server) fn member(&self) -> Member {
        match self {
            Self::Native(connection) => Member::Native(connection.peer().fingerprint()),
            Self::Web(web) => Member::Web(web.identity.fingerprint()),
        }
    }

    /// Returns the key that the connection has proved, if it is one.
    pub(in crate::server) fn proved(&self) -> Option<Fingerprint> {
        match self {
            Self::Native(connection) => Some(connection.peer().fingerprint()),
            Self::Web(_) => None,
        }
    }

    /// Returns the key that the host holds for the device, if the device has none.
    pub(in crate::server) const fn held(&self) -> Option<&Identity> {
        match self {
            Self::Native(_) => None,
            Self::Web(web) => Some(&web.identity),
        }
    }

    pub(super) fn key(&self) -> Arc<str> {
        match self {
            Self::Native(connection) => connection.peer().fingerprint().to_string().into(),
            Self::Web(web) => web.identity.fingerprint().to_string().into(),
        }
    }

    pub(in crate::server) fn address(&self) -> IpAddr {
        match self {
            Self::Native(connection) => connection.remote_addr().ip(),
            Self::Web(web) => web.address,
        }
    }

    pub(in crate::server) fn abort(&self, code: u64, reason: &'static str) {
        match self {
            Self::Native(connection) => connection.abort(code, reason),
            Self::Web(web) => web.abort(code, reason),
        }
    }

    pub(super) fn check(&self) -> Result<(), Gone> {
        let is_over = match self {
            Self::Native(connection) => connection.close_reason().is_some(),
            Self::Web(web) => web.is_over(),
        };
        if is_over { Err(Gone) } else { Ok(()) }
    }

    /// Waits while the device's queue is full: then it is slow.
    pub(super) async fn send(&self, lines: Bytes) -> Result<(), Gone> {
        match self {
            Self::Native(connection) => {
                connection.send(Delivery::Ordered, lines).await.map(|_| ()).map_err(|_| Gone)
            }
            Self::Web(web) => web.lines.send(lines).await.map_err(|_| Gone),
        }
    }
}
