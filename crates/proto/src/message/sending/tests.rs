//! Tests of sending one message.

use super::*;
use crate::delivery::{ChannelId, Delivery};
use crate::message::{
    outgoing::Outgoing,
    peer_limits::PeerLimits,
    receipt::ReceiptId,
    tests::{packet, packet_of, write},
};

const NOW: Time = Time::from_micros(1_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn outbox() -> Outbox {
    let mut outbox = Outbox::new(16 << 20);
    let credit = 8 << 20;
    let max_message = 8 << 20;
    outbox.set_peer_limits(PeerLimits { credit, channel_credit: 100_000, max_message });
    outbox
}

fn push(outbox: &mut Outbox, channel: u16, delivery: Delivery, len: usize) -> ReceiptId {
    let payload = vec![channel as u8; len];
    outbox.push(NOW, Outgoing::new(channel, delivery, payload)).unwrap()
}

fn acked(outbox: &mut Outbox, fragment: &FragmentHeader) {
    outbox.on_acked(Sent::Fragment(fragment.sent()));
}

fn lost(outbox: &mut Outbox, fragment: &FragmentHeader) {
    outbox.on_lost(Sent::Fragment(fragment.sent()));
}

fn outcomes(outbox: &mut Outbox) -> Vec<(ReceiptId, Outcome)> {
    std::iter::from_fn(|| outbox.poll_receipt()).collect()
}

fn channels(fragments: &[FragmentHeader]) -> Vec<u16> {
    fragments.iter().map(|fragment| fragment.channel.0).collect()
}

#[test]
fn many_small_messages_share_a_packet() {
    let mut outbox = outbox();
    (0..30).for_each(|_| _ = push(&mut outbox, 0, Delivery::Ordered, 64));
    assert_eq!(packet(&mut outbox, NOW, false).len(), 1_160 / (64 + 5));
}

// D-8
#[test]
fn d8_a_long_message_does_not_delay_a_short_one_of_another_channel() {
    let mut outbox = outbox();
    push(&mut outbox, 0, Delivery::Ordered, 50_000);
    push(&mut outbox, 1, Delivery::Ordered, 10);
    assert_eq!(channels(&packet(&mut outbox, NOW, false)), [0]);
    assert_eq!(channels(&packet(&mut outbox, NOW, false)), [1, 0]);
}

// D-8
#[test]
fn d8_a_higher_priority_goes_first_after_lost_fragments() {
    let mut outbox = outbox();
    push(&mut outbox, 0, Delivery::Ordered, 1_000);
    let first = packet(&mut outbox, NOW, false)[0];
    outbox.set_priority(ChannelId(2), 7);
    push(&mut outbox, 1, Delivery::Ordered, 10);
    push(&mut outbox, 2, Delivery::Ordered, 10);
    lost(&mut outbox, &first);
    assert_eq!(channels(&packet(&mut outbox, NOW, false)), [0, 2, 1]);
}

// D-12
#[test]
fn d12_refusable_messages_are_resent_separately_from_the_others() {
    let mut outbox = outbox();
    let classes = [Delivery::Latest, Delivery::Ordered, Delivery::Unreliable];
    classes.iter().for_each(|delivery| _ = push(&mut outbox, 0, *delivery, 100));
    let first = packet(&mut outbox, NOW, false);
    assert_eq!(first.len(), 3, "at first they share a packet");
    first.iter().for_each(|fragment| lost(&mut outbox, fragment));
    classes.iter().for_each(|delivery| _ = push(&mut outbox, 1, *delivery, 100));
    let mut packets = || -> Vec<_> {
        let fragments = packet(&mut outbox, NOW, false);
        fragments.iter().map(|fragment| (fragment.channel.0, fragment.class)).collect()
    };
    assert_eq!(packets(), [(0, Class::Latest)]);
    assert_eq!(packets(), [(0, Class::Ordered)], "and not what of Latest is new");
    assert_eq!(packets().len(), 3, "what is new shares a packet again");
}

// D-12
#[test]
fn d12_refusable_messages_never_share_a_packet_with_resent_frames() {
    let mut outbox = outbox();
    push(&mut outbox, 0, Delivery::Ordered, 100);
    push(&mut outbox, 1, Delivery::Latest, 100);
    let mut beside = Packing::new(1_160, 1_160, true);
    assert_eq!(channels(&packet_of(&mut outbox, NOW, &mut beside, false)), [0]);
    assert_eq!(channels(&packet(&mut outbox, NOW, false)), [1]);
}

#[test]
fn d4_a_channel_without_credit_delays_no_other() {
    let mut outbox = outbox();
    for _ in 0..100 {
        push(&mut outbox, 0, Delivery::Reliable, 1_000);
    }
    push(&mut outbox, 1, Delivery::Reliable, 10);
    let mut sent = Vec::new();
    while outbox.wants_to_send(NOW, false) {
        sent.extend(packet(&mut outbox, NOW, false));
    }
    let begun =
        sent.iter().filter(|fragment| fragment.channel.0 == 0 && fragment.offset == 0).count();
    assert_eq!(begun, 100_000 / 1_064);
    assert!(channels(&sent).contains(&1));
    outbox.on_channel_credit(ChannelId(0), 110_000);
    let more = packet(&mut outbox, NOW, false);
    assert_eq!((more[0].channel.0, more[0].id), (0, begun as u64));
}

// D-3
#[test]
fn d3_at_most_65536_ids_from_the_lowest_unacknowledged_are_in_flight() {
    let mut outbox = outbox();
    outbox.set_peer_limits(PeerLimits {
        credit: 64 << 20,
        channel_credit: 64 << 20,
        max_message: 1,
    });
    (0..70_000).for_each(|_| _ = push(&mut outbox, 0, Delivery::Reliable, 1));
    let mut sent = Vec::new();
    while outbox.wants_to_send(NOW, false) {
        sent.extend(packet(&mut outbox, NOW, false));
    }
    assert_eq!(sent.len(), 65_536);
    sent[1..].iter().for_each(|fragment| acked(&mut outbox, fragment));
    assert!(!outbox.wants_to_send(NOW, false), "id 0 is not acknowledged");
    acked(&mut outbox, &sent[0]);
    assert_eq!(packet(&mut outbox, NOW, false)[0].id, 65_536);
}

// M-36
#[test]
fn m36_only_what_is_safe_to_repeat_goes_early() {
    let mut outbox = outbox();
    push(&mut outbox, 0, Delivery::Reliable, 10);
    let payload = vec![1; 10];
    let message = Outgoing::new(1, Delivery::Reliable, payload).repeatable();
    outbox.push(NOW, message).unwrap();
    assert_eq!(channels(&packet(&mut outbox, NOW, true)), [1]);
    assert!(!outbox.wants_to_send(NOW, true));
    assert_eq!(channels(&packet(&mut outbox, NOW, false)), [0]);
}

// M-37
#[test]
fn m37_rejected_early_messages_are_resent_with_their_ids_and_credit() {
    let mut outbox = outbox();
    let payload = vec![1; 99_000];
    let message = Outgoing::new(1, Delivery::Reliable, payload).repeatable();
    outbox.push(NOW, message).unwrap();
    let first = packet(&mut outbox, NOW, true);
    outbox.requeue_all();
    assert!(!outbox.wants_to_send(NOW, false), "no limits are known yet");
    outbox.set_peer_limits(PeerLimits {
        credit: 100_000,
        channel_credit: 100_000,
        max_message: 100_000,
    });
    assert_eq!(packet(&mut outbox, NOW, false), first);
}

#[test]
fn an_unreliable_message_is_forgotten_after_its_last_fragment() {
    let mut outbox = outbox();
    let receipt = push(&mut outbox, 0, Delivery::Unreliable, 2_000);
    let mut fragments = packet(&mut outbox, NOW, false);
    assert_eq!(outcomes(&mut outbox), []);
    fragments.extend(packet(&mut outbox, NOW, false));
    assert_eq!(fragments.iter().map(|fragment| fragment.len).sum::<usize>(), 2_000);
    assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Sent)]);
    fragments.iter().for_each(|fragment| lost(&mut outbox, fragment));
    assert!(!outbox.wants_to_send(NOW, false) && outbox.is_drained());
    assert_eq!(outbox.queued(), 0);
}

#[test]
fn a_deadline_message_carries_its_time_left_and_is_given_up_at_its_end() {
    let mut outbox = outbox();
    let span = Duration::from_micros(10_500);
    let receipt = push(&mut outbox, 0, Delivery::Deadline(span), 10);
    let fragment = packet(&mut outbox, NOW, false)[0];
    assert_eq!(fragment.time_left, Some(Duration::from_millis(11)));
    lost(&mut outbox, &fragment);
    let fragment = packet(&mut outbox, NOW + Duration::from_millis(9), false)[0];
    assert_eq!(fragment.time_left, Some(Duration::from_millis(2)));
    lost(&mut outbox, &fragment);
    assert_eq!(outbox.deadline(), Some(NOW + span));
    assert_eq!(packet(&mut outbox, NOW + span, false), []);
    assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Unconfirmed)], "it may be there");
    assert_eq!(outbox.deadline(), None);
}

// D-15
#[test]
fn d15_expired_means_that_not_all_of_it_was_sent() {
    let (mut outbox, span) = (outbox(), Duration::from_millis(10));
    let begun = push(&mut outbox, 0, Delivery::Deadline(span), 3_000);
    let unsent = push(&mut outbox, 0, Delivery::Deadline(span), 10);
    assert_eq!(packet(&mut outbox, NOW, false).len(), 1);
    outbox.handle_timeout(NOW + span);
    let expired = [begun, unsent].map(|receipt| (receipt, Outcome::Expired));
    assert_eq!(outcomes(&mut outbox), expired);
}

// D-15
#[test]
fn d15_after_the_deadline_an_ack_still_counts_and_a_loss_proves_nothing() {
    let (mut outbox, span) = (outbox(), Duration::from_millis(10));
    let receipts = [10, 20].map(|len| push(&mut outbox, 0, Delivery::Deadline(span), len));
    let fragments = packet(&mut outbox, NOW, false);
    outbox.handle_timeout(NOW + span);
    assert_eq!(outcomes(&mut outbox), []);
    acked(&mut outbox, &fragments[0]);
    lost(&mut outbox, &fragments[1]);
    assert_eq!(packet(&mut outbox, NOW + span, false), [], "nothing is sent again");
    let expected = [(receipts[0], Outcome::Acknowledged), (receipts[1], Outcome::Unconfirmed)];
    assert_eq!(outcomes(&mut outbox), expected);
    assert!(outbox.is_drained());
}

// D-15: the peer may have dropped the first fragment before the second arrived.
#[test]
fn d15_fragments_that_are_acknowledged_late_confirm_nothing() {
    let (mut outbox, span) = (outbox(), Duration::from_millis(10));
    let receipt = push(&mut outbox, 0, Delivery::Deadline(span), 2_000);
    let fragments = [packet(&mut outbox, NOW, false), packet(&mut outbox, NOW, false)].concat();
    acked(&mut outbox, &fragments[0]);
    outbox.handle_timeout(NOW + span);
    acked(&mut outbox, &fragments[1]);
    assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Unconfirmed)]);
}

// D-9
#[test]
fn a_newer_latest_replaces_one_that_was_not_sent() {
    let mut outbox = outbox();
    let old = push(&mut outbox, 0, Delivery::Latest, 10);
    let new = push(&mut outbox, 0, Delivery::Latest, 20);
    let fragments = packet(&mut outbox, NOW, false);
    assert_eq!((fragments.len(), fragments[0].total, fragments[0].id), (1, 20, 0));
    acked(&mut outbox, &fragments[0]);
    let expected = [(old, Outcome::Superseded), (new, Outcome::Acknowledged)];
    assert_eq!(outcomes(&mut outbox), expected);
}

// The table of section 5: each of its fragments is sent once.
#[test]
fn an_unreliable_message_is_never_resent() {
    let mut outbox = outbox();
    push(&mut outbox, 0, Delivery::Unreliable, 3_000);
    let mut next = 0;
    while let [fragment] = packet(&mut outbox, NOW, false)[..] {
        assert_eq!(fragment.offset, next);
        next += fragment.len;
        lost(&mut outbox, &fragment);
    }
    assert_eq!(next, 3_000);
}

// D-9: it would only delay the newer one.
#[test]
fn a_latest_message_is_not_resent_when_a_newer_one_waits() {
    let mut outbox = outbox();
    let old = push(&mut outbox, 0, Delivery::Latest, 1_500);
    let sent = [packet(&mut outbox, NOW, false), packet(&mut outbox, NOW, false)].concat();
    push(&mut outbox, 0, Delivery::Latest, 500);
    sent.iter().for_each(|fragment| lost(&mut outbox, fragment));
    let ids: Vec<_> = packet(&mut outbox, NOW, false).iter().map(|fragment| fragment.id).collect();
    assert_eq!(ids, [1]);
    assert_eq!(outcomes(&mut outbox), [(old, Outcome::Superseded)]);
    assert!(!outbox.wants_to_send(NOW, false));
}

// D-9
#[test]
fn a_latest_message_in_progress_is_finished_so_that_some_arrive() {
    let mut outbox = outbox();
    let old = push(&mut outbox, 0, Delivery::Latest, 1_500);
    let first = packet(&mut outbox, NOW, false);
    push(&mut outbox, 0, Delivery::Latest, 1_500);
    lost(&mut outbox, &first[0]);
    let second = packet(&mut outbox, NOW, false);
    assert_eq!((second[0].id, second[0].offset), (0, 0), "what was lost");
    assert_eq!(outcomes(&mut outbox), []);
    let third = packet(&mut outbox, NOW, false);
    assert_eq!((third[0].id, third[0].offset), (0, first[0].len), "the rest");
    assert_eq!(third[1].id, 1, "then the newer one");
    assert_eq!(outcomes(&mut outbox), [(old, Outcome::Superseded)]);
    lost(&mut outbox, &second[0]);
    assert_eq!(packet(&mut outbox, NOW, false)[0].id, 1, "nothing is resent of the older");
}

#[test]
fn what_fits_in_a_packet_is_not_split_unless_it_fills_one() {
    for (delivery, fragments) in [(Delivery::Unreliable, 1), (Delivery::Ordered, 2)] {
        let mut outbox = outbox();
        push(&mut outbox, 0, delivery, 800);
        push(&mut outbox, 0, delivery, 800);
        assert_eq!(packet(&mut outbox, NOW, false).len(), fragments);
        push(&mut outbox, 0, delivery, 100);
        let next = packet(&mut outbox, NOW, false);
        let whole = next[0].len == next[0].total;
        assert_eq!(whole, delivery == Delivery::Unreliable);
    }
}

#[test]
fn an_empty_message_is_sent_and_acknowledged() {
    let mut outbox = outbox();
    let receipt = push(&mut outbox, 0, Delivery::Ordered, 0);
    assert_eq!(
        write(&mut outbox, NOW, 3, &mut Packing::new(3, 3, false), false),
        None,
        "its header is 4 bytes long"
    );
    let fragments = packet(&mut outbox, NOW, false);
    assert_eq!(fragments.len(), 1);
    acked(&mut outbox, &fragments[0]);
    assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Acknowledged)]);
}

#[test]
fn fragments_of_unknown_messages_are_ignored() {
    let mut outbox = outbox();
    let (channel, class) = (ChannelId(9), Class::Ordered);
    let fragment = SentFragment { channel, class, id: 3, offset: 0, len: 7 };
    let run = SentRun { channel, class, first: 3, count: 2 };
    for sent in [Sent::Fragment(fragment), Sent::Run(run)] {
        outbox.on_acked(sent);
        outbox.on_lost(sent);
    }
    assert!(outbox.is_drained() && outbox.heap_is_idle());
}

#[test]
fn the_header_is_as_long_as_its_fields() {
    let (channel, class) = (ChannelId(64), Class::Deadline);
    let time_left = Some(Duration::from_millis(16_384));
    let whole = FragmentHeader { channel, class, id: 5, time_left, total: 63, offset: 0, len: 63 };
    assert_eq!(whole.header_len(), 1 + 2 + 1 + 4 + 1);
    let fragment = FragmentHeader { total: 1 << 30, offset: 64, len: 16_383, ..whole };
    assert_eq!(fragment.header_len(), 1 + 2 + 1 + 4 + 8 + 2 + 2);
}

// D-8: half of it in each of two packets would double its chance of being lost.
#[test]
fn a_message_that_fits_one_packet_is_not_split_beside_an_ack() {
    for delivery in [Delivery::Latest, Delivery::Unreliable, Delivery::Deadline(SECOND)] {
        let mut outbox = outbox();
        outbox.push(NOW, Outgoing::new(0, delivery, vec![1; 1_100])).unwrap();
        let mut beside_ack = Packing::new(1_000, 1_160, false);
        assert_eq!(write(&mut outbox, NOW, 1_000, &mut beside_ack, false), None, "{delivery:?}");
        let mut alone = Packing::new(1_160, 1_160, false);
        assert!(write(&mut outbox, NOW, 1_160, &mut alone, false).is_some());
        assert!(!outbox.wants_to_send(NOW, false), "{delivery:?} left at once");
    }
}

// D-16
#[test]
fn unreliable_messages_that_waited_too_long_are_dropped_oldest_first() {
    let mut outbox = outbox();
    outbox.set_patience(SECOND / 10);
    let push = |outbox: &mut Outbox, now| {
        outbox.push(now, Outgoing::new(0, Delivery::Unreliable, vec![1; 10])).unwrap()
    };
    let old = push(&mut outbox, NOW);
    let new = push(&mut outbox, NOW + SECOND / 20);
    let later = NOW + SECOND / 10;
    assert!(outbox.wants_to_send(later, false));
    assert_eq!(outbox.poll_receipt(), Some((old, Outcome::Expired)));
    let sent = write(&mut outbox, later, 1_160, &mut Packing::new(1_160, 1_160, false), false);
    assert!(sent.is_some());
    assert_eq!(outbox.poll_receipt(), Some((new, Outcome::Sent)));
    assert_eq!(outbox.poll_receipt(), None);
}
