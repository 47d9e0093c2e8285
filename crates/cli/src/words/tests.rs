//! Each sentence in each language.

use super::*;

fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c))
}

/// Checks that a sentence says the same in both languages, as far as a test can see.
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
    ] {
        check(|l| says.text_in(l), &[who]);
    }
    for says in [
        Member::LateLines(2),
        Member::RejectedLines(2),
        Member::NotPrinted(2),
        Member::UnsentKept(2),
        Member::Unsent(2),
    ] {
        check(|l| says.text_in(l), &["2"]);
    }
    check(|l| Member::Interrupted.text_in(l), &[]);
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
