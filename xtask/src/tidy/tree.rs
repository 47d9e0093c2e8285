//! The repository's text files as values, so that each rule can be tested on an invented tree.
//!
//! In: the workspace root. Out: paths (relative, `/`-separated, sorted) and texts. Never: build
//! output, hidden folders, files that are not text.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

const READ: [&str; 5] = ["rs", "toml", "md", "py", "sh"];

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if READ.iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
                let text = fs::read_to_string(entry.path()).with_context(|| path.clone())?;
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }
}
