//! Workers that train one network together, each on its own part of every batch.
//!
//! The rest of the library sees them through [`Workers`] alone, and rules through
//! [`Surface`](crate::Surface): to a rule, the parts of all workers are one batch.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;

use burn::module::Module;

use crate::module::{float_bytes, with_float_bytes};
use crate::{Error, Parameters, Result};

mod bucket;
mod in_one_process;
mod topic;

pub(crate) use bucket::{Bucket, mean_running_state};
pub use in_one_process::threads;
pub(crate) use topic::Topic;

/// How workers reach one another. Every worker calls the same methods in the same order; each call
/// returns once all have made it.
///
/// What comes back must be the same to the bit for all workers.
pub trait Collective: Debug + Send + Sync {
    /// The sum of each value over all workers, which give equally many.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone or does something else.
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers>;

    /// The bytes of worker 0. The others give as many, which are lost.
    ///
    /// # Errors
    /// As [`all_reduce_sum`](Self::all_reduce_sum).
    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;
}

/// Numbers that are summed over workers.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// In single precision, as gradients mostly are.
    F32(Vec<f32>),
    /// In double precision.
    F64(Vec<f64>),
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Over which samples the gradient of the ascent, the first of a step, is the mean. The gradient
/// that goes to the base optimizer is the mean over the samples of all workers in any case.
#[derive(Debug, Clone, Default)]
pub enum AscentScope {
    /// Those of all workers: the step is that of one worker with the whole batch.
    #[default]
    Global,
    /// A worker's own: each ascends along the gradient of its own part, as in m-sharpness.
    Local,
    /// Those of a group of workers, which these reach.
    Group(Arc<dyn Collective>),
}

/// The workers of a training, as one of them sees the others. One alone by default.
///
/// Weights and all that optimizer and rule keep are the same on all workers. For that, all must
/// start with the same weights ([`share`](Self::share)) and the same settings, and take the same
/// steps: a worker without samples for a step takes it with an empty batch.
#[derive(Debug, Clone)]
pub struct Workers {
    rank: usize,
    count: usize,
    all: Option<Arc<dyn Collective>>,
    pub(crate) ascent: AscentScope,
    check_every: Option<NonZeroU64>,
}

impl Default for Workers {
    fn default() -> Self {
        Self::alone()
    }
}

impl Workers {
    /// One worker.
    pub fn alone() -> Self {
        Self { rank: 0, count: 1, all: None, ascent: AscentScope::Global, check_every: None }
    }

    /// Worker `rank`, counted from 0, of `count`, which `all` reaches. They ascend together, and
    /// compare their weights after the first step and then every 100 steps.
    ///
    /// # Errors
    /// [`Error::Config`] for a rank that is not below the count.
    pub fn new(rank: usize, count: usize, all: Arc<dyn Collective>) -> Result<Self> {
        if rank >= count {
            return Err(Error::config("rank", &rank, "below the number of workers"));
        }
        let check_every = NonZeroU64::new(100);
        Ok(Self { rank, count, all: Some(all), check_every, ..Self::alone() })
    }

    /// Sets over whose samples the gradient of the ascent is the mean.
    #[must_use]
    pub fn with_ascent_scope(mut self, scope: AscentScope) -> Self {
        self.ascent = scope;
        self
    }

    /// Sets how often, in steps, the weights of all workers are compared; they are also compared
    /// after the first step that follows a start or a resume. `None` or 0: never.
    #[must_use]
    pub fn with_check_every(mut self, steps: Option<u64>) -> Self {
        self.check_every = steps.and_then(NonZeroU64::new);
        self
    }

    /// The number of this worker, counted from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether this is worker 0, the one that writes and prints.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// How the workers reach one another; `None` for one alone.
    pub fn collective(&self) -> Option<Arc<dyn Collective>> {
        self.others().cloned()
    }

    /// What reaches all workers; `None` where there is one.
    fn others(&self) -> Option<&Arc<dyn Collective>> {
        self.all.as_ref().filter(|_| self.count > 1)
    }

    /// Whether there is another worker.
    pub(crate) fn are_several(&self) -> bool {
        self.others().is_some()
    }

    /// A way to all workers for an exchange on that topic.
    pub(crate) fn checked(&self, topic: Topic) -> Checked {
        Checked { workers: self.clone(), topic }
    }

    /// Checks that all workers are about to exchange the same. Each exchange of several workers
    /// begins with it: one that has taken another branch is found out, and nobody waits for it.
    ///
    /// # Errors
    /// [`Error::OutOfStep`] with the first worker that is at another place.
    pub(crate) fn meet(&self, topic: Topic, length: usize) -> Result<()> {
        let places = self.table(&[f64::from(topic as u8), length as f64])?;
        let place = |worker: usize| (places[2 * worker], places[2 * worker + 1]);
        let name =
            |(topic, length): (f64, f64)| format!("{} ({length} values)", Topic::name(topic));
        match (0..self.count).find(|&worker| place(worker) != place(0)) {
            None => Ok(()),
            Some(worker) => Err(Error::OutOfStep {
                what: "what is exchanged",
                worker,
                expected: name(place(0)),
                found: name(place(worker)),
            }),
        }
    }

    /// The sums of numbers over all workers.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone.
    pub fn sums(&self, values: Vec<f64>) -> Result<Vec<f64>> {
        self.sums_of(Topic::Numbers, values)
    }

    /// As [`sums`](Self::sums), of numbers on that topic.
    pub(crate) fn sums_of(&self, topic: Topic, values: Vec<f64>) -> Result<Vec<f64>> {
        if self.others().is_none() {
            return Ok(values);
        }
        self.meet(topic, values.len())?;
        self.plain_sums(values)
    }

    /// The sums, without a check.
    fn plain_sums(&self, values: Vec<f64>) -> Result<Vec<f64>> {
        let Some(all) = self.others() else { return Ok(values) };
        match all.all_reduce_sum(Numbers::F64(values))? {
            Numbers::F64(sums) => Ok(sums),
            Numbers::F32(_) => Err(Error::Collective("numbers of another kind".to_owned())),
        }
    }

    /// The means of numbers over all workers.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone.
    pub fn means(&self, values: Vec<f64>) -> Result<Vec<f64>> {
        let count = self.count as f64;
        Ok(self.sums(values)?.into_iter().map(|sum| sum / count).collect())
    }

    /// Whether this is so for any worker: with "is there another batch?", all continue until the
    /// last has none.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone.
    pub fn any(&self, flag: bool) -> Result<bool> {
        Ok(self.sums(vec![f64::from(u8::from(flag))])?[0] > 0.0)
    }

    /// Whether this is so for all workers: with "is there another batch?", all stop with the first
    /// that has none.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone.
    pub fn all(&self, flag: bool) -> Result<bool> {
        Ok(!self.any(!flag)?)
    }

    /// Returns worker 0's flag on every worker.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone.
    pub fn broadcast_flag(&self, flag: bool) -> Result<bool> {
        let byte = self.broadcast_of(Topic::Decision, vec![u8::from(flag)])?;
        Ok(byte.first().is_some_and(|&byte| byte != 0))
    }

    /// The bytes of worker 0; what the others give, of any length, is lost.
    ///
    /// # Errors
    /// [`Error::Collective`] where another worker is gone.
    pub fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.broadcast_of(Topic::Bytes, bytes)
    }

    /// As [`broadcast`](Self::broadcast), on that topic.
    pub(crate) fn broadcast_of(&self, topic: Topic, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Some(all) = self.others() else { return Ok(bytes) };
        self.meet(topic, 1)?;
        let length = all.broadcast((bytes.len() as u64).to_le_bytes().to_vec())?;
        let length = <[u8; 8]>::try_from(length).unwrap_or_default();
        bytes.resize(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX), 0);
        all.broadcast(bytes)
    }

    /// `module` with all float values of worker 0's, those that are not trained included.
    ///
    /// # Errors
    /// A device that fails, another worker that is gone, modules of different sizes.
    pub fn share<M: Module>(&self, module: M) -> Result<M> {
        if self.others().is_none() {
            return Ok(module);
        }
        // A copy in which no running statistic is out of date.
        let bytes = float_bytes(&module.valid())?;
        self.same("the bytes of the module", bytes.len() as f64)?;
        Ok(with_float_bytes(module, &self.broadcast(bytes)?))
    }

    /// Checks that a number is the same for all workers.
    pub(crate) fn same(&self, what: &'static str, value: f64) -> Result<()> {
        let values = self.gather(Topic::Check, &[value])?;
        match values.iter().position(|other| other.to_bits() != values[0].to_bits()) {
            None => Ok(()),
            Some(worker) => Err(Error::OutOfStep {
                what,
                worker,
                expected: values[0].to_string(),
                found: values[worker].to_string(),
            }),
        }
    }

    /// The values of all workers, one worker after the other; all give equally many.
    pub(crate) fn gather(&self, topic: Topic, values: &[f64]) -> Result<Vec<f64>> {
        self.meet(topic, values.len())?;
        self.table(values)
    }

    /// As [`gather`](Self::gather), without a check.
    fn table(&self, values: &[f64]) -> Result<Vec<f64>> {
        let mut all = vec![0.0; values.len() * self.count];
        all[self.rank * values.len()..][..values.len()].copy_from_slice(values);
        self.plain_sums(all)
    }

    /// Whether weights are to be compared once `steps` steps are over, `here` of them since the
    /// start or a resume: the first of these shows whether all began alike.
    pub(crate) fn is_check_due(&self, steps: u64, here: u64) -> bool {
        let due = |every: NonZeroU64| here == 1 || steps.is_multiple_of(every.get());
        self.others().is_some() && self.check_every.is_some_and(due)
    }

    /// Compares the trainable weights of all workers, to the bit.
    ///
    /// # Errors
    /// [`Error::Diverged`] with the first worker whose weights are not those that most have, the
    /// same on all workers; a device that fails; another worker that is gone.
    pub fn compare<M: Module>(&self, module: &M, step: u64) -> Result<()> {
        if self.others().is_none() {
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        for part in Parameters::of(module)?.weights(module).into_parts().into_iter().flatten() {
            let data = part.try_into_data().map_err(|error| Error::ReadBack(error.to_string()))?;
            data.as_bytes().hash(&mut hasher);
        }
        let sum = hasher.finish();
        // In halves, which are numbers that a sum with zeros leaves as they are.
        let halves = [(sum >> 32) as f64, (sum & u64::from(u32::MAX)) as f64];
        let sums = self.gather(Topic::Check, &halves)?;
        let sums: Vec<[u64; 2]> =
            sums.chunks_exact(2).map(|half| [half[0].to_bits(), half[1].to_bits()]).collect();
        match odd_one(&sums) {
            None => Ok(()),
            Some(worker) => Err(Error::Diverged { worker, step }),
        }
    }
}

/// A way to all workers for exchanges on one topic, each of which is checked beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    workers: Workers,
    topic: Topic,
}

impl Collective for Checked {
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers> {
        let Some(all) = self.workers.others() else { return Ok(values) };
        self.workers.meet(self.topic, values.len())?;
        all.all_reduce_sum(values)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Some(all) = self.workers.others() else { return Ok(bytes) };
        self.workers.meet(self.topic, bytes.len())?;
        all.broadcast(bytes)
    }
}

/// The first whose sum is not the most frequent one; of equally frequent ones, the first counts.
fn odd_one(sums: &[[u64; 2]]) -> Option<usize> {
    let votes = |sum: &[u64; 2]| sums.iter().filter(|other| *other == sum).count();
    let usual = sums.iter().rev().max_by_key(|sum| votes(sum))?;
    sums.iter().position(|sum| sum != usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_one_is_the_one_that_differs_from_most() {
        let [a, b] = [[1, 2], [1, 3]];
        assert_eq!(odd_one(&[a, a, a]), None);
        assert_eq!(odd_one(&[a, b]), Some(1));
        assert_eq!(odd_one(&[b, a, a]), Some(0));
        assert_eq!(odd_one(&[a, a, b, a]), Some(2));
        assert_eq!(odd_one(&[]), None);
    }
}
