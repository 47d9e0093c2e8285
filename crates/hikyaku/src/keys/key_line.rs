//! Lines of authorized-keys files, as sshd(8) reads them, and cleaned-up key texts.
//!
//! In: bytes of files that people and editors have written. Out: a key and its comment, or why
//! there is none. Never: a file.

use ssh_key::PublicKey;
use zeroize::Zeroizing;

use crate::contain::contain;

/// Returns the text of a file. Bytes that are not UTF-8, which may occur in comments, are replaced,
/// and a byte-order mark is removed.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
}

/// Returns a PEM text as OpenSSH's parser requires it: without byte-order mark, blank lines, and
/// blanks or carriage returns at the ends of lines. It is allocated at once, since it may be a
/// secret.
pub(crate) fn tidy_pem(text: &str) -> Zeroizing<String> {
    let mut tidied = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if !line.is_empty() {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    tidied
}

/// Parses a line of an authorized-keys file: `[options] type base64 [comment]`. Returns `None` for
/// a blank line or a comment.
///
/// # Errors
/// The reason to skip the line: it has no valid key, or it has options, which restrict a key in
/// ways that are not supported.
pub(crate) fn authorized_key(line: &str) -> Result<Option<PublicKey>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(key) = key(line) {
        return Ok(Some(key));
    }
    let (options, rest) = split_options(line);
    match key(rest) {
        None => Err("not a public key (`ssh-ed25519 AAAA… comment`)".to_owned()),
        Some(_) => {
            let name = options.split(['=', ',']).next().unwrap_or_default();
            Err(format!("its option `{name}` restricts the key in a way that is not supported"))
        }
    }
}

/// Parses `type base64 [comment]`, with any number of blanks between them.
pub(crate) fn key(text: &str) -> Option<PublicKey> {
    let text = text.trim();
    let (kind, rest) = text.split_once(is_blank)?;
    let rest = rest.trim_start_matches(is_blank);
    let (base64, comment) = rest.split_once(is_blank).unwrap_or((rest, ""));
    let mut key = contain(|| PublicKey::from_openssh(&format!("{kind} {base64}")))?.ok()?;
    key.set_comment(comment.trim());
    Some(key)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Splits off the options, which end at the first blank outside quotes; within quotes, `\"` is a
/// literal quote.
fn split_options(line: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            _ if is_blank(c) && !quoted => return (&line[..at], &line[at..]),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn comment(line: &str) -> Option<String> {
        let key = authorized_key(line).ok()??;
        Some(key.comment().as_str_lossy().to_owned())
    }

    #[test]
    fn fields_may_be_separated_by_any_blanks() {
        let spread = KEY.replace(' ', " \t ");
        for (line, expected) in [
            (format!("{KEY} alice"), "alice"),
            (format!("  \t{spread}\t alice  "), "alice"),
            (format!("{KEY} alice\r"), "alice"),
            (
                format!("{KEY} a comment  with \"quotes, and = signs"),
                "a comment  with \"quotes, and = signs",
            ),
            (KEY.to_owned(), ""),
        ] {
            assert_eq!(comment(&line).as_deref(), Some(expected), "{line:?}");
        }
        for line in ["", "  ", "\t# ssh-ed25519", "#"] {
            assert!(matches!(authorized_key(line), Ok(None)), "{line:?}");
        }
    }

    #[test]
    fn a_key_with_options_is_skipped_and_the_first_option_is_named() {
        for (options, name) in [
            ("no-pty", "no-pty"),
            ("from=\"10.0.0.0/8, host name\"", "from"),
            ("command=\"echo \\\"hi there\\\" ssh-ed25519 AAAA\",no-pty", "command"),
            ("expiry-time=\"20200101\"", "expiry-time"),
            ("cert-authority", "cert-authority"),
            ("restrict,environment=\"A=b c\"", "restrict"),
        ] {
            let why = authorized_key(&format!("{options}\t {KEY} bob")).unwrap_err();
            assert!(why.contains(&format!("`{name}`")), "{options}: {why}");
        }
    }

    #[test]
    fn a_line_without_a_key_is_reported() {
        let cut = &KEY[..KEY.len() - 8];
        for line in ["ssh-ed25519", "ssh-ed25519 nonsense", cut, "from=\"unclosed ssh-ed25519 AAAA"]
        {
            assert!(authorized_key(line).unwrap_err().contains("not a public key"), "{line:?}");
        }
    }

    #[test]
    fn blanks_that_editors_add_to_a_private_key_are_removed() {
        let tidied =
            tidy_pem("\u{feff}\r\n-----BEGIN A-----\r\nAAAA  \r\n\n-----END A-----\r\n\r\n\n");
        assert_eq!(*tidied, "-----BEGIN A-----\nAAAA\n-----END A-----\n");
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_fail(line: String) {
            let _ = authorized_key(&line);
        }

        #[test]
        fn quoted_options_never_hide_a_restriction(value in "[ -~]{0,30}") {
            let quoted = value.replace('\\', "").replace('"', "\\\"");
            let line = format!("command=\"{quoted}\" {KEY}");
            prop_assert!(authorized_key(&line).is_err());
        }

        #[test]
        fn any_bytes_may_be_a_comment(comment: Vec<u8>) {
            let comment: Vec<u8> = comment.into_iter().filter(|b| *b != b'\n').collect();
            let bytes = [b"\xef\xbb\xbf", KEY.as_bytes(), b" ", &comment].concat();
            let text = text_of(&bytes);
            prop_assert!(matches!(authorized_key(&text), Ok(Some(_))));
        }
    }
}
