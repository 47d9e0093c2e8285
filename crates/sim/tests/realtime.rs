//! Real-time flows over lossy and jittery paths, with the default congestion control.

use std::time::Duration;

use hikyaku_sim::{
    api::{Congestion, Delivery},
    bottleneck::{Experiment, Flow, Share, Traffic, run},
    link::{LinkConfig, Loss},
};

const SPAN: Duration = Duration::from_secs(30);

/// A path of 20 Mbit/s and 100 ms that loses this share in each direction.
fn lossy(share: f64) -> LinkConfig {
    LinkConfig {
        latency: Duration::from_millis(50),
        loss: Loss::Random(share),
        mtu: 1_472,
        rate: Some(20_000_000 / 8),
        queue: 250_000,
        ..LinkConfig::default()
    }
}

/// Sends messages of this size at this interval for half a minute.
fn paced(link: LinkConfig, delivery: Delivery, size: usize, each: Duration) -> Share {
    let warmup = Duration::from_secs(2);
    let experiment = Experiment { back: link.clone(), link, warmup, span: SPAN, seed: 0x4ea1 };
    let traffic = Traffic::Paced { delivery, size, each, together: 1 };
    let flow = Flow { traffic, ..Flow::bulk(Congestion::default()) };
    let mut shares = run(&experiment, &[flow]).expect("the flow connects");
    shares.flows.pop().expect("there is one flow")
}

/// Video: 2.1 Mbit/s in packets of MPEG transport streams.
fn video(link: LinkConfig, delivery: Delivery) -> Share {
    paced(link, delivery, 1_316, Duration::from_millis(5))
}

/// A game: 60 messages of 200 bytes per second.
fn game(link: LinkConfig, delivery: Delivery) -> Share {
    paced(link, delivery, 200, Duration::from_micros(16_667))
}

fn delivered(share: &Share) -> f64 {
    share.latencies.len() as f64 / share.sent as f64
}

fn p99(share: &Share) -> u128 {
    share.percentile(0.99).as_millis()
}

#[test]
fn video_with_a_deadline_survives_five_percent_of_loss() {
    let share = video(lossy(0.05), Delivery::Deadline(Duration::from_millis(400)));
    assert!(delivered(&share) > 0.994, "{}", delivered(&share));
    assert!(p99(&share) < 200, "{}", p99(&share));
}

// D-8, D-16
#[test]
fn unreliable_video_loses_what_the_path_loses_and_never_waits() {
    let share = video(lossy(0.05), Delivery::Unreliable);
    assert!(delivered(&share) > 0.94, "{}", delivered(&share));
    assert!(p99(&share) <= 65, "{}", p99(&share));
}

// at 60 Hz, a lost message arrives with the next packet, after the 50 ms of the path and
// 16.7.
#[test]
fn game_messages_wait_only_for_lost_ones() {
    let ordered = game(lossy(0.05), Delivery::Ordered);
    let reliable = game(lossy(0.05), Delivery::Reliable);
    let latest = game(lossy(0.05), Delivery::Latest);
    assert!(p99(&ordered) <= 70, "{}", p99(&ordered));
    assert!(p99(&reliable) <= 70, "{}", p99(&reliable));
    assert!(p99(&latest) <= 51 && delivered(&latest) > 0.93);
}

//
#[test]
fn reordering_by_jitter_is_not_taken_for_loss() {
    let latency = Duration::from_millis(20);
    let link = LinkConfig { latency, reorder: 1.0, reorder_by: latency, ..lossy(0.0) };
    let share = video(link, Delivery::Deadline(Duration::from_millis(100)));
    let (sent, lost) = share.packets;
    assert!(delivered(&share) > 0.99, "{}", delivered(&share));
    assert!(lost * 50 < sent, "{lost} of {sent} packets were taken for lost");
}
