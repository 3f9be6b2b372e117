//! `lowland compare`: the demo's comparison for any data, network and algorithms.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use lowland_tasks::config::TrainConfig;

use crate::commands::present;
use crate::compare::equal::Equal;
use crate::compare::keep::{Keep, Kept};
use crate::compare::plan::MOST_JOBS;
use crate::compare::request::{Request, Seeds, check_margin, check_seeds};
use crate::compare::{self, is_comparison};
use crate::failure::Usage;
use crate::settings::{PRECEDENCE, SettingFlags, count};
use crate::terminal::Output;

/// The largest first seed: a file holds no larger number, and a thousand more may follow.
const MOST_SEED: u64 = (1 << 62) - 1;

/// How many seeds there are where none are asked for.
const SEEDS: u64 = 3;

/// The algorithms where none are named.
const ALGORITHMS: [&str; 3] = ["sgd", "sam", "arsam"];

/// Train several algorithms from the same weights on the same data and compare them
///
/// The first algorithm is the baseline. A budget or radius for all is left out of those that it
/// does not apply to, such as SGD. Each run has a folder of its own in DIR/runs; lowland resume DIR
/// resumes an interrupted comparison. With a DIR that holds a comparison already, adds the
/// algorithms and seeds that it lacks. Prints one table and writes report.html and summary.json.
#[derive(Debug, Args)]
#[command(after_help = PRECEDENCE)]
pub(crate) struct Compare {
    /// The algorithms, separated by commas; sgd is the base optimizer alone. Settings go with the
    /// name, as in sgd,sam:rho=0.1,arsam:controller.window=20; so do its learning rate, budget and
    /// radius, as in adasam:lr=0.001,arsam:budget=1.2,sam:radius.perturb=norms [default:
    /// sgd,sam,arsam]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    algorithms: Option<Vec<String>>,
    /// The training budget that is equal for all algorithms. Unless it is epochs, the baseline
    /// trains first and sets it. With time, use one job [default: epochs]
    #[arg(long, value_name = "WHAT", value_enum)]
    equal: Option<Equal>,
    /// Test for equivalence too: whether an algorithm is as good as the baseline within so many
    /// points, to be stated before anything is trained
    #[arg(long, value_name = "POINTS")]
    margin: Option<f64>,
    /// How many seeds, counted from --first-seed [default: 3]
    #[arg(long, value_name = "N", value_parser = count::<u64>)]
    seeds: Option<u64>,
    /// The first seed [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MOST_SEED))]
    first_seed: Option<u64>,
    /// How many runs train at once, each in a process of its own; more are faster together, and
    /// each is slower than alone. Results are the same for any number [default: 1]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    jobs: Option<usize>,
    /// What is kept of each run once it is done, beside its settings and its result [default:
    /// weights,metrics]
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    keep: Option<Vec<Kept>>,
    /// The folder of the comparison
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave out the sharpness, which is measured where each run ends, on 500 training images: the
    /// largest eigenvalue of the Hessian, and the largest rise of the loss that SAM's step finds
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
    pub(crate) fn run(self) -> Result<()> {
        let request = self.request()?;
        let summary = compare::start(request, &self.out, self.output.quiet)?;
        present(&summary, &self.out, self.output.json)
    }

    /// What is asked for.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub(crate) fn request(&self) -> Result<Request> {
        let (seeds, first) = (self.seeds.unwrap_or(SEEDS), self.first_seed.unwrap_or(0));
        check_seeds(seeds)?;
        check_jobs(self.jobs)?;
        check_margin(self.margin)?;
        let keep = self.keep.as_deref().map(Keep::of).transpose()?;
        let configs = self.configs()?;
        if self.equal.is_some_and(|equal| equal != Equal::Epochs)
            && configs.iter().any(TrainConfig::is_limited)
        {
            bail!(Usage(
                "--equal cannot be used with a limit on passes or seconds, which is the same for all"
                    .into()
            ));
        }
        let seeds = (first..first.saturating_add(seeds)).collect();
        let named = self.seeds.is_some() || self.first_seed.is_some();
        Ok(Request {
            title: None,
            question: None,
            note: String::new(),
            configs,
            named: self.algorithms.is_some(),
            equal: self.equal,
            margin: self.margin,
            tune: None,
            no_sharpness: self.no_sharpness,
            seeds: if named { Seeds::Named(seeds) } else { Seeds::Default(seeds) },
            keep,
            jobs: self.jobs,
        })
    }

    /// The settings of the algorithms that are asked for.
    fn configs(&self) -> Result<Vec<TrainConfig>> {
        let default = || ALGORITHMS.map(str::to_owned).to_vec();
        let algorithms = self.algorithms.clone().unwrap_or_else(default);
        let mut configs = Vec::new();
        for algorithm in &algorithms {
            let config = self.settings.resolve_among(algorithm)?;
            if configs.contains(&config) {
                bail!(Usage(format!("{algorithm:?} is in --algorithms twice")));
            }
            configs.push(config);
        }
        let budgets = |config: &TrainConfig| config.budget.or(config.time_budget).is_some();
        // Those of a comparison that is there may have one.
        if self.settings.budget.or(self.settings.time_budget).is_some()
            && !configs.iter().any(budgets)
            && !is_comparison(&self.out)
        {
            bail!(Usage(
                "no algorithm of --algorithms chooses steps for second gradients: leave the budget out"
                    .into()
            ));
        }
        if self.settings.late_start.is_some()
            && !configs.iter().any(|config| config.late_start.is_some())
            && !is_comparison(&self.out)
        {
            bail!(Usage(
                "no algorithm of --algorithms can start late: leave --late-start out".into()
            ));
        }
        Ok(configs)
    }
}

/// Checks how many runs are to train at once, where that is asked for.
///
/// # Errors
/// None, or more than 64.
pub(crate) fn check_jobs(jobs: Option<usize>) -> Result<()> {
    match jobs {
        Some(jobs) if !(1..=MOST_JOBS).contains(&jobs) => {
            bail!(Usage(format!("--jobs must be between 1 and {MOST_JOBS}, found {jobs}")))
        }
        _ => Ok(()),
    }
}
