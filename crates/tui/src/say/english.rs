//! English.

use super::Say;

pub(super) fn write(say: Say<'_>) -> String {
    match say {
        Say::Joining => "connecting to the host".to_owned(),
        Say::Reconnecting { waiting: 0 } => "the host cannot be reached; trying again".to_owned(),
        Say::Reconnecting { waiting } => {
            format!("the host cannot be reached; trying again; {} waiting", lines(waiting))
        }
        Say::Leaving { waiting: 0 } => "leaving".to_owned(),
        Say::Leaving { waiting } => {
            format!("leaving; {} waiting; Ctrl-C leaves now", lines(waiting))
        }
        Say::Waiting { waiting } => format!("{} waiting", lines(waiting)),
        Say::Keys => "PgUp older  Tab completes  /help  /quit".to_owned(),
        Say::Above { new: 0 } => "older lines; End returns".to_owned(),
        Say::Above { new } => format!("{} below; End returns", new_lines(new)),
        Say::Past { new: 0 } => "the past; PgUp older; Esc returns".to_owned(),
        Say::Past { new } => format!("the past; {}; Esc returns", new_lines(new)),
        Say::Searching { words } => format!("searching {words}; Esc returns"),
        Say::Found { words, count: 0 } => format!("nothing found: {words}; Esc returns"),
        Say::Found { words, count } => {
            format!("{count} found: {words}; Up, Down, Enter; Esc returns")
        }
        Say::Paste { lines: count, bytes, messages: 1 } => {
            format!("send {} ({bytes} bytes) as one message? Enter: yes, Esc: no", lines(count))
        }
        Say::Paste { lines: count, bytes, messages } => format!(
            "send {} ({bytes} bytes) as {messages} messages? Enter: yes, Esc: no",
            lines(count)
        ),
        Say::PasteCut { bytes } => {
            format!("the pasted text was cut to {bytes} bytes; a longer one belongs into a file")
        }
        Say::Full => "not sent: too many lines are waiting; try again in a moment".to_owned(),
        Say::Help => "keys: PgUp and PgDn scroll, End returns; Alt-Up and Alt-Down change the \
            room; Up and Down bring back what you entered; Tab completes names, rooms and \
            commands; Ctrl-L redraws; Ctrl-Z stops; Ctrl-C leaves. Your lines: ~ waits, ✓ is \
            stored, ✓ 2/3 has reached 2 of 3"
            .to_owned(),
        Say::Day(date) => date.strftime("%A, %-d %B %Y").to_string(),
        Say::Refused => "not taken".to_owned(),
    }
}

/// Returns the same on a narrow screen, if it is long. What to press is worth more than details.
pub(super) fn brief(say: Say<'_>) -> Option<String> {
    Some(match say {
        Say::Reconnecting { waiting: 0 } => "no connection; trying again".to_owned(),
        Say::Reconnecting { waiting } => format!("no connection; {} waiting", lines(waiting)),
        Say::Leaving { waiting } if waiting > 0 => {
            format!("leaving; {} wait; Ctrl-C: now", lines(waiting))
        }
        Say::Searching { .. } => "searching; Esc returns".to_owned(),
        Say::Found { count: 0, .. } => "nothing found; Esc returns".to_owned(),
        Say::Found { count, .. } => format!("{count} found; Up, Down, Enter; Esc returns"),
        Say::Paste { lines: count, messages: 1, .. } => {
            format!("send {}? Enter: yes, Esc: no", lines(count))
        }
        Say::Paste { messages, .. } => {
            format!("send as {messages} messages? Enter: yes, Esc: no")
        }
        _ => return None,
    })
}

fn new_lines(count: usize) -> String {
    match count {
        1 => "1 new line".to_owned(),
        _ => format!("{count} new lines"),
    }
}

fn lines(count: usize) -> String {
    match count {
        1 => "1 line".to_owned(),
        _ => format!("{count} lines"),
    }
}
