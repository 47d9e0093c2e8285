//! Tests of the outbox.

use super::*;
use crate::message::{FragmentHeader, peer_limits::PeerLimits, tests::packet};

const NOW: Time = Time::ZERO;
const CHANNEL: ChannelId = ChannelId(0);

fn limits(max_message: u64) -> PeerLimits {
    PeerLimits { credit: 10_000, channel_credit: 5_000, max_message }
}

fn push(outbox: &mut Outbox, delivery: Delivery, len: usize) -> Result<ReceiptId, QueueError> {
    let message = Outgoing::new(CHANNEL, delivery, vec![0; len]);
    outbox.push(NOW, message).map_err(|refused| refused.reason)
}

// D-11
#[test]
fn capacity_is_bounded_and_an_outcome_counts_until_it_is_taken() {
    let mut outbox = Outbox::new(1_000);
    outbox.set_peer_limits(limits(5_000));
    assert_eq!(push(&mut outbox, Delivery::Unreliable, 937), Err(QueueError::TooLarge));
    assert_eq!(outbox.max_message(Class::Unreliable), 936);
    push(&mut outbox, Delivery::Unreliable, 936).unwrap();
    assert_eq!(push(&mut outbox, Delivery::Ordered, 0), Err(QueueError::Full));
    assert_eq!(packet(&mut outbox, NOW, false).len(), 1);
    assert_eq!(push(&mut outbox, Delivery::Ordered, 873), Err(QueueError::Full));
    push(&mut outbox, Delivery::Ordered, 872).unwrap();
    outbox.poll_receipt().unwrap();
    assert_eq!(outbox.queued(), 936);
}

/// Sends messages 0 to 2, one per packet, and acknowledges 2 and 1.
fn all_but_the_first(delivery: Delivery) -> (Outbox, FragmentHeader) {
    let mut outbox = Outbox::new(100_000);
    outbox.set_peer_limits(limits(5_000));
    let fragments: Vec<_> = (0..3)
        .map(|_| {
            push(&mut outbox, delivery, 10).unwrap();
            packet(&mut outbox, NOW, false)[0]
        })
        .collect();
    outbox.on_acked(Sent::Fragment(fragments[2].sent()));
    outbox.on_acked(Sent::Fragment(fragments[1].sent()));
    (outbox, fragments[0])
}

fn outcomes(outbox: &mut Outbox) -> Vec<(u64, Outcome)> {
    std::iter::from_fn(|| outbox.poll_receipt()).map(|(ReceiptId(n), end)| (n, end)).collect()
}

// D-1
#[test]
fn d1_an_ordered_message_is_acknowledged_when_all_before_it_are() {
    let (mut outbox, first) = all_but_the_first(Delivery::Ordered);
    assert_eq!(outcomes(&mut outbox), []);
    assert!(!outbox.is_drained());
    outbox.on_acked(Sent::Fragment(first.sent()));
    let all: Vec<_> = (0..3).map(|number| (number, Outcome::Acknowledged)).collect();
    assert_eq!(outcomes(&mut outbox), all);
    assert!(outbox.is_drained() && outbox.queued() == 0);
    let (mut outbox, _) = all_but_the_first(Delivery::Reliable);
    assert_eq!(outcomes(&mut outbox).len(), 2, "nothing holds up a Reliable one");
}

// D-1
#[test]
fn d1_messages_behind_a_gap_are_unsent_when_the_connection_ends() {
    let (mut outbox, _) = all_but_the_first(Delivery::Ordered);
    outbox.give_up_all();
    let all: Vec<_> = (0..3).map(|number| (number, Outcome::Unsent)).collect();
    assert_eq!(outcomes(&mut outbox), all);
    assert!(outbox.is_drained() && outbox.queued() == 0);
}

#[test]
fn a_newer_latest_needs_only_the_room_the_older_does_not_free() {
    let mut outbox = Outbox::new(1_000);
    push(&mut outbox, Delivery::Latest, 800).unwrap();
    assert_eq!(push(&mut outbox, Delivery::Latest, 900), Err(QueueError::Full));
    push(&mut outbox, Delivery::Latest, 870).unwrap();
    assert_eq!(outbox.queued(), 870 + 2 * OVERHEAD);
}

#[test]
fn a_lane_that_nobody_reads_leaves_room_for_another() {
    let mut outbox = Outbox::new(100_000);
    outbox.set_peer_limits(limits(5_000));
    let fill = |outbox: &mut Outbox, channel| {
        let push = |outbox: &mut Outbox| {
            outbox.push(NOW, Outgoing::new(channel, Delivery::Ordered, vec![0; 936]))
        };
        (0..).take_while(|_| push(outbox).is_ok()).count()
    };
    let counts = [0, 1, 2, 3].map(|channel| fill(&mut outbox, channel));
    assert_eq!(counts, [50, 25, 13, 6]);
}

#[test]
fn room_is_reported_once_to_all_that_were_refused() {
    let mut outbox = Outbox::new(1_000);
    outbox.set_peer_limits(limits(5_000));
    push(&mut outbox, Delivery::Unreliable, 400).unwrap();
    for delivery in [Delivery::Ordered, Delivery::Unreliable] {
        assert_eq!(push(&mut outbox, delivery, 500), Err(QueueError::Full));
    }
    assert!(!outbox.poll_writable());
    packet(&mut outbox, NOW, false);
    assert!(outbox.poll_writable() && !outbox.poll_writable());
    outbox.poll_receipt().unwrap();
    assert!(!outbox.poll_writable());
}

// D-4, D-6
#[test]
fn a_message_that_could_never_be_sent_is_too_large() {
    let mut outbox = Outbox::new(64 << 20);
    outbox.set_peer_limits(limits(6_000));
    let longest = 5_000 - OVERHEAD;
    assert!(push(&mut outbox, Delivery::Ordered, longest).is_ok());
    let more = push(&mut outbox, Delivery::Reliable, longest + 1);
    assert_eq!(more, Err(QueueError::TooLarge), "it costs more than its channel ever has");
    assert!(push(&mut outbox, Delivery::Latest, 6_000).is_ok());
    assert_eq!(push(&mut outbox, Delivery::Latest, 6_001), Err(QueueError::TooLarge));
    let mut outbox = Outbox::new(64 << 20);
    let most = UNCREDITED_POOL - OVERHEAD;
    assert_eq!(push(&mut outbox, Delivery::Latest, most + 1), Err(QueueError::TooLarge));
}

#[test]
fn a_message_that_turns_out_too_large_is_given_up_without_a_gap() {
    let mut outbox = Outbox::new(100_000);
    let lens = [10, 7_000, 20, 7_000];
    let receipts = lens.map(|len| push(&mut outbox, Delivery::Ordered, len).unwrap());
    outbox.set_peer_limits(limits(5_000));
    let mut reported: Vec<_> = std::iter::from_fn(|| outbox.poll_receipt()).collect();
    reported.sort_by_key(|(receipt, _)| *receipt);
    let gone = [receipts[1], receipts[3]].map(|receipt| (receipt, Outcome::TooLarge));
    assert_eq!(reported, gone);
    let sent = packet(&mut outbox, NOW, false);
    let sent: Vec<_> = sent.iter().map(|fragment| (fragment.id, fragment.total)).collect();
    assert_eq!(sent, [(0, 10), (1, 20)]);
    assert_eq!(outbox.queued(), 30 + 2 * OVERHEAD);
}

#[test]
fn ids_continue_after_a_lane_is_freed() {
    let mut outbox = Outbox::new(100_000);
    outbox.set_peer_limits(limits(5_000));
    for id in 0..3 {
        push(&mut outbox, Delivery::Ordered, 10).unwrap();
        let fragment = packet(&mut outbox, NOW, false)[0];
        assert_eq!(fragment.id, id);
        outbox.on_acked(Sent::Fragment(fragment.sent()));
        outbox.poll_receipt().unwrap();
        outbox.release_idle();
        assert!(outbox.heap_is_idle());
    }
}

#[test]
fn lanes_of_channels_used_once_do_not_accumulate() {
    let mut outbox = Outbox::new(100_000);
    outbox.set_peer_limits(limits(5_000));
    for channel in 0..100 {
        let channel = ChannelId(channel);
        outbox.push(NOW, Outgoing::new(channel, Delivery::Unreliable, vec![0; 9])).unwrap();
        assert_eq!(packet(&mut outbox, NOW, false).len(), 1);
        outbox.poll_receipt().unwrap();
    }
    assert!(outbox.lanes.len() <= LANES_KEPT);
}

#[test]
fn d5_credit_for_an_unused_channel_creates_no_entry() {
    let mut outbox = Outbox::new(100_000);
    outbox.set_peer_limits(limits(5_000));
    outbox.on_channel_credit(CHANNEL, 1 << 40);
    push(&mut outbox, Delivery::Ordered, 4_900).unwrap();
    push(&mut outbox, Delivery::Ordered, 4_900).unwrap();
    while !packet(&mut outbox, NOW, false).is_empty() {}
    assert_eq!(outbox.poll_blocked(), Some(Scope::Channel(CHANNEL)));
}
