//! `lowland bench`: what a step of each algorithm takes, beside the passes that it takes.

use std::time::Instant;

use anyhow::{Result, bail};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use lowland::{Algorithm, ArsamConfig, ControllerConfig, Samples, SharpnessAware, Warmup};
use lowland_tasks::config::OptimizerConfig;
use lowland_tasks::loss::cross_entropies;
use lowland_tasks::models::{Model, ModelName};

use crate::device;
use crate::failure::Usage;
use crate::statistics::{median, quantile};
use crate::terminal::{Progress, print};

/// Time a step of each algorithm, as a ratio to Burn's own training step
///
/// All algorithms train side by side in one process, a block of steps each in turn, on random
/// images; what is told is the median over the blocks of the ratio to Burn's own step, which runs
/// no code of Lowland. The overhead is what the ratio has above the passes.
#[derive(Debug, Args)]
pub struct Bench {
    /// The network: small-cnn, resnet20
    #[arg(long, value_name = "NAME", default_value = "small-cnn")]
    model: String,
    /// Images in a step
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// Blocks of each algorithm
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: usize,
    /// Steps in a block, at least 4; ARSAM takes one second gradient in as many
    #[arg(long, value_name = "N", default_value_t = 10)]
    steps: usize,
    /// The device, as `lowland list` names it
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// What was measured of one algorithm.
#[derive(Debug, serde::Serialize)]
struct Row {
    algorithm: String,
    milliseconds_per_step: f64,
    passes_per_step: f64,
    time_ratio: f64,
    /// The quartiles of the ratio over the blocks.
    time_ratio_quartiles: [f64; 2],
    overhead: f64,
}

/// A batch of random images.
struct Batch {
    images: Tensor<4>,
    labels: Tensor<1, Int>,
}

impl Batch {
    fn losses(&self, model: &Model) -> Tensor<1> {
        cross_entropies(model.forward(self.images.clone()), self.labels.clone(), 0.0)
    }
}

/// One algorithm under measurement.
struct Lane {
    name: String,
    model: Option<Model>,
    step: Step,
    seconds: Vec<f64>,
}

enum Step {
    Burn(burn::optim::ModuleOptimizer),
    Lowland(Box<SharpnessAware>),
}

impl Bench {
    /// Measures and prints.
    ///
    /// # Errors
    /// A network or device that is not known, counts of 0.
    pub fn run(self) -> Result<()> {
        for (flag, count, least, most) in [
            ("--batch-size", self.batch_size, 1, 65_536),
            ("--rounds", self.rounds, 1, 100_000),
            ("--steps", self.steps, 4, 10_000),
        ] {
            if !(least..=most).contains(&count) {
                bail!(Usage(format!("{flag} must be between {least} and {most}, found {count}")));
            }
        }
        let name: ModelName = self.model.parse()?;
        let device = device::open(&self.device)?.autodiff();
        let side = if name == ModelName::SmallCnn { 28 } else { 32 };
        let channels = if name == ModelName::SmallCnn { 1 } else { 3 };
        let shape = [self.batch_size, channels, side, side]; // [batch, channels, height, width]
        device.seed(0);
        let batch = Batch {
            images: Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device),
            labels: Tensor::<1>::random(
                [self.batch_size],
                Distribution::Uniform(0.0, 10.0),
                &device,
            )
            .int(),
        };
        let mut lanes = self.lanes(name, channels, &device)?;
        let rounds = self.rounds + 1;
        let progress = Progress::new((rounds * lanes.len()) as u64, self.quiet || self.json);
        for round in 0..rounds {
            for lane in &mut lanes {
                // The first round warms up.
                lane.block(&batch, self.steps, &device, round > 0)?;
                progress.step(|| lane.name.clone());
            }
        }
        drop(progress);
        let rows = rows(&lanes, self.steps, rounds);
        if self.json { print(&serde_json::to_string_pretty(&rows)?) } else { print(&table(&rows)) }
    }

    fn lanes(&self, name: ModelName, channels: usize, device: &Device) -> Result<Vec<Lane>> {
        let base = OptimizerConfig::default().build()?;
        let lane = |label: &str, step| -> Result<Lane> {
            let model = Some(name.init(10, channels, 0, device)?);
            Ok(Lane { name: label.to_owned(), model, step, seconds: Vec::new() })
        };
        let mut lanes = vec![lane("Burn's own step", Step::Burn(base.clone()))?];
        for descriptor in Algorithm::ALL {
            let Some(algorithm) = Algorithm::named(descriptor.name) else { continue };
            let algorithm = self.steady(algorithm);
            let optimizer = SharpnessAware::new(base.clone(), algorithm.build()?)
                .with_total_steps((self.steps * (self.rounds + 1)) as u64);
            lanes.push(lane(descriptor.label, Step::Lowland(Box::new(optimizer)))?);
        }
        Ok(lanes)
    }

    /// ARSAM as it is long after its warm-up: one second gradient in a window as long as a block.
    fn steady(&self, algorithm: Algorithm) -> Algorithm {
        match algorithm {
            Algorithm::Arsam(config) => {
                let controller = ControllerConfig {
                    window: self.steps,
                    blocks: 2,
                    gain_ratio: 0.0,
                    gain_variance: 0.0,
                    max_fraction: 1.0,
                    warmup: Warmup::Steps(0),
                    ..config.controller
                };
                Algorithm::Arsam(ArsamConfig { controller, ..config })
            }
            other => other,
        }
    }
}

impl Lane {
    fn block(&mut self, batch: &Batch, steps: usize, device: &Device, counts: bool) -> Result<()> {
        let started = Instant::now();
        for _ in 0..steps {
            let Some(model) = self.model.take() else { bail!("a step failed") };
            self.model = Some(match &mut self.step {
                Step::Burn(optimizer) => {
                    let gradients = batch.losses(&model).mean().backward();
                    let gradients = GradientsParams::from_grads(gradients, &model);
                    optimizer.step(1e-3, model, gradients)
                }
                Step::Lowland(optimizer) => {
                    optimizer.step(1e-3, model, |model: &Model, _: &Samples| batch.losses(model))?.0
                }
            });
        }
        device.sync()?;
        if counts {
            self.seconds.push(started.elapsed().as_secs_f64() / steps as f64);
        }
        Ok(())
    }

    fn passes(&self, steps: f64) -> f64 {
        match &self.step {
            Step::Burn(_) => 1.0,
            Step::Lowland(optimizer) => optimizer.passes() / steps,
        }
    }
}

fn rows(lanes: &[Lane], steps: usize, rounds: usize) -> Vec<Row> {
    let base = &lanes[0].seconds;
    let row = |lane: &Lane| {
        let ratios: Vec<f64> =
            lane.seconds.iter().zip(base).map(|(mine, base)| mine / base).collect();
        let time_ratio = median(&ratios).unwrap_or(f64::NAN);
        let passes_per_step = lane.passes((steps * rounds) as f64);
        Row {
            algorithm: lane.name.clone(),
            milliseconds_per_step: median(&lane.seconds).unwrap_or(f64::NAN) * 1e3,
            passes_per_step,
            time_ratio,
            time_ratio_quartiles: [quantile(&ratios, 0.25), quantile(&ratios, 0.75)],
            overhead: time_ratio / passes_per_step - 1.0,
        }
    };
    lanes.iter().map(row).collect()
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "algorithm",
        "ms a step",
        "passes a step",
        "time ratio (quartiles)",
        "above the passes",
    ]);
    for row in rows {
        let [low, high] = row.time_ratio_quartiles;
        table.add_row([
            row.algorithm.clone(),
            format!("{:.2}", row.milliseconds_per_step),
            format!("{:.2}", row.passes_per_step),
            format!("{:.3} ({low:.2} to {high:.2})", row.time_ratio),
            format!("{:+.1} %", row.overhead * 100.0),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
