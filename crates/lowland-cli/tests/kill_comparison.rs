//! Starts a comparison of four algorithms and three seeds, kills it again and again, resumes
//! it, and checks that it ends with the summary of one that was never stopped, measured times
//! aside.
//!
//! Kills come at random moments, every third one as soon as a checkpoint is seen half written.
//! Every second one takes the comparison alone, whose workers then save their runs and end by
//! themselves, and the others take the workers too. The short form runs with the other tests; the
//! long one is
//! `LOWLAND_KILLS=30 cargo test --release -p lowland-cli --test kill_comparison -- --nocapture`.
//! `LOWLAND_KILL_SEED` draws other moments.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the long form prints its figures")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{path, read_json, text, timeless};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const ALGORITHMS: &str = "sgd,sam:rho=0.1,esam:mask=\"coordinates\",\
                          arsam:budget=1.3:controller.window=6:controller.blocks=2";

/// The runs of the comparison.
const RUNS: usize = 12;

fn compare(out: &str) -> Vec<&str> {
    let sizes = ["--epochs", "3", "--batch-size", "16", "--train-limit", "100", "--lr", "0.01"];
    let more = ["--test-limit", "40", "--augment", "crop-flip-cutout", "--label-noise", "0.1"];
    let saved = ["--set", "checkpoints.every_steps=3", "--jobs", "2", "-q"];
    let what = ["compare", "--algorithms", ALGORITHMS, "--seeds", "3", "--out", out];
    [&what[..], &sizes, &more, &saved].concat()
}

/// A comparison that begins, or resumes where there is a plan, in a process group of its own.
fn start(out: &str) -> Child {
    let begun = Path::new(out).join("plan.toml").exists();
    let arguments = if begun { vec!["resume", out, "-q"] } else { compare(out) };
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("lowland"));
    let command = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    command.process_group(0).spawn().unwrap()
}

fn finish(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Checkpoints without a manifest, of all runs.
fn unfinished(out: &str) -> Vec<PathBuf> {
    let within = |path: PathBuf| {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let checkpoints =
        within(Path::new(out).join("runs")).flat_map(|run| within(run.join("checkpoints")));
    checkpoints.filter(|path| !path.join("manifest.toml").exists()).collect()
}

/// The results that are there, by run.
fn results(out: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(Path::new(out).join("runs")).into_iter().flatten();
    let result = |run: PathBuf| Some((run.clone(), fs::read(run.join("result.json")).ok()?));
    entries.filter_map(|entry| result(entry.ok()?.path())).collect()
}

/// What a run left.
#[derive(Debug, PartialEq)]
struct Trained {
    name: PathBuf,
    weights: Vec<u8>,
    metrics: Vec<Value>,
}

/// The summary without times and the command, which names the folder; and of each run, the weights
/// and the metrics.
fn outcome(out: &str) -> (Value, Vec<Trained>) {
    let mut summary = timeless(read_json(&Path::new(out).join("summary.json")));
    summary.as_object_mut().unwrap().remove("command").unwrap();
    let mut runs = Vec::new();
    for run in results(out).into_keys() {
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let metrics = metrics.lines().map(|line| timeless(serde_json::from_str(line).unwrap()));
        let weights = fs::read(run.join("model.safetensors")).unwrap();
        let name = run.file_name().unwrap().into();
        runs.push(Trained { name, weights, metrics: metrics.collect() });
        assert!(!run.join("checkpoints").exists(), "none are kept once a run is done");
    }
    (summary, runs)
}

/// Kills a comparison at a moment; `None` where it had ended before.
fn kill(mut child: Child, out: &str, pause: Option<Duration>, workers_too: bool) -> Option<()> {
    let started = Instant::now();
    let old = unfinished(out);
    let is_due = || match pause {
        Some(pause) => started.elapsed() >= pause,
        None => unfinished(out).iter().any(|path| !old.contains(path)),
    };
    while !is_due() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let alive = child.try_wait().unwrap().is_none();
    if alive && workers_too {
        let group = format!("-{}", child.id());
        // The program, not the shell's own, which may know no groups.
        assert!(Command::new("kill").args(["-KILL", "--", &group]).status().unwrap().success());
    } else {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    alive.then_some(())
}

#[test]
fn a_comparison_that_is_killed_ends_as_if_it_had_not_been() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let wanted = number("LOWLAND_KILLS", 4);
    let mut rng = ChaCha8Rng::seed_from_u64(number("LOWLAND_KILL_SEED", 1));
    let place = tempfile::tempdir().unwrap();
    let whole = path(place.path(), "whole");
    let started = Instant::now();
    finish(start(&whole));
    let length = u64::try_from(started.elapsed().as_millis()).unwrap();
    let expected = outcome(&whole);
    assert_eq!(expected.1.len(), RUNS);

    let (mut kills, mut in_a_checkpoint) = (0, 0);
    for attempt in 0.. {
        if kills >= wanted {
            break;
        }
        assert!(attempt < 3 * wanted, "comparisons end before they can be killed: {kills} kills");
        let out = path(place.path(), &format!("killed-{attempt}"));
        let mut done = BTreeMap::new();
        let mut figures = Vec::new();
        while kills < wanted {
            let child = start(&out);
            // All kills together come to about the length of the comparison.
            let pause = rng.next_u64() % (2 * length / wanted + 200);
            let pause = (kills % 3 != 2).then(|| Duration::from_millis(pause));
            if kill(child, &out, pause, kills % 2 == 1).is_none() {
                break;
            }
            kills += 1;
            in_a_checkpoint += usize::from(!unfinished(&out).is_empty());
            let now = results(&out);
            assert!(done.iter().all(|(run, result)| now.get(run) == Some(result)), "{done:?}");
            figures.push(now.len());
            done = now;
        }
        finish(start(&out));
        let now = results(&out);
        assert!(done.iter().all(|(run, result)| now.get(run) == Some(result)), "trained again");
        assert_eq!(outcome(&out), expected, "after {kills} kills");
        println!("{kills} kills; runs done at each: {figures:?}");
    }
    println!(
        "{kills} kills, {in_a_checkpoint} with a checkpoint half written, in {:.0} s",
        started.elapsed().as_secs_f64()
    );
}
