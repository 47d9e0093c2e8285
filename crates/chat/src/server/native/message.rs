//! Machine lines that leave as one message, and share its cost.

use std::mem;

use hikyaku::Bytes;

use crate::limits::MAX_MACHINE_LINE_LEN;

/// Separates the lines of a message.
const END: u8 = b'\n';

/// One or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Message {
    pub(in crate::server) bytes: Bytes,
    /// The number of lines.
    pub(in crate::server) lines: usize,
}

impl Message {
    pub(super) const fn line(bytes: Bytes) -> Self {
        Self { bytes, lines: 1 }
    }
}

/// Joins lines to a message. A single line is not copied.
#[derive(Debug, Default)]
pub(super) struct Joined {
    lines: Vec<Bytes>,
    len: usize,
}

impl Joined {
    /// Returns `true` if a line of `len` bytes fits beside what is here.
    pub(super) const fn has_room_for(&self, len: usize) -> bool {
        self.lines.is_empty() || self.len + 1 + len <= MAX_MACHINE_LINE_LEN
    }

    pub(super) fn push(&mut self, line: &Bytes) {
        self.len += usize::from(!self.lines.is_empty()) + line.len();
        self.lines.push(line.clone());
    }

    pub(super) fn into_message(self) -> Message {
        let lines = self.lines.len();
        let bytes = match &self.lines[..] {
            [line] => line.clone(),
            lines => lines.join(&END).into(),
        };
        Message { bytes, lines }
    }

    /// Returns a message if there is any line.
    pub(super) fn into_nonempty(self) -> Option<Message> {
        (!self.lines.is_empty()).then(|| self.into_message())
    }
}

/// Joins lines to as few messages as possible.
pub(super) fn joined(lines: Vec<Bytes>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut next = Joined::default();
    for line in lines {
        if !next.has_room_for(line.len()) {
            messages.push(mem::take(&mut next).into_message());
        }
        next.push(&line);
    }
    messages.extend(next.into_nonempty());
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8, len: usize) -> Bytes {
        vec![byte; len].into()
    }

    #[test]
    fn a_message_has_as_many_lines_as_fit() {
        let lines = |lens: &[usize]| lens.iter().map(|len| line(b'x', *len)).collect::<Vec<_>>();
        let most = MAX_MACHINE_LINE_LEN;
        for (lens, messages) in [
            (&[][..], &[][..]),
            (&[most], &[(most, 1)]),
            (&[most, 1], &[(most, 1), (1, 1)]),
            (&[1, most - 2, 9], &[(most, 2), (9, 1)]),
            (&[1, 2, 3], &[(8, 3)]),
        ] {
            let all = joined(lines(lens));
            let all: Vec<_> = all.iter().map(|one| (one.bytes.len(), one.lines)).collect();
            assert_eq!(all, messages, "{lens:?}");
        }
    }

    #[test]
    fn a_single_line_is_not_copied_and_several_are_one_behind_the_other() {
        let one = line(b'a', 9);
        let alone = joined(vec![one.clone()]);
        assert!(alone.iter().all(|message| message.bytes.as_ptr() == one.as_ptr()));
        let all = joined(vec![one, line(b'b', 3), line(b'c', 0), line(b'd', 1)]);
        assert_eq!(all, [Message { bytes: "aaaaaaaaa\nbbb\n\nd".into(), lines: 4 }]);
    }
}
