//! The reader of CIFAR's binary files: round trips, and the exact line that each kind of damage
//! gives.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

use lowland_tasks::data::DataName;
use lowland_tasks::data::cifar::{self, CIFAR100_CLASSES, Cifar};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

/// One record with these label bytes and pixels `fill`.
fn record(labels: &[u8], fill: u8) -> Vec<u8> {
    [labels, &[fill; 3072]].concat()
}

fn cifar10(inside: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(inside);
    fs::create_dir_all(&path).unwrap();
    for batch in 1..=5 {
        let records = [record(&[batch], batch), record(&[9], 100 + batch)].concat();
        fs::write(path.join(format!("data_batch_{batch}.bin")), records).unwrap();
    }
    fs::write(path.join("test_batch.bin"), record(&[7], 255)).unwrap();
    folder
}

fn error(kind: Cifar, file: &[u8]) -> String {
    let (mut images, mut labels) = (vec![1], vec![2]);
    let error = cifar::parse(kind, Path::new("x"), file, &mut images, &mut labels).unwrap_err();
    assert_eq!((images, labels), (vec![1], vec![2]), "a failed read leaves no trace");
    error.to_string()
}

#[test]
fn cifar10_is_read_from_its_folder_or_the_one_around_it() {
    for inside in ["", "cifar-10-batches-bin"] {
        let splits = DataName::Cifar10.load(Some(cifar10(inside).path())).unwrap();
        assert_eq!(splits.train.labels(), [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
        assert_eq!(splits.train.image(3), [102; 3072]);
        assert_eq!(splits.train.shape(), cifar::SHAPE);
        assert_eq!(splits.test.labels(), [7]);
        assert_eq!(splits.test.classes()[7], "horse");
    }
}

#[test]
fn cifar100_gives_fine_labels() {
    for inside in ["", "cifar-100-binary"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(inside);
        fs::create_dir_all(&path).unwrap();
        let train = [record(&[19, 99], 3), record(&[0, 42], 4)].concat();
        fs::write(path.join("train.bin"), train).unwrap();
        fs::write(path.join("test.bin"), record(&[1, 0], 5)).unwrap();
        let splits = DataName::Cifar100.load(Some(folder.path())).unwrap();
        assert_eq!(splits.train.labels(), [99, 42]);
        assert_eq!(splits.train.image(1), [4; 3072]);
        assert_eq!(splits.test.classes(), CIFAR100_CLASSES);
    }
}

#[test]
fn damage_is_one_exact_line() {
    assert_eq!(
        error(Cifar::Ten, &[]),
        "x: expected one or more whole records of 3073 bytes, found 0 bytes"
    );
    assert_eq!(
        error(Cifar::Ten, &record(&[1], 0)[1..]),
        "x: expected one or more whole records of 3073 bytes, found 3072 bytes"
    );
    assert_eq!(
        error(Cifar::Hundred, &record(&[1], 0)),
        "x: expected one or more whole records of 3074 bytes, found 3073 bytes"
    );
    let wrong_label = [record(&[9], 0), record(&[10], 0)].concat();
    assert_eq!(
        error(Cifar::Ten, &wrong_label),
        "x: expected labels below 10, found 10 in record 1"
    );
    assert_eq!(
        error(Cifar::Hundred, &record(&[20, 0], 0)),
        "x: expected coarse labels below 20, found 20 in record 0"
    );
    assert_eq!(
        error(Cifar::Hundred, &record(&[0, 100], 0)),
        "x: expected labels below 100, found 100 in record 0"
    );
}

#[test]
fn what_is_not_used_of_a_folder_is_named() {
    let folder = cifar10("cifar-10-batches-bin");
    let inner = folder.path().join("cifar-10-batches-bin");
    // These belong to the archive.
    for name in ["batches.meta.txt", "readme.html"] {
        fs::write(inner.join(name), "x").unwrap();
    }
    let remarks = || DataName::Cifar10.load(Some(folder.path())).unwrap().remarks;
    assert_eq!(remarks(), [""; 0]);
    fs::write(inner.join("data_batch_6.bin"), "x").unwrap();
    fs::create_dir(folder.path().join("cifar-10-batches-py")).unwrap();
    assert_eq!(
        remarks(),
        [
            "left out 1 file (.bin) not used: data_batch_6.bin",
            "left out cifar-10-batches-py: the binary version is there too",
        ]
    );
}

#[test]
fn a_missing_file_is_one_exact_line() {
    let folder = cifar10("");
    fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
    let error = DataName::Cifar10.load(Some(folder.path())).unwrap_err().to_string();
    let place = folder.path().display();
    assert_eq!(
        error,
        format!(
            "{place}/data_batch_4.bin: expected one of data_batch_1.bin to data_batch_5.bin and test_batch.bin, found no \
             such file; name another folder with --data-dir, or download it: lowland data fetch cifar10 --data-dir {place}"
        )
    );
    assert_eq!(
        DataName::Cifar100.load(None).unwrap_err().to_string(),
        "data set cifar100 is read from a folder and none was given: expected train.bin and test.bin; name a folder with \
         --data-dir, or download it: lowland data fetch cifar100 --data-dir data"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_the_reader_panic(
        labels in prop::collection::vec(any::<[u8; 2]>(), 1..4),
        extra in 0_usize..3,
    ) {
        let mut file: Vec<u8> = labels.iter().flat_map(|labels| record(labels, 1)).collect();
        file.truncate(file.len() - extra);
        for kind in [Cifar::Ten, Cifar::Hundred] {
            let (mut images, mut read) = (Vec::new(), Vec::new());
            let result = cifar::parse(kind, Path::new("x"), &file, &mut images, &mut read);
            prop_assert_eq!(images.len(), read.len() * 3072);
            let good = extra == 0 && kind == Cifar::Hundred
                && labels.iter().all(|&[coarse, fine]| coarse < 20 && fine < 100);
            prop_assert!(result.is_ok() == good || kind == Cifar::Ten);
        }
    }
}

/// A batch as Python 3 writes it in protocol 2: the bytes are a text of characters below 256.
fn pickled(pixels: &[u8], labels: &str, numbers: &[u8]) -> Vec<u8> {
    let word = |word: &str| {
        [&b"X"[..], &u32::try_from(word.len()).unwrap().to_le_bytes(), word.as_bytes()].concat()
    };
    pickled_with_keys(pixels, &word("data"), &word(labels), numbers)
}

/// The same with keys of bytes, as it writes a dictionary that it read from Python 2.
fn pickled_again(pixels: &[u8], labels: &str, numbers: &[u8]) -> Vec<u8> {
    let key = |word: &str| {
        let length = u32::try_from(word.len()).unwrap().to_le_bytes();
        let call = &b"c_codecs\nencode\nX"[..];
        [call, &length, word.as_bytes(), b"X\x06\x00\x00\x00latin1\x86R"].concat()
    };
    pickled_with_keys(pixels, &key("data"), &key(labels), numbers)
}

fn pickled_with_keys(pixels: &[u8], data: &[u8], labels: &[u8], numbers: &[u8]) -> Vec<u8> {
    let rows = u8::try_from(numbers.len()).unwrap();
    let text: String = pixels.iter().map(|&byte| char::from(byte)).collect();
    let word = |word: &str| {
        [&b"X"[..], &u32::try_from(word.len()).unwrap().to_le_bytes(), word.as_bytes()].concat()
    };
    let list = numbers.iter().flat_map(|&number| [b'K', number]).collect::<Vec<_>>();
    [
        &b"\x80\x02}q\x00("[..],
        data,
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K",
        &[rows],
        b"M\x00\x0c\x86cnumpy\ndtype\n",
        &word("u1"),
        b"K\x00K\x01\x87R(K\x03C\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89c_codecs\nencode\n",
        &word(&text),
        &word("latin1"),
        b"\x86Rtb",
        labels,
        b"](",
        &list,
        b"eu.",
    ]
    .concat()
}

#[test]
fn the_python_version_is_read_without_running_it() {
    let pixels: Vec<u8> = (0..2 * 3072).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for inside in ["", "cifar-10-batches-py"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(inside);
        fs::create_dir_all(&path).unwrap();
        for name in [
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
            "test_batch",
        ] {
            fs::write(path.join(name), pickled(&pixels, "labels", &[9, 0])).unwrap();
        }
        let splits = DataName::Cifar10.load(Some(folder.path())).unwrap();
        assert_eq!((splits.train.len(), splits.test.labels()), (10, &[9, 0][..]));
        assert_eq!(splits.test.images(), pixels);
        assert_eq!(splits.remarks, ["the files are those of the Python version"]);
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["data_batch_1", "data_batch_3", "test_batch"] {
        fs::write(folder.path().join(name), pickled(&pixels, "labels", &[9, 0])).unwrap();
    }
    for missing in ["data_batch_2", "test_batch"] {
        let error = DataName::Cifar10.load(Some(folder.path())).unwrap_err().to_string();
        let files = "data_batch_1 to data_batch_5 and test_batch";
        let found = format!("{missing}: expected one of {files}, found no such file");
        assert!(error.contains(&found), "{error}");
        // The test file is looked for first.
        fs::remove_file(folder.path().join("test_batch")).unwrap_or_default();
    }
    let again = pickled_again(&pixels, "labels", &[9, 0]);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    cifar::parse_python(Cifar::Ten, Path::new("x"), &again, &mut images, &mut labels).unwrap();
    assert_eq!((images, labels), (pixels.clone(), vec![9, 0]));
    let folder = tempfile::tempdir().unwrap();
    for name in ["train", "test"] {
        fs::write(folder.path().join(name), pickled(&pixels, "fine_labels", &[99, 7])).unwrap();
    }
    assert_eq!(DataName::Cifar100.load(Some(folder.path())).unwrap().train.labels(), [99, 7]);
}

#[test]
fn pickles_that_are_no_batch_are_refused() {
    let pixels = vec![7; 3072];
    let error = |file: &[u8]| {
        let (mut images, mut labels) = (vec![1], vec![2]);
        let read = cifar::parse_python(Cifar::Ten, Path::new("x"), file, &mut images, &mut labels);
        assert_eq!((images, labels), (vec![1], vec![2]));
        read.unwrap_err().to_string()
    };
    let start = "x: expected a pickled batch of the Python version of CIFAR, found ";
    for (file, found) in [
        (vec![], "a file that ends early"),
        (b"\x80\x02}.".to_vec(), "no \"data\""),
        (b"cos\nsystem\n(X\x02\0\0\0lstR.".to_vec(), "no \"data\""),
        (pickled(&pixels, "other", &[1]), "no \"labels\""),
        (pickled(&pixels, "labels", &[1, 2]), "\"data\" that is no array of bytes"),
        (b"\x80\x02\xff".to_vec(), "instruction 0xff at byte 2"),
    ] {
        assert_eq!(error(&file), format!("{start}{found}"));
    }
    assert_eq!(
        error(&pickled(&pixels, "labels", &[10])),
        "x: expected labels below 10, found 10 in record 0"
    );
}
