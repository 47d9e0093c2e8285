//! Sends many datagrams from a Python loop to `hikyaku listen` and accounts for each.
//!
//! Every lost datagram must be reported.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::UdpSocket;
use std::time::Duration;

use crate::output::{Dropped, json_lines, text_of};
use crate::process::Process;
use crate::programs::{bound_address, hikyaku, python, run};

const END: &str = "the end";

/// Checks that each of `count` datagrams is printed or reported as dropped by the kernel, and none
/// by us.
#[track_caller]
pub fn flood(count: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("received.json");
    let options = ["--format", "json", "--until", END, "--for", "120s", "127.0.0.1:0"];
    let mut command = hikyaku(&["listen", "--plain"]);
    command.args(options).stdout(File::create(&path).expect("a temporary file can be made"));
    let listener = Process::start_with_output_elsewhere(command);
    let address = bound_address(&listener);

    let port = address.port().to_string();
    let sent = run(python("send_loop.py", &["127.0.0.1", &port, &count.to_string(), "64"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");

    // The kernel may drop the end marker too, so it is repeated until it arrives.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let mut ends = 0;
    while ends == 0 || !listener.ends_within(Duration::from_millis(200)) {
        assert!(ends < 300, "listen does not end: {listener:?}");
        socket.send_to(END.as_bytes(), address).expect("loopback takes a datagram");
        ends += 1;
    }
    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");

    let printed = fs::read_to_string(&path).expect("the output is there");
    let objects = json_lines(&printed);
    let numbered: Vec<u64> =
        objects.iter().filter(|object| object["bytes"] == 64).map(number).collect();
    let distinct: BTreeSet<u64> = numbered.iter().copied().collect();
    assert_eq!(distinct.len(), numbered.len(), "a datagram was printed twice");
    assert!(distinct.iter().all(|number| *number < count), "a datagram was invented");

    let dropped = Dropped::read(&exit.err);
    assert_eq!(dropped.by_us(), 0, "{}", exit.err);
    let accounted = numbered.len() as u64 + dropped.by_the_kernel();
    assert!(
        (count..=count + ends).contains(&accounted),
        "of {count}, {} arrived and the kernel dropped {}: {}",
        numbered.len(),
        dropped.by_the_kernel(),
        exit.err,
    );
}

#[track_caller]
fn number(object: &serde_json::Value) -> u64 {
    let word = text_of(object).split(' ').next().unwrap_or_default();
    word.parse().unwrap_or_else(|_| panic!("not one of ours: {object}"))
}
