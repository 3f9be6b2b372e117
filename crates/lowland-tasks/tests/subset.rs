//! Subsets: drawn over all classes, the same for the same seed, and measured on as they are drawn.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lowland_tasks::config::{DataConfig, TrainConfig};
use lowland_tasks::data::Subset;
use lowland_tasks::data::subset::stratified;
use lowland_tasks::task::Split;
use lowland_tasks::train::Data;
use proptest::prelude::*;

/// How many samples of each of three classes are among those at `places`.
fn counts(labels: &[u16], places: &[usize]) -> [usize; 3] {
    let mut counts = [0; 3];
    for &place in places {
        counts[usize::from(labels[place])] += 1;
    }
    counts
}

#[test]
fn a_sorted_set_gives_every_class_its_share() {
    let labels: Vec<u16> = [vec![0; 700], vec![1; 700], vec![2; 700]].concat();
    let places = stratified(&labels, 1000, 0);
    let mut found = counts(&labels, &places);
    found.sort_unstable();
    assert_eq!(found, [333, 333, 334]);
    assert_eq!(counts(&labels, &stratified(&labels, 6, 5)), [2, 2, 2]);
    // A rare class has a sample before a common one has all.
    let labels: Vec<u16> = [vec![0; 900], vec![1; 99], vec![2]].concat();
    assert_eq!(counts(&labels, &stratified(&labels, 20, 1)), [17, 2, 1]);
    assert_ne!(places, (0..1000).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(17), ..ProptestConfig::default()
    })]

    #[test]
    fn subsets_are_in_order_nested_and_drawn_by_the_seed_alone(
        labels in prop::collection::vec(0_u16..3, 1..200),
        count in 1_usize..200,
        seed in 0_u64..4,
    ) {
        let places = stratified(&labels, count, seed);
        prop_assert_eq!(places.len(), count.min(labels.len()));
        prop_assert!(places.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(&places, &stratified(&labels, count, seed));
        let larger = stratified(&labels, count + 1, seed);
        prop_assert!(places.iter().all(|place| larger.contains(place)));
        let all = counts(&labels, &(0..labels.len()).collect::<Vec<_>>());
        let present = all.iter().filter(|&&of| of > 0).count();
        for (of, taken) in all.into_iter().zip(counts(&labels, &places)) {
            prop_assert!(of == 0 || taken > 0 || count < present);
        }
    }
}

#[test]
fn limits_are_drawn_over_all_classes_whatever_the_seed_of_the_run() {
    let config = |seed, subset_seed| TrainConfig {
        seed,
        data: DataConfig {
            train_limit: Some(30),
            test_limit: Some(20),
            subset_seed,
            ..DataConfig::default()
        },
        ..TrainConfig::default()
    };
    let data = Data::load(&config(0, 0)).unwrap();
    let task = data.task();
    assert_eq!((task.count(Split::Train), task.count(Split::Test)), (30, 20));
    let drawn = Subset { count: 30, of: 2500, classes: Some(10), seed: 0 };
    assert_eq!(task.limited(Split::Train), Some(drawn));
    assert_eq!(task.drawn(Split::Train, 10).unwrap(), Some(Subset { count: 10, of: 30, ..drawn }));
    assert_eq!(task.drawn(Split::Train, 30).unwrap(), None);
    assert!(task.drawn(Split::Train, 0).is_err() && task.to_measure(Split::Train, 0).is_err());

    let sum = |config| Data::load(&config).unwrap().task().checksum(Split::Train);
    assert_eq!(sum(config(0, 0)), sum(config(7, 0)));
    assert_ne!(sum(config(0, 0)), sum(config(0, 1)));
}
