//! The reader of IDX files: round trips, and the exact line that each kind of damage gives.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lowland_tasks::data::idx::{self, Idx};
use lowland_tasks::data::{DataName, ImageShape};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

const CLASSES: [&str; 3] = ["a", "b", "c"];

fn file(lengths: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(lengths.len()).unwrap()];
    bytes.extend(lengths.iter().flat_map(|length| length.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn error(file: &[u8]) -> String {
    idx::parse::<1>(Path::new("x"), file).unwrap_err().to_string()
}

/// A folder with three training and two test images of 2 by 2, some plain, some packed, in both
/// spellings.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let train: Vec<u8> = (0..12).collect();
    write("train-images-idx3-ubyte", &file(&[3, 2, 2], &train));
    write("train-labels.idx1-ubyte", &file(&[3], &[2, 0, 1]));
    write("t10k-images-idx3-ubyte.gz", &gzip(&file(&[2, 2, 2], &[255; 8])));
    write("t10k-labels.idx1-ubyte.gz", &gzip(&file(&[2], &[1, 1])));
    folder
}

fn folder_error(change: impl Fn(&Path)) -> String {
    let folder = folder();
    change(folder.path());
    let error = idx::read_folder(folder.path(), &CLASSES).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_folder_is_read_whatever_the_spelling_and_packing() {
    let splits = idx::read_folder(folder().path(), &CLASSES).unwrap();
    assert_eq!(splits.train.shape(), ImageShape { channels: 1, height: 2, width: 2 });
    assert_eq!(splits.train.labels(), [2, 0, 1]);
    assert_eq!(splits.train.image(1), [4, 5, 6, 7]);
    assert_eq!(splits.test.images(), [255; 8]);
    assert_eq!(splits.test.class_counts(), [0, 2, 0]);
    assert_eq!(splits.test.classes(), CLASSES);
}

#[test]
fn damage_to_a_file_is_one_exact_line() {
    let whole = file(&[3], &[1, 2, 3]);
    assert_eq!(error(&[]), "x: expected an IDX header of 8 bytes, found 0 bytes");
    assert_eq!(error(&whole[..7]), "x: expected an IDX header of 8 bytes, found 7 bytes");
    assert_eq!(error(&whole[..9]), "x: expected 3 values (3) as its header says, found 1");
    assert_eq!(
        error(&file(&[3], &[1, 2, 3, 4])),
        "x: expected 3 values (3) as its header says, found more"
    );
    assert_eq!(
        error(&file(&[3, 1, 1], &[1, 2, 3])),
        "x: expected the IDX magic number 0x00000801, found 0x00000803"
    );
    let images = idx::parse::<3>(Path::new("y"), &file(&[u32::MAX; 3], &[1]));
    assert_eq!(
        images.unwrap_err().to_string(),
        "y: expected a size that fits in memory, found 4294967295x4294967295x4294967295 in its header"
    );
}

#[test]
fn damage_to_a_gzip_stream_is_one_exact_line() {
    let packed = gzip(&file(&[3], &[1, 2, 3]));
    let cut = &packed[..packed.len() - 3];
    assert_eq!(error(cut), "x: expected a whole gzip stream, found one that ends early");
    let mut flipped = packed.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    assert_eq!(
        error(&flipped),
        "x: expected a whole gzip stream, found a damaged one (corrupt gzip stream does not have a matching checksum)"
    );
    let followed = [packed.as_slice(), &[7]].concat();
    assert!(error(&followed).starts_with("x: expected a whole gzip stream, found"), "{followed:?}");
    let inside = gzip(&file(&[3], &[1, 2]));
    assert_eq!(error(&inside), "x: expected 3 values (3) as its header says, found 2");
}

#[test]
fn two_gzip_members_are_one_stream() {
    let bytes = file(&[3], &[1, 2, 3]);
    let packed = [gzip(&bytes[..5]), gzip(&bytes[5..])].concat();
    assert_eq!(idx::parse::<1>(Path::new("x"), &packed).unwrap().values, [1, 2, 3]);
}

#[test]
fn a_header_that_promises_gigabytes_costs_no_memory() {
    // 4 GB are promised. To ask for them would fail or at least take seconds on most machines.
    let promise = file(&[u32::MAX], &[1; 5]);
    let expected = "x: expected 4294967295 values (4294967295) as its header says, found 5";
    assert_eq!(error(&promise), expected);
    assert_eq!(error(&gzip(&promise)), expected);
}

#[test]
fn a_wrong_folder_is_one_exact_line() {
    let remove =
        |name: &'static str| move |folder: &Path| fs::remove_file(folder.join(name)).unwrap();
    let write = |name: &'static str, bytes: Vec<u8>| {
        move |folder: &Path| fs::write(folder.join(name), &bytes).unwrap()
    };
    assert_eq!(
        folder_error(remove("t10k-labels.idx1-ubyte.gz")),
        "t10k-labels-idx1-ubyte: expected the labels of the t10k part, plain or .gz, found no such file"
    );
    assert_eq!(
        folder_error(write("train-labels.idx1-ubyte", file(&[2], &[0, 0]))),
        "train-labels.idx1-ubyte: expected 3 labels, one for each image of train-images-idx3-ubyte, found 2"
    );
    assert_eq!(
        folder_error(write("train-labels.idx1-ubyte", file(&[3], &[0, 3, 0]))),
        "train-labels.idx1-ubyte: expected labels below 3, found 3 at sample 1"
    );
    assert_eq!(
        folder_error(write("train-images-idx3-ubyte", file(&[0, 2, 2], &[]))),
        "train-images-idx3-ubyte: expected at least one image of at least one pixel, found 0 of 2x2"
    );
    assert_eq!(
        folder_error(write("t10k-images-idx3-ubyte", file(&[2, 2, 1], &[0; 4]))),
        "t10k-images-idx3-ubyte: expected images of 2x2, as the training images are, found 2x1"
    );
}

#[test]
fn data_sets_from_folders_say_what_they_need() {
    let files = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
         t10k-labels-idx1-ubyte, each plain or .gz";
    assert_eq!(
        DataName::Mnist.load(None).unwrap_err().to_string(),
        format!(
            "data set mnist is read from a folder and none was given: expected {files}; name a folder with \
             --data-dir, or download it: lowland data fetch mnist --data-dir data"
        )
    );
    let nowhere = DataName::FashionMnist.load(Some(Path::new("no/such"))).unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        format!(
            "no/such: expected a folder with {files}, found no such folder; name another folder with --data-dir, or \
             download it: lowland data fetch fashion-mnist --data-dir no/such"
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(any::<u8>(), 0..500), packed: bool) {
        let bytes = file(&[u32::try_from(values.len()).unwrap()], &values);
        let bytes = if packed { gzip(&bytes) } else { bytes };
        let read = idx::parse::<1>(Path::new("x"), &bytes).unwrap();
        prop_assert_eq!(read, Idx { lengths: [values.len()], values });
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        start in prop::sample::select(vec![
            vec![], vec![0, 0, 8, 1], vec![0, 0, 8, 3], vec![0x1f, 0x8b], vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0],
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        packed: bool,
    ) {
        let bytes = [start, rest].concat();
        let bytes = if packed { gzip(&bytes) } else { bytes };
        let path = Path::new("x");
        let _ = idx::parse::<1>(path, &bytes);
        if let Ok(images) = idx::parse::<3>(path, &bytes) {
            prop_assert_eq!(images.values.len(), images.lengths.iter().product::<usize>());
        }
        let _ = idx::image_set((path, &bytes), (path, &bytes), &[]);
    }

    #[test]
    fn a_cut_file_is_never_read(length in 0_usize..60, packed: bool) {
        let whole = file(&[5, 3, 4], &[9; 60]);
        let whole = if packed { gzip(&whole) } else { whole };
        let cut = length.min(whole.len() - 1);
        prop_assert!(idx::parse::<3>(Path::new("x"), &whole[..cut]).is_err());
    }
}

#[test]
fn what_is_not_used_of_a_folder_is_named() {
    let folder = folder();
    assert_eq!(idx::read_folder(folder.path(), &CLASSES).unwrap().remarks, [""; 0]);
    // The plain file is taken, so that nobody sees what the packed one holds.
    fs::write(folder.path().join("train-images-idx3-ubyte.gz"), "x").unwrap();
    fs::write(folder.path().join("other.txt"), "x").unwrap();
    fs::create_dir(folder.path().join("more")).unwrap();
    assert_eq!(
        idx::read_folder(folder.path(), &CLASSES).unwrap().remarks,
        [
            "left out 1 file (.gz) not used: train-images-idx3-ubyte.gz",
            "left out 1 file (.txt) not used: other.txt",
            "left out 1 folder with no part in the layout: more",
        ]
    );
}

#[test]
fn the_folder_that_torchvision_makes_is_found() {
    let (flat, around) = (folder(), tempfile::tempdir().unwrap());
    for (data, name) in [(DataName::Mnist, "MNIST"), (DataName::FashionMnist, "FashionMNIST")] {
        let raw = around.path().join(name).join("raw");
        fs::create_dir_all(&raw).unwrap();
        for entry in fs::read_dir(flat.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, raw.join(path.file_name().unwrap())).unwrap();
        }
        let expected = data.load(Some(flat.path())).unwrap();
        assert_eq!(data.load(Some(around.path())).unwrap(), expected);
        assert_eq!(data.load(Some(&around.path().join(name))).unwrap(), expected);
    }
}
