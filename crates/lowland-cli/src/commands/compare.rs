//! `lowland compare`: the demo's comparison for any data, network and algorithms.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use toml::Table;

use crate::comparison::{Comparison, check_seeds};
use crate::failure::Usage;
use crate::settings::SettingFlags;

/// Train several algorithms from the same starts on the same data and compare them
///
/// The first algorithm is the baseline. Prints one table and writes report.html and summary.json.
#[derive(Debug, Args)]
pub struct Compare {
    /// The algorithms, separated by commas; sgd is the base optimizer alone. Settings go with the
    /// name, as in sgd,sam:rho=0.1,arsam:controller.window=20
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "sgd,sam,arsam")]
    algorithms: Vec<String>,
    /// How many seeds, counted from --first-seed
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_seed: u64,
    /// How many runs train at once; more are faster together, and each is slower than alone
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// The folder for report.html and summary.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Compare {
    /// Runs the comparison.
    ///
    /// # Errors
    /// Settings or data that make no sense, a folder that cannot be written to, Ctrl-C.
    pub fn run(self) -> Result<()> {
        check_seeds(self.seeds)?;
        if !(1..=64).contains(&self.jobs) {
            bail!(Usage(format!("--jobs must be between 1 and 64, found {}", self.jobs)));
        }
        let Some(end) = self.first_seed.checked_add(self.seeds) else {
            bail!(Usage("--first-seed is too large".to_owned()));
        };
        let mut configs = Vec::new();
        for algorithm in &self.algorithms {
            let config = self.settings.resolve(Some(algorithm), Table::new())?;
            if configs.contains(&config) {
                bail!(Usage(format!("{algorithm:?} is in --algorithms twice")));
            }
            configs.push(config);
        }
        let labels: Vec<_> =
            configs.iter().map(lowland_tasks::config::TrainConfig::algorithm_label).collect();
        let question = match labels.as_slice() {
            [baseline, others @ ..] if !others.is_empty() => format!(
                "Is {} more accurate than {baseline} here, and at what cost?",
                others.join(" or ")
            ),
            _ => "How accurate does training get here, and at what cost?".to_owned(),
        };
        Comparison {
            title: labels.join(", "),
            question,
            configs,
            seeds: (self.first_seed..end).collect(),
            note: String::new(),
            jobs: self.jobs,
            quiet: self.quiet,
        }
        .run(&self.out)
    }
}
