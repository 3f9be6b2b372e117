//! The processes that were started together.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Once};
use std::time::Duration;

use lowland::{AscentScope, Workers};

use crate::SIZES;
use crate::link::{Job, Line, Link, serve, warn};

/// What can go wrong when a process joins its fellows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// MPI could not be started; it can be started once a process.
    #[error("MPI could not be started in this process, or was before")]
    NotStarted,
    /// The number of processes is not the one that was asked for.
    #[error(
        "MPI knows {found} workers where {source_of_truth} says {expected}: the program was built with another \
         MPI than that of the launcher ({library}); build it with the launcher's, or launch it with its own"
    )]
    Size {
        /// How many MPI knows.
        found: usize,
        /// How many there should be.
        expected: usize,
        /// Who says so.
        source_of_truth: &'static str,
        /// The MPI that the program was built with.
        library: String,
    },
    /// The thread that talks to MPI could not be started.
    #[error("the thread that talks to MPI could not be started")]
    Thread(#[source] std::io::Error),
    /// A setting that makes no sense, or workers that lost contact with one another.
    #[error(transparent)]
    Workers(#[from] lowland::Error),
}

/// How a process joins.
#[derive(Debug, Clone)]
pub struct Join {
    /// How many workers there must be. Default: what the launcher says, where it says something.
    pub expected: Option<usize>,
    /// How long a worker waits for others in one exchange before it gives up: longer than the
    /// slowest step and measurement take. Default 10 minutes.
    pub patience: Duration,
    /// Set where the process was asked to end: a worker that waits for others in an exchange then
    /// waits half a second more, and its exchange is an error. [`World::finish`] waits with
    /// full patience all the same. Default: none.
    pub end_requested: Option<Arc<AtomicBool>>,
}

impl Default for Join {
    fn default() -> Self {
        Self { expected: None, patience: Duration::from_mins(10), end_requested: None }
    }
}

/// All processes that were started together, as one of them sees the others.
///
/// A process that leaves without [`finish`](Self::finish) ends all others with it: where a value is
/// dropped on the way of an error, where it panics in any thread. What it has to print it must
/// print before.
#[derive(Debug)]
pub struct World {
    link: Arc<Link>,
    rank: usize,
    count: usize,
    local_rank: usize,
}

impl World {
    /// Joins the other processes; once a process.
    ///
    /// A panic in any thread ends all processes from then on, after it was printed as always.
    ///
    /// # Errors
    /// MPI cannot be started; [`Error::Size`] where there are not as many workers as were asked
    /// for, as when a program that was built with one MPI is launched by another.
    pub fn join(join: &Join) -> Result<Self, Error> {
        let (jobs, asked) = channel();
        let link = Link::new(jobs, join.patience, join.end_requested.clone());
        let link = Arc::new(link);
        let (hello, said) = sync_channel(1);
        let served = Arc::clone(&link);
        std::thread::Builder::new()
            .name("mpi".to_owned())
            .spawn(move || serve(served, &asked, &hello))
            .map_err(Error::Thread)?;
        let hello = said.recv().ok().flatten().ok_or(Error::NotStarted)?;
        let mut world =
            Self { link: hello.link, rank: hello.rank, count: hello.count, local_rank: 0 };
        end_all_on_panic(&world.link);
        if let Err(error) = check_size(join.expected, world.count, &hello.library) {
            // All of this world find the same.
            world.finish()?;
            return Err(error);
        }
        world.local_rank = world.link.ask(|reply| Job::LocalRank { reply })?;
        tracing::debug!(world.rank, world.count, world.local_rank, "joined");
        Ok(world)
    }

    /// The number of this process, counted from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of this process among those of the same machine, counted from 0: that of the GPU
    /// to take where each has one.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// The workers, of which `group` with neighbouring numbers ascend together: 1 for each alone,
    /// as many as there are or more for all together. All processes must call this, with the same
    /// number.
    ///
    /// # Errors
    /// A group of 0; processes that lost contact with one another.
    pub fn workers(&self, group: usize) -> Result<Workers, Error> {
        if group == 0 {
            return Err(Error::Workers(lowland::Error::Config {
                field: "group",
                found: "0".to_owned(),
                allowed: "at least 1",
            }));
        }
        let line = |group| Arc::new(Line { link: Arc::clone(&self.link), group });
        let scope = if group >= self.count {
            AscentScope::Global
        } else if group == 1 {
            AscentScope::Local
        } else {
            let color = i32::try_from(self.rank / group).unwrap_or(i32::MAX);
            let number = self.link.ask(|reply| Job::Split { color, reply })?;
            AscentScope::Group(line(Some(number)))
        };
        Ok(Workers::new(self.rank, self.count, line(None))?.with_ascent_scope(scope))
    }

    /// The orderly end: all processes come to it, and each waits for the others.
    ///
    /// # Errors
    /// The processes lost contact with one another.
    pub fn finish(self) -> Result<(), Error> {
        Ok(self.link.finish()?)
    }

    /// Ends all processes, this one included, with an exit code; 1 instead of 0.
    pub fn abort(&self, code: i32) -> ! {
        self.link.abort(code)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.link.is_finished() {
            warn(&format!("worker {} ended early: all others are ended with it", self.rank));
            self.link.abort(1);
        }
    }
}

/// Makes a panic in any thread end all processes once it was printed: unwinding would end in MPI's
/// own end, which waits for those who wait for this one.
fn end_all_on_panic(link: &Arc<Link>) {
    static HOOKED: Once = Once::new();
    let link = Arc::clone(link);
    HOOKED.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            print(info);
            link.abort_after_panic();
        }));
    });
}

/// Checks that there are as many processes as there should be.
fn check_size(expected: Option<usize>, found: usize, library: &str) -> Result<(), Error> {
    let number = |name: &'static str| Some((std::env::var(name).ok()?.parse().ok()?, name));
    let asked = expected.map(|expected| (expected, "the number of workers that was asked for"));
    match asked.or_else(|| SIZES.into_iter().find_map(number)) {
        Some((expected, source_of_truth)) if expected != found => {
            let library = library.split(['\n', ',']).next().unwrap_or_default().trim().to_owned();
            Err(Error::Size { found, expected, source_of_truth, library })
        }
        _ => Ok(()),
    }
}
