//! `hikyaku._hikyaku`: the native module below the Python package.
//!
//! In: calls from Python. Out: exceptions and objects. Never: Python code on the runtime's thread.
//!
//! ```text
//! hikyaku (blocking)  ─┐                   try first, under the GIL; else park without it
//!                      ├─▶ _hikyaku ─▶ runtime thread ─▶ hikyaku::Endpoint
//! hikyaku.aio (loop)  ─┘       ▲                  │
//!                              └─ Wakeups: queue + one byte per batch (wake.rs)
//! ```

use pyo3::prelude::*;

mod address;
mod connection;
mod delivery;
mod discovery;
mod ending;
mod endpoint;
mod errors;
mod files;
mod inbox;
mod incoming;
mod invite;
mod keys;
mod message;
mod options;
mod payload;
mod plain;
mod receipt;
mod runtime;
mod sending;
mod stats;
mod stream;
mod wake;

#[pymodule]
fn _hikyaku(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::add(module)?;
    delivery::add(module)?;
    module.add_class::<connection::Connection>()?;
    module.add_class::<discovery::Advertiser>()?;
    module.add_class::<endpoint::Reconnecting>()?;
    module.add_class::<endpoint::Server>()?;
    module.add_class::<files::Incoming>()?;
    module.add_class::<files::Outgoing>()?;
    module.add_class::<inbox::Inbox>()?;
    module.add_class::<incoming::Incoming>()?;
    module.add_class::<invite::Invite>()?;
    module.add_class::<invite::Invites>()?;
    module.add_class::<message::Message>()?;
    module.add_class::<plain::Socket>()?;
    module.add_class::<receipt::Receipt>()?;
    module.add_class::<receipt::Receipts>()?;
    module.add_class::<stream::ByteStream>()?;
    module.add_class::<stream::LoopByteStream>()?;
    module.add_class::<wake::Wakeups>()?;
    module.add_function(wrap_pyfunction!(discovery::_discover, module)?)?;
    module.add_function(wrap_pyfunction!(discovery::_discover_later, module)?)?;
    module.add_function(wrap_pyfunction!(endpoint::_connect, module)?)?;
    module.add_function(wrap_pyfunction!(endpoint::_connect_later, module)?)?;
    module.add_function(wrap_pyfunction!(ending::_at_exit, module)?)?;
    module.add_function(wrap_pyfunction!(files::_offer, module)?)?;
    module.add_function(wrap_pyfunction!(files::_answer, module)?)?;
    module.add_function(wrap_pyfunction!(files::_safe_name, module)?)?;
    module.add_function(wrap_pyfunction!(keys::_fingerprint, module)?)?;
    module.add_function(wrap_pyfunction!(keys::_generate, module)?)?;
    module.add_function(wrap_pyfunction!(keys::_generate_shared, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::_after_fork, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // Nobody imports `*` from here, and the stub would have to repeat it.
    module.delattr("__all__")
}
