//! Several processes that train one network together, by MPI.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Result, bail};
use clap::Args;
use lowland::Workers;
use lowland_tasks::checkpoint::{About, Snapshot};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::Training;

use crate::failure::Usage;

/// Which other processes train the same network.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WorldFlags {
    /// Train together with the other processes that mpirun or srun has started; batches are shared
    /// among them
    #[arg(long, help_heading = "Several machines")]
    mpi: bool,
    /// How many processes there must be [default: what mpirun or srun says]
    #[arg(long, value_name = "N", requires = "mpi", help_heading = "Several machines")]
    workers_expected: Option<usize>,
    /// After how many steps the weights of all are compared; 0 for never [default: 100]
    #[arg(long, value_name = "N", requires = "mpi", help_heading = "Several machines")]
    compare_every: Option<u64>,
}

impl WorldFlags {
    /// Whether several processes are asked for.
    pub(crate) fn is_asked_for(self) -> bool {
        self.mpi
    }

    /// Joins the others, where there are to be some.
    ///
    /// # Errors
    /// MPI is not built in or cannot be started; there are not as many processes as there should
    /// be.
    pub(crate) fn join(self) -> Result<World> {
        if self.mpi {
            return World::join(self);
        }
        let started = lowland_mpi::SIZES.into_iter().find_map(|name| {
            let count: usize = std::env::var(name).ok()?.parse().ok()?;
            (count > 1).then_some(count)
        });
        match started {
            Some(count) => bail!(Usage(format!(
                "{count} processes were started to do the same run: train one together with --mpi"
            ))),
            None => Ok(World::alone(self)),
        }
    }
}

/// The processes that train together, this one included.
#[derive(Debug)]
pub(crate) struct World {
    flags: WorldFlags,
    #[cfg(feature = "mpi")]
    world: Option<lowland_mpi::World>,
}

impl World {
    #[cfg(not(feature = "mpi"))]
    fn alone(flags: WorldFlags) -> Self {
        Self { flags }
    }

    #[cfg(not(feature = "mpi"))]
    fn join(_flags: WorldFlags) -> Result<Self> {
        bail!(Usage("--mpi is not built in: build with --features mpi".to_owned()))
    }

    #[cfg(feature = "mpi")]
    fn alone(flags: WorldFlags) -> Self {
        Self { flags, world: None }
    }

    #[cfg(feature = "mpi")]
    fn join(flags: WorldFlags) -> Result<Self> {
        let asked = std::sync::Arc::default();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // Without it, the launcher's own way to end processes is left.
            let _ = signal_hook::flag::register(signal, std::sync::Arc::clone(&asked));
        }
        let join = lowland_mpi::Join {
            expected: flags.workers_expected,
            end_requested: Some(asked),
            ..lowland_mpi::Join::default()
        };
        match lowland_mpi::World::join(&join) {
            Ok(world) => Ok(Self { flags, world: Some(world) }),
            Err(error @ lowland_mpi::Error::Size { .. }) => bail!(Usage(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(feature = "mpi")]
    fn place(&self) -> (usize, usize, usize) {
        let of = |world: &lowland_mpi::World| (world.rank(), world.count(), world.local_rank());
        self.world.as_ref().map_or((0, 1, 0), of)
    }

    #[cfg(not(feature = "mpi"))]
    #[expect(clippy::unused_self, reason = "there is one process")]
    fn place(&self) -> (usize, usize, usize) {
        (0, 1, 0)
    }

    #[cfg(feature = "mpi")]
    fn workers(&self, group: usize) -> Result<Workers> {
        Ok(match &self.world {
            Some(world) => world.workers(group)?,
            None => Workers::alone(),
        })
    }

    #[cfg(not(feature = "mpi"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is one process")]
    fn workers(&self, _group: usize) -> Result<Workers> {
        Ok(Workers::alone())
    }

    /// Whether this is the process that writes and prints.
    pub(crate) fn is_first(&self) -> bool {
        self.place().0 == 0
    }

    /// All processes, as workers that ascend together.
    ///
    /// # Errors
    /// A process that is gone.
    pub(crate) fn all(&self) -> Result<Workers> {
        self.workers(usize::MAX)
    }

    /// The name of this process's device: `LOCAL_RANK` in it stands for its number on its machine.
    pub(crate) fn device(&self, name: &str) -> String {
        name.replace("LOCAL_RANK", &self.place().2.to_string())
    }

    /// A training that takes part with this process.
    ///
    /// # Errors
    /// Settings that do not apply to workers or the algorithm; a process that is gone.
    pub(crate) fn attach(&self, training: Training, config: &TrainConfig) -> Result<Training> {
        let (_, count, _) = self.place();
        let mut workers = self.workers(config.ascent_scope.group(count))?;
        if let Some(steps) = self.flags.compare_every {
            workers = workers.with_check_every(Some(steps));
        }
        Ok(training.with_workers(workers)?)
    }

    /// The snapshot that worker 0 has, for all; the others give none.
    ///
    /// # Errors
    /// A process that is gone.
    pub(crate) fn share_snapshot(&self, snapshot: Option<&Snapshot>) -> Result<Option<Snapshot>> {
        let workers = self.all()?;
        if !workers.broadcast_flag(snapshot.is_some())? {
            return Ok(None);
        }
        let step = workers.sums(vec![snapshot.map_or(0.0, |s| s.about.step as f64)])?[0];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let step = step as u64;
        let about = About {
            step,
            epoch: 0,
            validation_accuracy: None,
            validation_loss: None,
            lengths: BTreeMap::new(),
        };
        let mut shared = Snapshot { about, files: Vec::new() };
        for name in Snapshot::FILES.into_iter().chain(Snapshot::MORE_FILES) {
            let own = snapshot.and_then(|s| s.files.iter().find(|(found, _)| found == name));
            // Worker 0 has it or has not, which all hear.
            if workers.sums(vec![f64::from(u8::from(own.is_some()))])?[0] > 0.0 {
                let bytes = own.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
                shared.files.push((name.to_owned(), workers.broadcast(bytes)?));
            }
        }
        Ok(Some(shared))
    }

    /// Leaves the others: in good order where the run ended so, or else with an end to all of them.
    ///
    /// # Errors
    /// What the run ended with.
    #[cfg(not(feature = "mpi"))]
    #[allow(clippy::unused_self, reason = "without MPI there is nobody to leave")]
    pub(crate) fn leave(self, result: Result<()>) -> Result<()> {
        result
    }

    /// Leaves the others: in good order where the run ended so, or else with an end to all of them.
    ///
    /// # Errors
    /// What the run ended with, where all ended with it.
    #[cfg(feature = "mpi")]
    pub(crate) fn leave(self, result: Result<()>) -> Result<()> {
        use crate::failure::{self, Ended, Interrupted};

        let first = self.is_first();
        let Some(world) = self.world else { return result };
        let Err(error) = result else { return Ok(world.finish()?) };
        let cause = error.downcast_ref::<Ended>().map_or(&error, |ended| &ended.error);
        if cause.is::<Interrupted>() {
            world.finish()?;
            if first {
                return Err(error);
            }
            // Worker 0 has reported it.
            std::process::exit(i32::from(failure::code(&error)));
        }
        let code = i32::from(failure::code(&error));
        let error = if first {
            error
        } else {
            // Where all fail alike, worker 0 reports it, and that ends this one.
            std::thread::sleep(std::time::Duration::from_secs(1));
            anyhow::anyhow!("worker {}: {error:#}", world.rank())
        };
        failure::report(&error);
        world.abort(code)
    }
}

/// What all workers do after a step or epoch: whether they were asked to end, any of them, and
/// whether worker 0 is to save.
///
/// # Errors
/// A worker that is gone.
pub(crate) fn agreed(
    training: &Training,
    asked: ControlFlow<u8>,
    due: bool,
) -> Result<(ControlFlow<u8>, bool)> {
    let workers = training.workers();
    if workers.count() == 1 {
        return Ok((asked, due || asked.is_break()));
    }
    // A place for each code, and one for whether to save. Workers may end by different signals.
    let mut places = [0.0; CODES.len() + 1];
    if let ControlFlow::Break(code) = asked {
        let place = CODES.iter().position(|known| *known == code).unwrap_or_default();
        places[place] = 1.0;
    }
    places[CODES.len()] = f64::from(u8::from(due));
    let sums = workers.sums(places.to_vec())?;
    let asked = CODES.iter().zip(&sums).rev().find(|(_, sum)| **sum > 0.0);
    let asked = asked.map_or(ControlFlow::Continue(()), |(code, _)| ControlFlow::Break(*code));
    Ok((asked, sums[CODES.len()] > 0.0 || asked.is_break()))
}

/// The exit codes of a run that was asked to end: after SIGHUP, Ctrl-C and SIGTERM.
const CODES: [u8; 3] = [129, 130, 143];
