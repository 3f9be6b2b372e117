//! Where the losses or gradients of a step come from.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::Result;
use crate::rule::Samples;

/// Where a step's losses or gradients come from, a micro-batch at a time.
pub(crate) trait Source<M> {
    /// Evaluates samples of a micro-batch at the weights of `module`; `first` in the first
    /// evaluation of a step.
    fn evaluate(
        &mut self,
        module: &M,
        micro_batch: usize,
        samples: &Samples,
        first: bool,
    ) -> Result<Evaluated>;

    /// Whether it gives losses, which can be those of some samples.
    fn gives_losses(&self) -> bool;
}

/// What a [`Source`] gives.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum Evaluated {
    /// The losses of the samples, `[samples]`, or their mean, `[1]`, with their gradient graph.
    Losses(Tensor<1>),
    /// The gradients of the loss of the whole micro-batch, which are summed over micro-batches. The
    /// loss itself is not known.
    #[cfg_attr(not(feature = "train"), allow(dead_code, reason = "Burn's `Learner` gives it"))]
    Gradients(GradientsParams),
}

/// A loss closure.
pub(crate) struct Losses<'a, F>(pub(crate) &'a mut F);

impl<M, F> Source<M> for Losses<'_, F>
where
    F: FnMut(&M, usize, &Samples) -> Tensor<1>,
{
    fn evaluate(
        &mut self,
        module: &M,
        micro_batch: usize,
        samples: &Samples,
        _first: bool,
    ) -> Result<Evaluated> {
        Ok(Evaluated::Losses((self.0)(module, micro_batch, samples)))
    }

    fn gives_losses(&self) -> bool {
        true
    }
}
