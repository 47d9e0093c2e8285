//! Rewrites the completions and man pages in `dist/`.
//!
//! A test of the command generates them, and compares them whenever tests run: it sees the
//! definition of the command line, and nothing else has to build what it needs.

use std::path::Path;

use anyhow::Result;

use crate::run;

pub(crate) fn write(root: &Path) -> Result<()> {
    let mut test = run::cargo(root, &["test", "--package", "hikyaku-cli", "--bin", "hikyaku"]);
    test.args(["--", "dist::"]).env("HIKYAKU_WRITES_DIST", "1");
    run::must_succeed(&mut test)
}
