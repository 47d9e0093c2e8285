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

mod connection;
mod delivery;
mod endpoint;
mod errors;
mod keys;
mod message;
mod plain;
mod receipt;
mod runtime;
mod stats;
mod wake;

#[pymodule]
fn _hikyaku(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::add(module)?;
    delivery::add(module)?;
    module.add_class::<connection::Connection>()?;
    module.add_class::<endpoint::Server>()?;
    module.add_class::<message::Message>()?;
    module.add_class::<plain::Socket>()?;
    module.add_class::<receipt::Receipt>()?;
    module.add_class::<receipt::Receipts>()?;
    module.add_class::<wake::Wakeups>()?;
    module.add_function(wrap_pyfunction!(endpoint::_connect, module)?)?;
    module.add_function(wrap_pyfunction!(endpoint::_connect_later, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::_after_fork, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // Nobody imports `*` from here, and the stub would have to repeat it.
    module.delattr("__all__")
}
