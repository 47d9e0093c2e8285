//! `socat` as sender, listener and acknowledging server, over IPv4 and IPv6.

use std::net::SocketAddr;
use std::process::Command;

use hikyaku_interop::{
    Process, Stream, bound_address, hikyaku, json_lines, listen, run, text_of, udp_port,
};

fn socat(args: &[&str]) -> Process {
    let mut command = Command::new("socat");
    command.args(args);
    Process::start(command)
}

#[test]
fn listen_hears_socat() {
    let (listener, address) = listen(&["--format", "json", "--once", "--for", "20s"]);
    let mut sender = socat(&["-u", "-", &format!("UDP4-SENDTO:{address}")]);
    sender.type_all("hello");
    sender.wait_for_end();
    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(text_of(&json_lines(&exit.out)[0]), "hello");
}

#[test]
fn socat_hears_send() {
    let server = socat(&["-u", "UDP4-RECV:0,bind=127.0.0.1", "-"]);
    let address = format!("127.0.0.1:{}", udp_port(&server));
    let sent = run(hikyaku(&["send", "--plain", &address, "hello ", "飛脚"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    server.wait_for_text(Stream::Out, "hello 飛脚");
}

#[test]
fn one_listener_hears_both_families() {
    let options = ["listen", "--plain", "--format", "json", "--for", "20s", "--count", "2", ":0"];
    let listener = Process::start(hikyaku(&options));
    let bound = bound_address(&listener);
    let port = bound.port();
    let v4 = socat(&["-u", "-", &format!("UDP4-SENDTO:127.0.0.1:{port}")]);
    let other = match bound {
        SocketAddr::V6(_) => format!("UDP6-SENDTO:[::1]:{port}"),
        // Without IPv6 on this machine the listener has fallen back, and the second sender uses
        // IPv4 as well.
        SocketAddr::V4(_) => format!("UDP4-SENDTO:127.0.0.1:{port}"),
    };
    let other_sender = if bound.is_ipv6() { "[::1]:" } else { "127.0.0.1:" };
    for mut sender in [v4, socat(&["-u", "-", &other])] {
        sender.type_all("hello");
        sender.wait_for_end();
    }

    let exit = listener.wait_for_end();
    let objects = json_lines(&exit.out);
    let senders: Vec<&str> = objects.iter().filter_map(|object| object["from"].as_str()).collect();
    let [first, second] = senders[..] else { panic!("not two senders: {exit:?}") };
    assert!(first.starts_with("127.0.0.1:") && second.starts_with(other_sender), "{exit:?}");
}

#[test]
fn socat_acknowledges() {
    let answer = "SYSTEM:head -c 1 >/dev/null; printf ACK";
    let server = socat(&["UDP4-RECVFROM:0,bind=127.0.0.1,fork", answer]);
    let address = format!("127.0.0.1:{}", udp_port(&server));
    let sent = run(hikyaku(&["send", "--plain", "--ack", &address, "one", "two", "three"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
}
