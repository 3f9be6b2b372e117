//! The trace of the Hessian.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::draw::{generator, rademacher};
use super::{Estimate, Progress, SymmetricMap};
use crate::error::{at_least_one, non_negative};
use crate::vector::part_dots;
use crate::{Error, Result};

/// The settings of [`trace`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceConfig {
    /// The most probes. At least 1, default 100.
    pub probes: usize,
    /// Ends once the standard error is no more than this share of the mean's magnitude, but not
    /// before 10 probes. At least 0, default 0.01.
    pub tolerance: f64,
    /// The seed of the probes. Default 0.
    pub seed: u64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { probes: 100, tolerance: 0.01, seed: 0 }
    }
}

/// The fewest probes whose spread is believed.
const ENOUGH: usize = 10;

/// What [`trace`] found.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The trace, and how far the mean over the probes may be off.
    pub total: Estimate,
    /// `v_p·(H·v)_p` for each probe `v`, and in it for each parameter tensor `p` in visit order.
    pub draws: Vec<Vec<f64>>,
}

impl Trace {
    /// The trace of the block of some parameter tensors, such as those of a
    /// [`Layer`](super::Layer), from the same probes. Blocks that share no tensor add up to the
    /// whole.
    pub fn of(&self, members: &[usize]) -> Estimate {
        let sum = |draw: &Vec<f64>| members.iter().filter_map(|&p| draw.get(p)).sum();
        Estimate::of(&self.draws.iter().map(sum).collect::<Vec<f64>>())
    }
}

/// The trace of a symmetric map, by Hutchinson's estimator with Rademacher probes: vectors `v`
/// whose elements are 1 or −1 with equal probability.
///
/// ```text
/// tr H = E[v·(H·v)]            of a block p:  tr H_pp = E[v_p·(H·v)_p]
/// ```
///
/// The estimate has no bias. Its variance is `2·Σ_{i≠j} H_ij²` a probe, so a diagonal map needs
/// one probe; that of a block also counts its rows beyond the block: to measure one layer alone,
/// [restrict](super::LossSurface::restrict) the surface to it.
///
/// Ends early at the tolerance or when `progress` breaks off; the mean is then that of the probes
/// so far.
///
/// # Cost
/// A product a probe.
///
/// # Source
/// Used for networks by Yao, Gholami, Keutzer, Mahoney (2019), arXiv:1912.07145.
///
/// # Errors
/// A setting out of range, products that are not finite, and what the map itself gives.
pub fn trace(
    map: &mut impl SymmetricMap,
    config: &TraceConfig,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Trace> {
    let total = at_least_one("probes", config.probes)?;
    let tolerance = non_negative("tolerance", config.tolerance)?;
    let mut draws = Vec::new();
    let mut sums = Vec::new();
    loop {
        let v = rademacher(map.like(), &mut generator(config.seed, draws.len()));
        let draw = part_dots(&v, &map.times(&v)?)?;
        let sum: f64 = draw.iter().sum();
        if !sum.is_finite() {
            return Err(Error::NotFinite("a product with the Hessian"));
        }
        draws.push(draw);
        sums.push(sum);
        let done = draws.len();
        let estimate = Estimate::of(&sums);
        let close = estimate.standard_error.is_some_and(|s| s <= tolerance * estimate.mean.abs());
        let broken_off = progress(Progress { done, total }).is_break();
        if done >= total || broken_off || (done >= ENOUGH && close) {
            return Ok(Trace { total: estimate, draws });
        }
    }
}
