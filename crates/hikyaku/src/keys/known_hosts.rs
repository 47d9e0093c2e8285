//! Which key belongs to which host, as ssh remembers it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
//!
//! In: a file, a host, the key it shows. Out: known, new, changed or revoked; another line in the
//! file. Never: a question to the user, a connection.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::hmac;
use ssh_key::known_hosts::{Entry, HostPatterns, Marker};

use crate::{
    contain::contain,
    keys::{
        files::{self, FileError, read_bytes},
        key_error::KeyError,
        key_line::text_of,
        signers::{Fingerprint, Signer, SkippedLine},
    },
    limits::MAX_SIGNERS,
};

/// The keys that hosts have shown before: a file in the format of OpenSSH's `known_hosts`, which
/// `ssh-keygen -F` and `ssh-keygen -R` can read and change. Hashed names, patterns and the marker
/// `@revoked` mean what they mean to ssh; `@cert-authority` lines and keys of other algorithms than
/// Ed25519 are ignored.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    path: PathBuf,
    lines: Vec<Line>,
    skipped: Vec<SkippedLine>,
}

#[derive(Clone, Debug)]
struct Line {
    /// Counted from 1.
    number: usize,
    hosts: HostPatterns,
    key: Fingerprint,
    revoked: bool,
}

/// What is known about a host's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host has shown this key before.
    Known,
    /// Nothing is known about the host.
    New,
    /// The host has shown another key before.
    Changed {
        /// The key it has shown.
        remembered: Fingerprint,
        /// The line that remembers it, counted from 1.
        line: usize,
    },
    /// The file marks this key as revoked.
    Revoked {
        /// The line that revokes it, counted from 1.
        line: usize,
    },
}

/// Returns a host as the file names it: `name` for the default port, otherwise `[name]:port`; in
/// lower case, since names are case-insensitive.
#[must_use]
pub fn host_name(host: &str, port: u16) -> String {
    crate::keys::host_name::host_name(host, port)
}

impl KnownHosts {
    /// Reads the file. A missing file contains no hosts.
    ///
    /// Lines in another format are ignored, as ssh ignores them, and listed by
    /// [`KnownHosts::skipped`].
    ///
    /// # Errors
    /// If the file cannot be read, or contains more than [`MAX_SIGNERS`] keys.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let (lines, skipped) = match read_bytes(path) {
            Ok(bytes) => parse(path, &text_of(&bytes))?,
            Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Default::default()
            }
            Err(e) => return Err(e.into()),
        };
        Ok(Self { path: path.to_owned(), lines, skipped })
    }

    /// Returns the lines of the file that could not be parsed and are ignored.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }

    /// Returns the path of `known_hosts` in [`files::config_folder`], if there is such a folder.
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        files::config_folder().map(|folder| folder.join("known_hosts"))
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns `true` if a key of `host`, which `host_name` has written, is remembered.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        self.lines.iter().any(|line| !line.revoked && names(&line.hosts, host))
    }

    /// Returns the key of `host`, which `host_name` has written, if exactly one is remembered.
    #[must_use]
    pub fn only_key(&self, host: &str) -> Option<Fingerprint> {
        let of_host = |line: &&Line| !line.revoked && names(&line.hosts, host);
        let mut keys = self.lines.iter().filter(of_host).map(|line| line.key);
        keys.next().filter(|_| keys.next().is_none())
    }

    /// Returns what is known about this key and `host`, in the form that `host_name` writes.
    #[must_use]
    pub fn check(&self, host: &str, key: &Signer) -> Verdict {
        let key = key.fingerprint();
        let of_host = || self.lines.iter().filter(|line| names(&line.hosts, host));
        if let Some(line) = of_host().find(|line| line.revoked && line.key == key) {
            return Verdict::Revoked { line: line.number };
        }
        let mut first = None;
        for line in of_host().filter(|line| !line.revoked) {
            if line.key == key {
                return Verdict::Known;
            }
            first = first.or(Some(line));
        }
        match first {
            Some(line) => Verdict::Changed { remembered: line.key, line: line.number },
            None => Verdict::New,
        }
    }

    /// Remembers the key of a host that was new: appends a line to the file, which is created if it
    /// does not exist (mode 0600, its folder 0700). No other process can write while the returned
    /// verdict is reached: anything except [`Verdict::New`] means that another process was first
    /// and nothing was written. The caller must then obey [`Verdict::Changed`].
    ///
    /// # Errors
    /// If the file cannot be read or written, or `host` would have another meaning in it.
    pub fn remember(&mut self, host: &str, key: &Signer) -> Result<Verdict, KeyError> {
        if !is_one_name(host) {
            return Err(KeyError::NotAHost(host.to_owned()));
        }
        let failed = |source| FileError::Write { path: self.path.clone(), source };
        let mut file = open_to_append(&self.path).map_err(failed)?;
        file.lock().map_err(failed)?;
        self.lines = Self::open(&self.path)?.lines;
        let verdict = self.check(host, key);
        if verdict == Verdict::New {
            append(&mut file, host, key).map_err(failed)?;
            self.lines = Self::open(&self.path)?.lines;
        }
        Ok(verdict)
    }
}

/// Returns `true` if the text names exactly one host: no list, no pattern, no marker.
fn is_one_name(host: &str) -> bool {
    let means_more = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '*' | '?');
    !host.is_empty() && !host.contains(means_more) && !host.starts_with(['!', '#', '@', '|'])
}

fn open_to_append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::make_private_folder(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    files::do_not_wait(&mut options);
    options.open(path)
}

/// Appends a line in a single write, so that concurrent readers see the whole line or nothing.
fn append(file: &mut File, host: &str, key: &Signer) -> io::Result<()> {
    let mut line = format!("{host} {}\n", key.bare_line());
    if !ends_a_line(file)? {
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn parse(path: &Path, text: &str) -> Result<(Vec<Line>, Vec<SkippedLine>), KeyError> {
    let (mut lines, mut skipped) = (Vec::new(), Vec::new());
    for (index, text) in text.lines().enumerate() {
        let line = match parse_line(index + 1, text) {
            Ok(Some(line)) => line,
            Ok(None) => continue,
            Err(reason) => {
                if skipped.len() < MAX_SIGNERS {
                    skipped.push(SkippedLine { line: index + 1, reason });
                }
                continue;
            }
        };
        if lines.len() == MAX_SIGNERS {
            return Err(KeyError::TooManySigners(path.to_owned()));
        }
        lines.push(line);
    }
    Ok((lines, skipped))
}

/// Parses a line. Returns `None` if it is not about an Ed25519 host key.
fn parse_line(number: usize, text: &str) -> Result<Option<Line>, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    // Any white space may separate fields, but the parser accepts only one blank. A comment may
    // belong to the key and must stay.
    let text: Vec<&str> = text.split_whitespace().collect();
    let entry = contain(|| text.join(" ").parse::<Entry>().ok()).flatten();
    let entry = entry.ok_or("not `[@marker] hosts type key [comment]`")?;
    let revoked = match entry.marker() {
        None => false,
        Some(Marker::Revoked) => true,
        // It certifies keys, and certificates are not supported.
        Some(Marker::CertAuthority) => return Ok(None),
    };
    let Some(signer) = Signer::from_openssh(entry.public_key()) else { return Ok(None) };
    let (hosts, key) = (entry.host_patterns().clone(), signer.fingerprint());
    Ok(Some(Line { number, hosts, key, revoked }))
}

/// Returns `true` if a line applies to this host.
fn names(hosts: &HostPatterns, host: &str) -> bool {
    match hosts {
        HostPatterns::HashedName { salt, hash } => {
            // The hash hides names and authenticates nothing; the format requires SHA-1.
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, host.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let mut named = false;
            for pattern in patterns {
                match pattern.strip_prefix('!') {
                    Some(pattern) if matches(pattern, host) => return false,
                    Some(_) => {}
                    None => named |= matches(pattern, host),
                }
            }
            named
        }
    }
}

/// Matches a pattern of ssh_config(5): `*` is any text, `?` any one character. Case does not
/// matter.
fn matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let (pattern, host) = (pattern.as_bytes(), host.as_bytes());
    let (mut p, mut h) = (0, 0);
    // Where to continue if the text after the last star does not match.
    let mut star: Option<(usize, usize)> = None;
    while h < host.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p + 1, h));
                p += 1;
            }
            (Some(wanted), _) if *wanted == b'?' || *wanted == host[h] => {
                p += 1;
                h += 1;
            }
            (_, Some((after, from))) => {
                star = Some((after, from + 1));
                p = after;
                h = from + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;
    use crate::{keys::identity::Identity, limits::DEFAULT_PORT};

    fn key() -> Signer {
        Identity::generate("somebody's comment").unwrap().public()
    }

    fn with(text: &str) -> (tempfile::TempDir, KnownHosts) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        fs::write(&path, text).unwrap();
        let hosts = KnownHosts::open(&path).unwrap();
        (dir, hosts)
    }

    #[test]
    fn lines_are_read_as_editors_leave_them_and_bad_ones_are_named() {
        let (known, other) = (key(), key());
        let line = |host: &str, key: &Signer| format!("{host} {}", key.bare_line());
        let mut bytes = b"\xef\xbb\xbf".to_vec();
        bytes.extend(format!("{} of \r\n", line("a", &known)).bytes());
        bytes.extend(format!("\t{}\t", line("b", &known).replace(' ', "\t ")).bytes());
        bytes.extend(b"caf\xe9\n@revoked ");
        bytes.extend(format!("{}\nc ssh-ed25519 AAAA\nnonsense\n", line("*", &other)).bytes());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        fs::write(&path, bytes).unwrap();
        let hosts = KnownHosts::open(&path).unwrap();
        assert_eq!(hosts.check("a", &known), Verdict::Known);
        assert_eq!(hosts.check("b", &known), Verdict::Known);
        assert_eq!(hosts.check("b", &other), Verdict::Revoked { line: 3 });
        assert_eq!(hosts.skipped().iter().map(|s| s.line).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn a_host_is_new_then_known_and_another_key_is_reported_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made").join("known_hosts");
        let mut hosts = KnownHosts::open(&path).unwrap();
        let (first, second) = (key(), key());
        assert_eq!(hosts.check("[a]:9", &first), Verdict::New);
        assert_eq!(hosts.remember("[b]:9", &second).unwrap(), Verdict::New);
        assert_eq!(hosts.remember("[a]:9", &first).unwrap(), Verdict::New);
        let again = KnownHosts::open(&path).unwrap();
        for hosts in [&hosts, &again] {
            assert_eq!(hosts.check("[a]:9", &first), Verdict::Known);
            let changed = Verdict::Changed { remembered: first.fingerprint(), line: 2 };
            assert_eq!(hosts.check("[a]:9", &second), changed);
            assert_eq!(hosts.check("a", &first), Verdict::New, "another port, another host");
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("[b]:9 ssh-ed25519 AAAA"), "{text}");
        assert!(!text.contains("comment"), "the peer's own comment is not stored: {text}");
    }

    #[test]
    fn a_name_that_means_more_than_one_host_is_not_written() {
        let (dir, mut hosts) = with("");
        for name in ["", "*", "a,b", "a b", "a\n*", "!a", "#a", "@revoked", "|1|a|b", "a?"] {
            let refused = hosts.remember(name, &key());
            assert!(matches!(refused, Err(KeyError::NotAHost(_))), "{name:?}: {refused:?}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("known_hosts")).unwrap(), "");
        assert_eq!(hosts.remember("fe80::1%eth0", &key()).unwrap(), Verdict::New);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("made");
        let path = folder.join("known_hosts");
        let _ = KnownHosts::open(&path).unwrap().remember("a", &key()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn keys_that_another_process_remembered_meanwhile_count() {
        let (_dir, mut ours) = with("");
        let mut theirs = ours.clone();
        let (first, second) = (key(), key());
        assert_eq!(theirs.remember("a", &first).unwrap(), Verdict::New);
        let verdict = ours.remember("a", &second).unwrap();
        assert_eq!(verdict, Verdict::Changed { remembered: first.fingerprint(), line: 1 });
        assert_eq!(ours.remember("a", &first).unwrap(), Verdict::Known);
        assert_eq!(fs::read_to_string(ours.path()).unwrap().lines().count(), 1);
    }

    #[test]
    fn concurrent_writers_lose_no_line() {
        let (_dir, hosts) = with("# no line end");
        thread::scope(|scope| {
            for n in 0..8 {
                let mut hosts = hosts.clone();
                scope.spawn(move || {
                    for m in 0..8 {
                        let _ = hosts.remember(&format!("[host{n}]:{m}"), &key()).unwrap();
                    }
                });
            }
        });
        let read = KnownHosts::open(hosts.path()).unwrap();
        assert_eq!(read.lines.len(), 64);
        assert!(fs::read_to_string(hosts.path()).unwrap().starts_with("# no line end\n[host"));
    }

    #[test]
    fn a_key_that_is_one_of_several_of_a_host_is_known() {
        let (first, second) = (key(), key());
        let line = |key: &Signer| format!("a {}\n", key.public_line());
        let (_dir, hosts) = with(&(line(&first) + &line(&second)));
        assert_eq!(hosts.check("a", &second), Verdict::Known);
    }

    #[test]
    fn a_revoked_key_is_refused_wherever_it_is_shown() {
        let (good, stolen) = (key(), key());
        let text = format!(
            "a {}\na {}\n@revoked * {}\n",
            stolen.public_line(),
            good.public_line(),
            stolen.public_line()
        );
        let (_dir, hosts) = with(&text);
        assert_eq!(hosts.check("a", &stolen), Verdict::Revoked { line: 3 });
        assert_eq!(hosts.check("b", &stolen), Verdict::Revoked { line: 3 });
        assert_eq!(hosts.check("a", &good), Verdict::Known);
        assert_eq!(hosts.check("b", &good), Verdict::New);
    }

    #[test]
    fn a_certificate_authority_is_no_host() {
        let authority = key();
        let (_dir, hosts) = with(&format!("@cert-authority * {}\n", authority.public_line()));
        assert_eq!(hosts.check("a", &authority), Verdict::New);
    }

    #[test]
    fn names_may_be_hashed() {
        // Made by `ssh-keygen -H` from `[host.example]:2222`.
        let hashed = "|1|auK7mQGV97vObOfexzcWnmYNAgc=|6CemsdUIYCeUh0a+uBS9x62Gze0=";
        let key = key();
        let (_dir, hosts) = with(&format!("{hashed} {}\n", key.public_line()));
        assert_eq!(hosts.check("[host.example]:2222", &key), Verdict::Known);
        assert_eq!(hosts.check("host.example", &key), Verdict::New);
    }

    #[test]
    fn patterns_mean_what_they_mean_to_ssh() {
        let key = key();
        let (_dir, hosts) =
            with(&format!("*.Example.org,!bad.example.org,10.0.0.?  {}\n", key.public_line()));
        let known = |host: &str| hosts.check(host, &key) == Verdict::Known;
        assert!(known("a.example.org") && known("a.b.example.org") && known("10.0.0.7"));
        assert!(!known("bad.example.org") && !known("example.org") && !known("10.0.0.77"));
        assert!(matches("*a*b*", "xaxxbx") && matches("***", "") && !matches("*a", "ab"));
    }

    #[test]
    fn lines_of_other_kinds_are_kept_and_counted() {
        let key = key();
        let text = format!("# a comment\n\nnonsense\na ssh-rsa AAAA\n\ta  {}\n", key.public_line());
        let (_dir, hosts) = with(&text);
        let changed = Verdict::Changed { remembered: key.fingerprint(), line: 5 };
        assert_eq!(hosts.check("a", &self::key()), changed);
    }

    #[test]
    fn host_names_are_written_as_ssh_writes_them() {
        assert_eq!(host_name("Host.Example", DEFAULT_PORT), "host.example");
        assert_eq!(host_name("::1", 9), "[::1]:9");
    }

    #[test]
    fn a_folder_is_not_accepted_as_known_hosts() {
        let dir = tempfile::tempdir().unwrap();
        assert!(KnownHosts::open(dir.path()).is_err());
    }
}
