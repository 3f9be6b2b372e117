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

/// Arguments of a comparison of two short epochs, and where it goes.
pub(crate) fn comparison<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["compare", "--train-limit", "150", "--test-limit", "50", "--out", out];
    arguments.extend(["--epochs", "2", "--batch-size", "32"]);
    arguments.extend(more);
    arguments
}

pub(crate) fn read_json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

/// A summary without measured times.
pub(crate) fn timeless(mut value: Value) -> Value {
    const TIMES: [&str; 4] = ["seconds", "seconds_per_step", "training_seconds", "time_ratio"];
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|key, _| !TIMES.contains(&key.as_str()));
            fields.values_mut().for_each(|field| *field = timeless(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

/// Runs a script as its own root, with mounts that end with it; `None` where the system does not
/// allow that.
#[cfg(unix)]
#[allow(clippy::print_stderr, reason = "a test that cannot run here says so")]
pub(crate) fn in_a_namespace(script: &str) -> Option<Output> {
    let run = |script: &str| {
        std::process::Command::new("unshare")
            .args(["--mount", "--map-root-user", "sh", "-euc", script])
            .output()
    };
    let allowed = run("mount -t tmpfs none /mnt").is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("not run: this system gives no private mounts");
    }
    allowed.then(|| run(script).unwrap())
}
