//! An algorithm that nobody has named: F-SAM's ascent and LookSAM's reuse, with second gradients in
//! the second half of the training alone, by a schedule that is written here.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example compose-your-own
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::{Device, ElementConversion};
use lowland::ascend::LessAverage;
use lowland::descend::{ReuseOrthogonal, ReuseOrthogonalConfig};
use lowland::schedule::Schedule;
use lowland::select::AllSamples;
use lowland::{
    BaseConfig, ComposedRule, FsamConfig, Gradient, Rule, SamConfig, SharpnessAware, Surface,
    cross_entropies,
};
use lowland_tasks::data::{AugmentConfig, BatchConfig, Loader, Normalisation, embedded};
use lowland_tasks::models::{SmallCnn, SmallCnnConfig};

const EPOCHS: u64 = 6;

/// A second gradient at every `every`-th step, once half of the training is over. Late steps are
/// said to decide where a network lands.
#[derive(Debug, Clone)]
struct SecondHalf {
    every: u64,
}

impl Schedule for SecondHalf {
    fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> lowland::Result<bool> {
        let half = surface.total_steps().ok_or(lowland::Error::TOTAL_STEPS)? / 2;
        Ok(surface.step() >= half && surface.step().is_multiple_of(self.every))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Which samples, at which steps, in which direction and how far, which gradient the base gets.
    let own = ComposedRule::new(
        AllSamples,
        SecondHalf { every: 3 },
        LessAverage::new(FsamConfig { rho: 0.1, sigma: 1.0, lambda: 0.9 })?,
        ReuseOrthogonal::new(ReuseOrthogonalConfig { alpha: 0.5 })?,
    )?;
    println!("AdamW alone: {}", train(BaseConfig::new().build()?)?);
    println!("SAM:         {}", train(SamConfig::new(0.1).build()?)?);
    println!("our own:     {}", train(own.into())?);
    Ok(())
}

/// Trains the small network with a rule; returns a line on the result.
fn train(rule: Box<dyn Rule>) -> Result<String, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let data = embedded::load()?;
    let normalisation = Normalisation::of(&data.train);
    let augment = AugmentConfig::none().build(normalisation.clone())?;
    let train = Loader::training(Arc::new(data.train), augment, 0, BatchConfig::default())?;
    let test = Loader::evaluation(Arc::new(data.test), normalisation, BatchConfig::default())?;

    let mut model = SmallCnnConfig::default().init(10, 1, 0, &device)?;
    let steps = train.batch_count() as u64 * EPOCHS;
    let base = AdamWConfig::new().init();
    let mut optimizer = SharpnessAware::new(base, rule)?.with_total_steps(steps);
    for epoch in 0..EPOCHS {
        for batch in train.epoch(epoch) {
            let batch = batch.to_device(&device);
            let loss = |model: &SmallCnn| {
                let logits = model.forward(batch.images.clone()); // [batch, classes]
                cross_entropies(logits, batch.labels.clone(), 0.0).mean()
            };
            model = optimizer.step(1e-3, model, loss)?.0;
        }
    }

    let (model, device) = (model.valid(), device.inner());
    let right = test.epoch(0).map(|batch| {
        let batch = batch.to_device(&device);
        let answers = model.forward(batch.images).argmax(1).flatten(0, 1); // [batch]
        answers.equal(batch.labels).int().sum().into_scalar::<i64>().elem::<f64>()
    });
    let accuracy = 100.0 * right.sum::<f64>() / test.sample_count() as f64;
    let passes = optimizer.passes() / steps as f64;
    Ok(format!("{accuracy:.1} % of the test images right, {passes:.2} passes per step"))
}
