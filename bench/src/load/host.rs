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
    server::{self, Doors, History, Hosting, web_port},
};
use hikyaku_history::SqliteStore;
use hikyaku_web::{Admission, SessionKey, WebConfig, WebServer};

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
    /// Where its page is.
    pub(super) web: String,
    _folder: tempfile::TempDir,
}

impl Process {
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(env::current_exe()?);
        command.args([HOST, &(plan.members + plan.pages).to_string()]).stdout(Stdio::piped());
        if plan.history {
            command.arg(folder.path().join("chat.sqlite"));
        }
        let mut child = command.spawn()?;
        let out = child.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().context("the host printed too little");
        let (address, fingerprint, web) = (word()?, word()?, word()?);
        Ok(Self { child, address, fingerprint, web, _folder: folder })
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

/// Hosts a chat for this many members, as `hikyaku chat host` does, until it is killed.
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
        let web = WebServer::bind(&["127.0.0.1:0".parse()?]).await?;
        let who = format!("{} {}", endpoint.fingerprint(), web.local_addr());
        child::announce(&endpoint.local_addr().to_string(), &who)?;
        let (port, door) = web_port();
        let admission = Admission::new(|_, _| true);
        let page = WebConfig { key: SessionKey::generate(), names: Vec::new(), admission };
        tokio::spawn(web.serve(page, port));
        let history = match history {
            Some(path) => {
                let store = Box::new(SqliteStore::open(path.as_ref(), 1)?);
                Some(History { store, keep: None, most_bytes: None })
            }
            None => None,
        };
        let identity = Some(identity);
        let hosting = Hosting { config, history, identity, ..Hosting::default() };
        let doors = Doors { web: Some(door), ..Doors::from(endpoint) };
        server::run(doors, hosting, None, |_| {}, |_| {}, future::pending()).await?;
        Ok(())
    })
}
