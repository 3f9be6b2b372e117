//! `lowland bench`: what a step of each algorithm takes, beside the passes that it takes.

mod lane;
mod memory;
mod pytorch;
mod rows;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lowland::{Algorithm, ArsamConfig, ControllerConfig, SharpnessAware, Warmup};
use lowland_tasks::config::OptimizerConfig;
use lowland_tasks::models::ModelName;

use crate::compare::statistics::median;
use crate::failure::Usage;
use crate::settings::count;
use crate::terminal::{Progress, print};
use crate::{device, layout};
use lane::{Lane, MINILM, Place, Step};
use pytorch::PyTorch;
use rows::{Measured, Memory};

/// Measure the time of a step of each algorithm, as a ratio to Burn's or PyTorch's own step
///
/// All algorithms train side by side, a block of steps each in turn, on random images or tokens;
/// the ratio is the median over the blocks. Burn's own step runs no code of Lowland. PyTorch's runs
/// in a process of Python. The overhead is what the ratio to Burn's step has above the passes.
/// Memory is what the program's allocator counts beyond Burn's own step, in copies of the
/// parameters: held between steps, and at most during one. It is measured on the CPU alone.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Bench {
    /// The network, as `lowland list` names it, or minilm: the encoder of texts
    #[arg(long, value_name = "NAME", default_value = "small-cnn")]
    model: String,
    /// Images or texts in a step
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 64)]
    batch_size: usize,
    /// The algorithms, as `lowland list` names them, with commas between; all if left out
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    algorithms: Vec<String>,
    /// Baseline for the time ratios; pytorch needs Python with the package torch
    #[arg(long, value_enum, default_value_t = Against::Burn)]
    against: Against,
    /// The Python for --against pytorch
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Threads, of Burn's CPU backend and of PyTorch; the default is Rayon's: `RAYON_NUM_THREADS`,
    /// or all cores
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    threads: Option<usize>,
    /// Blocks of each algorithm
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 15)]
    rounds: usize,
    /// Steps in a block, at least 4; ARSAM takes one second gradient in as many
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 10)]
    steps: usize,
    /// Do not measure memory, which takes four times as many steps as a block for each algorithm
    #[arg(long)]
    no_memory: bool,
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

/// A baseline for the time ratios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Against {
    /// Burn's own training step
    Burn,
    /// PyTorch's, with SGD; its step with SAM is measured too
    Pytorch,
}

/// How many times the memory of each contender is measured; the first does not count.
const MEMORY_ROUNDS: usize = 4;

/// The device whose memory is the program's own.
const CPU: &str = "cpu";

impl Bench {
    /// Measures and prints.
    ///
    /// # Errors
    /// A network, an algorithm or a device that is not known, counts of 0, no PyTorch where it is
    /// asked for.
    pub(crate) fn run(self) -> Result<()> {
        let contenders = self.check()?;
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        let device = device::open(&self.device)?.autodiff();
        let place = Place::new(&self.model, self.batch_size, device)?;
        let memory = self.memory(&contenders, &place)?;
        let mut lanes = Vec::new();
        let mut version = None;
        if self.against == Against::Pytorch {
            for (rule, name) in [("sgd", "PyTorch's step"), ("sam", "PyTorch's step, SAM")] {
                let threads = rayon::current_num_threads();
                let process =
                    PyTorch::start(&self.python, &self.model, self.batch_size, rule, threads)?;
                version = Some(process.version.clone());
                let step = Step::PyTorch(Box::new(process));
                lanes.push(Lane { name: name.to_owned(), step, blocks: Vec::new() });
            }
        }
        // PyTorch's process is not the program's: its memory is not counted.
        let memory = memory.map(|memory| {
            lanes.iter().map(|_| None).chain(memory.into_iter().map(Some)).collect::<Vec<_>>()
        });
        let burn = lanes.len();
        for contender in &contenders {
            lanes.push(self.lane(contender.clone(), &place)?);
        }
        let rounds = self.rounds + 1;
        let progress = Progress::new((rounds * lanes.len()) as u64, self.quiet || self.json);
        for round in 0..rounds {
            for lane in &mut lanes {
                let block = lane.block(&place, self.steps)?;
                // The first round warms up.
                if round > 0 {
                    lane.blocks.push(block);
                }
                progress.step(|| lane.name.clone());
            }
        }
        drop(progress);
        let measured = Measured {
            lanes: &lanes,
            burn,
            memory: memory.as_deref(),
            batch: self.batch_size,
            threads: rayon::current_num_threads(),
            pytorch: version,
        };
        let rows = measured.rows();
        if self.json {
            print(&serde_json::to_string_pretty(&rows)?)
        } else {
            print(&measured.table(&rows, layout::width()))
        }
    }

    /// Checks what can be checked before anything is measured, and returns what is to be measured.
    ///
    /// # Errors
    /// A network or an algorithm that is not known, counts that are out of range.
    pub(crate) fn check(&self) -> Result<Vec<Option<Algorithm>>> {
        for (flag, count, least, most) in [
            ("--batch-size", self.batch_size, 1, 65_536),
            ("--rounds", self.rounds, 1, 100_000),
            ("--steps", self.steps, 4, 10_000),
            ("--threads", self.threads.unwrap_or(1), 1, 1024),
        ] {
            if !(least..=most).contains(&count) {
                bail!(Usage(format!("{flag} must be between {least} and {most}, found {count}")));
            }
        }
        if self.model != MINILM {
            self.model.parse::<ModelName>()?;
        }
        self.contenders()
    }

    /// Burn's own step, and the algorithms that are asked for.
    fn contenders(&self) -> Result<Vec<Option<Algorithm>>> {
        let mut named = Vec::new();
        if self.algorithms.is_empty() {
            named.extend(Algorithm::ALL.iter().filter_map(|of| Algorithm::named(of.name)));
            // Composed, unless its parts are named, is SAM.
            named.retain(|algorithm| !matches!(algorithm, Algorithm::Composed(_)));
        }
        for name in &self.algorithms {
            let Some(algorithm) = Algorithm::named(name) else {
                let known = Algorithm::ALL.iter().map(|of| of.name).collect::<Vec<_>>().join(", ");
                bail!(Usage(format!("--algorithms must be among {known}, found {name}")));
            };
            named.push(algorithm);
        }
        Ok(std::iter::once(None).chain(named.into_iter().map(Some)).collect())
    }

    fn lane(&self, contender: Option<Algorithm>, place: &Place) -> Result<Lane> {
        let base = OptimizerConfig::default().build()?;
        let network = Some(place.network()?);
        let (name, step) = match contender {
            None => ("Burn's own step", Step::Burn(network, base)),
            Some(algorithm) => {
                let algorithm = self.steady(algorithm);
                let base = algorithm.base()?.unwrap_or(base);
                let optimizer = SharpnessAware::new(base, algorithm.build()?)?
                    .with_seed(0)
                    .with_steps_per_epoch(self.steps as u64)
                    .with_total_steps((self.steps * (self.rounds + 1)) as u64);
                (algorithm.descriptor().label, Step::Lowland(network, Box::new(optimizer)))
            }
        };
        Ok(Lane { name: name.to_owned(), step, blocks: Vec::new() })
    }

    /// What each contender holds, one alone at a time; `None` where the program's allocator does
    /// not see the device's memory.
    fn memory(
        &self,
        contenders: &[Option<Algorithm>],
        place: &Place,
    ) -> Result<Option<Vec<Memory>>> {
        if self.no_memory || self.device != CPU || !memory::is_counted() {
            return Ok(None);
        }
        let mut measured = vec![(Vec::new(), Vec::new()); contenders.len()];
        let progress =
            Progress::new((MEMORY_ROUNDS * measured.len()) as u64, self.quiet || self.json);
        for round in 0..MEMORY_ROUNDS {
            for (contender, (kept, peaks)) in contenders.iter().zip(&mut measured) {
                let lane = self.lane(contender.clone(), place)?;
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
    fn memory_of(&self, mut lane: Lane, place: &Place) -> Result<(f64, f64)> {
        let bytes = lane.parameter_bytes()?;
        let (mut most_kept, mut highest) = (0, 0);
        // The state of the base is made in the first step, ARSAM's PSF at the end of its second
        // window.
        for _ in 0..2 * self.steps {
            let (done, peak) = memory::peak_of(|| lane.block(place, 1));
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
            Algorithm::Ausam(config) => Algorithm::Ausam(config.with_full_epochs(0)),
            // Its last part.
            Algorithm::LateSam(config) => Algorithm::LateSam(config.with_start(0.0)),
            other => other.with_sample_count(50_000),
        }
    }
}
