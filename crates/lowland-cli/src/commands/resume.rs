//! `lowland resume`: resumes a run or a comparison.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::{Data, Training};
use lowland_tasks::{Error, Spec};

use crate::commands::budget::BudgetFlags;
use crate::commands::compare::check_jobs;
use crate::commands::present;
use crate::compare::{self, is_comparison};
use crate::failure::Usage;
use crate::files::{CONFIG, RESULT};
use crate::run::facts::Facts;
use crate::run::finished::move_data;
use crate::run::folder::RunFolder;
use crate::run::world::{World, WorldFlags};
use crate::settings::count;
use crate::terminal::Output;
use crate::{device, files, program, run, terminal};

/// Resume a run from its last good checkpoint, or what is missing of a comparison or search
///
/// The result is that of a run that never stopped: on the CPU, bit for bit. A damaged checkpoint is
/// named, and the one before it used. A run that was stopped before its first checkpoint starts
/// again. Finished runs of a comparison are not trained again.
/// A search for settings that is not decided continues if it gets a larger budget.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The folder of the run, or of the comparison
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// How many runs of a comparison train at once [default: as many as it was begun with]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    jobs: Option<usize>,
    /// The folder of the data, where it moved; runs and comparisons keep it from then on
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Resume although settings in the run's config.toml were changed since the checkpoint
    #[arg(long)]
    accept_changes: bool,
    #[command(flatten)]
    budget: BudgetFlags,
    #[command(flatten)]
    world: WorldFlags,
    #[command(flatten)]
    output: Output,
}

impl Resume {
    /// Resumes the run.
    ///
    /// # Errors
    /// A folder without a run or in use, settings or data that are not those of the run,
    /// checkpoints that are all damaged, and all that can end a run.
    pub(crate) fn run(self) -> Result<()> {
        if is_comparison(&self.run) {
            return self.comparison();
        }
        if self.jobs.is_some() {
            bail!(Usage("--jobs is for a comparison, and this is one run".to_owned()));
        }
        if self.budget.budget()?.is_some() {
            bail!(Usage("a budget is for a search for settings, and this is one run".to_owned()));
        }
        let world = self.world.join()?;
        let result = if world.is_first() { self.lead(&world) } else { self.follow(&world) };
        world.leave(result)
    }

    fn comparison(&self) -> Result<()> {
        check_jobs(self.jobs)?;
        if self.accept_changes {
            bail!(Usage(
                "--accept-changes is for a single run, and this is a comparison".to_owned()
            ));
        }
        if self.world.is_asked_for() {
            bail!(Usage("--mpi is for a single run, and this is a comparison".to_owned()));
        }
        let budget = self.budget.budget()?;
        if let Some(folder) = self.data_dir()? {
            compare::move_data(&self.run, &folder)?;
        }
        let summary = compare::resume(&self.run, self.jobs, budget, self.output.quiet)?;
        present(&summary, &self.run, self.output.json)
    }

    /// Resumes as a worker that keeps nothing, from what worker 0 reads.
    fn follow(&self, world: &World) -> Result<()> {
        let unreadable = |error| Usage(format!("the settings of worker 0 cannot be read: {error}"));
        let workers = world.all()?;
        let config = String::from_utf8(workers.broadcast(Vec::new())?).unwrap_or_default();
        let config: TrainConfig =
            toml::from_str(&config).map_err(|error| unreadable(error.to_string()))?;
        let training = ready(world, &config)?.0;
        let Some(snapshot) = world.share_snapshot(None)? else { return run::follow(training) };
        let (training, _) = training.restore(snapshot, self.accept_changes)?;
        run::follow(training)
    }

    fn lead(&self, world: &World) -> Result<()> {
        let (folder, mut config) = RunFolder::open(&self.run)?;
        move_data(&self.run, &mut config, self.data_dir()?.as_deref())?;
        if self.run.join(RESULT).exists() {
            bail!(Usage(format!("{} is a run of a comparison, and done", self.run.display())));
        }
        world.all()?.broadcast(toml::to_string(&config)?.into_bytes())?;
        let (mut training, data) = ready(world, &config)?;
        let otherwise = format!(
            "start anew with {} --config {} --out another folder",
            program::command("train"),
            self.run.join(CONFIG).display()
        );
        let found = folder.latest_checkpoint(&otherwise)?;
        world.share_snapshot(found.as_ref().map(|(_, snapshot)| snapshot))?;
        let Some((found, snapshot)) = found else {
            // Facts that cannot be read are written anew.
            if let Ok(Some(then)) = Facts::read(&self.run) {
                let differences = then.data.differences(data.fingerprint());
                if !differences.is_empty() {
                    return Err(self.in_words(Error::OtherData { differences }, &self.run));
                }
            }
            self.keep_data_dir(&folder, &config)?;
            terminal::note("there is no checkpoint yet: the run starts again", self.output.quiet);
            return run::run(
                training,
                &data,
                &config,
                &folder,
                folder.journal(&BTreeMap::new(), &config, &data)?,
                self.output,
            );
        };
        let lengths = snapshot.about.lengths.clone();
        let restored = training.restore(snapshot, self.accept_changes);
        let changes;
        (training, changes) = restored.map_err(|error| self.in_words(error, &found.path))?;
        self.keep_data_dir(&folder, &config)?;
        let line = format!(
            "resumes from step {}, {} of {} done",
            found.step,
            found.epoch,
            run::epochs_of(&config)
        );
        terminal::note(&line, self.output.quiet);
        let mut journal = folder.journal(&lengths, &config, &data)?;
        if !changes.is_empty() {
            journal.changed(found.step + 1, &changes)?;
        }
        run::run(training, &data, &config, &folder, journal, self.output)
    }
}

impl Resume {
    /// Where the data moved to, as it holds wherever the program works.
    fn data_dir(&self) -> Result<Option<PathBuf>> {
        let absolute = self.data_dir.as_ref().map(|data_dir| {
            std::path::absolute(data_dir)
                .with_context(|| Usage(format!("--data-dir {} is no path", data_dir.display())))
        });
        absolute.transpose()
    }

    /// What a checkpoint that does not fit means, and what to do.
    fn in_words(&self, error: Error, path: &Path) -> anyhow::Error {
        let words = match error {
            Error::Changed { .. } => {
                format!("{error}; put them back, or accept the new ones: --accept-changes")
            }
            Error::OtherData { .. } => format!(
                "{error}; put it back, or name the folder that holds it with --data-dir; a new run on other \
                 data can begin from these weights: {} --from {} with --data and --data-dir, \
                 and with --new-head where the classes are others",
                program::command("train"),
                self.run.display()
            ),
            error => format!("{}: {error}", path.display()),
        };
        Usage(words).into()
    }

    /// Writes where the data moved to, once it is known to be that of the run.
    fn keep_data_dir(&self, folder: &RunFolder, config: &TrainConfig) -> Result<()> {
        if self.data_dir.is_none() {
            return Ok(());
        }
        files::write(&folder.path().join(CONFIG), toml::to_string(config)?.as_bytes())
    }
}

fn ready(world: &World, config: &TrainConfig) -> Result<(Training, Data)> {
    let spec = Spec::try_from(config)?;
    let device = device::open(&world.device(&config.device))?;
    let data = program::load(config)?;
    Ok((world.attach(Training::new(spec, &data, &device)?, config)?, data))
}
