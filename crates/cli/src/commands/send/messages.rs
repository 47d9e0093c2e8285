//! Queues messages from arguments, a pipe or a prompt on a connection.

use std::{
    cell::Cell,
    io::{self, Read as _},
};

use super::session::Session;
use crate::{
    args::SendArgs,
    exit::Failure,
    limits::{MAX_MESSAGE, MAX_NATIVE_LINE},
    message::{bytes_of, decoded, excerpt},
    output::human_bytes,
    terminal::{self, LineLimit, Lines, Show},
    words::{Both, Shortfall},
};

const LINES: LineLimit = LineLimit {
    len: MAX_NATIVE_LINE,
    why: Both(
        "is too long for a line; use --raw or --whole",
        "長すぎます。--raw か --whole を使ってください",
    ),
    is_cut: false,
};

/// The origin of the messages.
pub(super) enum Messages {
    /// All are known in advance.
    Known { messages: Vec<Vec<u8>>, rounds: u64 },
    /// Lines as they arrive, from a person or a pipe.
    Lines {
        at_prompt: bool,
        hex: bool,
        /// Waiting for the next line.
        idle: Cell<bool>,
    },
}

impl Messages {
    /// Reads and checks what is known before anything is sent.
    pub(super) async fn of(args: &SendArgs) -> Result<Self, Failure> {
        if args.whole {
            let input = tokio::task::spawn_blocking(whole_input).await;
            let input = input.map_err(Failure::failed)??;
            let message = decoded(input, args.hex).map_err(Failure::usage)?;
            return Self::known(vec![message], args.count);
        }
        if args.messages.is_empty() {
            // Lines are read only once there is a connection: nobody types messages before a
            // passphrase prompt.
            return Ok(Self::Lines {
                at_prompt: terminal::is_interactive(),
                hex: args.hex,
                idle: Cell::new(false),
            });
        }
        let messages: Result<Vec<_>, _> =
            args.messages.iter().map(|text| decoded(bytes_of(text), args.hex)).collect();
        Self::known(messages.map_err(Failure::usage)?, args.count)
    }

    fn known(messages: Vec<Vec<u8>>, rounds: u64) -> Result<Self, Failure> {
        match messages.iter().position(|message| message.len() > MAX_MESSAGE) {
            Some(index) => Err(Failure::usage(say!(
                "message {} is larger than {}; --raw or --file takes any size; nothing was sent",
                "メッセージ {} は {} を超えています。--raw や --file ならどの大きさでも送れます。何も送信していません",
                index + 1,
                human_bytes(MAX_MESSAGE as u64)
            ))),
            None => Ok(Self::Known { messages, rounds }),
        }
    }

    /// Returns `true` if a person types the messages.
    pub(super) const fn at_prompt(&self) -> bool {
        matches!(self, Self::Lines { at_prompt: true, .. })
    }

    /// Returns `true` while waiting for the next line.
    pub(super) const fn is_idle(&self) -> bool {
        match self {
            Self::Known { .. } => false,
            Self::Lines { idle, .. } => idle.get(),
        }
    }

    /// Returns the number of messages, if it is known.
    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Self::Known { messages, rounds } => Some(rounds.saturating_mul(messages.len() as u64)),
            Self::Lines { .. } => None,
        }
    }

    /// Returns how an error names a message, by its number from 0.
    pub(super) fn name(&self, number: u64) -> String {
        let messages = match self {
            Self::Known { messages, .. } => messages.as_slice(),
            Self::Lines { .. } => &[],
        };
        let index = number.checked_rem(messages.len() as u64);
        let index = index.and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| messages.get(index)) {
            Some(message) => excerpt(message),
            None => Shortfall::Line(number + 1).text(),
        }
    }

    /// Queues all messages.
    pub(super) async fn send(&self, session: &Session<'_>) -> Result<(), Failure> {
        match self {
            Self::Known { messages, rounds } => {
                let mut first = true;
                for message in (0..*rounds).flat_map(|_| messages) {
                    if !std::mem::take(&mut first) {
                        session.pause().await;
                    }
                    if session.queue(message.clone()).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(())
            }
            Self::Lines { at_prompt, hex, idle } => {
                let (lines, show) = terminal::read_lines_of("> ", LINES)?;
                send_lines(lines, at_prompt.then_some(show), *hex, idle, session).await
            }
        }
    }
}

/// Queues lines as they arrive. An invalid line from a pipe is an error; a person may try again.
async fn send_lines(
    mut lines: Lines,
    mut show: Option<Show>,
    hex: bool,
    idle: &Cell<bool>,
    session: &Session<'_>,
) -> Result<(), Failure> {
    let mut number = 0_u64;
    loop {
        idle.set(lines.queue.is_empty());
        let Some(line) = lines.queue.recv().await else { return Ok(()) };
        idle.set(false);
        number += 1;
        let line =
            line.map_err(|e| Failure::usage(format!("{}: {e}", Shortfall::Line(number).text())))?;
        if show.is_some() && line.leaves() {
            return Ok(());
        }
        if number > 1 {
            session.pause().await;
        }
        match (decoded(line.text, hex), &mut show) {
            (Ok(message), _) => match session.queue(message).await {
                Ok(()) => {}
                // The reason is reported at the end.
                Err(_) => return Ok(()),
            },
            (Err(e), Some(show)) => show(e.into()),
            (Err(e), None) => {
                return Err(Failure::usage(format!("{}: {e}", Shortfall::Line(number).text())));
            }
        }
    }
}

fn whole_input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_MESSAGE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
