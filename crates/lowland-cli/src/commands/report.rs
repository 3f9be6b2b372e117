//! `lowland report`: one page on several runs, or on a comparison.

mod groups;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::flatness::Flatness;
use lowland_tasks::record::{RunRecord, best_epoch};

use self::groups::groups;
use crate::commands::{present, present_as};
use crate::compare::equal::Equal;
use crate::compare::gather::{Outline, distinct};
use crate::compare::label::labels;
use crate::compare::landscapes::Landscapes;
use crate::compare::summary::{Gallery, Run, Summary};
use crate::compare::{self, is_comparison};
use crate::failure::Usage;
use crate::files;
use crate::files::{CONFUSION, FACTS, LANDSCAPE, METRICS, PAGE, RESULT, SHARPNESS, SUMMARY};
use crate::run::confusion::Confusion;
use crate::run::epochs_of;
use crate::run::facts::Facts;
use crate::run::finished::read_config;
use crate::run::folder::pictures;
use crate::run::metrics::Metrics;
use crate::settings::is_of_an_algorithm;
use crate::terminal::{self, note, say};
use crate::words::agreeing;

/// Make one table and one page of several runs, or of a comparison
///
/// Of a comparison that is not done, shows the runs that are, and says what is missing. Runs that
/// differ in nothing but the seed count as runs of one algorithm. The first run's algorithm is the
/// baseline. What `lowland sharpness` and `lowland landscape` found in their folders is shown too,
/// and which classes were taken for which. Runs of other data, or of the same data with other
/// settings about them (limits, a validation part, label noise), get a table and a page of their
/// own (report-2.html), named by those settings. Writes report.html and summary.json.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The folders of the runs, or the folder of a comparison
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The folder that is written to [default: that of the first run]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A run as its folder has it.
#[derive(Debug, Clone)]
struct Found {
    config: TrainConfig,
    facts: Facts,
    run: Run,
    /// Settings that were changed on the way, in words.
    changed: Vec<String>,
}

impl Report {
    /// Reads, prints and writes.
    ///
    /// # Errors
    /// Folders without runs, or with runs that are not finished; files that cannot be read or
    /// written.
    pub(crate) fn run(self) -> Result<()> {
        let out = self.out.clone().unwrap_or_else(|| self.runs[0].clone());
        files::check_target(&out, &[SUMMARY, PAGE])?;
        if let Some(comparison) = self.runs.iter().find(|path| is_comparison(path)) {
            if self.runs.len() > 1 {
                bail!(Usage(format!(
                    "{} is a comparison, which has a report of its own: name it alone, or the folders of its runs",
                    comparison.display()
                )));
            }
            return present(&compare::report(comparison)?, &out, false);
        }
        let mut found = Vec::new();
        for path in &self.runs {
            found.push(read_run(path)?);
        }
        let groups = groups(found.iter().map(|found| (&found.config, &found.facts.data)));
        let alone = groups.len() == 1;
        for (i, group) in groups.iter().enumerate() {
            let (summary_name, page) = names(i);
            files::check_target(&out, &[&summary_name, &page])?;
            let runs = || group.runs.iter().copied();
            let found: Vec<Found> = runs().map(|place| found[place].clone()).collect();
            let paths: Vec<PathBuf> = runs().map(|place| self.runs[place].clone()).collect();
            let mut summary = whole_summary(&found, &paths)?;
            if !alone {
                let heading = heading(&summary, &group.apart);
                say(&format!("{}{heading}", if i > 0 { "\n" } else { "" }))?;
                summary.title = format!("{}: {heading}", summary.title);
            }
            present_as(&summary, &out, (&summary_name, &page), false)?;
        }
        let older = (groups.len()..).map(|group| out.join(names(group).1));
        for page in older.take_while(|page| page.is_file()) {
            note(&format!("{} is left of an earlier report", page.display()), false);
        }
        Ok(())
    }
}

/// What a group is of: the data, what is measured, and what sets it apart from others of the same
/// data.
fn heading(summary: &Summary, apart: &str) -> String {
    let setting = &summary.setting;
    let apart = if apart.is_empty() { String::new() } else { format!("; {apart}") };
    format!("{}, {}{apart}", setting.data, setting.measure())
}

/// The names of the summary and the page of a group.
fn names(group: usize) -> (String, String) {
    match group {
        0 => (SUMMARY.to_owned(), PAGE.to_owned()),
        other => (format!("summary-{}.json", other + 1), format!("report-{}.html", other + 1)),
    }
}

/// The summary of runs that can stand in one table, with what else is in their folders.
fn whole_summary(found: &[Found], paths: &[PathBuf]) -> Result<Summary> {
    let mut summary = summary(found)?;
    for path in paths {
        summary.landscapes.extend(files::read_json::<Landscapes>(&path.join(LANDSCAPE))?);
    }
    for (path, found) in paths.iter().zip(found) {
        let pictures = pictures(path)?;
        let label = format!("{}, seed {}", found.config.algorithm_label(), found.run.seed);
        summary.galleries.extend((!pictures.is_empty()).then_some(Gallery { label, pictures }));
    }
    Ok(summary)
}

fn summary(found: &[Found]) -> Result<Summary> {
    let seedless = |config: &TrainConfig| TrainConfig { seed: 0, ..config.clone() };
    let is_of =
        |one: &TrainConfig, other: &TrainConfig| one.settings_beside(&seedless(other)).is_empty();
    let mut configs: Vec<TrainConfig> = Vec::new();
    for Found { config, .. } in found {
        if !configs.iter().any(|known| is_of(known, config)) {
            configs.push(seedless(config));
        }
    }
    let mut runs = vec![Vec::new(); configs.len()];
    for Found { config, run, .. } in found {
        let place = configs.iter().position(|known| is_of(known, config));
        if let Some(runs) = place.and_then(|place| runs.get_mut(place)) {
            if runs.iter().any(|other: &Run| other.seed == run.seed) {
                bail!(Usage(format!(
                    "two runs of {} have the seed {} and the same settings",
                    config.algorithm_label(),
                    run.seed
                )));
            }
            runs.push(run.clone());
        }
    }
    let mut seeds: Vec<u64> = found.iter().map(|found| found.run.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();

    let facts = &found[0].facts;
    let mut names: Vec<&str> = configs.iter().map(TrainConfig::algorithm_label).collect();
    names.dedup();
    let (title, labels) = (names.join(", "), labels(&configs));
    let outline = Outline {
        question: Some(&format!(
            "How {} {title} compare?",
            if configs.len() == 1 { "does" } else { "do" }
        )),
        title: Some(&title),
        note: &[differences(&configs), changes(found)].concat(),
        equal: Equal::Epochs,
        margin: None,
        seeds: &seeds,
        facts,
        configs: &configs,
        labels: &labels,
        command: terminal::command(),
        hardware: distinct("; ", found.iter().map(|found| found.facts.hardware.as_str())),
    };
    let version = distinct(" and ", found.iter().map(|found| found.facts.version.as_str()));
    Ok(Summary { version, ..outline.summary(runs) })
}

/// Which runs were resumed with other settings, in words; empty where none was.
fn changes(found: &[Found]) -> String {
    let of = |one: &Found| {
        let label = one.config.algorithm_label();
        let changed = one.changed.join("; ");
        (!changed.is_empty()).then(|| format!("{label}, seed {}, {changed}", one.run.seed))
    };
    let all: Vec<String> = found.iter().filter_map(of).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" Settings were changed within runs: {}.", all.join("; "))
}

/// In what else than the algorithm the settings differ, in words; empty if in nothing.
fn differences(configs: &[TrainConfig]) -> String {
    let mut changes: Vec<String> = Vec::new();
    for config in configs {
        let settings = configs[0].settings_beside(config);
        let other = |name: &&String| {
            !is_of_an_algorithm(name) || name.as_str() == "optimizer.learning_rate"
        };
        changes.extend(settings.iter().filter(other).cloned());
    }
    changes.sort();
    changes.dedup();
    if changes.is_empty() {
        return String::new();
    }
    format!(
        "The runs differ in more than the algorithm: {}. The settings shown are those of the first run.",
        changes.join(", ")
    )
}

fn read_run(path: &Path) -> Result<Found> {
    let config = read_config(path)?;
    let resume = terminal::resume_command(path);
    let Some(Metrics { steps, epochs, test, changed }) = Metrics::read(path)? else {
        let why = if path.join(RESULT).is_file() {
            "its comparison was to keep none, and has a report of its own".to_owned()
        } else {
            format!("{resume} trains it")
        };
        bail!(Usage(format!("{} has no {METRICS}: {why}", path.display())));
    };
    if !config.is_over(&epochs) {
        bail!(Usage(format!(
            "{} is not finished: {} of {} {} done; {resume} finishes it",
            path.display(),
            epochs.len(),
            epochs_of(&config),
            agreeing(config.epochs, "is", "are"),
        )));
    }
    let diverged = epochs.last().is_none_or(|epoch| epoch.measured_loss().is_none());
    if test.is_none() && !diverged && best_epoch(&epochs).is_some() {
        bail!(Usage(format!(
            "{} is not finished: the best weights are not tested yet; {resume} finishes it",
            path.display()
        )));
    }
    let record = RunRecord { test, ..RunRecord::of(&steps, epochs) };
    let mut run = Run::of(&config, &record, diverged);
    run.flatness = files::read_json::<Flatness>(&path.join(SHARPNESS))?;
    run.confusion = files::read_json::<Confusion>(&path.join(CONFUSION))?;
    let facts = Facts::read(path)?.with_context(|| {
        Usage(format!(
            "{} has no {FACTS}, which says what it learned: {resume} writes it, unless the run is one \
             of a comparison, which has a report of its own",
            path.display()
        ))
    })?;
    Ok(Found { config, facts, run, changed })
}
