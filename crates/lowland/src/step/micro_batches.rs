//! A batch that comes in micro-batches.

use burn::module::Module;
use burn::tensor::Tensor;

use super::batch::{Accumulate, BatchInfo};
use super::evaluate::{Evaluate, Found, sum_of};
use super::local::{Local, Piece};
use crate::rule::{Perturbation, Samples, Selection};
use crate::vector::{Scalar, read};
use crate::{Error, ParamVec, Result};

/// The evaluations of a batch from those of its micro-batches: means over these, each with the
/// weight of its share of the samples.
pub(super) struct MicroBatches<'a, M> {
    local: Local<'a, M>,
    batch: &'a BatchInfo<'a>,
    /// The only micro-batch to evaluate, where the rule takes them one by one.
    only: Option<usize>,
    latest: Vec<Tensor<1>>,
    /// Whether one of those is the mean of several.
    latest_is_mean: bool,
    /// The samples that moved running statistics.
    moving_samples: usize,
}

/// A part of the batch that is evaluated in one piece.
struct Part {
    micro_batch: usize,
    samples: Samples,
    /// Its share of the samples asked for, or 1 where gradients are summed.
    weight: f64,
}

impl<'a, M: Module> MicroBatches<'a, M> {
    pub(super) fn new(local: Local<'a, M>, batch: &'a BatchInfo<'a>) -> Self {
        Self {
            local,
            batch,
            only: None,
            latest: Vec::new(),
            latest_is_mean: false,
            moving_samples: 0,
        }
    }

    /// The parts of the batch that hold `samples`, and how many these are.
    fn parts(&self, samples: &Samples) -> (Vec<Part>, usize) {
        if matches!(samples, Samples::Some { positions, .. } if positions.is_empty()) {
            return (Vec::new(), 0);
        }
        let sizes = self.batch.micro_batches;
        if sizes.is_empty() {
            let count = match samples {
                Samples::All => self.batch.len().unwrap_or(1),
                Samples::Some { positions, .. } => positions.len(),
            };
            let part = || Part { micro_batch: 0, samples: samples.clone(), weight: 1.0 };
            return ((count > 0).then(part).into_iter().collect(), count);
        }
        let micro_batches = match self.only {
            Some(i) => i..i + 1,
            None => 0..sizes.len(),
        };
        let asked = match samples {
            Samples::All => sizes[micro_batches.clone()].iter().sum(),
            Samples::Some { positions, .. } => positions.len(),
        };
        let mut start = 0;
        let mut parts = Vec::new();
        for i in micro_batches {
            let size = sizes[i];
            let (count, samples) = match samples {
                Samples::All => (size, Samples::All),
                Samples::Some { positions, .. } => {
                    let within = positions.iter().filter(|&&p| (start..start + size).contains(&p));
                    let positions: Vec<usize> = within.map(|p| p - start).collect();
                    (positions.len(), Samples::Some { positions, of: size })
                }
            };
            start += size;
            if count > 0 {
                let share = count as f64 / asked.max(1) as f64;
                let weight = if self.local.gives_losses() { share } else { 1.0 };
                parts.push(Part { micro_batch: i, samples, weight });
            }
        }
        (parts, asked)
    }

    /// The parts to evaluate next.
    fn start(&mut self, samples: &Samples) -> Vec<Part> {
        self.latest.clear();
        self.latest_is_mean = false;
        let (parts, count) = self.parts(samples);
        if self.local.is_first() {
            self.moving_samples += count;
        }
        parts
    }

    /// Keeps the losses of a part, once it is checked that as many were given as were asked for,
    /// or one for all.
    fn keep(&mut self, part: &Part, piece: &Piece) -> Result<()> {
        let Some(losses) = &piece.losses else { return Ok(()) };
        let [found] = losses.dims();
        let size = self.batch.micro_batches.get(part.micro_batch).copied().or(self.batch.len());
        let expected = match &part.samples {
            Samples::Some { positions, .. } => Some(positions.len()),
            Samples::All if found == 1 => {
                // A mean, unless the batch is known to be of one sample.
                self.latest_is_mean |= size != Some(1);
                None
            }
            Samples::All => size,
        };
        if let Some(expected) = expected.filter(|&expected| expected != found) {
            return Err(Error::Losses { expected, found });
        }
        self.latest.push(losses.clone());
        Ok(())
    }
}

impl<M: Module> Evaluate for MicroBatches<'_, M> {
    fn gradient(&mut self, e: Option<&Perturbation<'_>>, of: &Selection) -> Result<Found> {
        let parts = self.start(&of.samples);
        let mut mean: Option<ParamVec> = None;
        let mut loss = None;
        if !parts.is_empty() {
            let point = self.local.point(e, Some(&of.parameters));
            for part in parts {
                let samples = &part.samples;
                let piece =
                    self.local.gradient(&point, part.micro_batch, samples, &of.parameters)?;
                self.keep(&part, &piece)?;
                loss = sum_of(loss, piece.loss(), part.weight);
                mean = piece.gradient.map(|gradient| match mean.take() {
                    None if part.weight >= 1.0 => gradient,
                    None => gradient.map(|g| g.mul_scalar(part.weight)),
                    Some(sum) => sum.plus_scaled(&gradient, part.weight),
                });
            }
        }
        self.local.end();
        Ok(Found { gradient: mean.map(Into::into), norm: None, loss })
    }

    fn forward(
        &mut self,
        e: Option<&Perturbation<'_>>,
        samples: &Samples,
    ) -> Result<Option<Scalar>> {
        if !self.local.gives_losses() {
            return Err(Error::WholeBatches);
        }
        let parts = self.start(samples);
        let mut loss = None;
        if !parts.is_empty() {
            let point = self.local.point(e, None);
            for part in parts {
                let piece = self.local.losses(&point, part.micro_batch, &part.samples)?;
                self.keep(&part, &piece)?;
                loss = sum_of(loss, piece.loss(), part.weight);
            }
        }
        self.local.end();
        Ok(loss)
    }

    fn latest_losses(&self) -> Result<Tensor<1>> {
        if !self.local.gives_losses() {
            return Err(Error::WholeBatches);
        }
        if self.latest_is_mean {
            return Err(Error::PerSample);
        }
        if self.latest.is_empty() {
            return Err(Error::NoEvaluation);
        }
        Ok(Tensor::cat(self.latest.clone(), 0))
    }

    fn indices(&self) -> Option<&[usize]> {
        let indices = self.batch.indices?;
        let sizes = self.batch.micro_batches;
        Some(match self.only {
            Some(i) if !sizes.is_empty() => {
                let start = sizes[..i].iter().sum::<usize>();
                &indices[start..start + sizes[i]]
            }
            _ => indices,
        })
    }

    fn is_first(&self) -> bool {
        self.local.is_first()
    }

    fn pieces(&self) -> usize {
        match self.batch.accumulate {
            Accumulate::WholeBatch => 0,
            Accumulate::EachMicroBatch => self.batch.micro_batches.len(),
        }
    }

    fn turn_to(&mut self, piece: Option<usize>) {
        self.only = piece;
        self.local.begin();
    }

    fn share(&self) -> f64 {
        let sizes = self.batch.micro_batches;
        match self.only {
            Some(i) => sizes[i] as f64 / sizes.iter().sum::<usize>() as f64,
            None => 1.0,
        }
    }

    fn read(&self, numbers: Vec<Scalar>) -> Result<Vec<f64>> {
        read(numbers)
    }

    fn moving_samples(&self) -> usize {
        self.moving_samples
    }

    fn failure(&self) -> Result<()> {
        Ok(())
    }
}
