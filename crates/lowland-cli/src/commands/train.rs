//! `lowland train`: one run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lowland_tasks::Spec;
use lowland_tasks::config::AscentScope;
use lowland_tasks::train::Training;
use serde::Serialize;

use crate::data_notes::data_notes;
use crate::run::folder::RunFolder;
use crate::run::world::{World, WorldFlags};
use crate::settings::{PRECEDENCE, SettingFlags, count};
use crate::terminal::Output;
use crate::{device, program, run, terminal};

/// Train one network and keep its weights
///
/// Writes config.toml (it repeats the run), metrics.jsonl (a line for every step and epoch) and the
/// tested weights as model.bpk (Burn's record) and model.safetensors (for PyTorch).
#[derive(Debug, Args)]
#[command(after_help = PRECEDENCE)]
pub(crate) struct Train {
    /// The algorithm; sgd is the base optimizer alone. Settings go with the name, as in
    /// arsam:rho=0.1:controller.window=20:budget=1.2 [default: sam]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// The folder of the run; it must not hold another run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    world: WorldFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

/// What decides one run, beside its algorithm and the settings that a comparison shares. A flag
/// that is given serialises to its setting.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RunFlags {
    /// The radius of the algorithm [default: the algorithm's own]
    #[arg(long, value_name = "F")]
    rho: Option<f64>,
    /// The seed of everything random [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// End after so many epochs in a row without improvement on the validation samples [default:
    /// train all epochs]
    #[arg(long, value_name = "EPOCHS", value_parser = count::<u32>, help_heading = "Training")]
    patience: Option<u32>,
    /// Save the run after every so many steps too, and not only after each epoch
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Checkpoints")]
    checkpoint_steps: Option<u32>,
    /// Save the run every so many minutes too [default: 10]
    #[arg(long, value_name = "F", help_heading = "Checkpoints")]
    checkpoint_minutes: Option<f64>,
    /// How many of the latest checkpoints are kept, beside the best one [default: 3]
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Checkpoints")]
    keep: Option<u32>,
    /// Measure the sharpness after every so many steps: the largest eigenvalue of the Hessian, and
    /// the largest rise of the loss that SAM's step finds, on 500 training images
    #[arg(long, value_name = "N", value_parser = count::<u32>)]
    sharpness_every: Option<u32>,
    /// Samples that the ascent gradient is averaged over: global (the whole batch), local (each
    /// worker's shard), N (groups of N workers) or micro-batch [default: global]
    #[arg(long, value_name = "SCOPE", help_heading = "Training")]
    ascent_scope: Option<AscentScope>,
}

impl Train {
    /// Runs the training.
    ///
    /// # Errors
    /// Settings or data that make no sense, a folder that holds a run or cannot be written to, a
    /// loss that is not finite for too long, Ctrl-C.
    pub(crate) fn run(self) -> Result<()> {
        let world = self.world.join()?;
        let result = self.train(&world);
        world.leave(result)
    }

    /// The checked settings of the run.
    ///
    /// # Errors
    /// As [`SettingFlags::resolve`].
    pub(crate) fn spec(&self) -> Result<Spec> {
        self.settings.resolve(self.algorithm.as_deref(), &self.run)
    }

    fn train(&self, world: &World) -> Result<()> {
        let spec = self.spec()?;
        let config = spec.config().clone();
        let device = device::open(&world.device(&config.device))?;
        let data = program::load(&config)?;
        let training = world.attach(Training::new(spec, &data, &device)?, &config)?;
        if !world.is_first() {
            return run::follow(training);
        }
        let folder = RunFolder::create(&self.out, &config)?;
        // Not progress: --quiet leaves them.
        for note in data_notes(&data, &config) {
            terminal::note(&note, false);
        }
        let journal = folder.journal(&BTreeMap::new(), &config, &data)?;
        run::run(training, &data, &config, &folder, journal, self.output)
    }
}
