//! The name under which a host's key is remembered.
//!
//! In: a host and a port. Out: one name. Never: a look-up.

use crate::limits::DEFAULT_PORT;

/// A host as a file of known hosts names it: `name` for the default port, otherwise `[name]:port`;
/// in lower case, since names are case-insensitive.
pub(crate) fn host_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == DEFAULT_PORT { host } else { format!("[{host}]:{port}") }
}
