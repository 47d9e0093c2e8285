//! Mutations of packets, the handshake, paths and closing.

use super::{Mutation, mutation};

const RECEIVE: &str = "connection/receive.rs";
const TRANSMIT: &str = "connection/transmit.rs";
const TIMEOUT: &str = "connection/timeout.rs";
const HANDSHAKE: &str = "connection/handshake.rs";
const PATH: &str = "connection/path.rs";
const CLOSING: &str = "connection/closing.rs";
const ENDPOINT: &str = "endpoint.rs";

pub(super) const TABLE: &[Mutation] = &[
    mutation(
        "replay-unchecked",
        ("M-4", "a packet that was opened before is opened again"),
        RECEIVE,
        "if !replay.check(number) {",
        "if false && !replay.check(number) {",
    ),
    mutation(
        "replay-entered-unopened",
        ("M-4", "a number is recorded before its packet has opened: a forged one blocks it"),
        RECEIVE,
        "return Err(Discard::Replayed); // M-4\n        }",
        "return Err(Discard::Replayed); // M-4\n        }\n        replay.commit(number);",
    ),
    mutation(
        "unparsed-applied",
        ("M-5", "the frames before one that does not parse are applied"),
        RECEIVE,
        "let part = only_fragment(payload, level);",
        "if check_all(payload, level).is_err() {
            let _ = self.apply_all(arrival, level, payload);
        }
        let part = only_fragment(payload, level);",
    ),
    mutation(
        "ack-before-keeping",
        ("D-2", "a packet is acknowledged although part of it was refused"),
        RECEIVE,
        "if kept {",
        "if kept || true {",
    ),
    mutation(
        "reset-by-length",
        ("M-60", "any packet of 40 bytes is a reset"),
        RECEIVE,
        "if fits {",
        "if fits || datagram.len() == 40 {",
    ),
    mutation(
        "reset-unbelieved",
        ("M-60", "no reset is accepted"),
        RECEIVE,
        "if fits {",
        "if fits && false {",
    ),
    mutation(
        "reset-by-prefix",
        ("M-60", "half of a reset token is enough"),
        RECEIVE,
        "equal(&token.0, end) | fits",
        "(token.0[..8] == end[..8]) | fits",
    ),
    mutation(
        "reset-answered",
        ("M-60", "a reset is answered by a reset"),
        "endpoint/stateless.rs",
        "if arrival.bytes < RESET_LEN ||",
        "if arrival.bytes < RESET_LEN - 1 ||",
    ),
    mutation(
        "hello-short",
        ("M-32", "a Hello in a short datagram is accepted"),
        ENDPOINT,
        "if datagram.len() < BASE_MTU {",
        "if datagram.len() < 100 {",
    ),
    mutation(
        "half-open-unlimited",
        ("M-35", "half-open connections have no limit"),
        "endpoint/half_open.rs",
        "if self.taken < self.all(connections) {",
        "if true {",
    ),
    mutation(
        "network-unlimited",
        ("M-35", "one network can occupy all half-open slots"),
        "endpoint/half_open.rs",
        "*of_network.of(validated) >= self.most_of_network",
        "*of_network.of(validated) == usize::MAX",
    ),
    mutation(
        "network-unasked",
        ("M-35", "a network that uses all its slots is not sent a Retry"),
        "endpoint/half_open.rs",
        "|| self.is_full_for(from, false)",
        "",
    ),
    mutation(
        "network-slots-shared",
        ("M-35", "clients with forged addresses occupy the slots of validated ones"),
        "endpoint/half_open.rs",
        "if validated { &mut self.validated }",
        "if false { &mut self.validated }",
    ),
    mutation(
        "connections-unlimited",
        ("M-35", "incoming connections have no limit"),
        "endpoint/half_open.rs",
        "self.most.min(self.most_connections.saturating_sub(others))",
        "self.most.min(self.most_connections.saturating_add(others))",
    ),
    mutation(
        "slots-held",
        ("M-35", "an attacker with many networks keeps all slots"),
        "endpoint/half_open.rs",
        "now.since(*since) >= TENURE",
        "now.since(*since) >= TENURE * 10",
    ),
    mutation(
        "challenge-once",
        ("P-1", "an unanswered CHALLENGE is not repeated by its timer"),
        PATH,
        "challenge.owed = true;\n                challenge.again",
        "challenge.again",
    ),
    mutation(
        "address-believed",
        ("P-1", "a new address is trusted at once"),
        PATH,
        "(current.received, current.sent) = (0, 0);",
        "(current.received, current.sent) = (0, 0);\n        current.validated = true;",
    ),
    mutation(
        "address-kept",
        ("P-1", "an address that did not answer is kept"),
        PATH,
        "_ => self.go_back(),",
        "_ => self.paths.challenge = None,",
    ),
    mutation(
        "amplification-off",
        ("M-33, P-1", "an unvalidated address gets everything"),
        PATH,
        "const AMPLIFICATION: u64 = 3;",
        "const AMPLIFICATION: u64 = 3_000;",
    ),
    mutation(
        "amplification-four",
        ("M-33, P-1", "an unvalidated address gets four times what it sent"),
        PATH,
        "const AMPLIFICATION: u64 = 3;",
        "const AMPLIFICATION: u64 = 4;",
    ),
    mutation(
        "validated-from-elsewhere",
        ("M-33", "a handshake packet from elsewhere validates the current address"),
        "connection/handshake.rs",
        "self.paths.current.validated |= from == self.paths.current.remote;",
        "self.paths.current.validated |= from.port() > 0;",
    ),
    mutation(
        "response-unread",
        ("P-2", "any RESPONSE answers the CHALLENGE"),
        PATH,
        "if challenge.full == data {",
        "if true {",
    ),
    mutation(
        "response-misdirected",
        ("P-2", "a RESPONSE goes to the current address, wherever its CHALLENGE came from"),
        PATH,
        "self.responses.push((data, from));",
        "self.responses.push((data, self.current.remote));",
    ),
    mutation(
        "early-unsafe",
        ("M-36", "any message is sent as 0-RTT"),
        "message/sending.rs",
        "if early && !message.repeat_safe() {",
        "if false && !message.repeat_safe() {",
    ),
    mutation(
        "early-twice",
        ("M-36", "a ticket can be used twice: 0-RTT can be replayed"),
        "crypto/setup.rs",
        "config.session_storage = ServerSessionMemoryCache::new(REMEMBERED_SESSIONS);",
        "use rustls::server::StoresServerSessions;
    #[derive(Debug)]
    struct Again(Arc<ServerSessionMemoryCache>);
    impl StoresServerSessions for Again {
        fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool { self.0.put(key, value) }
        fn get(&self, key: &[u8]) -> Option<Vec<u8>> { self.0.get(key) }
        fn take(&self, key: &[u8]) -> Option<Vec<u8>> { self.0.get(key) }
        fn can_cache(&self) -> bool { true }
    }
    config.session_storage = Arc::new(Again(ServerSessionMemoryCache::new(REMEMBERED_SESSIONS)));",
    ),
    mutation(
        "early-forgotten",
        ("M-37", "refused 0-RTT is not sent again"),
        HANDSHAKE,
        "if early_offered && agreement",
        "if false && early_offered && agreement",
    ),
    mutation(
        "level-in-flight",
        ("M-13", "packets of a level whose keys are gone stay in flight"),
        HANDSHAKE,
        "self.in_flight.drop_level(level);",
        "",
    ),
    mutation(
        "done-once",
        ("M-38", "DONE is not sent again"),
        TIMEOUT,
        "SentFrame::Done => self.owed.done = true,",
        "SentFrame::Done => {}",
    ),
    mutation(
        "crypto-once",
        ("M-40", "lost TLS bytes are not sent again"),
        TIMEOUT,
        "handshake.stream(level).on_lost(offset, len);",
        "",
    ),
    mutation(
        "probe-arrived",
        ("R-3", "a probe marks its frames as acknowledged"),
        TIMEOUT,
        "            self.on_frame_lost(frame);",
        "            if let SentFrame::Message(part) = frame { self.outbox.on_acked(*part); }",
    ),
    mutation(
        "probe-forgets",
        ("R-3", "a probe repeats nothing"),
        TIMEOUT,
        "for frame in oldest.iter().filter(",
        "for frame in oldest.iter().take(0).filter(",
    ),
    mutation(
        "loss-alarm-dead",
        ("R-2", "the loss timer does nothing"),
        TIMEOUT,
        "self.in_flight.detect_lost(now, &mut self.paths.current.rtt, report);",
        "let _ = report;",
    ),
    mutation(
        "starved-silent",
        ("D-4", "a sender that waits for credit sends no PING"),
        TIMEOUT,
        "(!self.outbox.is_drained()).then_some(STARVED)",
        "None::<Duration>",
    ),
    mutation(
        "idle-for-ever",
        ("M-61", "there is no idle timeout"),
        TIMEOUT,
        "return self.end_silently(now, ClosedReason::Idle);",
        "self.clocks.heard_at = now;",
    ),
    mutation(
        "graceful-at-once",
        ("M-63", "a graceful close does not wait"),
        CLOSING,
        "if self.leave_at().is_some_and(|at| at <= now) {",
        "if self.parting.by.is_some() {",
    ),
    mutation(
        "close-once",
        ("M-62", "the CLOSE is not repeated to a peer that keeps sending"),
        CLOSING,
        "            self.owes = Owes::ALL;",
        "",
    ),
    mutation(
        "close-silent-about-acks",
        ("M-62", "a CLOSE is sent without the pending ACK"),
        CLOSING,
        "if level == Level::Data && size == BASE_MTU",
        "if false && size == BASE_MTU",
    ),
    mutation(
        "close-untimed",
        ("M-62", "an unanswered CLOSE is not repeated by its timer"),
        CLOSING,
        "let again = known.then(|| now + pto);",
        "let again = None;",
    ),
    mutation(
        "close-answered-once",
        ("M-62", "a repeated CLOSE is not answered again"),
        CLOSING,
        "matches!(self.state, State::Draining { answers: 1.., .. })",
        "false",
    ),
    mutation(
        "close-answered-for-ever",
        ("M-62", "a repeated CLOSE is answered without limit"),
        CLOSING,
        "*answers -= 1;",
        "",
    ),
    mutation(
        "numbers-unskipped",
        ("M-53", "no number is skipped"),
        TRANSMIT,
        "self.next_number += 1; // M-53",
        "",
    ),
    mutation(
        "ping-waits",
        ("R-6", "a PING is not acknowledged at once"),
        RECEIVE,
        "if summary.ping && level == Level::Data {",
        "if false {",
    ),
    mutation(
        "mtu-probe-in-window",
        ("P-4", "a probe of the MTU counts against the window"),
        TRANSMIT,
        ".saturating_sub(probe);",
        ".saturating_sub(0 * probe);",
    ),
    mutation(
        "ack-never-alone",
        ("R-6", "no packet contains only an ACK"),
        TRANSMIT,
        "if level != Level::ZeroRtt && self.ack.is_due(now, level) {",
        "if false && self.ack.is_due(now, level) {",
    ),
    mutation(
        "window-ignored",
        ("R-8", "more is in flight than the window allows"),
        TRANSMIT,
        "in_flight + size as u64 <= window",
        "in_flight + size as u64 <= window * 1_000",
    ),
    mutation(
        "pacer-ignored",
        ("R-7", "the window is sent at once"),
        TRANSMIT,
        "let may = pacer.may_send(now, size);",
        "let may = pacer.may_send(now, size) || true;",
    ),
];
