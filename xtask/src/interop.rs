//! Runs the tests against real peers that are installed.
//!
//! Installs nothing, which `.ci/run` does. Peers in source form are compiled in the build folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{run, wolfssl};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Peer {
    Python,
    Cryptography,
    Cwt,
    Ncat,
    Socat,
    SshKeygen,
    OpenSsl,
    GnuTls,
    MbedTls,
    WolfSsl,
    Tmux,
}

impl Peer {
    const ALL: [Self; 11] = [
        Self::Python,
        Self::Cryptography,
        Self::Cwt,
        Self::Ncat,
        Self::Socat,
        Self::SshKeygen,
        Self::OpenSsl,
        Self::GnuTls,
        Self::MbedTls,
        Self::WolfSsl,
        Self::Tmux,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python3",
            Self::Cryptography => "python: cryptography",
            Self::Cwt => "python: cwt (COSE)",
            Self::Ncat => "ncat",
            Self::Socat => "socat",
            Self::SshKeygen => "ssh-keygen",
            Self::OpenSsl => "openssl",
            Self::GnuTls => "gnutls-cli, gnutls-serv",
            Self::MbedTls => "mbedTLS 2.28, cc",
            Self::WolfSsl => "wolfSSL's source, cc",
            Self::Tmux => "tmux, bash",
        }
    }

    fn how_to_install(self) -> &'static str {
        match self {
            Self::Python => "apt-get install python3 python3-venv",
            Self::Cryptography | Self::Cwt => "see interop/peers/requirements.txt and .ci/run",
            Self::Ncat => "apt-get install ncat",
            Self::Socat => "apt-get install socat",
            Self::SshKeygen => "apt-get install openssh-client",
            Self::OpenSsl => "apt-get install openssl",
            Self::GnuTls => "apt-get install gnutls-bin",
            Self::MbedTls => "apt-get install gcc libc6-dev libmbedtls-dev",
            Self::Tmux => "apt-get install tmux bash",
            Self::WolfSsl => "apt-get install gcc libc6-dev; its source is fetched from crates.io",
        }
    }

    fn probe(self, python: &Path) -> Command {
        let (program, args): (&Path, &[&str]) = match self {
            Self::Python => (python, &["--version"]),
            Self::Cryptography => (python, &["-c", "import cryptography.fernet"]),
            Self::Cwt => (python, &["-c", "import cwt, cbor2"]),
            Self::Ncat => (Path::new("ncat"), &["--version"]),
            Self::Socat => (Path::new("socat"), &["-V"]),
            Self::OpenSsl => (Path::new("openssl"), &["version"]),
            Self::GnuTls => (Path::new("gnutls-cli"), &["--version"]),
            // 3.0 has no such header.
            Self::MbedTls => (
                Path::new("cc"),
                &["-E", "-o", "/dev/null", "-x", "c", "-include", "mbedtls/certs.h", "/dev/null"],
            ),
            Self::WolfSsl => (Path::new("cc"), &["--version"]),
            Self::Tmux => (Path::new("tmux"), &["-V"]),
            // It has no option that only succeeds, so `here` only checks that it starts.
            Self::SshKeygen => (Path::new("ssh-keygen"), &["-l", "-f", "/dev/null"]),
        };
        let mut command = Command::new(program);
        command.args(args);
        command
    }

    fn here(self, python: &Path) -> bool {
        let mut probe = self.probe(python);
        match self {
            Self::SshKeygen => run::starts(&mut probe),
            _ => run::succeeds(&mut probe),
        }
    }
}

/// Each test file of `interop/tests`, with the peers it talks to.
const TESTS: [(&str, &[Peer]); 12] = [
    ("guide", &[Peer::Python, Peer::Cryptography, Peer::Cwt, Peer::OpenSsl]),
    ("python_socket", &[Peer::Python]),
    ("python_fernet", &[Peer::Python, Peer::Cryptography]),
    ("python_cose", &[Peer::Python, Peer::Cryptography, Peer::Cwt]),
    ("netcat", &[Peer::Ncat]),
    ("socat", &[Peer::Socat]),
    ("ssh_keygen", &[Peer::SshKeygen]),
    ("openssl_dtls", &[Peer::OpenSsl]),
    ("gnutls_dtls", &[Peer::OpenSsl, Peer::GnuTls]),
    ("mbedtls_dtls", &[Peer::OpenSsl, Peer::MbedTls]),
    ("wolfssl_dtls", &[Peer::OpenSsl, Peer::WolfSsl]),
    ("tmux", &[Peer::Tmux]),
];

pub(crate) fn run(root: &Path, strict: bool) -> Result<()> {
    let target = target_folder()?;
    let python = python(&target);
    let mut found: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| peer.here(&python)).collect();
    let wolfssl = compiled(root, &target, &mut found);
    let missing = print_table(&found);
    if strict && missing > 0 {
        bail!("interop: --strict asks for all peers, MISSING above: {missing}");
    }

    let tests = runnable(&found);
    if tests.is_empty() {
        println!("interop: no peer, nothing to run");
        return Ok(());
    }
    run::must_succeed(&mut run::cargo(root, &["build", "--release", "--package", "hikyaku-cli"]))?;
    let mut command =
        run::cargo(root, &["test", "--package", "hikyaku-interop", "--features", "peers"]);
    for test in tests {
        command.args(["--test", test]);
    }
    command.env("HIKYAKU_BIN", target.join("release/hikyaku")).env("HIKYAKU_PYTHON", python);
    command.envs(wolfssl.map(|program| ("HIKYAKU_WOLFSSL", program)));
    run::must_succeed(&mut command)
}

/// Compiles the peer in source form. If that fails, prints the reason and counts it as missing.
fn compiled(root: &Path, target: &Path, found: &mut Vec<Peer>) -> Option<PathBuf> {
    if !found.contains(&Peer::WolfSsl) {
        return None;
    }
    let program = wolfssl::program(root, target);
    if let Err(error) = &program {
        println!("interop: wolfSSL: {error:#}");
        found.retain(|peer| *peer != Peer::WolfSsl);
    }
    program.ok()
}

/// Prints the table. Returns the number of missing peers.
fn print_table(found: &[Peer]) -> usize {
    let mut missing = 0;
    for peer in Peer::ALL {
        if found.contains(&peer) {
            println!("interop: {:22} found", peer.name());
        } else {
            missing += 1;
            println!("interop: {:22} MISSING   {}", peer.name(), peer.how_to_install());
        }
    }
    missing
}

fn runnable(found: &[Peer]) -> Vec<&'static str> {
    let all_found = |needs: &[Peer]| needs.iter().all(|peer| found.contains(peer));
    TESTS.iter().filter(|(_, needs)| all_found(needs)).map(|(test, _)| *test).collect()
}

/// Returns cargo's target folder, which contains this program.
fn target_folder() -> Result<PathBuf> {
    let this = std::env::current_exe().context("interop: where is this program?")?;
    let target = this.parent().and_then(Path::parent);
    Ok(target.context("interop: this program is not in a target folder")?.to_owned())
}

/// Returns the requested Python, or the one with the libraries installed by `.ci/run`, or the
/// system's.
fn python(target: &Path) -> PathBuf {
    if let Some(python) = std::env::var_os("HIKYAKU_PYTHON") {
        return python.into();
    }
    let made = target.join("interop-venv/bin/python");
    if made.exists() { made } else { "python3".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_runs_only_when_all_its_peers_are_installed() {
        assert_eq!(runnable(&[Peer::Cryptography, Peer::Ncat]), ["netcat"]);
        assert_eq!(
            runnable(&[Peer::Python, Peer::Cryptography]),
            ["python_socket", "python_fernet"]
        );
    }

    #[test]
    fn every_test_file_is_listed_here_and_in_the_manifest() {
        let root = crate::workspace_root();
        let manifest = std::fs::read_to_string(root.join("interop/Cargo.toml")).unwrap();
        let mut files: Vec<String> = std::fs::read_dir(root.join("interop/tests"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut known: Vec<String> = TESTS.iter().map(|(test, _)| format!("{test}.rs")).collect();
        known.sort();
        assert_eq!(files, known);
        for (test, _) in TESTS {
            let entry = format!("[[test]]\nname = \"{test}\"\nrequired-features = [\"peers\"]\n");
            assert!(manifest.contains(&entry), "interop/Cargo.toml lacks {entry}");
        }
    }
}
