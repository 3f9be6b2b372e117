//! Comparisons: several algorithms from the same starts on the same data in the same order.
//!
//! A comparison is a folder with a plan and a folder for each run. The plan is written first, the
//! result of a run last; so whatever ends the program, what is there says what is missing.

pub(crate) mod begin;
pub(crate) mod child;
pub(crate) mod disk;
pub(crate) mod equal;
pub(crate) mod finished;
pub(crate) mod gather;
pub(crate) mod halving;
pub(crate) mod keep;
pub(crate) mod label;
pub(crate) mod landscapes;
pub(crate) mod plan;
pub(crate) mod power;
pub(crate) mod progress;
pub(crate) mod protocol;
pub(crate) mod queue;
pub(crate) mod request;
pub(crate) mod scheduler;
pub(crate) mod statistics;
pub(crate) mod summary;
pub(crate) mod tensorboard;
pub(crate) mod terms;
pub(crate) mod tune;
pub(crate) mod worker;

use std::path::Path;

use anyhow::{Result, bail};

use begin::{check_data, check_free, facts};
use gather::{Outline, Standing, any_is_missing, prune_finished, standings};
use plan::Plan;
use request::Request;
use summary::Summary;
use tensorboard::write_experiment;
use terms::Budget;

use crate::failure::Usage;
use crate::files::{CONFIG, PAGE, PLAN, RUNS, SUMMARY};
use crate::run::facts::version;
use crate::run::folder::lock;
use crate::settings::read_run;
use crate::words::{count, counted, percent};
use crate::{files, terminal};

/// Whether a folder is that of a comparison.
pub(crate) fn is_comparison(folder: &Path) -> bool {
    folder.join(PLAN).is_file()
}

/// Begins a comparison in `folder`, or adds to the one that is there, and trains what is missing.
///
/// # Errors
/// A folder that holds something else or cannot be written to, other settings than those of the
/// comparison that is there, data that cannot be read, a device that is not there, and what can end
/// the training of a run.
pub(crate) fn start(request: Request, folder: &Path, quiet: bool) -> Result<Summary> {
    let command = terminal::command();
    if is_comparison(folder) {
        let _lock = lock(folder)?;
        let plan = Plan::read(folder)?;
        if plan.tune.is_some() {
            bail!(Usage(format!(
                "{} holds a search for settings: name another --out",
                folder.display()
            )));
        }
        let asked = request.configs.clone();
        let (plan, more) = plan.extended(request, folder, command)?;
        let standings = standings(folder, &plan)?;
        if any_is_missing(&standings) {
            check_data(folder, &plan, &asked)?;
        }
        plan.write(folder)?;
        let what = if more { "adds to" } else { "resumes" };
        terminal::note(&format!("{what} the comparison in {}", folder.display()), quiet);
        return go_on(folder, &plan, standings, plan.jobs, quiet);
    }
    check_free(folder)?;
    files::check_target(folder, &[PLAN, SUMMARY, PAGE])?;
    let facts = facts(&request)?;
    files::make_folder(folder)?;
    let _lock = lock(folder)?;
    // Once more: another program may have begun a comparison in between.
    check_free(folder)?;
    let plan = Plan::new(request, facts, command);
    plan.write(folder)?;
    let standings = standings(folder, &plan)?;
    go_on(folder, &plan, standings, plan.jobs, quiet)
}

/// Writes into a comparison and its runs where their data moved to, once it is known to be the
/// same.
///
/// # Errors
/// A folder that is in use or cannot be written to, data that is not that of then.
pub(crate) fn move_data(folder: &Path, data_dir: &Path) -> Result<()> {
    let _lock = lock(folder)?;
    let mut plan = Plan::read(folder)?;
    for planned in &mut plan.contenders {
        planned.config.data.dir = Some(data_dir.to_owned());
    }
    check_data(folder, &plan, &[])?;
    plan.write(folder)?;
    let Ok(runs) = std::fs::read_dir(folder.join(RUNS)) else { return Ok(()) };
    for run in runs.filter_map(Result::ok) {
        let path = run.path().join(CONFIG);
        if path.is_file() {
            let mut config = read_run(&path)?;
            config.data.dir = Some(data_dir.to_owned());
            files::write(&path, toml::to_string(&config)?.as_bytes())?;
        }
    }
    Ok(())
}

/// Trains what is missing of the comparison in `folder`, so many runs at a time, or as many as it
/// was begun with. A search for settings can be given a larger budget.
///
/// # Errors
/// A folder that is in use or cannot be written to, data that is not that of then, a budget for
/// what is no search, and what can end the training of a run.
pub(crate) fn resume(
    folder: &Path,
    jobs: Option<usize>,
    budget: Option<Budget>,
    quiet: bool,
) -> Result<Summary> {
    let _lock = lock(folder)?;
    let plan = Plan::read(folder)?;
    if plan.tune.is_some() {
        return tune::resume(folder, plan, jobs, budget, quiet);
    }
    if budget.is_some() {
        bail!(Usage("a budget is for a search for settings, and this is a comparison".to_owned()));
    }
    let standings = standings(folder, &plan)?;
    if any_is_missing(&standings) {
        check_data(folder, &plan, &[])?;
    }
    go_on(folder, &plan, standings, jobs.unwrap_or(plan.jobs), quiet)
}

/// The summary of what is there, done or not. Nothing is trained, and no lock is needed.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn report(folder: &Path) -> Result<Summary> {
    let plan = Plan::read(folder)?;
    if plan.tune.is_some() { tune::summary(folder, &plan) } else { gather::summary(folder, &plan) }
}

fn go_on(
    folder: &Path,
    plan: &Plan,
    standings: Vec<Standing>,
    jobs: usize,
    quiet: bool,
) -> Result<Summary> {
    for line in announcement(plan, &standings, jobs) {
        terminal::note(&line, quiet);
    }
    prune_finished(folder, &standings)?;
    let configs = plan.runs().into_iter().map(|run| run.config);
    write_experiment(folder, plan, &configs.collect::<Vec<_>>())?;
    if any_is_missing(&standings) {
        if plan.facts.version != version() {
            tracing::warn!(
                "the comparison was begun by {}, this is {}",
                plan.facts.version,
                version()
            );
        }
        scheduler::train(folder, plan, standings, jobs, quiet)?;
    }
    gather::summary(folder, plan)
}

/// What is about to happen, in a few lines.
fn announcement(plan: &Plan, standings: &[Standing], jobs: usize) -> Vec<String> {
    let (configs, labels) = (plan.configs(), plan.labels());
    let outline = Outline {
        title: None,
        question: None,
        note: "",
        equal: plan.equal,
        margin: plan.margin,
        seeds: &plan.seeds,
        facts: &plan.facts,
        configs: &configs,
        labels: &labels,
        command: String::new(),
        hardware: String::new(),
    };
    let setting = outline.setting();
    let noise = match setting.label_noise {
        0.0 => String::new(),
        share => format!(", {} of the labels corrupted", percent(share)),
    };
    let all = standings.len();
    let done = standings.iter().filter(|standing| standing.finished.is_some()).count();
    let what = format!(
        "{}: {}, {} training {}{noise}, {}{}{}, {}: {}",
        labels.join(", "),
        setting.data,
        count(setting.training_images),
        setting.wording.samples,
        if setting.limit.is_some() { "at most " } else { "" },
        counted(setting.epochs, "epoch"),
        setting.held_equal().map(|equal| format!(", {equal}")).unwrap_or_default(),
        counted(setting.seeds.len(), "seed"),
        counted(all, "run"),
    );
    let how = match (done, all - done) {
        (_, 0) => "all runs are done: nothing is trained".to_owned(),
        (done, missing) => {
            let begin = if done == 0 {
                "trains".to_owned()
            } else {
                format!("{done} of {} done already; trains", counted(all, "run"))
            };
            let sharpness =
                if plan.sharpness { ", and measures the sharpness where each ends" } else { "" };
            let (missing, disk) = (counted(missing, "run"), disk::disk(plan, jobs));
            let turns = if scheduler::takes_turns(&configs[0].device) && configs.len() > 1 {
                ", those of a seed by turns, an epoch each"
            } else {
                ""
            };
            format!("{begin} {missing}, {jobs} at a time{turns}{sharpness}; {disk}")
        }
    };
    let notes = plan.facts.notes.iter().cloned();
    [what].into_iter().chain(notes).chain([how]).collect()
}
