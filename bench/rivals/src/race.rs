//! Rounds: in each, all peers run once, one after the other, so that other load on the machine
//! affects all of them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cost,
    field::Contestant,
    limits::{LONGEST_RUN, READY},
    outcome::Outcome,
    relay::Relay,
    work::Workload,
};

/// Memory is read once the last handshake is over on both sides.
const SETTLED: Duration = Duration::from_millis(500);

/// A contestant's rounds of a workload. A round that failed has its reason.
pub(crate) struct Line {
    pub(crate) contestant: Contestant,
    pub(crate) outcomes: Vec<Result<Outcome, String>>,
}

/// Runs each contestant once per round.
pub(crate) fn race(workload: Workload, contestants: &[Contestant], rounds: usize) -> Vec<Line> {
    let mut lines: Vec<Line> =
        contestants.iter().map(|&contestant| Line { contestant, outcomes: Vec::new() }).collect();
    for round in 0..rounds {
        for line in &mut lines {
            let began = Instant::now();
            let outcome =
                run(line.contestant, workload, round).map_err(|error| format!("{error:#}"));
            let (name, took) = (line.contestant.name(), began.elapsed().as_secs_f64());
            let result = match &outcome {
                Ok(_) => "",
                Err(error) => error.as_str(),
            };
            eprintln!("{} {}/{rounds} {name} {took:.1} s {result}", workload.name(), round + 1);
            line.outcomes.push(outcome);
        }
    }
    lines
}

fn run(contestant: Contestant, workload: Workload, round: usize) -> Result<Outcome> {
    let names = [contestant.name(), workload.name()];
    let server = Side::start("serve", &names)?;
    let ready = server.wait_for("ready", READY).context("the server")?;
    let (address, identity) = ready.split_once(' ').unwrap_or((&ready, ""));
    let mut address: SocketAddr = address.parse().context("the server's address")?;
    let relay = workload.link().map(|link| Relay::start(address, link, round)).transpose()?;
    if let Some(relay) = &relay {
        address = relay.address;
    }
    let mut client = Side::start("call", &[names[0], names[1], &address.to_string(), identity])?;
    client.wait_for("ready", READY).context("the client")?;

    let pids = [client.child.id(), server.child.id()];
    let before = [cost::processor(pids[0])?, cost::processor(pids[1])?];
    let memory = cost::resident(pids[1])?;
    client.go()?;
    let outcome = client.outcome("the client")?;
    let outcome = outcome.with_server(&server.outcome("the server")?);
    let spent = |at: usize| Ok::<_, anyhow::Error>(cost::processor(pids[at])? - before[at]);
    let mut outcome =
        Outcome { client: spent(0).unwrap_or_default(), server: spent(1)?, ..outcome };
    if workload == Workload::Connect {
        std::thread::sleep(SETTLED);
        outcome.memory = cost::resident(pids[1])? - memory;
    }
    relay.map_or(Ok(()), Relay::end)?;
    Ok(outcome)
}

/// A process that runs one end; dropping it ends the process.
struct Side {
    child: Child,
    lines: Receiver<String>,
}

impl Side {
    fn start(verb: &str, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(verb)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("standard output is piped")?;
        let (sender, lines) = channel();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Waits for a line that begins with this word. Returns the rest of it.
    fn wait_for(&self, word: &str, limit: Duration) -> Result<String> {
        let Ok(line) = self.lines.recv_timeout(limit) else { bail!("not {word} in {limit:?}") };
        let rest = line.strip_prefix(word).with_context(|| format!("{line:?}, not {word}"))?;
        Ok(rest.trim().to_owned())
    }

    fn go(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().context("standard input is piped")?;
        Ok(input.write_all(b"go\n")?)
    }

    fn outcome(&self, who: &str) -> Result<Outcome> {
        let json = self.wait_for("done", LONGEST_RUN).with_context(|| who.to_owned())?;
        ensure!(!json.is_empty(), "{who} has no outcome");
        Ok(serde_json::from_str(&json)?)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // If it has already ended, there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
