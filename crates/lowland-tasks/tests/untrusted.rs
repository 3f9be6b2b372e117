//! What reads files of unknown origin, given files that nobody wrote: it gives a value or an error,
//! and asks for no more memory than the file is worth. `fuzz/` begins where this ends, from the
//! same seeds. In one file, a case for each reader, since all are judged by the same allocator.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fmt::{Debug, Write as _};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::Device;
use flate2::Compression;
use flate2::write::GzEncoder;
use lowland_tasks::checkpoint::Manifest;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::data::cifar::{self, Cifar};
use lowland_tasks::data::{Decoding, FolderConfig, idx, image_folder};
use lowland_tasks::pose::{CropConfig, PoseSplits, coco};
use lowland_tasks::text::{TextColumns, parse_table};
use lowland_tasks::{Error, Spec, weights};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};
use sha2::{Digest, Sha256};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory is counted for the whole process, so tests take turns.
static ALONE: Mutex<()> = Mutex::new(());

/// Memory that any file may ask for: 8 MiB.
const ALLOWANCE: usize = 8 << 20;

/// What a packed file may be unpacked to for each of its bytes, and the labels of it widened.
const UNPACKED: usize = 3 * 64;

/// What TOML keeps for a value of two bytes, while it is read.
const TOML: usize = 1000;

/// Runs `read`, which may ask for `factor` bytes for each of `length` beside the allowance.
fn in_proportion<T>(length: usize, factor: usize, read: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let read = read();
    let asked = MEMORY.peak_usage().saturating_sub(before);
    assert!(asked <= ALLOWANCE + factor * length, "{asked} bytes of memory for {length} of input");
    read
}

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads many files, each in proportion to its length.
fn for_all<T: AsRef<[u8]> + Debug>(
    files: impl Strategy<Value = T>,
    factor: usize,
    read: impl Fn(&T),
) {
    for_all_beside(0, files, factor, read);
}

/// The same, where any file counts for so many bytes more.
fn for_all_beside<T: AsRef<[u8]> + Debug>(
    beside: usize,
    files: impl Strategy<Value = T>,
    factor: usize,
    read: impl Fn(&T),
) {
    let config = ProptestConfig {
        cases: 1000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let read = |file: T| {
        in_proportion(beside + file.as_ref().len(), factor, || read(&file));
        Ok(())
    };
    TestRunner::new(config).run(&files, read).unwrap();
}

/// The files that fuzzing starts from.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Something that happens to a file.
#[derive(Debug, Clone)]
enum Change {
    /// A bit is another.
    Flip(Index, u8),
    /// The end is missing.
    Cut(Index),
    /// Something that was not there.
    Insert(Index, Vec<u8>),
    /// A number of four bytes that is as large as it can be, or close to it.
    Count(Index, u32),
    /// A stretch comes many times.
    Repeat(Index, usize, usize),
}

impl Change {
    fn any(words: &'static [&'static str]) -> impl Strategy<Value = Self> {
        let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
        let inserted = prop_oneof![prop::collection::vec(any::<u8>(), 1..8), word];
        let count = prop_oneof![Just(0), Just(1 << 31), Just(u32::MAX), any::<u32>()];
        prop_oneof![
            (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            any::<Index>().prop_map(Self::Cut),
            (any::<Index>(), inserted).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (any::<Index>(), count).prop_map(|(at, count)| Self::Count(at, count)),
            (any::<Index>(), 1..20_usize, 1..100_usize)
                .prop_map(|(at, length, times)| Self::Repeat(at, length, times)),
        ]
    }

    fn apply(&self, file: &mut Vec<u8>) {
        let (Self::Flip(at, _)
        | Self::Cut(at)
        | Self::Insert(at, _)
        | Self::Count(at, _)
        | Self::Repeat(at, ..)) = self;
        if file.is_empty() {
            return;
        }
        let at = at.index(file.len());
        match self {
            Self::Flip(_, bit) => file[at] ^= 1 << bit,
            Self::Cut(_) => file.truncate(at),
            Self::Insert(_, bytes) => drop(file.splice(at..at, bytes.iter().copied())),
            Self::Count(_, count) => {
                let end = file.len().min(at + 4);
                file.splice(at..end, count.to_be_bytes());
            }
            Self::Repeat(_, length, times) => {
                let stretch = file[at..file.len().min(at + length)].repeat(*times);
                file.splice(at..at, stretch);
            }
        }
    }
}

/// One of `files` after a few changes, which also put `words` in.
fn changed(files: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec(Change::any(words), 0..6);
    (prop::sample::select(files), changes).prop_map(|(mut file, changes)| {
        for change in &changes {
            change.apply(&mut file);
        }
        file
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read_idx(file: &[u8]) {
    let path = Path::new("x");
    let refused = |error| assert!(matches!(error, Error::Format { .. }), "{error}");
    let _ = idx::parse::<1>(path, file).map_err(refused);
    let _ = idx::parse::<3>(path, file).map_err(refused);
    if let Some((&at, files)) = file.split_first() {
        let (images, labels) = files.split_at(files.len().min(at.into()));
        let set = idx::image_set((path, images), (path, labels), &["a", "b", "c"]);
        let _ = set.map_err(refused);
    }
}

#[test]
fn idx_files_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let plain = changed(seeds("idx"), &["\x1f", "\x08"]);
    let files =
        (plain, any::<bool>()).prop_map(|(file, packed)| if packed { gzip(&file) } else { file });
    for_all(files, UNPACKED, |file| read_idx(file));
}

/// An IDX file of zeros, packed piece by piece so that it need not be made first.
fn packed_zeros(promised: u32, mebibytes: usize) -> Vec<u8> {
    let header = [&[0, 0, 8, 1], &promised.to_be_bytes()[..]].concat();
    [gzip(&header), gzip(&vec![0; 1 << 20]).repeat(mebibytes)].concat()
}

fn refusal(file: &[u8]) -> String {
    let parse = || idx::parse::<1>(Path::new("x"), file).unwrap_err().to_string();
    in_proportion(file.len(), 0, parse)
}

#[test]
fn a_small_file_that_unpacks_to_gigabytes_is_refused_and_costs_no_memory() {
    let _alone = alone();
    let honest = packed_zeros(1 << 30, 1 << 10);
    let most = honest.len() * 64;
    assert_eq!(
        refusal(&honest),
        format!(
            "x: expected at most {most} bytes in a packed file of this length, found 1073741824 values (1073741824)"
        )
    );
    // More than is promised shows by the first value too many.
    assert_eq!(
        refusal(&packed_zeros(3, 1 << 10)),
        "x: expected 3 values (3) as its header says, found more"
    );
    assert_eq!(
        refusal(&packed_zeros(u32::MAX, 1)),
        "x: expected 4294967295 values (4294967295) as its header says, found 1048576"
    );
}

#[test]
fn packed_files_of_equal_bytes_are_read_up_to_a_mebibyte() {
    let _alone = alone();
    let file = [&[0, 0, 8, 1, 0, 0x0f, 0xff, 0xf8][..], &vec![0; (1 << 20) - 8]].concat();
    let packed = gzip(&file);
    assert!(packed.len() < 1100);
    let labels = in_proportion(file.len(), 2, || idx::parse::<1>(Path::new("x"), &packed));
    assert_eq!(labels.unwrap().values, &file[8..]);
}

#[test]
fn cifar_files_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let record = |labels: &[u8]| [labels, &[5; 3072]].concat();
    let ten = [record(&[7]), record(&[9])].concat();
    let hundred = [record(&[19, 99]), record(&[0, 0])].concat();
    for_all(changed(vec![ten, hundred], &["\n"]), 8, |file| {
        for kind in [Cifar::Ten, Cifar::Hundred] {
            let (mut images, mut labels) = (Vec::new(), Vec::new());
            let read = cifar::parse(kind, Path::new("x"), file, &mut images, &mut labels);
            assert_eq!(images.len(), labels.len() * 3072);
            assert_eq!(read.is_err(), labels.is_empty());
            let _ = read.map_err(|error| assert!(matches!(error, Error::Format { .. })));
        }
    });
}

/// What an instruction of a pickle may become: a value, and its place in lists that grow by
/// doubling.
const PICKLE: usize = 300;

#[test]
fn pickles_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let seeds = seeds("pickle");
    for seed in &seeds {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        cifar::parse_python(Cifar::Ten, Path::new("x"), seed, &mut images, &mut labels).unwrap();
    }
    let words: &[&str] =
        &["(", "]", "}", ")", "e", "u", "t", "R", "b", "q\0", "h\0", "cnumpy\ndtype\n", "."];
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    for_all(prop_oneof![1 => bytes, 4 => changed(seeds, words)], PICKLE, |file| {
        for kind in [Cifar::Ten, Cifar::Hundred] {
            let (mut images, mut labels) = (Vec::new(), Vec::new());
            let read = cifar::parse_python(kind, Path::new("x"), file, &mut images, &mut labels);
            assert_eq!((images.len(), read.is_err()), (labels.len() * 3072, labels.is_empty()));
        }
    });
}

/// What a byte of a file of weights may become: an instruction of a pickle, or a tensor with its
/// name in a header of JSON.
const WEIGHTS: usize = 500;

fn read_weights(file: &[u8]) {
    match weights::parse(Path::new("x"), file.to_vec()) {
        Ok(stored) => {
            for (name, shape) in stored.shapes() {
                // Tensors are read one by one, so that many that share their numbers cost no more.
                if let Some(Ok(bytes)) = stored.bytes(&name) {
                    let count: usize = shape.iter().product();
                    assert!(bytes.len() <= file.len() && bytes.len() >= count.min(bytes.len()));
                }
            }
        }
        Err(error) => {
            let words = error.to_string();
            assert!(matches!(error, Error::Weights { .. }) && words.len() < 2000, "{words}");
        }
    }
}

/// A record of Burn.
fn record() -> Vec<u8> {
    let layer = LinearConfig::new(3, 2).init(&Device::flex());
    layer.into_record().into_bytes().unwrap().to_vec()
}

#[test]
fn weights_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let mut seeds = seeds("weights");
    assert_eq!(seeds.len(), 9);
    seeds.push(record());
    for seed in &seeds {
        assert!(!weights::parse(Path::new("x"), seed.clone()).unwrap().shapes().is_empty());
        // Every beginning of a file, and every byte changed.
        for at in 0..seed.len() {
            in_proportion(seed.len(), WEIGHTS, || read_weights(&seed[..at]));
            let mut spoiled = seed.clone();
            for change in [0x01, 0x80, 0xff] {
                spoiled[at] = seed[at] ^ change;
                in_proportion(seed.len(), WEIGHTS, || read_weights(&spoiled));
            }
        }
    }
    let words: &[&str] = &[
        "PK\u{3}\u{4}",
        "(",
        "}",
        ")",
        "u",
        "t",
        "R",
        "Q",
        "b",
        "q\0",
        "h\0",
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "ctorch\nDoubleStorage\n",
        ".",
        "{\"a\":",
        "[18446744073709551615]",
        "\"F64\"",
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    for_all(prop_oneof![1 => bytes, 6 => changed(seeds, words)], WEIGHTS, |file| {
        read_weights(file);
    });
}

/// A file of the older format: a dictionary with `entries`, pickled, and one storage of `count`
/// numbers.
fn legacy(entries: &str, count: u64) -> Vec<u8> {
    let head =
        [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
    let body = format!("I1001\n.}}.}}({entries}u.(U\u{1}0l.");
    [&head, body.as_bytes(), &count.to_le_bytes(), &[1; 64]].concat()
}

/// An entry with a tensor of this size and these strides in storage 0, of 16 floats.
fn entry(name: &str, size: &str, strides: &str) -> String {
    format!(
        "X{}\0\0\0{name}ctorch._utils\n_rebuild_tensor_v2\n((U\u{7}storagectorch\nFloatStorage\nU\u{1}0U\u{3}cpuI16\ntQI0\n({size}t({strides}tI00\n}}tR",
        char::from(u8::try_from(name.len()).unwrap())
    )
}

#[test]
fn tensors_that_claim_to_be_large_cost_no_memory() {
    let _alone = alone();
    let read = |entries: &str, count| {
        let file = legacy(entries, count);
        in_proportion(file.len(), WEIGHTS, || {
            let stored = weights::parse(Path::new("x"), file.clone());
            stored.map(|stored| stored.shapes()).map_err(|error| error.to_string())
        })
    };
    let honest = read(&entry("a", "I4\nI4\n", "I4\nI1\n"), 16).unwrap();
    assert_eq!(honest["a"], [4, 4]);
    for (size, strides, expected) in [
        // As many times the same number as one likes.
        ("I1000000000\n", "I0\n", "a with numbers beyond its storage"),
        ("I4\nI4\n", "I5\nI1\n", "a with numbers beyond its storage"),
        ("I9223372036854775807\nI4\n", "I1\nI1\n", "a with numbers beyond its storage"),
        ("I4\n", "I4\nI1\n", "a with numbers beyond its storage"),
    ] {
        let error = read(&entry("a", size, strides), 16).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let error = read(&entry("a", "I4\n", "I1\n"), u64::MAX / 4).unwrap_err();
    assert!(error.contains("storages that end early"), "{error}");
    // A call of anything else is a value that nobody looks at.
    let call = "U\u{1}bcos\nsystem\n(U\u{2}lstR";
    let beside = read(&format!("{}{call}", entry("a", "I4\n", "I1\n")), 16).unwrap();
    assert_eq!(beside.keys().collect::<Vec<_>>(), ["a"]);
    let error = read(call, 16).unwrap_err();
    assert!(error.contains("a storage that no tensor uses"), "{error}");
}

/// What any image may be unpacked to.
const IMAGE: usize = 16 << 20;

/// Images of few pixels, brought to a size.
fn small(image_size: Option<usize>) -> FolderConfig {
    let decoding = Decoding { max_megapixels: 5, ..Decoding::default() };
    FolderConfig { image_size, decoding, ..FolderConfig::default() }
}

fn read_image(file: &[u8]) {
    for size in [None, Some(8)] {
        let read = image_folder::parse(Path::new("x"), file, &small(size));
        match read {
            Ok((shape, pixels)) => assert_eq!(shape.checked_size(), Some(pixels.len())),
            Err(error) => assert!(matches!(error, Error::Format { .. }), "{error}"),
        }
    }
}

/// The checksums of the chunks of a PNG file made to fit, so that what is in them is looked at.
fn with_sums(mut file: Vec<u8>) -> Vec<u8> {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut at = 8;
    while let Some(&[a, b, c, d]) = file.get(at..at + 4) {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        let Some(chunk) = file.get(at + 4..end) else { break };
        let sum = crc.checksum(chunk).to_be_bytes();
        let Some(place) = file.get_mut(end..end + 4) else { break };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
    file
}

#[test]
fn images_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let seeds = seeds("image");
    assert_eq!(seeds.len(), 11);
    for seed in &seeds {
        image_folder::parse(Path::new("x"), seed, &small(None)).unwrap();
    }
    let files = changed(seeds, &["IDAT", "PLTE", "tRNS", "\u{1}\0"]);
    let files = (files, any::<bool>()).prop_map(|(f, sums)| if sums { with_sums(f) } else { f });
    // The pixels, the decoder's own buffers, and colour in place of grey.
    for_all_beside(IMAGE, files, 4, |file| read_image(file));
}

#[test]
fn images_that_claim_to_be_large_cost_no_memory() {
    let _alone = alone();
    let refused = |file: &[u8]| {
        let read =
            || image_folder::parse(Path::new("x"), file, &small(Some(8))).unwrap_err().to_string();
        in_proportion(file.len(), 8, read)
    };
    let limit = "x: expected at most 5 million pixels (--max-megapixels, max_megapixels in files, sets the \
                 limit), found";
    let mut png = seeds("image").into_iter().rfind(|file| file.starts_with(b"\x89PNG")).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    assert_eq!(refused(&with_sums(png.clone())), format!("{limit} 65535x65535 pixels"));
    let mut jpeg = seeds("image").remove(0);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    assert_eq!(refused(&jpeg), format!("{limit} 65535x65535 pixels"));
}

/// What a byte of a table may become: a text and a label with their places.
const TABLE: usize = 500;

#[test]
fn tables_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let names = ["x.tsv", "x.csv", "x.jsonl"];
    let read = |file: &[u8]| {
        let Some((&first, file)) = file.split_first() else { return Ok(()) };
        let name = names[usize::from(first) % 3];
        parse_table(Path::new(name), file, &TextColumns::default()).map(|(texts, labels)| {
            assert!(labels.is_none_or(|labels| labels.len() == texts.len()));
        })
    };
    for seed in seeds("table") {
        read(&seed).unwrap();
    }
    let words: &[&str] =
        &["\t", "\n", ",", ";", "\"", "{", "}", "[", "]", "-1", "label", "\u{feff}", "é"];
    for_all(changed(seeds("table"), words), TABLE, |file| {
        if let Err(error) = read(file) {
            let is_of_lines = matches!(
                error,
                Error::Line { .. } | Error::Lines { .. } | Error::DamagedData { .. }
            );
            assert!(is_of_lines, "{error}");
        }
    });
}

/// What may mean something in a file of settings.
const WORDS: &[&str] = &[
    "\n",
    "=",
    ".",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'''",
    "[[a]]\n",
    "a.b.",
    "\\U0010ffff",
    "é",
    "#",
    "0",
    "-1",
    "1e999",
    "nan",
    "-inf",
    "9223372036854775807",
    "1979-05-27",
    "true",
    "[radius]\n",
    "[[radius.groups]]\n",
    "path = '\\pL{100}'\n",
    "factor = 0.5\n",
    "warmup = { epochs = 3 }\n",
    "[algorithm]\n",
    "name = \"composed\"\n",
    "name = \"looksam\"\n",
    "name = \"msam\"\n",
    "budget = 1.1\n",
    "time_budget = 1.1\n",
    "[algorithm.controller]\n",
    "window = 10000\n",
    "blocks = 0\n",
    "select = \"top-loss\"\n",
    "rho = 1e308\n",
];

fn read_config(text: &str) -> Result<(), String> {
    let config = toml::from_str::<TrainConfig>(text).map_err(|error| {
        // The command counts lines up to here.
        assert!(error.span().is_none_or(|span| text.is_char_boundary(span.start)), "{text:?}");
        error.to_string()
    })?;
    Spec::try_from(config).map(drop).map_err(|error| {
        assert!(error.is_input(), "{error:?}");
        error.to_string()
    })
}

#[test]
fn settings_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let text = |file: Vec<u8>| String::from_utf8_lossy(&file).into_owned();
    let read = |text: &String| drop(read_config(text));
    for seed in seeds("config") {
        read_config(&text(seed)).unwrap();
    }
    for_all(changed(seeds("config"), WORDS).prop_map(text), TOML, read);
    for_all(prop::collection::vec(any::<u8>(), 0..300).prop_map(text), TOML, read);
    let words = prop::collection::vec(prop::sample::select(WORDS), 0..60);
    for_all(words.prop_map(|words| words.concat()), TOML, read);
}

#[test]
fn settings_that_no_run_has_cost_no_more_than_others() {
    let _alone = alone();
    let refused = |text: &str| in_proportion(text.len(), TOML, || read_config(text));
    for (open, close) in [("[", "]"), ("{ a = ", "}"), ("", "")] {
        let nested = format!("seed = {}{}", open.repeat(100_000), close.repeat(100_000));
        refused(&nested).unwrap_err();
    }
    refused(&format!("{} = 1", "a.".repeat(100_000))).unwrap_err();
    refused(&format!("{}a = 1", "a.".repeat(100_000))).unwrap_err();
    refused(&format!("[{}a]", "a.".repeat(100_000))).unwrap_err();
    refused(&format!("seed = [{}]", "1,".repeat(100_000))).unwrap_err();
    refused(&format!("device = {}", "\"".repeat(100_000))).unwrap_err();
    refused(&(0..20_000).fold(String::new(), |mut text, i| {
        writeln!(text, "k{i} = 1").unwrap();
        text
    }))
    .unwrap_err();
    refused(&format!("device = '{}'", "x".repeat(100_000))).unwrap();
}

/// `groups` factors on the radius, for parameters that `pattern` matches.
fn radius(pattern: &str, groups: usize) -> String {
    format!("[[radius.groups]]\npath = '{pattern}'\nfactor = 0.5\n").repeat(groups)
}

#[test]
fn expressions_on_paths_are_bounded_in_size_and_number() {
    let _alone = alone();
    let read = |text: String, most| in_proportion(1, most, || read_config(&text));
    // Each would keep megabytes.
    assert_eq!(
        read(radius(r"\pL{100}", 64), 0).unwrap_err(),
        r"path must be a regular expression of at most 256 KiB when compiled, found \pL{100}"
    );
    assert!(read(radius("(a{1000}){1000}", 1), 0).is_err());
    assert_eq!(read(radius("^fc", 65), 0).unwrap_err(), "groups must be at most 64, found 65");
    assert_eq!(read(radius("(", 1), 0).unwrap_err(), "path must be a regular expression, found (");
    read(radius(r"^layer[0-9]+\.conv(1|2)\.weight$", 64), 0).unwrap();
    // As large as they may be.
    read(radius(r"^\w+\.\w+\.(weight|bias)$", 64), 64 << 20).unwrap();
}

/// A manifest with the checksum that belongs to it.
fn sealed(body: &[u8]) -> Vec<u8> {
    let digest = hex::encode(Sha256::digest(body));
    [body, format!("# sha256 of the lines above: {digest}\n").as_bytes()].concat()
}

#[test]
fn manifests_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let seeds = seeds("manifest");
    assert!(seeds.iter().any(|seed| Manifest::from_bytes(seed).is_ok()), "one is whole");
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    let words: &[&str] = &[
        "# sha256 of the lines above: ",
        "\n",
        "[[files]]\n",
        "[about]\n",
        "format = 2\n",
        "format = 1\n",
        "nan",
        "18446744073709551615",
        "-1",
        "\"../../x\"",
        "é",
    ];
    let files = prop_oneof![1 => bytes, 4 => changed(seeds, words)];
    for_all(
        (files, any::<bool>()).prop_map(|(file, seal)| if seal { sealed(&file) } else { file }),
        TOML,
        |file| drop(Manifest::from_bytes(file)),
    );
}

/// What one byte of JSON may become: a number of two bytes is one of eight, in a list that grows by
/// doubling, and there are lists of lists.
const JSON: usize = 100;

#[test]
fn keypoint_files_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let seeds = seeds("keypoints");
    for seed in &seeds {
        coco::parse(Path::new("x"), seed).unwrap();
    }
    let words: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        ":",
        "0",
        "-1",
        "1e308",
        "1e999",
        "18446744073709551615",
        "null",
        "NaN",
        "left_",
        "é",
    ];
    for_all(changed(seeds, words), JSON, |file| {
        if let Err(error) = coco::parse(Path::new("x"), file) {
            assert!(matches!(error, Error::Format { .. }), "{error}");
        }
    });
}

#[test]
fn images_of_people_are_read_or_refused_in_proportion() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    for name in ["train.json", "val.json"] {
        write(name, &seeds("keypoints")[0]);
    }
    let crop = CropConfig { height: 16, width: 16, ..CropConfig::default() };
    let read = |image: &[u8]| {
        write("person", image);
        PoseSplits::read(folder.path(), &crop)
    };
    let seeds = seeds("people");
    for seed in &seeds {
        read(seed).unwrap();
    }
    // A pixel is six bytes while a JPEG is decoded, and 256 pixels a byte are allowed.
    for_all(changed(seeds, &["\u{0}"]), 2000, |image: &Vec<u8>| {
        if let Err(error) = read(image) {
            assert!(matches!(error, Error::DamagedData { .. }), "{error}");
        }
    });
}
