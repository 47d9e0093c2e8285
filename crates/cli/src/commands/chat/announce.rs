//! Announces a room on the local network.

use std::future;

use hikyaku::{Endpoint, filter::Filter};
use hikyaku_chat::server::{self, Summary};
use hikyaku_services::discovery::{Advertiser, AdvertiserOptions, Announcement};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    args::{DiscoveryArgs, MeArgs},
    names,
    output::{note, warn},
    words::Rooms,
};

/// A room that is announced until this is dropped.
pub(super) struct Announcing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Announces a room; nothing if it is hidden, or can be reached from
/// this machine alone.
pub(super) fn announce(
    endpoint: &Endpoint,
    me: &MeArgs,
    room: Announced<'_>,
) -> Option<Announcing> {
    let local = endpoint.local_addr();
    if room.discovery.no_discovery || local.ip().is_loopback() {
        return None;
    }
    let name = announced_name(me, room.is_headless);
    let addresses = if local.ip().is_unspecified() { vec![] } else { vec![local.ip()] };
    let announcement =
        Announcement::new(server::APPLICATION, &name, local.port(), endpoint.fingerprint())
            .map(|announcement| announcement.with_addresses(&addresses))
            .map(|announcement| announcement.with_key_needed(room.needs_key));
    let options = AdvertiserOptions::new(local, room.only_v6).filter(room.filter);
    let started = announcement.map_err(|e| e.to_string()).and_then(|what| {
        let started = Advertiser::start(what.clone(), options);
        started.map(|advertiser| (advertiser, what)).map_err(|e| e.to_string())
    });
    match started {
        Ok((advertiser, what)) => {
            if !me.talk.quiet {
                note(&Rooms::Announced(&name).text());
            }
            let (stop, stopped) = oneshot::channel();
            let task = tokio::spawn(keep_announced(advertiser, what, room.summaries, stopped));
            Some(Announcing { stop, task })
        }
        Err(error) => {
            warn(&Rooms::NotAnnounced(&error).text());
            None
        }
    }
}

/// Ends an announcement.
pub(super) async fn stop(announced: Option<Announcing>) {
    if let Some(Announcing { stop, task }) = announced {
        drop(stop);
        let _ = task.await;
    }
}

/// Announces a room, and updates its title and number of members whenever they change.
async fn keep_announced(
    advertiser: Advertiser,
    what: Announcement,
    mut summaries: Option<watch::Receiver<Summary>>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let summary = tokio::select! {
            summary = next_summary(&mut summaries) => summary,
            _ = &mut stopped => return advertiser.stop().await,
        };
        let title = Announcement::fitting_room(&summary.title);
        let members = u32::try_from(summary.members).ok();
        if let Ok(what) = what.clone().with_members(members).with_room(&title) {
            advertiser.announce(what);
        }
    }
}

/// Waits for the next change. Never resolves if there is nothing to announce. Cancel-safe.
async fn next_summary(summaries: &mut Option<watch::Receiver<Summary>>) -> Summary {
    while let Some(receiver) = summaries {
        match receiver.changed().await {
            Ok(()) => return receiver.borrow_and_update().clone(),
            Err(_) => *summaries = None,
        }
    }
    future::pending().await
}

/// A room to announce.
pub(super) struct Announced<'a> {
    pub(super) discovery: &'a DiscoveryArgs,
    pub(super) is_headless: bool,
    pub(super) only_v6: bool,
    /// Members need a shared key.
    pub(super) needs_key: bool,
    /// Closed rooms do not answer searches.
    pub(super) filter: Filter,
    /// The title and number of members; only for a room that everybody may enter.
    pub(super) summaries: Option<watch::Receiver<Summary>>,
}

/// Returns the name that others search for: the chosen one, or the user's name at this machine.
fn announced_name(me: &MeArgs, is_headless: bool) -> String {
    let machine = || names::user_at_host();
    let name = match &me.name {
        Some(name) => name.to_string(),
        None if is_headless => {
            machine().rsplit_once('@').map_or_else(machine, |(_, machine)| machine.to_owned())
        }
        None => machine(),
    };
    Announcement::fitting(&name, "someone")
}
