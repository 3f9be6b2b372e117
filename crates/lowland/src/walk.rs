//! The rule of four rooms.

use crate::ascend::Ascend;
use crate::descend::Descend;
use crate::rule::{Note, PSF_NORM, Pair, Rule, Surface};
use crate::schedule::Schedule;
use crate::select::Select;
use crate::{ParamVec, Result};

/// A sharpness-aware step as a walk through four rooms. Most algorithms of the family are one
/// choice of the four.
///
/// ```text
/// select ──> gradient at w ──> schedule ──> ascend ──> gradient at w + e ──> descend
/// ```
#[derive(Debug, Clone)]
pub struct Walk {
    /// Which samples of the batch each gradient is taken on.
    pub select: Box<dyn Select>,
    /// Whether a second gradient is due at this step.
    pub schedule: Box<dyn Schedule>,
    /// In which direction and how far the perturbed weights lie.
    pub ascend: Box<dyn Ascend>,
    /// Which gradient goes to the base optimizer.
    pub descend: Box<dyn Descend>,
}

impl Rule for Walk {
    fn gradient(&mut self, surface: &mut dyn Surface) -> Result<ParamVec> {
        let samples = self.select.first(surface)?;
        let g = surface.gradient(&samples)?;
        if !self.schedule.due(&g, surface)? {
            return Ok(self.descend.single(g));
        }

        let e = self.ascend.perturbation(&g, surface)?;
        let samples = self.select.second(samples, &e, surface)?;
        let g_s = surface.gradient_at(&e, &samples)?;
        drop(e);

        let pair = Pair::new(g, g_s);
        self.schedule.observe(&pair);
        if surface.wants_psf() {
            surface.note(PSF_NORM, Note::Device(pair.psf().norm()));
        }
        Ok(self.descend.double(pair))
    }
}
