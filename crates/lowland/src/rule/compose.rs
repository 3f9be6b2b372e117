//! The rule that four stages compose.

use super::Rule;
use super::ascend::Ascend;
use super::descend::Descend;
use super::gradient::{Pair, Update};
use super::schedule::{Frequency, Schedule};
use super::select::Select;
use super::surface::{Note, PSF_NORM, Surface};
use crate::state::Memory;
use crate::{Error, Result};

/// A sharpness-aware step of four stages. Most algorithms of the family are one
/// choice of the four.
///
/// ```text
/// select ──> gradient at w ──> schedule ──> ascend ──> gradient at w + e ──> descend
/// ```
#[derive(Debug, Clone)]
pub struct ComposedRule {
    select: Box<dyn Select>,
    schedule: Box<dyn Schedule>,
    ascend: Box<dyn Ascend>,
    descend: Box<dyn Descend>,
}

impl ComposedRule {
    /// Joins four parts: which samples each gradient is taken on, at which steps a second one is
    /// due, in which direction and how far the perturbed weights lie, which gradient goes to the
    /// base optimizer.
    ///
    /// # Errors
    /// [`Error::Combination`] where the parts make no sense together.
    pub fn new(
        select: impl Select + 'static,
        schedule: impl Schedule + 'static,
        ascend: impl Ascend + 'static,
        descend: impl Descend + 'static,
    ) -> Result<Self> {
        Self::of(Box::new(select), Box::new(schedule), Box::new(ascend), Box::new(descend))
    }

    /// As [`new`](Self::new), of parts whose types are not known.
    ///
    /// # Errors
    /// [`Error::Combination`] where the parts make no sense together.
    pub fn of(
        select: Box<dyn Select>,
        schedule: Box<dyn Schedule>,
        ascend: Box<dyn Ascend>,
        descend: Box<dyn Descend>,
    ) -> Result<Self> {
        let frequency = schedule.frequency();
        let problem = if descend.reuses() && frequency == Frequency::Always {
            Some(
                "the descent keeps something of a second gradient for steps without one, but the \
                 schedule takes one at every step; choose another schedule, or the descent `sharp`",
            )
        } else if descend.reuses() && frequency == Frequency::Never {
            Some(
                "the descent reuses second gradients, but the schedule never takes one; choose \
                 another schedule, or the descent `sharp`",
            )
        } else if descend.reuses() && select.leaves_parameters_out() {
            Some(
                "the descent reuses a second gradient, which would move parameters that the \
                 selection leaves out of a step; choose the descent `sharp`",
            )
        } else if select.thins_first_gradient()
            && (frequency != Frequency::Always || descend.needs_first_gradient())
        {
            Some(
                "the selection leaves tensors out of the first gradient; choose the schedule \
                 `every-step` and the descent `sharp`, or `beta = 1`",
            )
        } else {
            None
        };
        match problem {
            Some(problem) => Err(Error::Combination(problem)),
            None => Ok(Self { select, schedule, ascend, descend }),
        }
    }
}

impl Rule for ComposedRule {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let selection = self.select.first(surface)?;
        let g = surface.gradient(&selection)?;
        if !self.schedule.due(&g, surface)? {
            return Ok(self.descend.single(g.into_vec()));
        }

        let e = self.ascend.perturbation(&g, surface)?;
        let selection = self.select.second(selection, &e, surface)?;
        let g_s = surface.gradient_at(&e, &selection)?;
        drop(e);

        let pair = Pair::new(g, g_s);
        self.select.observe(&pair, surface)?;
        self.schedule.observe(&pair);
        if surface.wants_psf() {
            surface.note(PSF_NORM, Note::Device(pair.psf().norm()));
        }
        Ok(self.descend.double(pair))
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.within("select", |memory| self.select.save(memory))?;
        memory.within("schedule", |memory| self.schedule.save(memory))?;
        memory.within("ascend", |memory| self.ascend.save(memory))?;
        memory.within("descend", |memory| self.descend.save(memory))
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        memory.within("select", |memory| self.select.restore(memory))?;
        memory.within("schedule", |memory| self.schedule.restore(memory))?;
        memory.within("ascend", |memory| self.ascend.restore(memory))?;
        memory.within("descend", |memory| self.descend.restore(memory))
    }

    fn ascend(&mut self) -> Option<&mut Box<dyn Ascend>> {
        Some(&mut self.ascend)
    }

    fn schedule(&mut self) -> Option<&mut Box<dyn Schedule>> {
        Some(&mut self.schedule)
    }

    fn chooses_samples(&self) -> bool {
        self.select.chooses_samples()
    }

    fn thins_first_gradient(&self) -> bool {
        self.select.thins_first_gradient()
    }
}
