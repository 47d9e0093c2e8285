//! A million invalid datagrams at a native listener's port.

use std::{fs, net::UdpSocket, thread, time::Duration};

use crate::support::{hear, native::Home, process::Process, stranger};

const COUNT: usize = 1_000_000;

/// splitmix64, Steele, Lea and Flood 2014.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).expect("less than a usize")
    }
}

/// Returns the first datagrams of a client that gets no answer.
fn first_datagrams(home: &Home) -> Vec<Vec<u8>> {
    let nobody = stranger();
    let address = nobody.local_addr().expect("it is bound").to_string();
    let client = Process::start(home.command(&["send", "--timeout", "1s", &address, "x"]));
    let all = (0..2).map(|_| hear(&nobody).0).collect();
    client.interrupt();
    client.end();
    all
}

/// Returns the resident memory in KiB, as the system reports it.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn mutate(dice: &mut Dice, real: &[Vec<u8>], out: &mut Vec<u8>) {
    out.clear();
    match dice.roll(4) {
        // Unlike a packet, or with only its first byte.
        0 => (0..dice.roll(200)).for_each(|_| out.push(dice.roll(256) as u8)),
        1 => {
            out.push([0x40, 0x41, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4][dice.roll(7)]);
            (0..40 + dice.roll(60)).for_each(|_| out.push(dice.roll(256) as u8));
        }
        // A real packet, damaged or truncated.
        _ => {
            out.extend_from_slice(&real[dice.roll(real.len())]);
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(out.len());
                out[at] ^= 1 << dice.roll(8);
            }
            if dice.roll(4) == 0 {
                out.truncate(dice.roll(out.len()));
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_million_invalid_datagrams_change_nothing() {
    let (alice, bob) = (Home::new(), Home::new());
    let real = first_datagrams(&alice);
    let listener = bob.listen(&[]);
    let to = listener.to();
    let before = alice.send(&[&to, "before"]);
    assert_eq!(before.code, Some(0), "{before:?}");
    let at_first = memory(listener.process.id());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    let (mut dice, mut datagram) = (Dice(1), Vec::new());
    for number in 0..COUNT {
        mutate(&mut dice, &real, &mut datagram);
        socket.send_to(&datagram, listener.address).expect("loopback takes it");
        if number % 256 == 0 {
            thread::sleep(Duration::from_micros(100));
        }
    }
    let after = alice.send(&["--timeout", "20s", &to, "after"]);
    assert_eq!(after.code, Some(0), "{after:?}");
    let grown = memory(listener.process.id()).saturating_sub(at_first);
    assert!(grown < 16 << 10, "{grown} KiB more than {at_first}");
    let ended = listener.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains("before") && ended.text().contains("after"), "{ended:?}");
}
