//! `lowland compare`: the demo's comparison for any data, network and algorithms.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use lowland::Algorithm;
use lowland_tasks::config::TrainConfig;

use crate::comparison::{Comparison, check_seeds};
use crate::equal::Equal;
use crate::failure::Usage;
use crate::settings::SettingFlags;
use crate::terminal::Output;

/// The largest first seed: a file holds no larger number, and a thousand more may follow.
const MOST_SEED: u64 = (1 << 62) - 1;

/// Train several algorithms from the same starts on the same data and compare them
///
/// The first algorithm is the baseline. A budget or radius for all is left out of those that have no
/// place for it, such as SGD. Prints one table and writes report.html and summary.json.
#[derive(Debug, Args)]
pub struct Compare {
    /// The algorithms, separated by commas; sgd is the base optimizer alone. Settings go with the
    /// name, as in sgd,sam:rho=0.1,arsam:controller.window=20; so do its learning rate, budget and
    /// radius, as in adasam:lr=0.001,arsam:budget=1.2,sam:radius.perturb=norms
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "sgd,sam,arsam")]
    algorithms: Vec<String>,
    /// What every algorithm gets the same of; the baseline trains first, for its epochs, where it is not
    /// epochs. Time is best measured with one job
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    equal: Equal,
    /// How many seeds, counted from --first-seed
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=MOST_SEED))]
    first_seed: u64,
    /// How many runs train at once; more are faster together, and each is slower than alone
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// The folder for report.html and summary.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave out the sharpness, which is measured where each run ends, on 500 training images: the largest
    /// eigenvalue of the Hessian, and the largest rise of the loss that SAM's step finds
    #[arg(long)]
    no_sharpness: bool,
    #[command(flatten)]
    output: Output,
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
        let end = self.first_seed.saturating_add(self.seeds);
        let mut configs = Vec::new();
        for algorithm in &self.algorithms {
            let config = self.settings.resolve_among(algorithm)?;
            if config.algorithm.descriptor().name != named(algorithm) {
                bail!(Usage(
                    "--set algorithm.name has no place here: name it in --algorithms".into()
                ));
            }
            if configs.contains(&config) {
                bail!(Usage(format!("{algorithm:?} is in --algorithms twice")));
            }
            configs.push(config);
        }
        if self.equal != Equal::Epochs && configs.iter().any(TrainConfig::is_limited) {
            bail!(Usage(
                "--equal has no place beside a limit on passes or seconds, which is the same for all"
                    .into()
            ));
        }
        let budgets = |config: &TrainConfig| config.budget.or(config.time_budget).is_some();
        if self.settings.budget.or(self.settings.time_budget).is_some()
            && !configs.iter().any(budgets)
        {
            bail!(Usage(
                "no algorithm of --algorithms chooses steps for second gradients: leave the budget out"
                    .into()
            ));
        }
        let mut labels: Vec<&str> = configs.iter().map(TrainConfig::algorithm_label).collect();
        labels.dedup();
        let title = labels.join(", ");
        let question = match labels.as_slice() {
            [baseline, others @ ..] if (1..=3).contains(&others.len()) => format!(
                "Is {} more accurate than {baseline} here, {}?",
                others.join(" or "),
                match self.equal {
                    Equal::Epochs => "and at what cost",
                    Equal::Passes => "for the same number of passes",
                    Equal::Time => "for the same training time",
                }
            ),
            _ => "How accurate does each get here, and at what cost?".to_owned(),
        };
        Comparison {
            title,
            question,
            configs,
            equal: self.equal,
            seeds: (self.first_seed..end).collect(),
            note: String::new(),
            jobs: self.jobs,
            sharpness: !self.no_sharpness,
            output: self.output,
        }
        .run(&self.out)
    }
}

/// The proper name of the algorithm that `text` asks for.
fn named(text: &str) -> &str {
    let name = text.split(':').next().unwrap_or_default();
    Algorithm::named(name).map_or(name, |algorithm| algorithm.descriptor().name)
}
