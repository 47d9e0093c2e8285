//! Users with keys of their own, for the native protocol.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Listener, file_in, folder,
    process::{Ended, Process, hikyaku},
};

/// A home folder, with keys and known hosts.
#[derive(Debug)]
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(folder())
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns a file in it, as an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        file_in(self.path(), name)
    }

    /// Returns the path of its key, which may not exist yet.
    pub(crate) fn key(&self) -> PathBuf {
        self.path().join(".config/hikyaku/id_ed25519")
    }

    /// Returns the path of its known hosts.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path().join(".config/hikyaku/known_hosts")
    }

    /// Returns the command, with this home.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = hikyaku(args);
        command.env("HOME", self.path()).env_remove("XDG_CONFIG_HOME").current_dir(self.path());
        command
    }

    /// Runs the command to its end with this standard input.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut process = Process::start(self.command(args));
        process.type_all(input);
        process.end()
    }

    /// Runs `hikyaku send` to its end.
    #[track_caller]
    pub(crate) fn send(&self, args: &[&str]) -> Ended {
        self.run(&[&["send"], args].concat(), b"")
    }

    /// Starts `hikyaku listen` on a free port of 127.0.0.1.
    #[track_caller]
    pub(crate) fn listen(&self, options: &[&str]) -> Listener {
        self.listen_at("127.0.0.1:0", options)
    }

    /// Starts `hikyaku listen` at this address.
    #[track_caller]
    pub(crate) fn listen_at(&self, address: &str, options: &[&str]) -> Listener {
        let args = [&["listen"], options, &[address]].concat();
        Listener::new(Process::start(self.command(&args)))
    }
}

/// Returns the fingerprint that a listener has printed.
#[track_caller]
pub(crate) fn fingerprint(listener: &Listener) -> String {
    let line = listener.process.err.line(|line| line.starts_with("the key of this "));
    line.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap_or_default().to_owned()
}
