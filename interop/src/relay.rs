//! A lossy relay between one client and one server.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The maximum number of losses in a row per direction. Retransmissions back off exponentially, so
/// without this bound a run would occasionally take minutes.
const MAX_LOST_IN_A_ROW: u32 = 2;

/// How soon its threads notice that they are no longer needed.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Loses a fifth of the datagrams in each direction.
#[derive(Debug)]
pub struct LossyRelay {
    /// The address to which the client sends.
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl LossyRelay {
    /// Starts the relay. The seed determines which datagrams are lost, by their order in each
    /// direction.
    #[track_caller]
    #[must_use]
    pub fn start(server: SocketAddr, seed: u64) -> Self {
        let (front, back) = (socket(), socket());
        let address = front.local_addr().expect("it is bound");
        back.connect(server).expect("an address of this machine can be connected to");
        let client = Arc::new(Mutex::new(None));
        let over = Arc::new(AtomicBool::new(false));
        let (front, back) = (Arc::new(front), Arc::new(back));
        let there = {
            let (front, back, client) =
                (Arc::clone(&front), Arc::clone(&back), Arc::clone(&client));
            carry(Fate::new(seed), &over, Arc::clone(&front), move |datagram, from| {
                *client.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
                // A datagram that cannot be sent counts as lost.
                let _ = back.send(datagram);
            })
        };
        let back_again = carry(Fate::new(!seed), &over, back, move |datagram, _| {
            let client = *client.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(client) = client {
                let _ = front.send_to(datagram, client);
            }
        });
        Self { address, over, threads: vec![there, back_again] }
    }
}

impl Drop for LossyRelay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_read_timeout(Some(LOOK_UP)).expect("a socket can be given a deadline");
    socket
}

fn carry(
    mut fate: Fate,
    over: &Arc<AtomicBool>,
    socket: Arc<UdpSocket>,
    deliver: impl Fn(&[u8], SocketAddr) + Send + 'static,
) -> JoinHandle<()> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while !over.load(Ordering::Relaxed) {
            // A timeout, or an error report that nobody listens there: the next datagram may
            // succeed.
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
            if !fate.loses() {
                deliver(&buffer[..len], from);
            }
        }
    })
}

struct Fate {
    dice: u64,
    in_a_row: u32,
}

impl Fate {
    fn new(seed: u64) -> Self {
        Self { dice: seed, in_a_row: 0 }
    }

    fn loses(&mut self) -> bool {
        // SplitMix64.
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let loses = (mixed ^ (mixed >> 31)).is_multiple_of(5) && self.in_a_row < MAX_LOST_IN_A_ROW;
        self.in_a_row = if loses { self.in_a_row + 1 } else { 0 };
        loses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_lost_and_never_many_in_a_row() {
        let mut fate = Fate::new(1);
        let fates: Vec<bool> = (0..10_000).map(|_| fate.loses()).collect();
        let lost = fates.iter().filter(|lost| **lost).count();
        assert!((1_800..2_200).contains(&lost), "{lost} of 10,000");
        let in_a_row = fates.split(|lost| !lost).map(<[bool]>::len).max();
        assert_eq!(in_a_row, Some(MAX_LOST_IN_A_ROW as usize));
    }
}
