//! Rules for the repository as a whole: what one file says about another is true.
//!
//! In: the whole tree. Out: findings. Never: reads the disk.

use super::Findings;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    architecture(tree, findings);
    changelog(tree, findings);
    manifests(tree, findings);
    clippy_files(tree, findings);
    dead_files(tree, findings);
}

/// Finds files that ARCHITECTURE.md names, by their path or its end, and that do not exist.
fn architecture(tree: &Tree, findings: &mut Findings) {
    let Some(text) = tree.text("ARCHITECTURE.md") else {
        findings.errors.push("ARCHITECTURE.md: missing".to_owned());
        return;
    };
    for (number, line) in (1..).zip(text.lines()) {
        for name in line.split('`').skip(1).step_by(2).filter(|span| names_a_file(span)) {
            let ending = format!("/{name}");
            if !tree.files.iter().any(|file| file.path == name || file.path.ends_with(&ending)) {
                findings.errors.push(format!("ARCHITECTURE.md:{number}: no file `{name}`"));
            }
        }
    }
}

fn names_a_file(span: &str) -> bool {
    let ending = [".rs", ".md", ".toml"].iter().any(|ending| span.ends_with(ending));
    ending && span.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c))
}

fn changelog(tree: &Tree, findings: &mut Findings) {
    let text = tree.text("CHANGELOG.md").unwrap_or_default();
    let top = text.lines().find(|line| line.starts_with("## "));
    if top.map(str::trim_end) != Some("## Unreleased") {
        findings.errors.push("CHANGELOG.md: its first section is not `## Unreleased`".to_owned());
    }
}

/// Finds a second minimum Rust version, and members without the shared lints.
fn manifests(tree: &Tree, findings: &mut Findings) {
    let root = tree.text("Cargo.toml").unwrap_or_default();
    if !root.lines().any(|line| line.starts_with("rust-version = ")) {
        findings.errors.push("Cargo.toml: no rust-version".to_owned());
    }
    for member in members(root) {
        let path = format!("{member}/Cargo.toml");
        let Some(manifest) = tree.text(&path) else {
            findings.errors.push(format!("{path}: missing, but a member"));
            continue;
        };
        let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
        if !lines.contains(&"rust-version.workspace = true") {
            findings.errors.push(format!("{path}: lacks `rust-version.workspace = true`"));
        }
        if !lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]) {
            findings.errors.push(format!("{path}: lacks `[lints]` with `workspace = true`"));
        }
    }
}

fn members(root_manifest: &str) -> Vec<&str> {
    let Some((_, rest)) = root_manifest.split_once("\nmembers = [") else {
        return Vec::new();
    };
    let list = rest.split(']').next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).collect()
}

/// Clippy reads only the nearest clippy.toml, so each has to repeat the limits for functions.
fn clippy_files(tree: &Tree, findings: &mut Findings) {
    const BUDGET: &str = "too-many-lines-threshold = 70";
    for file in tree.files.iter().filter(|file| file.path.ends_with("clippy.toml")) {
        if !file.text.lines().any(|line| line.starts_with(BUDGET)) {
            findings.errors.push(format!("{}: lacks `{BUDGET}`", file.path));
        }
    }
}

/// Finds files that no parent declares: they are never compiled.
fn dead_files(tree: &Tree, findings: &mut Findings) {
    for file in &tree.files {
        let Some((package, inside)) = file.path.split_once("/src/") else {
            continue;
        };
        if !inside.ends_with(".rs") || inside.starts_with("bin/") {
            continue;
        }
        let module = inside.trim_end_matches(".rs").trim_end_matches("/mod");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let (parents, name) = match module.rsplit_once('/') {
            Some((parent, name)) => ([format!("{parent}.rs"), format!("{parent}/mod.rs")], name),
            None => (["lib.rs".to_owned(), "main.rs".to_owned()], module),
        };
        let declared = parents.iter().any(|parent| {
            let text = tree.text(&format!("{package}/src/{parent}")).unwrap_or_default();
            text.lines().any(|line| declares(line, name))
        });
        if !declared {
            findings.errors.push(format!("{}: dead, no parent says `mod {name};`", file.path));
        }
    }
}

fn declares(line: &str, name: &str) -> bool {
    let declaration = line.trim().strip_suffix(';').and_then(|line| line.strip_suffix(name));
    declaration.is_some_and(|rest| rest == "mod " || rest.ends_with(" mod "))
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = [\"a\"]\nrust-version = \"1.95\"\n";
    const MEMBER: &str = "rust-version.workspace = true\n[lints]\nworkspace = true\n";

    /// Returns a tree without findings, with some of its files replaced or added.
    fn errors(changes: &[(&str, &str)]) -> Vec<String> {
        let order = [
            ("ARCHITECTURE.md", "see `a/src/lib.rs`"),
            ("CHANGELOG.md", "# Changelog\n\n## Unreleased\n"),
            ("Cargo.toml", ROOT),
            ("a/Cargo.toml", MEMBER),
            ("a/src/lib.rs", "mod room;\n"),
            ("a/src/room.rs", ""),
        ];
        let mut tree = Tree::default();
        for (path, text) in order.iter().chain(changes) {
            tree.files.retain(|file| file.path != *path);
            tree.files.push(File { path: (*path).to_owned(), text: (*text).to_owned() });
        }
        let mut findings = Findings::default();
        check(&tree, &mut findings);
        findings.errors
    }

    #[test]
    fn a_house_in_order_has_no_findings() {
        assert_eq!(errors(&[]), [""; 0]);
    }

    #[test]
    fn a_file_that_architecture_invents_is_found() {
        let text = "`room.rs`, `src/room.rs`, `oom.rs`, `x/{y,z}.rs`, not code: gone.rs";
        assert_eq!(errors(&[("ARCHITECTURE.md", text)]), ["ARCHITECTURE.md:1: no file `oom.rs`"]);
    }

    #[test]
    fn unreleased_stands_on_top() {
        let found = errors(&[("CHANGELOG.md", "## 1.0.0\n\n## Unreleased\n")]);
        assert_eq!(found, ["CHANGELOG.md: its first section is not `## Unreleased`"]);
    }

    #[test]
    fn a_second_rust_version_is_found() {
        let manifest = MEMBER.replace("rust-version.workspace = true", "rust-version = \"1.90\"");
        let found = errors(&[("a/Cargo.toml", &manifest)]);
        assert_eq!(found, ["a/Cargo.toml: lacks `rust-version.workspace = true`"]);
    }

    #[test]
    fn a_member_without_the_shared_lints_is_found() {
        let manifest = MEMBER.replace("[lints]", "[other]");
        let found = errors(&[("a/Cargo.toml", &manifest)]);
        assert_eq!(found, ["a/Cargo.toml: lacks `[lints]` with `workspace = true`"]);
    }

    #[test]
    fn a_clippy_file_without_the_budget_is_found() {
        let found = errors(&[("a/clippy.toml", "allow-unwrap-in-tests = true\n")]);
        assert_eq!(found, ["a/clippy.toml: lacks `too-many-lines-threshold = 70`"]);
        assert_eq!(errors(&[("a/clippy.toml", "too-many-lines-threshold = 70\n")]), [""; 0]);
    }

    #[test]
    fn an_undeclared_file_is_found() {
        let found = errors(&[("a/src/room/attic.rs", ""), ("a/src/room.rs", "mod attics;\n")]);
        assert_eq!(found, ["a/src/room/attic.rs: dead, no parent says `mod attic;`"]);
        assert_eq!(
            errors(&[("a/src/room/attic.rs", ""), ("a/src/room.rs", "pub(crate) mod attic;\n")]),
            [""; 0]
        );
    }

    #[test]
    fn a_folder_room_is_declared_by_its_folder_name() {
        assert_eq!(
            errors(&[("a/src/lib.rs", "mod room;\npub mod hall;\n"), ("a/src/hall/mod.rs", "")]),
            [""; 0]
        );
    }
}
