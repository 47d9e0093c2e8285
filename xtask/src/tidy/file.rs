//! Rules for one file: its length, its width, its card, no leftovers.
//!
//! In: one file. Out: findings. Never: looks at another file.

use super::Findings;
use super::tree::File;

/// A room longer than this is a smell.
const SOFT_LINES: usize = 400;
/// A room longer than this has two jobs.
const HARD_LINES: usize = 600;
const COLUMNS: usize = 100;

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

/// Everything before an inline test module.
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
    let path = &file.path;
    if lines > HARD_LINES {
        findings.errors.push(format!("{path}: {lines} production lines, limit {HARD_LINES}"));
    } else if lines > SOFT_LINES {
        findings.warnings.push(format!("{path}: {lines} production lines, aim {SOFT_LINES}"));
    }
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

/// Every source file says its job first; a room also says what goes in, what comes out, and what
/// it never does. The roots of crates and tests are no rooms: they say their job alone.
fn card(file: &File, findings: &mut Findings) {
    let path = &file.path;
    if !file.text.starts_with("//!") {
        findings.errors.push(format!("{path}:1: no card (the first line is not `//! its job`)"));
        return;
    }
    let root = path.ends_with("/lib.rs") || path.ends_with("/main.rs") || !path.contains("/src/");
    if root {
        return;
    }
    let card: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    for field in ["In:", "Out:", "Never:"] {
        if !card.iter().any(|line| line.contains(field)) {
            findings.errors.push(format!("{path}:1: the card lacks `{field}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "//! job\n//! In: a. Out: b. Never: c.\n";

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

    #[test]
    fn length_warns_above_400_and_fails_above_600() {
        let mut findings = Findings::default();
        for lines in [400, 401, 600, 601] {
            let text = CARD.to_owned() + &"\n".repeat(lines - 2);
            check(&File { path: format!("src/{lines}.rs"), text }, &mut findings);
        }
        assert_eq!(findings.warnings.len(), 2, "{findings:?}");
        assert_eq!(findings.errors, ["src/601.rs: 601 production lines, limit 600"]);
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
    fn a_word_that_contains_a_leftover_is_none() {
        assert!(!contains_word(concat!("MAS", "TO", "DON"), LEFTOVERS[0]));
        assert!(contains_word(concat!("# ", "TO", "DO: x"), LEFTOVERS[0]));
    }

    #[test]
    fn a_room_needs_its_whole_card() {
        assert_eq!(errors("a/src/b.rs", CARD), [""; 0]);
        let found = errors("a/src/b.rs", "//! job\n//! In: a. Out: b.\n\n// Never: no card\n");
        assert_eq!(found, ["a/src/b.rs:1: the card lacks `Never:`"]);
    }

    #[test]
    fn a_crate_root_needs_its_job_alone() {
        assert_eq!(errors("a/src/lib.rs", "//! job\n"), [""; 0]);
        assert_eq!(errors("a/src/lib.rs", "use b;\n").len(), 1);
    }
}
