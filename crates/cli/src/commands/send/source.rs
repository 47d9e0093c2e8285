//! The sources of a native `send`: messages, a stream or files.

use hikyaku::{Connection, Delivery};

use super::{confirm::Confirmed, files::Files, messages::Messages, session::Session, stream};
use crate::{args::SendArgs, exit::Failure};

/// The source of what is sent.
pub(super) enum Source {
    Messages(Messages),
    Stream,
    Files(Files),
}

impl Source {
    /// Reads and checks what is known before anything is sent.
    pub(super) async fn of(args: &SendArgs) -> Result<Self, Failure> {
        let native = &args.native;
        if native.raw {
            return Ok(Self::Stream);
        }
        if !native.file.is_empty() {
            let more = args.messages.iter().map(Into::into);
            return Ok(Self::Files(Files::of(native.file.iter().cloned().chain(more))?));
        }
        Ok(Self::Messages(Messages::of(args).await?))
    }

    /// Queues everything.
    pub(super) async fn send(&self, session: &Session<'_>) -> Result<(), Failure> {
        match self {
            Self::Messages(messages) => messages.send(session).await,
            Self::Stream => stream::send(session).await,
            Self::Files(files) => files.send(session).await,
        }
    }

    /// Returns the delivery class.
    pub(super) fn delivery(&self, args: &SendArgs) -> Delivery {
        match self {
            Self::Files(_) => Delivery::Ordered,
            _ => args.native.class.unwrap_or(Delivery::Ordered),
        }
    }

    /// Returns which confirmations to expect: files have their own answers.
    pub(super) fn confirmed(&self, args: &SendArgs, connection: &Connection) -> Confirmed {
        match self {
            Self::Files(_) => Confirmed::none(),
            _ => Confirmed::of(connection, self.delivery(args).class()),
        }
    }

    /// Returns `true` if a person types what is sent.
    pub(super) const fn at_prompt(&self) -> bool {
        matches!(self, Self::Messages(messages) if messages.at_prompt())
    }

    /// Returns `true` while waiting for the next line.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Messages(messages) if messages.is_idle())
    }

    /// Returns `true` if the listener has answered for every file, which is stronger than
    /// acknowledgements.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self, Self::Files(files) if files.are_settled())
    }
}
