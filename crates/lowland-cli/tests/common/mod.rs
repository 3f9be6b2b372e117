//! The command, its output and its files.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

pub(crate) fn lowland(arguments: &[&str]) -> Output {
    Command::cargo_bin("lowland").unwrap().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Arguments of a training run of two short epochs, and where it goes.
pub(crate) fn short<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments =
        vec!["train", "--train-limit", "200", "--test-limit", "100", "-q", "--out", out];
    if !more.contains(&"--epochs") {
        arguments.extend(["--epochs", "2"]);
    }
    arguments.extend(more);
    arguments
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    let output = lowland(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

pub(crate) fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

pub(crate) fn lines(folder: &str) -> Vec<Value> {
    let metrics = std::fs::read_to_string(Path::new(folder).join("metrics.jsonl")).unwrap();
    metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
