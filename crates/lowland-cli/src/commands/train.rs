//! `lowland train`: one run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::{Data, Training};
use toml::{Table, Value};

use crate::failure::Usage;
use crate::run_folder::RunFolder;
use crate::settings::{SettingFlags, lay_over, nested};
use crate::terminal::Output;
use crate::together::{Company, Together, perturb};
use crate::{device, run};

/// Train one network and keep its weights
///
/// Writes config.toml, which repeats the run, metrics.jsonl, a line for every step and epoch, and
/// the final weights as model.bpk (Burn's record) and model.safetensors.
#[derive(Debug, Args)]
pub struct Train {
    /// The algorithm; sgd is the base optimizer alone. Settings go with the name, as in
    /// arsam:rho=0.1:controller.window=20:budget=1.2 [default: sam]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// The radius of the algorithm [default: the algorithm's own]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    rho: Option<f64>,
    /// The seed of everything random [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..), allow_negative_numbers = true)]
    seed: Option<i64>,
    /// The folder of the run; it must not hold another run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Save the run after every so many steps too, and not only after each epoch
    #[arg(long, value_name = "N", help_heading = "Checkpoints", allow_negative_numbers = true)]
    checkpoint_steps: Option<i64>,
    /// Save it too once so many minutes have gone by [default: 10]
    #[arg(long, value_name = "F", help_heading = "Checkpoints", allow_negative_numbers = true)]
    checkpoint_minutes: Option<f64>,
    /// How many of the latest checkpoints are kept, beside the best one [default: 3]
    #[arg(long, value_name = "N", help_heading = "Checkpoints", allow_negative_numbers = true)]
    keep: Option<i64>,
    /// Measure the sharpness after every so many steps: the largest eigenvalue of the Hessian, and the largest
    /// rise of the loss that SAM's step finds, on 500 training images
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    sharpness_every: Option<i64>,
    /// Whose gradient the perturbation is taken along, where several workers train: global (that of all), local
    /// (each its own) or a number (groups of so many) [default: global]
    #[arg(long, value_name = "WHOSE", help_heading = "Many machines")]
    perturb: Option<String>,
    #[command(flatten)]
    together: Together,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Train {
    /// Runs the training.
    ///
    /// # Errors
    /// Settings or data that make no sense, a folder that holds a run or cannot be written to, a
    /// loss that is not finite for too long, Ctrl-C.
    pub fn run(self) -> Result<()> {
        let company = self.together.join()?;
        let result = self.train(&company);
        company.part(result)
    }

    fn train(&self, company: &Company) -> Result<()> {
        let config = self.config()?;
        let device = device::open(&company.device(&config.device))?;
        let data = Data::load(&config)?;
        let training = company.take_in(Training::new(&config, &data, &device)?, &config)?;
        if !company.is_first() {
            return run::follow(training);
        }
        let folder = RunFolder::create(&self.out, &config)?;
        let journal = folder.journal(&BTreeMap::new())?;
        run::run(training, &data, &config, &folder, journal, self.output)
    }

    fn config(&self) -> Result<TrainConfig> {
        let mut over = Table::new();
        if let Some(seed) = self.seed {
            over.insert("seed".to_owned(), Value::Integer(seed));
        }
        if let Some(whose) = &self.perturb {
            over.insert("perturb".to_owned(), Value::try_from(perturb(whose)?)?);
        }
        if let Some(steps) = self.sharpness_every {
            over.insert("sharpness_every".to_owned(), Value::Integer(steps));
        }
        for (key, value) in [
            ("every_steps", self.checkpoint_steps.map(Value::Integer)),
            ("every_minutes", self.checkpoint_minutes.map(Value::Float)),
            ("keep", self.keep.map(Value::Integer)),
        ] {
            if let Some(value) = value {
                lay_over(&mut over, nested(&format!("checkpoints.{key}"), value));
            }
        }
        if let Some(rho) = self.rho {
            let config = self.settings.resolve(self.algorithm.as_deref(), Table::new())?;
            let algorithm = Table::try_from(&config.algorithm)?;
            if !algorithm.contains_key("rho") {
                bail!(Usage(format!(
                    "{} has no radius: leave --rho out",
                    config.algorithm_label()
                )));
            }
            over.extend(nested("algorithm.rho", Value::Float(rho)));
        }
        self.settings.resolve(self.algorithm.as_deref(), over)
    }
}
