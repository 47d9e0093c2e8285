//! Runs other programs.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

/// Returns a command of the cargo that runs this program, in the workspace.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root);
    command
}

/// Runs with our own standard streams; an error names the command.
pub(crate) fn must_succeed(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{status} from {line}");
    }
    Ok(())
}

/// Runs without output. Returns `true` if the program succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    silent_status(command).is_ok_and(|status| status.success())
}

/// Returns `true` if the program can be started, whatever its exit code.
pub(crate) fn starts(command: &mut Command) -> bool {
    silent_status(command).is_ok()
}

fn silent_status(command: &mut Command) -> io::Result<ExitStatus> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
}
