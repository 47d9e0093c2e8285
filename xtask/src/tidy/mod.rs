//! The house rules that no compiler checks. Also runs as a test.
//!
//! In: the workspace root. Out: every finding, warnings first; an error if a rule is broken. Never:
//! runs another program, or changes a file except the list of allowed findings.

mod file;
mod house;
mod language;
mod links;
mod protocol;
mod ratchet;
mod security;
mod tree;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use ratchet::{Allowance, Found};
use tree::Tree;

/// The findings, ready to print: `path:line: what is wrong`.
#[derive(Debug, Default)]
struct Findings {
    warnings: Vec<String>,
    errors: Vec<String>,
}

pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let mut findings = Findings::default();
    for source in &tree.files {
        file::check(source, &mut findings);
    }
    house::check(&tree, &mut findings);
    links::check(&tree, &mut findings);
    protocol::check(&tree, &mut findings);
    security::check(&tree, &mut findings);
    check_ratchet(root, &tree, &mut findings)?;

    for warning in &findings.warnings {
        println!("tidy: warning: {warning}");
    }
    for error in &findings.errors {
        println!("tidy: error: {error}");
    }
    match findings.errors.len() {
        0 => Ok(()),
        count => bail!("tidy: {count} broken house rules, named above"),
    }
}

/// Rewrites the list of allowed findings with the present ones, if those are no more.
pub(crate) fn shrink(root: &Path) -> Result<()> {
    let found = found(&Tree::read(root)?);
    let text = allowance(root)?.shrunk(&found).map_err(|e| anyhow!("tidy: {e}"))?;
    fs::write(root.join(ratchet::PATH), text).context(ratchet::PATH)
}

fn allowance(root: &Path) -> Result<Allowance> {
    let text = fs::read_to_string(root.join(ratchet::PATH)).context(ratchet::PATH)?;
    Allowance::parse(&text).map_err(|e| anyhow!("tidy: {e}"))
}

fn found(tree: &Tree) -> Found {
    let mut found = Found::new();
    for source in &tree.files {
        let path = &source.path;
        let remarks = language::check(source).into_iter();
        let remarks = remarks.map(|remark| format!("{path}:{}: {}", remark.line, remark.text));
        let long = file::too_long_without_a_reason(source);
        for (rule, findings) in
            [("language", remarks.collect::<Vec<_>>()), ("length", long.into_iter().collect())]
        {
            if !findings.is_empty() {
                found.insert((rule, path.clone()), findings);
            }
        }
    }
    found
}

fn check_ratchet(root: &Path, tree: &Tree, findings: &mut Findings) -> Result<()> {
    let verdict = allowance(root)?.judge(&found(tree));
    findings.errors.extend(verdict.errors);
    if verdict.allowed > 0 {
        let (path, count) = (ratchet::PATH, verdict.allowed);
        findings.warnings.push(format!("{path}: {count} findings are still allowed"));
    }
    if verdict.surplus > 0 {
        let (path, count) = (ratchet::PATH, verdict.surplus);
        let warning = format!("{path}: allows {count} too many: cargo xtask tidy --shrink");
        findings.warnings.push(warning);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let result = super::run(&crate::workspace_root());
        assert!(result.is_ok(), "the findings are printed above");
    }
}
