//! The outcome of a command: 0 done, 1 failed, 2 usage or configuration, 3 refused for security.
//!
//! Never: more than one line on standard error.

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
use hikyaku_services::invite::Invite;
use serde::Serialize;

use crate::{
    colour::Stream,
    habits,
    limits::RUNTIME_PIPES,
    line::Line,
    mismatch::{Place, at_sender},
    output,
    words::{self, InWords as _, joined},
};

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The attempt failed: exit code 1.
    Failed(String),
    /// The command line or the configuration is invalid: exit code 2.
    Usage(String),
    /// Continuing would not be safe: exit code 3.
    Refused(String),
    /// The reader of the output closed it. This is not an error.
    OutputClosed,
}

impl Failure {
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// Returns the message.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Failed(text) | Self::Usage(text) | Self::Refused(text) => text.clone(),
            Self::OutputClosed => {
                say!("nobody reads the output", "出力を読み取るプログラムがありません")
            }
        }
    }

    /// Returns the exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
        }
    }

    /// Appends a hint to the message, if an attempt failed.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        match self {
            Self::Failed(text) => Self::Failed(joined(&text, hint)),
            Self::Refused(text) => Self::Refused(joined(&text, hint)),
            other => other,
        }
    }

    /// Prints the failure as a JSON object too, for a command that ends before it has more to
    /// report.
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

/// The fields of every JSON object that reports a failure.
#[derive(Serialize)]
struct Json<'a> {
    done: bool,
    /// The destination; missing if the command line was not understood.
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

/// Returns an error if the system has too few descriptors left for the runtime, which would panic.
pub(crate) fn check_descriptors() -> Result<(), Failure> {
    let enough: io::Result<Vec<_>> = (0..RUNTIME_PIPES).map(|_| io::pipe()).collect();
    let few = |e| {
        say!(
            "cannot start: {}; `ulimit -n` shows the limit",
            "開始できません: {}。上限は `ulimit -n` で確認できます",
            in_words(&e)
        )
    };
    enough.map(drop).map_err(|e| Failure::Failed(few(e)))
}

/// Returns the operating system's message, without the context that wraps it.
pub(crate) fn in_words(error: &io::Error) -> String {
    os_error(error).map_or_else(|| error.to_string(), |error| error.in_words())
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Resolve { .. } => Self::failed(error.in_words()),
            _ => Self::usage(error.in_words()),
        }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        match error {
            BindError::NotOurs(_) | BindError::NoInterface(_) => Self::usage(error.in_words()),
            _ => Self::failed(error.in_words()),
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
                let text = error.in_words();
                if ended.is_refusal() { Self::Refused(text) } else { Self::Failed(text) }
            }
            PlainSendError::OtherDialect { ref target, dialect } => {
                Self::failed(at_sender(target, dialect, Dialect::Dtls, Place::Listener))
            }
            PlainSendError::TooLarge { .. } | PlainSendError::Forbidden(_) => {
                Self::usage(error.in_words())
            }
            _ => Self::failed(error.in_words()),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Exposed { .. } | FileError::NotOurs(_) => Self::Refused(error.in_words()),
            FileError::Exists(_) | FileError::NoFolder { .. } | FileError::Write { .. } => {
                Self::failed(error.in_words())
            }
            _ => Self::usage(error.in_words()),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::File(error) => error.into(),
            KeyError::WrongPassphrase(_) => Self::Refused(error.in_words()),
            _ => Self::usage(error.in_words()),
        }
    }
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::File(error) => error.into(),
            CredentialError::Generate(_) => Self::failed(error.in_words()),
            _ => Self::usage(error.in_words()),
        }
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::usage(error.in_words())
    }
}

/// Prints the outcome and returns its exit code.
pub(crate) fn report(outcome: Result<(), Failure>) -> ExitCode {
    let failure = match outcome {
        Ok(()) | Err(Failure::OutputClosed) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    complain(&failure.text());
    ExitCode::from(failure.code())
}

/// Prints clap's error for these words in one line, or the help if it was requested.
pub(crate) fn report_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let message = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            if habits::asks_for_help(words) {
                // A closed output is not an error here.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            habits::dashed_word(words)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // No arguments were given: print the whole help.
            let _ = error.print();
            return ExitCode::from(2);
        }
        _ => words::refused_line(error).unwrap_or_else(|| one_line(&error.render().to_string())),
    };
    let message = without_invites(message, words);
    let message = match habits::instead(words) {
        // clap's suggestion is a guess from the letters.
        Some(instead) => {
            let message = message.split("; ").next().unwrap_or_default();
            joined(message.split('。').next().unwrap_or_default(), &instead)
        }
        None => message,
    };
    let failure = Failure::Usage(say!("{message} (try --help)", "{message}（詳しくは --help）"));
    report(Err(if wants_json(words) { failure.in_json(None) } else { failure }))
}

/// Omits invites from the words that a message quotes, because they may contain secrets.
fn without_invites(message: String, words: &[OsString]) -> String {
    let invites = words.iter().filter_map(|word| word.to_str()).filter(|w| Invite::is_meant(w));
    invites.fold(message, |message, invite| message.replace(invite, "hikyaku://…"))
}

/// Returns `true` if these words ask a command for JSON.
fn wants_json(words: &[OsString]) -> bool {
    let has_object = words.get(1).is_some_and(|command| command == "send" || command == "ping");
    has_object && words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// Reduces clap's explanation to the single line that a log needs.
fn one_line(rendered: &str) -> String {
    let mut parts = Vec::new();
    for line in rendered.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        let line = line.strip_prefix("error: ").unwrap_or(line);
        if !line.is_empty() {
            // A word that is meant as a value follows --, which the manual says; most are options.
            let tip = line.strip_prefix("tip: ").unwrap_or(line);
            if !tip.starts_with("to pass '") {
                parts.push(tip);
            }
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
    fn an_error_of_the_system_keeps_its_message() {
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
    fn an_explanation_of_clap_becomes_one_line() {
        let rendered = "error: unexpected argument '--sned' found\n\n  tip: a similar argument \
                        exists: '--send'\n\nUsage: hikyaku [OPTIONS]\n\nFor more information, \
                        try '--help'.\n";
        assert_eq!(
            one_line(rendered),
            "unexpected argument '--sned' found; a similar argument exists: '--send'"
        );
    }
}
