//! `ncat -u` in both roles, and in our chat.

use std::process::Command;

use hikyaku_interop::{Process, Room, Stream, hikyaku, json_lines, listen, run, text_of, udp_port};

fn ncat(args: &[&str]) -> Process {
    let mut command = Command::new("ncat");
    command.arg("-u").args(args);
    Process::start(command)
}

#[test]
fn listen_hears_ncat() {
    let (listener, address) = listen(&["--format", "json", "--once", "--for", "20s"]);
    let mut client = ncat(&["127.0.0.1", &address.port().to_string()]);
    client.type_line("hello");
    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(text_of(&json_lines(&exit.out)[0]), "hello\n");
}

#[test]
fn ncat_hears_send() {
    let server = ncat(&["-l", "127.0.0.1", "0"]);
    let address = format!("127.0.0.1:{}", udp_port(&server));
    let sent = run(hikyaku(&["send", "--plain", &address, "hello ", "飛脚"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    server.wait_for_text(Stream::Out, "hello 飛脚");
}

#[test]
fn send_prints_the_reply_of_ncat() {
    let mut server = ncat(&["-l", "127.0.0.1", "0"]);
    let address = format!("127.0.0.1:{}", udp_port(&server));
    let sender = Process::start(hikyaku(&["send", "--plain", "--reply", "20s", &address, "who?"]));
    server.wait_for_text(Stream::Out, "who?");
    server.type_line("it is ncat");
    sender.wait_for_text(Stream::Out, "it is ncat");
}

#[test]
fn listen_echoes_to_ncat() {
    let (_listener, address) = listen(&["--echo"]);
    let mut client = ncat(&["127.0.0.1", &address.port().to_string()]);
    client.type_line("hello, echo");
    client.wait_for_text(Stream::Out, "hello, echo\n");
}

#[test]
fn ncat_takes_part_in_our_chat() {
    let room = Room::open();
    let mut ben = ncat(&["127.0.0.1", &room.port]);
    ben.type_line("/name ben");
    room.wait_until_announced("ben");
    room.ana_talks_with(&mut ben);
}
