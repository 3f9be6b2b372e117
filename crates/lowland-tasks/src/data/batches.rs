//! Batches in a seeded order, prepared ahead by as many threads as one likes without a change in a
//! single bit.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::draw::{Purpose, generator, shuffle_front};
use super::host_batch::HostBatch;
use super::prefetch::Prefetch;
use super::{Augment, ImageSet, ImageShape, Mixup, Normalisation};
use crate::{Error, Result};

/// The most threads that a loader may have.
const MOST_WORKERS: usize = 256;

/// The order in which epoch `epoch` of the run with `seed` goes through `count` samples: a
/// permutation of `0..count`.
pub fn epoch_order(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    shuffle_front(&mut generator(Purpose::Order, [seed, epoch, 0]), &mut order, count);
    order
}

/// How samples are put into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Samples in a batch, at least 1. Default: 64.
    pub batch_size: usize,
    /// Whether a last batch that is not full is left out. Default: false.
    pub drop_last: bool,
    /// Threads that prepare batches ahead, at most 256; 0, the default, prepares each in the thread
    /// that asks for it.
    ///
    /// Any number gives the same batches.
    pub workers: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { batch_size: 64, drop_last: false, workers: 0 }
    }
}

/// Samples that become batches.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// A batch in the memory of the host.
    type Batch: Send + 'static;

    /// How many samples there are, at least 1.
    fn sample_count(&self) -> usize;

    /// The order in which epoch `epoch` of the run with `seed` goes through the samples: a
    /// permutation. Default: [`epoch_order`].
    fn order(&self, seed: u64, epoch: u64, _batch_size: usize) -> Vec<usize> {
        epoch_order(seed, epoch, self.sample_count())
    }

    /// The batch of the samples at `indices`, each below [`sample_count`](Self::sample_count), as
    /// epoch `epoch` sees them: a function of these two, whichever thread asks.
    fn prepare(&self, epoch: u64, indices: &[usize]) -> Self::Batch;
}

/// Goes through samples, epoch by epoch.
#[derive(Debug)]
pub struct Loader<S = ImageSource> {
    source: Arc<S>,
    order: Order,
    config: BatchConfig,
    /// The part of each batch that is prepared, and of how many.
    shard: (usize, usize),
}

impl<S> Clone for Loader<S> {
    fn clone(&self) -> Self {
        Self { source: Arc::clone(&self.source), ..*self }
    }
}

/// The order in which an epoch goes through the samples.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Drawn for each epoch.
    Drawn { seed: u64 },
    /// That of the set.
    Given,
}

/// An image set and what is done to its images.
#[derive(Clone, Debug)]
pub struct ImageSource {
    set: Arc<ImageSet>,
    pixels: Pixels,
}

/// What is done to an image.
#[derive(Clone, Debug)]
enum Pixels {
    /// Augmented.
    Varied { augment: Augment, mixup: Option<Mixup>, seed: u64 },
    /// Only normalised.
    Plain(Normalisation),
}

impl ImageSource {
    /// Images that are augmented, each in a way that is drawn for each epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `augment` was built for images of another size.
    pub fn varied(set: Arc<ImageSet>, augment: Augment, seed: u64) -> Result<Self> {
        check_shape(&set, augment.normalisation())?;
        let mixup = Mixup::new(augment.config().mixup)?;
        Ok(Self { set, pixels: Pixels::Varied { augment, mixup, seed } })
    }

    /// Images that are normalised and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `normalisation` is that of images of another size.
    pub fn plain(set: Arc<ImageSet>, normalisation: Normalisation) -> Result<Self> {
        check_shape(&set, &normalisation)?;
        Ok(Self { set, pixels: Pixels::Plain(normalisation) })
    }
}

impl Loader {
    /// Batches of images to learn from: in an order that is drawn for each epoch, augmented.
    ///
    /// # Errors
    ///
    /// As [`ImageSource::varied`] and [`to_learn`](Self::to_learn).
    pub fn training(
        set: Arc<ImageSet>,
        augment: Augment,
        seed: u64,
        config: BatchConfig,
    ) -> Result<Self> {
        Self::to_learn(ImageSource::varied(set, augment, seed)?, seed, config)
    }

    /// Batches of images to measure on: all of them in the order of the set, normalised and nothing
    /// else.
    ///
    /// # Errors
    ///
    /// As [`ImageSource::plain`] and [`to_measure`](Self::to_measure).
    pub fn evaluation(
        set: Arc<ImageSet>,
        normalisation: Normalisation,
        config: BatchConfig,
    ) -> Result<Self> {
        Self::to_measure(ImageSource::plain(set, normalisation)?, config)
    }
}

impl<S: Source> Loader<S> {
    /// Batches to learn from, in an order that `seed` draws for each epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `batch_size` is 0, if there are more than 256 workers, or if
    /// `drop_last` would leave no batch.
    pub fn to_learn(source: S, seed: u64, config: BatchConfig) -> Result<Self> {
        Self::new(source, Order::Drawn { seed }, config)
    }

    /// Batches to measure on: all samples in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] as [`to_learn`](Self::to_learn), or if `drop_last` is set: a measurement
    /// leaves nothing out.
    pub fn to_measure(source: S, config: BatchConfig) -> Result<Self> {
        if config.drop_last {
            let found = "true".to_owned();
            return Err(Error::Setting { field: "drop_last", found, allowed: "false to measure" });
        }
        Self::new(source, Order::Given, config)
    }

    fn new(source: S, order: Order, config: BatchConfig) -> Result<Self> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        if config.batch_size == 0 {
            return setting("batch_size", "0".to_owned(), "at least 1");
        }
        if config.drop_last && config.batch_size > source.sample_count() {
            let found = format!("{} for {} samples", config.batch_size, source.sample_count());
            return setting("batch_size", found, "at most the number of samples with drop_last");
        }
        if config.workers > MOST_WORKERS {
            return setting("workers", config.workers.to_string(), "at most 256");
        }
        Ok(Self { source: Arc::new(source), order, config, shard: (0, 1) })
    }

    /// Part `part` of `parts` of each batch alone, counted from 0: the samples in their order, the
    /// first parts with one more where it does not go up. A part of a small batch can have none.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `part` is not below `parts`.
    pub fn shard(mut self, part: usize, parts: usize) -> Result<Self> {
        if part >= parts {
            let found = part.to_string();
            return Err(Error::Setting { field: "part", found, allowed: "below their number" });
        }
        self.shard = (part, parts);
        Ok(self)
    }

    /// How many samples batch `batch` of an epoch has, all parts together.
    pub fn batch_len(&self, batch: usize) -> usize {
        let start = batch.saturating_mul(self.config.batch_size).min(self.sample_count());
        self.config.batch_size.min(self.sample_count() - start)
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.source.sample_count()
    }

    /// How many batches an epoch has, at least 1.
    pub fn batch_count(&self) -> usize {
        if self.config.drop_last {
            self.sample_count() / self.config.batch_size
        } else {
            self.sample_count().div_ceil(self.config.batch_size)
        }
    }

    /// All batches of epoch `epoch`, counted from 0.
    pub fn epoch(&self, epoch: u64) -> Batches<S::Batch> {
        self.epoch_from(epoch, 0)
    }

    /// The batches of epoch `epoch` from number `first_batch` on: exactly what
    /// [`epoch`](Self::epoch) gives after that many, at no cost for those before. None are left if
    /// `first_batch` is [`batch_count`](Self::batch_count) or more.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Batches<S::Batch> {
        let order = match self.order {
            Order::Drawn { seed } => self.source.order(seed, epoch, self.config.batch_size),
            Order::Given => (0..self.sample_count()).collect(),
        };
        let (source, batch_size, count) =
            (Arc::clone(&self.source), self.config.batch_size, self.batch_count());
        let shard = self.shard;
        let prepare = move |batch: usize| {
            let start = batch * batch_size;
            let end = (start + batch_size).min(order.len());
            source.prepare(epoch, &order[start..end][part(end - start, shard)])
        };
        Batches { prefetch: Prefetch::new(prepare, first_batch..count, self.config.workers) }
    }
}

/// The positions of a part of a batch.
fn part(size: usize, (part, parts): (usize, usize)) -> Range<usize> {
    let start = |part: usize| part * (size / parts) + part.min(size % parts);
    start(part)..start(part + 1)
}

fn check_shape(set: &ImageSet, normalisation: &Normalisation) -> Result<()> {
    if set.shape() == normalisation.shape() {
        return Ok(());
    }
    let size = |shape: ImageShape| format!("{}x{}x{}", shape.channels, shape.height, shape.width);
    let found = format!("{} and {}", size(normalisation.shape()), size(set.shape()));
    Err(Error::Setting { field: "normalisation", found, allowed: "of the images' size" })
}

impl Source for ImageSource {
    type Batch = HostBatch;

    fn sample_count(&self) -> usize {
        self.set.len()
    }

    fn prepare(&self, epoch: u64, indices: &[usize]) -> HostBatch {
        let shape = self.set.shape();
        let size = shape.channels * shape.height * shape.width;
        let mut images = vec![0.0; indices.len() * size];
        let mut other = vec![0.0; size];
        let mut mixed = None;
        for (&index, output) in indices.iter().zip(images.chunks_exact_mut(size)) {
            let (augment, mixup, seed) = match &self.pixels {
                Pixels::Varied { augment, mixup, seed } => (augment, mixup, *seed),
                Pixels::Plain(normalisation) => {
                    normalisation.apply(self.set.image(index), output);
                    continue;
                }
            };
            let vary = |index: usize, output: &mut [f32]| {
                augment.apply(self.set.image(index), &augment.choose(seed, epoch, index), output);
            };
            vary(index, output);
            if let Some(mixup) = mixup {
                let partner = mixup.choose(seed, epoch, index, self.set.len());
                vary(partner.index, &mut other);
                #[expect(clippy::cast_possible_truncation, reason = "images are in f32")]
                let share = partner.share as f32;
                for (value, other) in output.iter_mut().zip(&other) {
                    *value += (other - *value) * share;
                }
                let mixed = mixed.get_or_insert_with(|| (Vec::new(), Vec::new()));
                mixed.0.push(self.set.labels()[partner.index]);
                mixed.1.push(share);
            }
        }
        let labels = indices.iter().map(|&index| self.set.labels()[index]).collect();
        HostBatch { images, labels, shape, indices: indices.to_vec(), mixed }
    }
}

/// The batches of one epoch, in order.
///
/// Dropping it early stops its workers and waits for them; each has at most one batch under way.
#[derive(Debug)]
pub struct Batches<B = HostBatch> {
    prefetch: Prefetch<B>,
}

impl<B: Send + 'static> Iterator for Batches<B> {
    type Item = B;

    fn next(&mut self) -> Option<B> {
        self.prefetch.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.prefetch.size_hint()
    }
}

impl<B: Send + 'static> ExactSizeIterator for Batches<B> {}
