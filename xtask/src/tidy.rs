//! The house rules that no compiler knows. Runs as a test, too.
//!
//! In: the workspace root. Out: every finding, warnings first; an error when a rule is broken.
//! Never: changes a file, or runs another program.

mod file;
mod house;
mod protocol;
mod security;
mod tree;

use std::path::Path;

use anyhow::{Result, bail};

use tree::Tree;

/// What was found, ready to print: `path:line: what is wrong`.
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
    protocol::check(&tree, &mut findings);
    security::check(&tree, &mut findings);

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

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let result = super::run(&crate::workspace_root());
        assert!(result.is_ok(), "the findings are printed above");
    }
}
