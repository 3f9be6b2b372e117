//! The two ends of a step of a `Learner`: where its gradients come from, and what takes it.

use burn::optim::GradientsParams;
use burn::train::{Learner, LearnerModel, TrainStep};

use crate::rule::Samples;
use crate::step::base::Base;
use crate::step::source::{Evaluated, Source};
use crate::{Parameter, Result};

/// The gradients of a model's [`TrainStep`] on the batches of a step.
pub(super) struct Steps<M: TrainStep> {
    pub(super) inputs: Vec<M::Input>,
    /// What the first evaluation gave, for the metrics.
    pub(super) outputs: Vec<M::Output>,
}

impl<M> Source<M> for Steps<M>
where
    M: TrainStep,
    M::Input: Clone,
{
    fn evaluate(
        &mut self,
        model: &M,
        micro_batch: usize,
        _samples: &Samples,
        first: bool,
    ) -> Result<Evaluated> {
        let output = TrainStep::step(model, self.inputs[micro_batch].clone());
        if first {
            self.outputs.push(output.item);
        }
        Ok(Evaluated::Gradients(output.grads))
    }

    fn gives_losses(&self) -> bool {
        false
    }
}

/// The `Learner`'s own optimizer, which steps the model that the `Learner` holds.
pub(super) struct Learned<'a, M: LearnerModel>(pub(super) &'a mut Learner<M>);

impl<M: LearnerModel> Base<M> for Learned<'_, M> {
    fn step(&mut self, model: M, gradients: GradientsParams) -> M {
        drop(model);
        self.0.optimizer_step(gradients);
        self.0.model()
    }

    fn preview(&self, _model: &M, gradients: GradientsParams) -> M {
        let mut copy = self.0.clone();
        copy.optimizer_step(gradients);
        copy.model()
    }

    fn learning_rate(&self) -> f64 {
        self.0.lr_current().base()
    }

    fn learning_rate_of(&self, parameter: &Parameter) -> f64 {
        self.0.lr_current().lr_from_param(parameter.id, Some(&parameter.path))
    }

    fn lets_go(&self) -> bool {
        false
    }
}
