//! Starts real training runs, kills them again and again, resumes them, and checks that each
//! ends as the run that was never stopped: the same weights and metrics, byte for byte.
//!
//! Kills come at random moments, every third one as soon as a checkpoint is seen half written. The
//! short form runs with the other tests; the long one is
//! `LOWLAND_KILLS=200 cargo test --release -p lowland-cli --test kill -- --nocapture`.
//! `LOWLAND_KILL_SEED` draws other moments.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the long form prints its figures")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lowland::Algorithm;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// How often one run is killed before it may end.
const KILLS_PER_RUN: usize = 5;

/// What decides a run, beside its folder.
#[derive(Debug)]
struct Case {
    algorithm: String,
    optimizer: &'static str,
    workers: usize,
}

impl Case {
    fn arguments(&self) -> Vec<String> {
        let workers = self.workers.to_string();
        let fixed = ["--epochs", "4", "--batch-size", "16", "--train-limit", "150", "--lr", "0.01"];
        let more = ["--test-limit", "40", "--augment", "crop-flip-cutout", "--label-noise", "0.1"];
        let own = [
            ["--algorithm", &self.algorithm],
            ["--optimizer", self.optimizer],
            ["--workers", &workers],
            ["--checkpoint-steps", "3"],
        ];
        let all = fixed.iter().chain(&more).chain(own.as_flattened());
        all.map(|argument| (*argument).to_owned()).collect()
    }

    fn train(&self, folder: &Path) -> Child {
        let folder = folder.display().to_string();
        let mut arguments = vec!["train".to_owned(), "--out".to_owned(), folder];
        arguments.extend(self.arguments());
        start(&arguments)
    }
}

fn start(arguments: &[String]) -> Child {
    let program = assert_cmd::cargo::cargo_bin("lowland");
    let mut command = Command::new(program);
    command.args(arguments).arg("-q").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn resume(folder: &Path) -> Child {
    start(&["resume".to_owned(), folder.display().to_string()])
}

/// Waits for a run to end well.
fn finish(child: Child, case: &Case) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{case:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The checkpoints of a run that have no manifest.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("checkpoints")).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| !path.join("manifest.toml").exists()).collect()
}

/// When to kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    After(Duration),
    HalfACheckpoint,
}

/// Kills a run at a moment; returns whether it was still alive then.
fn kill(mut child: Child, folder: &Path, moment: Moment) -> bool {
    match moment {
        Moment::After(pause) => {
            let ended = Instant::now() + pause;
            while Instant::now() < ended && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Moment::HalfACheckpoint => {
            let old = unfinished(folder);
            let fresh = || unfinished(folder).iter().any(|path| !old.contains(path));
            while !fresh() && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
        }
    }
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    alive
}

/// What a run left: its weights, and its metrics without the seconds.
fn result(folder: &Path) -> (Vec<u8>, Vec<Value>) {
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("seconds");
        line
    };
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    (weights, metrics.lines().map(line).collect())
}

#[derive(Debug, Default)]
struct Figures {
    kills: usize,
    before_the_first_checkpoint: usize,
    in_a_checkpoint: usize,
    runs: usize,
}

/// One run, killed up to `kills` times, against the one that was never stopped.
fn check(case: &Case, kills: usize, rng: &mut ChaCha8Rng, figures: &mut Figures) {
    let place = tempfile::tempdir().unwrap();
    let (whole, killed) = (place.path().join("whole"), place.path().join("killed"));
    let started = Instant::now();
    finish(case.train(&whole), case);
    let most = u64::try_from(started.elapsed().as_millis()).unwrap();

    for kill_number in 0..kills {
        // A run that was killed before it wrote its settings was never begun.
        let begun = killed.join("config.toml").exists();
        let child = if begun { resume(&killed) } else { case.train(&killed) };
        let moment = match (figures.kills + kill_number) % 3 {
            2 => Moment::HalfACheckpoint,
            _ => Moment::After(Duration::from_millis(rng.next_u64() % most)),
        };
        if !kill(child, &killed, moment) {
            break;
        }
        figures.kills += 1;
        figures.in_a_checkpoint += usize::from(!unfinished(&killed).is_empty());
        let any =
            fs::read_dir(killed.join("checkpoints")).is_ok_and(|mut list| list.next().is_some());
        figures.before_the_first_checkpoint += usize::from(!any);
    }
    let begun = killed.join("config.toml").exists();
    finish(if begun { resume(&killed) } else { case.train(&killed) }, case);
    let ((weights, metrics), (expected_weights, expected_metrics)) =
        (result(&killed), result(&whole));
    assert_eq!(metrics, expected_metrics, "{case:?}");
    assert!(weights == expected_weights, "{case:?}: other weights");
    assert!(unfinished(&killed).is_empty(), "{case:?}: what was never finished is cleared away");
    figures.runs += 1;
}

#[test]
fn runs_that_are_killed_end_as_if_they_had_not_been() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let wanted = usize::try_from(number("LOWLAND_KILLS", 10)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(number("LOWLAND_KILL_SEED", 1));
    let algorithms: Vec<_> = Algorithm::ALL.iter().map(|descriptor| descriptor.name).collect();
    let mut figures = Figures::default();
    let started = Instant::now();
    // ARSAM first, which remembers the most.
    let from = algorithms.iter().position(|name| *name == "arsam").unwrap();
    for run in 0.. {
        if figures.kills >= wanted {
            break;
        }
        assert!(run < 3 * wanted, "runs end before they can be killed: {figures:?}");
        let name = algorithms[(from + run) % algorithms.len()];
        let algorithm = match name {
            "arsam" => "arsam:controller.warmup.steps=6:controller.window=6:controller.blocks=2",
            name => name,
        };
        let case = Case {
            algorithm: algorithm.to_owned(),
            optimizer: if run % 3 == 2 { "adamw" } else { "sgd" },
            workers: run % 3,
        };
        check(&case, KILLS_PER_RUN.min(wanted - figures.kills), &mut rng, &mut figures);
        println!("{:>4} kills  {case:?}", figures.kills);
    }
    println!("{figures:?} in {:.0} s", started.elapsed().as_secs_f64());
    assert!(figures.in_a_checkpoint > 0, "{figures:?}");
}
