//! `lowland bench`: what a step of each algorithm takes, beside the passes that it takes.

use std::time::Instant;

use anyhow::{Result, bail};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use lowland::cross_entropies;
use lowland::{
    Algorithm, ArsamConfig, AusamConfig, BatchInfo, ControllerConfig, Parameters, Samples,
    SharpnessAware, Warmup,
};
use lowland_tasks::config::OptimizerConfig;
use lowland_tasks::data::ImageBatch;
use lowland_tasks::models::{Model, ModelName};

use crate::failure::Usage;
use crate::statistics::{median, quantile};
use crate::terminal::{Progress, print};
use crate::{device, memory};

/// Measure a step of each algorithm, its time as a ratio to Burn's own training step
///
/// All algorithms train side by side in one process, a block of steps each in turn, on random
/// images; what is told is the median over the blocks of the ratio to Burn's own step, which runs
/// no code of Lowland. The overhead is what the ratio has above the passes. Memory is what the
/// program's allocator counts beyond Burn's own step, in copies of the parameters: held between
/// steps, and at most during one. It is told on the CPU alone.
#[derive(Debug, Args)]
pub struct Bench {
    /// The network, as `lowland list` names it
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
    #[arg(long, value_name = "NAME", default_value = CPU)]
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
    #[serde(flatten)]
    memory: Option<Memory>,
}

/// What a contender holds beyond Burn's own step, in copies of the parameters.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Memory {
    /// Between steps.
    kept_copies: f64,
    /// At most during a step.
    peak_copies: f64,
}

/// How many times the memory of each contender is measured; the first does not count.
const MEMORY_ROUNDS: usize = 4;

/// The device whose memory is the program's own.
const CPU: &str = "cpu";

/// What all contenders share.
struct Place<'a> {
    model: ModelName,
    channels: usize,
    device: &'a Device,
    batch: &'a ImageBatch,
}

impl Place<'_> {
    fn losses(&self, model: &Model, samples: &Samples) -> Tensor<1> {
        let (images, labels) = self.batch.select(samples);
        cross_entropies(model.forward(images), labels, 0.0)
    }
}

/// One contender under measurement.
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
        let uniform = Distribution::Uniform(0.0, 10.0);
        let batch = ImageBatch {
            images: Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device),
            labels: Tensor::<1>::random([self.batch_size], uniform, &device).int(),
            indices: (0..self.batch_size).collect(),
        };
        let place = Place { model: name, channels, device: &device, batch: &batch };
        let memory = self.memory(&place)?;
        let mut lanes = Vec::new();
        for contender in contenders() {
            lanes.push(self.lane(contender, &place)?);
        }
        let rounds = self.rounds + 1;
        let progress = Progress::new((rounds * lanes.len()) as u64, self.quiet || self.json);
        for round in 0..rounds {
            for lane in &mut lanes {
                // The first round warms up.
                lane.block(&place, self.steps, round > 0)?;
                progress.step(|| lane.name.clone());
            }
        }
        drop(progress);
        let rows = rows(&lanes, memory.as_deref(), self.steps, rounds);
        if self.json { print(&serde_json::to_string_pretty(&rows)?) } else { print(&table(&rows)) }
    }

    fn lane(&self, contender: Option<Algorithm>, place: &Place<'_>) -> Result<Lane> {
        let base = OptimizerConfig::default().build()?;
        let model = Some(place.model.init(10, place.channels, 0, place.device)?);
        let (name, step) = match contender {
            None => ("Burn's own step", Step::Burn(base)),
            Some(algorithm) => {
                let algorithm = self.steady(algorithm);
                let base = algorithm.base()?.unwrap_or(base);
                let optimizer = SharpnessAware::new(base, algorithm.build()?)?
                    .with_steps_per_epoch(self.steps as u64)
                    .with_total_steps((self.steps * (self.rounds + 1)) as u64);
                (algorithm.descriptor().label, Step::Lowland(Box::new(optimizer)))
            }
        };
        Ok(Lane { name: name.to_owned(), model, step, seconds: Vec::new() })
    }

    /// What each contender holds, one alone at a time; `None` where the program's allocator does not
    /// see the device's memory.
    fn memory(&self, place: &Place<'_>) -> Result<Option<Vec<Memory>>> {
        if self.device != CPU {
            return Ok(None);
        }
        let mut measured = vec![(Vec::new(), Vec::new()); contenders().count()];
        let progress =
            Progress::new((MEMORY_ROUNDS * measured.len()) as u64, self.quiet || self.json);
        for round in 0..MEMORY_ROUNDS {
            for (contender, (kept, peaks)) in contenders().zip(&mut measured) {
                let lane = self.lane(contender, place)?;
                progress.step(|| format!("memory of {}", lane.name));
                let (most_kept, peak) = self.memory_of(lane, place)?;
                // In the first round threads and buffers are made, which stay whatever trains.
                if round > 0 {
                    kept.push(most_kept);
                    peaks.push(peak);
                }
            }
        }
        let median = |values: &[f64]| median(values).unwrap_or(f64::NAN);
        let (burn_kept, burn_peak) = (median(&measured[0].0), median(&measured[0].1));
        let beyond = |(kept, peaks): (Vec<f64>, Vec<f64>)| Memory {
            kept_copies: median(&kept) - burn_kept,
            peak_copies: median(&peaks) - burn_peak,
        };
        Ok(Some(measured.into_iter().map(beyond).collect()))
    }

    /// The most that one contender holds between steps and during one, in copies of its parameters.
    fn memory_of(&self, mut lane: Lane, place: &Place<'_>) -> Result<(f64, f64)> {
        let bytes = parameter_bytes(&lane)?;
        let (mut most_kept, mut highest) = (0, 0);
        // The state of the base is made in the first step, ARSAM's PSF at the end of its second window.
        for _ in 0..2 * self.steps {
            let (done, peak) = memory::peak_of(|| lane.block(place, 1, false));
            done?;
            most_kept = most_kept.max(memory::held());
            highest = highest.max(peak);
        }
        drop(lane);
        let without = memory::held();
        let copies = |held: usize| held.saturating_sub(without) as f64 / bytes;
        Ok((copies(most_kept), copies(highest)))
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
            Algorithm::Ausam(config) => Algorithm::Ausam(AusamConfig { full_epochs: 0, ..config }),
            other => other,
        }
    }
}

/// Burn's own step, which all others are measured against, and every algorithm.
fn contenders() -> impl Iterator<Item = Option<Algorithm>> {
    let named = Algorithm::ALL.iter().filter_map(|descriptor| Algorithm::named(descriptor.name));
    // Composed, unless it is told what of, is SAM.
    let named = named.filter(|algorithm| !matches!(algorithm, Algorithm::Composed(_)));
    std::iter::once(None).chain(named.map(Some))
}

/// The bytes of a lane's trainable parameters.
fn parameter_bytes(lane: &Lane) -> Result<f64> {
    let Some(model) = &lane.model else { bail!("a step failed") };
    let parameters = Parameters::of(model)?;
    let numbers: usize = parameters.iter().map(|p| p.shape.num_elements()).sum();
    Ok((numbers * size_of::<f32>()) as f64)
}

impl Lane {
    fn block(&mut self, place: &Place<'_>, steps: usize, counts: bool) -> Result<()> {
        let told = BatchInfo::default().with_indices(&place.batch.indices);
        let started = Instant::now();
        for _ in 0..steps {
            let Some(model) = self.model.take() else { bail!("a step failed") };
            self.model = Some(match &mut self.step {
                Step::Burn(optimizer) => {
                    let losses = place.losses(&model, &Samples::All);
                    let gradients = losses.mean().backward();
                    let gradients = GradientsParams::from_grads(gradients, &model);
                    optimizer.step(1e-3, model, gradients)
                }
                Step::Lowland(optimizer) => {
                    let losses = |model: &Model, _, samples: &Samples| place.losses(model, samples);
                    optimizer.step_micro_batches(1e-3, model, &told, losses)?.0
                }
            });
        }
        place.device.sync()?;
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

fn rows(lanes: &[Lane], memory: Option<&[Memory]>, steps: usize, rounds: usize) -> Vec<Row> {
    let base = &lanes[0].seconds;
    let row = |(i, lane): (usize, &Lane)| {
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
            memory: memory.map(|memory| memory[i]),
        }
    };
    lanes.iter().enumerate().map(row).collect()
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
        "memory kept",
        "peak",
    ]);
    for row in rows {
        let [low, high] = row.time_ratio_quartiles;
        table.add_row([
            row.algorithm.clone(),
            format!("{:.2}", row.milliseconds_per_step),
            format!("{:.2}", row.passes_per_step),
            format!("{:.3} ({low:.2} to {high:.2})", row.time_ratio),
            format!("{:+.1} %", row.overhead * 100.0),
            copies(row.memory.map(|memory| memory.kept_copies)),
            copies(row.memory.map(|memory| memory.peak_copies)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Copies of the parameters, in a cell.
fn copies(copies: Option<f64>) -> String {
    // A small negative number would round to -0.0.
    copies
        .map_or("–".to_owned(), |copies| format!("{:+.1}", (copies * 10.0).round() / 10.0 + 0.0))
}
