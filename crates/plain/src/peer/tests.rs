//! Tests of one peer.

use std::net::UdpSocket;

use super::*;

fn program() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn peer(target: &UdpSocket) -> PlainPeer {
    let targets = vec![target.local_addr().unwrap()];
    PlainPeer::new(targets, PeerOptions::default(), Armour::new(), Filter::new()).unwrap()
}

fn quick(retries: u32) -> RetryPolicy {
    RetryPolicy { timeout: Duration::from_millis(20), retries, unreachable: None }
}

#[tokio::test]
async fn a_late_ack_of_one_message_is_not_taken_for_the_next() {
    let program = program();
    let mut peer = peer(&program);
    let acker = std::thread::spawn(move || {
        let mut buffer = [0; 16];
        let (_, first) = program.recv_from(&mut buffer).unwrap();
        program.send_to(b"ACK", first).unwrap();
        // The second message is answered only at the first one's port, three times.
        program.recv_from(&mut buffer).unwrap();
        for _ in 0..3 {
            program.send_to(b"ACK", first).unwrap();
        }
        program
    });
    let policy = quick(2);
    let ignore = |_: Setback<'_>| {};
    peer.send_acknowledged(b"one", b"ACK", policy, ignore).await.unwrap();
    let second = peer.send_acknowledged(b"two", b"ACK", policy, ignore).await;
    drop(acker.join().unwrap());
    assert!(matches!(second, Err(PlainSendError::NotAcknowledged { tries: 3, .. })), "{second:?}");
}

#[tokio::test]
async fn anything_but_an_ack_is_a_reply() {
    let program = program();
    let mut peer = peer(&program);
    let acker = std::thread::spawn(move || {
        let (_, from) = program.recv_from(&mut [0; 16]).unwrap();
        program.send_to(b"news", from).unwrap();
        program.send_to(b"ACK\n", from).unwrap();
        program
    });
    let sent = peer.send_acknowledged(b"x", b"ACK", RetryPolicy::default(), |_| {}).await;
    assert_eq!(sent.unwrap().tries, 1);
    assert_eq!(peer.recv().await.unwrap().payload, b"news");
    drop(acker.join().unwrap());
}

#[tokio::test]
async fn datagrams_from_other_addresses_are_ignored() {
    let (program, stranger) = (program(), program());
    let mut peer = peer(&program);
    peer.send(b"x").await.unwrap();
    let (_, from) = program.recv_from(&mut [0; 16]).unwrap();
    stranger.send_to(b"forged", from).unwrap();
    program.send_to(b"honest", from).unwrap();
    assert_eq!(peer.recv().await.unwrap().payload, b"honest");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unreachable_address_gives_way_to_the_next_of_the_name() {
    let gone = program().local_addr().unwrap();
    let program = program();
    let targets = vec![gone, program.local_addr().unwrap()];
    let mut peer =
        PlainPeer::new(targets, PeerOptions::default(), Armour::new(), Filter::new()).unwrap();
    peer.send(b"x").await.unwrap();
    assert_eq!(program.recv(&mut [0; 16]).unwrap(), 1);
    assert_eq!(peer.target(), program.local_addr().unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unreachable_port_is_reported_and_retried() {
    let gone = program().local_addr().unwrap();
    let mut peer =
        PlainPeer::new(vec![gone], PeerOptions::default(), Armour::new(), Filter::new()).unwrap();
    let mut told = 0;
    let sent = peer
        .send_acknowledged(b"x", b"ACK", quick(2), |setback| {
            told += u32::from(matches!(setback, Setback::Unreachable { .. }));
        })
        .await;
    assert!(
        matches!(sent, Err(PlainSendError::NotAcknowledged { tries: 3, report: Some(_), .. })),
        "{sent:?}"
    );
    assert_eq!(told, 3);
}

#[tokio::test]
async fn a_payload_that_is_too_large_is_reported_with_both_sizes() {
    let program = program();
    let mut peer = peer(&program);
    let error = peer.send(&vec![0; 65_508]).await.expect_err("one byte too many");
    let text = error.to_string();
    assert!(text.contains("65508 bytes") && text.contains("65507 bytes"), "{text}");
    peer.send(b"next").await.unwrap();
    assert_eq!(program.recv(&mut [0; 16]).unwrap(), 4, "the next message came first");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_refusal_is_reported_even_if_the_server_then_exits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "000102030405060708090a0b0c0d0e0f").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let key = crate::dtls::PreShared::read("sensor", &path).unwrap();
    let program = program();
    let mut peer = peer(&program).speak_dtls(ClientConfig::with_shared_key(key).unwrap());
    let server = std::thread::spawn(move || {
        let (_, client) = program.recv_from(&mut [0; 2_048]).unwrap();
        // A fatal alert in the clear (RFC 5246 section 7.2), and the socket is closed.
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 116];
        program.send_to(&alert, client).unwrap();
    });
    let error = peer.connect().await.expect_err("refused");
    assert!(matches!(error, PlainSendError::Dtls { .. }), "{error:?}");
    server.join().unwrap();
}
