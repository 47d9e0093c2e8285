//! Tests of key updates.

use super::{
    super::packet::tests::{FRAMES, HEADER, hex, unsealed},
    *,
};

const KEEP: Duration = Duration::from_millis(300);

/// A packet in transit: its phase bit, its number, its bytes.
#[derive(Clone)]
struct Sealed(bool, u64, Vec<u8>);

fn pair(cipher: Cipher) -> (DataKeys, DataKeys) {
    let root = Secret::extract(&[9; 32], &[5; 32]);
    (DataKeys::new(cipher, &root, Side::Client), DataKeys::new(cipher, &root, Side::Server))
}

fn seal(keys: &mut DataKeys, number: u64) -> Sealed {
    let mut packet = unsealed();
    let phase = keys.phase_to_send().unwrap();
    keys.seal(number, &mut packet, HEADER.len());
    Sealed(phase, number, packet)
}

fn open_at(keys: &mut DataKeys, packet: &Sealed, now: Time) -> Result<(), Discard> {
    let Sealed(phase, number, mut bytes) = packet.clone();
    let opened = keys.open(phase, number, &mut bytes, HEADER.len(), now, || KEEP);
    opened.map(|plain| assert_eq!(plain, FRAMES))
}

fn open(keys: &mut DataKeys, packet: &Sealed) -> Result<(), Discard> {
    open_at(keys, packet, Time::ZERO)
}

/// Sends one packet, acknowledged by one packet back.
fn exchange(from: &mut DataKeys, to: &mut DataKeys, number: u64) {
    let packet = seal(from, number);
    open(to, &packet).unwrap();
    let answer = seal(to, number);
    open(from, &answer).unwrap();
    from.on_acked(number);
    to.on_acked(number);
}

#[test]
fn data_packets_are_sealed_as_the_protocol_says_in_every_phase() {
    let expected = [
        (Cipher::Aes128Gcm, "7a1f6233a5c07c49bf9e6eb1f4b07cee35af8162c632"),
        (Cipher::Aes128Gcm, "6fc5dac0cad3768ce42ba4ef7914d865e1c80a2852f9"),
        (Cipher::ChaCha20Poly1305, "618c2f3d6ebe54cb47d3ef7f2a32ec75490916ea6513"),
        (Cipher::ChaCha20Poly1305, "b5b61d96a27423e7a984d7037be2a72d68fdd2f2376a"),
    ];
    for (index, (cipher, sealed)) in expected.into_iter().enumerate() {
        let (mut client, _) = pair(cipher);
        let number = 3 + index as u64 % 2;
        if number == 4 {
            client.sending.advance(cipher);
        }
        let Sealed(phase, _, packet) = seal(&mut client, number);
        assert_eq!(phase, number == 4);
        assert_eq!(hex(&packet[HEADER.len()..]), sealed);
    }
}

#[test]
fn without_a_shared_key_the_salt_is_empty() {
    let root = Secret::extract(&[], &[5; 32]);
    let mut client = DataKeys::new(Cipher::Aes128Gcm, &root, Side::Client);
    let Sealed(_, _, packet) = seal(&mut client, 3);
    assert_eq!(hex(&packet[HEADER.len()..]), "301ec6d762fe134d0517db1804cb288a488ef1005182");
}

// M-20
#[test]
fn no_update_before_a_packet_of_the_phase_is_acknowledged() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    assert!(!client.start_update(), "M-20: nothing was sent yet");
    let packet = seal(&mut client, 10);
    open(&mut server, &packet).unwrap();
    client.on_acked(9);
    assert!(!client.start_update(), "M-20: the acknowledged packet is not of this phase");
    client.on_acked(10);
    assert!(client.start_update());
    assert!(!client.start_update(), "M-20: nothing of the new phase was acknowledged");
}

// M-21
#[test]
fn the_peer_answers_an_update_with_its_own() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    assert!(client.start_update());
    let packet = seal(&mut client, 1);
    assert!(packet.0);
    open(&mut server, &packet).unwrap();
    let answer = seal(&mut server, 1);
    assert!(answer.0, "M-21");
    assert_eq!(open(&mut client, &answer), Ok(()));
    assert!(seal(&mut client, 2).0, "an answer is not answered again");
}

// M-20
#[test]
fn no_update_before_the_peer_has_answered_the_one_before() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    assert!(client.start_update());
    let packet = seal(&mut client, 1);
    client.on_acked(1);
    assert!(!client.start_update(), "it would be two phases ahead");
    open(&mut server, &packet).unwrap();
    let answer = seal(&mut server, 1);
    open(&mut client, &answer).unwrap();
    assert!(client.start_update());
}

#[test]
fn updates_continue_in_both_directions() {
    for cipher in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305] {
        let (mut client, mut server) = pair(cipher);
        for round in 0..20 {
            exchange(&mut client, &mut server, 2 * round);
            exchange(&mut server, &mut client, 2 * round + 1);
            let starter = if round % 3 == 0 { &mut server } else { &mut client };
            assert!(starter.start_update());
        }
        exchange(&mut client, &mut server, 100);
        exchange(&mut server, &mut client, 101);
        assert_eq!([client.sending.phase, client.receiving.phase], [20, 20]);
        assert_eq!([server.sending.phase, server.receiving.phase], [20, 20]);
    }
}

#[test]
fn both_may_begin_an_update_at_once() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    exchange(&mut server, &mut client, 1);
    assert!(client.start_update() && server.start_update());
    exchange(&mut client, &mut server, 2);
    exchange(&mut server, &mut client, 3);
    assert_eq!([client.sending.phase, server.sending.phase], [1, 1]);
}

// M-21
#[test]
fn reordered_packets_of_the_previous_phase_open_until_the_deadline() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    let (late, later) = (seal(&mut client, 1), seal(&mut client, 2));
    assert!(client.start_update());
    let new = seal(&mut client, 3);
    assert_eq!(open_at(&mut server, &new, Time::ZERO), Ok(()));
    let (before, after) = (KEEP - Duration::from_micros(1), KEEP);
    assert_eq!(open_at(&mut server, &late, Time::ZERO + before), Ok(()), "M-21");
    assert_eq!(open_at(&mut server, &later, Time::ZERO + after), Err(Discard::NoKeys));
}

#[test]
fn previous_keys_are_discarded_at_the_deadline() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    assert_eq!(server.deadline(), None);
    assert!(client.start_update());
    let new = seal(&mut client, 3);
    open(&mut server, &new).unwrap();
    let deadline = server.deadline().unwrap();
    assert_eq!(deadline, Time::ZERO + KEEP);
    server.handle_timeout(Time::ZERO);
    assert!(server.receiving.previous.is_some());
    server.handle_timeout(deadline);
    assert!(server.receiving.previous.is_none());
}

#[test]
fn packets_of_a_new_phase_open_in_any_order() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    assert!(client.start_update());
    let packets = [seal(&mut client, 1), seal(&mut client, 2), seal(&mut client, 3)];
    for index in [1, 0, 2] {
        assert_eq!(open(&mut server, &packets[index]), Ok(()));
    }
}

// M-21
#[test]
fn a_forged_phase_bit_changes_nothing() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    let Sealed(phase, number, packet) = seal(&mut client, 1);
    let forged = Sealed(!phase, number, packet.clone());
    assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic), "M-21");
    assert_eq!(server.receiving.phase, 0);
    assert_eq!(open(&mut server, &Sealed(phase, number, packet)), Ok(()));
    assert!(!seal(&mut server, 1).0);
}

// M-20
#[test]
fn an_update_begins_by_itself_once_it_is_due_and_allowed() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    client.update_after(3);
    exchange(&mut client, &mut server, 0);
    assert!(!seal(&mut client, 1).0);
    assert!(!seal(&mut client, 2).0);
    assert!(seal(&mut client, 3).0, "M-20");
    (4..10).for_each(|number| assert!(seal(&mut client, number).0, "not confirmed yet"));
}

// M-20
#[test]
fn a_key_seals_no_more_than_its_limit() {
    let (mut client, _) = pair(Cipher::Aes128Gcm);
    client.sending.sealed = (1 << 23) - 1;
    seal(&mut client, 0);
    assert_eq!(client.phase_to_send().unwrap_err().code, Close::AEAD_LIMIT, "M-20");
    client.on_acked(0);
    assert_eq!(client.phase_to_send(), Ok(true));
}

// M-22
#[test]
fn too_many_failures_end_the_connection() {
    for (cipher, limit) in [(Cipher::Aes128Gcm, 1 << 52), (Cipher::ChaCha20Poly1305, 1 << 36)] {
        let (mut client, mut server) = pair(cipher);
        let mut forged = seal(&mut client, 0);
        forged.1 = 1;
        server.receiving.failed = limit - 2;
        assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic));
        assert_eq!(server.exhausted(), None);
        assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic));
        assert_eq!(server.exhausted().unwrap().code, Close::AEAD_LIMIT, "M-22");
    }
}

// M-22
#[test]
fn a_new_phase_does_not_reset_the_count_of_failures() {
    let (mut client, mut server) = pair(Cipher::Aes128Gcm);
    exchange(&mut client, &mut server, 0);
    let mut forged = seal(&mut client, 1);
    forged.1 = 2;
    assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic));
    assert!(client.start_update());
    let new = seal(&mut client, 3);
    open(&mut server, &new).unwrap();
    assert_eq!(server.receiving.failed, 1, "M-22 counts the connection's life");
}
