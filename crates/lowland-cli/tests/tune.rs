//! Searches for settings: what they train, what they answer, and that they resume where they were
//! stopped.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{lowland, path, read_json, run, text, timeless};
use serde_json::Value;

/// Arguments of a search among three radii, in runs of four steps.
fn tune<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let sizes = ["--epochs", "1", "--batch-size", "32", "--train-limit", "150"];
    let what = ["tune", "--try", "rho=0.05,0.1,0.2", "--test-limit", "50", "--out", out];
    [&what[..], &sizes, more].concat()
}

/// The summary without what depends on the clock and the command line.
fn summary(out: &str) -> Value {
    let mut summary = timeless(read_json(&Path::new(out).join("summary.json")));
    summary.as_object_mut().unwrap().remove("command").unwrap();
    summary
}

fn results(out: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(out).join("runs")).into_iter().flatten();
    let entries = entries.map(|entry| entry.unwrap());
    let done = entries.filter(|entry| entry.path().join("result.json").is_file());
    let mut names: Vec<_> = done.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_search_answers_within_its_budget_and_takes_more() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "search");
    // Enough for the first round, and not for a pair of runs with a fresh seed.
    let output = run(&tune(&out, &["--budget-passes", "25", "--margin", "99"]));
    let (table, progress) = (text(&output.stdout), text(&output.stderr));
    for line in [
        "sgd has no rho: it is tried without",
        "searches 3 settings for a gain over SGD, within 25 passes: 120 training images, 30 to judge",
        "validation: 20 % of the training images are set apart to judge settings by",
        "round 1 of the search: 3 settings, 1 more seed",
    ] {
        assert!(progress.contains(line), "{line} is not in\n{progress}");
    }
    assert!(progress.contains("seed 0  SAM rho=0.2 ") && progress.contains("on validation"));
    assert!(table.contains("Not decided within 25 passes: no pair of runs"), "{table}");
    assert!(!table.contains("The test samples"), "{table}");
    let first = summary(&out);
    assert_eq!(first["searched"]["spent"]["runs"], 3);
    assert_eq!(first["searched"]["cut"], true);
    assert_eq!(first["searched"]["outcome"]["says"], "undecided");
    assert_eq!(first["algorithms"][0]["runs"], serde_json::json!([]));

    // Nothing is trained without a larger budget.
    let again = run(&["resume", &out, "-q"]);
    assert_eq!(text(&again.stdout), table);
    for (arguments, expected) in [
        (&["resume", &out, "--budget-runs", "50"][..], "a budget of 25 passes, all in all: give"),
        (&["resume", &out, "--budget-passes", "20"], "a larger one of the same unit"),
        (&["compare", "--out", &out], "holds a search for settings: name another --out"),
        (&tune(&out, &["--budget-runs", "20"]), "holds a comparison already: lowland resume"),
    ] {
        let output = lowland(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    }

    let output = run(&["resume", &out, "--budget-passes", "62"]);
    let table = text(&output.stdout);
    let found = summary(&out);
    assert_eq!(found["searched"]["outcome"]["says"], "no", "a gain of 99 points is ruled out");
    assert!(table.contains("No: a gain of 99 points is ruled out."), "{table}");
    assert!(table.contains("The test samples, measured once:"), "{table}");
    assert_eq!(found["searched"]["spent"]["runs"], 9);
    assert_eq!(found["searched"]["spent"]["passes"], 60.0);
    assert_eq!(found["searched"]["candidates"], first["searched"]["candidates"]);
    let seeds: Vec<_> = found["searched"]["gains"].as_array().unwrap().iter().collect();
    let seeds: Vec<_> = seeds.iter().map(|gain| gain["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [1000, 1001, 1002]);
    assert_eq!(found["setting"]["seeds"], serde_json::json!([1000, 1001, 1002]));
    // The same numbers as those of the runs: on validation in the search, on the test samples in
    // the comparison.
    for (place, one) in found["algorithms"].as_array().unwrap().iter().enumerate() {
        for (run, gain) in one["runs"].as_array().unwrap().iter().zip(0..) {
            let gain: usize = gain;
            let of = if place == 0 { "base" } else { "winner" };
            assert_eq!(run["best_accuracy"], found["searched"]["gains"][gain][of]);
        }
    }
    let page = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(page.contains("Does SAM help here?") && page.contains("<h2>The search</h2>"));
    assert_eq!(text(&run(&["report", &out]).stdout), table);
    let output = lowland(&["resume", &out, "--budget-passes", "100"]);
    assert!(text(&output.stderr).contains("is decided: begin a new one"));
}

#[test]
fn mistakes_in_a_search_are_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "search");
    for (arguments, expected) in [
        (&[][..], "say how long to search"),
        (&["--budget-runs", "8"], "--budget-runs 8 is too few for 4 settings: give at least 9"),
        (&["--budget-runs", "9", "--margin", "0"], "margin must be above 0"),
        (&["--budget-runs", "9", "--budget-passes", "9"], "cannot be used with"),
        (&["--budget-runs", "9", "--algorithms", "sam"], "a baseline and at least one other"),
        (&["--budget-time", "0s"], "the budget must be above 0"),
        (&["--budget-runs", "99", "--algorithms", "sgd,sam,sam"], "among the settings twice"),
    ] {
        let output = lowland(&tune(&out, arguments));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        let last = error.lines().last().unwrap();
        assert!(last.contains(expected), "{expected:?} is not in {error:?}");
        assert!(!Path::new(&out).exists(), "{arguments:?}");
    }
}

#[test]
fn a_search_that_is_stopped_ends_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| path(folder.path(), name));
    let more = ["--budget-runs", "11", "--validation", "0.4", "-q"];
    run(&tune(&whole, &more));
    // Asked to end as soon as another run is done, and killed every other time.
    let mut begun = tune(&stopped, &[&more[..], &["--jobs", "2"]].concat());
    let mut kill = false;
    loop {
        let before = results(&stopped).len();
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("lowland"))
            .args(&begun)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while results(&stopped).len() == before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        let signal = if kill { "-KILL" } else { "-TERM" };
        // It may have ended by itself.
        let _ = Command::new("kill").args([signal, &id]).stderr(Stdio::null()).status();
        if child.wait().unwrap().success() {
            break;
        }
        kill = !kill;
        begun = vec!["resume", &stopped, "-q"];
    }
    assert_eq!(results(&stopped), results(&whole));
    let [whole, stopped] = [&whole, &stopped].map(|out| summary(out));
    assert_eq!(whole["searched"]["spent"]["runs"], 11);
    for field in ["searched", "algorithms", "setting"] {
        assert_eq!(stopped[field], whole[field], "{field}");
    }
}
