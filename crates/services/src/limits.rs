//! Every bound of the services, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

/// Bytes of a control message of a file transfer: a name, a reason, some numbers.
pub const MAX_CONTROL: usize = 4_096;

/// Bytes of a reason for refusing a file: a line to read.
pub const MAX_REASON: usize = 256;

/// Bytes of a saved file's name; every system takes 255, and other tools add to a name.
pub const MAX_NAME: usize = 200;
