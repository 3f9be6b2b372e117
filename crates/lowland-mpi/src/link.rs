//! The thread that talks to MPI, and what the others ask of it.
//!
//! All calls of MPI are made in one thread, as the least demanding level of thread support has it.
//! The others wait for its answers with an eye on the clock, so that nothing that another process
//! does or does not do makes them wait for ever.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use lowland::parallel::Numbers;
use lowland::{Collective, Error, Result};
use mpi::collective::SystemOperation;
use mpi::datatype::Equivalence;
use mpi::request::{LocalScope, Request, scope};
use mpi::topology::{Color, SimpleCommunicator};
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

/// The largest piece that goes to MPI at once, in numbers: it counts in 32 bits.
const PIECE: usize = 1 << 24;

/// How long a thread waits before it looks whether all is to end.
const LOOK: Duration = Duration::from_millis(20);

/// How long an exchange may continue once the process was asked to end, before it is given up: less
/// than launchers take from that word to killing.
const GRACE: Duration = Duration::from_millis(500);

/// How long MPI has to end all processes.
const LAST: Duration = Duration::from_secs(5);

/// What the thread of MPI is asked for.
pub(crate) enum Job {
    /// A sum or a broadcast among all, or among the group of that number.
    Exchange { group: Option<usize>, what: Exchange, reply: SyncSender<Exchange> },
    /// A new group with those who give the same number; the reply is its own number.
    Split { color: i32, reply: SyncSender<usize> },
    /// The rank among the processes of the same machine.
    LocalRank { reply: SyncSender<usize> },
    /// The orderly end.
    Finish { reply: SyncSender<()> },
}

/// What goes out and comes back.
pub(crate) enum Exchange {
    Sum(Numbers),
    Broadcast(Vec<u8>),
}

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Link {
    jobs: Sender<Job>,
    /// The exit code with which all processes are to be ended; 0 while they are not.
    ending: AtomicI32,
    finished: AtomicBool,
    thread: OnceLock<ThreadId>,
    patience: Duration,
    end_requested: Option<Arc<AtomicBool>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Link {
    pub(crate) fn new(
        jobs: Sender<Job>,
        patience: Duration,
        end_requested: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self {
            jobs,
            ending: AtomicI32::new(0),
            finished: AtomicBool::new(false),
            thread: OnceLock::new(),
            patience,
            end_requested,
        }
    }

    /// Asks the thread of MPI for something and waits for its answer: for as long as its patience
    /// lasts, and no longer than [`GRACE`] once the process was asked to end.
    pub(crate) fn ask<T>(&self, job: impl FnOnce(SyncSender<T>) -> Job) -> Result<T> {
        self.ask_within(Some(GRACE), job)
    }

    /// Comes to the orderly end. The word to end does not cut it short: another may still be saving
    /// what it has because of that very word.
    pub(crate) fn finish(&self) -> Result<()> {
        self.ask_within(None, |reply| Job::Finish { reply })
    }

    fn ask_within<T>(
        &self,
        grace: Option<Duration>,
        job: impl FnOnce(SyncSender<T>) -> Job,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        let gone = || Error::Collective("MPI has ended".to_owned());
        self.jobs.send(job(reply)).map_err(|_| gone())?;
        let started = Instant::now();
        let mut asked = None;
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let flag = self.end_requested.as_ref();
            if let Some(grace) = grace
                && flag.is_some_and(|flag| flag.load(Ordering::SeqCst))
            {
                let since = asked.get_or_insert_with(Instant::now);
                if since.elapsed() > grace {
                    return Err(Error::Collective(
                        "this one was asked to end while it waited for another, which is gone or slow"
                            .to_owned(),
                    ));
                }
            }
            if started.elapsed() > self.patience {
                let waited = self.patience.as_secs();
                return Err(Error::Collective(format!(
                    "this one waited {waited} seconds for another, which is gone, slow or at another place"
                )));
            }
        }
    }

    /// Ends all processes of the run, this one included.
    pub(crate) fn abort(&self, code: i32) -> ! {
        // A code of 0 would say that all went well.
        let code = if code == 0 { 1 } else { code };
        self.ending.store(code, Ordering::SeqCst);
        if self.thread.get() != Some(&std::thread::current().id()) {
            std::thread::sleep(LAST);
        }
        std::process::exit(code)
    }

    /// Ends all processes after a panic, unless MPI has been left already.
    pub(crate) fn abort_after_panic(&self) {
        if !self.finished.load(Ordering::SeqCst) {
            self.abort(101);
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    fn ending(&self) -> Option<i32> {
        Some(self.ending.load(Ordering::SeqCst)).filter(|code| *code != 0)
    }
}

/// A way to reach all processes, or those of a group.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) link: Arc<Link>,
    pub(crate) group: Option<usize>,
}

impl Line {
    fn exchange(&self, what: Exchange) -> Result<Exchange> {
        self.link.ask(|reply| Job::Exchange { group: self.group, what, reply })
    }
}

impl Collective for Line {
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers> {
        match self.exchange(Exchange::Sum(values))? {
            Exchange::Sum(sums) => Ok(sums),
            Exchange::Broadcast(_) => Err(Error::Collective("another kind of answer".to_owned())),
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self.exchange(Exchange::Broadcast(bytes))? {
            Exchange::Broadcast(bytes) => Ok(bytes),
            Exchange::Sum(_) => Err(Error::Collective("another kind of answer".to_owned())),
        }
    }
}

/// What the thread of MPI reports once it is there.
pub(crate) struct Hello {
    pub(crate) link: Arc<Link>,
    pub(crate) rank: usize,
    pub(crate) count: usize,
    pub(crate) library: String,
}

/// The life of the thread of MPI. `None` goes out where MPI cannot be started.
pub(crate) fn serve(link: Arc<Link>, jobs: &Receiver<Job>, hello: &SyncSender<Option<Hello>>) {
    let started = mpi::initialize_with_threading(mpi::Threading::Funneled);
    let Some((universe, _)) = started else {
        // Nobody else waits for this one.
        let _ = hello.send(None);
        return;
    };
    let _ = link.thread.set(std::thread::current().id());
    let world = universe.world();
    let count = |number: i32| usize::try_from(number).unwrap_or(0);
    let library = mpi::environment::library_version().unwrap_or_default();
    let (rank, size) = (count(world.rank()), count(world.size()));
    let greeting = Hello { link: Arc::clone(&link), rank, count: size, library };
    if hello.send(Some(greeting)).is_err() {
        world.abort(1);
    }
    let mut server = Server { link, world, groups: Vec::new() };
    let finished = server.run(jobs);
    drop(server);
    // Waits for the others to come to their end as well.
    drop(universe);
    // Whoever asked may have continued.
    let _ = finished.send(());
}

struct Server {
    link: Arc<Link>,
    world: SimpleCommunicator,
    groups: Vec<SimpleCommunicator>,
}

impl Server {
    /// Does what it is asked for until the orderly end.
    fn run(&mut self, jobs: &Receiver<Job>) -> SyncSender<()> {
        loop {
            match jobs.recv_timeout(LOOK) {
                Ok(Job::Finish { reply }) => {
                    self.link.finished.store(true, Ordering::SeqCst);
                    return reply;
                }
                Ok(job) => self.serve(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.world.abort(1),
            }
            if let Some(code) = self.link.ending() {
                self.world.abort(code);
            }
        }
    }

    fn serve(&mut self, job: Job) {
        // Whoever asked may have given up: the link reports that.
        match job {
            Job::Exchange { group, what, reply } => {
                let way = group.map_or(&self.world, |group| &self.groups[group]);
                let _ = reply.send(match what {
                    Exchange::Sum(Numbers::F32(values)) => {
                        Exchange::Sum(Numbers::F32(self.sum(way, &values)))
                    }
                    Exchange::Sum(Numbers::F64(values)) => {
                        Exchange::Sum(Numbers::F64(self.sum(way, &values)))
                    }
                    Exchange::Broadcast(bytes) => Exchange::Broadcast(self.broadcast(way, bytes)),
                });
            }
            Job::Split { color, reply } => {
                let key = self.world.rank();
                let group = self.world.split_by_color_with_key(Color::with_value(color), key);
                self.groups.extend(group);
                let _ = reply.send(self.groups.len() - 1);
            }
            Job::LocalRank { reply } => {
                let rank = self.world.split_shared(self.world.rank()).rank();
                let _ = reply.send(usize::try_from(rank).unwrap_or(0));
            }
            Job::Finish { .. } => {}
        }
    }

    fn sum<T: Equivalence + Default + Clone>(
        &self,
        way: &SimpleCommunicator,
        values: &[T],
    ) -> Vec<T> {
        let mut sums = vec![T::default(); values.len()];
        for (values, sums) in values.chunks(PIECE).zip(sums.chunks_mut(PIECE)) {
            scope(|scope| {
                self.wait(way.immediate_all_reduce_into(
                    scope,
                    values,
                    sums,
                    SystemOperation::sum(),
                ));
            });
        }
        sums
    }

    fn broadcast(&self, way: &SimpleCommunicator, mut bytes: Vec<u8>) -> Vec<u8> {
        for piece in bytes.chunks_mut(PIECE) {
            scope(|scope| {
                self.wait(way.process_at_rank(0).immediate_broadcast_into(scope, piece));
            });
        }
        bytes
    }

    /// Waits until an exchange is over, and ends all where that is asked for meanwhile.
    fn wait<'a, D: ?Sized>(&self, mut request: Request<'a, D, &LocalScope<'a>>) {
        while let Err(unfinished) = request.test() {
            request = unfinished;
            if let Some(code) = self.link.ending() {
                self.world.abort(code);
            }
            // Other processes may need this core to get on.
            std::thread::yield_now();
        }
    }
}

/// Writes a line to standard error.
pub(crate) fn warn(line: &str) {
    // Nobody reads it where it is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
