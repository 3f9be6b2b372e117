//! What the reused part of ARSAM does, and how long it does it.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example what-reuse-does -- WHAT FIRST_SEED SEEDS
//! ```
//!
//! Embedded Fashion-MNIST with 30 % label noise, radius 0.2. `WHAT` is
//!
//! - `parts`: the PSF is projected, scrambled, replaced by noise of the same length, and scaled, and
//!   the network trained with each; the second gradient at every fifth step (1.2 passes per step).
//!   A line of CSV for each run.
//! - `decays`: the decay is set, or follows from what is measured in training; the second gradient
//!   at every third, fifth and tenth step. A line of CSV for each run.
//! - `measured`: no reuse; what the PSFs of SAM have in common with those before them. A line of CSV
//!   for each epoch.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::VecDeque;
use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::{Device, Distribution, ElementConversion, Tensor};
use lowland::ascend::AlongGradient;
use lowland::descend::Descend;
use lowland::schedule::{EveryStep, Never, Periodic, PeriodicConfig, Schedule};
use lowland::select::AllSamples;
use lowland::vector::read;
use lowland::{ComposedRule, Pair, ParamVec, SamConfig, SharpnessAware, Update, cross_entropies};
use lowland_tasks::data::redraw_labels;
use lowland_tasks::data::{AugmentConfig, BatchConfig, Loader, Normalisation, embedded};
use lowland_tasks::models::{SmallCnn, SmallCnnConfig};

const EPOCHS: u64 = 15;
const RADIUS: f64 = 0.2;

/// How many steps back a PSF is compared with those before it.
const GAPS: usize = 10;

/// What is added to the gradient between two second gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// Nothing.
    Nothing,
    /// The PSF, as ARSAM has it.
    Psf,
    /// The PSF at the length that it had beside its gradient, beside that of now.
    Scaled,
    /// What of the PSF lies across the gradient of now.
    Across,
    /// What of it lies along the gradient of now.
    Along,
    /// The PSF backwards.
    Reversed,
    /// The numbers of the PSF in another order, parameter by parameter.
    Scrambled,
    /// Noise of the PSF's length in each parameter, drawn once for a PSF.
    Noise,
    /// The gradient, lengthened as much as the PSF would.
    Lengthened,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Psf,
        Self::Scaled,
        Self::Across,
        Self::Along,
        Self::Reversed,
        Self::Scrambled,
        Self::Noise,
        Self::Lengthened,
    ];
}

/// How much of it is added in the j-th step after a second gradient, j from 1.
#[derive(Debug, Clone, Copy)]
enum Decay {
    /// `beta^j`.
    Fixed(f64),
    /// The cosine between one PSF and the one before it: of all multiples of a PSF the one that is
    /// nearest to the next, by least squares, if their lengths are the same.
    ByCosine,
    /// `beta^j` such that the weights 1, `beta`, … of one PSF add up to `sqrt(k) |g| / |PSF|`, at
    /// least 1 and at most k: then k steps add no more noise by reuse than by their own gradients,
    /// if both are mostly noise of the batch.
    ByLength,
}

/// Adds a part of the last PSF, or what stands for it, to the gradients in between.
#[derive(Debug, Clone)]
struct Reuse {
    part: Part,
    decay: Decay,
    /// A second gradient at every so many steps.
    every: u64,
    /// What [`Decay`] follows, averaged over training so far.
    measured: Option<f64>,
    /// The last PSF, where it is compared with the next.
    last: Option<ParamVec>,
    /// The PSF or what stands for it, and the length of the gradient beside it.
    kept: Option<(ParamVec, Tensor<1>)>,
    reused: i32,
}

impl Reuse {
    fn new(part: Part, decay: Decay, every: u64) -> Self {
        Self { part, decay, every, measured: None, last: None, kept: None, reused: 0 }
    }

    /// Measures what the decay follows.
    fn measure(&mut self, pair: &Pair) -> Result<(), lowland::Error> {
        let found = match self.decay {
            Decay::Fixed(_) => return Ok(()),
            Decay::ByCosine => {
                let psf = pair.psf().clone();
                let Some(last) = self.last.replace(psf.clone()) else { return Ok(()) };
                cosine(&psf, &last)?
            }
            Decay::ByLength => ratio(&pair.g().norm(), &pair.psf().norm())?,
        };
        let before = self.measured.unwrap_or(found);
        self.measured = Some(0.9 * before + 0.1 * found);
        Ok(())
    }

    /// How much is added in the `reused`-th step after a second gradient.
    fn weight(&self) -> f64 {
        match self.decay {
            Decay::Fixed(beta) => beta.powi(self.reused),
            Decay::ByCosine => self.measured.unwrap_or(0.0).max(0.0),
            Decay::ByLength => {
                let sum = (self.every as f64).sqrt() * self.measured.unwrap_or(1.0);
                decay_of_sum(sum, self.every).powi(self.reused)
            }
        }
    }
}

/// The `beta` with which 1, `beta`, … , `beta^(k - 1)` add up to `sum`, by bisection; 0 below 1, 1
/// from `k` on.
fn decay_of_sum(sum: f64, k: u64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        let total: f64 = (0..k).map(|j| f64::powf(middle, j as f64)).sum();
        if total < sum { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The cosine of the angle between two vectors.
fn cosine(one: &ParamVec, other: &ParamVec) -> Result<f64, lowland::Error> {
    ratio(&one.dot(other), &(one.norm() * other.norm()))
}

fn ratio(above: &Tensor<1>, below: &Tensor<1>) -> Result<f64, lowland::Error> {
    Ok(read(vec![above.clone() / (below.clone() + 1e-12)])?[0])
}

impl Descend for Reuse {
    fn double(&mut self, pair: Pair) -> Update {
        // What cannot be read leaves the decay as it is.
        self.measure(&pair).ok();
        let psf = pair.psf().clone();
        let kept = match self.part {
            Part::Scrambled => psf.map(|numbers| numbers.flip([0])),
            Part::Noise => psf.map(|numbers| {
                let noise = numbers.random_like(Distribution::Normal(0.0, 1.0));
                let length = |x: &Tensor<1>| x.clone().square().sum().sqrt();
                let factor = length(&numbers) / (length(&noise) + 1e-12);
                noise * factor
            }),
            _ => psf,
        };
        self.kept = Some((kept, pair.g().norm()));
        self.reused = 0;
        pair.into_g_s().into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        let Some((kept, length)) = self.kept.clone() else { return g.into() };
        self.reused += 1;
        let decay = self.weight();
        let (part, sign) = match self.part {
            Part::Nothing => return g.into(),
            Part::Psf | Part::Scrambled | Part::Noise => (kept, 1.0),
            Part::Reversed => (kept, -1.0),
            Part::Scaled => (kept.times(&(g.norm() / length)), 1.0),
            Part::Across => (kept.without(&g), 1.0),
            Part::Along => (kept.clone().minus(&kept.without(&g)), 1.0),
            Part::Lengthened => (g.clone().times(&(kept.norm() / g.norm())), 1.0),
        };
        g.plus_scaled(&part, sign * decay).into()
    }

    fn reuses(&self) -> bool {
        self.part != Part::Nothing
    }
}

/// Takes SAM's steps and keeps what its PSFs have in common with those before them.
#[derive(Debug, Clone, Default)]
struct Watch {
    /// The last PSFs, the latest first.
    last: VecDeque<ParamVec>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One step of SAM.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// `|PSF| / |g|`.
    length: f64,
    /// The cosines to the PSFs before it, the nearest first; NaN before there are as many.
    cosines: [f64; GAPS],
}

impl Watch {
    fn watch(&mut self, pair: &Pair) -> Result<(), lowland::Error> {
        let psf = pair.psf().clone();
        let length = ratio(&psf.norm(), &pair.g().norm())?;
        let mut cosines = [f64::NAN; GAPS];
        for (found, before) in cosines.iter_mut().zip(&self.last) {
            *found = cosine(&psf, before)?;
        }
        self.last.push_front(psf);
        self.last.truncate(GAPS);
        // Nothing panics while it holds the lock.
        self.seen.lock().map(|mut seen| seen.push(Seen { length, cosines })).ok();
        Ok(())
    }
}

impl Descend for Watch {
    fn double(&mut self, pair: Pair) -> Update {
        // A step that cannot be read is left out of the means.
        self.watch(&pair).ok();
        pair.into_g_s().into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        g.into()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (first, seeds) = (number(400)?, number(3)?);
    let seeds = first..first + seeds;
    match what.as_str() {
        "parts" => parts(seeds),
        "decays" => decays(seeds),
        "measured" => measured(seeds),
        other => Err(format!("{other:?} is none of parts, decays, measured").into()),
    }
}

/// What is added between two second gradients.
fn parts(seeds: Range<u64>) -> Result<(), Box<dyn Error>> {
    println!("seed,part,decay,test accuracy,passes per step");
    for seed in seeds {
        ends(seed)?;
        for part in Part::ALL {
            for decay in if part == Part::Nothing { &[0.0][..] } else { &[0.7, 0.95] } {
                let reuse = Reuse::new(part, Decay::Fixed(*decay), 5);
                run(
                    seed,
                    &format!("{part:?},{decay}"),
                    Periodic::new(PeriodicConfig { k: 5, first: 0 })?,
                    reuse,
                )?;
            }
        }
    }
    Ok(())
}

/// How much of it.
fn decays(seeds: Range<u64>) -> Result<(), Box<dyn Error>> {
    println!("seed,every,decay,test accuracy,passes per step");
    for seed in seeds {
        ends(seed)?;
        for k in [3, 5, 10] {
            for decay in [Decay::Fixed(0.7), Decay::Fixed(0.95), Decay::ByCosine, Decay::ByLength] {
                let name = match decay {
                    Decay::Fixed(beta) => beta.to_string(),
                    other => format!("{other:?}"),
                };
                let every = Periodic::new(PeriodicConfig { k, first: 0 })?;
                run(seed, &format!("{k},{name}"), every, Reuse::new(Part::Psf, decay, k))?;
            }
        }
    }
    Ok(())
}

/// What the PSFs of SAM have in common.
fn measured(seeds: Range<u64>) -> Result<(), Box<dyn Error>> {
    let gaps: Vec<String> = (1..=GAPS).map(|gap| format!("cosine {gap}")).collect();
    println!("seed,epoch,|PSF| / |g|,{}", gaps.join(","));
    for seed in seeds {
        let watch = Watch::default();
        let seen = watch.seen.clone();
        train(seed, rule(EveryStep, watch)?)?;
        let seen = seen.lock().map_err(|error| error.to_string())?;
        let steps = seen.len().div_ceil(usize::try_from(EPOCHS)?);
        for (epoch, seen) in seen.chunks(steps).enumerate() {
            let mean = |of: &dyn Fn(&Seen) -> f64| {
                let values: Vec<f64> = seen.iter().map(of).filter(|x| x.is_finite()).collect();
                values.iter().sum::<f64>() / values.len() as f64
            };
            let length = mean(&|seen| seen.length);
            let cosines = (0..GAPS).map(|gap| format!("{:.3}", mean(&|seen| seen.cosines[gap])));
            println!("{seed},{},{length:.3},{}", epoch + 1, cosines.collect::<Vec<_>>().join(","));
        }
    }
    Ok(())
}

/// SGD and SAM, between which the others lie.
fn ends(seed: u64) -> Result<(), Box<dyn Error>> {
    let nothing = || Reuse::new(Part::Nothing, Decay::Fixed(0.0), 1);
    run(seed, "SGD,0", Never, nothing())?;
    run(seed, "SAM,0", EveryStep, nothing())
}

/// Trains with a rule and prints the result.
fn run(
    seed: u64,
    name: &str,
    schedule: impl Schedule + Clone + 'static,
    reuse: Reuse,
) -> Result<(), Box<dyn Error>> {
    let (accuracy, passes) = train(seed, rule(schedule, reuse)?)?;
    println!("{seed},{name},{accuracy:.2},{passes:.3}");
    Ok(())
}

fn rule(
    schedule: impl Schedule + Clone + 'static,
    descend: impl Descend + Clone + 'static,
) -> Result<ComposedRule, lowland::Error> {
    let ascend = AlongGradient::new(SamConfig::new(RADIUS).rho)?;
    ComposedRule::new(AllSamples, schedule, ascend, descend)
}

/// Test accuracy in percent, and passes per step.
fn train(seed: u64, rule: ComposedRule) -> Result<(f64, f64), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let mut data = embedded::load()?;
    redraw_labels(&mut data.train, 0.3, seed)?;
    let normalisation = Normalisation::of(&data.train);
    let augment = AugmentConfig::none().build(normalisation.clone())?;
    let train = Loader::training(Arc::new(data.train), augment, seed, BatchConfig::default())?;
    let test = Loader::evaluation(Arc::new(data.test), normalisation, BatchConfig::default())?;

    let mut model = SmallCnnConfig::default().init(10, 1, seed, &device)?;
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let base = SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig::new(5e-4)))
        .init();
    let steps = train.batch_count() as u64 * EPOCHS;
    let mut optimizer = SharpnessAware::new(base, rule)?.with_seed(seed).with_total_steps(steps);
    let mut rate = CosineAnnealingLrSchedulerConfig::new(0.05, usize::try_from(steps)?).init()?;
    for epoch in 0..EPOCHS {
        for batch in train.epoch(epoch) {
            let batch = batch.to_device(&device);
            let loss = |model: &SmallCnn| {
                let logits = model.forward(batch.images.clone()); // [batch, classes]
                cross_entropies(logits, batch.labels.clone(), 0.0).mean()
            };
            model = optimizer.step(rate.step(), model, loss)?.0;
        }
    }

    let (model, device) = (model.valid(), device.inner());
    let right = test.epoch(0).map(|batch| {
        let batch = batch.to_device(&device);
        let answers = model.forward(batch.images).argmax(1).flatten(0, 1); // [batch]
        answers.equal(batch.labels).int().sum().into_scalar::<i64>().elem::<f64>()
    });
    let accuracy = 100.0 * right.sum::<f64>() / test.sample_count() as f64;
    Ok((accuracy, optimizer.passes() / steps as f64))
}
