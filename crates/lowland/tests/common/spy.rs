//! A rule that notes what the rule inside it sees and gives.

use std::sync::{Arc, Mutex};

use burn::optim::ModuleOptimizer;
use burn::tensor::{Distribution, Tensor};
use lowland::rule::Note;
use lowland::state::Memory;
use lowland::{
    Cost, Gradient, ParamVec, Parameters, Perturbation, Rule, Samples, Selection, SharpnessAware,
    Surface, Update,
};

/// Notes the gradients that a rule is given, what they are taken of, the perturbations that it asks
/// for, and what it gives and remembers.
#[derive(Debug, Clone)]
pub(crate) struct Spy {
    pub(crate) rule: Box<dyn Rule>,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

/// What was noted in the latest step.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What each gradient was taken of.
    pub(crate) selections: Vec<Selection>,
    pub(crate) perturbations: Vec<ParamVec>,
    pub(crate) gradients: Vec<ParamVec>,
    pub(crate) final_gradient: Option<ParamVec>,
    pub(crate) displacement: Option<ParamVec>,
    /// What the rule remembers after the step.
    pub(crate) memory: Memory,
}

impl Rule for Spy {
    fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
        *self.seen.lock().unwrap() = Seen::default();
        let mut surface = SpySurface { surface, seen: self.seen.clone() };
        let update = self.rule.update(&mut surface)?;
        let mut seen = self.seen.lock().unwrap();
        seen.final_gradient = Some(update.gradient.clone());
        seen.displacement.clone_from(&update.displacement);
        self.rule.save(&mut seen.memory)?;
        drop(seen);
        Ok(update)
    }
}

struct SpySurface<'a> {
    surface: &'a mut dyn Surface,
    seen: Arc<Mutex<Seen>>,
}

impl Surface for SpySurface<'_> {
    fn gradient(&mut self, of: &Selection) -> lowland::Result<Gradient> {
        let g = self.surface.gradient(of)?;
        let mut seen = self.seen.lock().unwrap();
        seen.selections.push(of.clone());
        seen.gradients.push(ParamVec::clone(&g));
        drop(seen);
        Ok(g)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> lowland::Result<ParamVec> {
        let e_now = e.direction.clone().into_owned().times(&e.scale);
        self.seen.lock().unwrap().perturbations.push(e_now);
        let g_s = self.surface.gradient_at(e, of)?;
        let mut seen = self.seen.lock().unwrap();
        seen.selections.push(of.clone());
        seen.gradients.push(g_s.clone());
        drop(seen);
        Ok(g_s)
    }

    forward_surface!();

    fn draw(&mut self, like: &ParamVec, distribution: Distribution) -> ParamVec {
        self.surface.draw(like, distribution)
    }

    fn latest_losses(&self) -> lowland::Result<Tensor<1>> {
        self.surface.latest_losses()
    }

    fn uniform(&mut self) -> f64 {
        self.surface.uniform()
    }
}

/// An optimizer of a rule that is spied on, and where to read what was noted.
pub(crate) fn spied(
    rule: Box<dyn Rule>,
    base: ModuleOptimizer,
) -> (SharpnessAware, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let spy = Spy { rule, seen: seen.clone() };
    (SharpnessAware::new(base, spy).unwrap(), seen)
}
