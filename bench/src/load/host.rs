//! The host, in its own process.

use std::{
    env, future,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use hikyaku::{Endpoint, identity::Identity};
use hikyaku_chat::{
    RoomConfig,
    server::{self, Doors, History, Hosting},
};
use hikyaku_history::SqliteStore;

use super::Plan;
use crate::child;

/// The internal subcommand.
pub(crate) const HOST: &str = "chat-host";

/// A running host, which is killed with its owner.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) address: String,
    pub(super) fingerprint: String,
    _folder: tempfile::TempDir,
}

impl Process {
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(env::current_exe()?);
        command.args([HOST, &plan.members.to_string()]).stdout(Stdio::piped());
        if plan.history {
            command.arg(folder.path().join("chat.sqlite"));
        }
        let mut child = command.spawn()?;
        let out = child.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let (address, fingerprint) =
            line.trim().split_once(' ').context("the host printed nothing")?;
        let (address, fingerprint) = (address.to_owned(), fingerprint.to_owned());
        Ok(Self { child, address, fingerprint, _folder: folder })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If it has already ended, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hosts a chat for so many members, as `hikyaku chat host` does, until it is killed.
pub(crate) fn serve(members: usize, history: Option<&str>) -> Result<()> {
    child::runtime(1)?.block_on(async {
        let identity = Identity::generate("")?;
        let config = RoomConfig { max_clients: members, ..RoomConfig::default() };
        let endpoint = Endpoint::builder()
            .application(server::APPLICATION)
            .transport(server::transport())
            .max_connections(server::connections(members))
            .identity(&identity)
            .bind("127.0.0.1:0")
            .await?;
        child::announce(&endpoint.local_addr().to_string(), &endpoint.fingerprint().to_string())?;
        let history = match history {
            Some(path) => {
                let store = Box::new(SqliteStore::open(path.as_ref(), 1)?);
                Some(History { store, keep: None, most_bytes: None })
            }
            None => None,
        };
        let identity = Some(identity);
        let hosting = Hosting { config, history, identity, ..Hosting::default() };
        let doors = Doors::from(endpoint);
        server::run(doors, hosting, None, |_| {}, |_| {}, future::pending()).await?;
        Ok(())
    })
}
