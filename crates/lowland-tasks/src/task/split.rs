//! The parts of a set of data: what is learned from, what is chosen by, and what is tested on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Split;
use crate::config::DataConfig;
use crate::data::draw::{Purpose, generator, shuffle_front};
use crate::data::subset::{Select, drawn, part_of};
use crate::data::{Labelled, Subset};
use crate::{Error, Result};

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
}

impl<S: Select> Parts<S> {
    /// The parts that `config` asks for: as many samples of `train` and `test` as it allows, and
    /// the validation part that the set has itself, or the share of `train` that is drawn for it.
    ///
    /// # Errors
    /// [`Error::Setting`] for a limit of 0, a share of a set that has a validation part, and one
    /// that leaves nothing on one side.
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
        let parts = Self { train, validation, test, limited, subset_seed };
        match config.validation {
            Some(share) => parts.with_validation(share, config.split_seed),
            None => Ok(parts),
        }
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
        let (rest, drawn) = divide(&places(&*self.train), share, split_seed);
        if rest.is_empty() || drawn.is_empty() {
            return Err(Error::Setting {
                field: "validation",
                found: format!("{share} of {} samples", rest.len() + drawn.len()),
                allowed: "a share that leaves samples to learn from and samples to choose by",
            });
        }
        let (rest, drawn) = (self.train.taken(&rest)?, self.train.taken(&drawn)?);
        Ok(Self { train: Arc::new(rest), validation: Some(Arc::new(drawn)), ..self })
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
                allowed: "train or test: there is no validation part; --validation SHARE takes one from \
                          the training samples",
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

/// Draws `share` of the samples, class by class: what is left, and what was drawn, both in the
/// order of the set. The same for the same seed, whatever else a run has.
///
/// In all `round(share · n)` are drawn, at least 1; to each class falls its share, rounded so that
/// the sum holds (largest remainders), and each class keeps at least one group of samples.
fn divide(places: &[Place], share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut strata: BTreeMap<u64, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        strata.entry(place.stratum).or_default().entry(place.group).or_default().push(index);
    }
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
