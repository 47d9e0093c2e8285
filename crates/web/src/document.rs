//! The page: one file, with headers that restrict it to its own server.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{
        HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;

/// The page.
pub const PAGE: &str = include_str!("page.html");

/// The policy of the page. Its own script and style are named by their digests, so that no other
/// can run, and only text can be inserted.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = digest_of("<script>", "</script>");
    let style = digest_of("<style>", "</style>");
    let policy = format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(policy).expect("the policy is ASCII")
});

/// Responds with the page.
pub(crate) fn response() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, PAGE).into_response()
}

/// Returns the digest of what is between two tags, as a policy has it.
fn digest_of(open: &str, close: &str) -> String {
    let (_, rest) = PAGE.split_once(open).expect("the page contains the tag");
    let (inside, _) = rest.split_once(close).expect("the page contains the tag");
    format!("sha256-{}", BASE64.encode(digest(&SHA256, inside.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::limits::MAX_PAGE;

    #[test]
    fn the_page_is_small_and_needs_nothing_from_elsewhere() {
        assert!(PAGE.len() < MAX_PAGE, "{}", PAGE.len());
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        for tag in ["<script>", "<style>"] {
            assert_eq!(PAGE.matches(tag).count(), 1, "{tag}: its digest is in the policy");
        }
    }

    #[test]
    fn text_of_others_is_never_taken_for_html() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "setHTML",
            "createContextualFragment",
            "eval(",
            "new Function",
            "javascript:",
            "style=",
            " onclick",
        ] {
            assert!(!PAGE.contains(way), "{way}");
        }
    }

    /// The characters of a class of a regular expression of JavaScript, written by their numbers.
    fn characters_of(class: &str) -> BTreeSet<char> {
        let number = |digits: &str| char::from_u32(u32::from_str_radix(digits, 16).ok()?);
        let one = |escape: &str| match escape.split_at(1) {
            ("0", "") => Some('\0'),
            ("x" | "u", digits) => number(digits.trim_matches(['{', '}'])),
            _ => None,
        };
        let mut characters = BTreeSet::new();
        for range in class.replace("-\\", "..").split('\\').skip(1) {
            let (first, last) = range.split_once("..").unwrap_or((range, range));
            characters.extend(one(first).unwrap()..=one(last).unwrap());
        }
        characters
    }

    #[test]
    fn the_page_hides_the_characters_that_terminals_hide() {
        let (_, rest) = PAGE.split_once("const unsafe = /[").unwrap();
        let (class, _) = rest.split_once("]/gu;").unwrap();
        let escaped = characters_of(class);
        for character in ('\0'..=char::MAX).filter(|c| !matches!(c, '\t' | '\n')) {
            let is_safe = hikyaku_text::is_safe(character);
            assert_eq!(escaped.contains(&character), !is_safe, "{character:?}");
        }
    }

    #[test]
    fn text_is_escaped_wherever_it_is_inserted_into_the_page() {
        let (_, script) = PAGE.split_once("'use strict'").unwrap();
        assert!(script.contains("el.textContent = plain(text);"));
        for assigned in script.split(".textContent = ").skip(1) {
            let value = assigned.split([';', '\n']).next().unwrap();
            // Texts of the page itself, and checked names of rooms.
            let is_ours = ["sign", "text", "'#' + room.name"].contains(&value);
            let is_sentence = value.starts_with("t(") || value.starts_with("found ? t(");
            assert!(is_ours || is_sentence || value.starts_with("plain("), "{value}");
        }
    }

    #[test]
    fn a_refused_page_tries_again_and_takes_another_link() {
        let (_, join) = PAGE.split_once("const join = name => {").unwrap();
        let join = join.split_once("};").unwrap().0;
        let (again, connect) = (join.find("over = false;"), join.find("connect();"));
        assert!(again.is_some() && again < connect, "{join}");
        let (_, pasted) = PAGE.split_once("addEventListener('hashchange', ").unwrap();
        assert!(pasted.split_once("});").unwrap().0.contains("join(kept.name)"));
    }

    #[test]
    fn hidden_elements_of_a_log_scroll_with_it() {
        assert!(PAGE.contains(".hear { position: absolute;"));
        assert!(PAGE.contains(".log { position: relative;"));
    }

    /// The texts of each language, which are data in the page.
    fn languages() -> BTreeMap<String, BTreeMap<String, String>> {
        let (_, rest) = PAGE.split_once("<script type=\"application/json\" id=\"words\">").unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    /// The placeholders of a text.
    fn gaps(sentence: &str) -> Vec<&str> {
        let mut gaps: Vec<&str> =
            sentence.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
        gaps.sort_unstable();
        gaps
    }

    #[test]
    fn every_language_has_the_same_strings_and_placeholders() {
        let languages = languages();
        let (english, others) =
            (&languages["en"], languages.iter().filter(|(tag, _)| *tag != "en"));
        assert!(english.len() > 40 && languages.contains_key("ja"));
        for (tag, strings) in others {
            assert_eq!(
                strings.keys().collect::<Vec<_>>(),
                english.keys().collect::<Vec<_>>(),
                "{tag}"
            );
            for (key, sentence) in strings {
                assert_eq!(gaps(sentence), gaps(&english[key]), "{tag}: {key}");
                assert!(!sentence.is_empty(), "{tag}: {key}");
            }
        }
    }

    #[test]
    fn every_string_is_used_and_every_used_string_exists() {
        let (_, script) = PAGE.split_once("<script>").unwrap();
        let english = &languages()["en"];
        let markup = PAGE.split_once("<script type=").unwrap().0;
        for key in english.keys() {
            let is_used = script.contains(&format!("'{key}'"))
                || markup.contains(&format!("\"{key}\""))
                || key.starts_with("why_")
                || key.starts_with("end_");
            assert!(is_used, "{key}");
        }
        for attribute in ["data-t=\"", "data-label=\"", "data-hint=\""] {
            for rest in markup.split(attribute).skip(1) {
                let key = rest.split_once('"').unwrap().0;
                assert!(english.contains_key(key), "{key}");
            }
        }
        for rest in script.split(" t('").skip(1) {
            let (key, after) = rest.split_once('\'').unwrap();
            // The chat provides the end of some texts.
            assert!(english.contains_key(key) || after.starts_with(" +"), "{key}");
        }
    }

    /// The reasons of refusals, as the chat writes them.
    #[test]
    fn every_refusal_of_the_chat_has_a_sentence() {
        let english = &languages()["en"];
        for why in [
            "bad_name",
            "name_taken",
            "name_replaced",
            "name_confusable",
            "full",
            "too_fast",
            "busy",
            "too_long",
            "nobody",
            "nothing_said",
            "not_stored",
            "forged",
            "bad_room_name",
            "not_in_room",
            "too_many_rooms",
            "no_history",
            "not_an_owner",
            "banned",
            "bad_invite",
            "no_command",
            "unknown",
        ] {
            assert!(english.contains_key(&format!("why_{why}")), "{why}");
        }
    }

    #[test]
    fn the_policy_allows_only_the_script_of_the_page() {
        let policy = POLICY.to_str().unwrap();
        assert!(
            policy.contains("script-src 'sha256-") && policy.contains("frame-ancestors 'none'")
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let values: Vec<&str> = policy.split(';').collect();
        assert!(values[0] == "default-src 'none'");
    }
}
