//! Screens as text, as a reader sees them at 80 and at 40 columns.

use std::sync::Arc;

use hikyaku_chat::{
    Stamp,
    entry::Entry,
    event::{Author, Event, Kind, MemberId, PageOf, Roll, Seq},
    json::Progress,
    member::{self, Line, Shown},
    message_id::MessageId,
    room_name::RoomName,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui_core::{backend::TestBackend, layout::Position, terminal::Terminal};

use super::draw;
use crate::{
    Effect, Input, Setup, State,
    key::{Code, Key},
};

const FAMILY: &str = "👩\u{200d}👩\u{200d}👧\u{200d}👦";
/// Half past eight in the evening of the last day of 2026.
const EVENING: u64 = 1_798_749_000_000;
const READER: MemberId = MemberId(1);

/// A screen with its clock.
struct Seat {
    state: State,
    at: u64,
    seq: u64,
    effects: Vec<Effect>,
}

impl Seat {
    fn new(columns: u16, rows: u16) -> Self {
        let mut setup = Setup::new("ana", TimeZone::UTC);
        setup.has_colour = false;
        let mut seat = Self { state: State::new(setup), at: EVENING, seq: 0, effects: Vec::new() };
        seat.input(Input::Size { columns, rows });
        seat
    }

    /// A member whom the host has greeted, in two rooms.
    fn greeted(columns: u16, rows: u16) -> Self {
        let mut seat = Self::new(columns, rows);
        let rooms = vec![RoomName::general(), garden()];
        seat.input(Input::Shown(Shown::Rooms { rooms, current: RoomName::general() }));
        seat.input(Input::Shown(Shown::State(member::State::Connected)));
        let mut others = Roll::default();
        others.names = vec!["ben".into(), "花子".into()];
        let you = Author::new(READER, "ana");
        let greeting = Kind::Greeted {
            you,
            others,
            head: Seq(0),
            log: None,
            durable: true,
            rooms: vec![RoomName::general(), garden()],
        };
        seat.show(Event::new(seat.now(), None, None, greeting));
        // Nothing was said before.
        seat.answer(PageOf::History, &[], false);
        seat.effects.clear();
        seat
    }

    fn now(&self) -> Stamp {
        Stamp::from_millis(self.at)
    }

    fn input(&mut self, input: Input) {
        let effects = self.state.on(input, self.now());
        self.effects.extend(effects);
    }

    fn show(&mut self, event: Event) {
        self.input(Input::Shown(Shown::Event(Box::new(Line::new(Arc::new(event), Some(READER))))));
    }

    fn said(&mut self, name: &str, text: &str) -> Event {
        self.seq += 1;
        let author = Some(Author::new(MemberId(2), name));
        let kind = Kind::Said { text: text.to_owned(), emote: false };
        let mut event = Event::new(self.now(), author, None, kind);
        event.seq = Some(Seq(self.seq));
        event
    }

    fn hears(&mut self, name: &str, text: &str) {
        let event = self.said(name, text);
        self.show(event);
    }

    /// An own message in transit.
    fn own(&mut self, number: u8, text: &str, progress: Progress, is_update: bool) {
        let mut event = self.said("ana", text);
        event.author = Some(Author::new(READER, "ana"));
        event.id = Some(MessageId::new(Stamp::from_millis(1), [number; 10]));
        if progress == Progress::Pending {
            event.seq = None;
        }
        let mut line = Line::new(Arc::new(event), Some(READER));
        line.context.own = Some(progress);
        line.is_update = is_update;
        self.input(Input::Shown(Shown::Event(Box::new(line))));
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.input(Input::Key(Code::Char(c).into()));
        }
    }

    fn press(&mut self, code: Code) {
        self.input(Input::Key(code.into()));
    }

    /// An answer from the host.
    fn answer(&mut self, of: PageOf, texts: &[(u64, &str)], more: bool) {
        let page = Kind::Page { of, count: texts.len(), more };
        self.show(Event::new(self.now(), None, None, page));
        for (seq, text) in texts {
            let mut event = self.said("ben", text);
            event.seq = Some(Seq(*seq));
            event.at = Stamp::from_millis(EVENING - 86_400_000);
            self.show(event);
        }
    }

    fn screen(&self, columns: u16, rows: u16) -> (Vec<String>, Position) {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(&self.state, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let row = |y| {
            let mut x = 0;
            let mut row = String::new();
            while x < columns {
                let symbol = buffer[(x, y)].symbol();
                row += symbol;
                x += u16::try_from(crate::wrap::width(symbol).max(1)).unwrap();
            }
            row.trim_end().to_owned()
        };
        let caret = terminal.get_cursor_position().unwrap();
        ((0..rows).map(row).collect(), caret)
    }

    #[track_caller]
    fn shows(&self, columns: u16, rows: u16, expected: &str) {
        let (screen, _) = self.screen(columns, rows);
        let expected: Vec<_> = expected.trim_matches('\n').split('\n').collect();
        assert_eq!(screen, expected, "\n{}\n", screen.join("\n"));
    }
}

fn garden() -> RoomName {
    "garden".parse().unwrap()
}

fn chatting(columns: u16, rows: u16) -> Seat {
    let mut seat = Seat::greeted(columns, rows);
    seat.hears(
        "ben",
        &format!("お茶です。@ana さん、「緑茶」か紅茶か、どちらがいいですか。{FAMILY}"),
    );
    seat.own(1, "green", Progress::Pending, false);
    seat.own(1, "green", Progress::Stored, true);
    seat.own(1, "green", Progress::Delivered { to: 1, of: 2 }, true);
    seat.own(2, "and hot", Progress::Stored, false);
    seat.own(3, "on its way", Progress::Pending, false);
    let mut event = seat.said("花子", "here, too");
    event.room = garden();
    seat.show(event);
    seat.types("か゚き");
    seat
}

#[test]
fn a_chat_at_80_columns() {
    let seat = chatting(80, 12);
    seat.shows(
        80,
        12,
        "
 #general                                                                   ana
#general       |-- Thursday, 31 December 2026 --
#garden 1      |20:30 * this is a hikyaku chat; you are ana; here: ben, 花子;
               |        /help lists the commands
               |20:30 ben: お茶です。@ana さん、「緑茶」か紅茶か、どちらがいいで
               |        すか。👩\u{200d}👩\u{200d}👧\u{200d}👦
               |20:30 ana: green ✓ 1/2
               |20:30 ana: and hot ✓
               |20:30 ana: on its way ~
               |
1 line waiting
> か゚き
",
    );
    assert_eq!(seat.screen(80, 12).1, Position::new(6, 11), "an input method draws here");
}

#[test]
fn a_chat_at_40_columns_has_unread_rooms_in_its_header() {
    chatting(40, 12).shows(
        40,
        12,
        "
 #general #garden 1                 ana
-- Thursday, 31 December 2026 --
20:30 * this is a hikyaku chat; you are
        ana; here: ben, 花子; /help
        lists the commands
20:30 ben: お茶です。@ana さん、「緑茶」
        か紅茶か、どちらがいいですか。👩\u{200d}👩\u{200d}👧\u{200d}👦
20:30 ana: green ✓ 1/2
20:30 ana: and hot ✓
20:30 ana: on its way ~
1 line waiting
> か゚き
",
    );
}

#[test]
fn a_banner_says_that_lines_wait_while_the_host_is_away() {
    let mut seat = Seat::greeted(40, 9);
    seat.own(1, "are you there?", Progress::Pending, false);
    seat.input(Input::Shown(Shown::State(member::State::Reconnecting)));
    seat.shows(
        40,
        9,
        "
 #general                           ana
no connection; 1 line waiting
-- Thursday, 31 December 2026 --
20:30 * this is a hikyaku chat; you are
        ana; here: ben, 花子; /help
        lists the commands
20:30 ana: are you there? ~
1 line waiting
>
",
    );
    seat.input(Input::Shown(Shown::State(member::State::Connected)));
    assert!(!seat.screen(40, 9).0.join("\n").contains("cannot be reached"));
}

#[test]
fn results_of_a_search_are_listed_and_lead_to_their_place() {
    let mut seat = Seat::greeted(60, 8);
    seat.types("/search 茶");
    seat.press(Code::Enter);
    let asked = Effect::Enter(Entry::Line("/search 茶".to_owned()));
    assert_eq!(seat.effects.last(), Some(&asked));
    seat.answer(PageOf::Found, &[(40, "茶 one"), (50, "two 茶")], false);
    seat.shows(
        60,
        8,
        "
 #general                                               ana
#general       |30 Dec 20:30 #general ben: 茶 one
#garden        |30 Dec 20:30 #general ben: two 茶
               |
               |
               |
2 found: 茶; Up, Down, Enter; Esc returns
>
",
    );
    seat.press(Code::Up);
    seat.press(Code::Enter);
    let older = Entry::Older { room: RoomName::general(), before: Some(Seq(65)) };
    assert_eq!(seat.effects.last(), Some(&Effect::Enter(older)));
    seat.answer(PageOf::History, &[(39, "before"), (40, "茶 one"), (41, "after")], true);
    seat.shows(
        60,
        8,
        "
 #general                                               ana
#general       |-- Wednesday, 30 December 2026 --
#garden        |20:30 ben: before
               |20:30 ben: 茶 one
               |20:30 ben: after
               |
the past; PgUp older; Esc returns
>
",
    );
    seat.press(Code::Esc);
    assert!(seat.screen(60, 8).0[1].contains("Thursday") || seat.screen(60, 8).0[1].contains("*"));
}

#[test]
fn several_pasted_lines_need_one_confirmation_and_are_one_message() {
    let mut seat = Seat::greeted(60, 9);
    seat.input(Input::Paste("fn main() {\r\n\tone();\r\n}\r\n".to_owned()));
    seat.shows(
        60,
        9,
        "
 #general                                               ana
#general       |fn main() {
#garden        |    one();
               |}
               |
               |
               |
send 3 lines (24 bytes) as one message? Enter: yes, Esc: no
>
",
    );
    seat.press(Code::Enter);
    let text = "fn main() {\n    one();\n}".to_owned();
    assert_eq!(seat.effects.last(), Some(&Effect::Enter(Entry::Text(text.clone()))));
    seat.own(1, &text, Progress::Stored, false);
    let rows = seat.screen(60, 9).0;
    assert_eq!(rows[4], "               |20:30 ana: fn main() {");
    assert_eq!(rows[5], "               |            one();");
    assert_eq!(rows[6], "               |        } ✓");
}

#[test]
fn any_size_and_any_input_can_be_drawn() {
    for (columns, rows) in [(1, 1), (10, 3), (2, 30), (300, 1), (7, 4), (60, 2)] {
        let mut seat = chatting(columns, rows);
        seat.press(Code::PageUp);
        seat.input(Input::Paste("a\nb".to_owned()));
        let (_, caret) = seat.screen(columns, rows);
        assert!(caret.x < columns && caret.y < rows);
        // Smaller than the state knows.
        seat.screen(1, 1);
        seat.screen(5, 2);
    }
}

fn keys() -> impl Strategy<Value = Key> {
    let code = prop_oneof![
        4 => prop::sample::select(vec!['a', '/', '日', '\u{3099}', '\u{200d}', '👩', ' ', 'q'])
            .prop_map(Code::Char),
        4 => prop::sample::select(vec![
            Code::Enter, Code::Backspace, Code::Left, Code::Right, Code::Up, Code::Down,
            Code::Home, Code::End, Code::PageUp, Code::PageDown, Code::Tab, Code::BackTab,
            Code::Esc, Code::Delete,
        ]),
    ];
    (code, any::<bool>(), any::<bool>()).prop_map(|(code, ctrl, alt)| Key {
        code,
        ctrl: ctrl && alt,
        alt: alt && !ctrl,
    })
}

proptest! {
    #[test]
    fn any_sequence_of_events_can_be_drawn(
        columns in 1_u16..100,
        rows in 1_u16..30,
        steps in prop::collection::vec((0_u8..8, keys(), "[a日。\n👩 ]{0,60}"), 0..40),
    ) {
        let mut seat = Seat::greeted(columns, rows);
        for (step, key, text) in steps {
            match step {
                0 => seat.hears("花子", &text),
                1 => seat.input(Input::Paste(text)),
                2 => seat.answer(PageOf::History, &[(1, &text), (2, "b")], true),
                3 => seat.answer(PageOf::Found, &[(3, &text)], false),
                4 => seat.own(text.len() as u8, &text, Progress::Pending, false),
                _ => seat.input(Input::Key(key)),
            }
            let (screen, caret) = seat.screen(columns, rows);
            prop_assert!(caret.x < columns && caret.y < rows);
            let fits = |row: &String| crate::wrap::width(row) <= columns.into();
            prop_assert!(screen.iter().all(fits), "{screen:?}");
        }
    }
}
