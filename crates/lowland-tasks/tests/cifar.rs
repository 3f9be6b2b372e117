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
fn a_missing_file_is_one_exact_line() {
    let folder = cifar10("");
    fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
    let error = DataName::Cifar10.load(Some(folder.path())).unwrap_err().to_string();
    assert_eq!(
        error.replace(&format!("{}/", folder.path().display()), ""),
        "data_batch_4.bin: expected one of data_batch_1.bin to data_batch_5.bin and test_batch.bin, found no such file"
    );
    assert_eq!(
        DataName::Cifar100.load(None).unwrap_err().to_string(),
        "data set cifar100 is read from a folder and none was given: expected train.bin and test.bin"
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
