//! Reports lines that a chat has not stored.

use std::io::{self, IsTerminal as _};

use hikyaku::address::Address;
use hikyaku_chat::{
    client::{ClientError, Stayed},
    limits::NATIVE_IDLE,
    server::code,
};
use hikyaku_text::sanitize;
use tokio::time::timeout;

use crate::{
    exit::Failure,
    limits::COUNT_LINES_WAIT,
    mismatch::Place,
    native,
    output::warn,
    terminal::{self, LineLimit},
    words::{InWords as _, Member, joined},
};

/// Returns an error unless the member was in the chat and everything typed was done: messages
/// stored, commands answered. A person has seen what was refused.
pub(super) fn outcome(stayed: &Stayed, address: &Address, has_person: bool) -> Result<(), Failure> {
    if stayed.unsent > 0 {
        return Err(Failure::failed(unsent(stayed, address)));
    }
    let late = (stayed.late > 0).then(|| Member::LateLines(stayed.late).text());
    if has_person {
        late.iter().for_each(|late| warn(late));
        return Ok(());
    }
    let why = match stayed {
        Stayed { has_joined: false, .. } => Some(Member::NotJoined(address).text()),
        Stayed { rejected: count @ 1.., .. } => Some(Member::RejectedLines(*count).text()),
        Stayed { unanswered: count @ 1.., .. } => Some(Member::Unanswered(*count).text()),
        _ => late,
    };
    why.map_or(Ok(()), |why| Err(Failure::failed(why)))
}

/// Reports what happened to lines that the host may not have stored.
fn unsent(stayed: &Stayed, address: &Address) -> String {
    let why = match stayed.was_there {
        true => Member::NotConfirmed(address).text(),
        false => Member::ChatGone(address).text(),
    };
    joined(&why, &kept(stayed.unsent, stayed.is_kept))
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
            let failure = match closed.code() {
                Some(code::NOT_INVITED | code::BANNED | code::KICKED) => Failure::refused(why),
                _ => Failure::failed(why),
            };
            (failure, undelivered, unread)
        }
        other => (Failure::failed(sanitize(&other.in_words())), 0, 0),
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
