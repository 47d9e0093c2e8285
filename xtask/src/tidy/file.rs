//! Rules for one file: its length, its width, its card, no leftovers.
//!
//! In: one file. Out: findings. Never: looks at another file.

use super::Findings;
use super::tree::File;

/// A file longer than this has to give a reason.
const SOFT_LINES: usize = 400;
/// A file longer than this has two jobs.
const HARD_LINES: usize = 600;
const COLUMNS: usize = 100;
/// How the reason begins, in a comment before the first item.
const REASON: &str = "Longer than 400 lines: ";

/// Spelled in halves, so that this file does not find itself.
const LEFTOVERS: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
];

pub(crate) fn check(file: &File, findings: &mut Findings) {
    if file.path.ends_with(".md") {
        return;
    }
    leftovers(file, findings);
    if file.path.ends_with(".rs") {
        length(file, findings);
        width(file, findings);
        card(file, findings);
    }
}

/// Returns everything before an inline test module.
fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].trim_end() == "#[cfg(test)]"
            && pair[1].starts_with("mod ")
            && pair[1].trim_end().ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

fn length(file: &File, findings: &mut Findings) {
    let lines = production_lines(&file.text);
    if lines > HARD_LINES {
        let path = &file.path;
        findings.errors.push(format!("{path}: {lines} production lines, limit {HARD_LINES}"));
    }
}

/// Finds files above the soft budget without a reason at their head. Files of tests need none.
pub(super) fn too_long_without_a_reason(file: &File) -> Option<String> {
    let path = &file.path;
    let lines = production_lines(&file.text);
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    if !path.ends_with(".rs") || is_test || lines <= SOFT_LINES {
        return None;
    }
    let head = file.text.lines().take_while(|line| line.is_empty() || line.starts_with("//"));
    let mut head = head.map(|line| line.trim_start_matches(['/', '!', ' ']));
    let has_reason = head.any(|line| line.starts_with(REASON));
    let advice = format!("split it, or say why at its head: `// {REASON}…`");
    (!has_reason).then(|| format!("{path}: {lines} production lines, aim {SOFT_LINES}: {advice}"))
}

fn width(file: &File, findings: &mut Findings) {
    for (number, line) in (1..).zip(file.text.lines()) {
        let columns = line.chars().count();
        if columns > COLUMNS {
            let path = &file.path;
            findings.errors.push(format!("{path}:{number}: {columns} columns, limit {COLUMNS}"));
        }
    }
}

fn leftovers(file: &File, findings: &mut Findings) {
    for (number, line) in (1..).zip(file.text.lines()) {
        if let Some(word) = LEFTOVERS.iter().find(|word| contains_word(line, word)) {
            findings.errors.push(format!("{}:{number}: leftover {word}", file.path));
        }
    }
}

fn contains_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        !line[..start].ends_with(part_of_word)
            && !line[start + word.len()..].starts_with(part_of_word)
    })
}

/// Finds source files whose first line does not say their job.
fn card(file: &File, findings: &mut Findings) {
    let job = file.text.lines().next().and_then(|line| line.strip_prefix("//!"));
    if job.is_none_or(|job| job.trim().is_empty()) {
        let path = &file.path;
        findings.errors.push(format!("{path}:1: no card (the first line is not `//! its job`)"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "//! job\n\n";

    fn errors(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(&File { path: path.to_owned(), text: text.to_owned() }, &mut findings);
        findings.errors
    }

    #[test]
    fn tests_do_not_count_as_production() {
        let text = "a\nb\n#[cfg(test)]\nmod tests {\nc\n}\n";
        assert_eq!(production_lines(text), 2);
    }

    #[test]
    fn a_test_module_in_its_own_file_ends_nothing() {
        let text = "a\n#[cfg(test)]\nmod tests;\nb\n";
        assert_eq!(production_lines(text), 4);
    }

    fn long(path: &str, head: &str, lines: usize) -> File {
        let text = head.to_owned() + &"\n".repeat(lines - head.lines().count());
        File { path: path.to_owned(), text }
    }

    #[test]
    fn no_file_has_more_than_600_lines() {
        let mut findings = Findings::default();
        for lines in [600, 601] {
            check(&long(&format!("src/{lines}.rs"), CARD, lines), &mut findings);
        }
        assert_eq!(findings.errors, ["src/601.rs: 601 production lines, limit 600"]);
    }

    #[test]
    fn a_file_above_400_lines_says_why_at_its_head() {
        let is_found =
            |head: &str, lines| too_long_without_a_reason(&long("src/a.rs", head, lines)).is_some();
        assert!(!is_found(CARD, 400));
        assert!(is_found(CARD, 401));
        assert!(!is_found("//! job\n//!\n//! Longer than 400 lines: a table.\n", 401));
        assert!(!is_found("//! job\n\n// Longer than 400 lines: a table.\n", 401));
        assert!(is_found("//! job\nuse a;\n// Longer than 400 lines: too late.\n", 401));
    }

    #[test]
    fn files_of_tests_need_no_reason() {
        for path in ["a/tests/b.rs", "a/src/b/tests.rs"] {
            assert_eq!(too_long_without_a_reason(&long(path, CARD, 500)), None);
        }
    }

    #[test]
    fn width_counts_characters_not_bytes() {
        let fits = format!("{CARD}// {}", "飛".repeat(97));
        assert_eq!(errors("a/src/b.rs", &fits), [""; 0]);
        let wide = format!("{fits}脚");
        assert_eq!(errors("a/src/b.rs", &wide), ["a/src/b.rs:3: 101 columns, limit 100"]);
    }

    #[test]
    fn each_leftover_is_found() {
        for word in LEFTOVERS {
            let text = format!("{CARD}// {word} later");
            assert_eq!(errors("a/src/b.rs", &text), [format!("a/src/b.rs:3: leftover {word}")]);
        }
    }

    #[test]
    fn a_word_that_contains_a_leftover_is_ignored() {
        assert!(!contains_word(concat!("MAS", "TO", "DON"), LEFTOVERS[0]));
        assert!(contains_word(concat!("# ", "TO", "DO: x"), LEFTOVERS[0]));
    }

    #[test]
    fn a_file_says_its_job_in_its_first_line() {
        assert_eq!(errors("a/src/b.rs", "//! job\n"), [""; 0]);
        for text in ["use b;\n", "//!\n//! job\n", "\n//! job\n"] {
            assert_eq!(errors("a/src/b.rs", text).len(), 1, "{text:?}");
        }
    }
}
