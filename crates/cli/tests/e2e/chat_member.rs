//! Members of a native chat: their lines are stored, sent once, and seen to arrive.

use std::{net::UdpSocket, thread, time::Instant};

use crate::support::{
    DEADLINE, Listener,
    chat::{is_stamped, leaves_well},
    json,
    native::Home,
    process::Process,
    refused,
    terminal::Terminal,
};

/// A chat without a person at the host, which keeps its history in the home.
#[track_caller]
fn host(home: &Home, address: &str) -> Listener {
    Listener::new(Process::start(home.command(&["chat", "host", "--headless", address])))
}

#[track_caller]
fn join(home: &Home, host: &Listener, name: &str, options: &[&str]) -> Process {
    let to = host.to();
    let args = [&["chat", "join", "--name", name], options, &[&to]].concat();
    Process::start(home.command(&args))
}

/// Joins and waits until the host has greeted.
#[track_caller]
fn join_chat(home: &Home, host: &Listener, name: &str) -> Process {
    let client = join(home, host, name, &[]);
    client.out.line(|line| line.contains("* this is a hikyaku chat; you are "));
    client
}

/// At a terminal.
#[track_caller]
fn sit_down(home: &Home, host: &Listener, name: &str) -> Terminal {
    let to = host.to();
    let terminal = Terminal::start(home.command(&["chat", "join", "--lines", "--name", name, &to]));
    terminal.shows("/help lists the commands", 1);
    terminal
}

/// Returns how far a message has got, each time it was printed.
fn states(output: &str, text: &str) -> Vec<String> {
    let objects = output.lines().map(json).filter(|object| object["text"] == text);
    objects.filter_map(|object| Some(object["state"].as_str()?.to_owned())).collect()
}

#[test]
fn an_own_message_is_printed_again_at_each_stage() {
    let (home, bens) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let ben = join_chat(&bens, &host, "ben");
    let mut ana = join(&home, &host, "ana", &["--json"]);
    ana.out.line(|line| line.contains(r#""state":"connected""#));
    ana.type_line("hello");
    ben.out.line(|line| is_stamped(line, "ana: hello"));
    let line = ana.out.line(|line| line.contains(r#""state":"delivered""#));
    let delivered = json(&line);
    assert_eq!((&delivered["to"], &delivered["of"]), (&1.into(), &1.into()), "{delivered}");
    ana.type_all(b"");
    let ended = ana.end();
    assert_eq!(states(ended.text(), "hello"), ["pending", "stored", "delivered"]);
    let ids: Vec<_> = ended.text().lines().map(json).filter(|o| o["text"] == "hello").collect();
    assert!(ids.iter().all(|object| object["id"] == ids[0]["id"] && object["own"] == true));
}

#[test]
fn lines_of_a_killed_client_are_sent_once_when_it_returns() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let first = host(&home, "127.0.0.1:0");
    let to = first.to();
    let mut ana = join(&anas, &first, "ana", &["--json"]);
    let ben = join_chat(&bens, &first, "ben");
    ana.out.line(|line| line.contains(r#""state":"connected""#));
    ana.type_line("before");
    ben.out.line(|line| is_stamped(line, "ana: before"));
    ana.out.line(|line| line.contains("before") && line.contains(r#""state":"stored""#));
    // Killed, both of them.
    drop(first);
    for n in 1..=3 {
        ana.type_line(&format!("meanwhile {n}"));
    }
    ana.out.line(|line| line.contains("meanwhile 3") && line.contains("pending"));
    drop(ana);
    let again = host(&home, &to);
    let ana = join(&anas, &again, "ana", &["--json"]);
    for n in 1..=3 {
        let text = format!("meanwhile {n}");
        ben.out.line(|line| is_stamped(line, &format!("ana: {text}")));
        ana.out.line(|line| line.contains(&text) && line.contains(r#""state":"stored""#));
    }
    let text = ben.out.text();
    let said: Vec<_> = text.lines().filter_map(|line| line.split_once("] ana: ")).collect();
    let said: Vec<_> = said.into_iter().map(|(_, said)| said).collect();
    assert_eq!(said, ["before", "meanwhile 1", "meanwhile 2", "meanwhile 3"]);
    assert!(!ana.out.text().contains("before"), "it was shown the last time: {:?}", ana.out);
}

#[test]
fn a_line_said_to_be_kept_by_a_refused_client_is_sent_the_next_time() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let args = ["chat", "host", "--headless", "--max-clients", "1", "127.0.0.1:0"];
    let host = Listener::new(Process::start(home.command(&args)));
    let ben = join_chat(&bens, &host, "ben");
    let to = host.to();
    let try_to_say = || anas.run(&["chat", "join", "--name", "ana", &to], b"tea\n");
    // A line that is read after the refusal is not kept.
    let refused = (0..50).map(|_| try_to_say()).find(|ended| ended.err.contains("kept here"));
    let refused = refused.expect("a line is read before the refusal, in most cases");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    ben.interrupt();
    assert_eq!(ben.end().code, Some(0));
    let ended = anas.run(&["chat", "join", "--wait", "20s", "--name", "ana", &to], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    host.process.out.line(|line| line.contains("ana: tea"));
}

#[test]
fn lines_not_stored_at_the_end_are_named_and_sent_the_next_time() {
    let (home, anas) = (Home::new(), Home::new());
    let first = host(&home, "127.0.0.1:0");
    let to = first.to();
    let mut ana = join_chat(&anas, &first, "ana");
    drop(first);
    ana.out.line(|line| line.contains("the host cannot be reached"));
    ana.type_line("late");
    ana.type_line("/quit");
    let ended = ana.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("not sent: 1 line, kept here"), "{}", ended.err);
    let again = host(&home, &to);
    let ended = anas.run(&["chat", "join", "--name", "ana", &again.to()], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().lines().any(|line| is_stamped(line, "ana: late")), "{ended:?}");
}

#[test]
fn a_client_without_an_outbox_reports_lost_lines() {
    let (home, anas) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let mut ana = join(&anas, &host, "ana", &["--no-outbox"]);
    ana.out.line(|line| line.contains("you are ana"));
    drop(host);
    ana.out.line(|line| line.contains("the host cannot be reached"));
    ana.type_line("lost");
    ana.type_line("/quit");
    let ended = ana.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.ends_with("not sent: 1 line\n"), "{}", ended.err);
    assert!(!anas.path().join(".local").exists());
}

#[test]
fn rooms_whispers_and_lines_with_a_slash_work() {
    let (home, bens) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let mut ben = join_chat(&bens, &host, "ben b.");
    let mut ana = join_chat(&home, &host, "ana");
    ana.type_line("/msg \"ben b.\" psst");
    ben.out.line(|line| is_stamped(line, "ana -> you: psst"));
    ana.type_line("//etc/hosts");
    ben.out.line(|line| is_stamped(line, "ana: /etc/hosts"));
    ana.type_line("/me waves");
    ben.out.line(|line| is_stamped(line, "* ana: waves"));
    ana.type_line("/join garden");
    ana.type_line("only here");
    ana.out.line(|line| is_stamped(line, "#garden ana: only here"));
    ben.type_line("/join garden");
    ben.out.line(|line| line.contains("talking in #garden"));
    ben.type_line("I am here, too");
    ana.out.line(|line| is_stamped(line, "#garden ben b.: I am here, too"));
    leaves_well(ana);
    leaves_well(ben);
}

#[test]
fn hostile_lines_cannot_control_a_terminal_or_stop_the_chat() {
    let (home, eves, bens) = (Home::new(), Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let mut ben = join_chat(&bens, &host, "ben");
    let mut eve = join_chat(&eves, &host, "eve");
    eve.type_line("\x1b[2J\x1b]0;owned\x07 \u{202e}gnp.exe \u{200b}");
    let line = ben.out.line(|line| line.contains("gnp.exe"));
    assert!(line.chars().all(hikyaku_text::is_safe), "{line:?}");
    eve.type_line("/nick a\u{200b}na");
    eve.out.line(|line| line.contains("name refused"));
    eve.type_part(&vec![b'x'; 10 << 20]);
    eve.type_line("");
    eve.out.line(|line| line.contains("not sent: ") && line.contains("may have 16384"));
    eve.type_all(b"after it");
    ben.out.line(|line| is_stamped(line, "eve: after it"));
    let ended = eve.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("2 lines were not accepted"), "{}", ended.err);
    let mut ana = join_chat(&home, &host, "ana");
    ana.type_line("still here");
    ben.out.line(|line| is_stamped(line, "ana: still here"));
    ben.type_line("so am I");
    ana.out.line(|line| is_stamped(line, "ben: so am I"));
}

#[test]
fn a_program_gets_the_typed_text_and_no_terminal_obeys_it() {
    let (home, bens) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let ben = join(&bens, &host, "ben", &["--json"]);
    ben.out.line(|line| line.contains(r#""state":"connected""#));
    let mut ana = join_chat(&home, &host, "ana");
    let text = "a\tb\x1b[2J \u{202e}c\u{9b}d";
    ana.type_line(text);
    let line = ben.out.line(|line| line.contains(r#""kind":"said""#));
    assert!(line.chars().all(hikyaku_text::is_safe), "{line:?}");
    assert_eq!(json(&line)["text"], text);
    ana.out.line(|line| is_stamped(line, r"ana: a\tb\x1b[2J \u{202e}c\u{9b}d"));
}

#[test]
fn lines_after_the_one_that_leaves_are_counted() {
    let home = Home::new();
    let host = host(&home, "127.0.0.1:0");
    let mut ana = join(&home, &host, "ana", &[]);
    ana.type_all(b"one\n/quit\ntwo\n\nthree\n");
    let ended = ana.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.ends_with("hikyaku: 2 lines after /quit were not sent\n"), "{}", ended.err);
    assert!(!ended.text().contains("two"), "{}", ended.text());
}

#[test]
fn a_second_terminal_of_a_key_reports_that_it_has_the_name_of_the_first() {
    let home = Home::new();
    let host = host(&home, "127.0.0.1:0");
    let ana = join_chat(&home, &host, "ana");
    let zoe = join(&home, &host, "zoe", &[]);
    zoe.out.line(|line| line.contains("you are here already as ana") && line.contains("/nick zoe"));
    leaves_well(zoe);
    leaves_well(ana);
}

#[test]
fn leaving_a_host_that_is_gone_waits_only_for_lines_and_names_them() {
    let (home, anas) = (Home::new(), Home::new());
    for (line, waits) in [("/who", false), ("kept", true)] {
        let host = host(&home, "127.0.0.1:0");
        let mut ana = join(&anas, &host, "ana", &["--wait", "30s"]);
        ana.out.line(|line| line.contains("* this is a hikyaku chat; you are "));
        drop(host);
        ana.out.line(|line| line.contains("cannot be reached"));
        ana.type_all(format!("{line}\n").as_bytes());
        if waits {
            ana.out.line(|line| line.contains("* 1 line is not stored yet; waiting for the host"));
            ana.interrupt();
        }
        let ended = ana.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let why = if waits { "not sent: 1 line" } else { "1 command was not answered" };
        assert!(ended.err.contains(why), "{ended:?}");
    }
}

#[test]
fn a_pipe_to_a_missing_or_wrong_host_reports_what_was_not_sent() {
    let (home, anas) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let to = host.to();
    let other = format!("SHA256:{}", "A".repeat(43));
    let nobodys = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (args, code) in [(&["--trust", &*other, &*to][..], 3), (&[&*nobodys], 1)] {
        let ended = anas.run(&[&["chat", "join"], args].concat(), b"one\n\ntwo\n");
        assert!(ended.code == Some(code) && ended.err.contains("not sent: 2 lines"), "{ended:?}");
    }
}

#[test]
fn an_invite_with_a_shared_key_needs_the_key_before_anything_is_printed() {
    let ended = Home::new().run(&["chat", "host", "--invite", "shared", "127.0.0.1:0"], b"");
    assert!(ended.code == Some(2) && ended.out.is_empty(), "{ended:?}");
    assert!(!ended.err.contains("listening"), "{ended:?}");
}

#[test]
fn a_pasted_block_is_text_even_if_it_contains_a_command() {
    let (home, bens) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let ben = join_chat(&bens, &host, "ben");
    let mut ana = sit_down(&home, &host, "ana");
    ana.press("\x1b[200~one\nq\n\n/quit\nthree\x1b[201~\r");
    // One message, and one line for a program.
    ben.out.line(|line| is_stamped(line, r"ana: one\nq\n\n/quit\nthree"));
    ana.shows("delivered to 1 of 1", 1);
    ana.press("q\r");
    assert_eq!(ana.end().code, Some(0));
}

#[test]
fn the_terminal_is_restored_after_a_signal_and_after_late_keys() {
    let (home, anas) = (Home::new(), Home::new());
    let host = host(&home, "127.0.0.1:0");
    let ana = sit_down(&anas, &host, "ana");
    let deadline = Instant::now() + DEADLINE;
    while ana.is_cooked() {
        assert!(Instant::now() < deadline, "lines are edited");
        thread::yield_now();
    }
    ana.terminate();
    assert!(ana.ends_within(DEADLINE));
    assert!(ana.is_cooked(), "after SIGTERM");

    let mut ana = sit_down(&anas, &host, "ana");
    host.process.signal("STOP");
    ana.press("waits\r");
    ana.shows("waits", 2);
    ana.press("/quit\r");
    for key in "typed while it leaves\rand more".chars() {
        ana.press(&key.to_string());
    }
    assert!(ana.ends_within(DEADLINE));
    assert!(ana.is_cooked(), "after keys at the end");
    host.process.signal("CONT");
}

#[test]
fn a_name_that_is_not_found_is_searched_in_two_ways_and_both_are_named() {
    let home = Home::new();
    let ended = home.run(&["chat", "join", "no-such-name-anywhere"], b"hello\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    for word in ["no host announces \"no-such-name-anywhere\"", "cannot", "`hikyaku chat find`"] {
        assert!(last.contains(word), "{word}: {last}");
    }
    refused(2, &[(&["chat", "join", "--name", "", ":9"], &["--name"])]);
}
