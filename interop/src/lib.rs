//! Runs other programs against `hikyaku`, for the tests in `tests/`.
//!
//! The peers in `peers/*.py` are the programs that a beginner writes from a guide; the others are
//! standard tools of Linux systems. Run all with `cargo xtask interop`.

mod certificates;
mod chat;
mod flood;
mod output;
mod process;
mod programs;
mod refusals;
mod relay;

pub use certificates::{Authority, Certificate, openssl};
pub use chat::{Room, is_a_member, is_stamped, room_dtls, shows_a_time, talk_with_ana};
pub use flood::flood;
pub use output::{Dropped, json_lines, text_of};
pub use process::{Exit, Process, Stream};
pub use programs::{
    Key, bound_address, file_in, hikyaku, key_of, listen, listen_dtls, new_key, new_shared_key,
    python, run, udp_port, wolfssl,
};
pub use refusals::{is_refused, listen_refuses, send_refuses};
pub use relay::LossyRelay;
