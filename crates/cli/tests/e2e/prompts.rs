//! Prompts at a terminal: typed lines are sent, and every way to leave works.

use crate::support::{
    DEADLINE, address_of,
    chat::room,
    file_in, folder, hear, heard_by_now,
    native::Home,
    process::hikyaku,
    stranger,
    terminal::{Terminal, controlled},
};

/// The text of a prompt, without the cursor movements after it.
const PROMPT: &str = "> ";

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// Starts `send` at its prompt.
fn send(home: &Home, args: &[&str]) -> Terminal {
    let terminal = Terminal::start(home.command(&[&["send"], args].concat()));
    terminal.shows(PROMPT, 1);
    terminal
}

#[test]
fn no_way_to_leave_an_idle_prompt_is_a_failure() {
    let home = Home::new();
    let listener = home.listen(&["--format", "lines"]);
    for (number, leaving) in ["q\r", CTRL_D, CTRL_C, "half a line\x03"].into_iter().enumerate() {
        let mut terminal = send(&home, &[&listener.to()]);
        terminal.press("hello\r");
        terminal.shows(PROMPT, 2);
        terminal.press(leaving);
        let ended = terminal.end();
        assert_eq!(ended.code, Some(0), "{leaving:?}: {ended:?}");
        assert!(ended.text().contains("1 message written by"), "{leaving:?}: {ended:?}");
        let printed = listener.process.out.says_times("hello\n", number + 1, DEADLINE);
        assert!(printed, "{leaving:?}: {:?}", listener.process.out);
    }
    assert_eq!(listener.interrupt().text(), "hello\nhello\nhello\nhello\n");
}

#[test]
fn ctrl_d_after_a_text_neither_sends_nor_loses_it() {
    let home = Home::new();
    let program = stranger();
    let mut terminal = send(&home, &["--plain", &address_of(&program)]);
    terminal.press("a text\x04");
    terminal.press(" and more\r");
    assert_eq!(hear(&program).0, b"a text and more");
    terminal.shows(PROMPT, 2);
    terminal.press(CTRL_D);
    assert_eq!(terminal.end().code, Some(0));
    assert!(heard_by_now(&program).is_empty());
}

#[test]
fn q_leaves_while_waiting_for_an_acknowledgement() {
    let home = Home::new();
    let program = stranger();
    let mut terminal = send(&home, &["--plain", "--ack", "--timeout", "1h", &address_of(&program)]);
    terminal.press("hello\r");
    assert_eq!(hear(&program).0, b"hello");
    terminal.press("q\r");
    let ended = terminal.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text().contains("1 line was not acknowledged"), "{ended:?}");
}

#[test]
fn leaving_while_the_listener_is_silent_reports_what_it_waits_for() {
    let home = Home::new();
    let listener = home.listen(&["--format", "lines"]);
    let mut terminal = send(&home, &[&listener.to()]);
    listener.process.signal("STOP");
    terminal.press("hello\rq\r");
    terminal.shows("to confirm what was sent; Ctrl-C gives up", 1);
    listener.process.signal("CONT");
    let ended = terminal.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn replies_are_shown_above_the_prompt() {
    let home = Home::new();
    let program = stranger();
    let mut terminal = send(&home, &["--plain", "--reply", &address_of(&program)]);
    terminal.press("hello\r");
    let (_, from) = hear(&program);
    program.send_to(b"an \x1b[2J answer", from).expect("loopback takes it");
    terminal.shows("an \\x1b[2J answer", 1);
    terminal.press("q\r");
    assert_eq!(terminal.end().code, Some(0));
}

#[test]
fn a_chat_at_a_terminal_shows_others_and_q_leaves() {
    let room = room(&[]);
    let args = ["chat", "join", "--plain", "--name", "ana", &room.to()];
    let mut terminal = Terminal::start(hikyaku(&args));
    terminal.shows("you are ana;", 1);
    terminal.press("q\r");
    assert_eq!(terminal.end().code, Some(0));
}

#[test]
fn a_continued_command_shows_its_partial_line_again_and_reads_keys() {
    let room = room(&[]);
    let args = ["chat", "join", "--plain", "--name", "ana", &room.to()];
    let mut terminal = Terminal::start(hikyaku(&args));
    terminal.shows("you are ana;", 1);
    terminal.press("half");
    terminal.shows("half", 1);
    let before = terminal.screen.text().matches("> half").count();
    terminal.stop_and_continue();
    terminal.shows("> half", before + 1);
    assert!(!terminal.is_cooked());
    terminal.press("\x15q\r");
    assert_eq!(terminal.end().code, Some(0));
}

#[test]
fn a_question_for_a_secret_hides_the_answer_after_a_stop_too() {
    let folder = folder();
    let file = file_in(folder.path(), "key");
    let asks = hikyaku(&["keygen", "--passphrase", &file]);
    let mut terminal = Terminal::start(controlled(&asks, "/dev/tty"));
    terminal.shows("Passphrase: ", 1);
    terminal.stop_and_continue();
    terminal.shows("Passphrase: ", 2);
    terminal.hides_keys();
    terminal.press("flying feet\r");
    terminal.shows("The same again: ", 1);
    terminal.hides_keys();
    terminal.press("flying feet\r");
    let ended = terminal.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.text().contains("flying"), "the secret is shown: {ended:?}");
}

#[test]
fn a_question_for_a_secret_that_is_interrupted_restores_the_terminal() {
    let folder = folder();
    let file = file_in(folder.path(), "key");
    let asks = hikyaku(&["keygen", "--passphrase", &file]);
    // The answer is read from the terminal, whatever standard input is.
    let terminal = Terminal::start(controlled(&asks, "/dev/null"));
    terminal.shows("Passphrase: ", 1);
    terminal.hides_keys();
    terminal.terminate();
    assert!(terminal.ends_within(DEADLINE));
    assert!(terminal.is_cooked());
}
