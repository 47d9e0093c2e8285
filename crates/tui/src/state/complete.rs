//! Completion of the word before the caret.

use std::sync::Arc;

use hikyaku_chat::room_name::RoomName;
use hikyaku_text::folded;

/// The commands, as `/help` lists them.
const COMMANDS: [&str; 17] = [
    "/ban", "/bans", "/help", "/history", "/join", "/kick", "/leave", "/me", "/msg", "/nick",
    "/quit", "/rooms", "/search", "/topic", "/unban", "/who", "/name",
];

/// Commands whose first word is a name.
const OF_NAMES: [&str; 4] = ["/msg", "/kick", "/ban", "/unban"];

/// Returns where the word begins that ends at the caret, and what it may become.
pub(super) fn complete<'a>(
    before: &str,
    names: impl Iterator<Item = &'a Arc<str>>,
    me: &str,
    rooms: impl Iterator<Item = &'a RoomName>,
) -> (usize, Vec<String>) {
    let start = before
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    let word = &before[start..];
    let command = before[..start].trim_end();
    if start == 0 && word.starts_with('/') {
        let fits = COMMANDS.iter().filter(|command| command.starts_with(word));
        return (start, fits.map(|command| format!("{command} ")).collect());
    }
    if word.starts_with('#') || matches!(command, "/join" | "/leave") {
        let wanted = folded(word.trim_start_matches('#'));
        let fits = rooms.filter(|room| room.as_str().starts_with(&wanted));
        return (start, fits.map(|room| format!("{room} ")).collect());
    }
    let (at, wanted) = match word.strip_prefix('@') {
        Some(rest) => ("@", folded(rest)),
        None => ("", folded(word)),
    };
    if wanted.is_empty() && at.is_empty() && command.is_empty() {
        return (start, Vec::new());
    }
    let fits = names.filter(|name| ***name != *me && folded(name).starts_with(&wanted));
    let form = |name: &Arc<str>| match () {
        () if OF_NAMES.contains(&command) && name.contains(' ') => format!("\"{name}\" "),
        () if OF_NAMES.contains(&command) || !at.is_empty() || start > 0 => format!("{at}{name} "),
        () => format!("{name}: "),
    };
    (start, fits.map(form).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(before: &str) -> Vec<String> {
        let names: Vec<Arc<str>> = ["ben b.", "Ana", "bea", "花子"].map(Into::into).into();
        let rooms: Vec<RoomName> = ["garden", "attic"].map(|name| name.parse().unwrap()).into();
        complete(before, names.iter(), "bea", rooms.iter()).1
    }

    #[test]
    fn commands_names_and_rooms_are_completed_where_they_stand() {
        assert_eq!(completed("/se"), ["/search "]);
        assert_eq!(completed("/h"), ["/help ", "/history "]);
        assert_eq!(completed("a"), ["Ana: "]);
        assert_eq!(completed("hello b"), ["ben b. "], "and not one's own name");
        assert_eq!(completed("hello @AN"), ["@Ana "]);
        assert_eq!(completed("/msg be"), ["\"ben b.\" "]);
        assert_eq!(completed("ＡＮ"), ["Ana: "]);
        assert_eq!(completed("花"), ["花子: "]);
        assert_eq!(completed("/join g"), ["#garden "]);
        assert_eq!(completed("see #a"), ["#attic "]);
        assert_eq!(completed(""), Vec::<String>::new());
    }
}
