//! What the command prints fits the terminal.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use common::{path, run, short, text};

/// The command on a terminal of so many columns.
fn lowland(columns: usize, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("lowland").unwrap();
    let output = command.env("COLUMNS", columns.to_string()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

/// What is printed, after a check that it fits; paths are whole wherever they end.
fn fitting(columns: usize, arguments: &[&str]) -> String {
    let output = lowland(columns, arguments);
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(!printed.is_empty(), "{arguments:?}");
    for line in printed.lines().filter(|line| !line.contains('/') || line.contains(' ')) {
        let length = line.chars().count();
        assert!(length <= columns, "{length} of {columns} columns, {arguments:?}:\n{printed}");
    }
    printed
}

#[test]
fn every_command_fits_80_columns() {
    let folder = tempfile::tempdir().unwrap();
    let [sgd, sam, out] = ["sgd", "sam", "out"].map(|name| path(folder.path(), name));
    run(&short(&sgd, &["--algorithm", "sgd"]));
    run(&short(&sam, &["--algorithm", "sam:rho=0.1"]));
    let picture = path(folder.path(), "picture.png");
    image::GrayImage::new(28, 28).save(&picture).unwrap();
    let csv = path(folder.path(), "predictions.csv");
    let quick = ["--images", "60", "--trace-probes", "2", "--directions", "2"];
    let plane = ["--points", "3", "--images", "60"];
    for columns in [80, 70] {
        let printed = fitting(columns, &["evaluate", &sgd]);
        assert!(printed.contains("Ankle boot") && printed.contains("precision"), "{printed}");
        let printed = fitting(columns, &[&["sharpness", &sgd], &quick[..]].concat());
        assert!(printed.contains("eigenvalue 1"), "{printed}");
        let landscape = [&["landscape", &sgd, &sam, "--out", &out], &plane[..]].concat();
        assert!(fitting(columns, &landscape).contains("landscape.html"));
        let printed = fitting(columns, &["report", &sgd, &sam, "--out", &out]);
        assert!(printed.contains("SAM") && printed.contains("report.html"), "{printed}");
        let printed = fitting(columns, &["list"]);
        assert!(printed.contains("arsam"), "{printed}");
        let printed = fitting(columns, &["data", "check", "embedded"]);
        assert!(printed.contains("Ankle boot") && printed.contains("28x28"), "{printed}");
        let bench = ["bench", "--rounds", "1", "--steps", "4", "--batch-size", "4"];
        let printed =
            fitting(columns, &[&bench[..], &["--algorithms", "base,arsam,esam"]].concat());
        for part in ["Burn's own step", "ARSAM", "quartiles", "memory"] {
            assert!(printed.contains(part), "{part} is not in {printed}");
        }
        let trained = path(folder.path(), &format!("train-{columns}"));
        let train = ["train", "--train-limit", "60", "--test-limit", "20", "--epochs", "1"];
        let printed = fitting(columns, &[&train[..], &["--out", &trained]].concat());
        assert!(printed.contains("training loss"), "{printed}");
    }
    let predicted = lowland(80, &["predict", &sgd, &picture, "--out", &csv]);
    let notices = text(&predicted.stdout) + &text(&predicted.stderr);
    assert!(notices.lines().all(|line| line.chars().count() <= 80), "{notices}");
    assert_eq!(fs::read_to_string(Path::new(&csv)).unwrap().lines().count(), 2);
}

#[test]
fn wider_terminals_show_the_bench_in_one_table() {
    let bench = ["bench", "--rounds", "1", "--steps", "4", "--batch-size", "4", "--no-memory"];
    let tables = |columns| {
        let printed =
            text(&lowland(columns, &[&bench[..], &["--algorithms", "sam"]].concat()).stdout);
        printed.matches("algorithm").count()
    };
    assert_eq!((tables(160), tables(80)), (1, 2));
}
