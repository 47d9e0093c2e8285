//! Multicast groups and broadcasts that stay on this machine.
//!
//! Each test first checks whether the system itself delivers a group's datagrams; if not, it prints
//! this and is skipped.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    time::Duration,
};

use socket2::SockRef;

use crate::support::{
    Listener, hear, heard_by_now, json,
    process::{Process, hikyaku},
    send, stranger,
};

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 74, 19);

/// Of interface-local scope (RFC 4291 section 2.7): nothing leaves this machine.
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0x4a, 0x13);

/// Time for a datagram to pass through loopback.
const SOON: Duration = Duration::from_secs(2);

fn listen_on(options: &[&str]) -> Listener {
    let args = [&["listen", "--plain", "--format", "json"], options].concat();
    Listener::new(Process::start(hikyaku(&args)))
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn skipped(what: &str, error: &io::Error) {
    println!("skipped: this system has no {what} within this machine: {error}");
}

fn has_multicast_v4() -> bool {
    let tried = (|| {
        let receiver = UdpSocket::bind("0.0.0.0:0")?;
        receiver.set_read_timeout(Some(SOON))?;
        receiver.join_multicast_v4(&GROUP_V4, &Ipv4Addr::LOCALHOST)?;
        let sender = UdpSocket::bind("0.0.0.0:0")?;
        SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
        SockRef::from(&sender).bind_device(Some(b"lo"))?;
        sender.send_to(b"x", (GROUP_V4, receiver.local_addr()?.port()))?;
        receiver.recv(&mut [0; 1]).map(drop)
    })();
    tried.inspect_err(|e| skipped("IPv4 multicast", e)).is_ok()
}

/// Returns an interface that carries IPv6 groups: loopback seldom has a route for them.
fn multicast_v6_interface() -> Option<String> {
    let tried = (|| {
        let mut outcome = Err(io::Error::other("no network interface"));
        for folder in fs::read_dir("/sys/class/net")? {
            let name = folder?.file_name().into_string().unwrap_or_default();
            match carries_multicast_v6(&name) {
                Ok(()) => return Ok(name),
                Err(e) => outcome = Err(e),
            }
        }
        outcome
    })();
    tried.inspect_err(|e| skipped("IPv6 multicast", e)).ok()
}

fn carries_multicast_v6(interface: &str) -> io::Result<()> {
    let index = fs::read_to_string(format!("/sys/class/net/{interface}/ifindex"))?;
    let index = index.trim().parse().map_err(io::Error::other)?;
    let receiver = UdpSocket::bind("[::]:0")?;
    receiver.set_read_timeout(Some(SOON))?;
    receiver.join_multicast_v6(&GROUP_V6, index)?;
    let sender = UdpSocket::bind("[::]:0")?;
    SockRef::from(&sender).bind_device(Some(interface.as_bytes()))?;
    let port = receiver.local_addr()?.port();
    let to: SocketAddr = SocketAddrV6::new(GROUP_V6, port, 0, index).into();
    sender.send_to(b"x", to)?;
    receiver.recv(&mut [0; 1]).map(drop)
}

/// Returns the one datagram that a listener receives: its text and its destination address.
#[track_caller]
fn heard(listener: Listener) -> (String, String) {
    let line = listener.process.out.line(|_| true);
    let object = json(&line);
    let field = |name: &str| object[name].as_str().expect("it is a text").to_owned();
    (field("text"), field("to"))
}

#[test]
fn a_joined_ipv4_group_is_received() {
    if !has_multicast_v4() {
        return;
    }
    let group = GROUP_V4.to_string();
    let listener = listen_on(&["--join", &group, "--interface", "lo", "-4", ":0"]);
    let to = format!("{group}:{}", listener.address.port());
    let sent = send(&["--interface", "lo", &to, "hello all"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(heard(listener), ("hello all".to_owned(), to));
}

#[test]
fn a_dual_stack_listener_receives_an_ipv4_group_on_every_interface() {
    if !has_multicast_v4() {
        return;
    }
    let group = GROUP_V4.to_string();
    let listener = listen_on(&["--join", &group, ":0"]);
    let to = format!("{group}:{}", listener.address.port());
    let sent = send(&["--interface", "lo", &to, "hello all"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(heard(listener), ("hello all".to_owned(), to));
}

/// Returns what a listener of the IPv6 group receives; `GROUP` stands for its address.
#[track_caller]
fn heard_of_v6_group(interface: &str, host: &str) -> String {
    let group = GROUP_V6.to_string();
    let listener = listen_on(&["--join", &group, "--interface", interface, "[::]:0"]);
    let to = format!("[{}]:{}", host.replace("GROUP", &group), listener.address.port());
    let sent = send(&["--interface", interface, &to, "hello all"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let expected = format!("[{group}]:{}", listener.address.port());
    let (text, to) = heard(listener);
    assert_eq!(to, expected);
    text
}

#[test]
fn a_joined_ipv6_group_is_received() {
    if let Some(interface) = multicast_v6_interface() {
        assert_eq!(heard_of_v6_group(&interface, "GROUP"), "hello all");
    }
}

#[test]
fn an_ipv6_group_with_a_zone_is_reached() {
    if let Some(interface) = multicast_v6_interface() {
        let host = format!("GROUP%{interface}");
        assert_eq!(heard_of_v6_group(&interface, &host), "hello all");
    }
}

#[test]
fn two_listeners_share_the_port_of_a_group_and_both_receive() {
    if !has_multicast_v4() {
        return;
    }
    let group = GROUP_V4.to_string();
    let join = ["--join", &group, "--interface", "lo", "-4"];
    let first = listen_on(&[&join[..], &[":0"]].concat());
    let port = format!(":{}", first.address.port());
    let second = listen_on(&[&join[..], &[&port]].concat());
    let to = format!("{group}{port}");
    assert_eq!(send(&["--interface", "lo", &to, "both"]).code, Some(0));
    assert_eq!([heard(first).0, heard(second).0], ["both", "both"]);
}

#[test]
fn a_member_of_a_group_acknowledges_from_its_own_address() {
    if !has_multicast_v4() {
        return;
    }
    let group = GROUP_V4.to_string();
    let listener = listen_on(&["--join", &group, "--interface", "lo", "--ack", "-4", ":0"]);
    let to = format!("{group}:{}", listener.address.port());
    let sent = send(&["--interface", "lo", "--ack", &to, "hello"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

#[test]
fn a_broadcast_is_not_sent_without_the_option() {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    let to = format!("127.255.255.255:{}", socket.local_addr().expect("it is bound").port());
    let sent = send(&[&to, "x"]);
    assert_eq!((sent.code, sent.err.lines().count()), (Some(2), 1), "{sent:?}");
    assert!(sent.err.contains(&to) && sent.err.contains("--broadcast"), "{}", sent.err);
    assert!(heard_by_now(&socket).is_empty());
}

#[test]
fn a_broadcast_is_received_on_request() {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    socket.set_read_timeout(stranger().read_timeout().expect("it is set")).expect("it is a time");
    let port = socket.local_addr().expect("it is bound").port();
    let sent = send(&["--broadcast", &format!("127.255.255.255:{port}"), "x"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(hear(&socket).0, b"x");
}

#[test]
fn any_answer_to_a_broadcast_acknowledges_it() {
    let listener = listen_on(&["--ack", "-4", ":0"]);
    let to = format!("127.255.255.255:{}", listener.address.port());
    let sent = send(&["--broadcast", "--ack", &to, "x"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(heard(listener), ("x".to_owned(), to));
}
