//! Messages as typed: text or hexadecimal digits, and how errors name them.

use std::ffi::OsStr;

use data_encoding::HEXLOWER_PERMISSIVE;

/// Returns the message, or the bytes that its hexadecimal digits stand for.
pub(crate) fn decoded(text: Vec<u8>, hex: bool) -> Result<Vec<u8>, String> {
    if !hex {
        return Ok(text);
    }
    let digits: Vec<u8> =
        text.into_iter().filter(|b| !b.is_ascii_whitespace() && *b != b':').collect();
    let shown = || excerpt(&digits);
    if let Some(at) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
        return Err(say!(
            "{}: digit {} is not hexadecimal",
            "{}: {} 文字目が 16 進数ではありません",
            shown(),
            at + 1
        ));
    }
    let odd = |_| say!("{}: an odd number of hex digits", "{}: 16 進数の桁数が奇数です", shown());
    HEXLOWER_PERMISSIVE.decode(&digits).map_err(odd)
}

/// Returns the bytes of an argument.
#[cfg(unix)]
pub(crate) fn bytes_of(text: &OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(text).to_vec()
}

/// Returns the bytes of an argument.
#[cfg(not(unix))]
pub(crate) fn bytes_of(text: &OsStr) -> Vec<u8> {
    text.to_string_lossy().into_owned().into_bytes()
}

/// Returns the first bytes of a message, quoted, to identify it.
pub(crate) fn excerpt(message: &[u8]) -> String {
    let mut text = hikyaku_text::sanitize_bytes(message).into_owned();
    if let Some((cut, _)) = text.char_indices().nth(32) {
        text.truncate(cut);
        text.push('…');
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_may_be_spaced_and_of_either_case() {
        assert_eq!(decoded(b"de:AD be\tef".to_vec(), true), Ok(vec![0xde, 0xad, 0xbe, 0xef]));
        assert_eq!(decoded(b"de".to_vec(), false), Ok(b"de".to_vec()));
        assert!(decoded(b"0g".to_vec(), true).unwrap_err().contains("digit 2"));
        assert!(decoded(b"xyz".to_vec(), true).unwrap_err().contains("digit 1"));
        assert!(decoded(b"012".to_vec(), true).unwrap_err().contains("odd"));
    }

    #[test]
    fn an_excerpt_is_short_and_safe() {
        assert_eq!(excerpt(b"a\x1b"), "\"a\\x1b\"");
        assert_eq!(excerpt("日".repeat(40).as_bytes()), format!("\"{}…\"", "日".repeat(32)));
    }
}
