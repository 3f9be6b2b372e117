//! A batch whose samples several workers have.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use burn::tensor::{Tensor, TensorData};

use super::agreement::{Agreement, gathered};
use super::evaluate::{Evaluate, Found};
use crate::parallel::{AscentScope, Bucket, Checked, Topic, Workers};
use crate::rule::{Exchange, Gradient, Perturbation, Samples, Selection};
use crate::vector::{Scalar, read, wide};
use crate::{Error, ParamVec, Result};

/// The evaluations of a batch of all workers from those of this worker's part: means over workers,
/// each with the weight of its samples.
pub(super) struct Among<'a, S> {
    own: S,
    workers: &'a Workers,
    agreement: &'a Agreement,
    weights: &'a dyn Fn() -> ParamVec,
    piece: Option<usize>,
    /// Where the losses of the latest evaluation stand among those of all workers, and how many
    /// these are.
    place: Option<(usize, usize)>,
    failure: Rc<RefCell<Option<Error>>>,
}

/// The mean over all workers of a part of a gradient.
struct SharedMean {
    bucket: Bucket,
    all: Checked,
    samples: f64,
    norm: Rc<OnceCell<Scalar>>,
}

impl Exchange for SharedMean {
    fn mean(&self, part: &ParamVec) -> Result<ParamVec> {
        let mean = self.bucket.mean(&self.all, Some(part), None, self.samples)?.gradient;
        let _ = self.norm.set(mean.norm());
        Ok(mean)
    }
}

impl<'a, S: Evaluate> Among<'a, S> {
    /// `weights` gives the weights of the module.
    pub(super) fn new(
        own: S,
        workers: &'a Workers,
        agreement: &'a Agreement,
        weights: &'a dyn Fn() -> ParamVec,
    ) -> Self {
        let failure = Rc::default();
        Self { own, workers, agreement, weights, piece: None, place: None, failure }
    }

    /// Those of `samples`, which are among those of all workers, that this worker has, and their
    /// number; where they stand among all is noted.
    fn own(&mut self, samples: &Samples) -> (Samples, usize) {
        let shard = self.agreement.shard(self.piece);
        let (own, count, place) = match samples {
            Samples::All if shard.own == 0 => {
                (Samples::Some { positions: Vec::new(), of: 0 }, 0, (shard.before, shard.all))
            }
            Samples::All => (Samples::All, shard.own, (shard.before, shard.all)),
            Samples::Some { positions, .. } => {
                let (own, before) = shard.part(positions);
                let count = own.len();
                let own = Samples::Some { positions: own, of: shard.own };
                (own, count, (before, positions.len()))
            }
        };
        self.place = Some(place);
        (own, count)
    }

    /// The mean loss over the samples of all workers, of which each knows that over `samples` of
    /// its own.
    fn mean_loss(&self, own: Option<Scalar>, samples: usize) -> Result<Scalar> {
        let samples = samples as f64;
        let own = match own {
            Some(loss) => read(vec![loss])?[0] * samples,
            None => 0.0,
        };
        let sums = self.workers.sums_of(Topic::Loss, vec![own, samples])?;
        self.scalars(&[sums[0] / sums[1]])
    }

    /// Numbers on the device of the weights.
    fn scalars(&self, numbers: &[f64]) -> Result<Tensor<1>> {
        let weights = (self.weights)();
        let first = weights.parts().iter().flatten().next().ok_or(Error::NoParameters)?;
        let data = TensorData::new(numbers.to_vec(), [numbers.len()]);
        Ok(Tensor::from_data(data, (&first.device(), wide(first.dtype()))))
    }

    /// The part of a gradient that this worker ascends along, from which the mean over all follows
    /// when it is read.
    fn part(&self, own: Option<ParamVec>, samples: f64, bucket: Bucket) -> Result<Found> {
        let part = match &self.workers.ascent {
            AscentScope::Group(group) => {
                // The others are at the same place, or this worker would wait for ever.
                self.workers.meet(Topic::AscentGradient, bucket.elements())?;
                let mean = bucket.mean(&**group, own.as_ref(), None, samples)?;
                Some(mean.gradient).filter(|_| mean.samples > 0.0)
            }
            AscentScope::Local | AscentScope::Global => own,
        };
        // Who has no sample has no direction of its own, and takes part in all that follows.
        let part = part.unwrap_or_else(|| bucket.zeros());
        let norm = Rc::default();
        let all = self.workers.checked(Topic::MeanGradient);
        let mean = SharedMean { bucket, all, samples, norm: Rc::clone(&norm) };
        let gradient = Gradient::partial(part, Box::new(mean), Rc::clone(&self.failure));
        Ok(Found { gradient: Some(gradient), norm: Some(norm), loss: None })
    }
}

impl<S: Evaluate> Evaluate for Among<'_, S> {
    fn gradient(&mut self, e: Option<&Perturbation<'_>>, of: &Selection) -> Result<Found> {
        self.failure()?;
        let first = self.own.is_first();
        let (samples, count) = self.own(&of.samples);
        let own =
            self.own.gradient(e, &Selection { samples, parameters: of.parameters.clone() })?;
        let gradient = own.gradient.map(Gradient::into_vec);
        let bucket = Bucket::new(&(self.weights)(), &of.parameters)?;
        if e.is_none() && !matches!(self.workers.ascent, AscentScope::Global) {
            let loss = if first { Some(self.mean_loss(own.loss, count)?) } else { None };
            return Ok(Found { loss, ..self.part(gradient, count as f64, bucket)? });
        }
        let topic = if e.is_none() { Topic::Gradient } else { Topic::PerturbedGradient };
        let loss = own.loss.as_ref().filter(|_| first);
        let all = self.workers.checked(topic);
        let mean = bucket.mean(&all, gradient.as_ref(), loss, count as f64)?;
        if mean.samples == 0.0 {
            return Err(Error::NoEvaluation);
        }
        Ok(Found { gradient: Some(mean.gradient.into()), norm: None, loss: Some(mean.loss) })
    }

    fn forward(
        &mut self,
        e: Option<&Perturbation<'_>>,
        samples: &Samples,
    ) -> Result<Option<Scalar>> {
        self.failure()?;
        let first = self.own.is_first();
        let (own, count) = self.own(samples);
        let loss = self.own.forward(e, &own)?;
        if first { self.mean_loss(loss, count).map(Some) } else { Ok(None) }
    }

    fn latest_losses(&self) -> Result<Tensor<1>> {
        let own = match self.own.latest_losses() {
            Ok(losses) => read(vec![losses])?,
            // This worker has none of the samples.
            Err(Error::NoEvaluation) if self.place.is_some() => Vec::new(),
            Err(error) => return Err(error),
        };
        let (before, all) = self.place.ok_or(Error::NoEvaluation)?;
        self.scalars(&gathered(self.workers, &own, before, all)?)
    }

    fn indices(&self) -> Option<&[usize]> {
        self.agreement.indices(self.piece)
    }

    fn is_first(&self) -> bool {
        self.own.is_first()
    }

    fn pieces(&self) -> usize {
        self.agreement.pieces()
    }

    fn turn_to(&mut self, piece: Option<usize>) {
        self.piece = piece;
        self.own.turn_to(piece);
    }

    fn share(&self) -> f64 {
        match self.piece {
            Some(i) => self.agreement.shard(Some(i)).all as f64 / self.agreement.samples() as f64,
            None => 1.0,
        }
    }

    /// Worker 0's numbers: those of other processors may differ in the last digits, and with them
    /// what a rule decides.
    fn read(&self, numbers: Vec<Scalar>) -> Result<Vec<f64>> {
        let own = read(numbers)?;
        if own.is_empty() {
            return Ok(own);
        }
        let bytes = own.iter().flat_map(|number| number.to_le_bytes()).collect();
        let bytes = self.workers.broadcast_of(Topic::Numbers, bytes)?;
        let numbers = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok());
        Ok(numbers.map(f64::from_le_bytes).collect())
    }

    fn moving_samples(&self) -> usize {
        self.own.moving_samples()
    }

    fn failure(&self) -> Result<()> {
        match &*self.failure.borrow() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}
