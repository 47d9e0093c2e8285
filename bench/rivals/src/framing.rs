//! Messages in a byte stream: a length prefix of four bytes, as an application would have it.

use anyhow::{Result, ensure};
use bytes::{Buf as _, Bytes, BytesMut};

/// The size of the prefix.
pub(crate) const PREFIX: usize = 4;

/// The longest message of a workload; anything longer is an error.
const LONGEST: usize = 1 << 20;

/// Appends a message with its prefix.
pub(crate) fn pack(message: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&(message.len() as u32).to_le_bytes());
    into.extend_from_slice(message);
}

/// Takes messages out of chunks of a stream. A message within one chunk is not copied.
#[derive(Default)]
pub(crate) struct Deframer {
    /// The beginning of a message that continues in the next chunk.
    part: BytesMut,
}

impl Deframer {
    /// Hands over the messages that end in this chunk. Returns their number.
    pub(crate) fn chunk(
        &mut self,
        mut chunk: Bytes,
        take: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<usize> {
        let mut count = 0;
        while !self.part.is_empty() && !chunk.is_empty() {
            let wanted = length(&self.part)?.map_or(PREFIX, |len| PREFIX + len);
            let missing = chunk.len().min(wanted - self.part.len());
            self.part.extend_from_slice(&chunk.split_to(missing));
            if length(&self.part)?.is_some_and(|len| PREFIX + len == self.part.len()) {
                take(&self.part[PREFIX..])?;
                self.part.clear();
                count += 1;
            }
        }
        while let Some(len) = length(&chunk)?.filter(|len| chunk.len() >= PREFIX + len) {
            take(&chunk[PREFIX..PREFIX + len])?;
            chunk.advance(PREFIX + len);
            count += 1;
        }
        self.part.extend_from_slice(&chunk);
        Ok(count)
    }
}

fn length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(prefix) = bytes.first_chunk() else { return Ok(None) };
    let len = u32::from_le_bytes(*prefix) as usize;
    ensure!(len <= LONGEST, "a length of {len}");
    Ok(Some(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_whatever_the_chunks() {
        let messages = [vec![1; 64], vec![], vec![2; 3], vec![3; 1_000]];
        let mut stream = Vec::new();
        messages.iter().for_each(|message| pack(message, &mut stream));
        for size in [1, 2, 5, 68, 2_000] {
            let (mut deframer, mut came) = (Deframer::default(), Vec::new());
            for chunk in stream.chunks(size) {
                let mut take = |message: &[u8]| {
                    came.push(message.to_vec());
                    Ok(())
                };
                deframer.chunk(Bytes::copy_from_slice(chunk), &mut take).unwrap();
            }
            assert_eq!(came, messages, "{size}");
        }
    }
}
