//! The command `lowland` for your own task: Friedman's first problem, a regression.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example own-task -- train --algorithm arsam --out friedman
//! cargo run --release -p lowland-examples --example own-task -- compare --seeds 3 --out friedman-compared
//! ```

use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, ElementConversion, Tensor};
use lowland_tasks::own::{OwnData, OwnTask, Reason, SampleSet};

#[derive(Module, Debug)]
struct TwoLayers {
    hidden: Linear,
    output: Linear,
}

/// Ten numbers between 0 and 1, of which five matter.
#[derive(Debug)]
struct Friedman;

impl OwnTask for Friedman {
    type Network = TwoLayers;

    fn name(&self) -> &'static str {
        "friedman"
    }

    fn settings(&self) -> &'static str {
        "epochs = 20\nbatch_size = 32\n[optimizer]\nlearning_rate = 0.005"
    }

    fn data(&self, _folder: Option<&Path>) -> Result<OwnData, Reason> {
        Ok(OwnData::new(samples(0..1_000, 0.5)?, samples(1_000..1_500, 0.0)?))
    }

    fn network(&self, inputs: usize, outputs: usize, device: &Device) -> TwoLayers {
        TwoLayers {
            hidden: LinearConfig::new(inputs, 64).init(device),
            output: LinearConfig::new(64, outputs).init(device),
        }
    }

    fn forward(&self, network: &TwoLayers, inputs: Tensor<2>) -> Tensor<2> {
        network.output.forward(relu(network.hidden.forward(inputs)))
    }
}

/// Points of a Halton sequence and Friedman's function of each, with noise.
fn samples(indices: std::ops::Range<u32>, noise: f64) -> lowland_tasks::Result<SampleSet> {
    const BASES: [u32; 11] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31];
    let (mut inputs, mut numbers) = (Vec::new(), Vec::new());
    for index in indices {
        let x = BASES.map(|base| radical_inverse(index + 20, base));
        let shape = 10.0 * (std::f64::consts::PI * x[0] * x[1]).sin() + 20.0 * (x[2] - 0.5).powi(2);
        let y = shape + 10.0 * x[3] + 5.0 * x[4] + noise * (x[10] - 0.5) * f64::sqrt(12.0);
        inputs.extend(x[..10].iter().map(|x| x.elem::<f32>()));
        numbers.push(y.elem::<f32>());
    }
    SampleSet::of_numbers(inputs, numbers)
}

/// The digits of a number in a base, mirrored at the point: between 0 and 1.
fn radical_inverse(mut index: u32, base: u32) -> f64 {
    let (mut inverse, mut place) = (0.0, 1.0 / f64::from(base));
    while index > 0 {
        inverse += f64::from(index % base) * place;
        index /= base;
        place /= f64::from(base);
    }
    inverse
}

fn main() -> std::process::ExitCode {
    lowland_cli::run_task(Friedman, std::env::args_os())
}
