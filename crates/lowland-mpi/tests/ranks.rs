//! Training with real ranks: each test starts this program several times with the launcher of MPI.
//! Where there is none, it says so and passes. In one file, since a rank is this very program.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "ranks report to the test by printing"
)]
#![allow(clippy::exit, reason = "a rank ends as a program does")]

#[path = "../../lowland/tests/common/mod.rs"]
mod common;
#[path = "../../lowland/tests/common/workers.rs"]
mod workers;

use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burn::optim::AdamWConfig;
use burn::tensor::{Distribution, Tensor};
use common::{Net, cross_entropies, sgd};
use lowland::parallel::Numbers;
use lowland::{
    Algorithm, AscentScope, BatchInfo, Collective, Diagnostics, Result, SamConfig, Samples,
    SharpnessAware, Workers,
};
use lowland_mpi::{Join, SIZES, World};
use workers::{STEPS, all, by_hand, far, go, net, one_step, optimizer, shard};

/// Names what a rank is to do.
const SCENARIO: &str = "LOWLAND_TEST_SCENARIO";

/// What a rank does; each returns where all is well.
const SCENARIOS: [(&str, fn()); 11] = [
    ("equality", equality),
    ("apart", apart),
    ("panics", panics),
    ("fails", fails),
    ("is killed", is_killed),
    ("hangs", hangs),
    ("saves", saves),
    ("batches", batches),
    ("pieces", pieces),
    ("shares", shares),
    ("measures", measures),
];

/// The entry of a rank; nothing where the tests themselves run.
#[test]
fn rank() {
    let Ok(asked) = std::env::var(SCENARIO) else { return };
    let scenario = SCENARIOS.iter().find(|(name, _)| *name == asked).unwrap().1;
    scenario();
    std::process::exit(0);
}

/// A program of `count` ranks that plays a scenario; `None` where it cannot be started here.
fn launched(count: usize, scenario: &str) -> Option<Command> {
    let launcher = std::env::var("LOWLAND_MPIRUN").unwrap_or_else(|_| "mpirun".to_owned());
    if Command::new(&launcher).arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no {launcher} here to start ranks with");
        return None;
    }
    let mut command = Command::new(launcher);
    command
        .args(["-n", &count.to_string()])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "rank", "--nocapture", "--test-threads=1"])
        .env(SCENARIO, scenario)
        .env("RAYON_NUM_THREADS", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        // More ranks than cores, by Open MPI 4 and 5.
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .stdin(Stdio::null());
    Some(command)
}

/// Runs a scenario to its end, which must come soon: what has not ended by then is killed.
fn played(count: usize, scenario: &str, within: Duration) -> Option<(Output, Duration)> {
    let mut command = launched(count, scenario)?;
    let started = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let launcher = child.id().to_string();
    let (sender, over) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let output = child.wait_with_output().unwrap();
        let _ = sender.send(started.elapsed());
        output
    });
    let taken = over.recv_timeout(within);
    // The launcher takes its ranks with it, unless it does not hear.
    let ends_by = |signal: &str| {
        Command::new("kill").args([signal, launcher.as_str()]).status().unwrap();
        over.recv_timeout(Duration::from_secs(10)).is_ok()
    };
    if taken.is_err() && !ends_by("-TERM") {
        assert!(ends_by("-KILL"), "{scenario} hangs, and its ranks outlive the launcher");
    }
    let output = waiting.join().unwrap();
    let taken = taken.unwrap_or_else(|_| panic!("{scenario} hangs: {}", text(&output)));
    Some((output, taken))
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}\n{err}")
}

/// Ten minutes, for what trains all algorithms on a busy machine.
const LONG: Duration = Duration::from_mins(10);

/// What "ends within seconds" means here.
const SOON: Duration = Duration::from_secs(20);

fn joined() -> World {
    let patience = Duration::from_mins(5);
    World::join(&Join { patience, ..Join::default() }).unwrap()
}

fn sam(workers: Workers) -> SharpnessAware {
    let rule = SamConfig { rho: 0.1 }.build().unwrap();
    SharpnessAware::new(sgd(0.0, 0.0), rule)
        .unwrap()
        .with_workers(workers.with_check_every(Some(1)))
}

/// All algorithms, together: the steps of one worker with the whole batch.
fn equality() {
    let world = joined();
    let workers = world.workers(world.count()).unwrap();
    let mut worst: f64 = 0.0;
    for algorithm in all() {
        for base in [|| sgd(0.9, 1e-2), || AdamWConfig::new().init()] {
            let alone = go(&mut optimizer(&algorithm, base(), Workers::alone()), net(), 0..STEPS);
            let found = go(&mut optimizer(&algorithm, base(), workers.clone()), net(), 0..STEPS);
            let apart = far(&alone.values(), &found.values());
            assert!(apart < 1e-6, "{algorithm:?}: {apart:e}");
            worst = worst.max(apart);
        }
    }
    if workers.is_first() {
        println!("furthest apart: {worst:e}");
    }
    world.finish().unwrap();
}

#[test]
fn ranks_that_ascend_together_take_the_steps_of_one_with_the_whole_batch() {
    for count in [2, 4] {
        let Some((output, taken)) = played(count, "equality", LONG) else { return };
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("furthest apart"), "{}", text(&output));
        println!("{count} ranks, {taken:?}: {}", text(&output));
    }
}

/// SAM by each alone and by groups of two.
fn apart() {
    let world = joined();
    for group in [1, 2] {
        let expected = by_hand(world.count(), group, 20);
        let mut optimizer = sam(world.workers(group).unwrap());
        let apart = far(&expected, &go(&mut optimizer, net(), 0..20).values());
        assert!(apart < 1e-9, "groups of {group}: {apart:e}");
    }
    world.finish().unwrap();
}

#[test]
fn ranks_that_ascend_apart_step_along_the_mean_of_their_own_sam_gradients() {
    let Some((output, _)) = played(4, "apart", LONG) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

/// Trains on until something ends it.
fn train_until(world: &World, mut before: impl FnMut(u64)) {
    let workers = world.workers(world.count()).unwrap();
    let mut optimizer = sam(workers.clone());
    let mut net = net();
    for step in 0..u64::MAX {
        before(step);
        net = match one_step(&mut optimizer, 0.05, net, &shard(step, &workers)) {
            Ok((net, _)) => net,
            Err(error) => {
                eprintln!("worker {} at step {step}: {error}", world.rank());
                return;
            }
        };
    }
}

fn panics() {
    let world = joined();
    train_until(&world, |step| assert!(world.rank() != 1 || step < 5, "a bug of worker 1"));
}

/// Leaves with an error, without a word to the others.
fn fails() {
    let world = joined();
    let mut steps = 0;
    let workers = world.workers(world.count()).unwrap();
    let mut optimizer = sam(workers.clone());
    let mut net = net();
    while world.rank() != 1 || steps < 5 {
        net = one_step(&mut optimizer, 0.05, net, &shard(steps, &workers)).unwrap().0;
        steps += 1;
    }
    eprintln!("worker 1: the disk is full");
    drop(world);
}

fn is_killed() {
    let world = joined();
    train_until(&world, |step| {
        if world.rank() == 1 && step == 5 {
            let own = std::process::id().to_string();
            Command::new("kill").args(["-9", &own]).status().unwrap();
            std::thread::sleep(Duration::from_mins(1));
        }
    });
}

#[test]
fn a_rank_that_panics_fails_or_is_killed_ends_all_within_seconds() {
    for (scenario, word) in [
        ("panics", "a bug of worker 1"),
        ("fails", "worker 1 ended early: all others are ended with it"),
        ("is killed", "signal 9"),
    ] {
        let Some((output, taken)) = played(3, scenario, SOON) else { return };
        assert!(!output.status.success(), "{scenario}: {}", text(&output));
        assert!(text(&output).contains(word), "{scenario}: {}", text(&output));
        println!("{scenario}: all ended after {taken:?}");
    }
}

/// One rank goes away without ending.
fn hangs() {
    let world = World::join(&Join { patience: Duration::from_secs(2), ..Join::default() }).unwrap();
    train_until(&world, |step| {
        if world.rank() == 1 && step == 5 {
            std::thread::sleep(Duration::from_mins(1));
        }
    });
}

#[test]
fn a_rank_that_waits_for_longer_than_it_has_patience_ends_all_with_an_error() {
    let Some((output, _)) = played(2, "hangs", SOON) else { return };
    assert!(!output.status.success(), "{}", text(&output));
    let word = "worker 0 at step 5: lost contact with another worker: this one waited 2 seconds";
    assert!(text(&output).contains(word), "{}", text(&output));
}

/// Worker 0 takes longer over its end than an exchange may once all were asked to end.
fn saves() {
    let asked = Arc::new(AtomicBool::new(false));
    let end_requested = Some(Arc::clone(&asked));
    let world = World::join(&Join { end_requested, ..Join::default() }).unwrap();
    asked.store(true, Ordering::SeqCst);
    if world.rank() == 0 {
        std::thread::sleep(Duration::from_secs(2));
        println!("worker 0 has saved");
    }
    world.finish().unwrap();
}

#[test]
fn the_word_to_end_does_not_cut_short_what_another_still_saves() {
    let Some((output, _)) = played(2, "saves", SOON) else { return };
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("worker 0 has saved"), "{}", text(&output));
}

/// Ranks with different numbers of batches.
fn batches() {
    let world = joined();
    let workers = world.workers(world.count()).unwrap();
    let mut optimizer = sam(workers.clone());
    let (mut net, mut step) = (net(), 0);
    let own = 3 + world.rank();
    while workers.any(step < own).unwrap() {
        let batch = if step < own { vec![step, 20 + world.rank()] } else { Vec::new() };
        net = one_step(&mut optimizer, 0.05, net, &batch).unwrap().0;
        step += 1;
    }
    assert_eq!(step, 3 + world.count() - 1);
    world.finish().unwrap();
}

#[test]
fn ranks_with_different_numbers_of_batches_come_to_an_end() {
    let Some((output, _)) = played(3, "batches", SOON) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

/// More numbers than go to MPI at once.
fn pieces() {
    let world = joined();
    let all = world.workers(2).unwrap().collective().unwrap();
    let count = (1 << 24) + 5;
    #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
    let own: Vec<f32> = (0..count).map(|i| (i % 1000 + world.rank()) as f32).collect();
    let Numbers::F32(sums) = all.all_reduce_sum(Numbers::F32(own)).unwrap() else { panic!() };
    #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
    let expected = |i: usize| (2 * (i % 1000) + 1) as f32;
    assert!(sums.len() == count && sums.iter().enumerate().all(|(i, sum)| *sum == expected(i)));
    let own = vec![u8::try_from(world.rank() + 3).unwrap(); count];
    assert!(all.broadcast(own).unwrap() == vec![3; count]);
    world.finish().unwrap();
}

#[test]
fn what_is_too_large_for_one_exchange_goes_in_pieces() {
    let Some((output, _)) = played(2, "pieces", LONG) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

/// Weights of worker 0 for all, and the numbers of processes on the machine.
fn shares() {
    let world = joined();
    let workers = world.workers(1).unwrap();
    let values: Vec<Vec<f64>> = net()
        .values()
        .into_iter()
        .map(|values| {
            values.iter().map(|v| v + f64::from(u8::try_from(world.rank()).unwrap())).collect()
        })
        .collect();
    let own = net().with_values(&values, burn::tensor::FloatDType::F64);
    let shared = workers.share(own).unwrap();
    assert_eq!(shared.values(), net().values());
    workers.compare(&shared, 0).unwrap();
    assert_eq!(world.local_rank(), world.rank());
    world.finish().unwrap();
}

#[test]
fn ranks_share_the_weights_of_worker_0() {
    let Some((output, _)) = played(2, "shares", SOON) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

/// Each in a network namespace of its own, as on two machines.
#[test]
fn two_ranks_reach_each_other_by_a_network_alone() {
    if launched(2, "apart").is_none() {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/namespaces.sh");
    let output = Command::new(script)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "rank", "--nocapture", "--test-threads=1"])
        .env(SCENARIO, "apart")
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    if text(&output).contains("SKIPPED") {
        eprintln!("{}", text(&output));
        return;
    }
    let printed = text(&output);
    let sent = printed.lines().find_map(|line| line.split_once("bytes from one to the other: "));
    let sent = sent.and_then(|(_, sent)| sent.parse::<u64>().ok());
    // Twice 20 steps, 51 weights of 8 bytes at least once in each.
    assert!(sent.is_some_and(|sent| sent > 40 * 51 * 8), "{printed}");
}

/// A way to reach the others that is timed.
#[derive(Debug)]
struct Timed {
    way: Arc<dyn Collective>,
    nanoseconds: AtomicU64,
}

impl Timed {
    fn time<T>(&self, exchange: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = exchange();
        let taken = u64::try_from(started.elapsed().as_nanos()).unwrap();
        self.nanoseconds.fetch_add(taken, Ordering::Relaxed);
        result
    }
}

impl Collective for Timed {
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers> {
        self.time(|| self.way.all_reduce_sum(values))
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.time(|| self.way.broadcast(bytes))
    }
}

/// The share of a step that its exchanges take, the wait for slower workers included: 670,000
/// weights in `f32`, 128 samples a worker.
fn measures() {
    const PARTS: usize = 128;
    let world = joined();
    let way = world.workers(usize::MAX).unwrap().collective().unwrap();
    let device = burn::tensor::Device::flex().autodiff();
    for (name, scope) in [
        ("sgd", AscentScope::Global),
        ("sam", AscentScope::Global),
        ("sam, local", AscentScope::Local),
    ] {
        let timed = Arc::new(Timed { way: Arc::clone(&way), nanoseconds: AtomicU64::new(0) });
        let reach: Arc<dyn Collective> = Arc::<Timed>::clone(&timed);
        let workers = Workers::new(world.rank(), world.count(), reach).unwrap();
        let workers = workers.with_ascent_scope(scope).with_check_every(None);
        let algorithm = Algorithm::named(name.split(',').next().unwrap()).unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), algorithm.build().unwrap())
            .unwrap()
            .with_diagnostics(Diagnostics::Finite)
            .with_workers(workers.clone());
        device.seed(3);
        let mut net = workers.share(Net::mlp(&[784, 512, 512, 10], &device)).unwrap();
        let x = Tensor::<2>::random([PARTS, 784], Distribution::Default, &device);
        let y = Tensor::<1>::random([PARTS], Distribution::Uniform(0.0, 10.0), &device).int();
        let mut started = Instant::now();
        for step in 0..25 {
            if step == 5 {
                started = Instant::now();
                timed.nanoseconds.store(0, Ordering::Relaxed);
            }
            let described = BatchInfo::default().with_size(PARTS);
            let losses = |net: &Net, _: usize, _: &Samples| {
                cross_entropies(net.forward(x.clone(), &[]), y.clone())
            };
            net = optimizer.step_micro_batches(0.01, net, &described, losses).unwrap().0;
        }
        let taken = started.elapsed();
        let exchanged = Duration::from_nanos(timed.nanoseconds.load(Ordering::Relaxed));
        assert!(exchanged < taken);
        if workers.is_first() {
            let share = 100.0 * exchanged.as_secs_f64() / taken.as_secs_f64();
            println!("{name}: {:?} a step, exchanges {share:.1} %", taken / 20);
        }
    }
    world.finish().unwrap();
}

#[test]
fn the_exchanges_of_a_step_can_be_measured() {
    let Some((output, _)) = played(2, "measures", LONG) else { return };
    assert!(output.status.success(), "{}", text(&output));
    println!("{}", text(&output));
}

/// Each process of a program that one MPI launched and another was built with is a world of its
/// own.
#[test]
fn a_program_that_another_mpi_launches_is_rejected() {
    let other = std::env::var("LOWLAND_OTHER_MPIRUN").unwrap_or_else(|_| "mpirun.mpich".to_owned());
    let output = Command::new(&other)
        .args(["-n", "2"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "rank", "--nocapture", "--test-threads=1"])
        .env(SCENARIO, "shares")
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no {other} here, the launcher of another MPI");
        return;
    };
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Size { found: 1, expected: 2"), "{}", text(&output));
}

/// As there, whatever MPIs this machine has.
#[test]
fn worlds_of_the_wrong_size_are_an_error() {
    let run = |name: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rank", "--nocapture"])
            .env(SCENARIO, "shares")
            .env(name, "2")
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .output()
            .unwrap()
    };
    for name in SIZES {
        let output = run(name);
        assert!(!output.status.success(), "{}", text(&output));
        let problem = format!("found: 1, expected: 2, source_of_truth: \"{name}\"");
        assert!(text(&output).contains(&problem), "{}", text(&output));
    }
}
