//! Certificates made with OpenSSL's command.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Exit;
use crate::programs::{file_in, run};

/// An issuer of certificates for ECDSA keys on P-256, with its own folder.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, as arguments.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate's file.
    pub file: String,
    /// The key's file.
    pub key: String,
}

impl Authority {
    /// Creates an issuer.
    #[track_caller]
    #[must_use]
    pub fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        let (file, key) = (authority.file(), authority.path("ca.key"));
        let made = ["req", "-x509", "-days", "30", "-subj", "/CN=authority", "-out", &file];
        succeed(&[&made[..], &NEW_KEY, &["-keyout", &key]].concat());
        let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
        authority.write("extensions", extensions);
        authority.write("index", "");
        let folder = authority.folder.path().to_str().expect("a temporary path is UTF-8");
        let config = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index\nnew_certs_dir={folder}\n\
             default_md=sha256\npolicy=any\nunique_subject=no\nrand_serial=yes\n\
             [any]\ncommonName=supplied\n"
        );
        authority.write("config", &config);
        authority
    }

    /// Returns the file of its own certificate.
    #[must_use]
    pub fn file(&self) -> String {
        self.path("ca.crt")
    }

    /// Issues a certificate for `localhost` and 127.0.0.1, for servers and clients.
    #[track_caller]
    #[must_use]
    pub fn issue(&self, name: &str) -> Certificate {
        self.issue_from(name, "20250101000000Z", "20400101000000Z")
    }

    /// Issues an expired certificate.
    #[track_caller]
    #[must_use]
    pub fn issue_expired(&self, name: &str) -> Certificate {
        self.issue_from(name, "20200101000000Z", "20210101000000Z")
    }

    /// Issues a certificate that is valid only for `other.example`.
    #[track_caller]
    #[must_use]
    pub fn issue_elsewhere(&self, name: &str) -> Certificate {
        self.write("extensions", "subjectAltName=DNS:other.example\nbasicConstraints=CA:FALSE\n");
        self.issue(name)
    }

    #[track_caller]
    fn issue_from(&self, name: &str, start: &str, end: &str) -> Certificate {
        let [file, key, request] =
            ["crt", "key", "csr"].map(|kind| self.path(&format!("{name}.{kind}")));
        let subject = format!("/CN={name}");
        let asked = ["req", "-subj", &subject, "-out", &request, "-keyout", &key];
        succeed(&[&asked[..], &NEW_KEY].concat());
        let [config, extensions, issuer_key] =
            ["config", "extensions", "ca.key"].map(|f| self.path(f));
        let by = ["-config", &config, "-cert", &self.file(), "-keyfile", &issuer_key];
        let what = ["-in", &request, "-out", &file, "-extfile", &extensions];
        let when = ["-startdate", start, "-enddate", end];
        let how = ["ca", "-batch", "-notext"];
        succeed(&[&how[..], &by, &what, &when].concat());
        Certificate { file, key }
    }

    /// Creates a self-signed certificate with an RSA key.
    #[track_caller]
    #[must_use]
    pub fn rsa(&self) -> Certificate {
        let (file, key) = (self.path("rsa.crt"), self.path("rsa.key"));
        let made = ["req", "-x509", "-subj", "/CN=localhost", "-newkey", "rsa:2048", "-nodes"];
        succeed(&[&made[..], &["-out", &file, "-keyout", &key]].concat());
        Certificate { file, key }
    }

    /// Writes a file in its folder, readable by its owner only.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("a file can be written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&path, mode).expect("it is ours");
        }
        path
    }

    fn path(&self, name: &str) -> String {
        file_in(self.folder.path(), name)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

#[track_caller]
fn succeed(args: &[&str]) {
    let exit: Exit = run(openssl(args));
    assert_eq!(exit.code, Some(0), "{args:?}: {exit:?}");
}

/// Returns a command that runs OpenSSL.
#[must_use]
pub fn openssl(args: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(args);
    command
}
