//! Packets, frames and parameters as bytes: whatever decodes is encoded the same.

use hikyaku_proto::fuzzing::{header, parameters, payload};

/// Runs one input.
pub fn run(input: &[u8]) {
    header(input);
    payload(input);
    parameters(input);
}
