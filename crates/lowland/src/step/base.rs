//! What takes a step once a rule has given its gradient.

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer};

use crate::Parameter;

/// What takes the step, once a rule has given the gradient.
pub(crate) trait Base<M> {
    /// The module after the step with these gradients.
    fn step(&mut self, module: M, gradients: GradientsParams) -> M;

    /// The module that [`step`](Self::step) would give; takes no step.
    fn preview(&self, module: &M, gradients: GradientsParams) -> M;

    /// The learning rate of this step.
    fn learning_rate(&self) -> f64;

    /// The learning rate of one parameter.
    fn learning_rate_of(&self, parameter: &Parameter) -> f64;

    /// Whether training continues with the module that [`step`](Self::step) gives, so that the
    /// driver can change it after the step: one value in all places of a tensor, a displacement.
    fn lets_go(&self) -> bool;
}

/// A Burn optimizer and the rate of its next step.
pub(crate) struct Rated<'a> {
    pub(crate) optimizer: &'a mut ModuleOptimizer,
    pub(crate) lr: ModuleLearningRate,
}

impl<M: Module> Base<M> for Rated<'_> {
    fn step(&mut self, module: M, gradients: GradientsParams) -> M {
        self.optimizer.step(self.lr.clone(), module, gradients)
    }

    fn preview(&self, module: &M, gradients: GradientsParams) -> M {
        self.optimizer.clone().step(self.lr.clone(), module.clone(), gradients)
    }

    fn learning_rate(&self) -> f64 {
        self.lr.base()
    }

    fn learning_rate_of(&self, parameter: &Parameter) -> f64 {
        self.lr.lr_from_param(parameter.id, Some(&parameter.path))
    }

    fn lets_go(&self) -> bool {
        true
    }
}
