//! Comparisons that end early and are resumed: signals, runs that fail, disks that are full; and
//! what is shown of what is there.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{comparison, in_a_namespace, lowland, path, read_json, run, text, timeless};
use serde_json::Value;

fn summary(out: &str) -> Value {
    let mut summary = timeless(read_json(&Path::new(out).join("summary.json")));
    summary.as_object_mut().unwrap().remove("command").unwrap();
    summary
}

/// Text without its line breaks, which depend on the lengths of words.
fn in_one_line(bytes: &[u8]) -> String {
    text(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn run_folder(out: &str, name: &str) -> std::path::PathBuf {
    Path::new(out).join("runs").join(name)
}

#[test]
fn signals_end_a_comparison_at_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let out = path(folder.path(), name);
        let sizes = ["--train-limit", "200", "--test-limit", "50", "--epochs", "10000"];
        let what = ["compare", "--algorithms", "sgd,sam", "--seeds", "1", "--jobs", "2"];
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("lowland"))
            .args([&what[..], &sizes, &["--out", &out]].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(stderr.next().unwrap().unwrap().ends_with("10,000 epochs, 1 seed: 2 runs"));
        // Both runs have an epoch behind them.
        let saved = |run: &str| {
            let list = fs::read_dir(run_folder(&out, run).join("checkpoints"));
            list.is_ok_and(|mut list| list.next().is_some())
        };
        while !(saved("sgd-seed-0") && saved("sam-seed-0")) {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        let last = stderr.map(Result::unwrap).last().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{last}");
        let way_on = format!("to resume: lowland resume {out}");
        let expected = format!("error: interrupted after 0 of 2 runs were done; {way_on}");
        assert_eq!(last, expected);

        // The workers have ended too, each with its run saved where it stood.
        for run in ["sgd-seed-0", "sam-seed-0"] {
            let output = lowland(&["report", &run_folder(&out, run).display().to_string()]);
            assert!(text(&output.stderr).contains("is not finished"), "{}", text(&output.stderr));
            let steps = fs::read_to_string(run_folder(&out, run).join("metrics.jsonl")).unwrap();
            let steps = steps.lines().filter(|line| line.contains("\"step\",")).count();
            let newest = fs::read_dir(run_folder(&out, run).join("checkpoints")).unwrap();
            let newest = newest.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let newest = newest.max_by_key(|name| name.rsplit('-').next().unwrap().to_owned());
            let newest = newest.unwrap();
            assert!(newest.ends_with(&format!("step-{steps:08}")), "{newest} after {steps} steps");
        }
        let output = run(&["report", &out]);
        let table = in_one_line(&output.stdout);
        assert!(table.contains("2 of 2 runs are missing: SGD seed 0 ("), "{table}");
        assert!(table.contains("No SAM run is done yet."), "{table}");
    }
}

/// The table and the page are made of what is there, and what is missing is trained, and nothing
/// else.
#[test]
fn what_is_missing_is_shown_and_trained() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "out");
    run(&comparison(&out, &["--algorithms", "sgd,sam,arsam", "--seeds", "2", "--jobs", "2"]));
    let whole = summary(&out);
    for run in ["sam-seed-1", "arsam-seed-0", "arsam-seed-1"] {
        fs::remove_dir_all(run_folder(&out, run)).unwrap();
    }
    let kept = fs::read(run_folder(&out, "sam-seed-0").join("result.json")).unwrap();
    let table = in_one_line(&run(&["report", &out]).stdout);
    let missing = "3 of 6 runs are missing: SAM seed 1; ARSAM seeds 0, 1.";
    assert!(table.contains(missing) && table.contains("no ARSAM run is done yet"), "{table}");
    let page = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(page.contains(missing));
    assert_eq!(summary(&out)["missing"].as_array().unwrap().len(), 3);

    let output = run(&["resume", &out, "--jobs", "3"]);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("3 of 6 runs done already; trains 3 runs, 3 at a time, those"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().filter(|line| line.starts_with("seed ")).count(), 3, "{stderr}");
    assert_eq!(fs::read(run_folder(&out, "sam-seed-0").join("result.json")).unwrap(), kept);
    let mut now = summary(&out);
    assert!(now["hardware"].as_str().unwrap().contains("2 runs at a time"), "{}", now["hardware"]);
    assert!(now["hardware"].as_str().unwrap().contains("3 runs at a time"), "{}", now["hardware"]);
    now["hardware"] = whole["hardware"].clone();
    assert_eq!(now, whole);
}

/// A run gets as much as its baseline used, whenever it is trained.
#[test]
fn limits_are_the_same_after_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "passes");
    let algorithms =
        "sgd,sam,ausam:rho=0.1,arsam:budget=1.3:controller.window=4:controller.blocks=2";
    let what = ["--algorithms", algorithms, "--seeds", "2"];
    run(&comparison(&out, &[&what[..], &["--equal", "passes"]].concat()));
    let whole = summary(&out);
    for run in ["sam-seed-0", "arsam-seed-1"] {
        fs::remove_dir_all(run_folder(&out, run)).unwrap();
    }
    // A baseline that is lost is trained again before the run that waits for it.
    for run in ["sgd-seed-1", "ausam-seed-1"] {
        fs::remove_dir_all(run_folder(&out, run)).unwrap();
    }
    run(&["resume", &out, "-q"]);
    assert_eq!(summary(&out), whole);

    let out = path(folder.path(), "time");
    run(&comparison(&out, &["--algorithms", "sgd,sam", "--seeds", "1", "--equal", "time"]));
    let limit = || {
        let config =
            fs::read_to_string(run_folder(&out, "sam-seed-0").join("config.toml")).unwrap();
        let line = config.lines().find_map(|line| line.strip_prefix("max_seconds = "));
        line.unwrap().parse::<f64>().unwrap().to_bits()
    };
    let used = read_json(&run_folder(&out, "sgd-seed-0").join("result.json"));
    assert_eq!(limit(), used["used"]["seconds"].as_f64().unwrap().to_bits());
    fs::remove_dir_all(run_folder(&out, "sam-seed-0")).unwrap();
    run(&["resume", &out, "-q"]);
    assert_eq!(limit(), used["used"]["seconds"].as_f64().unwrap().to_bits());
}

/// A run that fails takes no other with it, and is named.
#[test]
fn a_run_that_fails_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "out");
    run(&comparison(&out, &["--algorithms", "sgd,sam", "--seeds", "2"]));
    let whole = summary(&out);
    fs::remove_dir_all(run_folder(&out, "sam-seed-1")).unwrap();
    for name in ["result.json", "metrics.jsonl"] {
        fs::remove_file(run_folder(&out, "sam-seed-0").join(name)).unwrap();
    }
    let config = run_folder(&out, "sam-seed-0").join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace("epochs = 2", "epochs = 3")).unwrap();
    let output = lowland(&["resume", &out, "-q"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: 1 run failed: seed 0 SAM: "), "{stderr}");
    assert!(last.contains("epochs was 2 and is 3; put it back, or remove"), "{stderr}");
    assert!(
        last.ends_with(&format!("3 of 4 runs are done; to resume: lowland resume {out}")),
        "{stderr}"
    );
    fs::write(&config, good).unwrap();
    run(&["resume", &out, "-q"]);
    assert_eq!(summary(&out), whole);

    // Data that is another's is found before anything is trained.
    fs::remove_dir_all(run_folder(&out, "sam-seed-1")).unwrap();
    let plan = Path::new(&out).join("plan.toml");
    let text_ = fs::read_to_string(&plan).unwrap();
    let print = text_.split("[facts.data.test]").nth(1).unwrap();
    let checksum = print.lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap();
    fs::write(&plan, text_.replace(checksum, "\"another\"")).unwrap();
    let output = lowland(&["resume", &out]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("the data is not that which the comparison in "), "{stderr}");
    assert!(stderr.contains(" test samples as then ("), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// A disk of its own that fills up: the error names the run's folder, what was done stays, and with
/// room again the comparison resumes to the same end.
#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = path(folder.path(), "whole");
    let what = ["--algorithms", "sgd,arsam", "--seeds", "2"];
    run(&comparison(&whole, &what));
    let disk = path(folder.path(), "disk");
    fs::create_dir(&disk).unwrap();
    let program = assert_cmd::cargo::cargo_bin("lowland").display().to_string();
    let out = format!("{disk}/out");
    let arguments = comparison(&out, &what).join(" ");
    let script = format!(
        "mount -t tmpfs -o size=700k none {disk}
         set +e
         {program} {arguments} -q
         echo code $?
         ls {out}/runs
         mount -o remount,size=30m {disk}
         {program} resume {out} -q
         echo code $?
         cp {out}/summary.json {whole}-resumed"
    );
    fs::create_dir(format!("{whole}-resumed")).unwrap();
    let Some(output) = in_a_namespace(&script) else { return };
    let (stderr, listed) = (text(&output.stderr), text(&output.stdout));
    assert!(
        stderr.contains(" failed: seed ")
            && stderr.contains(": cannot write ")
            && stderr.contains("/out/runs/"),
        "{stderr}"
    );
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert!(stderr.contains(&format!("to resume: lowland resume {out}")), "{stderr}\n{listed}");
    assert!(listed.starts_with("code 1\nsgd-seed-0\n") || listed.contains("code 1\n"), "{listed}");
    assert!(listed.contains("\ncode 0\n"), "{listed}\n{stderr}");
    assert_eq!(summary(&format!("{whole}-resumed")), summary(&whole));
}
