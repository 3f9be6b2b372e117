//! Comparisons as a person meets them: what they print, what they write, and what can be added to
//! them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{comparison, lowland, path, read_json, run, short, text, timeless};
use serde_json::Value;

/// The same for what only a comparison takes.
#[test]
fn mistakes_in_a_comparison_are_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "comparison");
    for (arguments, expected) in [
        (["--seeds", "18446744073709551615"], "between 1 and 1000, found 18446744073709551615"),
        (["--seeds", "0"], "between 1 and 1000, found 0"),
        (["--algorithms", "sgd,sam,sgd"], "\"sgd\" is in --algorithms twice"),
        (["--margin", "0"], "--margin must be above 0 and below 100 points, found 0"),
        (["--jobs", "0"], "--jobs must be between 1 and 64, found 0"),
        (
            ["--keep", "nothing,weights"],
            "--keep nothing excludes everything else: leave one of them out",
        ),
        (["--set", "algorithm.name=sam"], "use --algorithms instead of --set algorithm.name"),
    ] {
        let output = lowland(&[&["compare", "--out", &out], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = text(&output.stderr);
        assert!(text.trim_end().ends_with(expected) && text.lines().count() == 1, "{text}");
        assert!(!Path::new(&out).exists(), "{arguments:?}");
    }
}

#[test]
fn a_comparison_writes_a_table_a_summary_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "comparison");
    let limits = ["--epochs", "2", "--train-limit", "200", "--test-limit", "100"];
    let what = ["compare", "--algorithms", "sgd,sam,sam:rho=0.5,arsam", "--seeds", "2", "--out"];
    let output = run(&[&what[..], &[out.as_str()], &limits].concat());
    let table = text(&output.stdout);
    for word in ["SGD", "SAM rho=0.05", "SAM rho=0.5", "ARSAM", "passes", "report.html"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let progress = text(&output.stderr);
    let (data, progress): (Vec<_>, Vec<_>) =
        progress.lines().partition(|line| line.starts_with("data: "));
    assert_eq!(data.len(), 2, "both limits are named: {data:#?}");
    assert_eq!(progress.len(), 2 + 2 * 4, "what comes, and a line a run: {progress:#?}");
    assert!(progress[0].ends_with("2 epochs, 2 seeds: 8 runs"), "{progress:#?}");
    let expected = "trains 8 runs, 1 at a time, those of a seed by turns, an epoch each, and measures the \
                    sharpness where each ends; keeps weights and metrics of each run: about ";
    assert!(progress[1].starts_with(expected), "{progress:#?}");
    assert!(progress[2].starts_with("seed 0  SGD"), "{progress:#?}");
    assert!(progress[2].contains("(1 of 8 runs done, about "), "{progress:#?}");
    assert!(progress[4].starts_with("seed 0  SAM rho=0.5"), "{progress:#?}");
    assert!(progress[9].ends_with("(8 of 8 runs done)"), "{progress:#?}");

    let of_run = Path::new(&out).join("runs/sam-2-seed-1");
    for name in
        ["config.toml", "metrics.jsonl", "model.safetensors", "result.json", "sharpness.json"]
    {
        assert!(of_run.join(name).is_file(), "{name}");
    }
    assert!(!of_run.join("checkpoints").exists(), "none are kept once a run is done");
    // A run of it is a run like any other, and one with the same settings gives the same weights.
    let alone = path(folder.path(), "alone");
    run(&["train", "--config", &path(&of_run, "config.toml"), "--out", &alone, "-q"]);
    let weights = |run: &Path| std::fs::read(run.join("model.safetensors")).unwrap();
    assert!(weights(Path::new(&alone)) == weights(&of_run));
    run(&["report", &path(Path::new(&out), "runs/sgd-seed-0"), &alone]);

    let summary = std::fs::read_to_string(Path::new(&out).join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["setting"]["training_images"], 200);
    assert_eq!(summary["setting"]["seeds"], serde_json::json!([0, 1]));
    let algorithms = summary["algorithms"].as_array().unwrap();
    assert_eq!(algorithms.len(), 4);
    for (algorithm, passes) in algorithms.iter().zip([1.0, 2.0, 2.0, 2.0]) {
        assert_eq!(algorithm["passes_per_step"]["mean"], passes, "{}", algorithm["label"]);
        assert_eq!(algorithm["runs"].as_array().unwrap().len(), 2);
        assert_eq!(algorithm["runs"][0]["epochs"].as_array().unwrap().len(), 2);
    }
    let page = std::fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") || page.starts_with("<!doctype html>"));
    for name in ["SAM rho=0.05", "SAM rho=0.5", "ARSAM", "lowland compare --algorithms"] {
        assert!(page.contains(name), "{name} is not on the page");
    }

    // What was said of the disk beforehand is what the runs take.
    let said = progress[1].strip_prefix(expected).unwrap();
    let (number, unit) = said.split(" of disk").next().unwrap().split_once(' ').unwrap();
    let unit = ["B", "kB", "MB", "GB"].iter().position(|name| *name == unit).unwrap();
    let said = number.parse::<f64>().unwrap() * 1000_f64.powi(i32::try_from(unit).unwrap());
    let taken = bytes_in(&Path::new(&out).join("runs")) as f64;
    assert!((0.5..2.0).contains(&(said / taken)), "{said} bytes said, {taken} taken");
}

/// The bytes of all files in a folder and below.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.metadata().unwrap() {
        of if of.is_dir() => bytes_in(&entry.path()),
        of => of.len(),
    };
    entries.map(size).sum()
}

/// A comparison over four epochs of four steps: its table, its summary and its page.
fn equal(arguments: &[&str]) -> (String, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "comparison");
    let limits = ["--epochs", "4", "--train-limit", "200", "--test-limit", "50", "-q"];
    let output = run(&[&["compare", "--out", &out], &limits[..], arguments].concat());
    let read = |name: &str| std::fs::read_to_string(Path::new(&out).join(name)).unwrap();
    let summary = serde_json::from_str(&read("summary.json")).unwrap();
    (text(&output.stdout), summary, read("report.html"))
}

/// The sum over a run's epochs.
fn total(run: &Value, field: &str) -> f64 {
    let epochs = run["epochs"].as_array().unwrap();
    epochs.iter().map(|epoch| epoch[field].as_f64().unwrap()).sum()
}

#[test]
fn algorithms_get_the_same_passes() {
    let algorithms = "sgd,sam,arsam:controller.warmup.steps=3,ausam:rho=0.1";
    let what = ["--equal", "passes", "--algorithms", algorithms, "--seeds", "2"];
    let (table, summary, page) = equal(&what);
    let steps = |run: &Value| total(run, "passes") / run["passes_per_step"].as_f64().unwrap();
    for algorithm in summary["algorithms"].as_array().unwrap() {
        for run in algorithm["runs"].as_array().unwrap() {
            let passes = total(run, "passes");
            assert!((16.0..18.0).contains(&passes), "{} {passes}", algorithm["label"]);
            let last = run["epochs"].as_array().unwrap().last().unwrap();
            assert!(last["learning_rate"].as_f64().unwrap() < 0.005, "{last}");
            assert_eq!(last["test_accuracy"], run["final_accuracy"]);
        }
    }
    let [sgd, sam] = [0, 1].map(|i| &summary["algorithms"][i]["runs"][1]);
    assert!((steps(sgd) - 16.0).abs() < 1e-9 && (steps(sam) - 8.0).abs() < 1e-9);
    assert_eq!(sam["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(summary["setting"]["equal"], "passes");
    assert!(table.contains("With equal passes for all, SAM reached"), "{table}");
    assert!(page.contains("with equal passes for all"));

    // A baseline that costs more than the others: they get more epochs than it.
    let (_, summary, _) = equal(&["--equal", "passes", "--algorithms", "sam,sgd", "--seeds", "1"]);
    let sgd = &summary["algorithms"][1]["runs"][0];
    assert!((steps(sgd) - 32.0).abs() < 1e-9);
    assert_eq!(sgd["epochs"].as_array().unwrap().len(), 8);

    // One that diverges counts in full.
    let (_, summary, _) =
        equal(&["--equal", "passes", "--algorithms", "sam:rho=1e300,sgd", "--seeds", "1"]);
    assert!((total(&summary["algorithms"][1]["runs"][0], "passes") - 32.0).abs() < 1e-9);

    // A limit for all is the same for all by itself, in epochs that are cut short.
    let (_, summary, page) = equal(&["--max-passes", "6", "--algorithms", "sgd,sam"]);
    for (i, steps) in [(0, 6.0), (1, 3.0)] {
        let run = &summary["algorithms"][i]["runs"][0];
        assert!((total(run, "passes") - 6.0).abs() < 1e-9);
        assert!((run["passes_per_step"].as_f64().unwrap() - 6.0 / steps).abs() < 1e-9);
    }
    assert!(page.contains("6 passes for each run, in at most 4 epochs"));
    let output =
        lowland(&["compare", "--equal", "time", "--max-passes", "6", "--out", "nowhere", "-q"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("error: --equal cannot be used with a limit"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn algorithms_get_the_same_time() {
    let what = ["--equal", "time", "--algorithms", "sgd,sam", "--seeds", "2", "--jobs", "2"];
    let (table, summary, page) = equal(&what);
    for (sgd, sam) in (0..2).map(|seed| {
        let run = |i: usize| &summary["algorithms"][i]["runs"][seed];
        (run(0), run(1))
    }) {
        assert_eq!(sgd["epochs"].as_array().unwrap().len(), 4);
        // Whatever else the machine does, the clock ends the run and no step before that.
        assert!(total(sam, "seconds") >= total(sgd, "seconds"));
        assert!(sam["final_accuracy"].is_number());
    }
    assert_eq!(summary["setting"]["equal"], "time");
    assert!(table.contains("With equal training time for all, SAM reached"), "{table}");
    assert!(page.contains("measured with 2 concurrent runs"), "how it was measured");
}

/// A run that diverges is recorded as such, and is not trained again.
#[test]
fn a_run_that_diverges_is_recorded_and_final() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "comparison");
    let limits =
        ["--epochs", "3", "--batch-size", "20", "--train-limit", "200", "--test-limit", "50"];
    let what =
        ["compare", "--algorithms", "sgd,sam:rho=1e300", "--seeds", "2", "-q", "--out", &out];
    let table = text(&run(&[&what[..], &limits].concat()).stdout);
    assert!(table.contains("2 of 2 diverged"), "{table}");
    let summary = std::fs::read_to_string(Path::new(&out).join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert!(summary["algorithms"][1]["passes_per_step"].is_null(), "of no run that can be had");

    let result =
        |name: &str| read_json(&Path::new(&out).join("runs").join(name).join("result.json"));
    assert!(result("sam-seed-1")["run"]["final_accuracy"].is_null());
    assert!(result("sgd-seed-1")["run"]["final_accuracy"].is_number());
    let output = run(&["resume", &out]);
    assert!(text(&output.stdout).contains("2 of 2 diverged"), "{}", text(&output.stdout));
    let stderr = text(&output.stderr);
    assert!(stderr.trim_end().ends_with("all runs are done: nothing is trained"), "{stderr}");
}

/// In threads of one process, they would disturb each other's dropout and masks.
#[test]
fn runs_that_train_at_once_give_the_summary_of_runs_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("texts");
    std::fs::create_dir(&data).unwrap();
    let file = |count: usize| {
        let line = |i: usize| {
            format!("{} film {}\t{}\n", ["a good", "it was bad"][i % 2], i % 7, 1 - i % 2)
        };
        format!("sentence\tlabel\n{}", (0..count).map(line).collect::<String>())
    };
    for (name, count) in [("train.tsv", 40), ("dev.tsv", 8), ("test.tsv", 12)] {
        std::fs::write(data.join(name), file(count)).unwrap();
    }
    let data = data.display().to_string();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../lowland-tasks/tests/tiny-bert");
    let summary = |jobs: &str| {
        let out = path(folder.path(), jobs);
        let task = ["--task", "fine-tune", "--data", "sst2", "--data-dir", &data, "--from", model];
        let how = ["--set", "text.dropout=0.3", "--set", "text.max_length=16", "--epochs", "3"];
        let what = ["--algorithms", "sgd,sam,esam:mask=\"coordinates\"", "--batch-size", "8"];
        let which =
            ["compare", "--seeds", "2", "--first-seed", "5", "--jobs", jobs, "--out", &out, "-q"];
        run(&[&which[..], &task, &how, &what].concat());
        let mut summary = timeless(read_json(&Path::new(&out).join("summary.json")));
        let circumstances = ["command", "hardware"];
        summary.as_object_mut().unwrap().retain(|key, _| !circumstances.contains(&key.as_str()));
        serde_json::to_string_pretty(&summary).unwrap()
    };
    let alone = summary("1");
    assert!(alone.contains("ESAM") && alone.contains("largest_eigenvalue"));
    assert_eq!(summary("3"), alone);
}

/// Seeds and algorithms that are asked for later join those that are there, whose runs stay as they
/// are.
#[test]
fn more_can_be_added_to_a_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let [out, whole] = ["out", "whole"].map(|name| path(folder.path(), name));
    run(&comparison(&out, &["--algorithms", "sgd,sam", "--seeds", "1"]));
    let results = || {
        let runs = Path::new(&out).join("runs");
        ["sgd-seed-0", "sam-seed-0"]
            .map(|run| std::fs::read(runs.join(run).join("result.json")).unwrap())
    };
    let before = results();

    let output = run(&comparison(&out, &["--algorithms", "sam:rho=0.2"]));
    assert!(text(&output.stdout).contains("SAM rho=0.2"), "{}", text(&output.stdout));
    let output = run(&comparison(&out, &["--seeds", "2", "-q"]));
    assert!(text(&output.stderr).is_empty(), "{}", text(&output.stderr));
    assert_eq!(results(), before, "what was done is not trained again");

    run(&comparison(&whole, &["--algorithms", "sgd,sam,sam:rho=0.2", "--seeds", "2"]));
    let [added, at_once] = [&out, &whole].map(|out| {
        let mut summary = timeless(read_json(&Path::new(out).join("summary.json")));
        let command = summary.as_object_mut().unwrap().remove("command").unwrap();
        (summary, command.as_str().unwrap().lines().count())
    });
    assert_eq!(added.0, at_once.0);
    assert_eq!((added.1, at_once.1), (3, 1), "a line for each command");

    for (flags, expected) in [
        (["--set", "optimizer.momentum=0.5"], "optimizer.momentum was 0.9 and is 0.5"),
        (["--label-noise", "0.5"], "data.label_noise was 0.0 and is 0.5"),
        (["--equal", "passes"], "--equal was epochs and is passes"),
        (["--margin", "0.5"], "--margin was not given and is 0.5"),
    ] {
        let output = lowland(&comparison(&out, &flags));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{expected:?} is not in {error:?}"
        );
    }
    assert_eq!(results(), before);
}

/// What a folder holds is never overwritten without a word.
#[test]
fn a_folder_with_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [a_run, notes, out] = ["run", "notes", "out"].map(|name| path(folder.path(), name));
    run(&short(&a_run, &["--epochs", "1"]));
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(Path::new(&notes).join("notes.txt"), "of mine").unwrap();
    run(&comparison(&out, &["--algorithms", "sgd", "--seeds", "1"]));
    let refused = |arguments: &[&str], expected: &str| {
        let output = lowland(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{expected:?} is not in {error:?}"
        );
    };
    refused(
        &comparison(&a_run, &[]),
        "holds something else already (checkpoints): name another --out",
    );
    refused(
        &comparison(&notes, &[]),
        "holds something else already (notes.txt): name another --out",
    );
    refused(&["demo", "--out", &notes], "holds something else already (notes.txt)");
    refused(&short(&out, &[]), "holds a comparison: name another --out");
    refused(&["report", &out, &a_run], "is a comparison, which has a report of its own");
    refused(&["resume", &a_run, "--jobs", "2"], "--jobs is for a comparison");
    refused(
        &["resume", &path(Path::new(&out), "runs/sgd-seed-0")],
        "is a run of a comparison, and done",
    );
    refused(&["resume", &out, "--accept-changes"], "--accept-changes is for a single run");
    let plan = Path::new(&out).join("plan.toml");
    std::fs::write(&plan, "format = 1").unwrap();
    refused(&["resume", &out], "plan.toml: missing field");
}

/// What is kept of runs that are done, beside their settings and results.
#[test]
fn what_is_kept_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let names = |keep: &str| {
        let out = path(folder.path(), keep);
        run(&comparison(&out, &["--algorithms", "sam", "--seeds", "1", "--keep", keep]));
        assert!(text(&run(&["report", &out]).stdout).contains("SAM reached"));
        let entries = std::fs::read_dir(Path::new(&out).join("runs/sam-seed-0")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    };
    assert_eq!(names("nothing"), ["config.toml", "facts.json", "result.json", "sharpness.json"]);
    let most = ["checkpoints", "config.toml", "facts.json", "model.bpk", "model.safetensors"];
    assert_eq!(
        names("weights,checkpoints"),
        [&most[..], &["result.json", "sharpness.json"]].concat()
    );
}
