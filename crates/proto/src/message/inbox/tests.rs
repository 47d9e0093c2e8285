//! Credit, pool and order of what is received.

use std::time::Duration;

use super::*;

pub(in crate::message) fn inbox() -> Inbox {
    with(CONFIG)
}

pub(in crate::message) fn with(config: InboxConfig) -> Inbox {
    Inbox::new(&Rules::new(config, (0, u64::MAX)))
}

pub(in crate::message) const NOW: Time = Time::from_micros(1_000_000);
pub(in crate::message) const CONFIG: InboxConfig =
    InboxConfig { credit: 2_000, channel_credit: 1_000, max_message: 900, pool: 2_048 };

pub(in crate::message) fn fragment(class: Class, id: u64, data: &[u8]) -> Fragment<'_> {
    let time_left = (class == Class::Deadline).then_some(Duration::from_millis(50));
    let channel = ChannelId(0);
    Fragment { channel, class, id, time_left, total: data.len(), offset: 0, data }
}

pub(in crate::message) fn on(channel: u16, fragment: Fragment<'_>) -> Fragment<'_> {
    Fragment { channel: ChannelId(channel), ..fragment }
}

/// The first half of a message of twice the length.
pub(in crate::message) fn half(fragment: Fragment<'_>) -> Fragment<'_> {
    Fragment { total: fragment.total * 2, ..fragment }
}

pub(in crate::message) fn kept(inbox: &mut Inbox, fragment: Fragment<'_>) -> bool {
    inbox.insert(NOW, fragment).unwrap() == Kept::Yes
}

pub(in crate::message) fn pop(inbox: &mut Inbox) -> Option<Vec<u8>> {
    pop_from(inbox, None)
}

pub(in crate::message) fn pop_from(inbox: &mut Inbox, channel: Option<u16>) -> Option<Vec<u8>> {
    let message = inbox.take(NOW, channel.map(ChannelId));
    inbox.account_for_taken();
    message.map(|message| message.payload.into())
}

// D-13: what is held is counted by its length, so a message must not keep a datagram's buffer.
#[test]
fn d13_a_received_message_holds_no_more_memory_than_its_length() {
    const LEN: usize = 600;
    let data = [7; LEN];
    for class in Class::ALL {
        for cut in [LEN, LEN / 2, 1] {
            let mut inbox = inbox();
            let whole = Fragment { total: LEN, ..fragment(class, 0, &data) };
            let first = Fragment { data: &data[..cut], ..whole };
            let rest = Fragment { data: &data[cut..], offset: cut, ..whole };
            // The later fragment first: its bytes are held separately until the gap closes.
            for part in [rest, first].into_iter().filter(|part| !part.data.is_empty()) {
                assert!(kept(&mut inbox, part), "{class:?}, cut at {cut}");
            }
            let payload = inbox.take(NOW, None).expect("it is whole").payload;
            let buffer = payload.try_into_mut().expect("nobody shares it");
            assert_eq!((buffer.len(), buffer.capacity()), (LEN, LEN), "{class:?}, cut at {cut}");
        }
    }
}

// D-14
#[test]
fn d14_channels_are_charged_to_the_budget_until_the_connection_ends() {
    for class in [Class::Ordered, Class::Latest, Class::Deadline] {
        let cost = u64::from(CHANNEL_COST);
        let rules = Rules::new(CONFIG, (3 * cost, 20 * cost + OVERHEAD as u64));
        let mut inbox = Inbox::new(&rules);
        let opened = (0..u16::MAX).filter(|channel| {
            let kept = kept(&mut inbox, on(*channel, fragment(class, 0, &[])));
            assert!(!kept || pop(&mut inbox).is_some());
            kept
        });
        assert_eq!(opened.count(), 23, "{class:?}");
        assert!(kept(&mut inbox, on(0, fragment(class, 1, &[]))), "a channel that is open");
        let other = kept(&mut Inbox::new(&rules), on(9, fragment(class, 0, &[])));
        assert!(other, "each connection has room of its own");
        drop(inbox);
        assert_eq!(rules.budget.taken(), 0);
    }
}

// D-14
#[test]
fn d14_a_channel_of_unreliable_messages_returns_its_room() {
    let rules = Rules::new(CONFIG, (0, 2 * u64::from(CHANNEL_COST)));
    let mut inbox = Inbox::new(&rules);
    for channel in 0..100 {
        assert!(kept(&mut inbox, on(channel, fragment(Class::Unreliable, 0, &[1]))));
        assert_eq!(pop(&mut inbox), Some(vec![1]));
    }
    assert_eq!(rules.budget.taken(), 0);
}

// D-5
#[test]
fn d5_blocked_before_the_first_message_costs_nothing_and_is_not_forgotten() {
    let mut inbox = inbox();
    (0..u16::MAX).for_each(|channel| inbox.on_blocked(Scope::Channel(ChannelId(channel))));
    assert!(inbox.channels.is_empty() && inbox.heap_is_idle());
    assert!(kept(&mut inbox, on(7, fragment(Class::Ordered, 0, &[1]))));
    pop(&mut inbox);
    let update = inbox.poll_credit().map(|update| update.scope);
    assert_eq!(update, Some(Scope::Channel(ChannelId(7))));
}

// M-50
#[test]
fn m50_a_fragment_beyond_its_message_and_a_message_beyond_the_limit_close() {
    let mut inbox = inbox();
    for (total, offset, len) in [(10, 5, 6), (10, usize::MAX, 2), (901, 0, 5)] {
        for class in Class::ALL {
            let data = &[0; 10][..len];
            let bad = Fragment { total, offset, ..fragment(class, 0, data) };
            let close = inbox.insert(NOW, bad).unwrap_err();
            assert_eq!(close.code, Close::PROTOCOL_VIOLATION);
        }
    }
    assert!(inbox.channels.is_empty() && inbox.heap_is_idle());
}

#[test]
fn messages_are_taken_in_order_of_arrival_or_by_channel() {
    let mut inbox = inbox();
    for channel in [3, 1, 3, 2] {
        assert!(kept(&mut inbox, on(channel, fragment(Class::Unreliable, 0, &[channel as u8]))));
    }
    assert_eq!(pop_from(&mut inbox, Some(2)), Some(vec![2]));
    assert_eq!(pop_from(&mut inbox, Some(2)), None);
    let order: Vec<_> = std::iter::from_fn(|| pop(&mut inbox)).flatten().collect();
    assert_eq!(order, [3, 1, 3]);
    assert!(inbox.channels.is_empty(), "channels of Unreliable leave nothing behind");
}

/// Takes from a queue of its own, as the application of a driver does.
fn taken(queue: &mut ReceiveQueue) -> Vec<u8> {
    let messages = std::iter::from_fn(|| queue.take(NOW, None));
    messages.map(|message| message.payload[0]).collect()
}

// D-4, D-6
#[test]
fn d4_messages_in_another_queue_count_until_they_are_taken_and_reported() {
    let mut queue = ReceiveQueue::new();
    for class in Class::ALL {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, fragment(class, 0, &[class as u8; 100])));
        let held = inbox.held();
        inbox.exchange(NOW, &mut queue, |dedicated| assert_eq!(dedicated, None));
        assert!(!inbox.has_ready());
        assert_eq!(inbox.held(), held, "{class:?} waits");
        assert_eq!(taken(&mut queue), [class as u8]);
        assert_eq!(inbox.held(), held, "{class:?} is taken, and not reported");
        inbox.exchange(NOW, &mut queue, |_| {});
        assert_eq!((inbox.window.outstanding(), inbox.pool), (0, 0), "{class:?}");
    }
}

// D-5
#[test]
fn d5_what_is_taken_from_another_queue_is_reported_at_once_if_the_peer_waits() {
    let (mut inbox, mut queue) = (inbox(), ReceiveQueue::new());
    for id in 0..4 {
        assert!(kept(&mut inbox, fragment(Class::Ordered, id, &[id as u8; 100])));
    }
    inbox.exchange(NOW, &mut queue, |_| {});
    queue.take(NOW, None).unwrap();
    assert!(!queue.is_report_due() && !inbox.poll_report_wanted(), "it can wait");
    inbox.on_blocked(Scope::Channel(ChannelId(0)));
    assert!(inbox.poll_report_wanted() && !inbox.poll_report_wanted());
    inbox.exchange(NOW, &mut queue, |_| {});
    let update = inbox.poll_credit().map(|update| update.total);
    assert_eq!(update, Some(1_164), "what was taken before");
    inbox.on_blocked(Scope::Channel(ChannelId(0)));
    inbox.exchange(NOW, &mut queue, |_| {});
    assert!(!queue.is_report_due(), "nothing was taken");
    queue.take(NOW, None).unwrap();
    assert!(queue.is_report_due(), "the peer waits");
}

// D-6
#[test]
fn d6_a_message_without_room_requests_a_report_of_what_was_taken() {
    let (mut inbox, mut queue) = (inbox(), ReceiveQueue::new());
    for id in 0..2 {
        assert!(kept(&mut inbox, on(id as u16, fragment(Class::Latest, 0, &[id as u8; 800]))));
    }
    inbox.exchange(NOW, &mut queue, |_| {});
    assert_eq!(queue.take(NOW, None).map(|message| message.payload[0]), Some(0));
    assert!(!kept(&mut inbox, on(2, fragment(Class::Latest, 0, &[2; 800]))));
    assert!(inbox.poll_report_wanted());
    inbox.exchange(NOW, &mut queue, |_| {});
    assert!(kept(&mut inbox, on(2, fragment(Class::Latest, 0, &[2; 800]))));
    inbox.exchange(NOW, &mut queue, |_| {});
    assert_eq!(taken(&mut queue), [1, 2]);
}

// D-6
#[test]
fn d6_a_newer_latest_replaces_the_one_in_another_queue_and_takes_its_room() {
    let (mut inbox, mut queue) = (inbox(), ReceiveQueue::new());
    for id in 0..4 {
        assert!(kept(&mut inbox, fragment(Class::Latest, id, &[id as u8; 800])));
        assert!(kept(&mut inbox, fragment(Class::Ordered, id, &[10 + id as u8])));
        inbox.exchange(NOW, &mut queue, |_| {});
        assert_eq!(inbox.pool as usize, 800 + OVERHEAD);
    }
    assert_eq!(taken(&mut queue), [3, 10, 11, 12, 13]);
    inbox.exchange(NOW, &mut queue, |_| {});
    assert_eq!(inbox.pool, 0);
}

// D-5
#[test]
fn d5_credit_is_announced_when_half_a_window_was_taken_and_again_when_lost() {
    let mut inbox = inbox();
    assert!(kept(&mut inbox, fragment(Class::Ordered, 0, &[0; 500])));
    assert_eq!(inbox.poll_credit(), None, "nothing was taken");
    pop(&mut inbox).unwrap();
    let scope = Scope::Channel(ChannelId(0));
    let update = Some(CreditUpdate { scope, total: 1_564 });
    assert_eq!((inbox.poll_credit(), inbox.poll_credit()), (update, None));
    inbox.on_credit_lost(scope);
    assert!(inbox.has_pending_credit());
    assert_eq!((inbox.poll_credit(), inbox.poll_credit()), (update, None));
}

// D-5
#[test]
fn a_peer_that_waits_gets_credit_at_once_even_if_that_overtakes_its_messages() {
    let mut inbox = inbox();
    inbox.on_blocked(Scope::Channel(ChannelId(0)));
    inbox.on_blocked(Scope::Connection);
    assert!(kept(&mut inbox, fragment(Class::Reliable, 0, &[0; 10])));
    pop(&mut inbox).unwrap();
    let totals: Vec<u64> =
        std::iter::from_fn(|| inbox.poll_credit()).map(|update| update.total).collect();
    assert_eq!(totals, [2_074, 1_074]);
}

#[test]
fn an_idle_inbox_holds_only_counters() {
    let mut inbox = inbox();
    for class in Class::ALL {
        assert!(kept(&mut inbox, fragment(class, 0, &[0; 10])));
    }
    assert!(kept(&mut inbox, half(fragment(Class::Unreliable, 1, &[0; 10]))));
    while pop(&mut inbox).is_some() {}
    inbox.release_idle(NOW);
    assert!(inbox.heap_is_idle());
    assert_eq!(inbox.pool, 0);
    assert!(kept(&mut inbox, fragment(Class::Ordered, 0, &[0; 10])));
    assert!(!inbox.has_ready(), "what was delivered is remembered");
}
