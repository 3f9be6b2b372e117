//! Image sets, the embedded one, the registry and corrupted labels.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use burn::data::dataset::Dataset;
use lowland_tasks::Error;
use lowland_tasks::data::{DataName, ImageItem, ImageSet, ImageShape, embedded, redraw_labels};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::Deserialize;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

/// Four images of two channels and 1 by 2 pixels.
fn small() -> ImageSet {
    let shape = ImageShape { channels: 2, height: 1, width: 2 };
    let images = vec![0, 255, 10, 10, 255, 0, 10, 10, 0, 0, 10, 10, 255, 255, 10, 10];
    ImageSet::new(images, vec![1, 0, 1, 2], shape, names(3)).unwrap()
}

fn many(count: usize, classes: usize) -> ImageSet {
    let shape = ImageShape { channels: 1, height: 1, width: 1 };
    let labels = (0..count).map(|index| u16::try_from(index % classes).unwrap()).collect();
    ImageSet::new(vec![0; count], labels, shape, names(classes)).unwrap()
}

fn text<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_embedded_set_has_what_it_says() {
    let splits = DataName::FashionMnistSmall.load(None).unwrap();
    assert_eq!(splits.train.len(), 2500);
    assert_eq!(splits.test.len(), 2000);
    assert_eq!(splits.train.class_counts(), [250; 10]);
    assert_eq!(splits.test.class_counts(), [200; 10]);
    let shape = ImageShape { channels: 1, height: 28, width: 28 };
    assert_eq!((splits.train.shape(), splits.test.shape()), (shape, shape));
    // The order is that of the official files, which begin so.
    assert_eq!(splits.train.labels()[..10], [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    assert_eq!(splits.test.labels()[..10], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
    assert_eq!(splits.train.classes()[9], "Ankle boot");
    // The official 60,000 images have mean 0.2860 and deviation 0.3530.
    let statistics = splits.train.channel_statistics()[0];
    assert!((statistics.mean - 0.286).abs() < 0.01, "{statistics:?}");
    assert!((statistics.standard_deviation - 0.353).abs() < 0.01, "{statistics:?}");
}

#[test]
fn a_set_is_checked_when_it_is_made() {
    let shape = ImageShape { channels: 1, height: 2, width: 2 };
    let make = |pixels: usize, labels: &[u16], shape, classes| {
        text(ImageSet::new(vec![0; pixels], labels.to_vec(), shape, names(classes)))
    };
    assert_eq!(make(0, &[], shape, 1), "labels must be at least one, found none");
    assert_eq!(
        make(7, &[0, 0], shape, 1),
        "images must be one byte a pixel for every label, found 7 bytes for 2 labels and images of 1x2x2"
    );
    assert_eq!(make(4, &[0], shape, 0), "classes must be between 1 and 65536, found 0");
    assert_eq!(
        make(8, &[1, 3], shape, 3),
        "labels must be below the number of classes, found 3 of 3 classes at sample 1"
    );
    let huge = ImageShape { channels: usize::MAX, height: 2, width: 2 };
    assert!(make(4, &[0], huge, 1).starts_with("image shape must be at least one pixel"));
    let flat = ImageShape { height: 0, ..shape };
    assert_eq!(
        make(0, &[0], flat, 1),
        "image shape must be at least one pixel and fit in memory, found 1x0x2"
    );
}

#[test]
fn parts_of_a_set_keep_images_and_labels_together() {
    let set = small();
    let chosen = set.select(&[3, 0, 3]).unwrap();
    assert_eq!(chosen.labels(), [2, 1, 2]);
    assert_eq!(chosen.image(2), set.image(3));
    assert!(set.select(&[]).is_err());
    assert_eq!(
        text(set.select(&[4])),
        "indices must be at least one, each below the number of images, found 4 in a set of 4"
    );
}

#[test]
fn statistics_are_those_of_all_pixels_of_a_channel() {
    let [first, second] = small().channel_statistics().try_into().unwrap();
    assert!((first.mean - 0.5).abs() < 1e-15 && (first.standard_deviation - 0.5).abs() < 1e-15);
    assert!((second.mean - 10.0 / 255.0).abs() < 1e-15);
    assert!(second.standard_deviation.abs() < 1e-15);
}

#[test]
fn burn_sees_a_data_set() {
    let set = small();
    let dataset: &dyn Dataset<ImageItem> = &set;
    assert_eq!(dataset.len(), 4);
    let item = dataset.get(1).unwrap();
    assert_eq!(item, ImageItem { pixels: vec![255, 0, 10, 10], label: 0 });
}

#[test]
fn names_lead_to_data_sets_and_back() {
    #[derive(Deserialize)]
    struct Config {
        data: DataName,
    }
    for data in DataName::ALL {
        assert_eq!(data.name().parse::<DataName>().unwrap(), data);
        let config: Config = toml::from_str(&format!("data = \"{data}\"")).unwrap();
        assert_eq!(config.data, data);
        assert!(!data.description().contains('\n'));
        assert_eq!(data.expected_files().is_none(), data.load(None).is_ok());
    }
    assert_eq!(
        text("imagenet".parse::<DataName>()),
        "unknown data set \"imagenet\", expected one of: embedded, fashion-mnist, mnist, cifar10, cifar100, \
         image-folder, pose, sst2, mrpc, cola, qqp, mnli, qnli, rte, wnli, stsb, text"
    );
    for (name, data) in [
        ("CIFAR-10", DataName::Cifar10),
        ("image_folder", DataName::ImageFolder),
        ("SST-2", DataName::Sst2),
    ] {
        assert_eq!(name.parse::<DataName>().unwrap(), data);
    }
    for (name, nearest) in [("cifr10", "cifar10"), ("fashon-mnist", "fashion-mnist"), ("image", "")]
    {
        let error = text(name.parse::<DataName>());
        let meant = format!("; did you mean {nearest:?}?");
        assert_eq!(error.ends_with(&meant), !nearest.is_empty(), "{error}");
    }
    let error = toml::from_str::<Config>("data = \"minst\"").err().unwrap().to_string();
    assert!(error.contains("did you mean \"mnist\"?"), "{error}");
    assert_eq!(
        text(DataName::Cifar10.load(None)),
        "data set cifar10 is read from a folder and none was given: expected data_batch_1.bin to data_batch_5.bin and \
         test_batch.bin; name a folder with --data-dir, or download it: lowland data fetch cifar10 --data-dir data"
    );
    let error = text(DataName::Mnist.load(Some(std::path::Path::new("/nowhere"))));
    let way = "; name another folder with --data-dir, or download it: lowland data fetch mnist --data-dir /nowhere";
    assert!(error.ends_with(way), "{error}");
}

#[test]
fn a_share_outside_its_range_changes_nothing() {
    let mut set = many(10, 2);
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = text(redraw_labels(&mut set, share, 0));
        assert_eq!(error, format!("label noise must be between 0 and 1, found {share}"));
    }
    assert_eq!(set, many(10, 2));
}

#[test]
fn redrawn_labels_are_uniform_over_all_classes() {
    // 27 % of all labels should change. The bound is about five standard deviations wide.
    let mut set = embedded::load().unwrap().train;
    let noise = redraw_labels(&mut set, 0.3, 5).unwrap();
    assert_eq!(noise.redrawn, 750);
    assert!((634..=716).contains(&noise.changed), "{noise:?}");
    let mut all = many(20_000, 4);
    redraw_labels(&mut all, 1.0, 5).unwrap();
    assert!(all.class_counts().iter().all(|&count| (4_700..=5_300).contains(&count)), "{all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn label_noise_is_exact_and_a_function_of_the_seed(
        count in 1_usize..300,
        classes in 1_usize..20,
        share in 0.0..=1.0_f64,
        seed: u64,
    ) {
        let clean = many(count, classes);
        let (mut one, mut two) = (clean.clone(), clean.clone());
        let noise = redraw_labels(&mut one, share, seed).unwrap();
        prop_assert_eq!(redraw_labels(&mut two, share, seed).unwrap(), noise);
        prop_assert_eq!(&one, &two);
        prop_assert!((noise.redrawn as f64 - share * count as f64).abs() <= 0.5 + 1e-9);
        let changed = clean.labels().iter().zip(one.labels()).filter(|(old, new)| old != new).count();
        prop_assert_eq!(changed, noise.changed);
        prop_assert!(changed <= noise.redrawn);
        prop_assert!(one.labels().iter().all(|&label| usize::from(label) < classes));
    }
}
