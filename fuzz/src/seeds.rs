//! Where the fuzzers begin: for each door a few inputs that get through it.
//!
//! In: nothing. Out: inputs by target. Never: what a fuzzer found; that stands in `corpus/` alone.

/// Inputs of one target, numbered in order.
pub type Seeds = Vec<Vec<u8>>;

/// Those of every target.
#[must_use]
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![("frames", frames()), ("strangers", strangers()), ("operations", operations())]
}

/// A chunk of a script.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    match u8::try_from(bytes.len()) {
        Ok(len) if len < 255 => [&[len], bytes].concat(),
        _ => {
            let len = u16::try_from(bytes.len()).expect("seeds are short");
            [&[255], &len.to_be_bytes()[..], bytes].concat()
        }
    }
}

/// Transport parameters that are the defaults, and some that are extreme.
fn parameters() -> Vec<Vec<u8>> {
    let id = [&[1, 8][..], &[5; 8]].concat();
    let odd = [2, 1, 1, 3, 2, 0x44, 0xb0, 4, 1, 9, 5, 1, 0, 6, 1, 7, 7, 2, 0x7f, 0xff, 40, 1, 1];
    vec![Vec::new(), id.clone(), [&id[..], &odd].concat()]
}

/// Every frame there is, as bytes (PROTOCOL.md section 4).
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
        // Both ends speak, time passes, the client moves, keys change, it ends.
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

fn strangers() -> Seeds {
    let mut seeds = Seeds::new();
    let frames = every_frame();
    // A TLS ClientHello that says nothing, in a CRYPTO frame; and its length alone.
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
        // Every class, both ways, small and large, on two channels; with losses, repetitions, a
        // change of order, of keys, of address.
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
