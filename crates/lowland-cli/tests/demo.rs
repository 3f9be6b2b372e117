//! The demo: a comparison like any other, on the embedded images.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use common::{path, read_json, run, text, timeless};
use serde_json::Value;

/// The demo leaves a folder of the kind that `lowland compare` leaves, whose runs are runs like any
/// other, and that is reported on and resumed like it.
#[test]
fn the_demo_leaves_a_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "demo");
    let table = text(&run(&["demo", "--seeds", "1", "-q", "--out", &out]).stdout);
    for word in ["SGD", "SAM", "ARSAM", "passes", "report.html"] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let out_folder = Path::new(&out);
    let plan = fs::read_to_string(out_folder.join("plan.toml")).unwrap();
    assert!(plan.contains("What flat minima buy on noisy labels"), "{plan}");
    assert!(out_folder.join("report.html").is_file());
    let runs = ["sgd-seed-10", "sam-seed-10", "arsam-seed-10"];
    for name in runs {
        let of_run = out_folder.join("runs").join(name);
        for file in
            ["config.toml", "metrics.jsonl", "model.safetensors", "result.json", "sharpness.json"]
        {
            assert!(of_run.join(file).is_file(), "{name} has no {file}");
        }
    }
    let summary = || {
        let mut summary = timeless(read_json(&out_folder.join("summary.json")));
        summary.as_object_mut().unwrap().remove("command").unwrap();
        summary
    };
    let whole = summary();
    let labels = |summary: &Value| -> Vec<String> {
        let algorithms = summary["algorithms"].as_array().unwrap();
        algorithms.iter().map(|of| of["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&whole), ["SGD", "SAM", "ARSAM"]);
    for algorithm in whole["algorithms"].as_array().unwrap() {
        // Ten classes, and a third of the labels wrong: by chance it would be a tenth.
        let accuracy = algorithm["runs"][0]["final_accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.4, "{}: {accuracy}", algorithm["label"]);
    }

    // A run of it is reported on by itself; one that is lost is trained again, and nothing else.
    run(&["report", &path(out_folder, "runs/sam-seed-10")]);
    fs::remove_dir_all(out_folder.join("runs/sgd-seed-10")).unwrap();
    let table = text(&run(&["report", &out]).stdout);
    let words: Vec<&str> = table.split_whitespace().collect();
    assert!(words.join(" ").contains("1 of 3 runs is missing: SGD seed 10"), "{table}");
    let resumed = text(&run(&["resume", &out]).stderr);
    assert!(resumed.contains("2 of 3 runs done already; trains 1 run"), "{resumed}");
    assert_eq!(summary(), whole);
}
