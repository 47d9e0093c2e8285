//! A message that is sent alone is on its way when `send` returns; others leave together.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use hikyaku_proto::Delivery;

use super::answers::ends;
use crate::{connection::Connection, endpoint::Endpoint, requests::Requests};

async fn echo(there: Connection) {
    while let Ok(message) = there.recv().await {
        if there.send(Delivery::Ordered, message.payload).await.is_err() {
            return;
        }
    }
}

/// Sends a message. Returns how many datagrams the endpoint has sent for it by then: tasks other
/// than this one have not run.
async fn sent_at_once(client: &Endpoint, here: &Connection) -> u64 {
    let before = client.stats().sent;
    here.send(Delivery::Ordered, "a question").await.expect("it is open");
    client.stats().sent - before
}

#[tokio::test(start_paused = true)]
async fn a_program_that_waits_after_each_message_sends_it_itself() {
    let (client, here, _server, there) = ends().await;
    tokio::spawn(echo(there));
    for trip in 0..5 {
        assert_eq!(sent_at_once(&client, &here).await, u64::from(trip > 0), "trip {trip}");
        here.recv().await.expect("it is answered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_never_waits_to_send_sends_itself_too() {
    let (client, here, _server, there) = ends().await;
    tokio::spawn(echo(there));
    for trip in 0..5 {
        let before = client.stats().sent;
        here.try_send(Delivery::Ordered, "a question").expect("there is room");
        assert_eq!(client.stats().sent - before, u64::from(trip > 0), "trip {trip}");
        here.recv().await.expect("it is answered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_waits_for_each_receipt_sends_itself() {
    let (client, here, _server, _there) = ends().await;
    for number in 0..5 {
        let before = client.stats().sent;
        let receipt = here.send(Delivery::Ordered, "a line").await.expect("it is open");
        assert_eq!(client.stats().sent - before, u64::from(number > 0), "message {number}");
        receipt.acknowledged().await.expect("it is delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_sent_together_leave_together() {
    let (client, here, _server, there) = ends().await;
    tokio::spawn(echo(there));
    for trip in 0..5 {
        let before = client.stats().sent;
        for _ in 0..3 {
            assert_eq!(sent_at_once(&client, &here).await, 0, "trip {trip}");
        }
        for _ in 0..3 {
            here.recv().await.expect("it is answered");
        }
        assert_eq!(client.stats().sent - before, 1, "trip {trip}");
    }
}

/// Wakes a task, and notes whether the driver was free by then.
struct Probe {
    requests: Arc<Requests>,
    busy: AtomicBool,
    task: Waker,
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.busy.fetch_or(self.requests.driver.is_busy(), Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_woken_finds_the_driver_free() {
    let (_client, here, _server, there) = ends().await;
    tokio::spawn(echo(there));
    let receipt = here.send(Delivery::Ordered, "a question").await.expect("it is open");
    let task = poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
    let requests = Arc::clone(here.mailbox().requests());
    let probe = Arc::new(Probe { requests, busy: AtomicBool::new(false), task });
    let waker = Waker::from(Arc::clone(&probe));
    let mut both = pin!(async { tokio::join!(receipt.acknowledged(), here.recv()) });
    let (acknowledged, answer) =
        poll_fn(|_| both.as_mut().poll(&mut Context::from_waker(&waker))).await;
    assert!(acknowledged.is_ok() && answer.is_ok());
    assert!(!probe.busy.load(Ordering::Relaxed), "it was woken during a turn");
}
