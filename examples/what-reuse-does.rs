//! What the reused part of ARSAM does: it is projected, scrambled, replaced by noise of the same
//! length, and scaled, and the network trained with each.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example what-reuse-does -- FIRST_SEED SEEDS
//! ```
//!
//! Embedded Fashion-MNIST with 30 % label noise, the second gradient at every fifth step (1.2
//! passes per step), radius 0.2; a line of CSV for each run.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

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
use lowland::{ComposedRule, Pair, ParamVec, SamConfig, SharpnessAware, Update, cross_entropies};
use lowland_tasks::data::redraw_labels;
use lowland_tasks::data::{AugmentConfig, BatchConfig, Loader, Normalisation, embedded};
use lowland_tasks::models::{SmallCnn, SmallCnnConfig};

const EPOCHS: u64 = 15;
const EVERY: u64 = 5;

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

/// Adds a part of the last PSF, or what stands for it, to the gradients in between.
#[derive(Debug, Clone)]
struct Reuse {
    part: Part,
    decay: f64,
    /// The PSF or what stands for it, and the length of the gradient beside it.
    kept: Option<(ParamVec, Tensor<1>)>,
    reused: i32,
}

impl Descend for Reuse {
    fn double(&mut self, pair: Pair) -> Update {
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
        let decay = self.decay.powi(self.reused);
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

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (first, seeds) = (number(400)?, number(3)?);
    println!("seed,part,decay,test accuracy,passes per step");
    for seed in first..first + seeds {
        run(seed, "SGD", None, Never)?;
        run(seed, "SAM", None, EveryStep)?;
        for part in Part::ALL {
            for decay in if part == Part::Nothing { &[0.0][..] } else { &[0.7, 0.95] } {
                let every = Periodic::new(PeriodicConfig { k: EVERY, first: 0 })?;
                run(seed, &format!("{part:?}"), Some((part, *decay)), every)?;
            }
        }
    }
    Ok(())
}

/// Trains with a rule and prints the result.
fn run(
    seed: u64,
    name: &str,
    reuse: Option<(Part, f64)>,
    schedule: impl Schedule + Clone + 'static,
) -> Result<(), Box<dyn Error>> {
    let (part, decay) = reuse.unwrap_or((Part::Nothing, 0.0));
    let rule = ComposedRule::new(
        AllSamples,
        schedule,
        AlongGradient::new(SamConfig::new(0.2).rho)?,
        Reuse { part, decay, kept: None, reused: 0 },
    )?;
    let (accuracy, passes) = train(seed, rule)?;
    println!("{seed},{name},{decay},{accuracy:.2},{passes:.3}");
    Ok(())
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
