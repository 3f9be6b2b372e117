//! Settings from a file: read, checked, and put together.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::Spec;
use lowland_tasks::config::TrainConfig;

/// What TOML takes for a value of two bytes, several times over.
const FACTOR: usize = 2_000;

fuzz_target!(|file: &[u8]| {
    let Ok(text) = std::str::from_utf8(file) else { return };
    in_proportion(text.len(), FACTOR, || match toml::from_str::<TrainConfig>(text) {
        Ok(config) => {
            let _ = Spec::try_from(config);
        }
        Err(error) => {
            let _ = error.to_string();
            // Lines are counted up to here.
            assert!(error.span().is_none_or(|span| text.is_char_boundary(span.start)));
        }
    });
});
