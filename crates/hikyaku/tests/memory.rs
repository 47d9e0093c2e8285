//! Memory that queued messages hold, counted.

mod common;

use allocation_counter::measure;
use hikyaku::{Bytes, Delivery};

use self::common::pair;

// On one thread, the endpoint's task takes nothing before this one waits.
#[tokio::test]
async fn small_parts_of_large_buffers_that_wait_for_the_driver_keep_few_of_them() {
    const BUFFER: i64 = 64 << 10;
    const MESSAGES: i64 = 5_000;
    let (_client, ours, _server, _theirs) = pair().await;
    let held = measure(|| {
        for _ in 0..MESSAGES {
            let buffer = Bytes::from(vec![7; BUFFER as usize]);
            ours.try_send(Delivery::Ordered, buffer.slice(100..116)).unwrap();
        }
    });
    let most = 1_030 * BUFFER + MESSAGES * 400;
    assert!(held.bytes_current < most, "{} bytes", held.bytes_current);
}
