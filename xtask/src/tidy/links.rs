//! Links between documents lead somewhere, also to headings; the book's summary has every page.

use super::Findings;
use super::tree::{File, Tree};

const SUMMARY: &str = "docs/SUMMARY.md";

pub(crate) fn check(tree: &Tree, findings: &mut Findings) {
    for page in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&page.text) {
            if let Err(error) = follow(tree, page, target) {
                findings.errors.push(format!("{}:{line}: link to `{target}`: {error}", page.path));
            }
        }
    }
    summary(tree, findings);
}

fn summary(tree: &Tree, findings: &mut Findings) {
    let listed: Vec<&str> = tree
        .text(SUMMARY)
        .map_or(Vec::new(), |text| links(text).into_iter().map(|(_, target)| target).collect());
    let pages = tree.files.iter().filter_map(|file| file.path.strip_prefix("docs/"));
    for page in pages.filter(|page| page.ends_with(".md") && *page != "SUMMARY.md") {
        if !listed.contains(&page) {
            findings.errors.push(format!("{SUMMARY}: lacks docs/{page}"));
        }
    }
}

/// Returns the targets of links, with their lines, except those in code and to other sites.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (line, text) in prose(text) {
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if !target.contains("://") {
                links.push((line, target));
            }
        }
    }
    links
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        !in_fence && !is_fence
    })
}

fn follow(tree: &Tree, page: &File, target: &str) -> Result<(), &'static str> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { page.path.clone() } else { joined(&page.path, path) };
    // The tree contains only text files: a name without an extension may be a licence, or a folder.
    let name = path.rsplit('/').next().unwrap_or_default();
    if !name.contains('.') {
        return Ok(());
    }
    let text = tree.text(&path).ok_or("no such file")?;
    let mut headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    if heading.is_empty() || headings.any(|(_, line)| anchor(line) == heading) {
        return Ok(());
    }
    Err("no such heading")
}

/// Returns a path as written in a page, relative to the root.
fn joined(page: &str, path: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(page: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = vec![
            file("README.md", "# Read me\n\n## `send`, and listen\n"),
            file("docs/SUMMARY.md", "[A](a.md)\n"),
            file("docs/a.md", page),
        ];
        let mut findings = Findings::default();
        check(&Tree { files }, &mut findings);
        findings.errors
    }

    #[test]
    fn a_valid_link_is_accepted() {
        let page = "# A b\n[x](../README.md#send-and-listen) [y](#a-b) [z](../LICENSE) \
                    [s](https://example.org/none.md)\n```\n[c](none.md)\n```\n";
        assert_eq!(errors(page), [""; 0]);
    }

    #[test]
    fn a_broken_link_is_found() {
        let found = errors("[x](README.md)\n[y](../README.md#sent) and [z](#none)\n");
        assert_eq!(
            found,
            [
                "docs/a.md:1: link to `README.md`: no such file",
                "docs/a.md:2: link to `../README.md#sent`: no such heading",
                "docs/a.md:2: link to `#none`: no such heading",
            ]
        );
    }

    #[test]
    fn a_page_missing_from_the_summary_is_found() {
        let page = |path: &str| File { path: path.to_owned(), text: String::new() };
        let mut findings = Findings::default();
        check(&Tree { files: vec![page("docs/a.md"), page(SUMMARY)] }, &mut findings);
        assert_eq!(findings.errors, ["docs/SUMMARY.md: lacks docs/a.md"]);
    }
}
