//! SAM on several workers, each with its part of every batch: the code of `docs/src/parallel.md`.
//!
//! ```sh
//! cargo build --release -p lowland-mpi --features mpi --example workers
//! mpirun -n 2 target/release/examples/workers
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Int, Tensor};
use lowland::{BatchInfo, SamConfig, Samples, SharpnessAware, cross_entropies};
use lowland_mpi::{Join, World};

const BATCHES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let model: Linear = LinearConfig::new(4, 3).init(&device);
    let (base, rule, rate) = (SgdConfig::new().init(), SamConfig::new(0.05), 0.1);
    let mut taken = 0;

    let world = World::join(&Join::default())?;
    let workers = world.workers(world.count())?; // all ascend together; 1: each alone
    let (part, parts) = (workers.rank(), workers.count()); // of each batch
    let mut optimizer = SharpnessAware::new(base, rule)?.with_workers(workers.clone());
    let mut model = workers.share(model)?; // the weights of worker 0
    // A worker without a batch of its own takes part with a step of size 0.
    while workers.any(taken < BATCHES)? {
        let (x, y) = batch(taken, part, parts, &device);
        let losses = |model: &Linear, samples: &Samples| {
            cross_entropies(
                model.forward(samples.select(x.clone())),
                samples.select(y.clone()),
                0.0,
            )
        };
        let info = BatchInfo::default().with_size(y.dims()[0]); // the weight of its gradient
        let (next, report) = optimizer.step_samples(rate, model, &info, losses)?;
        model = next;
        taken += 1;
        println!("worker {part}, batch {taken}: {} passes", report.passes);
    }
    world.finish()?; // leaving in any other way ends all workers
    Ok(())
}

/// This worker's part of a batch of 8 samples: every `parts`-th, from `part` on.
fn batch(number: usize, part: usize, parts: usize, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let own: Vec<usize> = (0..8).skip(part).step_by(parts).collect();
    let rows = own.iter().flat_map(|i| [0, 1, 2, 3].map(|j| ((number + 3 * i + j) % 5) as f32));
    let rows: Vec<f32> = rows.collect();
    let classes: Vec<i32> = own.iter().map(|i| [0, 1, 2][i % 3]).collect();
    let x = Tensor::<1>::from_floats(rows.as_slice(), device).reshape([own.len(), 4]);
    (x, Tensor::from_ints(classes.as_slice(), device))
}
