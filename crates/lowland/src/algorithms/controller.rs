//! ARSAM's controller: a second gradient only where the PSF changes.

use std::collections::VecDeque;

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::drift::{block_variance, drift, push, quotient};
use crate::error::fraction;
use crate::rule::schedule::{Schedule, Warmup};
use crate::rule::{Gradient, Note, Pair, Surface};
use crate::state::Memory;
use crate::vector::{Scalar, read};
use crate::{Error, Result};

/// The settings of [`Controller`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct ControllerConfig {
    /// K, the window in steps; 2 to 10,000. Default 50 (authors' code).
    pub window: usize,
    /// n, the number of blocks that the variance is taken in; `window / blocks` must be at
    /// least 2. Default 5 (authors' code).
    pub blocks: usize,
    /// α₁, how strongly the drift of `‖psf‖/‖g‖` moves the sampling rate. Default 0.13 (the
    /// authors' training script; their class has 0.01).
    pub gain_ratio: f64,
    /// α₂, how strongly the drift of the variance of `‖psf‖` moves it. Default 0.13.
    pub gain_variance: f64,
    /// The largest share of steps with a second gradient after the warm-up. Default 0.8.
    pub max_fraction: f64,
    /// M: the norms run over the last M parameter tensors. Default 10.
    pub norm_tensors: usize,
    /// How long every step has a second gradient at the start. Default 3 epochs (authors' code), or
    /// 200 steps, four windows, where the optimizer does not know the length of an epoch.
    pub warmup: Warmup,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            window: 50,
            blocks: 5,
            gain_ratio: 0.13,
            gain_variance: 0.13,
            max_fraction: 0.8,
            norm_tensors: 10,
            warmup: Warmup::EpochsOrSteps { epochs: 3, steps: 200 },
        }
    }
}

/// Takes second gradients as often as the PSF calls for (vSAM, arXiv 2403.08821, authors' code;
/// ARSAM, arXiv 2510.03763).
///
/// ```text
/// a_i = ‖psf_i‖,  r_i = ‖psf_i‖/‖g_i‖     norms over the last M tensors, at steps with a second gradient
/// v_i = mean over n blocks of the variance in the block; blocks cut the last K norms a, sorted
/// at each window's start:   Δr = mean (r_i − r_{i−1})/r_{i−1},  Δv likewise,  both clipped to [−1, 1]
///                           s ← clip(s·(1 + α₁Δr + α₂Δv), 1, ⌊K·p_max⌋),  p ← s/K,  c ← 0
/// at position q:            sample if (c < ⌊s⌋ and U ≥ 1 − p) or K − q ≤ ⌊s⌋ − c
/// ```
///
/// So each complete window of K steps holds exactly `⌊s⌋` second gradients. The first window is one
/// step short, and after a warm-up it has none: the last one of the warm-up counts as its own.
/// Histories must hold K second gradients before s changes. Norms stay on the device until a window
/// starts, or K of them are waiting, and are then read back together: one transfer beside the
/// step's own.
#[derive(Debug, Clone)]
pub struct Controller {
    config: ControllerConfig,
    state: ControllerState,
}

/// What [`Controller`] remembers.
#[derive(Debug, Clone)]
struct ControllerState {
    /// s, the number of second gradients that a window is to have.
    samples_per_window: f64,
    /// p
    rate: f64,
    /// c, the number of second gradients that this window had.
    taken: u64,
    /// f, the number of steps since the warm-up, starting at 1.
    position: u64,
    /// The step of the first decision: 0 unless the start is late.
    first: Option<u64>,
    /// The last K of a, r and v; zeros until there are K.
    norms: VecDeque<f64>,
    ratios: VecDeque<f64>,
    variances: VecDeque<f64>,
    /// How many second gradients have gone into those.
    seen: u64,
    /// `‖psf‖` and `‖g‖` of the latest ones, not read back yet.
    pending: Vec<(Scalar, Scalar)>,
    /// Earlier ones of the same, read back for a record.
    waiting: Vec<f64>,
}

impl Controller {
    /// Checks the settings.
    ///
    /// # Errors
    /// A window too small for its blocks, a gain that is negative or not finite, a share outside
    /// `[0, 1]` or so small that no window could hold one second gradient, no norm tensors.
    pub fn new(config: ControllerConfig) -> Result<Self> {
        let ControllerConfig { window, blocks, max_fraction, norm_tensors, .. } = config;
        if blocks == 0 || window / blocks < 2 {
            let found = format!("{window} with {blocks} blocks");
            return Err(Error::config(
                "window",
                &found,
                "at least twice the number of blocks, which is at least 1",
            ));
        }
        if window > MOST_WINDOW {
            return Err(Error::config("window", &window, "at most 10000 steps"));
        }
        for (field, gain) in
            [("gain_ratio", config.gain_ratio), ("gain_variance", config.gain_variance)]
        {
            crate::error::non_negative(field, gain)?;
        }
        fraction("max_fraction", max_fraction)?;
        if (window as f64 * max_fraction) < 1.0 {
            return Err(Error::config("max_fraction", &max_fraction, "at least 1 / window"));
        }
        if norm_tensors == 0 {
            return Err(Error::config("norm_tensors", &0, "at least 1"));
        }
        let zeros = || VecDeque::from(vec![0.0; window]);
        let state = ControllerState {
            samples_per_window: 1.0,
            rate: 0.5,
            taken: 0,
            position: 1,
            first: None,
            norms: zeros(),
            ratios: zeros(),
            variances: zeros(),
            seen: 0,
            pending: Vec::new(),
            waiting: Vec::new(),
        };
        Ok(Self { config, state })
    }

    /// Reads the pending norms back and moves them into the histories.
    fn absorb(&mut self, surface: &mut dyn Surface) -> Result<()> {
        let state = &mut self.state;
        let scalars = state.pending.drain(..).flat_map(|(psf, g)| [psf, g]).collect();
        let read = surface.read(scalars)?;
        self.take_in(&read);
        Ok(())
    }

    /// Moves norms of the PSF and of g, in turns, into the histories, after those that wait.
    fn take_in(&mut self, read: &[f64]) {
        let state = &mut self.state;
        let mut values = std::mem::take(&mut state.waiting);
        values.extend(read);
        for pair in values.chunks_exact(2) {
            push(&mut state.norms, pair[0]);
            push(&mut state.ratios, quotient(pair[0], pair[1]));
            push(&mut state.variances, block_variance(&state.norms, self.config.blocks));
            state.seen += 1;
        }
    }

    /// K, the window in steps.
    pub(crate) fn window(&self) -> usize {
        self.config.window
    }

    /// s, the number of second gradients that a window is to have.
    pub(crate) fn samples_per_window(&self) -> f64 {
        self.state.samples_per_window
    }

    /// Sets the number of second gradients of the window that starts now.
    pub(crate) fn adapt(&mut self, surface: &mut dyn Surface) -> Result<()> {
        self.absorb(surface)?;
        self.judge();
        Ok(())
    }

    fn judge(&mut self) {
        let ControllerConfig { window, gain_ratio, gain_variance, max_fraction, .. } = self.config;
        let state = &mut self.state;
        if state.seen >= window as u64 {
            let change =
                gain_ratio * drift(&state.ratios) + gain_variance * drift(&state.variances);
            let most = (window as f64 * max_fraction).floor();
            state.samples_per_window = (state.samples_per_window * (1.0 + change)).clamp(1.0, most);
        }
        state.rate = state.samples_per_window / window as f64;
        state.taken = 0;
    }

    /// `⌊s⌋`
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 ≤ s ≤ window")]
    fn quota(&self) -> u64 {
        self.state.samples_per_window.floor() as u64
    }

    fn decide(&mut self, surface: &mut dyn Surface) -> Result<bool> {
        let first = *self.state.first.get_or_insert_with(|| surface.step());
        if surface.step().saturating_sub(first) < self.config.warmup.steps(surface)? {
            self.state.taken = 1;
            if self.state.pending.len() + self.state.waiting.len() / 2 >= self.config.window {
                self.absorb(surface)?;
            }
            return Ok(true);
        }
        let window = self.config.window as u64;
        let position = self.state.position % window;
        if position == 0 {
            self.adapt(surface)?;
        }
        let (quota, taken) = (self.quota(), self.state.taken);
        let drawn = taken < quota && surface.uniform() >= 1.0 - self.state.rate;
        let forced = window - position + taken <= quota;
        self.state.taken += u64::from(drawn || forced);
        self.state.position += 1;
        Ok(drawn || forced)
    }
}

impl Schedule for Controller {
    fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> Result<bool> {
        let due = self.decide(surface)?;
        surface.note(SAMPLES_PER_WINDOW, Note::Value(self.state.samples_per_window));
        Ok(due)
    }

    fn observe(&mut self, pair: &Pair) {
        let last = self.config.norm_tensors;
        self.state.pending.push((pair.psf().norm_of_last(last), pair.g().norm_of_last(last)));
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        let state = &self.state;
        // What waits is written as it is, so that a resumed run takes it in at the same step.
        let pending = state.pending.iter().flat_map(|(psf, g)| [psf.clone(), g.clone()]);
        let mut waiting = state.waiting.clone();
        waiting.extend(read(pending.collect())?);
        memory.put_numbers("waiting", waiting);
        memory.put_number("samples_per_window", state.samples_per_window);
        memory.put_number("rate", state.rate);
        memory.put_count("taken", state.taken);
        memory.put_count("position", state.position);
        // 0 where there was no decision yet.
        memory.put_count("first", state.first.map_or(0, |first| first + 1));
        memory.put_count("seen", state.seen);
        memory.put_numbers("norms", state.norms.iter().copied().collect());
        memory.put_numbers("ratios", state.ratios.iter().copied().collect());
        memory.put_numbers("variances", state.variances.iter().copied().collect());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        let window = self.config.window;
        let mut history = |name: &str| match memory.take_numbers(name)? {
            values if values.len() == window => Ok(VecDeque::from(values)),
            _ => Err(Error::record(name, "is of another window")),
        };
        let norms = history("norms")?;
        let ratios = history("ratios")?;
        let variances = history("variances")?;
        self.state = ControllerState {
            samples_per_window: memory.take_number("samples_per_window")?,
            rate: memory.take_number("rate")?,
            taken: memory.take_count("taken")?,
            position: memory.take_count("position")?,
            first: memory.take_count("first")?.checked_sub(1),
            norms,
            ratios,
            variances,
            seen: memory.take_count("seen")?,
            pending: Vec::new(),
            waiting: memory.take_numbers("waiting")?,
        };
        Ok(())
    }
}

/// The longest window: its histories are copied at every step.
const MOST_WINDOW: usize = 10_000;

/// The name under which the controller notes s, the second gradients that a window is to have.
pub const SAMPLES_PER_WINDOW: &str = "samples_per_window";

#[cfg(test)]
mod tests;
