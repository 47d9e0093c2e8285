//! Each sentence in each language.

use hikyaku::{Discard, dialect::Dialect};
use hikyaku_plain::DropReason;

use super::*;

fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c))
}

/// Checks that a text says the same in both languages, as far as a test can see.
#[track_caller]
fn check(said: impl Fn(Language) -> String, quoted: &[&str]) {
    let (english, japanese) = (said(Language::English), said(Language::Japanese));
    assert!(is_japanese(&japanese) && !is_japanese(&english), "{english}: {japanese}");
    for text in [&english, &japanese] {
        assert!(quoted.iter().all(|quoted| text.contains(quoted)), "{quoted:?}: {text}");
        assert!(!text.contains("  ") && !text.contains("。。"), "{text}");
    }
}

#[test]
fn sentences_about_rooms_quote_the_same_in_each_language() {
    let (one, at) = (&"hikyaku chat join :9", &"192.0.2.1:9");
    for says in [
        Rooms::JoinWith(one),
        Rooms::InviteForOne(one),
        Rooms::InviteWithSharedKey(one),
        Rooms::InviteWithHostKey(one),
        Rooms::OtherPort(one),
    ] {
        check(|language| says.text_in(language), &[one]);
    }
    for says in [
        Rooms::HostKey(at),
        Rooms::Listening(at),
        Rooms::ListeningFor(at, "--plain"),
        Rooms::Joining(at),
        Rooms::JoiningInstead(at),
        Rooms::IsJoined(at),
        Rooms::Announced(at),
        Rooms::NotAnnounced(at),
        Rooms::CannotSearch(at),
        Rooms::RoomHasNoSharedKey(at),
        Rooms::RoomNeedsSharedKey(at),
        Rooms::SeveralFound(2, at),
        Rooms::NoneOfThem(at),
        Rooms::SeveralOfThem(at),
        Rooms::NotFound(at),
        Rooms::NotFoundNorAddress("hana", at),
    ] {
        check(|language| says.text_in(language), &[at]);
    }
    check(|language| Rooms::NothingFound.text_in(language), &["12346", "5353", "`hikyaku chat`"]);
    check(|language| Rooms::PortTaken(9).text_in(language), &["9"]);
    check(|language| Rooms::PlainChat.text_in(language), &["--fernet FILE"]);
    check(|language| Rooms::PlainDoorIsOpen.text_in(language), &["--plain"]);
    check(|language| Rooms::OtherDoorsNeedNoInvite.text_in(language), &["--dtls"]);
    for says in [Rooms::Looking, Rooms::WhichOne, Rooms::WhichOneOrNone] {
        check(|language| says.text_in(language), &[]);
    }
}

#[test]
fn sentences_about_members_quote_the_same_in_each_language() {
    let (who, key, file) = (&"192.0.2.1:9", &"SHA256:x", &"/home/ana/known_hosts");
    check(|l| Member::FirstContact { who, key, file }.text_in(l), &[who, key, file]);
    let found = Member::FirstContactFound { who, key, file, name: "hana@lan" };
    check(|l| found.text_in(l), &[who, key, file, "hana@lan"]);
    check(|l| Member::MadeKey(file, key).text_in(l), &[file, key]);
    for says in [
        Member::NoLoginName(who),
        Member::NotAnsweringYet(who),
        Member::NotConfirmed(who),
        Member::ChatGone(who),
        Member::NotJoined(who),
    ] {
        check(|l| says.text_in(l), &[who]);
    }
    for says in [
        Member::LateLines(2),
        Member::RejectedLines(2),
        Member::Unanswered(2),
        Member::NotPrinted(2),
        Member::UnsentKept(2),
        Member::Unsent(2),
    ] {
        check(|l| says.text_in(l), &["2"]);
    }
    check(|l| Member::Interrupted.text_in(l), &[]);
    check(|l| Member::NotThereYet(who, "30 s").text_in(l), &[who, "30 s"]);
    check(|l| Rooms::NotFoundYet("hana", "30 s").text_in(l), &["hana", "30 s"]);
}

#[test]
fn sentences_about_peers_quote_the_same_in_each_language() {
    let (who, one, other) = (&"192.0.2.1:9", &"SHA256:one", &"SHA256:other");
    let changed = Peer::KeyChanged {
        who,
        old: one,
        new: other,
        line: &"known_hosts:3",
        remedy: &"ssh-keygen",
    };
    check(|l| changed.text_in(l), &[who, one, other, "known_hosts:3", "ssh-keygen"]);
    let announced = Peer::KeyNotAnnounced { who, offered: one, announced: other };
    check(|l| announced.text_in(l), &[who, one, other]);
    check(|l| Peer::KeyNotInvited { offered: one, invited: other }.text_in(l), &[one, other]);
    for says in [
        Peer::NoAnswer(who, "SHA256:one"),
        Peer::KeyNotAccepted(who, "SHA256:one"),
        Peer::Refused(who, one),
        Peer::NothingListens(who, one, "hikyaku listen"),
        Peer::Unreachable(who, one),
        Peer::KeyNotPinned(who, one),
        Peer::KeyRevoked(who, one),
        Peer::Silent(who, one),
        Peer::ClosedBecause(who, one),
    ] {
        check(|l| says.text_in(l), &[who, one]);
    }
    for says in [Peer::OtherSharedKey(who), Peer::Forgotten(who), Peer::Closed(who)] {
        check(|l| says.text_in(l), &[who]);
    }
}

#[test]
fn sentences_of_a_listener_quote_the_same_in_each_language() {
    let (one, other) = (&"192.0.2.1:9", &"SHA256:x");
    for says in [
        Listener::Key(one),
        Listener::SendWith(one),
        Listener::Listening(one),
        Listener::NoFolder(one),
        Listener::CannotWrite(one),
        Listener::StreamCutShort(one),
    ] {
        check(|l| says.text_in(l), &[one]);
    }
    for says in [
        Listener::Saved { name: one, size: other },
        Listener::Unsaved { name: one, key: other, from: one, reason: other },
        Listener::SmallBuffer { granted: one, asked: other },
        Listener::CannotJoin(one, other),
    ] {
        check(|l| says.text_in(l), &[one, other]);
    }
    let (heard, wanted) = (2, 13);
    for says in
        [Listener::MessagesInTime { heard, wanted }, Listener::DatagramsInTime { heard, wanted }]
    {
        check(|l| says.text_in(l), &["2", "13"]);
    }
    check(|l| Listener::NotShown(2).text_in(l), &["2", "--format hex"]);
    check(|l| Listener::AnyoneSaves.text_in(l), &["--allow-key", "--shared-key"]);
    for says in [
        Listener::OutputDiscarded,
        Listener::StreamStopped,
        Listener::FileStopped,
        Listener::NoWholeStream,
        Listener::SocketFailed,
        Listener::WriterGone,
        Listener::Unread,
        Listener::StoppedAtOnce,
    ] {
        check(|l| says.text_in(l), &[]);
    }
}

#[test]
fn sentences_of_a_sender_quote_the_same_in_each_language() {
    let (to, time) = (&"192.0.2.1:9", "3.2 ms");
    for says in [Sender::Connecting(to), Sender::Waiting(to), Sender::DtlsWaiting(to)] {
        check(|l| says.text_in(l), &[to]);
    }
    for verb in [Verb::Written, Verb::Acknowledged, Verb::Sent] {
        for much in [Much::Messages(2), Much::Bytes("2 KiB")] {
            check(|l| Outcome::Done { verb, much, by: to }.text_in(l), &[to, "2"]);
        }
        check(|l| Sender::InterruptedAfter(verb, 2).text_in(l), &["2"]);
    }
    for says in [Outcome::Superseded(2), Outcome::SupersededPerhaps(2)] {
        check(|l| says.text_in(l), &["2"]);
    }
    check(|l| Outcome::Unacknowledged(2, to).text_in(l), &["2", to]);
    check(|l| Outcome::SavedAs(to, time).text_in(l), &[to, time]);
    let files = Outcome::FilesDone { saved: 2, all: 3, bytes: "5 KiB", by: to, time };
    check(|l| files.text_in(l), &["2", "3", "5 KiB", to, time]);
    for says in [Sender::NothingSent, Sender::Interrupted] {
        check(|l| says.text_in(l), &[]);
    }
    let (target, again, most) = (to, 2, 5);
    for says in [
        Datagram::NoAckYet { target, again, most },
        Datagram::OtherAnswer { target, instead: "x", again, most },
        Datagram::AnotherKey { target, again, most },
        Datagram::OtherDialect { target, theirs: "x", again, most },
    ] {
        check(|l| says.text_in(l), &[to, "2", "5"]);
    }
    for says in [
        Datagram::AcknowledgedBy { by: to, tries: 2, time },
        Datagram::NoReply(to, time),
        Datagram::FewReplies { target, came: 2, count: 5, time },
    ] {
        check(|l| says.text_in(l), &[to, time]);
    }
}

#[test]
fn what_is_missing_reads_the_same_in_each_language() {
    for verb in [Verb::Written, Verb::Acknowledged, Verb::Sent] {
        check(|l| Shortfall::MessagesShare { verb, good: 2, total: 3 }.text_in(l), &["2", "3"]);
        check(|l| Shortfall::StreamShare(verb, "2 KiB").text_in(l), &["2 KiB"]);
        check(|l| Shortfall::LinesMissing(verb, 2).text_in(l), &["2"]);
    }
    let sent = Shortfall::FilesShareSent { saved: 2, all: 3, bytes: "5 KiB", size: "7 KiB" };
    check(|l| sent.text_in(l), &["2", "3", "5 KiB", "7 KiB"]);
    check(|l| Shortfall::FilesShare { saved: 2, all: 3 }.text_in(l), &["2", "3"]);
    for says in [
        Shortfall::TooLarge(2),
        Shortfall::Late(2),
        Shortfall::Unconfirmed(2),
        Shortfall::Unwritten(2),
    ] {
        check(|l| says.text_in(l), &["2"]);
    }
    check(|l| Shortfall::Folder(&"d").text_in(l), &["tar c d | hikyaku send --raw"]);
    check(|l| Shortfall::NotRegular.text_in(l), &["hikyaku send --raw ADDR <FILE"]);
    for says in [
        Shortfall::NotAll,
        Shortfall::NoAnswerForFile,
        Shortfall::FileRefused("x"),
        Shortfall::FileChanged,
        Shortfall::Nameless,
    ] {
        check(|l| says.text_in(l), &[]);
    }
}

#[test]
fn sentences_about_keys_quote_the_same_in_each_language() {
    let file = &"/home/ana/key";
    for says in [
        KeyNews::Shared(file),
        KeyNews::Private(file),
        KeyNews::Public(file),
        KeyNews::Certificate(file),
        KeyNews::Exists(file),
        KeyNews::PassphraseFor(file),
        KeyNews::KeyLog(file),
        KeyNews::LeftOut { file, line: 3, reason: &"x" },
    ] {
        check(|l| says.text_in(l), &[file]);
    }
    for says in [
        KeyNews::Passphrase,
        KeyNews::PassphraseAgain,
        KeyNews::PassphrasesDiffer,
        KeyNews::EmptyPassphrase,
        KeyNews::WrongPassphrase,
    ] {
        check(|l| says.text_in(l), &[]);
    }
}

#[test]
fn labels_of_measurements_have_equal_widths() {
    let (min, p50, p90, p99, max) = ("1", "2", "3", "4", "5");
    let lines = [
        Pinged::Handshake("1 ms"),
        Pinged::RoundTrips { min, p50, p90, p99, max },
        Pinged::Lost { lost: 1, sent: 2, share: 50.0 },
        Pinged::Packets(1_200),
    ];
    for language in [Language::English, Language::Japanese] {
        let widths = lines.map(|line| {
            let line = line.text_in(language);
            let (label, _) = line.split_once("  ").expect("two columns");
            let blanks = line.len() - line[label.len()..].trim_start().len() - label.len();
            hikyaku_text::columns(label) + blanks
        });
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
    }
    check(|l| Pinged::Peer(&"192.0.2.1:9", &"SHA256:x").text_in(l), &["192.0.2.1:9", "SHA256:x"]);
}

#[test]
fn sentences_about_what_is_kept_and_the_page_quote_the_same_in_each_language() {
    let (one, other) = (&"192.0.2.1:9", &"no such folder");
    for says in [
        Storage::OutboxFails(one),
        Storage::HistoryFails { error: one, option: "--no-history" },
        Storage::InvitesFail(one),
        Storage::GuestNotAdmitted(one),
        Storage::PageKey(one),
        Storage::PageKeyBroken(one),
    ] {
        check(|l| says.text_in(l), &[one]);
    }
    check(|l| Storage::NoHomeForOutbox.text_in(l), &["HOME", "--no-outbox"]);
    check(|l| Storage::NoHomeForHistory.text_in(l), &["HOME", "--history FILE", "--no-history"]);
    check(|l| Storage::TooManyInvites(2).text_in(l), &["2", "--history"]);
    check(|l| Page::CannotListen(one, other).text_in(l), &["--web", one, other]);
    for says in [
        Page::LinkForOne(one),
        Page::LinkForAll(one),
        Page::LinkUsed(one),
        Page::NoCode(one),
        Page::NoTerminalForCode(one),
        Page::NarrowForCode { option: one, needs: 40, has: 20 },
    ] {
        check(|l| says.text_in(l), &[one]);
    }
    check(|l| Page::Unencrypted.text_in(l), &["--web", "TLS"]);
    check(|l| Page::NoMoreLinks.text_in(l), &[]);
    for says in [Undelivered::Silent(one), Undelivered::Full(one), Undelivered::Perhaps(one)] {
        check(|l| says.text_in(l), &[one]);
    }
    check(|l| Undelivered::Unconfirmed(2).text_in(l), &["2"]);
}

#[test]
fn sentences_about_drops_and_mismatches_quote_the_same_in_each_language() {
    let from = &"192.0.2.1:9";
    for reason in [DropReason::Stale, DropReason::Undecryptable, DropReason::BadSignature] {
        check(|l| Dropped::Plain(2, reason).text_in(l), &["2"]);
        check(|l| Dropped::One { reason, dialect: None, from }.text_in(l), &[from]);
    }
    for says in [
        Dropped::Native(2, Discard::Replayed),
        Dropped::Filtered(2),
        Dropped::Faults(2),
        Dropped::ByKernel(2),
        Dropped::MoreLines(2),
    ] {
        check(|l| says.text_in(l), &["2"]);
    }
    check(|l| Dropped::MoreSenders.text_in(l), &[]);
    check(|l| Dropped::Counts(&[]).text_in(l), &[]);
    let (theirs, ours) = (Dialect::Fernet, Dialect::Plain);
    for is_shown in [true, false] {
        let (there, here) = ("hikyaku send --plain", "hikyaku listen --plain");
        let says = Mismatch::OtherDialect { from, theirs, ours, is_shown, there, here };
        check(|l| says.text_in(l), &[from, "--fernet", there, here]);
    }
    for says in [
        Mismatch::OtherKey { from, theirs },
        Mismatch::Takes { address: from, theirs, join: "hikyaku send" },
        Mismatch::CannotOpen(from),
        Mismatch::NoSignature(from),
        Mismatch::TakesTheSame { address: from, theirs },
        Mismatch::RoomSigns(from),
        Mismatch::RoomEncrypts(from),
    ] {
        check(|l| says.text_in(l), &[from]);
    }
    for ours in [Dialect::Plain, Dialect::Fernet, Dialect::Signed, Dialect::Dtls] {
        let says = Mismatch::Unacknowledged { ours, there: "--x", ack_text: " --ack-text y" };
        check(|l| says.text_in(l), &["`hikyaku listen --x --ack --ack-text y`"]);
    }
}
