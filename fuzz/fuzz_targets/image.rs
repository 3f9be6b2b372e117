//! The reader of images, which may unpack any of them to a million pixels here and needs a few
//! times that while it does.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::data::{Decoding, FolderConfig, image_folder};

/// What any image may be unpacked to: 16 bits in four channels.
const UNPACKED: usize = 8 << 20;

fuzz_target!(|file: &[u8]| {
    for size in [None, Some(8)] {
        let decoding = Decoding { max_megapixels: 1, ..Decoding::default() };
        let config = FolderConfig { image_size: size, decoding, ..FolderConfig::default() };
        in_proportion(UNPACKED + file.len(), 4, || {
            if let Ok((shape, pixels)) = image_folder::parse(Path::new("file"), file, &config) {
                assert_eq!(shape.checked_size(), Some(pixels.len()));
            }
        });
    }
});
