//! The short pieces of code in the book, in programs that compile and run. The test
//! `snippets_of_the_book_are_compiled` (`crates/workspace-features/tests/links.rs`) finds each of
//! them here.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example snippets
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use lowland::{
    ArsamConfig, BatchInfo, CrossEntropyConfig, KsamConfig, SamConfig, SharpnessAware,
    cross_entropies,
};

/// The network of all pieces.
type Network = Linear;

/// Samples `[batch, features]` and their classes `[batch]`.
type Batch = (Tensor<2>, Tensor<1, Int>);

/// The mean loss of a batch, `[1]`.
fn loss(model: &Network, (x, y): &Batch) -> Tensor<1> {
    cross_entropies(model.forward(x.clone()), y.clone(), 0.0).mean()
}

/// `docs/src/your-own-loop.md`: a step of Burn's own optimizer.
fn without_lowland(mut model: Network, mut optimizer: ModuleOptimizer, batch: &Batch) -> Network {
    let batch = batch.clone();
    let learning_rate = 0.1;
    let loss = loss(&model, &batch);
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    model = optimizer.step(learning_rate, model, gradients);
    model
}

/// `docs/src/your-own-loop.md`: the same with Lowland.
fn with_lowland(mut model: Network, batch: &Batch) -> lowland::Result<Network> {
    let batch = batch.clone();
    let learning_rate = 0.1;
    let mut optimizer = SharpnessAware::new(AdamWConfig::new().init(), ArsamConfig::new(0.05))?;
    // for each batch:
    let (next, report) = optimizer.step(learning_rate, model, |model| loss(model, &batch))?;
    model = next;
    println!("{} passes", report.passes);
    Ok(model)
}

/// `docs/src/your-own-loop.md`: an algorithm that chooses samples.
fn with_losses_of_samples(model: Network, (x, y): Batch) -> lowland::Result<Network> {
    let device = x.device();
    let loss = CrossEntropyConfig::new().init(&device)?;
    let mut optimizer = SharpnessAware::new(SgdConfig::new().init(), KsamConfig::new(0.05))?;
    let batch = BatchInfo::default().with_size(8);
    let (model, report) = optimizer.step_samples(0.1, model, &batch, |model, samples| {
        loss.forward(model.forward(samples.select(x.clone())), samples.select(y.clone()))
    })?;
    println!("{} passes", report.passes);
    Ok(model)
}

/// `docs/src/pytorch.md`: a whole loop.
fn coming_from_pytorch(mut model: Network, batches: Vec<Batch>) -> lowland::Result<Network> {
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let base = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut optimizer = SharpnessAware::new(base, SamConfig::new(0.05))?;
    for (x, y) in batches {
        let loss =
            |model: &Network| cross_entropies(model.forward(x.clone()), y.clone(), 0.0).mean();
        model = optimizer.step(0.1, model, loss)?.0;
    }
    Ok(model)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let mut model: Network = LinearConfig::new(4, 3).init(&device);
    let x = Tensor::<2>::random([8, 4], Distribution::Default, &device);
    let y = Tensor::<1, Int>::from_ints([0, 1, 2, 1, 0, 1, 2, 1], &device);
    let batch = (x, y);
    model = without_lowland(model, SgdConfig::new().init(), &batch);
    model = with_lowland(model, &batch)?;
    model = with_losses_of_samples(model, batch.clone())?;
    model = coming_from_pytorch(model, vec![batch.clone(), batch.clone()])?;
    println!("loss {}", loss(&model, &batch).into_scalar::<f32>());
    Ok(())
}
