//! SECURITY.md and the tests: each test that it names exists.
//!
//! In: the whole tree. Out: findings. Never: judges whether the test shows what it is cited for.
//!
//! A test is named as `crate::test`: the folder of its crate in `crates/`, and its function.

use super::Findings;
use super::tree::Tree;

const PAGE: &str = "SECURITY.md";

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    let Some(page) = tree.text(PAGE) else { return };
    for (number, line) in (1..).zip(page.lines()) {
        for (folder, test) in line.split('`').skip(1).step_by(2).filter_map(named) {
            if !exists(tree, folder, test) {
                findings.errors.push(format!("{PAGE}:{number}: no test `{folder}::{test}`"));
            }
        }
    }
}

fn named(span: &str) -> Option<(&str, &str)> {
    let (folder, test) = span.split_once("::")?;
    let word =
        |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (word(folder) && word(test)).then_some((folder, test))
}

fn exists(tree: &Tree, folder: &str, test: &str) -> bool {
    let (folder, head) = (format!("crates/{folder}/"), format!("fn {test}("));
    let files = tree.files.iter();
    let mut files = files.filter(|file| file.path.starts_with(&folder));
    files.any(|file| file.text.match_indices(&head).any(|(at, _)| is_test(&file.text[..at])))
}

/// Returns `true` if the text before a function marks it as a test.
fn is_test(before: &str) -> bool {
    // The last line is the beginning of the function's own line.
    let above = before.lines().rev().skip(usize::from(!before.ends_with('\n')));
    let mut attributes =
        above.map(str::trim).take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let proptest =
        before.rfind("proptest! {").is_some_and(|at| !before[at..].contains("\n    }\n}"));
    proptest
        || attributes.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    fn errors(page: &str, source: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = vec![file(PAGE, page), file("crates/proto/tests/a.rs", source)];
        let mut findings = Findings::default();
        check(&Tree { files }, &mut findings);
        findings.errors
    }

    #[test]
    fn a_test_that_is_named_but_missing_is_found() {
        let source = "#[test]\nfn one() {\n}\n\nfn two() {\n}\n";
        assert_eq!(errors("`proto::one` shows it", source), Vec::<String>::new());
        for missing in ["`proto::two`", "`proto::on`", "`chat::one`"] {
            assert_eq!(errors(missing, source).len(), 1, "{missing}: a test, here, of this name");
        }
    }

    #[test]
    fn names_that_are_not_tests_are_ignored() {
        assert!(errors("`Endpoint::refused`, `--allow-key`, `a b::c`", "").is_empty());
    }

    #[test]
    fn async_tests_and_indented_ones_count() {
        let source =
            "    // M-1\n    #[tokio::test(flavor = \"x\")]\n    async fn one() {\n    }\n";
        assert!(errors("`proto::one`", source).is_empty());
    }
}
