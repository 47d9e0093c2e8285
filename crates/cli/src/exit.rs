//! How the command ends: 0 done, 1 failed, 2 usage or configuration, 3 refused for security.
//!
//! In: outcomes and errors. Out: one line on standard error, an exit code. Never: a backtrace.

use std::{ffi::OsString, fmt::Display, io, process::ExitCode};

use anstyle::AnsiColor;
use clap::error::ErrorKind;
use hikyaku::{
    StartError,
    address::AddressError,
    dialect::Dialect,
    files::{FileError, os_error},
    filter::FilterError,
    identity::KeyError,
    socket::BindError,
};
use hikyaku_plain::{PlainSendError, dtls::CredentialError};
use hikyaku_text::sanitize;
use serde::Serialize;

use crate::{
    habits,
    limits::RUNTIME_PIPES,
    line::Line,
    mismatch::{Place, at_sender},
    output::{self, Stream},
};

/// Why the command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and did not work: exit code 1.
    Failed(String),
    /// It cannot be meant like this: exit code 2.
    Usage(String),
    /// It would not be safe: exit code 3.
    Refused(String),
    /// Whoever read our output has gone, which is their good right.
    OutputClosed,
}

impl Failure {
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// What it says.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Failed(text) | Self::Usage(text) | Self::Refused(text) => text.clone(),
            Self::OutputClosed => "nobody reads the output".to_owned(),
        }
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
        }
    }

    /// The same failure and more of it, where something was tried.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        match self {
            Self::Failed(text) => Self::Failed(format!("{text}; {hint}")),
            Self::Refused(text) => Self::Refused(format!("{text}; {hint}")),
            other => other,
        }
    }

    /// The same failure, printed as an object for a program too: for a command that ends before
    /// there is more to report.
    pub(crate) fn in_json(self, address: Option<&str>) -> Self {
        let (error, exit) = (self.text(), self.code());
        match output::print_json(&Json { done: false, address, error, exit }) {
            Ok(()) => self,
            Err(e) => e.into(),
        }
    }

    pub(crate) fn refused(message: impl Display) -> Self {
        Self::Refused(message.to_string())
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }
}

/// What every object that tells of a failure has.
#[derive(Serialize)]
struct Json<'a> {
    done: bool,
    /// Where to; missing where the command line was not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    error: String,
    exit: u8,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::failed(in_words(&error)),
        }
    }
}

/// Fails where the system has no descriptors left for what the runtime opens: it panics there.
pub(crate) fn check_descriptors() -> Result<(), Failure> {
    let enough: io::Result<Vec<_>> = (0..RUNTIME_PIPES).map(|_| io::pipe()).collect();
    let few = |e| format!("cannot begin: {}; `ulimit -n` says how many there may be", in_words(&e));
    enough.map(drop).map_err(|e| Failure::Failed(few(e)))
}

/// An error of the system in its own words, without what was put around it.
pub(crate) fn in_words(error: &io::Error) -> String {
    os_error(error).map_or_else(|| error.to_string(), |error| error.to_string())
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Resolve { .. } => Self::failed(error),
            _ => Self::usage(error),
        }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        match error {
            BindError::NotOurs(_) | BindError::NoInterface(_) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Address(error) => error.into(),
            StartError::Bind(error) => error.into(),
            StartError::Key(error) => error.into(),
            _ => Self::failed(error),
        }
    }
}

impl From<PlainSendError> for Failure {
    fn from(error: PlainSendError) -> Self {
        match error {
            PlainSendError::Bind(error) => error.into(),
            PlainSendError::Dtls { ref ended, .. } => {
                // Names in a certificate are whatever its maker put there.
                let text = sanitize(&error.to_string()).into_owned();
                if ended.is_refusal() { Self::Refused(text) } else { Self::Failed(text) }
            }
            PlainSendError::OtherDialect { ref target, dialect } => {
                Self::failed(at_sender(target, dialect, Dialect::Dtls, Place::Listener))
            }
            PlainSendError::TooLarge { .. } | PlainSendError::Forbidden(_) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Exposed { .. } | FileError::NotOurs(_) => Self::Refused(error.to_string()),
            FileError::Exists(_) | FileError::NoFolder { .. } | FileError::Write { .. } => {
                Self::failed(error)
            }
            _ => Self::usage(error),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::File(error) => error.into(),
            KeyError::WrongPassphrase(_) => Self::Refused(error.to_string()),
            _ => Self::usage(error),
        }
    }
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::File(error) => error.into(),
            CredentialError::Generate(_) => Self::failed(error),
            _ => Self::usage(error),
        }
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::usage(error)
    }
}

/// Tells the outcome and turns it into the exit code.
pub(crate) fn report(outcome: Result<(), Failure>) -> ExitCode {
    let failure = match outcome {
        Ok(()) | Err(Failure::OutputClosed) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    complain(&failure.text());
    ExitCode::from(failure.code())
}

/// Reports what clap found wrong with these words, in one line; prints help where that was asked
/// for.
pub(crate) fn report_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let told = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            if habits::asks_for_help(words) {
                // If nobody reads it, that is fine.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            habits::dashed_word(words)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nothing was typed that could be wrong: the whole help is the answer.
            let _ = error.print();
            return ExitCode::from(2);
        }
        _ => one_line(&error.render().to_string()),
    };
    let told = match habits::instead(words) {
        Some(instead) => format!("{instead}; {told}"),
        None => told,
    };
    let failure = Failure::Usage(format!("{told} (try --help)"));
    report(Err(if wants_json(words) { failure.in_json(None) } else { failure }))
}

/// Returns `true` if a command that prints an object is asked for one.
fn wants_json(words: &[OsString]) -> bool {
    let has_object = words.get(1).is_some_and(|command| command == "send" || command == "ping");
    has_object && words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// clap explains over several lines; the reader of a log wants one.
fn one_line(rendered: &str) -> String {
    let mut parts = Vec::new();
    for line in rendered.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        let line = line.strip_prefix("error: ").unwrap_or(line);
        if !line.is_empty() {
            parts.push(line.strip_prefix("tip: ").unwrap_or(line));
        }
    }
    parts.join("; ").replace(":; ", ": ")
}

fn complain(message: &str) {
    let error = Line::default().coloured(Stream::Stderr, AnsiColor::Red, "hikyaku:");
    output::note_line(&error.text(" ").text(message));
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fmt};

    use super::*;

    #[test]
    fn an_error_of_the_system_is_told_in_its_words() {
        #[derive(Debug)]
        struct Around(io::Error);
        impl Display for Around {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at path /somewhere/.tmp")
            }
        }
        impl Error for Around {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let system = || io::Error::from_raw_os_error(24);
        let words = system().to_string();
        let around = io::Error::new(system().kind(), Around(system()));
        assert_eq!([in_words(&system()), in_words(&around)], [words.clone(), words]);
        assert_eq!(in_words(&io::Error::other("it is late")), "it is late");
    }

    #[test]
    fn clap_s_explanation_becomes_one_line() {
        let rendered = "error: unexpected argument '--sned' found\n\n  tip: a similar argument \
                        exists: '--send'\n\nUsage: hikyaku [OPTIONS]\n\nFor more information, \
                        try '--help'.\n";
        assert_eq!(
            one_line(rendered),
            "unexpected argument '--sned' found; a similar argument exists: '--send'"
        );
    }
}
