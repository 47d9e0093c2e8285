//! `recv_in_order`: a message waits for an earlier one until shortly before its deadline.

use std::time::Duration;

use hikyaku_proto::Delivery;
use tokio::time::timeout;

use super::answers::ends;
use crate::clock::runtime_now;

#[tokio::test(start_paused = true)]
async fn a_message_is_received_before_its_deadline_although_an_earlier_one_is_lost() {
    let (_client, here, _server, there) = ends().await;
    let (microphone, speaker) = (here.channel(2), there.channel(2));
    let began = runtime_now();
    for (within, frame) in [(0, "never sent"), (200, "second"), (900, "third")] {
        let within = Delivery::Deadline(Duration::from_millis(within));
        microphone.send(within, frame).await.expect("it is open");
    }
    // A call that is dropped meanwhile takes nothing.
    assert!(timeout(Duration::from_millis(50), speaker.recv_in_order()).await.is_err());
    assert_eq!(speaker.recv_in_order().await.expect("it is open").payload, "second");
    let took = began.elapsed().as_millis();
    assert!((150..200).contains(&took), "{took} ms");
    assert_eq!(speaker.recv_in_order().await.expect("it is open").payload, "third");
    assert_eq!(began.elapsed().as_millis(), took, "nothing is missing before it");
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_after_the_end_of_the_connection() {
    let (client, here, _server, there) = ends().await;
    for (within, frame) in [(0, "never sent"), (60_000, "last")] {
        let within = Delivery::Deadline(Duration::from_millis(within));
        here.send(within, frame).await.expect("it is open");
    }
    there.keep_order();
    let began = runtime_now();
    drop((here, client));
    assert_eq!(there.recv().await.expect("it arrived").payload, "last");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    there.recv().await.expect_err("the peer is gone");
}
