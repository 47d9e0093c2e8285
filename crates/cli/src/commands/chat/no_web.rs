//! Reports that this build has no web page, if one was requested.

use hikyaku::signers::Fingerprint;
use hikyaku_chat::server::Doors;

use super::News;
use crate::{args::HostArgs, exit::Failure, words::Both};

pub(super) async fn open(
    args: &HostArgs,
    _: &Fingerprint,
    _: &mut Doors,
) -> Result<Option<News>, Failure> {
    match args.web.web {
        None => Ok(None),
        Some(_) => Err(Failure::usage(Both(
            "--web is not in this build: build hikyaku-cli with its feature `web`",
            "このビルドには --web がありません。機能 `web` を付けて hikyaku-cli をビルドしてください",
        ))),
    }
}
