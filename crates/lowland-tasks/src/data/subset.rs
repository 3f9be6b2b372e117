//! Parts of a set that stand for the whole of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ImageSet;
use super::draw::{Purpose, generator, shuffle_front};
use crate::pose::PoseSet;
use crate::text::TextSet;
use crate::{Error, Result};

/// How a part of a set was drawn, for messages and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subset {
    /// How many samples it has.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// The number of classes that it was drawn over: those of which there are samples. `None` where
    /// samples have no class, so that all are alike.
    pub classes: Option<usize>,
    /// The seed that it was drawn with.
    pub seed: u64,
}

/// Samples of which some can be taken.
pub(crate) trait Select: Sized {
    /// How many there are.
    fn size(&self) -> usize;

    /// The class of each, where they have classes.
    fn strata(&self) -> Option<&[u16]>;

    /// What stays together when a set is divided, such as the people of one image: a number for
    /// each. `None` where each sample stands alone.
    fn groups(&self) -> Option<Vec<u64>> {
        None
    }

    /// Those at `indices`, in that order.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are none, or an index is out of range.
    fn taken(&self, indices: &[usize]) -> Result<Self>;
}

/// `count` of the samples with these classes, drawn without replacement: their places, in order.
///
/// Each class has its share of the samples, to within one, and at least one sample where `count`
/// allows it. Of two subsets with the same seed, the larger holds the smaller. All places where
/// there are no more than `count`.
pub fn stratified(labels: &[u16], count: usize, seed: u64) -> Vec<usize> {
    let mut classes: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let mut order: Vec<u16> = classes.keys().copied().collect();
    let all = order.len();
    shuffle_front(&mut generator(Purpose::Subset, [seed, u64::MAX, 0]), &mut order, all);
    let mut candidates = Vec::with_capacity(labels.len());
    for (tie, label) in order.into_iter().enumerate() {
        let mut members = classes.remove(&label).unwrap_or_default();
        let of = members.len();
        let mut rng = generator(Purpose::Subset, [seed, u64::from(label), 0]);
        shuffle_front(&mut rng, &mut members, of);
        candidates.extend(members.into_iter().enumerate().map(|(rank, i)| (rank, of, tie, i)));
    }
    // Adams' apportionment: the sample of a class whose share so far is the smallest comes next.
    candidates.sort_unstable_by(|&(rank, of, tie, _), &(other, of_other, other_tie, _)| {
        let product = |a: usize, b: usize| a as u128 * b as u128;
        product(rank, of_other).cmp(&product(other, of)).then(tie.cmp(&other_tie))
    });
    let mut taken: Vec<usize> = candidates.into_iter().take(count).map(|(.., i)| i).collect();
    taken.sort_unstable();
    taken
}

/// A part of `set` with at most `at_most` samples, drawn over all classes, and how; all of it where
/// there are no more.
///
/// # Errors
/// [`Error::Setting`] where `at_most` is 0.
pub(crate) fn part_of<S: Select>(
    set: Arc<S>,
    at_most: impl Into<Option<usize>>,
    seed: u64,
) -> Result<(Arc<S>, Option<Subset>)> {
    let Some((indices, subset)) = drawn(&*set, at_most.into(), seed)? else {
        return Ok((set, None));
    };
    Ok((Arc::new(set.taken(&indices)?), Some(subset)))
}

/// How [`part_of`] draws: the places of what it takes; `None` where it takes all.
///
/// # Errors
/// [`Error::Setting`] where `at_most` is 0.
pub(crate) fn drawn<S: Select>(
    set: &S,
    at_most: Option<usize>,
    seed: u64,
) -> Result<Option<(Vec<usize>, Subset)>> {
    let of = set.size();
    let Some(count) = at_most.filter(|&count| count < of) else { return Ok(None) };
    if count == 0 {
        let (field, found) = ("number of samples", "0".to_owned());
        return Err(Error::Setting { field, found, allowed: "at least 1" });
    }
    let alike = vec![0; of];
    let indices = stratified(set.strata().unwrap_or(&alike), count, seed);
    let classes = set.strata().map(|labels| {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        labels.dedup();
        labels.len()
    });
    Ok(Some((indices, Subset { count, of, classes, seed })))
}

impl Select for ImageSet {
    fn size(&self) -> usize {
        self.len()
    }

    fn strata(&self) -> Option<&[u16]> {
        Some(self.labels())
    }

    fn taken(&self, indices: &[usize]) -> Result<Self> {
        self.select(indices)
    }
}

impl Select for TextSet {
    fn size(&self) -> usize {
        self.len()
    }

    fn strata(&self) -> Option<&[u16]> {
        self.targets().strata()
    }

    fn taken(&self, indices: &[usize]) -> Result<Self> {
        self.select(indices)
    }
}

impl Select for PoseSet {
    fn size(&self) -> usize {
        self.len()
    }

    fn strata(&self) -> Option<&[u16]> {
        None
    }

    fn groups(&self) -> Option<Vec<u64>> {
        Some(self.people().iter().map(|person| person.image).collect())
    }

    fn taken(&self, indices: &[usize]) -> Result<Self> {
        self.select(indices)
    }
}
