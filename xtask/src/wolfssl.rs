//! Compiles wolfSSL, the only other program with DTLS 1.3, which Debian's package lacks.
//!
//! Compiles it once, with `cc`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};

use crate::run;

const PACKAGE: &str = "interop/peers/wolfssl";

/// Returns the program, after compiling it if it is missing or older than its sources.
pub(crate) fn program(root: &Path, target: &Path) -> Result<PathBuf> {
    let package = root.join(PACKAGE);
    let folder = target.join("interop-wolfssl");
    let program = folder.join("dtls");
    let made_of = ["dtls.c", "user_settings.h", "Cargo.lock"].map(|name| package.join(name));
    let newest = made_of.iter().filter_map(|file| changed(file)).max();
    if changed(&program) > newest {
        return Ok(program);
    }
    println!("interop: compiling wolfSSL");
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let source = source(root, &package)?;
    let objects = compile(&package, &source, &folder)?;
    let mut link = cc(&package, &source);
    link.args(["-Wall", "-Wextra", "-o"]).arg(&program).arg(package.join("dtls.c"));
    run::must_succeed(link.args(objects).arg("-lm"))?;
    Ok(program)
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|known| known.modified()).ok()
}

/// Fetches the source with cargo and returns its folder.
fn source(root: &Path, package: &Path) -> Result<PathBuf> {
    let mut ask = run::cargo(root, &["metadata", "--locked", "--format-version", "1"]);
    let output = ask.arg("--manifest-path").arg(package.join("Cargo.toml")).output();
    let output = output.context("cannot start cargo")?;
    if !output.status.success() {
        bail!("its source cannot be fetched: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let output = String::from_utf8(output.stdout).context("cargo metadata prints UTF-8")?;
    manifest(&output)
        .map(|path| path.with_file_name("wolfssl-src"))
        .context("no wolfssl-sys in the metadata")
}

/// Returns the manifest of wolfssl-sys from the output of `cargo metadata`.
fn manifest(output: &str) -> Option<PathBuf> {
    let paths =
        output.split(r#""manifest_path":""#).skip(1).filter_map(|rest| rest.split('"').next());
    paths.map(PathBuf::from).find(|path| {
        let folder = path.parent().and_then(Path::file_name).and_then(OsStr::to_str);
        folder.is_some_and(|name| name.starts_with("wolfssl-sys-"))
    })
}

fn cc(package: &Path, source: &Path) -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-DWOLFSSL_USER_SETTINGS", "-I"]).arg(package).arg("-I").arg(source);
    cc
}

/// Compiles every file, several at once; files disabled by the settings become empty objects.
fn compile(package: &Path, source: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for part in ["src", "wolfcrypt/src"] {
        for entry in fs::read_dir(source.join(part)).with_context(|| part.to_owned())? {
            files.extend(Some(entry?.path()).filter(|path| path.extension() == Some("c".as_ref())));
        }
    }
    let object =
        |file: &PathBuf| folder.join(file.file_name().unwrap_or_default()).with_extension("o");
    let objects: Vec<PathBuf> = files.iter().map(object).collect();
    let left = Mutex::new(files.iter().zip(&objects));
    let next = || left.lock().ok()?.next();
    let work = || -> Result<()> {
        while let Some((file, object)) = next() {
            let mut cc = cc(package, source);
            run::must_succeed(cc.args(["-w", "-c", "-o"]).arg(object).arg(file))?;
        }
        Ok(())
    };
    let hands = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let started: Vec<_> = (0..hands).map(|_| scope.spawn(work)).collect();
        started.into_iter().try_for_each(|hand| match hand.join() {
            Ok(done) => done,
            Err(_) => bail!("a thread that compiles has panicked"),
        })
    })?;
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_manifest_is_found_among_others() {
        let output = r#"{"packages":[{"manifest_path":"/a/wolfssl-1/Cargo.toml"},
            {"name":"x","manifest_path":"/r/wolfssl-sys-5.3.0/Cargo.toml","id":"y"}]}"#;
        assert_eq!(manifest(output), Some("/r/wolfssl-sys-5.3.0/Cargo.toml".into()));
        assert_eq!(manifest("{}"), None);
    }
}
