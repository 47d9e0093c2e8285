//! A hundred thousand datagrams at once, each accounted for.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    thread,
    time::Duration,
};

use crate::support::{
    Listener, dropped, folder, json,
    process::{Process, hikyaku},
    stranger,
};

const COUNT: usize = 100_000;
const END: &str = "the end";

#[test]
fn each_of_100_000_datagrams_is_printed_once_or_counted_as_dropped_by_the_kernel() {
    let folder = folder();
    let path = folder.path().join("received.json");
    let args = ["listen", "--plain", "--format", "json", "--until", END, "127.0.0.1:0"];
    let mut command = hikyaku(&args);
    command.stdout(File::create(&path).expect("the folder is ours"));
    let listener = Listener::new(Process::start_with_output_elsewhere(command));

    let client = stranger();
    let send = |text: &str| client.send_to(text.as_bytes(), listener.address);
    for number in 0..COUNT {
        send(&format!("{number:<64}")).expect("loopback takes it");
        if number % 64 == 0 {
            // About 60,000 per second: an unoptimised listener on a shared core keeps up.
            thread::sleep(Duration::from_millis(1));
        }
    }
    // The kernel may drop the end as well, so it is repeated until it arrives.
    let mut ends = 0;
    while ends == 0 || !listener.process.ends_within(Duration::from_millis(500)) {
        assert!(ends < 100, "it does not end: {:?}", listener.process);
        let _ = send(END);
        ends += 1;
    }
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let printed = fs::read_to_string(&path).expect("the output is there");
    let mut arrived = BTreeSet::new();
    for line in printed.lines() {
        let object = json(line);
        let text = object["text"].as_str().expect("all of it is text");
        if text != END {
            assert_eq!(object["bytes"], 64, "{line}");
            let number: usize = text.trim_end().parse().expect("it is one of ours");
            assert!(number < COUNT && arrived.insert(number), "invented or repeated: {line}");
        }
    }
    let lost = usize::try_from(dropped(&ended.err, "by the kernel")).expect("64 bits");
    let accounted = arrived.len() + lost;
    // One end was received; the kernel may have dropped the others.
    assert!(
        (COUNT..COUNT + ends).contains(&accounted),
        "{} arrived, {lost} lost, {ends} ends: {}",
        arrived.len(),
        ended.err,
    );
    // An account of nothing but losses would be correct, too.
    assert!(arrived.len() > COUNT / 10, "{} arrived, {lost} lost", arrived.len());
}
