//! Files of weights: records of Burn, SafeTensors, and what `torch.save` writes.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::weights;

/// What a byte may become: an instruction of a pickle, or a tensor with its name in a header.
const FACTOR: usize = 500;

fuzz_target!(|file: &[u8]| {
    in_proportion(file.len(), FACTOR, || {
        if let Ok(stored) = weights::parse(Path::new("file"), file.to_vec()) {
            for name in stored.shapes().keys() {
                if let Some(Ok(bytes)) = stored.bytes(name) {
                    assert!(bytes.len() <= file.len());
                }
            }
        }
    });
});
