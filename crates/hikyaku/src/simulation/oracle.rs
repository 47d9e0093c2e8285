//! Checks the promises: each acknowledged message was received, none twice, in order.
//!
//! In: receipts, messages. Out: a verdict. Never: why a promise was broken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku_proto::Class;

/// A message of a client, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    pub(super) client: u64,
    pub(super) number: u64,
    pub(super) channel: u16,
}

/// What became of all messages of a world. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    acknowledged: BTreeSet<Message>,
    received: BTreeSet<Message>,
    /// The last Ordered message of each channel of a connection.
    last: BTreeMap<(u64, u16), u64>,
    broken: Option<String>,
}

impl Message {
    pub(super) fn encode(&self, padding: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18 + padding);
        bytes.extend(self.client.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.channel.to_be_bytes());
        bytes.resize(18 + padding, 7);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (client, rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (channel, padding) = rest.split_first_chunk()?;
        if padding.iter().any(|byte| *byte != 7) {
            return None;
        }
        let (client, number) = (u64::from_be_bytes(*client), u64::from_be_bytes(*number));
        Some(Self { client, number, channel: u16::from_be_bytes(*channel) })
    }
}

impl Oracle {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a receipt reported a message as acknowledged. A newer Latest may replace an
    /// older one, and a Deadline may expire: all others must be received.
    pub(super) fn acknowledged(&self, message: Message, class: Class) {
        if matches!(class, Class::Ordered | Class::Reliable) {
            self.lock().acknowledged.insert(message);
        }
    }

    pub(super) fn received(&self, connection: u64, message: &hikyaku_proto::Message) {
        let mut state = self.lock();
        let Some(known) = Message::decode(&message.payload) else {
            state.broken = Some("a message was altered".to_owned());
            return;
        };
        if known.channel != message.channel.0 || !state.received.insert(known) {
            state.broken = Some(format!("{known:?} arrived twice, or on another channel"));
        }
        if message.class == Class::Ordered {
            let last = state.last.insert((connection, known.channel), known.number);
            if last.is_some_and(|last| last >= known.number) {
                state.broken = Some(format!("{known:?} came after {last:?}"));
            }
        }
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        let state = self.lock();
        if let Some(broken) = &state.broken {
            return Err(broken.clone());
        }
        let missing: Vec<_> = state.acknowledged.difference(&state.received).collect();
        match missing.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "{} of {} acknowledged messages never arrived, among them {first:?}",
                missing.len(),
                state.acknowledged.len(),
            )),
        }
    }

    /// Returns how many messages were acknowledged that must be received, and how many were
    /// received.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.acknowledged.len(), state.received.len())
    }
}
