//! `lowland resume`: a run or a comparison goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::{Data, Training};
use lowland_tasks::{Error, Spec};

use crate::commands::compare::check_jobs;
use crate::commands::present;
use crate::compare::finished::RESULT;
use crate::compare::{self, is_comparison};
use crate::failure::Usage;
use crate::run_folder::{CONFIG, RunFolder};
use crate::terminal::Output;
use crate::together::{Company, Together};
use crate::{device, run, terminal};

/// Go on with a run from its last good checkpoint, or with what is missing of a comparison
///
/// What comes out is what the run would have given without a stop: on the CPU, bit for bit. A
/// checkpoint that is damaged is named and the one before it taken. A run that was stopped before its
/// first checkpoint starts again. Of a comparison, runs that are done are never trained again.
#[derive(Debug, Args)]
pub struct Resume {
    /// The folder of the run, or of the comparison
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// How many runs of a comparison train at once [default: as many as it was begun with]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Go on although settings in the run's config.toml were changed since the checkpoint
    #[arg(long)]
    accept_changes: bool,
    #[command(flatten)]
    together: Together,
    #[command(flatten)]
    output: Output,
}

impl Resume {
    /// Goes on with the run.
    ///
    /// # Errors
    /// A folder without a run or in use, settings or data that are not those of the run, checkpoints
    /// that are all damaged, and all that can end a run.
    pub fn run(self) -> Result<()> {
        if is_comparison(&self.run) {
            return self.comparison();
        }
        if self.jobs.is_some() {
            bail!(Usage("--jobs is for a comparison, and this is one run".to_owned()));
        }
        let company = self.together.join()?;
        let result = if company.is_first() { self.lead(&company) } else { self.follow(&company) };
        company.part(result)
    }

    fn comparison(&self) -> Result<()> {
        check_jobs(self.jobs)?;
        if self.accept_changes {
            bail!(Usage(
                "--accept-changes is for a single run, and this is a comparison".to_owned()
            ));
        }
        if self.together.is_asked_for() {
            bail!(Usage("--mpi is for a single run, and this is a comparison".to_owned()));
        }
        let summary = compare::resume(&self.run, self.jobs, self.output.quiet)?;
        present(&summary, &self.run, self.output.json)
    }

    /// Goes on as a worker that keeps nothing, from what worker 0 reads.
    fn follow(&self, company: &Company) -> Result<()> {
        let told = |error| Usage(format!("what worker 0 tells cannot be read: {error}"));
        let workers = company.all()?;
        let config = String::from_utf8(workers.say(Vec::new())?).unwrap_or_default();
        let config: TrainConfig =
            toml::from_str(&config).map_err(|error| told(error.to_string()))?;
        let training = ready(company, &config)?.0;
        let Some(snapshot) = company.tell_snapshot(None)? else { return run::follow(training) };
        let (training, _) = training.restore(snapshot, self.accept_changes)?;
        run::follow(training)
    }

    fn lead(&self, company: &Company) -> Result<()> {
        let (folder, config) = RunFolder::open(&self.run)?;
        if self.run.join(RESULT).exists() {
            bail!(Usage(format!("{} is a run of a comparison, and done", self.run.display())));
        }
        company.all()?.say(toml::to_string(&config)?.into_bytes())?;
        let (mut training, data) = ready(company, &config)?;
        let otherwise = format!(
            "start anew with lowland train --config {} --out another folder",
            self.run.join(CONFIG).display()
        );
        let found = folder.latest_checkpoint(&otherwise)?;
        company.tell_snapshot(found.as_ref().map(|(_, snapshot)| snapshot))?;
        let Some((found, snapshot)) = found else {
            terminal::tell("there is no checkpoint yet: the run starts again", self.output.quiet);
            return run::run(
                training,
                &data,
                &config,
                &folder,
                folder.journal(&BTreeMap::new())?,
                self.output,
            );
        };
        let lengths = snapshot.about.lengths.clone();
        let restored = training.restore(snapshot, self.accept_changes);
        let changes;
        (training, changes) = restored.map_err(|error| in_words(error, &found.path))?;
        let told = format!(
            "goes on from step {}, {} of {} done",
            found.step,
            found.epoch,
            run::epochs_of(&config)
        );
        terminal::tell(&told, self.output.quiet);
        let mut journal = folder.journal(&lengths)?;
        if !changes.is_empty() {
            journal.changed(found.step + 1, &changes)?;
        }
        run::run(training, &data, &config, &folder, journal, self.output)
    }
}

fn ready(company: &Company, config: &TrainConfig) -> Result<(Training, Data)> {
    let spec = Spec::try_from(config)?;
    let device = device::open(&company.device(&config.device))?;
    let data = Data::load(config)?;
    Ok((company.take_in(Training::new(spec, &data, &device)?, config)?, data))
}

fn in_words(error: Error, path: &std::path::Path) -> anyhow::Error {
    match error {
        Error::Changed { .. } => {
            Usage(format!("{error}; put them back, or go on with the new ones: --accept-changes"))
                .into()
        }
        error => Usage(format!("{}: {error}", path.display())).into(),
    }
}
