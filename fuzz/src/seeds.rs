//! Seed inputs: for each target a few inputs that reach deep into it.
//!
//! Inputs found by a fuzzer are in `corpus/` only.

use hikyaku::signers::Fingerprint;
use hikyaku_services::{
    discovery::{Announcement, Answer, Query},
    invite::{Invite, OneUse, Secret},
};

/// The inputs of one target, numbered in order.
pub type Seeds = Vec<Vec<u8>>;

/// Returns the seeds of every target.
#[must_use]
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![
        ("frames", frames()),
        ("stateless", stateless()),
        ("operations", operations()),
        ("dtls", dtls()),
        ("chat", chat()),
        ("terminal", terminal()),
        ("wire", wire()),
        ("handshake", handshake()),
        ("envelope", armour()),
        ("fernet", armour()),
        ("files", files()),
        ("discovery", discovery()),
    ]
}

/// Encodes a chunk of a script.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    match u8::try_from(bytes.len()) {
        Ok(len) if len < 255 => [&[len], bytes].concat(),
        _ => {
            let len = u16::try_from(bytes.len()).expect("seeds are short");
            [&[255], &len.to_be_bytes()[..], bytes].concat()
        }
    }
}

/// Returns the default transport parameters, and extreme ones.
fn parameters() -> Vec<Vec<u8>> {
    let id = [&[1, 8][..], &[5; 8]].concat();
    let odd = [2, 1, 1, 3, 2, 0x44, 0xb0, 4, 1, 9, 5, 1, 0, 6, 1, 7, 7, 2, 0x7f, 0xff, 40, 1, 1];
    vec![Vec::new(), id.clone(), [&id[..], &odd].concat()]
}

/// Returns one frame of every type, encoded (PROTOCOL.md section 4).
fn every_frame() -> Vec<Vec<u8>> {
    let mut list: Vec<Vec<u8>> = vec![
        vec![0; 4],
        vec![1],
        vec![2, 3, 1, 1, 1, 0, 0],
        vec![3, 0, 0, 0, 0, 1, 1, 1],
        vec![4, 0, 3, b't', b'l', b's'],
        vec![5],
        vec![7, 0],
        [&[8][..], &[3; 8]].concat(),
        [&[9][..], &[3; 8]].concat(),
        vec![10, 0x80, 1, 0, 0],
        vec![11, 2, 0x80, 1, 0, 0],
        vec![13, 0],
        vec![13, 3],
        vec![14, 7, 3, b'b', b'y', b'e'],
    ];
    for sequence in 1..4 {
        list.push([&[6, sequence, 0][..], &[sequence; 8], &[9; 16]].concat());
    }
    for class in 0..5_u8 {
        let time: &[u8] = if class == 4 { &[40] } else { &[] };
        list.push([&[0x10 | class, 1, 0][..], time, &[2, b'h', b'i']].concat());
        list.push([&[0x18 | class, 1, 1][..], time, &[6, 0, 3, b'a', b'b', b'c']].concat());
        list.push([&[0x18 | class, 1, 1][..], time, &[6, 3, 3, b'd', b'e', b'f']].concat());
    }
    list
}

fn frames() -> Seeds {
    let mut seeds = Seeds::new();
    for (index, parameters) in parameters().iter().enumerate() {
        let choices = [0, 2, 1, 3, 2, 3].map(|choice| choice ^ index as u8);
        let start = [&choices[..4], &chunk(parameters)].concat();
        let mut there = start.clone();
        let mut back = start.clone();
        for frame in every_frame().iter().filter(|frame| frame[0] != 14) {
            there.extend([&[0][..], &chunk(frame)].concat());
            back.extend([&[0x80][..], &chunk(frame)].concat());
        }
        // Both ends send, time passes, the client moves, keys are updated, the connection closes.
        let talk = [9, 0, 1, 1, 0, 0x89, 1, 1, 4, 0, 10, 0, 0x8a, 0, 6, 0x9f, 12, 2, 0x40, 1, 1];
        let end = [7, 7, 8, 7, 7, 8, 0x20, 0, 3, 1, 1, 1, 12, 5, 7, 7];
        seeds.push([&start[..], &talk, &end].concat());
        seeds.extend([there, back]);
    }
    for frame in every_frame() {
        seeds.push([&[0, 3, 0, 2, 0, 0][..], &chunk(&frame), &[0x80], &chunk(&frame)].concat());
    }
    seeds
}

fn stateless() -> Seeds {
    let mut seeds = Seeds::new();
    let frames = every_frame();
    // A minimal TLS ClientHello in a CRYPTO frame; and one that is only a length.
    let tls = [4, 0, 8, 1, 0, 0, 4, 3, 3, 0, 0];
    for retry in [0, 1, 2, 0x80] {
        let mut seed = vec![retry];
        for ids in 0..4 {
            seed.extend([&[4, ids][..], &chunk(&tls), &[0x44, 0x80 | ids], &chunk(&tls)].concat());
            seed.extend([11, 12, 0, 0, 30, 1, 14, 0x80, 1]);
            seed.extend(chunk(&frames[usize::from(ids)]));
            seed.extend([14, 0x83, 2]);
            seed.extend(chunk(&[7; 40]));
            seed.extend([14, 0x84, 0]);
            seed.extend(chunk(&[0, 0, 0, 2]));
            seed.extend([14, 0x04, 0]);
            seed.extend(chunk(&[0, 0, 0, 1, 0, 0, 0, 2]));
        }
        seeds.push(seed);
    }
    // Packets of no connection: a data packet, another version, each of the long types.
    let mut seed = vec![0, 0];
    seed.extend(chunk(&[&[0x40][..], &[1; 50]].concat()));
    for first in 0xc0..=0xc5 {
        for version in 0..3 {
            let packet = [&[first, 0, 0, 0, version][..], &[1; 16], &[0, 0, 0, 0, 9]].concat();
            seed.extend([&[0x53][..], &chunk(&packet)].concat());
        }
    }
    seeds.push(seed);
    for frame in frames {
        seeds.push([&[0, 4, 0][..], &chunk(&frame), &[4, 0], &chunk(&frame), &[11]].concat());
    }
    seeds
}

fn operations() -> Seeds {
    let mut seeds = Seeds::new();
    for start in [0, 1, 2, 8, 16, 24 + 4] {
        // Every class in both directions, small and large, on two channels; with losses,
        // duplicates, reordering, key updates and changes of address.
        let mut seed = vec![start];
        for class in 0..5_u8 {
            for size in [3, 0x7f, 0xbf, 0xff] {
                seed.extend([class, size & 1, size, 200, 0x80 | class, 1, size, 90, 13, 11]);
            }
            seed.extend([8, 0, 5, 3, 7, 1, 9, 1, 0, 30, 4, 15, 3, 11, 11, 15, 0x19, 10, 0x9f, 11]);
            seed.extend([12, 3, 0x8c, 200, 13, 0x8f, 4, 13]);
        }
        seeds.push(seed.clone());
        seed.extend([15, 0x1c, 11, 13, 0x8f, 0x1d]);
        seeds.push(seed);
    }
    seeds
}

fn dtls() -> Seeds {
    let mut seeds = Seeds::new();
    // A handshake, messages in both directions, a damaged one, a duplicate; a client that starts
    // again.
    let talk = [11, 0, 9, 0x8b, 1, 0, 0, 11, 0, 3, 4, 0, 0, 30, 1, 11, 0, 3, 0x44, 0, 0, 0, 0];
    for kind in 0..4 {
        let mut seed = vec![kind];
        seed.extend([0; 8]);
        seed.extend(talk);
        seeds.push([&seed[..], &[0x8e | kind << 4, 0, 0, 0, 0, 0, 0], &talk, &[15]].concat());
        seeds.push([&seed[..], &[0x4f, 0, 10, 10]].concat());
        // With delays, losses and other fragment sizes; from another address.
        let rough = [0xcf, 40, 20, 0, 3, 0, 10, 0, 0x83, 1, 10, 0, 0xcf, 90, 60, 0, 10, 0, 0, 0];
        seeds.push([&[kind][..], &rough, &talk, &[0x2c, 0, 0, 11, 0, 1, 0, 0]].concat());
        seeds
            .push([&[kind, 4, 0, 0, 50, 1, 0x84, 0, 0, 50, 1, 0, 10, 0, 5, 0][..], &talk].concat());
    }
    // Fragments by hand: a fragmented ClientHello, an alert, a message that is too long.
    let piece = |kind, number, len: u16, at: u16, bytes: &[u8]| {
        let (len, at) = (len.to_be_bytes(), at.to_be_bytes());
        [&[kind, 0, number, 9, len[0], len[1], at[0], at[1]][..], &chunk(bytes)].concat()
    };
    let mut seed = vec![0];
    for (len, at) in [(40, 0), (40, 20), (40, 10), (60_000, 0)] {
        seed.extend([&[8, 1][..], &piece(1, 0, len, at, &[3; 20])].concat());
        seed.extend([&[13][..], &piece(2, 0, len, at, &[3; 20])].concat());
    }
    seeds.push(seed);
    let record = |flags: u8, body: &[u8]| {
        let len = (body.len() as u16).to_be_bytes();
        chunk(&[&[flags, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1][..], &len, body].concat())
    };
    let fragment = |at: u8, bytes: &[u8]| {
        [&[11, 0, 0, 30, 0, 1, 0, 0, at, 0, 0, bytes.len() as u8][..], bytes].concat()
    };
    let fragments = [fragment(0, &[1; 20]), fragment(5, &[2; 10]), fragment(12, &[3; 18])];
    let mut seed = vec![7];
    fragments.iter().for_each(|fragment| seed.extend(record(22, fragment)));
    seed.extend([record(20, &[1]), record(21, &[2, 40]), record(22, &fragments.concat())].concat());
    seeds.push(seed);
    seeds
}

fn chat() -> Seeds {
    let said: [&[u8]; 14] = [
        b"hello there",
        b"/name alice",
        b"/name bob",
        b"/who",
        b"/help",
        b"/msg alice psst, you",
        b"/msg 10.0.0.1:2 hi",
        b"/nonsense with words",
        b"[12:00:00] * this is a hikyaku chat; you are 10.0.0.5:5; here: bob",
        b"\x1b[31mred\x07 \xe2\x80\xae left",
        b"\xff\xfe not utf-8",
        b"",
        b"/name [forged]: ->",
        b"/quit",
    ];
    let mut seeds = Seeds::new();
    for choice in 0..4 {
        // Idle after half a second, twenty members, 50 lines per second.
        let mut seed = [&[choice, 19, 0xaf, 50, 200][..], &chunk(b"carol")].concat();
        for (index, line) in said.iter().enumerate() {
            seed.extend([&[(index as u8 % 8) << 3][..], &chunk(line)].concat());
            seed.extend([&[4][..], &chunk(line)].concat());
            seed.extend([3, index as u8, 6, 0x85]);
        }
        seed.extend([&[5][..], &chunk(said[8]), &[5], &chunk(said[9]), &[0x17, 6, 0xff]].concat());
        seed.extend([0x1f, 7, 6, 0xff]);
        seeds.push(seed);
    }
    seeds
}

fn terminal() -> Seeds {
    let texts: [&[u8]; 8] = [
        b"plain words, nothing else",
        "飛脚 Ünïcödé e\u{301} 👩\u{200d}🚀".as_bytes(),
        b"\x1b]0;title\x07\x1b[2J\x9b31m\r\n\t\x7f",
        "a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{2028}f\u{e0041}".as_bytes(),
        b"\xff\xc3\x28\xf0\x9f\x80 half",
        b"hi                 [12:00:00] bob: I owe you",
        "x\u{2800}\u{2800}\u{3164}y \u{200d} z".as_bytes(),
        b"  alice   b  ",
    ];
    texts.iter().map(|text| text.to_vec()).collect()
}

fn wire() -> Seeds {
    let mut seeds = every_frame();
    seeds.push(every_frame().concat());
    seeds.extend(parameters());
    seeds.push([&[0x40][..], &[1; 8], &[0, 0, 0, 9], &[7; 30]].concat());
    for first in 0xc0..=0xc4 {
        let version = u8::from(first != 0xc4);
        seeds.push([&[first, 0, 0, 0, version][..], &[1; 16], &[4], &[2; 40]].concat());
    }
    seeds
}

fn handshake() -> Seeds {
    let mut seeds = Seeds::new();
    let every = every_frame();
    for choice in [0, 1, 2, 3, 4] {
        let calm = [0, 13, 12, 13, 12, 13, 12, 13, 12, 13, 14, 1, 13, 12, 13, 12, 13, 0x8e, 0, 13];
        seeds.push([&[choice][..], &calm].concat());
        seeds.push([&[choice, 0][..], &[13, 5, 12, 13, 5, 5, 12, 13, 12, 13, 12, 13]].concat());
    }
    // Lies at each level, of either end.
    for level in [0, 0x20, 0x40, 0x60] {
        for end in [0, 0x80] {
            let lie = [end | level | 6, 0, 90, 1, 13, 12, 13, end | level | 6, 0, 5, 0x40, 13, 12];
            seeds.push([&[0, 0][..], &lie, &[13, 12, 13]].concat());
            let mut say = vec![0, 0, 0, 0, 0];
            for frame in [&every[4], &every[2], &every[5], &every[13]] {
                say.extend([&[end | level | 8][..], &chunk(frame), &[0, 0]].concat());
            }
            seeds.push([&say[..], &[13, 12, 13]].concat());
        }
    }
    seeds.push(vec![0, 2, 0, 40, 1, 13, 12, 13]);
    seeds
}

/// Returns the seeds of both armour targets, whose scripts are the same.
fn armour() -> Seeds {
    let mut seeds = Seeds::new();
    let hello = chunk(b"hello");
    let seal = [&[2][..], &hello, &[3], &hello, &[2], &chunk(&[7; 300])].concat();
    seeds.push([&seal[..], &[7, 0, 7, 0, 7, 1, 7, 2]].concat());
    seeds.push([&seal[..], &[4, 0, 0, 9, 1, 0, 4, 1, 0, 9, 1, 2, 4, 2, 0, 3, 9, 3]].concat());
    seeds.push([&seal[..], &[6, 0xff, 7, 0, 6, 0xff, 7, 2]].concat());
    seeds.push([&seal[..], &[5, 0, 3, 9], &chunk(&[0xa1, 1, 0x27]), &[7, 0]].concat());
    // COSE_Sign1 by hand: tag, protected header with claims, payload, signature.
    let protected = [0xa1, 1, 0x27];
    let envelope =
        [&[0xd2, 0x84, 0x43][..], &protected, &[0xa0, 0x45], b"hello", &[0x58, 64], &[9; 64]]
            .concat();
    seeds.push([&[0][..], &chunk(&envelope)].concat());
    let deep = [&[0xd2, 0x84][..], &[0x81; 60]].concat();
    seeds.push([&[0][..], &chunk(&deep)].concat());
    seeds.push([&[0][..], &chunk(b"gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODw==")].concat());
    seeds
}

fn discovery() -> Seeds {
    let key = Fingerprint::from_bytes(&[7; 32]).expect("it has 32 bytes");
    let announced = Announcement::new("chat/1", "hana", 9, key).expect("it is fine");
    let announced = announced.with_room("#tea").expect("it is fine").with_members(Some(3));
    let announced = announced.with_addresses(&[[192, 0, 2, 7].into(), [0xfd; 16].into()]);
    let answer = Answer { token: *b"a token!", announcement: announced }.encode();
    let query = Query { token: *b"a token!", application: "chat/1" }.encode();
    let datagrams = [&[0, 1][..], &chunk(&query), &[2], &chunk(&answer)].concat();
    let addresses = ["192.0.2.7:9", "[2001:db8::7]:9", "chat.example:9"];
    let addresses = addresses.map(|address| address.parse().expect("it is an address"));
    let invite = Invite::new(&addresses, key).expect("it is fine");
    let secret = OneUse::from_bytes(&[9; 16]).expect("it has 16 bytes");
    let text = secret.to_text();
    let with = invite.clone().with_secret(Secret::OneUse(secret));
    vec![
        datagrams,
        [&[1], invite.to_line().as_bytes()].concat(),
        [&[1], with.to_line().as_bytes()].concat(),
        [&[2], text.as_bytes()].concat(),
    ]
}

fn files() -> Seeds {
    const KEY: &[u8] =
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c a b\n";
    let list: [(u8, &[u8]); 14] = [
        (
            0,
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n\
            -----END OPENSSH PRIVATE KEY-----\n",
        ),
        (0, KEY),
        (1, KEY),
        (1, b"# comment\n\nno-pty ssh-ed25519 AAAA x\nssh-rsa AAAAB3 y\n"),
        (2, KEY),
        (2, b"|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= ssh-ed25519 AAAA\n"),
        (3, b"allow 10.0.0.0/8\ndeny 10.1.0.0/16 # but\nallow fe80::/10\ndeny ::ffff:1.2.3.4\n"),
        (3, b"deny 0.0.0.0/0\nallow ::/0\nallow 10.1.2.3\n"),
        (4, b"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"),
        (5, b"000102030405060708090a0b0c0d0e0f\n"),
        (6, b"-----BEGIN CERTIFICATE-----\nMIIBAAA=\n-----END CERTIFICATE-----\n"),
        (7, b"\x35-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"),
        (8, b"10.0.0.1:80\n[::1]:9\n[fe80::1%eth0]\nexample.org\n:5\n10.0.0.0/8\n"),
        (8, b"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n"),
    ];
    let mut seeds: Seeds = list.iter().map(|(kind, text)| [&[*kind][..], text].concat()).collect();
    let hosts = b"example.org,192.0.2.1 ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n\
        @revoked * ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIIE5dw6oLUaUOphFsHWi+URJXkr5gxW7XJrVwLSu9hq0\n";
    seeds.push([&[2][..], hosts].concat());
    seeds
}
