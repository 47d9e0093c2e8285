//! The examples print what their README says.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
const COMMAND: &str = "$ cargo run -p hikyaku --example ";
const LIMIT: Duration = Duration::from_secs(120);

/// An example, and the lines that the README says it prints.
struct Shown {
    name: String,
    lines: Vec<String>,
}

fn all_shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => match line.strip_prefix(COMMAND) {
                Some(name) => all.push(Shown { name: name.to_owned(), lines: Vec::new() }),
                None => all.last_mut().expect("a command first").lines.push(line.to_owned()),
            },
            _ => {}
        }
    }
    all
}

/// Returns `true` if the line matches `shown`, in which each `…` stands for any text.
fn is_shown(shown: &str, line: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == line };
    let Some(line) = line.strip_prefix(first) else { return false };
    let starts = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    starts.filter(|at| *at > 0).any(|at| is_shown(rest, &line[at..]))
}

/// Returns where cargo puts the examples: beside the folder of the tests.
fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    let program = built.with_extension(env::consts::EXE_EXTENSION);
    let source = Path::new(FOLDER).join(name).with_extension("rs");
    let age = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let is_fresh = age(&program).is_ok_and(|built| built >= age(&source).unwrap());
    assert!(is_fresh, "{name} is not built; `cargo test -p hikyaku` builds it");
    program
}

/// Returns what an example prints, if it succeeds in time.
fn run(name: &str) -> Result<String, String> {
    let mut command = Command::new(program(name));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = output.read_to_string(&mut text);
        sender.send(text)
    });
    let printed = receiver.recv_timeout(LIMIT);
    if printed.is_err() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    match printed {
        Ok(printed) if status.success() => Ok(printed),
        Ok(printed) => Err(format!("ends with {status} after it printed:\n{printed}")),
        Err(_) => Err(format!("has not ended after {LIMIT:?}")),
    }
}

fn compare(shown: &Shown) -> Result<(), String> {
    let printed = run(&shown.name)?;
    let lines: Vec<&str> = printed.lines().collect();
    let same = lines.len() == shown.lines.len()
        && lines.iter().zip(&shown.lines).all(|(line, shown)| is_shown(shown, line));
    if same { Ok(()) } else { Err(format!("prints something else:\n{printed}")) }
}

#[test]
fn every_example_prints_what_the_readme_shows() {
    let readme = fs::read_to_string(format!("{FOLDER}/README.md")).unwrap();
    let shown = all_shown(&readme);
    let mut names: Vec<&str> = shown.iter().map(|shown| &*shown.name).collect();
    names.sort_unstable();
    let mut there: Vec<String> = fs::read_dir(FOLDER)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".rs").map(str::to_owned)
        })
        .collect();
    there.sort_unstable();
    assert_eq!(names, there, "the README and the folder differ");
    // In parallel: they mostly wait.
    let wrong: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> = shown.iter().map(|one| scope.spawn(|| compare(one))).collect();
        let results = shown.iter().zip(runs).map(|(one, run)| (one, run.join().unwrap()));
        results
            .filter_map(|(one, result)| Some(format!("{} {}", one.name, result.err()?)))
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_different_line_is_noticed() {
    assert!(is_shown("a … of … c", "a 12 of 3 of 4 c"));
    assert!(is_shown("[…] x", "[12:00:00] x"));
    assert!(!is_shown("a … c", "a  c"), "it stands for something");
    assert!(!is_shown("a … c", "a 1 d"));
    assert!(!is_shown("a … c", "b 1 c"));
    assert!(!is_shown("a", "a b"));
}
