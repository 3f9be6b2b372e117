//! The latest PSF, reused with decay.

use crate::descend::Descend;
use crate::error::fraction;
use crate::rule::Pair;
use crate::state::Memory;
use crate::{Error, ParamVec, Result};

/// `g_s` where there is one; otherwise `g + β^j·psf` at the j-th step since, for j up to a limit,
/// and plain `g` after that.
///
/// Keeps one copy of the parameters, the PSF, between steps.
#[derive(Debug, Clone)]
pub struct ReusePsf {
    decay: f64,
    max_reuse: u32,
    state: ReusePsfState,
}

/// What [`ReusePsf`] remembers.
#[derive(Debug, Clone, Default)]
struct ReusePsfState {
    psf: Option<ParamVec>,
    reused: u32,
}

impl ReusePsf {
    /// Sets the decay β, between 0 and 1, and how many times one PSF is reused.
    ///
    /// # Errors
    /// A decay outside `[0, 1]`.
    pub fn new(decay: f64, max_reuse: u32) -> Result<Self> {
        Ok(Self { decay: fraction("beta", decay)?, max_reuse, state: ReusePsfState::default() })
    }
}

impl Descend for ReusePsf {
    fn double(&mut self, pair: Pair) -> ParamVec {
        let (g_s, psf) = pair.into_g_s_and_psf();
        self.state = ReusePsfState { psf: Some(psf), reused: 0 };
        g_s
    }

    fn single(&mut self, g: ParamVec) -> ParamVec {
        if self.state.reused >= self.max_reuse {
            // It has had its last use: its memory goes.
            self.state.psf = None;
        }
        let Some(psf) = &self.state.psf else { return g };
        self.state.reused += 1;
        // An integer counts the reuses: a product of decays compared with a power, as elsewhere,
        // gives one reuse too many at some decays.
        g.plus_scaled(psf, self.decay.powf(f64::from(self.state.reused)))
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_count("reused", self.state.reused.into());
        memory.put_vector("psf", self.state.psf.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.state.reused = u32::try_from(memory.take_count("reused")?)
            .map_err(|_| Error::record("reused", "is larger than any limit"))?;
        self.state.psf = memory.take_vector("psf")?;
        Ok(())
    }

    fn reuses(&self) -> bool {
        true
    }
}
