//! Tables of texts: separated by tabs or commas, or JSON lines, as the first byte chooses.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lowland_fuzz::in_proportion;
use lowland_tasks::text::{TextColumns, parse_table};

/// What a byte may become: a text and a label with their places, in lists that grow by doubling.
const FACTOR: usize = 500;

fuzz_target!(|input: &[u8]| {
    let Some((&first, file)) = input.split_first() else { return };
    let name = ["x.tsv", "x.csv", "x.jsonl"][usize::from(first) % 3];
    in_proportion(file.len(), FACTOR, || {
        let _ = parse_table(Path::new(name), file, &TextColumns::default());
    });
});
