//! Packets, frames and parameters as bytes: what is read is what would be written.
//!
//! In: any bytes. Out: a panic when a promise is broken. Never: a connection.

use hikyaku_proto::fuzzing::{header, parameters, payload};

/// One input.
pub fn run(input: &[u8]) {
    header(input);
    payload(input);
    parameters(input);
}
