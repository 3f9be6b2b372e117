//! What TensorBoard reads of runs and comparisons.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "../../lowland-tensorboard/tests/common/mod.rs"]
mod events;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{comparison, lowland, path, read_json, run, short};
use events::{field, fields, hparams, scalars, settings};

const EVENTS: &str = "events.out.tfevents.lowland";

fn read(folder: &Path) -> Vec<u8> {
    fs::read(folder.join(EVENTS)).unwrap()
}

/// The settings that a file begins with.
fn begun_with(file: &[u8]) -> BTreeMap<String, String> {
    let found = hparams(file);
    assert_eq!(found[0].0, "_hparams_/session_start_info");
    settings(&found[0].1).into_iter().collect()
}

/// The last scalar of a tag, which TensorBoard's tab of hyperparameters shows, and its step.
fn last(file: &[u8], tag: &str) -> Option<(u64, f32)> {
    let found = scalars(file).into_iter().filter(|(_, found, _)| found == tag);
    found.map(|(step, _, value)| (step, value)).next_back()
}

/// How a session ended, where it did.
fn end(file: &[u8]) -> Option<u8> {
    let (_, end) =
        hparams(file).into_iter().find(|(tag, _)| tag == "_hparams_/session_end_info")?;
    let end = fields(&field(&fields(&end), 4)[0]);
    Some(field(&end, 1)[0][0])
}

#[test]
#[allow(clippy::cast_possible_truncation, reason = "events hold f32")]
fn a_comparison_shows_settings_and_results_of_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "comparison");
    let algorithms = ["--algorithms", "sgd,sam:rho=0.1", "--seeds", "2", "-q", "--no-sharpness"];
    run(&comparison(&out, &algorithms));
    let summary = read_json(&Path::new(&out).join("summary.json"));
    for (place, name) in ["base", "sam"].into_iter().enumerate() {
        for seed in [0, 1] {
            let runs = fs::read_dir(Path::new(&out).join("runs")).unwrap();
            let names = runs.map(|run| run.unwrap().file_name().into_string().unwrap());
            let start = if name == "base" { "sgd" } else { "sam" };
            let ours = |run: &String| run.starts_with(start) && run.ends_with(&format!("-{seed}"));
            let run = names.into_iter().find(ours).unwrap();
            let file = read(&Path::new(&out).join("runs").join(run));
            let settings = begun_with(&file);
            assert_eq!(settings["algorithm.name"], format!("\"{name}\""));
            assert_eq!(settings.get("algorithm.rho").map_or("", |rho| rho), ["", "0.1"][place]);
            assert_eq!(settings["seed"], seed.to_string());
            assert_eq!(settings["batch_size"], "32");
            assert!(settings["optimizer.learning_rate"].parse::<f64>().unwrap() > 0.0);
            assert!(!settings.contains_key("device"), "it has no part in what comes out");
            let run = &summary["algorithms"][place]["runs"][seed];
            let accuracy = run["final_accuracy"].as_f64().unwrap() as f32;
            assert_eq!(
                last(&file, "test/accuracy"),
                Some((10, accuracy)),
                "two epochs of five steps"
            );
            let passes = run["passes_per_step"].as_f64().unwrap() as f32;
            assert_eq!(last(&file, "run/passes_per_step"), Some((10, passes)));
            assert_eq!(end(&file), Some(1), "a success");
        }
    }
    let found = hparams(&read(Path::new(&out)));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "_hparams_/experiment");
    let experiment = fields(&field(&fields(&found[0].1), 2)[0]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let differing = field(&experiment, 4).into_iter().filter_map(|info| {
        let info = fields(&info);
        field(&info, 7).first()?;
        Some(text(field(&info, 1)[0].clone()))
    });
    assert_eq!(differing.collect::<Vec<_>>(), ["algorithm.name", "algorithm.rho", "seed"]);
    let metric = |bytes: Vec<u8>| text(field(&fields(&field(&fields(&bytes), 1)[0]), 2)[0].clone());
    let metrics: Vec<String> = field(&experiment, 5).into_iter().map(metric).collect();
    assert!(metrics.contains(&"test/accuracy".to_owned()), "{metrics:?}");
}

#[test]
fn a_run_has_one_end_whether_it_fails_or_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let failed = path(folder.path(), "failed");
    assert_eq!(lowland(&short(&failed, &["--rho", "1e300"])).status.code(), Some(1));
    assert_eq!(end(&read(Path::new(&failed))), Some(2), "a failure");
    let again = path(folder.path(), "again");
    run(&short(&again, &[]));
    let whole = read(Path::new(&again));
    // What follows the last checkpoint is measured once more.
    run(&["resume", &again, "-q"]);
    let resumed = read(Path::new(&again));
    let tags = |file: &[u8]| hparams(file).into_iter().map(|(tag, _)| tag).collect::<Vec<_>>();
    assert_eq!(tags(&whole), tags(&resumed));
    assert_eq!(tags(&whole).len(), 2);
    assert_eq!(last(&whole, "test/accuracy"), last(&resumed, "test/accuracy"));
}
