//! PROTOCOL.md and the tests: each numbered requirement is cited by a test that shows it.
//!
//! In: the whole tree. Out: findings. Never: judges whether the test shows what it cites.
//!
//! A requirement is a number in bold, `**M-12**`. A citation is a line comment that begins with
//! numbers, `// M-12, D-4: what is shown`, directly above a test or inside it.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::tree::{File, Tree};

const PAGE: &str = "PROTOCOL.md";
const TESTED: [&str; 2] = ["crates/proto/", "crates/sim/"];

/// Requirements that no test cites yet, each with the reason. The list only ever gets shorter.
const UNCITED: [(&str, &str); 2] = [
    ("M-7", "nobody sends 2^62 packets; it wants a door through which a test sets the next number"),
    ("M-34", "it wants an end whose parameters lie inside a handshake that is otherwise true"),
];

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    check_with(tree, &UNCITED, findings);
}

fn check_with(tree: &Tree, uncited: &[(&str, &str)], findings: &mut Findings) {
    let Some(page) = tree.text(PAGE) else { return };
    let required = requirements(page, findings);
    let mut cited = BTreeMap::new();
    let tested = |file: &&File| {
        file.path.ends_with(".rs") && TESTED.iter().any(|folder| file.path.starts_with(folder))
    };
    for file in tree.files.iter().filter(tested) {
        citations(file, &mut cited);
    }
    let excused: BTreeSet<&str> = uncited.iter().map(|(number, _)| *number).collect();
    for number in &required {
        if !cited.contains_key(number) && !excused.contains(number) {
            findings.errors.push(format!("{PAGE}: no test cites {number}"));
        }
    }
    for (number, at) in &cited {
        if !required.contains(number) {
            findings.errors.push(format!("{at}: {PAGE} has no {number}"));
        }
    }
    for number in excused {
        if cited.contains_key(number) || !required.contains(number) {
            let here = "xtask/src/tidy/protocol.rs";
            findings.errors.push(format!("{here}: {number} needs no excuse any more"));
        }
    }
}

/// Returns the numbers in bold; each must occur once.
fn requirements<'a>(page: &'a str, findings: &mut Findings) -> BTreeSet<&'a str> {
    let mut numbers = BTreeSet::new();
    for number in page.split("**").skip(1).step_by(2).filter(|bold| is_number(bold)) {
        if !numbers.insert(number) {
            findings.errors.push(format!("{PAGE}: {number} stands twice"));
        }
    }
    numbers
}

fn is_number(word: &str) -> bool {
    let Some((group, digits)) = word.split_once('-') else { return false };
    let known = ["M", "D", "R", "P"].contains(&group);
    known && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns where the tests of this file cite which numbers.
fn citations<'a>(file: &'a File, cited: &mut BTreeMap<&'a str, String>) {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    for (index, line) in lines.iter().enumerate() {
        let numbers = cited_by(line);
        if !numbers.is_empty() && is_of_a_test(&file.text, &lines, index) {
            let at = format!("{}:{}", file.path, index + 1);
            for number in numbers {
                cited.entry(number).or_insert_with(|| at.clone());
            }
        }
    }
}

/// Returns the numbers at the beginning of a comment.
fn cited_by(line: &str) -> Vec<&str> {
    let Some(comment) = line.strip_prefix("// ") else { return Vec::new() };
    let words = comment.split(' ').map(|word| (word.trim_end_matches([',', ':', '.']), word));
    let mut numbers = Vec::new();
    for (number, word) in words {
        if !is_number(number) {
            break;
        }
        numbers.push(number);
        if !word.ends_with(',') {
            break;
        }
    }
    numbers
}

/// Returns `true` if the line is in the body of a test or directly above one.
fn is_of_a_test(text: &str, lines: &[&str], index: usize) -> bool {
    let above = lines[index..].iter().find(|line| !line.starts_with("//"));
    if above.is_some_and(|line| *line == "#[test]") {
        return true;
    }
    // The body of a function ends at the closing brace with the same indentation as its `fn`.
    let whole: Vec<&str> = text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    for at in (0..index).rev() {
        let line = lines[at];
        if line.starts_with("fn ") || line.contains(" fn ") && line.ends_with('{') {
            let open = depth(whole[at]);
            let closed =
                whole[at + 1..index].iter().any(|line| line.trim() == "}" && depth(line) == open);
            return !closed && attributes_of(lines, at).any(|line| line == "#[test]");
        }
    }
    false
}

/// Returns the lines directly above a function.
fn attributes_of<'a>(lines: &'a [&str], at: usize) -> impl Iterator<Item = &'a str> {
    lines[..at]
        .iter()
        .rev()
        .copied()
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "// M-1, D-2: this.\n#[test]\nfn a() {\n    // R-3\n    b();\n}\n";

    fn errors_with(page: &str, test: &str, uncited: &[(&str, &str)]) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = vec![file(PAGE, page), file("crates/proto/src/a.rs", test)];
        let mut findings = Findings::default();
        check_with(&Tree { files }, uncited, &mut findings);
        findings.errors
    }

    fn errors(page: &str, test: &str) -> Vec<String> {
        errors_with(page, test, &[])
    }

    #[test]
    fn what_is_cited_above_a_test_or_in_it_is_found() {
        assert_eq!(errors("- **M-1** a\n- **D-2** b (**R-3**) **bold**, M-9", ORDER), [""; 0]);
    }

    #[test]
    fn a_requirement_without_a_test_is_listed() {
        let page = "**M-1** **D-2** **R-3** **P-4**";
        assert_eq!(errors(page, ORDER), ["PROTOCOL.md: no test cites P-4"]);
        assert_eq!(errors_with(page, ORDER, &[("P-4", "why")]), [""; 0]);
    }

    #[test]
    fn a_comment_outside_a_test_cites_nothing() {
        let none = ["no test cites M-1".to_owned()].map(|rest| format!("PROTOCOL.md: {rest}"));
        for text in [
            "// M-1\nfn a() {}\n",
            "fn a() {\n    // M-1\n}\n",
            "#[test]\nfn a() {\n}\n// M-1\nfn b() {}\n",
            "#[test]\nfn a() {\n}\nfn b() {\n    // M-1\n}\n",
            "#[test]\nfn a() { // M-1\n}\n",
            "// see M-1\n#[test]\nfn a() {\n}\n",
        ] {
            assert_eq!(errors("**M-1**", text), none, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_not_on_the_page_is_found() {
        let found = errors("**M-1** **D-2**", ORDER);
        assert_eq!(found, ["crates/proto/src/a.rs:4: PROTOCOL.md has no R-3"]);
    }

    #[test]
    fn a_needless_excuse_and_a_repeated_number_are_found() {
        let found = errors_with("**M-1** **D-2** **R-3**", ORDER, &[("M-1", "why")]);
        assert_eq!(found, ["xtask/src/tidy/protocol.rs: M-1 needs no excuse any more"]);
        let twice = errors("**M-1** **M-1** **D-2** **R-3**", ORDER);
        assert_eq!(twice, ["PROTOCOL.md: M-1 stands twice"]);
    }
}
