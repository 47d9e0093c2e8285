//! Reports panics, contained or not, in one line each.
//!
//! Never: a backtrace unless `RUST_BACKTRACE` asks for one; more than
//! [`MAX_REPORTED_PANICS`] lines.

use std::{
    env,
    panic::{self, PanicHookInfo},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{limits::MAX_REPORTED_PANICS, output::warn};

#[cfg(not(panic = "unwind"))]
compile_error!(
    "a panic in a library must end one association, not the process, so panics must unwind"
);

/// Installs a panic hook that prints one line to standard error.
pub(crate) fn report_panics_in_one_line() {
    if env::var_os("RUST_BACKTRACE").is_some_and(|wanted| wanted != "0") {
        return;
    }
    panic::set_hook(Box::new(say));
}

fn say(fault: &PanicHookInfo<'_>) {
    // A peer that can cause one panic can cause a million.
    static SAID: AtomicU32 = AtomicU32::new(0);
    if SAID.fetch_add(1, Ordering::Relaxed) < MAX_REPORTED_PANICS {
        let place = fault.location().map(ToString::to_string);
        let what = fault.payload_as_str().unwrap_or("no words");
        warn(&line(place.as_deref().unwrap_or("an unknown place"), what));
    }
}

fn line(place: &str, what: &str) -> String {
    // Cargo puts dependencies into a folder of the registry whose name is a hash.
    let inside = place.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    let place = inside.map_or(place, |(_, inside)| inside);
    format!("internal error at {place}: {what}; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_with_its_crate_and_line() {
        let place = "/home/a/.cargo/registry/src/index-1/dimpl-0.9.0/src/engine.rs:1037:39";
        let said = line(place, "out of room");
        let seen = "internal error at dimpl-0.9.0/src/engine.rs:1037:39: out of room; ";
        assert!(said.starts_with(seen), "{said}");
    }
}
