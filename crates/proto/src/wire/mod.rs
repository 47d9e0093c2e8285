//! The wire format: packets and frames as in PROTOCOL.md sections 1 and 4.
//!
//! In: bytes, values. Out: the other. Never: state, keys, allocation.
//!
//! A datagram contains one packet. The bytes before the sealed frames are the associated data of
//! the seal; there is no header protection.
//!
//! ```text
//! data packet                                   handshake packet (long form)
//!  0                   1                         0                   1
//!  0 1 2 3 4 5 6 7                               0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+                             +-+-+-+-+-+-+-+-+
//! |0|1|0 0 0 0 0|K|  K: key phase               |1|1|0 0 0|Type |  Type: 0 Hello, 1 Handshake,
//! +-+-+-+-+-+-+-+-+                             +-+-+-+-+-+-+-+-+        2 ZeroRtt, 3 Retry,
//! | destination id (8)                          | version (4)             4 Versions
//! +---------------                              | destination id (8)
//! | packet number, low 32 bits (4)              | source id (8)
//! +---------------                              | token length varint, token    (Hello only)
//! | sealed frames ...                           | packet number, low 32 bits (4)
//! | tag (16)                                    | sealed frames ... tag (16)
//! +---------------                              +---------------
//!
//! Retry: first byte, version, ids, token, tag (16)
//! Versions: first byte, version 0, ids, list of versions (4 each)
//! ```
//!
//! Receiving: [`header::Header::decode`], then (opened) [`frame::check_all`], then
//! [`frame::frames`]. Sending: a [`codec::Writer`] over the packet's buffer less the tag, into
//! which [`header::Header::encode`], [`frame::write_ack`], [`frame::write_message`] and
//! [`frame::Frame::encode`] write.

// Untrusted bytes are parsed here: no index and no cast that a wire value could break.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub(crate) mod codec;
pub(crate) mod frame;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod header;
pub(crate) mod level;
pub(crate) mod parameters;
