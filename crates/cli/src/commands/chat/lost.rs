//! Reports lines that a chat has not stored.

use std::io::{self, IsTerminal as _};

use hikyaku::address::Address;
use hikyaku_chat::{
    client::{ClientError, Stayed},
    limits::NATIVE_IDLE,
    server,
};
use hikyaku_text::sanitize;
use tokio::time::timeout;

use crate::{
    exit::Failure,
    limits::COUNT_LINES_WAIT,
    mismatch::Place,
    native,
    terminal::{self, LineLimit},
    words::Member,
};

/// Reports what happened to lines that the host may not have stored.
pub(super) fn unsent(stayed: &Stayed, count: usize, address: &Address) -> String {
    let why = match stayed.was_there {
        true => Member::NotConfirmed(address).text(),
        false => Member::ChatGone(address).text(),
    };
    format!("{why}; {}", kept(count, stayed.is_kept))
}

fn kept(count: usize, is_kept: bool) -> String {
    match is_kept {
        true => Member::UnsentKept(count).text(),
        false => Member::Unsent(count).text(),
    }
}

/// Explains why a client could not continue.
pub(super) fn ended(
    address: &Address,
    who: (&str, Place),
    keeps: bool,
    error: ClientError,
) -> Failure {
    let (failure, undelivered, unread) = match error {
        ClientError::Connect { error, undelivered, unread } => {
            (native::refusal(address, who, &error), undelivered, unread)
        }
        ClientError::Closed { closed, undelivered, unread } => {
            let why = native::why(&closed, address, NATIVE_IDLE);
            let failure = match closed.code() == Some(server::code::NOT_INVITED) {
                true => Failure::refused(why),
                false => Failure::failed(why),
            };
            (failure, undelivered, unread)
        }
        other => (Failure::failed(sanitize(&other.to_string())), 0, 0),
    };
    let failure = match undelivered {
        0 => failure,
        count => failure.with_hint(&kept(count, keeps)),
    };
    unsent_for_good(failure, unread)
}

/// Reports how many lines were lost, if any.
pub(super) fn unsent_for_good(failure: Failure, count: usize) -> Failure {
    match count {
        0 => failure,
        count => failure.with_hint(&kept(count, false)),
    }
}

/// Counts the lines that a program has written to standard input, as far as they have arrived.
pub(super) async fn waiting_lines() -> usize {
    if io::stdin().is_terminal() {
        return 0;
    }
    let mut lines = terminal::read_input(LineLimit { is_cut: true, ..LineLimit::default() });
    let mut count = 0;
    let counting = async {
        while let Some(Ok(line)) = lines.recv().await {
            count += usize::from(!line.text.trim_ascii().is_empty());
        }
    };
    let _ = timeout(COUNT_LINES_WAIT, counting).await;
    count
}
