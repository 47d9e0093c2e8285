//! The client's side of a chat, with a hikyaku room or with any program that fans lines out.
//!
//! In: typed lines, datagrams, the time. Out: datagrams to send, lines to show, when to wake.
//! Never: asks a clock, touches a socket or a terminal.

use std::collections::VecDeque;

use hikyaku::dialect::Dialect;
use hikyaku_text::{collapse_blanks, sanitize_bytes};

use crate::{
    limits::{
        ANSWER_WAIT, CLIENT_BURST, CLIENT_RATE, GREETING_WAIT, HELLO_AGAIN, HELLO_TRIES,
        HELLO_WAIT, KEEP_ALIVE, MAX_LINE_LEN, MAX_UNANSWERED, MAX_UNSHOWN_LINES, MAX_WAITING_LINES,
    },
    name::Name,
    plain::{strip_stamp, trim_end},
    rate::{Bucket, Rate},
    room::{GREETING, NAME_REFUSED},
    time::Time,
};

/// What the client wants done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the server.
    Send(String),
    /// Show this line. It is sanitised.
    Show(Shown),
    /// End the association with the server, so that what is sent next begins another.
    Renew,
    /// Nothing, until something happens or, where there is one, this time has come.
    Wait(Option<Time>),
    /// The client has left: everything has been sent. Further calls do nothing.
    Left,
    /// Nobody listens at the server's address: the network said so, and no answer came.
    Unreachable,
    /// The server says that it speaks another dialect, and nothing else came.
    OtherDialect(Dialect),
}

/// A line for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It begins with a time stamp of the server's.
    Stamped(String),
    /// It wants one.
    Unstamped(String),
}

/// Why a typed line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Too many lines wait to be sent.
    #[error("not sent: {MAX_WAITING_LINES} lines are waiting already; try again in a moment")]
    Full,
    /// It is longer than a room accepts.
    #[error("not sent: {0} bytes in a line, at most {MAX_LINE_LEN}")]
    TooLong(usize),
}

/// Who answers at the server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Nobody has yet. `hello_at`: when to say the next hello, of `tries` said so far.
    Unknown { tries: u32, hello_at: Option<Time>, decide_at: Time },
    /// Nothing came back by the time a room would have answered. It may be a room that hears
    /// another dialect: nothing typed leaves before something has come.
    Silent { hello_at: Time },
    /// A hikyaku room.
    Hikyaku,
    /// A program that knows nothing of hikyaku.
    Foreign,
}

/// Where the client stands between coming and going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Here,
    /// Leaves when all that waits has been sent.
    Leaving,
    Left,
    Unreachable,
    OtherDialect(Dialect),
}

/// A chat client. After each call that hands something in, call [`App::poll_output`] until it
/// says [`Output::Wait`].
#[derive(Debug)]
pub struct App {
    name: Name,
    server: Server,
    stage: Stage,
    /// Typed lines that may not be sent yet.
    waiting: VecDeque<String>,
    /// A datagram of the client's own, due at once.
    due: Option<String>,
    unshown: VecDeque<Shown>,
    pace: Bucket,
    last_sent: Time,
    /// Whether the network said that nobody listens, and nothing has been heard since.
    refused: bool,
    /// The server has sent something.
    heard: bool,
    /// The server is known to be a program that passes lines on.
    passes_on: bool,
    /// What the server says that it speaks.
    hint: Option<Dialect>,
    /// Where a room answers keep-alives.
    watch: Option<Watch>,
}

/// Keep-alives that are asked to be answered.
#[derive(Clone, Copy, Debug)]
struct Watch {
    last: Time,
    unanswered: u32,
}

impl App {
    /// A client that says hello at once.
    #[must_use]
    pub fn new(now: Time, name: Name) -> Self {
        let decide_at = now + GREETING_WAIT;
        Self {
            name,
            heard: false,
            passes_on: false,
            hint: None,
            server: Server::Unknown { tries: 0, hello_at: Some(now), decide_at },
            stage: Stage::Here,
            waiting: VecDeque::new(),
            due: None,
            unshown: VecDeque::new(),
            pace: Bucket::default(),
            last_sent: now,
            refused: false,
            watch: None,
        }
    }

    /// With a program that passes lines on to the others and may say nothing itself: where no room
    /// answers, lines go out all the same.
    #[must_use]
    pub fn with_any_program(self) -> Self {
        Self { passes_on: true, ..self }
    }

    /// Over DTLS, where a room answers keep-alives: that it does not, means that it has forgotten
    /// the association.
    #[must_use]
    pub fn over_dtls(self, now: Time) -> Self {
        Self { watch: Some(Watch { last: now, unanswered: 0 }), ..self }
    }

    /// Whether there is room for another typed line. Whoever reads from a pipe waits for it.
    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.stage == Stage::Here && self.waiting.len() < MAX_WAITING_LINES
    }

    /// Takes a line as typed. `q`, `/quit` or `/leave` alone leaves.
    ///
    /// # Errors
    /// When too many lines wait, or the line is too long; it is not sent then.
    pub fn handle_line(&mut self, line: &str) -> Result<(), LineError> {
        let line = line.trim_end();
        if self.stage != Stage::Here || line.is_empty() {
            return Ok(());
        }
        if matches!(line, "q" | "/quit" | "/leave") {
            if self.is_unknown() && self.waiting.is_empty() {
                // Nothing waits for an answer.
                self.server = Server::Hikyaku;
            }
            self.handle_end();
            return Ok(());
        }
        if line.len() > MAX_LINE_LEN {
            return Err(LineError::TooLong(line.len()));
        }
        if self.waiting.len() >= MAX_WAITING_LINES {
            return Err(LineError::Full);
        }
        self.waiting.push_back(line.to_owned());
        Ok(())
    }

    /// Leaves once all that waits has been sent: nothing more will be typed.
    pub fn handle_end(&mut self) {
        if self.stage == Stage::Here {
            self.stage = Stage::Leaving;
        }
    }

    /// Leaves at once; returns how many typed lines have not been sent.
    pub fn handle_interrupt(&mut self) -> usize {
        self.handle_end();
        if self.is_unknown() {
            // Better a farewell that a foreign program shows as it is than a room left waiting.
            self.server = Server::Hikyaku;
        }
        let unsent = self.waiting.len();
        self.waiting.clear();
        self.due = None;
        unsent
    }

    /// Takes in a datagram from the server.
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        if self.is_unknown() && Dialect::of_hint(datagram).is_some() {
            return;
        }
        self.heard = true;
        let text = collapse_blanks(sanitize_bytes(trim_end(datagram)));
        self.refused = false;
        if let Some(watch) = &mut self.watch {
            watch.unanswered = 0;
        }
        if text.is_empty() {
            return;
        }
        if let Some(notice) = strip_stamp(&text).and_then(|line| line.strip_prefix("* ")) {
            self.on_notice(notice);
        } else if self.is_unknown() && text.contains(&self.hello()) {
            // Our own hello came back as text: no hikyaku room does that.
            return self.on_foreign();
        } else if self.is_silent() {
            self.on_foreign();
        }
        let stamped = strip_stamp(&text).is_some();
        let text = text.into_owned();
        self.show(if stamped { Shown::Stamped(text) } else { Shown::Unstamped(text) });
    }

    /// The server says that it speaks another dialect. Anyone can say so in its name: it counts
    /// only where nothing else comes.
    pub fn handle_hint(&mut self, dialect: Dialect) {
        self.hint = Some(dialect);
    }

    /// The network says that nobody listens at the server's address.
    pub fn handle_refused(&mut self) {
        if !self.refused && !self.is_unknown() {
            self.notice("the server is gone; what you type may not arrive");
        }
        self.refused = true;
    }

    /// The way to the server is over, for this reason; the next datagram opens another.
    pub fn handle_parted(&mut self, why: &str) {
        self.notice(&format!("parted from the server: {why}; the next line begins anew"));
    }

    /// Does what is due by now: a hello again, a decision, a keep-alive.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.server {
            Server::Unknown { decide_at, .. } if decide_at <= now => self.on_no_greeting(now),
            Server::Silent { hello_at } if hello_at <= now => {
                self.server = Server::Silent { hello_at: now + HELLO_AGAIN };
                self.due = Some(self.hello());
            }
            Server::Unknown { tries, hello_at: Some(at), decide_at } if at <= now => {
                let tries = tries + 1;
                let wait = HELLO_WAIT.saturating_mul(1 << (tries - 1));
                let hello_at = (tries < HELLO_TRIES).then_some(at + wait);
                self.server = Server::Unknown { tries, hello_at, decide_at };
                self.due = Some(self.hello());
            }
            Server::Hikyaku if self.keep_alive_at() <= now => {
                if let Some(watch) = &mut self.watch {
                    watch.last = now;
                    watch.unanswered += 1;
                }
                self.due = Some(String::new());
            }
            _ => {}
        }
    }

    /// What to do next. Call again after each answer but the last three.
    pub fn poll_output(&mut self, now: Time) -> Output {
        if matches!(self.stage, Stage::Here | Stage::Leaving) {
            self.handle_timeout(now);
            if self.is_forgotten() {
                return self.renew();
            }
        }
        if let Some(shown) = self.unshown.pop_front() {
            return Output::Show(shown);
        }
        match self.stage {
            Stage::Left => return Output::Left,
            Stage::Unreachable => return Output::Unreachable,
            Stage::OtherDialect(dialect) => return Output::OtherDialect(dialect),
            Stage::Here | Stage::Leaving => {}
        }
        if let Some(datagram) = self.due.take().or_else(|| self.next_line(now)) {
            self.last_sent = now;
            return Output::Send(datagram);
        }
        // A line may have been for this client rather than for the server.
        if let Some(shown) = self.unshown.pop_front() {
            return Output::Show(shown);
        }
        if self.stage == Stage::Leaving && self.may_leave() {
            self.stage = Stage::Left;
            return Output::Send(self.farewell());
        }
        self.next_wait()
    }

    /// Everything has been sent that will be.
    fn may_leave(&self) -> bool {
        self.is_silent()
            || self.waiting.is_empty() && !matches!(self.server, Server::Unknown { .. })
    }

    /// Typed lines that have not been sent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.waiting.len()
    }

    fn keep_alive_at(&self) -> Time {
        match self.watch {
            None => self.last_sent + KEEP_ALIVE,
            Some(Watch { last, unanswered: 0 }) => last + KEEP_ALIVE,
            Some(Watch { last, .. }) => last + ANSWER_WAIT,
        }
    }

    fn is_forgotten(&self) -> bool {
        self.watch.is_some_and(|watch| watch.unanswered > MAX_UNANSWERED)
    }

    fn renew(&mut self) -> Output {
        if let Some(watch) = &mut self.watch {
            watch.unanswered = 0;
        }
        self.notice("the room does not answer any more; joining anew");
        self.due = Some(self.hello());
        Output::Renew
    }

    /// The next typed line in the form that the server needs, if it may be sent by now.
    fn next_line(&mut self, now: Time) -> Option<String> {
        if self.is_unknown() {
            return None;
        }
        while !self.waiting.is_empty() && self.pace.take(now, pace()) {
            let line = self.waiting.pop_front()?;
            let wish = line.strip_prefix("/name ").map(Name::parse);
            if self.server == Server::Hikyaku {
                if strip_stamp(&line).is_some() {
                    self.notice("not sent: a line with a time stamp in front is a room's own");
                    continue;
                }
                // Remembered for a room that forgets us, as it does when it starts again.
                if let Some(Ok(name)) = wish {
                    self.name = name;
                }
                return Some(line);
            }
            if let Some(command) = room_command(&line) {
                self.notice(&format!("not sent: only a hikyaku chat knows {command}"));
                continue;
            }
            match wish {
                None => return Some(format!("{}: {line}", self.name)),
                Some(Ok(name)) => {
                    let text = format!("{} is now {name}", self.name);
                    self.name = name;
                    self.notice(&text);
                    return Some(text);
                }
                Some(Err(why)) => self.notice(&format!("{NAME_REFUSED}{why}")),
            }
        }
        None
    }

    fn next_wait(&self) -> Output {
        let line_at = (!self.waiting.is_empty()).then(|| self.pace.ready_at(pace()));
        let next = match self.server {
            Server::Unknown { hello_at, decide_at, .. } => Some(hello_at.unwrap_or(decide_at)),
            Server::Hikyaku => {
                let keep_alive_at = self.keep_alive_at();
                Some(line_at.map_or(keep_alive_at, |at| at.min(keep_alive_at)))
            }
            Server::Foreign => line_at,
            Server::Silent { hello_at } => Some(hello_at),
        };
        Output::Wait(next)
    }

    fn on_notice(&mut self, notice: &str) {
        let greeting = notice.strip_prefix(GREETING);
        if greeting.is_none() && !notice.starts_with(NAME_REFUSED) {
            return;
        }
        let known = self.server == Server::Hikyaku;
        self.server = Server::Hikyaku;
        // A room that has started again greets us by our address, which, unlike a name, has a
        // colon. Asked for our name, it either obliges or refuses; it does not greet so again.
        let shown = greeting.and_then(|rest| rest.strip_prefix("; you are ")?.split(';').next());
        if known && shown.is_some_and(|shown| shown.contains(':')) {
            self.due = Some(self.hello());
        }
    }

    fn on_no_greeting(&mut self, now: Time) {
        if self.refused {
            self.stage = Stage::Unreachable;
        } else if self.heard || self.passes_on {
            self.on_foreign();
        } else if let Some(dialect) = self.hint {
            self.stage = Stage::OtherDialect(dialect);
        } else {
            self.server = Server::Silent { hello_at: now + HELLO_AGAIN };
            self.notice(
                "nothing answers there; what you type waits until something does. A room with \
                 --dtls, --fernet or --signed-by answers only to the same; for a program that \
                 passes lines on and says nothing itself, join with --foreign",
            );
        }
    }

    fn on_foreign(&mut self) {
        self.server = Server::Foreign;
        let name = &self.name;
        self.notice(&format!(
            "no hikyaku chat answers there, but another program: others see \"{name}: your text\""
        ));
    }

    /// The server is known, and it is no hikyaku chat.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.server == Server::Foreign
    }

    /// All has been said but, perhaps, the farewell.
    pub(crate) fn has_left(&self) -> bool {
        self.stage == Stage::Left
    }

    fn is_unknown(&self) -> bool {
        matches!(self.server, Server::Unknown { .. } | Server::Silent { .. })
    }

    /// Nothing answers at the server's address.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.server, Server::Silent { .. })
    }

    fn hello(&self) -> String {
        format!("/name {}", self.name)
    }

    fn farewell(&self) -> String {
        match self.server {
            Server::Foreign => format!("{} left", self.name),
            _ => "/quit".to_owned(),
        }
    }

    fn notice(&mut self, text: &str) {
        self.show(Shown::Unstamped(format!("* {text}")));
    }

    fn show(&mut self, shown: Shown) {
        if self.unshown.len() >= MAX_UNSHOWN_LINES {
            self.unshown.pop_front();
        }
        self.unshown.push_back(shown);
    }
}

fn pace() -> Rate {
    Rate::new(CLIENT_RATE, CLIENT_BURST)
}

/// A command that a room obeys and a foreign server would pass on for all to read.
fn room_command(line: &str) -> Option<&'static str> {
    let word = line.split_whitespace().next()?;
    ["/msg", "/who", "/help"].into_iter().find(|command| word.eq_ignore_ascii_case(command))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::{DEFAULT_BURST, DEFAULT_RATE};

    const GREETED: &[u8] = b"[12:00:00] * this is a hikyaku chat; you are alice; here: bob; /help";

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    fn alice() -> App {
        App::new(at(0), Name::parse("alice").unwrap())
    }

    /// All outputs until it waits or ends: sent datagrams after `>`, shown lines as they are.
    fn outputs(app: &mut App, millis: u64) -> Vec<String> {
        let mut outputs = Vec::new();
        loop {
            outputs.push(match app.poll_output(at(millis)) {
                Output::Send(datagram) => format!(">{datagram}"),
                Output::Show(Shown::Stamped(text) | Shown::Unstamped(text)) => text,
                Output::Wait(_) => return outputs,
                end => {
                    outputs.push(format!("{end:?}"));
                    return outputs;
                }
            });
        }
    }

    fn wait(app: &mut App, millis: u64) -> Option<Time> {
        outputs(app, millis);
        match app.poll_output(at(millis)) {
            Output::Wait(next) => next,
            other => panic!("{other:?}"),
        }
    }

    fn in_room() -> App {
        let mut app = alice();
        app.handle_datagram(GREETED);
        outputs(&mut app, 0);
        app
    }

    fn in_foreign_chat() -> App {
        let mut app = alice().with_any_program();
        outputs(&mut app, 0);
        outputs(&mut app, 1_500);
        app
    }

    #[test]
    fn over_dtls_a_room_that_answers_no_keep_alive_is_joined_anew() {
        let mut app = alice().over_dtls(at(0));
        app.handle_datagram(GREETED);
        outputs(&mut app, 0);
        // What is typed is no sign of its life.
        app.handle_line("hello?").unwrap();
        assert_eq!(outputs(&mut app, 59_000), [">hello?"]);
        for millis in [60_000, 65_000, 70_000, 75_000, 80_000] {
            assert_eq!(outputs(&mut app, millis - 1), [""; 0]);
            assert_eq!(outputs(&mut app, millis), [">"]);
        }
        assert_eq!(app.poll_output(at(85_000)), Output::Renew);
        let anew = ["* the room does not answer any more; joining anew", ">/name alice"];
        assert_eq!(outputs(&mut app, 85_000), anew);
        app.handle_datagram(b"");
        assert_eq!(wait(&mut app, 85_000), Some(at(145_000)));
    }

    #[test]
    fn over_dtls_one_answer_is_enough() {
        let mut app = alice().over_dtls(at(0));
        app.handle_datagram(GREETED);
        for millis in [60_000, 65_000, 70_000] {
            outputs(&mut app, millis);
        }
        app.handle_datagram(b"");
        assert_eq!(wait(&mut app, 70_000), Some(at(130_000)));
    }

    #[test]
    fn it_says_hello_three_times_and_ever_more_slowly() {
        let mut app = alice();
        for (millis, hellos) in [(0, 1), (299, 0), (300, 1), (899, 0), (900, 1), (1_499, 0)] {
            let sent = outputs(&mut app, millis);
            assert_eq!(sent, vec![">/name alice"; hellos], "at {millis} ms");
        }
    }

    #[test]
    fn it_wakes_for_each_hello_and_for_the_decision() {
        let mut app = alice();
        assert_eq!(wait(&mut app, 0), Some(at(300)));
        assert_eq!(wait(&mut app, 300), Some(at(900)));
        assert_eq!(wait(&mut app, 900), Some(at(1_500)));
    }

    #[test]
    fn a_greeting_ends_the_hellos() {
        let mut app = alice();
        outputs(&mut app, 0);
        app.handle_datagram(GREETED);
        assert_eq!(outputs(&mut app, 300), [String::from_utf8_lossy(GREETED)]);
    }

    #[test]
    fn a_refused_name_is_an_answer_too() {
        let mut app = alice();
        outputs(&mut app, 0);
        app.handle_datagram(b"[12:00:00] * name refused: alice is taken");
        outputs(&mut app, 0);
        assert!(outputs(&mut app, 5_000).is_empty());
    }

    #[test]
    fn lines_wait_for_the_greeting_and_go_out_bare() {
        let mut app = alice();
        app.handle_line("hi\n").unwrap();
        assert_eq!(outputs(&mut app, 0), [">/name alice"]);
        app.handle_datagram(GREETED);
        assert_eq!(outputs(&mut app, 10)[1..], [">hi"]);
    }

    #[test]
    fn nothing_typed_leaves_before_something_has_answered() {
        let mut app = alice();
        app.handle_line("a secret").unwrap();
        let mut sent = Vec::new();
        for millis in (0..60_000).step_by(100) {
            sent.extend(outputs(&mut app, millis).into_iter().filter(|out| out.starts_with('>')));
        }
        assert!(sent.len() > 10 && sent.iter().all(|hello| hello == ">/name alice"), "{sent:?}");
        app.handle_datagram(GREETED);
        assert_eq!(outputs(&mut app, 60_000)[1..], [">a secret"]);
    }

    #[test]
    fn what_was_never_sent_is_counted_by_one_who_leaves() {
        let mut app = alice();
        app.handle_line("a secret").unwrap();
        outputs(&mut app, 0);
        outputs(&mut app, 1_500);
        app.handle_end();
        assert_eq!(outputs(&mut app, 1_600), [">/quit", "Left"]);
        assert_eq!((app.unsent(), app.is_silent()), (1, true));
    }

    #[test]
    fn a_line_that_comes_late_shows_a_program_that_passes_lines_on() {
        let mut app = alice();
        app.handle_line("hi").unwrap();
        outputs(&mut app, 0);
        outputs(&mut app, 1_500);
        app.handle_datagram(b"bob is here");
        let heard = outputs(&mut app, 2_000);
        assert!(heard[0].starts_with("* no hikyaku chat"), "{heard:?}");
        assert_eq!(heard[1..], ["bob is here", ">alice: hi"]);
    }

    #[test]
    fn one_who_has_typed_nothing_leaves_at_once() {
        let mut app = alice();
        outputs(&mut app, 0);
        app.handle_line("q").unwrap();
        assert_eq!(outputs(&mut app, 1), [">/quit", "Left"]);
    }

    #[test]
    fn a_hint_counts_where_nothing_else_comes() {
        let mut app = alice();
        app.handle_line("a secret").unwrap();
        outputs(&mut app, 0);
        app.handle_hint(Dialect::Fernet);
        app.handle_datagram(b"?fernet");
        assert_eq!(outputs(&mut app, 1_500), ["OtherDialect(Fernet)"]);
        let mut app = alice();
        outputs(&mut app, 0);
        app.handle_hint(Dialect::Fernet);
        app.handle_datagram(GREETED);
        outputs(&mut app, 0);
        assert!(outputs(&mut app, 1_500).is_empty());
    }

    #[test]
    fn without_a_greeting_lines_carry_the_name() {
        let mut app = alice().with_any_program();
        app.handle_line("hi").unwrap();
        outputs(&mut app, 0);
        outputs(&mut app, 300);
        outputs(&mut app, 900);
        let told = outputs(&mut app, 1_500);
        assert!(told.contains(&">alice: hi".to_owned()), "{told:?}");
        assert_eq!(told.iter().filter(|line| line.starts_with("* no hikyaku chat")).count(), 1);
    }

    #[test]
    fn a_hello_that_comes_back_is_a_foreign_servers() {
        let mut app = alice();
        outputs(&mut app, 0);
        app.handle_datagram(b"127.0.0.1: /name alice");
        let told = outputs(&mut app, 10);
        assert!(told.len() == 1 && told[0].starts_with("* no hikyaku chat"), "{told:?}");
    }

    #[test]
    fn a_late_greeting_is_still_believed() {
        let mut app = in_foreign_chat();
        app.handle_datagram(GREETED);
        app.handle_line("hi").unwrap();
        assert_eq!(outputs(&mut app, 2_000)[1..], [">hi"]);
    }

    #[test]
    fn a_room_is_kept_alive_a_foreign_program_is_not() {
        assert_eq!(outputs(&mut in_room(), 60_000), [">"]);
        assert!(outputs(&mut in_foreign_chat(), 600_000).is_empty());
        assert_eq!(wait(&mut in_foreign_chat(), 600_000), None);
    }

    #[test]
    fn what_is_said_keeps_the_room_alive_as_well() {
        let mut app = in_room();
        app.handle_line("hi").unwrap();
        outputs(&mut app, 59_000);
        assert_eq!(wait(&mut app, 60_000), Some(at(119_000)));
    }

    #[test]
    fn leaving_says_so_in_the_servers_language() {
        for (mut app, farewell) in [(in_room(), ">/quit"), (in_foreign_chat(), ">alice left")] {
            app.handle_line("q").unwrap();
            assert_eq!(outputs(&mut app, 2_000), [farewell, "Left"]);
        }
    }

    #[test]
    fn a_pipe_that_ends_at_once_is_sent_before_leaving() {
        let mut app = alice();
        app.handle_line("hi").unwrap();
        app.handle_end();
        assert_eq!(outputs(&mut app, 0), [">/name alice"]);
        app.handle_datagram(GREETED);
        assert_eq!(outputs(&mut app, 10)[1..], [">hi", ">/quit", "Left"]);
    }

    #[test]
    fn an_interrupt_waits_for_nothing_and_counts_what_is_lost() {
        let mut app = alice();
        app.handle_line("hi").unwrap();
        outputs(&mut app, 0);
        assert_eq!(app.handle_interrupt(), 1);
        assert_eq!(outputs(&mut app, 0), [">/quit", "Left"]);
    }

    #[test]
    fn no_line_outruns_what_the_room_allows() {
        let mut app = in_room();
        let mut allowance = Bucket::default();
        let mut sent = 0;
        for millis in 0..20_000 {
            while app.handle_line("x").is_ok() && app.wants_line() {}
            for _ in outputs(&mut app, millis) {
                assert!(allowance.take(at(millis), Rate::new(DEFAULT_RATE, DEFAULT_BURST)));
                sent += 1;
            }
        }
        assert_eq!(sent, 100 + 20 * 40 - 1);
    }

    #[test]
    fn a_full_queue_refuses_rather_than_drop() {
        let mut app = alice();
        for _ in 0..MAX_WAITING_LINES {
            app.handle_line("x").unwrap();
        }
        assert!(!app.wants_line());
        assert_eq!(app.handle_line("x"), Err(LineError::Full));
    }

    #[test]
    fn a_line_too_long_is_refused_with_its_length() {
        let line = "x".repeat(MAX_LINE_LEN + 1);
        assert_eq!(alice().handle_line(&line), Err(LineError::TooLong(MAX_LINE_LEN + 1)));
    }

    #[test]
    fn nobody_there_is_said_when_the_network_says_it() {
        let mut app = alice();
        outputs(&mut app, 0);
        app.handle_refused();
        assert_eq!(outputs(&mut app, 1_500), ["Unreachable"]);
    }

    #[test]
    fn a_server_that_goes_away_is_told_once() {
        let mut app = in_room();
        app.handle_refused();
        app.handle_refused();
        assert_eq!(outputs(&mut app, 0), ["* the server is gone; what you type may not arrive"]);
    }

    #[test]
    fn a_room_that_forgot_our_name_hears_it_again() {
        let mut app = in_room();
        app.handle_datagram(b"[12:00:00] * this is a hikyaku chat; you are [::1]:5; here: bob");
        assert_eq!(outputs(&mut app, 0)[1..], [">/name alice"]);
    }

    #[test]
    fn a_name_changes_here_when_no_room_keeps_it() {
        let mut app = in_foreign_chat();
        app.handle_line("/name al").unwrap();
        app.handle_line("hi").unwrap();
        let told = outputs(&mut app, 2_000);
        assert_eq!(told, [">alice is now al", "* alice is now al", ">al: hi"]);
    }

    #[test]
    fn a_stamp_of_the_servers_is_kept_and_one_that_lacks_is_asked_for() {
        let mut app = in_room();
        app.handle_datagram(b"[12:00:00] bob: hi\n");
        app.handle_datagram(b"bob: hi");
        let stamped = Shown::Stamped("[12:00:00] bob: hi".to_owned());
        assert_eq!(app.poll_output(at(0)), Output::Show(stamped));
        let unstamped = Shown::Unstamped("bob: hi".to_owned());
        assert_eq!(app.poll_output(at(0)), Output::Show(unstamped));
    }

    #[test]
    fn what_is_shown_is_sanitised() {
        let mut app = in_room();
        app.handle_datagram(b"bob: \x1b[2J\xff\nforged");
        assert_eq!(outputs(&mut app, 0), ["bob: \\x1b[2J\\xff\\nforged"]);
    }

    #[test]
    fn no_row_is_filled_with_blanks() {
        let mut app = in_room();
        let datagram = format!("bob: hi{}[12:00:00] eve: hi", " ".repeat(70));
        app.handle_datagram(datagram.as_bytes());
        assert_eq!(outputs(&mut app, 0), ["bob: hi [12:00:00] eve: hi"]);
    }

    #[test]
    fn what_no_room_would_pass_on_is_said_here() {
        for (mut app, expected) in [
            (in_room(), "* not sent: a line with a time stamp in front is a room's own"),
            (in_foreign_chat(), ">alice: [12:00:00] bob: hi"),
        ] {
            app.handle_line("[12:00:00] bob: hi").unwrap();
            assert_eq!(outputs(&mut app, 2_000), [expected]);
        }
    }

    #[test]
    fn lines_nobody_takes_are_bounded() {
        let mut app = in_room();
        for _ in 0..2 * MAX_UNSHOWN_LINES {
            app.handle_datagram(b"flood");
        }
        assert_eq!(outputs(&mut app, 0).len(), MAX_UNSHOWN_LINES);
    }
}
