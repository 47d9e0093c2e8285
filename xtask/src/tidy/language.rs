//! Plain English in comments and documents: phrases that a native speaker stumbles over.
//!
//! Text in backticks, fenced blocks and string literals is code, and is not checked.

use super::tree::File;

/// A phrase of whole words, and what to say instead. A capital letter only matches itself.
const PHRASES: [(&str, &str); 32] = [
    ("is told", TOLD),
    ("are told", TOLD),
    ("was told", TOLD),
    ("were told", TOLD),
    ("be told", TOLD),
    ("been told", TOLD),
    ("but for", "except"),
    ("as well where", "also where"),
    ("at the foot", "at the end"),
    ("lies in the kernel", "is in the kernel's buffer"),
    ("by lot", "at random"),
    ("Who does not", WHO),
    ("Who has not", WHO),
    ("Who is not", WHO),
    ("Who has no", WHO),
    ("Else nothing", "Otherwise nothing"),
    ("whoever", "anyone who, or name them: `a peer that …`"),
    ("for ever", "forever"),
    ("anew", "again, or a verb: rewrites, redraws"),
    ("goes on", "continues"),
    ("go on where", "continue where"),
    ("holds up no", "delays no"),
    ("hold up no", "delay no"),
    ("that is none", "that is not one, or invalid"),
    ("which is none", "which is not one, or invalid"),
    ("such a one", "name it"),
    ("shakes hands", "performs a handshake"),
    ("in vain", "without success"),
    ("turned away", "refused"),
    ("what becomes of", "the outcome of"),
    ("is to be", TO_BE),
    ("are to be", TO_BE),
];
const TOLD: &str = "reported, notified, receives an error, knows";
const TO_BE: &str = "must be, should be, will be";
const WHO: &str = "a subject: `A peer that does not …`";

const PREPOSITIONS: [&str; 9] = ["for", "to", "of", "by", "from", "with", "than", "at", "on"];

/// Words after `a` that begin no `a … a …`, because they are not nouns.
const NO_NOUNS: [&str; 42] = [
    "after", "and", "are", "as", "at", "before", "behind", "by", "can", "cannot", "for", "from",
    "got", "had", "held", "if", "in", "into", "kept", "left", "like", "may", "must", "not", "of",
    "on", "only", "or", "over", "plus", "sent", "such", "than", "that", "then", "to", "under",
    "when", "where", "which", "with", "without",
];
/// Nouns after which `a` is normal English: sixty times a second.
const TIMES: [&str; 11] =
    ["second", "minute", "hour", "day", "week", "month", "year", "time", "few", "little", "long"];

/// A phrase that was found, and what to say instead.
#[derive(Debug, PartialEq)]
pub(super) struct Remark {
    pub(super) line: usize,
    pub(super) text: String,
}

pub(super) fn check(file: &File) -> Vec<Remark> {
    let prose = if file.path.ends_with(".md") {
        Prose::of_markdown(&file.text)
    } else if file.path.ends_with(".rs") {
        Prose::of_rust(&file.text)
    } else {
        return Vec::new();
    };
    let mut remarks = questions(&prose);
    for (at, word) in prose.words.iter().enumerate() {
        let rest: Vec<&str> =
            prose.words[at..].iter().take(4).map(|word| word.text.as_str()).collect();
        if let Some((found, say)) = phrase(&rest) {
            remarks.push(Remark { line: word.line, text: format!("`{found}`: say {say}") });
        }
    }
    remarks.sort_by_key(|remark| remark.line);
    remarks
}

fn questions(prose: &Prose) -> Vec<Remark> {
    let say = "a documentation line that is a question: say `Returns `true` if …`, or what it is";
    prose.questions.iter().map(|line| Remark { line: *line, text: say.to_owned() }).collect()
}

/// Returns the phrase with which these words begin.
fn phrase(words: &[&str]) -> Option<(String, String)> {
    for (phrase, say) in PHRASES {
        let parts: Vec<&str> = phrase.split(' ').collect();
        if begins_with(words, &parts) {
            return Some((phrase.to_owned(), say.to_owned()));
        }
    }
    for preposition in PREPOSITIONS {
        if begins_with(words, &[preposition, "who"]) {
            let say = format!("{preposition} whom, or name them: `{preposition} a peer that …`");
            return Some((format!("{preposition} who"), say));
        }
    }
    per(words)
}

fn begins_with(words: &[&str], parts: &[&str]) -> bool {
    words.len() >= parts.len()
        && words.iter().zip(parts).enumerate().all(|(at, (word, part))| {
            let word = if at == 0 { start_of(word) } else { word };
            let word = if at + 1 == parts.len() { end_of(word) } else { word };
            let exact = part.starts_with(char::is_uppercase);
            if exact { word == *part } else { word.eq_ignore_ascii_case(part) }
        })
}

fn start_of(word: &str) -> &str {
    word.trim_start_matches(|c: char| !c.is_alphanumeric())
}

fn end_of(word: &str) -> &str {
    word.trim_end_matches(|c: char| !c.is_alphanumeric())
}

/// Finds `a line a message`, where English says `per`.
fn per(words: &[&str]) -> Option<(String, String)> {
    let &[first, noun, article, per] = words else { return None };
    let first = start_of(first).to_lowercase();
    let per = end_of(per);
    let is_noun = noun.len() > 1
        && noun.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && !NO_NOUNS.contains(&noun)
        && !noun.ends_with("ed")
        // A verb: `a peer sends a frame`.
        && (!noun.ends_with('s') || noun.ends_with("ss"));
    let is_per = ["a", "an", "one"].contains(&&*first)
        && is_noun
        && ["a", "an"].contains(&article)
        && per.chars().all(|c| c.is_ascii_lowercase())
        && !TIMES.contains(&per);
    let found = || format!("{first} {noun} {article} {per}");
    is_per.then(|| (found(), format!("`one {noun} per {per}`, or `each {per} has …`")))
}

#[derive(Debug)]
struct Word {
    line: usize,
    text: String,
}

/// The text for people in a file.
#[derive(Debug, Default)]
struct Prose {
    words: Vec<Word>,
    /// Lines of rustdoc that end in a question mark.
    questions: Vec<usize>,
    in_fence: bool,
}

impl Prose {
    fn of_markdown(text: &str) -> Self {
        let mut prose = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            prose.push(line, text);
        }
        prose
    }

    fn of_rust(text: &str) -> Self {
        let mut prose = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            let Some(comment) = comment_of(text) else {
                prose.end_of_paragraph(line);
                continue;
            };
            let is_doc = comment.starts_with(['/', '!']);
            let words = comment.trim_start_matches(['/', '!']);
            prose.push(line, words);
            if is_doc && !prose.in_fence && words.trim_end().ends_with('?') {
                prose.questions.push(line);
            }
        }
        prose
    }

    fn push(&mut self, line: usize, text: &str) {
        if text.trim_start().starts_with("```") {
            self.in_fence = !self.in_fence;
        } else if self.in_fence {
        } else if text.trim().is_empty() {
            self.end_of_paragraph(line);
        } else {
            for text in without_code(text).split_whitespace() {
                self.words.push(Word { line, text: text.to_owned() });
            }
        }
    }

    /// A phrase does not continue in the next paragraph.
    fn end_of_paragraph(&mut self, line: usize) {
        self.in_fence = false;
        self.words.push(Word { line, text: "¶".to_owned() });
    }
}

/// Returns what follows the `//` of a line: the whole line, or its end.
fn comment_of(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//").or_else(|| Some(line.split_once(" // ")?.1))
}

/// Returns a line in which each span of code is one word.
fn without_code(line: &str) -> String {
    let mut spans = line.split('`');
    let mut prose = spans.next().unwrap_or_default().to_owned();
    for (at, span) in spans.enumerate() {
        prose.push_str(if at % 2 == 0 { "`" } else { span });
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks(path: &str, text: &str) -> Vec<(usize, String)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check(&file).into_iter().map(|remark| (remark.line, remark.text)).collect()
    }

    /// Returns the quoted phrase of each remark about a document.
    fn found(text: &str) -> Vec<String> {
        let quoted = |text: String| text.split('`').nth(1).unwrap_or_default().to_owned();
        remarks("a.md", text).into_iter().map(|(_, text)| quoted(text)).collect()
    }

    #[test]
    fn each_phrase_is_found_and_answered_with_what_to_say() {
        for (phrase, say) in PHRASES {
            let text = format!("something {phrase}, and more\n");
            assert_eq!(remarks("a.md", &text), [(1, format!("`{phrase}`: say {say}"))]);
        }
        for preposition in PREPOSITIONS {
            assert_eq!(found(&format!("known {preposition} who asks")).len(), 1, "{preposition}");
        }
    }

    #[test]
    fn words_that_only_contain_a_phrase_are_ignored() {
        let text = "for whom, to whose, this told, but fortunately; a peer who does not answer";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn a_noun_for_each_of_another_is_found() {
        let text = "It prints a line a message, one room a command and an end a datagram.";
        assert_eq!(found(text), ["a line a message", "one room a command", "an end a datagram"]);
    }

    #[test]
    fn normal_english_with_two_articles_is_accepted() {
        let text = "A peer sends a frame, a host with a name, one million a second, \
                    a client opened a file, a packet that a host had, ten lines a message";
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn a_phrase_that_goes_on_in_the_next_line_is_found_where_it_begins() {
        let text = "//! a\nfn b() {\n    // The owner is\n    // told of it.\n}\n";
        let say = format!("`is told`: say {TOLD}");
        assert_eq!(remarks("a.rs", text), [(3, say)]);
        assert_eq!(found("the owner is\n\ntold"), [""; 0]);
    }

    #[test]
    fn code_is_not_prose() {
        let text = "say `is told`\n```sh\necho is told\n```\n";
        assert_eq!(found(text), [""; 0]);
        let code = "//! a\nfn is_told() { \"is told\" }\n/// ```\n/// is told?\n/// ```\n";
        assert_eq!(remarks("a.rs", code), []);
        assert_eq!(remarks("a.rs", "let a = b; // is told\n").len(), 1);
    }

    #[test]
    fn a_documentation_line_that_asks_is_found() {
        assert_eq!(remarks("a.rs", "/// Is it open?\n").len(), 1);
        assert_eq!(remarks("a.rs", "//! Is it open?\n").len(), 1);
        assert_eq!(remarks("a.rs", "// Is it open?\n"), []);
        assert_eq!(remarks("a.md", "Is it open?\n"), []);
    }
}
