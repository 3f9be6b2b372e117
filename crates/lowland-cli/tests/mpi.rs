//! The command with several processes, started by the launcher of MPI. Where there is none, the
//! tests say so and pass.

#![cfg(all(unix, feature = "mpi"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "tests that are skipped say so")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::tempdir;

const SMALL: [&str; 9] =
    ["--batch-size", "32", "--train-limit", "300", "--test-limit", "60", "--seed", "3", "-q"];

/// `lowland` in `count` processes; `None` where they cannot be started.
fn processes(count: usize, arguments: &[&str], folder: &Path) -> Option<Command> {
    let launcher = std::env::var("LOWLAND_MPIRUN").unwrap_or_else(|_| "mpirun".to_owned());
    if Command::new(&launcher).arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no {launcher} here to start processes with");
        return None;
    }
    let mut command = Command::new(launcher);
    command
        .args(["-n", &count.to_string()])
        .arg(assert_cmd::cargo::cargo_bin("lowland"))
        .args(arguments)
        .arg(folder)
        .env("RAYON_NUM_THREADS", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .stdin(Stdio::null());
    Some(command)
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}\n{err}")
}

fn done(count: usize, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = processes(count, arguments, folder)?.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(text(&output))
}

/// The steps and losses that a run wrote down.
fn losses(folder: &Path) -> Vec<(u64, f64)> {
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| Some((line["step"].as_u64()?, line["loss"].as_f64()?))).collect()
}

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["train", "--mpi", "--epochs", "2"];
    arguments.extend(SMALL);
    arguments.extend(more);
    arguments.push("--out");
    arguments
}

#[test]
fn processes_make_one_run_that_repeats_to_the_byte() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let Some(message) = done(2, &train(&[]), &at("a")) else { return };
    assert_eq!(message.matches("The run:").count(), 1, "{message}");
    done(2, &train(&[]), &at("b"));
    let model = |name: &str| fs::read(at(name).join("model.safetensors")).unwrap();
    assert!(model("a") == model("b"));
    // 300 images in batches of 32: the last, of 12, is shared as well.
    assert_eq!(losses(&at("a")).len(), 20);
    // BatchNorm normalises each worker's part by itself: near the run of one process, not the same.
    done(1, &train(&[]), &at("one"));
    let apart = |(a, b): (&(u64, f64), &(u64, f64))| (a.1 - b.1).abs();
    let (one, two) = (losses(&at("one")), losses(&at("a")));
    assert!(one.iter().zip(&two).map(apart).fold(0.0, f64::max) < 0.7, "{one:?} {two:?}");
}

#[test]
fn whose_gradient_the_ascent_follows_is_part_of_the_run() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for whose in ["global", "local", "2"] {
        if done(4, &train(&["--ascent-scope", whose, "--rho", "0.5"]), &at(whose)).is_none() {
            return;
        }
    }
    let config = |name: &str| fs::read_to_string(at(name).join("config.toml")).unwrap();
    assert!(config("global").contains("ascent_scope = \"global\""));
    assert!(config("local").contains("ascent_scope = \"local\""), "{}", config("local"));
    assert!(config("2").contains("group = 2"), "{}", config("2"));
    let last = |name: &str| losses(&at(name)).last().unwrap().1.to_bits();
    assert!(last("global") != last("local") && last("local") != last("2"));
}

/// The processes that another one has started.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.split_whitespace().eq(["PPid:", &parent.to_string()]))
    };
    let names = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).filter(is_child).collect()
}

#[test]
fn a_killed_process_ends_the_run_within_seconds_and_another_number_of_processes_resumes_it() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let mut arguments = train(&["--checkpoint-steps", "5"]);
    arguments[3] = "400";
    let Some(mut command) = processes(3, &arguments, &run) else { return };
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let whole = || {
        let found = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        found.filter(|entry| entry.path().join("manifest.toml").exists()).count()
    };
    let started = Instant::now();
    while whole() < 2 {
        assert!(started.elapsed() < Duration::from_mins(2));
        std::thread::sleep(Duration::from_millis(20));
    }
    let victim = *children(running.id()).last().unwrap();
    Command::new("kill").args(["-9", &victim.to_string()]).status().unwrap();
    let killed = Instant::now();
    let output = running.wait_with_output().unwrap();
    assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
    assert!(!output.status.success(), "{}", text(&output));

    // To its end with two processes, after a fourth of an epoch more at most.
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let before = losses(&run).last().unwrap().0;
    let epochs = before / 10 + 2;
    fs::write(
        run.join("config.toml"),
        config.replace("epochs = 400", &format!("epochs = {epochs}")),
    )
    .unwrap();
    let message = done(2, &["resume", "--mpi", "--accept-changes"], &run).unwrap();
    assert!(message.contains("resumes from step"), "{message}");
    let steps: Vec<u64> = losses(&run).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, (1..=10 * epochs).collect::<Vec<_>>());
}

#[test]
fn processes_that_were_started_without_a_word_to_train_together_are_refused() {
    let folder = tempdir().unwrap();
    let arguments: Vec<&str> = train(&[]).into_iter().filter(|word| *word != "--mpi").collect();
    let Some(mut command) = processes(2, &arguments, &folder.path().join("a")) else { return };
    let output = command.output().unwrap();
    assert!(text(&output).contains("error: 2 processes were started to do the same run"));
    assert!(!folder.path().join("a").exists());
    // As where another MPI launches than the program was built with.
    let mut command =
        processes(1, &train(&["--workers-expected", "2"]), &folder.path().join("a")).unwrap();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output)
            .contains("MPI knows 1 workers where the number of workers that was asked for says 2")
    );
}
