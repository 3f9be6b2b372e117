//! Whether runs fit into one landscape.

use anyhow::{Result, bail};
use lowland_tasks::task::Split;

use crate::compare::landscapes::Along;
use crate::failure::Usage;
use crate::run::finished::FinishedRun;

/// What an export says that a network is given.
const GIVEN: [&str; 3] = ["image_mean", "image_std", "image_shape"];

/// An error unless all runs have the same network and what is measured is the same samples of all.
///
/// A line has networks on it that are of both its ends, so that these must be given the samples in
/// one form; in planes each run is given them as it learned them.
///
/// # Errors
/// [`Usage`] that names the run, in what it differs from the first, and what to do.
pub(super) fn check_fit(runs: &[FinishedRun], split: Split, along: Along) -> Result<()> {
    let Some((first, others)) = runs.split_first() else { return Ok(()) };
    for other in others {
        let pair = (other.path.display(), first.path.display());
        let (mine, theirs) = (&other.config, &first.config);
        let network = |config: &lowland_tasks::config::TrainConfig| {
            let trained = config.text.as_ref().map(|text| text.trained.clone());
            (config.program.clone(), config.model, config.quantise.clone(), trained)
        };
        let outputs =
            |run: &FinishedRun| (run.data.task().classes(), run.data.task().class_names());
        if network(mine) != network(theirs) || outputs(other) != outputs(first) {
            bail!(Usage(format!("{} has another network or other data than {}", pair.0, pair.1)));
        }
        if mine.data.name != theirs.data.name {
            bail!(Usage(format!(
                "{} is of {} and {} of {}: a landscape is of one data set",
                pair.0, mine.data.name, pair.1, theirs.data.name
            )));
        }
        let sum = |run: &FinishedRun| run.data.task().checksum(split);
        if sum(other) != sum(first) {
            bail!(Usage(format!(
                "{} has other {} samples or labels than {}: {}",
                pair.0,
                split.name(),
                pair.1,
                way_on(split)
            )));
        }
        let subset = |run: &FinishedRun| run.config.data.subset_seed;
        if subset(other) != subset(first) {
            bail!(Usage(format!(
                "{} draws its subsets with seed {} and {} with {}: a landscape is of one subset",
                pair.0,
                subset(other),
                pair.1,
                subset(first)
            )));
        }
        if along == Along::Line && given(other)? != given(first)? {
            bail!(Usage(format!(
                "{} learned from images of another size, means or deviations than {}: a line needs \
                 one form of its samples; --along random shows each run by itself",
                pair.0, pair.1
            )));
        }
    }
    Ok(())
}

/// What to do where this part of the data differs between runs.
fn way_on(split: Split) -> &'static str {
    match split {
        Split::Train | Split::Validation => {
            "--on test measures all on the same ones, where these are"
        }
        Split::Test => "a landscape needs the same ones of all runs",
    }
}

/// What a run says of the form in which its network is given its samples.
fn given(run: &FinishedRun) -> Result<Vec<Option<String>>> {
    let metadata = run.data.task().export(&run.config)?.metadata;
    Ok(GIVEN.map(|name| metadata.get(name).cloned()).to_vec())
}
