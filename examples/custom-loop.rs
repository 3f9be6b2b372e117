//! ARSAM in your own training loop: all that changes is the step of the optimizer.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example custom-loop
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use burn::optim::SgdConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::momentum::MomentumConfig;
use burn::prelude::*;
use lowland::{ArsamConfig, SharpnessAware, cross_entropies};
use lowland_tasks::data::{AugmentConfig, BatchConfig, Loader, Normalisation, embedded};
use lowland_tasks::models::{SmallCnn, SmallCnnConfig};

const EPOCHS: u64 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let data = embedded::load()?;
    let normalisation = Normalisation::of(&data.train);
    let augment = AugmentConfig::none().build(normalisation.clone())?;
    let config = BatchConfig::default();
    let train = Loader::training(Arc::new(data.train), augment, 0, config)?;
    let test = Loader::evaluation(Arc::new(data.test), normalisation, config)?;

    let mut model = SmallCnnConfig::default().init(10, 1, 0, &device)?;

    // Any Burn optimizer below, any algorithm above it. Papers mean a momentum without dampening.
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let base = SgdConfig::new().with_momentum(Some(momentum)).init();
    let steps = train.batch_count();
    // A second gradient in every fifth step, on average; the default takes one in each of the first
    // 200 and then in those where it changes.
    let arsam = ArsamConfig::default().with_budget(1.2);
    let mut optimizer = SharpnessAware::new(base, arsam)?.with_seed(0);
    let all_steps = steps * usize::try_from(EPOCHS)?;
    let mut schedule = CosineAnnealingLrSchedulerConfig::new(0.05, all_steps).init()?;

    for epoch in 0..EPOCHS {
        let mut loss = 0.0;
        for batch in train.epoch(epoch) {
            let batch = batch.to_device(&device);
            // Called once for each gradient, with the model at the weights or a little uphill.
            let mean_loss = |model: &SmallCnn| {
                let logits = model.forward(batch.images.clone()); // [batch, classes]
                cross_entropies(logits, batch.labels.clone(), 0.0).mean()
            };
            let (next, report) = optimizer.step(schedule.step(), model, mean_loss)?;
            model = next;
            loss += report.values()?.loss / steps as f64;
        }
        let accuracy = 100.0 * accuracy(&model, &test, &device);
        let passes = optimizer.passes() / optimizer.steps() as f64;
        println!(
            "epoch {epoch}: loss {loss:.3}, test accuracy {accuracy:.1} %, {passes:.2} passes per step"
        );
    }
    Ok(())
}

/// The share of test images that the model gets right.
fn accuracy(model: &SmallCnn, test: &Loader, device: &Device) -> f64 {
    let model = model.valid();
    let device = device.clone().inner();
    let right = test.epoch(0).map(|batch| {
        let batch = batch.to_device(&device);
        let answers = model.forward(batch.images).argmax(1).flatten(0, 1); // [batch]
        answers.equal(batch.labels).int().sum().into_scalar::<i64>().elem::<f64>()
    });
    right.sum::<f64>() / test.sample_count() as f64
}
