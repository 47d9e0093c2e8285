//! Replaces the full screen if the feature `tui` is off.

use std::convert::Infallible;

use hikyaku_chat::{entry::Entry, member::Shown, words::Language};
use tokio::sync::mpsc;

use crate::terminal;

pub(super) struct Full(Infallible);

pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
    pub(super) language: Language,
    pub(super) is_host: bool,
}

pub(super) fn open(reader: &Reader<'_>) -> Option<(mpsc::Receiver<Entry>, Full)> {
    let _ = (reader.name, reader.language, reader.is_host);
    None
}

#[cfg(feature = "web")]
pub(super) const fn is_able() -> bool {
    false
}

impl Full {
    pub(super) async fn show(&mut self, _: Vec<Shown>) {
        match self.0 {}
    }

    pub(super) fn show_now(&mut self, _: Shown) {
        match self.0 {}
    }

    pub(super) fn notices(&self) -> terminal::Show {
        match self.0 {}
    }
}
