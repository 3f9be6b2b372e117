//! Batches: every sample once, the same bytes for any number of workers, and a start anywhere.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;

use burn::tensor::Device;
use lowland_tasks::data::{
    AugmentConfig, BatchConfig, HostBatch, ImageSet, ImageShape, Loader, Normalisation, epoch_order,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// `count` images of 3 by 4 by 4 whose pixels encode their index.
fn set(count: usize) -> Arc<ImageSet> {
    let shape = ImageShape { channels: 3, height: 4, width: 4 };
    let images = (0..count * 48).map(|i| u8::try_from((i * 7 + i / 48) % 256).unwrap()).collect();
    let labels = (0..count).map(|index| u16::try_from(index % 5).unwrap()).collect();
    let classes = (0..5).map(|class| class.to_string()).collect();
    Arc::new(ImageSet::new(images, labels, shape, classes).unwrap())
}

fn config(batch_size: usize, workers: usize) -> BatchConfig {
    BatchConfig { batch_size, workers, drop_last: false }
}

fn training(set: &Arc<ImageSet>, seed: u64, config: BatchConfig) -> Loader {
    let augment = AugmentConfig {
        crop_padding: 2,
        flip: true,
        cutout: 2,
        cutout_probability: 0.5,
        ..AugmentConfig::none()
    };
    let augment = augment.build(Normalisation::of(set)).unwrap();
    Loader::training(Arc::clone(set), augment, seed, config).unwrap()
}

fn indices(batches: &[HostBatch]) -> Vec<usize> {
    batches.iter().flat_map(|batch| batch.indices.clone()).collect()
}

#[test]
fn any_number_of_workers_gives_the_same_bytes() {
    let set = set(53);
    let alone: Vec<_> = training(&set, 9, config(8, 0)).epoch(3).collect();
    assert_eq!(alone.len(), 7);
    assert_eq!(alone[6].indices.len(), 5);
    for workers in [1, 2, 4, 100] {
        let together: Vec<_> = training(&set, 9, config(8, workers)).epoch(3).collect();
        assert_eq!(together, alone, "{workers} workers");
    }
}

#[test]
fn the_parts_of_a_batch_are_the_batch_and_some_can_have_nothing() {
    let set = set(53);
    let whole: Vec<_> = training(&set, 9, config(8, 0)).epoch(3).collect();
    for parts in [1, 2, 3, 7, 20] {
        let part = |i| training(&set, 9, config(8, 2)).shard(i, parts).unwrap();
        let shards: Vec<Vec<_>> = (0..parts).map(|i| part(i).epoch(3).collect()).collect();
        for (i, batch) in whole.iter().enumerate() {
            let pieces = shards.iter().map(|batches| &batches[i]);
            let images: Vec<f32> = pieces.clone().flat_map(|piece| piece.images.clone()).collect();
            let indices: Vec<usize> = pieces.flat_map(|piece| piece.indices.clone()).collect();
            assert!(images == batch.images && indices == batch.indices, "{parts} parts");
            assert_eq!(part(0).batch_len(i), batch.indices.len());
        }
    }
    // Nothing is something that a device takes.
    let empty = training(&set, 9, config(8, 0)).shard(19, 20).unwrap().epoch(0).next().unwrap();
    assert_eq!(empty.to_device(&Device::flex()).images.dims(), [0, 3, 4, 4]);
    assert!(training(&set, 9, config(8, 0)).shard(2, 2).is_err());
}

#[test]
fn a_sample_is_augmented_the_same_in_any_batch() {
    let set = set(40);
    let find = |batch_size: usize, sample: usize| {
        let batches = training(&set, 1, config(batch_size, 0)).epoch(2);
        let images = batches.flat_map(|batch| {
            let images: Vec<_> = batch.images.chunks_exact(48).map(<[f32]>::to_vec).collect();
            batch.indices.into_iter().zip(images)
        });
        images.into_iter().find(|&(index, _)| index == sample).unwrap().1
    };
    assert_eq!(find(8, 17), find(3, 17));
    assert_eq!(find(40, 0), find(1, 0));
}

#[test]
fn epochs_and_seeds_differ() {
    let set = set(50);
    let order =
        |seed, epoch| indices(&training(&set, seed, config(8, 0)).epoch(epoch).collect::<Vec<_>>());
    assert_eq!(order(1, 1), epoch_order(1, 1, 50));
    assert_ne!(order(1, 1), order(1, 2));
    assert_ne!(order(1, 1), order(2, 1));
    let images = |epoch| {
        let mut batches: Vec<_> = training(&set, 1, config(1, 0)).epoch(epoch).collect();
        batches.sort_by_key(|batch| batch.indices[0]);
        batches.into_iter().flat_map(|batch| batch.images).collect::<Vec<_>>()
    };
    assert_ne!(images(0), images(1), "each epoch augments anew");
}

#[test]
fn orders_and_choices_stay_what_they_are() {
    // A change here means that every run with a known seed becomes another run.
    assert_eq!(epoch_order(1, 2, 8), [1, 2, 4, 6, 0, 7, 3, 5]);
    let set = set(1);
    let augment = AugmentConfig { crop_padding: 4, ..AugmentConfig::none() };
    let augment = augment.build(Normalisation::of(&set)).unwrap();
    let rows: Vec<_> = (0..6).map(|index| augment.choose(1, 2, index).row).collect();
    assert_eq!(rows, [0, 5, 1, 0, 8, 1]);
}

#[test]
fn evaluation_goes_in_order_and_leaves_nothing_out() {
    let set = set(21);
    let normalisation = Normalisation::of(&set);
    let loader = Loader::evaluation(Arc::clone(&set), normalisation.clone(), config(8, 2)).unwrap();
    let batches: Vec<_> = loader.epoch(0).collect();
    assert_eq!(indices(&batches), (0..21).collect::<Vec<_>>());
    assert_eq!(loader.epoch(5).collect::<Vec<_>>(), batches);
    let labels: Vec<_> = batches.iter().flat_map(|batch| batch.labels.clone()).collect();
    assert_eq!(labels, set.labels());
    let mut expected = vec![0.0; 48];
    normalisation.apply(set.image(9), &mut expected);
    assert_eq!(batches[1].images[48..96], expected);
}

#[test]
fn a_batch_becomes_tensors() {
    let batch = training(&set(10), 4, config(6, 0)).epoch(0).next().unwrap();
    let tensors = batch.clone().to_device(&Device::flex());
    assert_eq!(tensors.images.dims(), [6, 3, 4, 4]);
    assert_eq!(tensors.images.into_data().try_to_vec::<f32>().unwrap(), batch.images);
    let labels: Vec<i64> = tensors.labels.into_data().iter::<i64>().collect();
    assert_eq!(labels, batch.labels.iter().map(|&label| i64::from(label)).collect::<Vec<_>>());
    assert_eq!(tensors.indices, batch.indices);
}

#[test]
fn stopping_early_does_not_hang() {
    let set = set(500);
    for taken in 0..6 {
        let batches = training(&set, 0, config(1, 3)).epoch(0);
        assert_eq!(batches.take(taken).count(), taken);
    }
}

#[test]
fn settings_are_checked() {
    let set = set(10);
    let normalisation = Normalisation::of(&set);
    let error = |config: BatchConfig| {
        let augment = AugmentConfig::none().build(normalisation.clone()).unwrap();
        Loader::training(Arc::clone(&set), augment, 0, config).unwrap_err().to_string()
    };
    assert_eq!(error(config(0, 0)), "batch_size must be at least 1, found 0");
    assert_eq!(error(config(1, 257)), "workers must be at most 256, found 257");
    assert_eq!(
        error(BatchConfig { drop_last: true, ..config(11, 0) }),
        "batch_size must be at most the number of samples with drop_last, found 11 for 10 samples"
    );
    let dropping = BatchConfig { drop_last: true, ..config(4, 0) };
    let evaluation = Loader::evaluation(Arc::clone(&set), normalisation.clone(), dropping);
    assert_eq!(
        evaluation.unwrap_err().to_string(),
        "drop_last must be false to measure, found true"
    );
    let shape = ImageShape { channels: 1, height: 1, width: 1 };
    let other = ImageSet::new(vec![0], vec![0], shape, vec!["only".to_owned()]).unwrap();
    let evaluation = Loader::evaluation(Arc::new(other), normalisation.clone(), config(1, 0));
    assert_eq!(
        evaluation.unwrap_err().to_string(),
        "normalisation must be of the images' size, found 3x4x4 and 1x1x1"
    );
    assert!(toml::from_str::<BatchConfig>("batch = 3").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_order_is_a_permutation(seed: u64, epoch: u64, count in 0_usize..400) {
        let mut order = epoch_order(seed, epoch, count);
        prop_assert_eq!(&order, &epoch_order(seed, epoch, count));
        order.sort_unstable();
        prop_assert!(order.into_iter().eq(0..count));
    }

    #[test]
    fn an_epoch_can_start_at_any_batch(
        count in 1_usize..40, batch_size in 1_usize..12, first in 0_usize..45, workers in 0_usize..4, drop_last: bool,
    ) {
        let set = set(count);
        let batch_size = batch_size.min(count);
        let loader = training(&set, 6, BatchConfig { batch_size, workers, drop_last });
        let whole: Vec<_> = loader.epoch(1).collect();
        prop_assert_eq!(whole.len(), loader.batch_count());
        let tail = loader.epoch_from(1, first);
        prop_assert_eq!(tail.len(), whole.len().saturating_sub(first));
        prop_assert_eq!(tail.collect::<Vec<_>>(), &whole[first.min(whole.len())..]);
        let seen = indices(&whole).len();
        prop_assert_eq!(seen, if drop_last { count / batch_size * batch_size } else { count });
    }
}

#[test]
fn mixed_images_are_the_same_for_any_batches_parts_and_workers() {
    let set = set(53);
    let loader = |mixup: f64, config: BatchConfig| {
        let augment = AugmentConfig { flip: true, mixup, ..AugmentConfig::none() };
        let augment = augment.build(Normalisation::of(&set)).unwrap();
        Loader::training(Arc::clone(&set), augment, 9, config).unwrap()
    };
    // The image, label of the other and share of each sample, in the order of the set.
    let samples = |batches: Vec<HostBatch>| {
        let mut all = Vec::new();
        for batch in batches {
            let (labels, shares) = batch.mixed.unwrap();
            for (i, index) in batch.indices.iter().enumerate() {
                let image = batch.images[48 * i..][..48].to_vec();
                all.push((*index, image, labels[i], shares[i]));
            }
        }
        all.sort_by_key(|sample| sample.0);
        all
    };
    let alone = samples(loader(1.0, config(8, 0)).epoch(3).collect());
    assert_eq!(alone.len(), 53);
    assert!(alone.iter().all(|sample| (0.0..=0.5).contains(&sample.3)));
    assert_eq!(samples(loader(1.0, config(53, 3)).epoch(3).collect()), alone);
    let parts = (0..3).flat_map(|i| loader(1.0, config(8, 1)).shard(i, 3).unwrap().epoch(3));
    assert_eq!(samples(parts.collect()), alone);
    assert_ne!(samples(loader(1.0, config(8, 0)).epoch(4).collect()), alone);
    // An image and its partner, as they are without mixing, in these shares.
    let plain: Vec<HostBatch> = loader(0.0, config(53, 0)).epoch(3).collect();
    assert!(plain[0].mixed.is_none());
    let of = |index: usize| {
        let place = plain[0].indices.iter().position(|found| *found == index).unwrap();
        &plain[0].images[48 * place..][..48]
    };
    let (index, image, label, share) = &alone[11];
    let fits = |partner: &usize| {
        let pairs = of(*index).iter().zip(of(*partner)).zip(image);
        let off = pairs.map(|((a, b), found)| (a + (b - a) * share - found).abs());
        usize::from(*label) == partner % 5 && off.fold(0.0, f32::max) < 1e-5
    };
    assert_eq!((0..53).filter(fits).count(), 1);
}
