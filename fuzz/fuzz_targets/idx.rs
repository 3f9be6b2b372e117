//! The reader of IDX files, plain and packed: as labels, as images, and as the two files of a set.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::data::idx;

/// A packed file may be unpacked to 64 bytes a byte, and labels are then widened.
const FACTOR: usize = 3 * 64;

fuzz_target!(|file: &[u8]| {
    let path = Path::new("file");
    in_proportion(file.len(), FACTOR, || {
        let _ = idx::parse::<1>(path, file);
        if let Ok(images) = idx::parse::<3>(path, file) {
            assert_eq!(images.values.len(), images.lengths.iter().product::<usize>());
        }
        // The first byte says where the file of labels begins.
        if let Some((&at, files)) = file.split_first() {
            let (images, labels) = files.split_at(files.len().min(at.into()));
            if let Ok(set) = idx::image_set((path, images), (path, labels), &["a", "b", "c"]) {
                assert_eq!(set.labels().len(), set.len());
            }
        }
    });
});
