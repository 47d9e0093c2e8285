//! The arguments of `hikyaku keygen` and `hikyaku key`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::values::comment;

/// Make a key: an OpenSSH Ed25519 key pair, a shared key, or a certificate for DTLS.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku keygen                        ~/.config/hikyaku/id_ed25519 and id_ed25519.pub
  hikyaku keygen --passphrase my.key    a key pair protected by a passphrase
  hikyaku keygen --shared team.key      a shared key, for every member of a team
  hikyaku keygen --cert host 192.0.2.7  host.crt and host.key, for both names; prints the pin

Exit codes: 0 done, 1 failed (such as a file that exists), 2 usage or configuration.")]
pub(crate) struct KeygenArgs {
    /// The file to write
    #[arg(value_name = "FILE", conflicts_with = "shared")]
    pub(crate) file: Option<PathBuf>,
    /// Make a shared key instead (32 bytes in the Fernet key format)
    #[arg(long, value_name = "FILE")]
    pub(crate) shared: Option<PathBuf>,
    /// Make a self-signed certificate for these host names and IP addresses instead (ECDSA on
    /// P-256, ten years), and print its SHA-256 for `send --dtls --pin`
    #[arg(long, value_name = "NAME", num_args = 1..,
        conflicts_with_all = ["file", "shared", "passphrase", "comment"])]
    pub(crate) cert: Vec<String>,
    /// With --cert: write BASE.crt and BASE.key [default: the first name]
    #[arg(long, value_name = "BASE", requires = "cert")]
    pub(crate) out: Option<PathBuf>,
    /// Protect the private key with a passphrase, which is asked for at the terminal
    #[arg(long, conflicts_with = "shared")]
    pub(crate) passphrase: bool,
    /// A comment in the public key, such as its owner [default: user@host]
    #[arg(short = 'C', long, value_name = "TEXT", conflicts_with = "shared",
        value_parser = comment)]
    pub(crate) comment: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// Print the public half of a key, as a line for authorized_keys, and its fingerprint.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku key ~/.ssh/id_ed25519
  hikyaku key my.key | head -1 >>authorized_keys

Exit codes: 0 done, 2 not a key.")]
pub(crate) struct KeyArgs {
    /// A private or public key in OpenSSH's format
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
