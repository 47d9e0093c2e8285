//! `hikyaku listen`: prints what comes, in the dialect asked for.
//!
//! In: arguments. Out: what its rooms make of them. Never: a socket.

mod confirm;
mod datagrams;
mod desk;
mod native;
mod plain;
mod save;
mod serve;

pub(crate) use self::confirm::Account;
use crate::{
    args::{Format, ListenArgs},
    dialect,
    exit::Failure,
    terminal::Ending,
};

pub(crate) async fn run(args: ListenArgs, ending: &mut Ending) -> Result<(), Failure> {
    dialect::check_listen(&args)?;
    if args.is_plain() {
        return plain::run(args, ending).await;
    }
    native::run(args, ending).await
}

/// Is one stream all that is wanted: `--once --format raw`?
fn wants_stream(args: &ListenArgs) -> bool {
    args.once && args.format == Format::Raw
}
