//! The readers of CIFAR's files. A record is mostly pixels, so the input says how a file is put
//! together: up to 16 pieces, each of one or two bytes that are repeated.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::data::cifar::{self, Cifar};

fuzz_target!(|input: &[u8]| {
    let file: Vec<u8> = input.chunks(4).take(16).flat_map(piece).collect();
    for kind in [Cifar::Ten, Cifar::Hundred] {
        in_proportion(file.len(), 8, || {
            let (mut images, mut labels) = (Vec::new(), Vec::new());
            let read = cifar::parse(kind, Path::new("file"), &file, &mut images, &mut labels);
            assert_eq!(images.len(), labels.len() * 3 * 32 * 32);
            assert_eq!(read.is_err(), labels.is_empty());
        });
    }
});

/// How often, in two bytes of which no more than 4,095 counts, and what: one or two bytes.
fn piece(piece: &[u8]) -> Vec<u8> {
    match piece {
        [high, low, what @ ..] if !what.is_empty() => {
            what.repeat(usize::from(u16::from_be_bytes([*high, *low]) & 0x0fff))
        }
        _ => piece.to_vec(),
    }
}
