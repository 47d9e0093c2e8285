//! Notifies the reader: a bell, and a notification that works through ssh.

use std::env;

/// Terminals that understand both kinds of notification and would show two.
const BOTH: [&str; 3] = ["foot", "ghostty", "wezterm"];

/// Returns the sequence for a notification by the terminal; `text` is escaped. OSC 9 is iTerm2's,
/// kitty's and Windows Terminal's, OSC 777 rxvt's, foot's and VTE's; others ignore both.
pub(super) fn sequences(text: &str) -> Vec<u8> {
    let var = |name| env::var(name).unwrap_or_default().to_lowercase();
    let terminal = var("TERM") + " " + &var("TERM_PROGRAM");
    let knows_both = BOTH.iter().any(|name| terminal.contains(name));
    written(text, knows_both, env::var_os("TMUX").is_some())
}

fn written(text: &str, knows_both: bool, is_in_tmux: bool) -> Vec<u8> {
    let text: String = text.chars().filter(|c| hikyaku_text::is_safe(*c)).collect();
    // A `;` would begin another field.
    let text = text.replace(';', ",");
    let mut out = String::from("\x07");
    // After a number, OSC 9 means something else, so the text begins with a word.
    let nine = format!("\x1b]9;hikyaku: {text}\x07");
    let seven = format!("\x1b]777;notify;hikyaku;{text}\x07");
    for sequence in [(!knows_both).then_some(nine), Some(seven)].into_iter().flatten() {
        match is_in_tmux {
            // tmux forwards it if its option allow-passthrough is on.
            true => out += &format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
            false => out += &sequence,
        }
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_contains_no_command_from_its_text() {
        let rung = written("4;3\x1b]0;x\x07", false, false);
        let expected = "\x07\x1b]9;hikyaku: 4,3]0,x\x07\x1b]777;notify;hikyaku;4,3]0,x\x07";
        assert_eq!(String::from_utf8(rung).unwrap(), expected);
        let once = String::from_utf8(written("花: お茶", true, true)).unwrap();
        assert_eq!(once, "\x07\x1bPtmux;\x1b\x1b]777;notify;hikyaku;花: お茶\x07\x1b\\");
    }
}
