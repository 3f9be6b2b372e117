//! The Python version of CIFAR: pickles, which are read without running them.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::data::cifar::{self, Cifar};

/// What an instruction may become: a value, and its place in lists that grow by doubling.
const FACTOR: usize = 300;

fuzz_target!(|file: &[u8]| {
    in_proportion(file.len(), FACTOR, || {
        for kind in [Cifar::Ten, Cifar::Hundred] {
            let (mut images, mut labels) = (Vec::new(), Vec::new());
            let read = cifar::parse_python(kind, Path::new("file"), file, &mut images, &mut labels);
            assert_eq!(images.len(), labels.len() * 3 * 32 * 32);
            assert_eq!(read.is_err(), labels.is_empty());
        }
    });
});
