//! COCO keypoint files.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::pose::coco;

const FACTOR: usize = 100;

fuzz_target!(|file: &[u8]| {
    in_proportion(file.len(), FACTOR, || {
        let _ = coco::parse(Path::new("x"), file);
    });
});
