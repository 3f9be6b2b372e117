//! Evaluations of one micro-batch, in one process.

use burn::module::Module;
use burn::tensor::Tensor;

use super::generators::seed;
use super::source::{Evaluated, Source};
use crate::module::perturbed;
use crate::rule::{Perturbation, Samples};
use crate::vector::Scalar;
use crate::{Active, Error, ParamVec, Parameters, Result};

/// All parameters.
static ALL: Active = Active::All;

/// No parameter: an evaluation that keeps no gradient graph.
static NONE: Active = Active::Some(Vec::new());

/// The loss of a module on the micro-batches that a source has, one at a time.
pub(super) struct Local<'a, M> {
    parameters: &'a Parameters,
    module: &'a M,
    source: &'a mut dyn Source<M>,
    /// What the devices are seeded with before an evaluation: the same in all of a step.
    seed: u64,
    /// Whether the first evaluation is over, which moves running statistics.
    moved: bool,
    /// The module after the first evaluation, with running statistics of its own.
    synced: Option<M>,
}

/// The weights at which an evaluation is taken.
pub(super) enum Point<'a, M> {
    /// Those of the live module.
    Live(&'a M),
    /// Those of a copy.
    Copy(Box<M>),
}

impl<M> std::ops::Deref for Point<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        match self {
            Self::Live(module) => module,
            Self::Copy(module) => module,
        }
    }
}

/// What an evaluation of one micro-batch found.
#[derive(Default)]
pub(super) struct Piece {
    /// Absent for a forward pass alone.
    pub(super) gradient: Option<ParamVec>,
    /// The losses, without gradient graph; absent where the source gives gradients.
    pub(super) losses: Option<Tensor<1>>,
}

impl Piece {
    /// The mean loss, where it is known.
    pub(super) fn loss(&self) -> Option<Scalar> {
        self.losses.clone().map(Tensor::mean)
    }
}

impl<'a, M: Module> Local<'a, M> {
    pub(super) fn new(
        parameters: &'a Parameters,
        module: &'a M,
        source: &'a mut dyn Source<M>,
        seed: u64,
    ) -> Self {
        Self { parameters, module, source, seed, moved: false, synced: None }
    }

    /// Begins a step anew on another micro-batch: its first evaluation moves running statistics.
    pub(super) fn begin(&mut self) {
        self.moved = false;
        self.synced = None;
    }

    /// Whether the first evaluation is still to come.
    pub(super) fn is_first(&self) -> bool {
        !self.moved
    }

    /// Whether the source gives losses.
    pub(super) fn gives_losses(&self) -> bool {
        self.source.gives_losses()
    }

    /// The module at `w + e` for the next evaluation, with the active parameters as leaves; none
    /// of them for a forward pass.
    ///
    /// A clone shares its running statistics with the live module: the first evaluation moves them,
    /// wherever it is taken. The copy that later ones get has its own.
    pub(super) fn point(
        &mut self,
        e: Option<&Perturbation<'_>>,
        active: Option<&Active>,
    ) -> Point<'a, M> {
        if !self.moved && e.is_none() && active == Some(&ALL) {
            return Point::Live(self.module);
        }
        // What gives gradients alone fails without a gradient graph.
        let none = matches!(active, Some(Active::Some(flags)) if !flags.contains(&true));
        let leaves = match active {
            Some(_) if none && !self.source.gives_losses() => &ALL,
            Some(active) => active,
            None => &NONE,
        };
        let copy = if self.moved { self.sync().clone().train() } else { self.module.clone() };
        let e = e.map(|e| (&*e.direction, &e.scale));
        Point::Copy(Box::new(perturbed(self.parameters, copy, e, leaves)))
    }

    /// The gradient of the mean loss of samples of a micro-batch at a point, and their losses.
    pub(super) fn gradient(
        &mut self,
        point: &M,
        micro_batch: usize,
        samples: &Samples,
        active: &Active,
    ) -> Result<Piece> {
        let losses = match self.evaluate(point, micro_batch, samples)? {
            Evaluated::Gradients(gradients) => {
                let gradient = self.parameters.registered(point, gradients, active);
                return Ok(Piece { gradient: Some(gradient), losses: None });
            }
            Evaluated::Losses(losses) => losses,
        };
        let plain = losses.clone().inner();
        let tracked = losses.is_tracked();
        // Of some parameters only, the loss may depend on none.
        if *active == Active::All && !tracked {
            return Err(Error::Untracked { what: "the loss".into() });
        }
        let gradient = if tracked {
            self.parameters.gradients(point, losses.mean().backward())
        } else {
            ParamVec::new(vec![None; self.parameters.len()])
        };
        Ok(Piece { gradient: Some(gradient), losses: Some(plain) })
    }

    /// The losses of samples of a micro-batch at a point, by a forward pass.
    pub(super) fn losses(
        &mut self,
        point: &M,
        micro_batch: usize,
        samples: &Samples,
    ) -> Result<Piece> {
        Ok(match self.evaluate(point, micro_batch, samples)? {
            Evaluated::Losses(losses) => Piece { gradient: None, losses: Some(losses.inner()) },
            Evaluated::Gradients(_) => Piece::default(),
        })
    }

    fn evaluate(&mut self, point: &M, micro_batch: usize, samples: &Samples) -> Result<Evaluated> {
        if !self.source.gives_losses() && *samples != Samples::All {
            return Err(Error::WholeBatches);
        }
        // Each micro-batch has masks of its own.
        seed(&point.devices(), self.seed.wrapping_add(micro_batch as u64));
        self.source.evaluate(point, micro_batch, samples, !self.moved)
    }

    /// Ends an evaluation. The first one's updates of running statistics are applied, and the copy
    /// that this makes is kept: Burn holds such updates back until the next one, and a record made
    /// meanwhile lacks them.
    pub(super) fn end(&mut self) {
        self.moved = true;
        self.sync();
    }

    fn sync(&mut self) -> &M {
        self.synced.get_or_insert_with(|| self.module.valid())
    }
}
