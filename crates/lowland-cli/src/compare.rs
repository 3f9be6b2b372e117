//! Comparisons: several algorithms from the same starts on the same data in the same order.
//!
//! A comparison is a folder with a plan and a folder for each run. The plan is written first, the
//! result of a run last; so whatever ends the program, what is there says what is missing.

pub(crate) mod child;
pub(crate) mod disk;
pub(crate) mod equal;
pub(crate) mod finished;
pub(crate) mod gather;
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
pub(crate) mod worker;

use std::path::Path;

use anyhow::{Context, Result, bail};
use lowland_tasks::task::Split;
use lowland_tasks::train::{Data, Training};

use gather::{Outline, Standing, standings};
use label::labels;
use plan::{Facts, Plan};
use request::Request;
use summary::Summary;

use crate::data_notes::sharpness_note;
use crate::failure::Usage;
use crate::files::{PAGE, PLAN, RUNS, SUMMARY};
use crate::run::folder::lock;
use crate::words::{counted, percent};
use crate::{device, files, terminal};

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
        let (plan, more) = Plan::read(folder)?.extended(request, folder, command)?;
        let standings = standings(folder, &plan)?;
        if standings.iter().any(|standing| standing.finished.is_none()) {
            check_data(folder, &plan)?;
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
    let plan = Plan::new(request, facts, version(), command);
    plan.write(folder)?;
    let standings = standings(folder, &plan)?;
    go_on(folder, &plan, standings, plan.jobs, quiet)
}

/// Trains what is missing of the comparison in `folder`, so many runs at a time, or as many as it
/// was begun with.
///
/// # Errors
/// A folder that is in use or cannot be written to, data that is not that of then, and what can end
/// the training of a run.
pub(crate) fn resume(folder: &Path, jobs: Option<usize>, quiet: bool) -> Result<Summary> {
    let _lock = lock(folder)?;
    let plan = Plan::read(folder)?;
    let standings = standings(folder, &plan)?;
    if standings.iter().any(|standing| standing.finished.is_none()) {
        check_data(folder, &plan)?;
    }
    go_on(folder, &plan, standings, jobs.unwrap_or(plan.jobs), quiet)
}

/// The summary of what is there, done or not. Nothing is trained, and no lock is needed.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn report(folder: &Path) -> Result<Summary> {
    gather::summary(folder, &Plan::read(folder)?)
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
    for Standing { run, finished } in &standings {
        if let Some(finished) = finished {
            // It may have been killed between its result and this.
            finished.keep.prune(&folder.join(RUNS).join(&run.folder))?;
        }
    }
    if standings.iter().any(|standing| standing.finished.is_none()) {
        if plan.version != version() {
            tracing::warn!("the comparison was begun by {}, this is {}", plan.version, version());
        }
        scheduler::train(folder, plan, standings, jobs, quiet)?;
    }
    gather::summary(folder, plan)
}

/// What is about to happen, in a few lines.
fn announcement(plan: &Plan, standings: &[Standing], jobs: usize) -> Vec<String> {
    let configs = plan.configs();
    let outline = Outline {
        title: None,
        question: None,
        note: "",
        equal: plan.equal,
        margin: plan.margin,
        seeds: &plan.seeds,
        facts: &plan.facts,
        configs: &configs,
        command: String::new(),
        version: String::new(),
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
        labels(&configs).join(", "),
        setting.data,
        setting.training_images,
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
                if plan.sharpness { " and measures the sharpness where each ends" } else { "" };
            let (missing, disk) = (counted(missing, "run"), disk::disk(plan, jobs));
            let turns = if scheduler::takes_turns(&configs[0].device) && configs.len() > 1 {
                ", those of a seed by turns, an epoch each,"
            } else {
                ""
            };
            format!("{begin} {missing}, {jobs} at a time{turns}{sharpness}; {disk}")
        }
    };
    let notes = plan.facts.notes.iter().cloned();
    [what].into_iter().chain(notes).chain([how]).collect()
}

/// What is known of data and network once they are there.
fn facts(request: &Request) -> Result<Facts> {
    let Some(first) = request.configs.first() else {
        bail!(Usage("at least one algorithm is needed".to_owned()));
    };
    let Some(&seed) = request.seeds.as_slice().first() else {
        bail!(Usage("at least one seed is needed".to_owned()));
    };
    let config = lowland_tasks::config::TrainConfig { seed, ..first.clone() };
    let device = device::open(&config.device)?;
    let data = Data::load(&config)?;
    let training = Training::new(&config, &data, &device)?;
    let mut facts = Facts::of(&config, &data, &training)?;
    if !request.no_sharpness && config.sharpness_every.is_none() {
        facts.notes.extend(sharpness_note(&data));
    }
    Ok(facts)
}

/// Checks that the data is that of the plan, before a run finds out.
fn check_data(folder: &Path, plan: &Plan) -> Result<()> {
    let data = Data::load(&plan.contenders[0].with_seed(plan.seeds[0]))?;
    let Facts { train, validation, test, .. } = &plan.facts;
    for (split, name, then) in [
        (Split::Train, "training", train),
        (Split::Validation, "validation", validation),
        (Split::Test, "test", test),
    ] {
        if data.task().checksum(split) != *then {
            let folder = folder.display();
            bail!(Usage(format!(
                "the {name} data is not the data that the comparison in {folder} was begun with: put it back, or \
                 begin a new comparison"
            )));
        }
    }
    Ok(())
}

/// Checks that a folder is not there yet or holds nothing; names that begin with a dot are passed
/// over.
fn check_free(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder)
        .with_context(|| Usage(format!("cannot read {}", folder.display())))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    match names.filter(|name| !name.starts_with('.')).min() {
        Some(name) => bail!(Usage(format!(
            "{} holds something else already ({name}): name another --out",
            folder.display()
        ))),
        None => Ok(()),
    }
}

fn version() -> String {
    format!("lowland {}", env!("CARGO_PKG_VERSION"))
}
