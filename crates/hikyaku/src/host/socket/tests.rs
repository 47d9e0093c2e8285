//! Tests of sockets on loopback.
//!
//! In: datagrams, and trains of them. Out: what arrived, and how. Never: another machine.

use super::*;

fn loopback() -> Socket {
    Socket::bind(&["127.0.0.1:0".parse().unwrap()], &SocketOptions::default()).unwrap()
}

async fn received(socket: &Socket, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut batch = RecvBatch::new();
    let mut all = Vec::new();
    while all.len() < count {
        socket.recv(&mut batch).await.unwrap();
        all.extend(batch.iter().map(|d| (d.bytes.to_vec(), d.from)));
    }
    all
}

#[tokio::test]
async fn datagrams_of_every_size_arrive_whole_from_their_sender() {
    let (a, b) = (loopback(), loopback());
    let largest = vec![7; MAX_PAYLOAD_V4];
    for payload in [b"one".as_slice(), b"", &largest] {
        a.send(payload, b.local_addr(), None).await.unwrap();
    }
    let got = received(&b, 3).await;
    let sizes: Vec<_> = got.iter().map(|(bytes, _)| bytes.len()).collect();
    assert_eq!(sizes, [3, 0, MAX_PAYLOAD_V4]);
    assert!(got.iter().all(|(_, from)| *from == a.local_addr()));
    assert_eq!(got[2].0, largest);
}

#[test]
fn a_port_that_needs_rights_is_an_error_that_suggests_another() {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let says = |port| {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        explained(at(port), &SocketOptions::default(), denied).to_string()
    };
    assert_eq!(
        says(80),
        "127.0.0.1:80: ports below 1024 need the rights of root; try another port"
    );
    assert!(says(1_024).starts_with("cannot open 127.0.0.1:1024: "), "{}", says(1_024));
}

#[tokio::test]
async fn a_bound_socket_is_used_as_it_is() {
    let bound = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (address, peer) = (bound.local_addr().unwrap(), loopback());
    peer.send(b"early", address, None).await.unwrap();
    let buffer = SockRef::from(&bound).recv_buffer_size().unwrap();
    let socket = Socket::adopt(bound, &SocketOptions::default()).unwrap();
    assert_eq!((socket.local_addr(), socket.receive_buffer()), (address, buffer));
    assert_eq!(received(&socket, 1).await, [(b"early".to_vec(), peer.local_addr())]);
    socket.send(b"answer", peer.local_addr(), None).await.unwrap();
    assert_eq!(received(&peer, 1).await, [(b"answer".to_vec(), address)]);
}

#[tokio::test]
async fn a_dual_stack_socket_shows_ipv4_peers_as_ipv4_and_answers_them() {
    let Ok(dual) = Socket::bind(&["[::]:0".parse().unwrap()], &SocketOptions::default()) else {
        return; // No IPv6 on this machine: nothing to test.
    };
    let v4 = loopback();
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), dual.local_addr().port());
    v4.send(b"question", to, None).await.unwrap();
    let mut batch = RecvBatch::new();
    dual.recv(&mut batch).await.unwrap();
    let question = batch.iter().next().unwrap();
    assert_eq!(question.from, v4.local_addr());
    assert_eq!(question.to, Some(Ipv4Addr::LOCALHOST.into()));
    dual.send(b"answer", question.from, question.to).await.unwrap();
    assert_eq!(received(&v4, 1).await, [(b"answer".to_vec(), to)]);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = loopback();
    let error = Socket::bind(&[first.local_addr()], &SocketOptions::default())
        .expect_err("the port is taken");
    assert!(matches!(error, BindError::InUse(address) if address == first.local_addr()));
}

#[tokio::test]
async fn an_unknown_interface_is_named() {
    let options = SocketOptions { interface: Some("nosuch0".into()), ..Default::default() };
    let error =
        Socket::bind(&["127.0.0.1:0".parse().unwrap()], &options).expect_err("no such interface");
    assert!(error.to_string().contains("nosuch0"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_reports_a_port_where_nothing_listens() {
    let gone = loopback().local_addr();
    let socket = loopback();
    socket.report_transport_errors().unwrap();
    socket.send(b"x", gone, None).await.unwrap();
    let error = socket.transport_error().expect("loopback answers at once");
    assert_eq!(error.source.kind(), io::ErrorKind::ConnectionRefused);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn earlier_reports_are_discarded_and_later_ones_are_not() {
    let gone = loopback().local_addr();
    let socket = loopback();
    socket.report_transport_errors().unwrap();
    for _ in 0..3 {
        // A send may return the report about the previous datagram.
        let _ = socket.send(b"x", gone, None).await;
    }
    socket.discard_transport_errors();
    assert!(socket.transport_error().is_none());
    socket.send(b"x", gone, None).await.unwrap();
    assert!(socket.transport_error().is_some());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_report_of_a_closed_port_costs_no_datagram_to_another_peer() {
    let gone = loopback().local_addr();
    let (socket, peer) = (loopback(), loopback());
    socket.report_transport_errors().unwrap();
    let send = async |bytes: &[u8], to| {
        let way = Way { to, source: None, ecn: None, segment: bytes.len() };
        std::future::poll_fn(|cx| socket.poll_send_train(cx, bytes, &way)).await.unwrap();
    };
    for n in 0..3 {
        send(b"x", gone).await;
        send(&[n], peer.local_addr()).await;
    }
    let got: Vec<u8> = received(&peer, 3).await.into_iter().map(|(bytes, _)| bytes[0]).collect();
    assert_eq!(got, [0, 1, 2]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn kernel_drops_are_counted() {
    let (a, b) = (loopback(), loopback());
    assert_eq!(b.kernel_drops(), Some(0));
    let payload = vec![0; 60_000];
    let fits = 2 * b.receive_buffer() / payload.len();
    for _ in 0..fits {
        a.send(&payload, b.local_addr(), None).await.unwrap();
    }
    let drops = b.kernel_drops().expect("Linux tells");
    assert!(drops > 0 && drops < fits as u64, "{drops} of {fits}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_refused_train_and_all_later_ones_are_sent_one_datagram_at_a_time() {
    const SEGMENT: usize = 10;
    let (a, b) = (loopback(), loopback());
    if !a.has_gso() {
        return; // This kernel never sends trains: every other test covers that case.
    }
    // No kernel accepts that many in one call (UDP_MAX_SEGMENTS: 64, or 128); for more, it returns
    // the same error as for a device that cannot send trains.
    let train: Vec<u8> = (0..200_u8).flat_map(|n| [n; SEGMENT]).collect();
    let way = Way { to: b.local_addr(), source: None, ecn: None, segment: SEGMENT };
    for _ in 0..2 {
        std::future::poll_fn(|cx| a.poll_send_train(cx, &train, &way)).await.unwrap();
        assert!(!a.has_gso());
        let got: Vec<Vec<u8>> =
            received(&b, 200).await.into_iter().map(|(bytes, _)| bytes).collect();
        assert!(got.iter().map(Vec::as_slice).eq(train.chunks(SEGMENT)), "{} came", got.len());
    }
}
