//! The parts of a set of data: what is learned from, what is chosen by, and what is tested on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Split, in_percent};
use crate::config::DataConfig;
use crate::data::draw::{Purpose, generator, shuffle_front};
use crate::data::subset::{Select, drawn, part_of};
use crate::data::{Labelled, Subset};
use crate::{Error, Result};

/// Why a large share of a set with classes is not reached.
const KEEPS: &str = "each class keeps at least one to learn from";

/// What a sample is drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its class: each has the same share in both parts.
    pub(crate) stratum: u64,
    /// What stays together, such as the people of one image.
    pub(crate) group: u64,
}

/// What each sample of a set is drawn by, in order.
fn places(set: &impl Select) -> Vec<Place> {
    let (strata, groups) = (set.strata(), set.groups());
    let place = |index: usize| Place {
        stratum: strata.map_or(0, |labels| u64::from(labels[index])),
        group: groups.as_ref().map_or(index as u64, |groups| groups[index]),
    };
    (0..set.size()).map(place).collect()
}

/// The parts of a set of data.
#[derive(Debug, Clone)]
pub(crate) struct Parts<S> {
    /// What is learned from.
    pub(crate) train: Arc<S>,
    /// What is chosen by, where there is such a part.
    pub(crate) validation: Option<Arc<S>>,
    /// What is measured once, at the end.
    pub(crate) test: Arc<S>,
    /// How samples were drawn where limits were set.
    limited: Vec<(Split, Subset)>,
    /// The seed of every part that is drawn of these.
    subset_seed: u64,
    /// What is odd about the validation part, a line each.
    remarks: Vec<String>,
}

impl<S: Select> Parts<S> {
    /// The parts that `config` asks for: as many samples of `train` and `test` as it allows, and
    /// the validation part that the set has itself, or the share of `train` that is drawn for it.
    ///
    /// # Errors
    /// [`Error::Setting`] for a limit of 0, a share of a set that has a validation part, and one
    /// that is less than a sample or leaves nothing to choose by.
    pub(crate) fn new(train: S, own: Option<S>, test: S, config: &DataConfig) -> Result<Self> {
        let subset_seed = config.subset_seed;
        let mut limited = Vec::new();
        let mut cut = |split, set, limit: Option<usize>| -> Result<Arc<S>> {
            let (set, subset) = part_of(Arc::new(set), limit, subset_seed)?;
            limited.extend(subset.map(|subset| (split, subset)));
            Ok(set)
        };
        let train = cut(Split::Train, train, config.train_limit)?;
        let test = cut(Split::Test, test, config.test_limit)?;
        let validation = own.map(Arc::new);
        let parts = Self { train, validation, test, limited, subset_seed, remarks: Vec::new() };
        if let Some(share) = config.validation {
            return parts.with_validation(share, config.split_seed);
        }
        let remarks = match parts.validation.as_deref().and_then(S::strata) {
            Some(found) => {
                let found = found.iter().map(|&label| u64::from(label)).collect();
                lacking(&Strata::of(&places(&*parts.train)), &found).into_iter().collect()
            }
            None => Vec::new(),
        };
        Ok(Self { remarks, ..parts })
    }

    /// The same with a share of the training samples to choose by.
    fn with_validation(self, share: f64, split_seed: u64) -> Result<Self> {
        if self.validation.is_some() {
            return Err(Error::Setting {
                field: "validation",
                found: share.to_string(),
                allowed: "left out: this data set has a validation part of its own",
            });
        }
        let places = places(&*self.train);
        let refused = |why: &str, allowed| {
            let found = format!("{share} of {} samples, {why}", places.len());
            Err(Error::Setting { field: "validation", found, allowed })
        };
        // What rounds to no sample would be one, of one class.
        if share * (places.len() as f64) < 0.5 {
            return refused("less than one of them", "a share that takes at least one sample");
        }
        let (rest, drawn) = divide(&places, share, split_seed);
        if drawn.is_empty() {
            let why = match (self.train.strata(), self.train.groups()) {
                (_, Some(_)) => "all of which are of one image",
                (Some(_), None) => "of which each class has one",
                (None, None) => "of which one must be learned from",
            };
            return refused(
                why,
                "left out where each class has one sample, which must be learned from: add samples, or \
                 a validation part of the data set's own",
            );
        }
        let mut remarks = Vec::new();
        let why = match (self.train.strata(), self.train.groups()) {
            (_, Some(_)) => "the samples of one image stay together",
            (Some(_), None) => KEEPS,
            (None, None) => "one at least is learned from",
        };
        remarks.extend(departure(places.len(), share, drawn.len(), why));
        if self.train.strata().is_some() {
            let found = drawn.iter().map(|&index| places[index].stratum).collect();
            remarks.extend(lacking_of_share(&Strata::of(&places), &found));
        }
        let (rest, drawn) = (self.train.taken(&rest)?, self.train.taken(&drawn)?);
        let (train, validation) = (Arc::new(rest), Some(Arc::new(drawn)));
        Ok(Self { train, validation, remarks, ..self })
    }

    /// What is odd about the validation part, a line each: how many samples it has where these are
    /// not the share that was asked for, and classes that it lacks.
    pub(crate) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// How many samples a part has; 0 where there is no such part.
    pub(crate) fn count(&self, split: Split) -> usize {
        self.of(split).map_or(0, |set| set.size())
    }

    /// At most `at_most` samples of a part, drawn over all classes.
    ///
    /// # Errors
    /// [`Error::Setting`] where `at_most` is 0, or there is no such part.
    pub(crate) fn some(&self, split: Split, at_most: usize) -> Result<Arc<S>> {
        Ok(part_of(Arc::clone(self.of(split)?), at_most, self.subset_seed)?.0)
    }

    /// How [`some`](Self::some) draws; `None` where it takes all.
    ///
    /// # Errors
    /// As [`some`](Self::some).
    pub(crate) fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>> {
        let found = drawn(&**self.of(split)?, Some(at_most), self.subset_seed)?;
        Ok(found.map(|(_, subset)| subset))
    }

    /// How the samples of a part were drawn where a limit was set; `None` where all were taken.
    pub(crate) fn limited(&self, split: Split) -> Option<Subset> {
        self.limited.iter().find(|(of, _)| *of == split).map(|(_, subset)| *subset)
    }
}

impl<S> Parts<S> {
    /// The samples of a part.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no such part.
    pub(crate) fn of(&self, split: Split) -> Result<&Arc<S>> {
        match split {
            Split::Train => Ok(&self.train),
            Split::Validation => self.validation.as_ref().ok_or_else(|| Error::Setting {
                field: "part of the data",
                found: "validation".to_owned(),
                allowed: "train or test, where there is no validation part (training with --validation \
                          SHARE sets one apart)",
            }),
            Split::Test => Ok(&self.test),
        }
    }
}

impl<S: Labelled + Clone> Parts<S> {
    /// The training samples, to be changed.
    pub(crate) fn train_mut(&mut self) -> &mut S {
        Arc::make_mut(&mut self.train)
    }
}

/// The classes of samples, and what each has.
struct Strata(BTreeMap<u64, BTreeMap<u64, Vec<usize>>>);

impl Strata {
    /// For each class the samples that stay together, by their places.
    fn of(places: &[Place]) -> Self {
        let mut strata: BTreeMap<u64, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
        for (index, place) in places.iter().enumerate() {
            strata.entry(place.stratum).or_default().entry(place.group).or_default().push(index);
        }
        Self(strata)
    }
}

/// A line for a validation part of `drawn` samples that is not `share` of all, to the next sample.
/// `why` is what keeps it from that.
fn departure(all: usize, share: f64, drawn: usize, why: &str) -> Option<String> {
    let asked = share * all as f64;
    let by = (drawn as f64 - asked).abs();
    // Up to half a sample is rounding, which `share` times a number does not give exactly.
    let departs = by > 0.5 + 1e-6 && by > 0.05 * asked;
    departs.then(|| {
        let percent = in_percent(drawn as f64 / all as f64);
        let asked = asked.round();
        format!(
            "validation takes {drawn} of the {all} training samples ({percent} %), where a share of \
             {share} is {asked}: {why}"
        )
    })
}

/// A line for the classes that are in the training samples and not among `found`.
fn lacking(Strata(strata): &Strata, found: &BTreeSet<u64>) -> Option<String> {
    let all = strata.len();
    let held = strata.keys().filter(|class| found.contains(class)).count();
    let part = "the validation part has samples of";
    (held < all).then(|| format!("{part} {held} of the {all} classes of the training samples"))
}

/// The same for a share that was drawn from `strata`, with what to do.
fn lacking_of_share(strata: &Strata, found: &BTreeSet<u64>) -> Option<String> {
    let line = lacking(strata, found)?;
    let lacked = || strata.0.iter().filter(|(class, _)| !found.contains(class));
    let single = lacked().filter(|(_, groups)| groups.len() == 1).count();
    let smallest = lacked().filter(|(_, groups)| groups.len() > 1);
    let smallest = smallest.map(|(_, groups)| groups.values().map(Vec::len).sum::<usize>()).min();
    let mut ways = Vec::new();
    if single > 0 {
        let have = if single == 1 { "1 class has" } else { &format!("{single} classes have") };
        ways.push(format!(
            "{have} a single sample, which is learned from (add samples, or a validation part of the \
             data set's own)"
        ));
    }
    if let Some(smallest) = smallest {
        let share = (100.0 / smallest as f64).ceil() / 100.0;
        let others = if single > 0 { "each of the others" } else { "each" };
        ways.push(format!("a share of at least {share} takes some of {others}"));
    }
    Some(format!("{line}: {}", ways.join("; ")))
}

/// Draws `share` of the samples, class by class: what is left, and what was drawn, both in the
/// order of the set. The same for the same seed, whatever else a run has.
///
/// In all `round(share · n)` are drawn, at least 1; to each class falls its share, rounded so that
/// the sum holds (largest remainders), and each class keeps at least one group of samples.
fn divide(places: &[Place], share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let Strata(strata) = Strata::of(places);
    let sizes: Vec<usize> =
        strata.values().map(|groups| groups.values().map(Vec::len).sum()).collect();
    let mut drawn = vec![false; places.len()];
    for ((stratum, groups), quota) in strata.into_iter().zip(quotas(&sizes, share)) {
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        let count = groups.len();
        let mut rng = generator(Purpose::Validation, [seed, stratum, 0]);
        shuffle_front(&mut rng, &mut groups, count);
        let mut taken = 0;
        for group in groups.iter().take(count - 1) {
            if taken >= quota {
                break;
            }
            taken += group.len();
            group.iter().for_each(|&index| drawn[index] = true);
        }
    }
    (0..places.len()).partition(|&index| !drawn[index])
}

/// How many of each of some sizes make up `share` of their sum, by largest remainders.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ share·n ≤ n")]
fn quotas(sizes: &[usize], share: f64) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let total = ((share * all as f64).round() as usize).max(1);
    let exact: Vec<f64> = sizes.iter().map(|&size| share * size as f64).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|exact| exact.floor() as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // Of equal remainders the first class: the sort is stable.
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let missing = total.saturating_sub(quotas.iter().sum());
    order.iter().take(missing).for_each(|&class| quotas[class] += 1);
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(places: &[Place], indices: &[usize]) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        indices.iter().for_each(|&index| *counts.entry(places[index].stratum).or_default() += 1);
        counts
    }

    #[test]
    fn each_class_gives_its_share_and_keeps_a_sample() {
        // Sorted by class, as folders are.
        let labels: Vec<u16> = [vec![0; 100], vec![1; 33], vec![2; 7], vec![3]].concat();
        let place = |(index, &label): (usize, &u16)| Place {
            stratum: u64::from(label),
            group: index as u64,
        };
        let places: Vec<Place> = labels.iter().enumerate().map(place).collect();
        let (rest, drawn) = divide(&places, 0.2, 0);
        assert_eq!((rest.len(), drawn.len()), (113, 28));
        assert_eq!(counts(&places, &drawn), [(0, 20), (1, 7), (2, 1)].into());
        assert_eq!(counts(&places, &rest)[&3], 1);
        assert!(rest.is_sorted() && drawn.is_sorted());
        assert_eq!(divide(&places, 0.2, 0), (rest, drawn.clone()));
        assert_ne!(divide(&places, 0.2, 1).1, drawn);
        assert_eq!(divide(&places[..2], 0.01, 0).1.len(), 1);
        assert!(divide(&places[..1], 0.5, 0).1.is_empty());
    }

    /// What is said of a share of classes with so many samples.
    fn said(sizes: &[usize], share: f64) -> Vec<String> {
        let classes = (0..).zip(sizes).flat_map(|(class, &size)| vec![class; size]);
        let place = |(group, stratum)| Place { stratum, group };
        let places: Vec<Place> = (0..).zip(classes).map(place).collect();
        let drawn = divide(&places, share, 0).1;
        let found = drawn.iter().map(|&index| places[index].stratum).collect();
        let lines = [
            departure(places.len(), share, drawn.len(), KEEPS),
            lacking_of_share(&Strata::of(&places), &found),
        ];
        lines.into_iter().flatten().collect()
    }

    #[test]
    fn a_share_that_is_not_what_was_asked_for_is_said_with_its_cause() {
        for (sizes, share) in [
            (&[2; 12][..], 0.5),
            (&[10, 10], 0.24),
            (&[10, 10], 0.9),
            (&[100, 33, 7], 0.2),
            (&[1000, 990], 0.9999),
        ] {
            assert_eq!(said(sizes, share), [""; 0], "{sizes:?}");
        }
        let takes = "validation takes 12 of the 24 training samples (50 %), where a share of 0.99 \
                     is 24: each class keeps at least one to learn from";
        assert_eq!(said(&[2; 12], 0.99), [takes]);
        let has = "the validation part has samples of";
        let of = "classes of the training samples:";
        assert_eq!(
            said(&[2; 12], 0.03),
            [format!("{has} 1 of the 12 {of} a share of at least 0.5 takes some of each")]
        );
        let add = "a single sample, which is learned from (add samples, or a validation part of the \
                   data set's own)";
        assert_eq!(said(&[40, 40, 1], 0.1), [format!("{has} 2 of the 3 {of} 1 class has {add}")]);
        let both = "; a share of at least 0.34 takes some of each of the others";
        assert_eq!(
            said(&[40, 40, 3, 1, 1], 0.05),
            [format!("{has} 2 of the 5 {of} 2 classes have {add}{both}")]
        );
        // It does.
        assert_eq!(said(&[40, 40, 3], 0.34), [""; 0]);
    }

    #[test]
    fn people_of_one_image_stay_together() {
        let places: Vec<Place> = (0..60).map(|i| Place { stratum: 0, group: i / 3 }).collect();
        let (rest, drawn) = divide(&places, 0.3, 4);
        let groups = |indices: &[usize]| -> Vec<u64> {
            let mut groups: Vec<u64> = indices.iter().map(|&i| places[i].group).collect();
            groups.dedup();
            groups
        };
        assert_eq!(drawn.len(), 18);
        assert!(groups(&rest).iter().all(|group| !groups(&drawn).contains(group)));
    }
}
