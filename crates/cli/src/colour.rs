//! Whether the output streams show colours.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

/// The two output streams, each of which may be a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Returns `true` if the stream is a terminal and colour is not disabled (no-color.org).
pub(crate) fn colourful(stream: Stream) -> bool {
    static STDOUT: OnceLock<bool> = OnceLock::new();
    static STDERR: OnceLock<bool> = OnceLock::new();
    let wanted = |terminal: bool| {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    };
    match stream {
        Stream::Stdout => *STDOUT.get_or_init(|| wanted(io::stdout().is_terminal())),
        Stream::Stderr => *STDERR.get_or_init(|| wanted(io::stderr().is_terminal())),
    }
}
