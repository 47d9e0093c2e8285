//! English.

use super::{Member, Peer, Rooms};
use crate::output::counted;

mod hosting;
mod refused;
mod transfer;

pub(super) use hosting::{page, storage, undelivered};
pub(super) use refused::{dropped, mismatch};
pub(super) use transfer::{datagram, keys, listener, outcome, pinged, sender, shortfall};

pub(super) fn rooms(says: Rooms<'_>) -> String {
    match says {
        Rooms::HostKey(key) => format!("the key of this host is {key}"),
        Rooms::Listening(at) => format!("listening on {at}"),
        Rooms::ListeningFor(at, flag) => format!("listening on {at} ({flag})"),
        Rooms::JoinWith(command) => format!("others join with: {command}"),
        Rooms::InviteForOne(command) => format!("for one guest: {command}"),
        Rooms::InviteWithSharedKey(command) => {
            format!("or with this invite, which contains the shared key: {command}")
        }
        Rooms::InviteWithHostKey(command) => {
            format!("or with this invite, which has the key of this host: {command}")
        }
        Rooms::PlainDoorIsOpen => "--plain: whoever comes there is not authenticated, and what is \
            said in this room goes there unencrypted"
            .to_owned(),
        Rooms::OtherDoorsNeedNoInvite => {
            "members who come by --plain or --dtls need no invite".to_owned()
        }
        Rooms::PlainChat => "plain chat: nobody is authenticated and nothing is encrypted; with a \
            key from `hikyaku keygen --shared FILE`, --fernet FILE on both sides changes that"
            .to_owned(),
        Rooms::PortTaken(port) => {
            format!("port {port} is taken on this machine; joining the chat there")
        }
        Rooms::OtherPort(command) => format!("to open a room on another port: {command}"),

        Rooms::Looking => "looking for a room on this network".to_owned(),
        Rooms::Joining(room) => format!("joining {room}"),
        Rooms::JoiningInstead(room) => {
            format!("another room was opened in the same moment: joining that of {room}")
        }
        Rooms::IsJoined(room) => {
            format!("another room was opened in the same moment: {room} joins this one")
        }
        Rooms::Announced(name) => format!("announced on this network as {name}"),
        Rooms::NotAnnounced(error) => {
            format!("not announced on this network: {error}; others need the address to join")
        }
        Rooms::CannotSearch(error) => format!("cannot search this network: {error}"),
        Rooms::NothingFound => {
            "no room on this network; is `hikyaku chat` running there? A firewall may \
            block UDP ports 12346 and 5353"
                .to_owned()
        }
        Rooms::RoomHasNoSharedKey(room) => format!("the room of {room} has no shared key"),
        Rooms::RoomNeedsSharedKey(room) => {
            format!("the room of {room} needs --shared-key KEYFILE, or an invite")
        }
        Rooms::SeveralFound(count, list) => {
            format!("there are {count} rooms: {list}; say which: hikyaku chat join NAME or ADDR")
        }
        Rooms::WhichOne => "which one? Its number or name: ".to_owned(),
        Rooms::WhichOneOrNone => {
            "which one? Its number or name, or Enter to open a room: ".to_owned()
        }
        Rooms::NoneOfThem(answer) => format!("{answer:?} is none of them"),
        Rooms::SeveralOfThem(answer) => {
            format!("{answer:?} fits several of them; write the number")
        }
        Rooms::NotFoundYet(name, time) => {
            format!("no host announces {name:?} yet; looking for up to {time}")
        }
        Rooms::NotFound(name) => not_found(name, ""),
        Rooms::NotFoundNorAddress(name, error) => not_found(name, &format!(", and {error}")),
    }
}

fn not_found(name: &str, address: &str) -> String {
    format!(
        "no host announces {name:?} on this network{address}; `hikyaku chat find` lists the rooms \
         there are, and an address or an invite of the host needs no search"
    )
}

pub(super) fn member(says: Member<'_>) -> String {
    let lines = |count: usize| counted(count as u64, "line");
    match says {
        Member::NoLoginName(name) => {
            format!("you have no login name, so you are \"{name}\"; choose one with --name NAME")
        }
        Member::MadeKey(path, key) => format!("made a key for you: {path} ({key})"),
        Member::FirstContact { who, key, file } => {
            format!("first contact: {who} is {key}; remembered in {file}")
        }
        Member::FirstContactFound { who, key, file, name } => format!(
            "first contact: {who} is {key}, as the network said; remembered in {file} as {name}"
        ),

        Member::NotAnsweringYet(address) => {
            format!("{address} does not answer yet; what you type waits for it")
        }
        Member::NotThereYet(address, time) => {
            format!("{address} does not answer yet; trying for up to {time}")
        }
        Member::Interrupted => "interrupted; nothing was sent".to_owned(),
        Member::LateLines(1) => "1 line after /quit was not sent".to_owned(),
        Member::LateLines(count) => format!("{count} lines after /quit were not sent"),
        Member::RejectedLines(1) => "1 line was not accepted; the output says why".to_owned(),
        Member::RejectedLines(count) => {
            format!("{count} lines were not accepted; the output says why")
        }
        Member::Unanswered(1) => "1 command was not answered".to_owned(),
        Member::Unanswered(count) => format!("{count} commands were not answered"),
        Member::NotPrinted(count) => {
            format!("not printed, because nothing read them: {}", counted(count, "line"))
        }
        Member::UnsentKept(count) => {
            format!("not sent: {}, kept here and sent when you join this chat again", lines(count))
        }
        Member::Unsent(count) => format!("not sent: {}", lines(count)),
        Member::NotConfirmed(address) => format!("{address} did not confirm in time"),
        Member::ChatGone(address) => format!("the chat at {address} is gone"),
        Member::NotJoined(address) => format!("the chat at {address} did not answer"),
    }
}

pub(super) fn peer(says: Peer<'_>) -> String {
    match says {
        Peer::NoAnswer(address, program) => format!(
            "no answer from {address}: is `{program}` running there? (for a plain UDP program, use \
             --plain)"
        ),
        Peer::KeyNotAccepted(address, line) => format!(
            "{address} does not accept your key; its owner can add this line to its --allow-key \
             file: {line}"
        ),
        Peer::OtherSharedKey(address) => format!(
            "{address} has another shared key, or only one side has one: both need the same \
             --shared-key"
        ),
        Peer::Refused(address, reason) => format!("{address} refused the connection: {reason}"),
        Peer::NothingListens(address, error, program) => {
            format!("{address}: {error}; start `{program}` there")
        }
        Peer::Unreachable(address, error) => format!(
            "{address}: {error}; is the address right, and does no firewall stand in the way?"
        ),
        Peer::KeyChanged { who, old, new, line, remedy } => format!(
            "the key of {who} has changed: it was {old}, now it is {new}. Somebody may pretend to \
             be it. If you know why it changed, remove {line}: {remedy}"
        ),
        Peer::KeyNotPinned(address, key) => {
            format!("{address} is {key}, which is none of the keys given with --trust")
        }
        Peer::KeyNotAnnounced { who, offered, announced } => format!(
            "{who} is {offered}, and {announced} was announced on this network: somebody may \
             pretend to be it"
        ),
        Peer::KeyNotInvited { offered, invited } => format!(
            "what answers there is {offered}, and the invite is to {invited}: another machine has \
             the address now, or somebody pretends to be the host"
        ),
        Peer::KeyRevoked(address, key) => {
            format!("the key of {address}, {key}, is marked @revoked in your known hosts")
        }
        Peer::Silent(address, time) => {
            format!("nothing received from {address} for {time}: it is gone, or cannot be reached")
        }
        Peer::Forgotten(address) => format!(
            "{address} no longer knows the connection: it received nothing from here for too \
             long, or was restarted"
        ),
        Peer::Closed(address) => format!("{address} closed the connection"),
        Peer::ClosedBecause(address, reason) => {
            format!("{address} closed the connection: {reason}")
        }
    }
}
