//! Searches for settings: comparisons whose runs follow from the scores so far.
//!
//! On disk a search is a comparison like any other: a plan, and a folder for each run. Which runs
//! there are to be is worked out anew from the results whenever some have ended; nothing else is
//! kept, but for the time that was used.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::begin::{check_data, check_free, facts};
use super::finished::Finished;
use super::gather::{self, prune_finished, standings};
use super::halving::{Design, FRESH, Part, Place, Position, Score};
use super::plan::Plan;
use super::request::Request;
use super::scheduler;
use super::summary::{Candidate, Interval, Outcome, Searched, Spent, Summary};
use super::tensorboard::write_experiment;
use super::terms::{Budget, MOST_BUDGETS, Says, Terms};
use crate::failure::Usage;
use crate::files::{CLOCK, PAGE, PLAN, RUNS, SUMMARY};
use crate::run::folder::lock;
use crate::words::{counted, round_percent};
use crate::{files, terminal};

/// The share of the training samples that judges settings, where the data has no validation part
/// and none is asked for.
const VALIDATION: f64 = 0.2;

/// Begins a search in `folder`, and trains for as long as its budget lasts. The request must have
/// terms and a margin.
///
/// # Errors
/// A folder that holds something or cannot be written to, data that cannot be read, a budget that
/// is too small, and what can end the training of a run.
pub(crate) fn start(mut request: Request, folder: &Path, quiet: bool) -> Result<Summary> {
    if folder.join(PLAN).is_file() {
        bail!(Usage(format!(
            "{} holds a comparison already: {} resumes it, or name another --out",
            folder.display(),
            terminal::resume_command(folder)
        )));
    }
    check_free(folder)?;
    files::check_target(folder, &[PLAN, SUMMARY, PAGE, CLOCK])?;
    let mut found = facts(&request)?;
    if found.data.validation.samples == 0 {
        for config in &mut request.configs {
            config.data.validation = Some(VALIDATION);
        }
        found = facts(&request)?;
        found.notes.push(format!(
            "validation: {} of the training {} are set apart to judge settings by; --validation sets \
             another share",
            round_percent(VALIDATION),
            found.wording.samples
        ));
    }
    let plan = Plan::new(request, found, terminal::command());
    let (_, design) = design(&plan, 1)?;
    if let Budget::Runs(runs) = design.terms.budget
        && runs < design.fewest_runs()
    {
        bail!(Usage(format!(
            "--budget-runs {runs} is too few for {} settings: give at least {}",
            plan.contenders.len(),
            design.fewest_runs()
        )));
    }
    files::make_folder(folder)?;
    let _lock = lock(folder)?;
    // Once more: another program may have begun something in between.
    check_free(folder)?;
    plan.write(folder)?;
    go_on(folder, &plan, plan.jobs, quiet)
}

/// Resumes a search, with a larger budget where one is given.
///
/// # Errors
/// A budget that is not larger, or for a search that is decided; data that is not that of then, and
/// what can end the training of a run. The folder must be locked.
pub(crate) fn resume(
    folder: &Path,
    mut plan: Plan,
    jobs: Option<usize>,
    budget: Option<Budget>,
    quiet: bool,
) -> Result<Summary> {
    if let Some(budget) = budget {
        let (mut terms, design) = design(&plan, 1)?;
        budget.check_after(terms.budget)?;
        let known = known(folder, &plan)?;
        let position = design.position(&known, Clock::read(folder)?.seconds);
        if let Some(found) = design.found(&position, &known) {
            if found.says != Says::Undecided {
                bail!(Usage(format!(
                    "the search in {} is decided: begin a new one to ask again",
                    folder.display()
                )));
            }
            // A test was made: the next one is another, and stricter.
            terms.budgets += 1;
        }
        if terms.budgets > MOST_BUDGETS {
            bail!(Usage(format!("a search is given at most {MOST_BUDGETS} budgets")));
        }
        plan.tune = Some(Terms { budget, ..terms });
        plan.commands.push(terminal::command());
        plan.write(folder)?;
    }
    check_data(folder, &plan, &[])?;
    let jobs = jobs.unwrap_or(plan.jobs);
    go_on(folder, &plan, jobs, quiet)
}

/// The time that a search has used.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    /// Seconds in which runs trained and were measured. What was begun since the last part ended
    /// is lost where the program is killed.
    seconds: f64,
}

impl Clock {
    fn read(folder: &Path) -> Result<Self> {
        Ok(files::read_json(&folder.join(CLOCK))?.unwrap_or_default())
    }

    fn write(self, folder: &Path) -> Result<()> {
        files::write(&folder.join(CLOCK), &serde_json::to_vec_pretty(&self)?)
    }
}

fn design(plan: &Plan, jobs: usize) -> Result<(Terms, Design)> {
    let (Some(terms), Some(margin)) = (plan.tune, plan.margin) else {
        bail!(Usage("the plan is that of a comparison, and not of a search".to_owned()));
    };
    let contenders = plan.contenders.len();
    let at_once = jobs.div_ceil(2).max(1);
    Ok((terms, Design { contenders, margin: margin / 100.0, terms, at_once }))
}

fn go_on(folder: &Path, plan: &Plan, jobs: usize, quiet: bool) -> Result<Summary> {
    let (_, design) = design(plan, jobs)?;
    for line in announcement(plan, &design) {
        terminal::note(&line, quiet);
    }
    let mut clock = Clock::read(folder)?;
    loop {
        let known = known(folder, plan)?;
        let position = design.position(&known, clock.seconds);
        tracing::debug!("{position:?}");
        let Some(next) = &position.next else { break };
        let part = plan.part(&next.contenders, &next.seeds);
        terminal::note(&heading(next, &position, &part), quiet);
        let standings = standings(folder, &part)?;
        prune_finished(folder, &standings)?;
        let config = |&(contender, seed): &Place| plan.contenders[contender].with_seed(seed);
        let configs = known.keys().map(config).chain(part.runs().into_iter().map(|run| run.config));
        write_experiment(folder, plan, &configs.collect::<Vec<_>>())?;
        let began = Instant::now();
        let trained = scheduler::train(folder, &part, standings, jobs, quiet);
        clock.seconds += began.elapsed().as_secs_f64();
        clock.write(folder)?;
        trained?;
    }
    summary(folder, plan)
}

/// What is about to happen, in a few lines.
fn announcement(plan: &Plan, design: &Design) -> Vec<String> {
    let Terms { bases, budget, .. } = design.terms;
    let (names, facts) = (plan.labels(), &plan.facts);
    let what = format!(
        "searches {} for a gain over {}, within {}: {} training {}, {} to judge by",
        counted(names.len() - bases, "setting"),
        names[0],
        budget.in_words(),
        facts.data.train.samples,
        facts.wording.samples,
        facts.data.validation.samples,
    );
    std::iter::once(what).chain(facts.notes.iter().cloned()).collect()
}

/// What a part of a search is, in a line.
fn heading(next: &Part, position: &Position, part: &Plan) -> String {
    match next.round {
        Some(round) => format!(
            "round {round} of the search: {}, {}",
            counted(next.contenders.len(), "setting"),
            counted(next.seeds.len(), "more seed"),
        ),
        None => format!(
            "the decision, after {}: {}, {}",
            counted(position.fresh.len(), "pair"),
            part.labels().join(" and "),
            counted(next.seeds.len(), "fresh seed"),
        ),
    }
}

/// The scores of all runs that are done.
fn known(folder: &Path, plan: &Plan) -> Result<BTreeMap<Place, Score>> {
    let mut known = BTreeMap::new();
    let runs = folder.join(RUNS);
    if !runs.is_dir() {
        return Ok(known);
    }
    for entry in std::fs::read_dir(&runs)? {
        let entry = entry?;
        let name = entry.file_name();
        let place = name.to_str().and_then(|name| place(plan, name));
        let Some(place) = place else { continue };
        let Some(Finished { run, used, .. }) = Finished::read(&entry.path())? else { continue };
        let accuracy = run.best_accuracy.filter(|_| !run.diverged());
        known.insert(place, Score { accuracy, passes: used.passes });
    }
    Ok(known)
}

/// The contender and the seed of a run, by the name of its folder.
fn place(plan: &Plan, name: &str) -> Option<Place> {
    let (folder, seed) = name.rsplit_once("-seed-")?;
    let contender = plan.contenders.iter().position(|planned| planned.folder == folder)?;
    Some((contender, seed.parse().ok()?))
}

/// The summary of a search as far as it is. What the test samples say is in it once the budget is
/// used up.
///
/// # Errors
/// A file of a run that cannot be read.
pub(crate) fn summary(folder: &Path, plan: &Plan) -> Result<Summary> {
    let (terms, design) = design(plan, plan.jobs)?;
    let clock = Clock::read(folder)?;
    let known = known(folder, plan)?;
    let position = design.position(&known, clock.seconds);
    let found = design.found(&position, &known);
    let names = plan.labels();
    let candidate = |place: usize| {
        let mut trained =
            position.rounds.iter().rev().filter(|round| round.contenders.contains(&place));
        let seeds = trained.next().map(|round| &round.seeds[..]).unwrap_or_default();
        let scores = seeds.iter().filter_map(|&seed| known.get(&(place, seed)));
        let left = position.rounds.iter().position(|round| !round.kept.contains(&place));
        Candidate {
            label: names[place].clone(),
            is_base: place < terms.bases,
            scores: scores.map(|score| score.accuracy).collect(),
            left_after: left.map(|round| round + 1),
        }
    };
    let outcome = position.next.is_none().then(|| Outcome {
        mean: found.map(|found| found.mean),
        interval: found.and_then(|found| found.interval).map(|(low, high)| Interval { low, high }),
        further_pairs: found.and_then(|found| found.further_pairs),
        says: found.map_or(Says::Undecided, |found| found.says),
    });
    let searched = Searched {
        margin: design.margin,
        level: design.level(),
        budgets: terms.budgets,
        budget: terms.budget,
        spent: Spent {
            runs: known.len(),
            passes: known.values().map(|score| score.passes).sum(),
            seconds: clock.seconds,
        },
        candidates: (0..names.len()).map(candidate).collect(),
        seeds: position.rounds.last().map(|round| round.seeds.clone()).unwrap_or_default(),
        cut: position.cut,
        finalists: position.finalists,
        gains: Design::gains(&position, &known),
        outcome,
    };
    let (finalists, seeds) = match (position.finalists, &searched.outcome) {
        (Some((base, winner)), Some(_)) => (vec![base, winner], &position.fresh[..]),
        // The test samples are looked at once.
        (Some((base, winner)), None) => (vec![base, winner], &[][..]),
        (None, _) => (vec![0], &[][..]),
    };
    let part = plan.part(&finalists, seeds);
    Ok(Summary { searched: Some(searched), ..gather::summary(folder, &part)? })
}

/// The largest first seed of a search: fresh seeds lie above it.
pub(crate) const MOST_FIRST_SEED: u64 = (1 << 62) - 1 - 2 * FRESH;
