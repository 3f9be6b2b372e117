//! Your own rule: what the base optimizer gets is the mean of the gradients at `w` and at
//! `w + e`.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example own-rule
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::prelude::*;
use burn::tensor::Distribution;
use lowland::rule::Note;
use lowland::{
    Perturbation, Result, Rule, Selection, SharpnessAware, Surface, Update, cross_entropies,
};

/// The mean of the gradients at `w` and at `w + e`, where `e` has the length `rho` and grows to it
/// over the first `rise` steps.
#[derive(Debug, Clone)]
struct Halfway {
    rho: f64,
    rise: u64,
}

impl Rule for Halfway {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let g = surface.gradient(&Selection::ALL)?;
        let share = (surface.step() as f64 / self.rise as f64).min(1.0);
        surface.note("share", Note::Value(share));
        let e = Perturbation::along(&g, share * self.rho);
        let g_s = surface.gradient_at(&e, &Selection::ALL)?;
        drop(e);
        Ok(g_s.plus(&g).map(|part| part.mul_scalar(0.5)).into())
    }
}

fn main() -> Result<()> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let mut model: Linear = LinearConfig::new(4, 3).init(&device);
    let x = Tensor::<2>::random([48, 4], Distribution::Normal(0.0, 1.0), &device); // [batch, features]
    let y = x.clone().narrow(1, 0, 3).argmax(1).flatten::<1>(0, 1); // [batch]

    let rule = Halfway { rho: 0.1, rise: 20 };
    let mut optimizer = SharpnessAware::new(AdamWConfig::new().init(), rule)?;
    for step in 0..100 {
        let loss = |m: &Linear| cross_entropies(m.forward(x.clone()), y.clone(), 0.0).mean();
        let (next, report) = optimizer.step(5e-2, model, loss)?;
        model = next;
        if step % 20 == 0 {
            let values = report.values()?;
            let share = values.notes["share"];
            println!("step {step}: loss {:.3}, {share:.2} of the radius", values.loss);
        }
    }
    println!("{} passes in {} steps", optimizer.passes(), optimizer.steps());
    Ok(())
}
