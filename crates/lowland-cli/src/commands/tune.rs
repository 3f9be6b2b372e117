//! `lowland tune`: whether sharpness-aware training helps on a task, and with which settings.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use lowland_tasks::config::TrainConfig;

use crate::commands::budget::BudgetFlags;
use crate::commands::compare::check_jobs;
use crate::commands::present;
use crate::commands::tries::{self, Expanded};
use crate::compare::keep::{Keep, Kept};
use crate::compare::label::labels;
use crate::compare::plan::MOST_SEEDS;
use crate::compare::request::{Request, Seeds, check_margin};
use crate::compare::terms::Terms;
use crate::compare::tune::{self, MOST_FIRST_SEED};
use crate::failure::Usage;
use crate::report::answer::margin_points;
use crate::settings::{PRECEDENCE, SettingFlags, count};
use crate::terminal::{self, Output};
use crate::words::counted;

/// The algorithms where none are named.
const ALGORITHMS: [&str; 2] = ["sgd", "sam"];

/// The gain that counts, in points, where none is stated.
const MARGIN: f64 = 0.5;

/// Find out whether sharpness-aware training helps on your task, and with which settings
///
/// Searches the settings on the validation samples by successive halving: all train with one seed,
/// the better half with more, until one is left, in at most half of the budget. The winner and the
/// first algorithm, the baseline, then train with fresh seeds for as long as the budget lasts, and
/// are compared: yes, there is a gain; no, one of the margin is ruled out; or not decided within
/// the budget. Last, both are compared on the test samples, once. All runs get the same epochs.
/// lowland resume DIR resumes an interrupted search, and takes a larger budget too. Prints tables
/// and writes report.html and summary.json.
///
/// Example: lowland tune --label-noise 0.3 --try rho=0.05..0.4 --budget-time 10m --out tuned
#[derive(Debug, Args)]
#[command(after_help = PRECEDENCE)]
pub(crate) struct Tune {
    /// The algorithms, the baseline first, separated by commas; settings go with the name as in
    /// lowland compare [default: sgd,sam]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    algorithms: Option<Vec<String>>,
    /// Values to try for a setting of every algorithm that has it, the baseline included, or of
    /// one: rho=0.05,0.1,0.2; rho=0.05..0.4, each about twice the one before; rho=0.05..0.4/6, six
    /// of them at equal ratios; arsam:rho=0.1,0.2. May be repeated; all combinations are tried
    /// [default: each algorithm's own radius, and 2, 4 and 8 times that]
    #[arg(long = "try", value_name = "KEY=VALUES")]
    tries: Vec<String>,
    /// The gain that counts, in points of accuracy or of what else the task is measured by
    #[arg(long, value_name = "POINTS", default_value_t = MARGIN)]
    margin: f64,
    #[command(flatten)]
    budget: BudgetFlags,
    /// The first seed of the search; the fresh seeds are 1000 above it and more
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=MOST_FIRST_SEED))]
    first_seed: u64,
    /// How many runs train at once, each in a process of its own; more are faster together, and
    /// each is slower than alone. Results are the same for any number [default: 1]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    jobs: Option<usize>,
    /// What is kept of each run once it is done, beside its settings and its result [default:
    /// nothing]
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    keep: Option<Vec<Kept>>,
    /// The folder of the search
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Tune {
    /// Searches and answers.
    ///
    /// # Errors
    /// Settings or data that make no sense, a folder that cannot be written to, Ctrl-C.
    pub(crate) fn run(self) -> Result<()> {
        let (request, notes) = self.request()?;
        for note in notes {
            terminal::note(&note, self.output.quiet);
        }
        let summary = tune::start(request, &self.out, self.output.quiet)?;
        present(&summary, &self.out, self.output.json)
    }

    /// What is asked for, and what of it does not apply.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub(crate) fn request(&self) -> Result<(Request, Vec<String>)> {
        check_jobs(self.jobs)?;
        check_margin(Some(self.margin))?;
        let Some(budget) = self.budget.budget()? else {
            bail!(Usage(
                "say how long to search: --budget-runs, --budget-passes or --budget-time, such as \
                 --budget-time 10m"
                    .to_owned()
            ));
        };
        let default = || ALGORITHMS.map(str::to_owned).to_vec();
        let algorithms = self.algorithms.clone().unwrap_or_else(default);
        if algorithms.len() < 2 {
            bail!(Usage("--algorithms needs a baseline and at least one other".to_owned()));
        }
        let Expanded { names, notes } = tries::expanded(&self.settings, &algorithms, &self.tries)?;
        let bases = names.first().map_or(0, Vec::len);
        let configs: Vec<TrainConfig> = names
            .iter()
            .flatten()
            .map(|name| self.settings.resolve_among(name))
            .collect::<Result<_>>()?;
        if let Some(place) =
            (1..configs.len()).find(|&place| configs[..place].contains(&configs[place]))
        {
            let name = names.iter().flatten().nth(place).map_or("", String::as_str);
            bail!(Usage(format!("{name:?} is among the settings twice")));
        }
        if configs.len() > MOST_SEEDS {
            let found = configs.len();
            bail!(Usage(format!("a search has at most {MOST_SEEDS} settings, found {found}")));
        }
        let keep = Keep::of(self.keep.as_deref().unwrap_or(&[Kept::Nothing]))?;
        let (title, question) = self.words(&configs, bases);
        let request = Request {
            title: Some(title),
            question: Some(question),
            note: String::new(),
            configs,
            named: true,
            equal: None,
            margin: Some(self.margin),
            tune: Some(Terms { bases, first_seed: self.first_seed, budgets: 1, budget }),
            no_sharpness: true,
            seeds: Seeds::Default(vec![self.first_seed]),
            keep: Some(keep),
            jobs: self.jobs,
        };
        Ok((request, notes))
    }

    /// Title and question.
    fn words(&self, configs: &[TrainConfig], bases: usize) -> (String, String) {
        let mut names: Vec<&str> =
            configs[bases..].iter().map(TrainConfig::algorithm_label).collect();
        names.dedup();
        let names = match &names[..] {
            [front @ .., last] if !front.is_empty() => format!("{} or {last}", front.join(", ")),
            names => names.concat(),
        };
        let base = match bases {
            1 => labels(configs)[0].clone(),
            _ => configs[0].algorithm_label().to_owned(),
        };
        let margin = margin_points(self.margin / 100.0);
        let question = format!(
            "Which of {} is best on validation, and does it gain {margin} or more over {base}?",
            counted(configs.len() - bases, "setting"),
        );
        (format!("Does {names} help here?"), question)
    }
}
