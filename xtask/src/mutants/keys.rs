//! Mutations of keys, tokens, loss and rate.
//!
//! In: nothing. Out: a table. Never: two changes in one.

use super::{Mutation, mutation};

const PHASES: &str = "crypto/phases/mod.rs";
const COOKIE: &str = "crypto/cookie.rs";
const HEARD: &str = "recovery/in_flight/acked.rs";
const LOST: &str = "recovery/in_flight/lost.rs";

pub(super) const TABLE: &[Mutation] = &[
    mutation(
        "weak-keys",
        ("the handshake", "a key that anybody can sign for is accepted"),
        "crypto/setup.rs",
        ".filter(|key| !is_weak(key))",
        "",
    ),
    mutation(
        "early-beside-shared-key",
        ("M-10", "with a shared key a client sends 0-RTT, which the key does not protect"),
        "crypto/setup.rs",
        "        client.enable_early_data = false;\n        if self.resumes {",
        "        if self.resumes {",
    ),
    mutation(
        "replay-window-short",
        ("M-4", "the replay window is one number short"),
        "crypto/replay.rs",
        "self.next - 1 - number > REPLAY_WINDOW",
        "self.next - 1 - number >= REPLAY_WINDOW",
    ),
    mutation(
        "replay-window-long",
        ("M-4", "the replay window is one number long"),
        "crypto/replay.rs",
        "self.next - 1 - number > REPLAY_WINDOW",
        "self.next - 1 - number > REPLAY_WINDOW + 1",
    ),
    mutation(
        "update-early",
        ("M-20", "keys are updated before the peer has followed the previous update"),
        PHASES,
        "let allowed = self.sending.confirmed && self.sending.phase == self.receiving.phase;",
        "let allowed = true;",
    ),
    mutation(
        "update-unacknowledged",
        ("M-20", "keys are updated although nothing sealed with the current ones was acknowledged"),
        PHASES,
        "let allowed = self.sending.confirmed && self",
        "let allowed = self",
    ),
    mutation(
        "update-unanswered",
        ("M-21", "the peer's key update is not answered"),
        PHASES,
        "                    self.follow();",
        "",
    ),
    mutation(
        "old-keys-dropped",
        ("M-21", "the keys before an update are not kept"),
        PHASES,
        "filter(|kept| now < kept.1)",
        "filter(|_| false)",
    ),
    mutation(
        "token-anywhere",
        ("M-31", "a token is valid for any address"),
        COOKIE,
        "bytes[..16].copy_from_slice(&ip.octets());",
        "let _ = ip;",
    ),
    mutation(
        "token-for-ever",
        ("M-31", "a token is valid for a day"),
        COOKIE,
        "const TOKEN_LIFETIME: Duration = Duration::from_secs(15);",
        "const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);",
    ),
    mutation(
        "ack-across-levels",
        ("M-12", "an ACK covers packets of higher levels"),
        HEARD,
        "Group::of(packet.level) > group,",
        "Group::of(packet.level) > Group::Data,",
    ),
    mutation(
        "ack-of-unsent",
        ("M-53", "an ACK of an unsent packet is no violation"),
        HEARD,
        "if highest >= self.next {",
        "if false {",
    ),
    mutation(
        "skipped-unchecked",
        ("M-53", "an ACK of a skipped number is no violation"),
        HEARD,
        "return Err(Close::violation(\"ACK of a skipped packet number\"));",
        "index += 1; continue;",
    ),
    mutation(
        "skipped-forgotten",
        ("M-53", "a skipped number is forgotten before the next is acknowledged"),
        "recovery/in_flight/mod.rs",
        "if !matches!(next, Some(Slot::Flying(_))) => {}",
        "=> { let _ = next; }",
    ),
    mutation(
        "ack-delay-believed",
        ("R-1", "the peer's ACK delay is not capped"),
        HEARD,
        "ack.delay.min(self.max_ack_delay)",
        "ack.delay",
    ),
    mutation(
        "hello-ends-backoff",
        ("R-3", "an ACK at the Hello level resets the backoff"),
        HEARD,
        "if progress.eliciting && ack.level > Level::Hello {",
        "if progress.eliciting {",
    ),
    mutation(
        "backoff-flat",
        ("R-3", "the probe timeout does not double"),
        LOST,
        "self.backoff = self.backoff.saturating_add(1);",
        "",
    ),
    mutation(
        "probes-rare",
        ("R-3", "the probe timeout doubles up to a minute"),
        "recovery/rtt.rs",
        "const LONGEST_BACKOFF: Duration = Duration::from_secs(2);",
        "const LONGEST_BACKOFF: Duration = Duration::from_secs(60);",
    ),
    mutation(
        "mtu-probe-is-congestion",
        ("P-4", "a lost probe of the MTU is congestion"),
        LOST,
        "let counts = on_path && !packet.mtu_probe;",
        "let counts = on_path;",
    ),
    mutation(
        "lost-too-soon",
        ("R-2", "the packet threshold is two"),
        "recovery/in_flight/mod.rs",
        "const PACKET_THRESHOLD: u64 = 3;",
        "const PACKET_THRESHOLD: u64 = 2;",
    ),
    mutation(
        "persistent-never",
        ("R-4", "there is no persistent congestion"),
        LOST,
        "const PERSISTENT_FACTOR: u32 = 3;",
        "const PERSISTENT_FACTOR: u32 = 3_000;",
    ),
    mutation(
        "spurious-kept",
        ("R-5", "a spurious loss is not undone"),
        "recovery/congestion/mod.rs",
        "if report.spurious {",
        "if false {",
    ),
    mutation(
        "marks-unheard",
        ("R-9", "a CE mark is no congestion"),
        "recovery/congestion/mod.rs",
        "if let Some(left) = report.marked_at {",
        "if let Some(left) = report.marked_at.filter(|_| false) {",
    ),
    mutation(
        "idle-window-grows",
        ("R-8", "an unused window grows"),
        "recovery/congestion/cubic.rs",
        "if !self.is_used(sample) {",
        "if false && !self.is_used(sample) {",
    ),
    mutation(
        "ack-ranges-endless",
        ("M-51", "the number of ACK ranges is not limited"),
        "recovery/ack/mod.rs",
        "if self.0.len() < MAX_ACK_RANGES {",
        "if true || self.0.len() < MAX_ACK_RANGES {",
    ),
];
