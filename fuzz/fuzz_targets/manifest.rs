//! The manifest of a checkpoint, as it is and with the checksum that belongs to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::checkpoint::Manifest;
use sha2::{Digest, Sha256};

const FACTOR: usize = 2_000;

fuzz_target!(|file: &[u8]| {
    let digest = hex::encode(Sha256::digest(file));
    let seal = format!("# sha256 of the lines above: {digest}\n");
    let sealed = [file, seal.as_bytes()].concat();
    for file in [file, &sealed] {
        in_proportion(file.len(), FACTOR, || {
            let _ = Manifest::from_bytes(file);
        });
    }
});
