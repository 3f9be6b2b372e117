//! Sharpness, landscapes and reports of runs that are done.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use std::fs;
use std::path::Path;

use common::{lines, lowland, path, run, short, text};
use serde_json::Value;

fn read(folder: &str, name: &str) -> Value {
    serde_json::from_slice(&fs::read(Path::new(folder).join(name)).unwrap()).unwrap()
}

/// What is measured on, and as little of it as shows something.
const GROUND: [&str; 4] = ["--images", "60", "--batch-size", "25"];

fn sharpness(out: &str, more: &[&str]) -> Value {
    let little = ["--eigenvalues", "2", "--lanczos-steps", "6", "--trace-probes", "3"];
    let few = ["--ascent-steps", "2", "--directions", "2", "--density-probes", "1", "--json"];
    let output = run(&[&["sharpness", out], &GROUND[..], &little, &few, more].concat());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found, read(out, "sharpness.json"), "what is printed is what is kept");
    found
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The loss at a place in a landscape.
fn loss_at(view: &Value, at: &[f64]) -> f64 {
    let points = view["points"].as_array().unwrap();
    let here = |point: &&Value| {
        let found: Vec<f64> = point["at"].as_array().unwrap().iter().map(number).collect();
        found == at
    };
    number(&points.iter().find(here).unwrap()["loss"])
}

#[test]
#[allow(clippy::too_many_lines, reason = "one run, looked at from all sides")]
fn flatness_is_measured_shown_and_put_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let (sgd, sam) = (path(folder.path(), "sgd"), path(folder.path(), "sam"));
    run(&short(&sgd, &["--algorithm", "sgd"]));
    run(&short(&sam, &["--algorithm", "sam:rho=0.1"]));
    let weights = |out: &str| fs::read(Path::new(out).join("model.safetensors")).unwrap();
    let before = weights(&sgd);

    let mut found = sharpness(&sgd, &[]);
    assert_eq!(weights(&sgd), before, "the run stays as it is");
    assert_eq!(found["images"], 60);
    let eigenvalues = found["eigenvalues"].as_array().unwrap();
    assert!(number(&eigenvalues[0]["value"]) >= number(&eigenvalues[1]["value"]), "{found}");
    let layers = found["layers"].as_array().unwrap();
    let sum: f64 = layers.iter().map(|layer| number(&layer["trace"]["mean"])).sum();
    let trace = number(&found["trace"]["mean"]);
    // The same draws, summed in `f64` in another order: n·ε·Σ|x| for n = 20 draws of each layer,
    // whose mean size is at most the root of the mean of their squares.
    let size = |layer: &Value| {
        let (trace, n) = (&layer["trace"], 20_f64);
        n * f64::EPSILON * number(&trace["mean"]).hypot(n.sqrt() * number(&trace["standard_error"]))
    };
    let bound = layers.len() as f64 * layers.iter().map(size).sum::<f64>();
    assert!((sum - trace).abs() <= bound, "layers {sum}, all {trace}");
    assert_eq!(found["density"].as_array().unwrap().len(), 200);
    let (first, passes) = (number(&found["largest_rise"]["mean"]), number(&found["passes"]));
    assert!(first > 0.0 && number(&found["adaptive_largest_rise"]["mean"]) > 0.0 && passes > 10.0);
    assert!(number(&found["largest_rise"]["standard_error"]) > 0.0, "60 samples");
    let mut again = sharpness(&sgd, &[]);
    for record in [&mut found, &mut again] {
        record.as_object_mut().unwrap().remove("seconds");
    }
    assert_eq!(found, again, "the same seed, the same numbers");
    assert_ne!(sharpness(&sgd, &["--seed", "1"])["trace"], found["trace"]);
    let larger = sharpness(&sgd, &["--rho", "0.1"]);
    assert!(number(&larger["largest_rise"]["mean"]) > first, "a larger radius, a larger rise");
    // Figures of one radius stand beside those of the same radius.
    sharpness(&sgd, &[]);
    let of_sam = sharpness(&sam, &[]);

    let plane = path(folder.path(), "plane");
    let output = run(&[
        &["landscape", &sgd, &sam, "--points", "3", "--extent", "1", "--out", &plane, "-q"],
        &GROUND[..],
    ]
    .concat());
    assert!(text(&output.stdout).contains("landscape.html"), "{}", text(&output.stdout));
    let landscape = read(&plane, "landscape.json");
    let views = landscape["views"].as_array().unwrap();
    for (view, (label, sharpness)) in views.iter().zip([("SGD", &found), ("SAM", &of_sam)]) {
        assert_eq!(view["label"], label);
        assert_eq!(view["points"].as_array().unwrap().len(), 9);
        assert_eq!(
            loss_at(view, &[0.0, 0.0]),
            number(&sharpness["loss"]),
            "the run is in the middle"
        );
        assert!(loss_at(view, &[1.0, 1.0]) > loss_at(view, &[0.0, 0.0]));
    }
    // Without an extent, the flat part is shown.
    let flat = path(folder.path(), "flat");
    let output =
        run(&[&["landscape", &sgd, "--points", "3", "--out", &flat][..], &GROUND].concat());
    assert!(
        text(&output.stderr).contains("as far as the loss on the axes stays within 1 of the runs'")
    );
    let view = &read(&flat, "landscape.json")["views"][0];
    let reach = number(&view["points"][8]["at"][0]);
    for end in [[reach, 0.0], [-reach, 0.0], [0.0, reach], [0.0, -reach]] {
        assert!(loss_at(view, &end) <= loss_at(view, &[0.0, 0.0]) + 1.0, "{end:?}");
    }
    let line = path(folder.path(), "line");
    let along = ["--along", "line", "--points", "4", "--out", &line, "-q"];
    run(&[&["landscape", &sgd, &sam], &along[..], &GROUND].concat());
    let view = &read(&line, "landscape.json")["views"][0];
    assert_eq!(loss_at(view, &[0.0]), number(&found["loss"]));
    assert_eq!(loss_at(view, &[1.0]), number(&of_sam["loss"]));
    let eigen = ["--along", "eigenvectors", "--points", "2", "--extent", "0.5", "-q"];
    run(&[&["landscape", &sgd], &eigen[..], &GROUND].concat());
    let view = &read(&sgd, "landscape.json")["views"][0];
    assert_eq!(view["eigenvalues"].as_array().unwrap().len(), 2);

    let out = path(folder.path(), "report");
    let output = run(&["report", &sgd, &sam, "--out", &out]);
    let table = text(&output.stdout);
    assert!(table.contains("SGD") && table.contains("SAM") && table.contains("passes"), "{table}");
    let summary = read(&out, "summary.json");
    for (algorithm, sharpness) in [(0, &found), (1, &of_sam)] {
        let shown = &summary["algorithms"][algorithm];
        assert_eq!(shown["largest_eigenvalue"]["mean"], sharpness["eigenvalues"][0]["value"]);
        assert_eq!(shown["runs"][0]["epochs"].as_array().unwrap().len(), 2);
    }
    let page = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    for figure in [
        "The largest eigenvalues of the Hessian",
        "The spectrum of the Hessian",
        "The loss around SGD",
        "Confusion matrix of SGD",
        "Confusion matrix of SAM",
    ] {
        assert!(page.contains(figure), "{figure}");
    }
}

/// Watching does not disturb: the same weights, and the measurements at their steps.
#[test]
fn sharpness_can_be_watched_during_training() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, watched) = (path(folder.path(), "plain"), path(folder.path(), "watched"));
    let flags = ["--algorithm", "esam:mask=\"coordinates\""];
    run(&short(&plain, &flags));
    run(&short(&watched, &[&flags[..], &["--sharpness-every", "3"]].concat()));
    let weights = |out: &str| fs::read(Path::new(out).join("model.safetensors")).unwrap();
    assert_eq!(weights(&plain), weights(&watched));
    let (seen, others): (Vec<_>, Vec<_>) =
        lines(&watched).into_iter().partition(|line| line["kind"] == "sharpness");
    assert_eq!(others.len(), lines(&plain).len());
    let steps: Vec<_> = seen.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [3, 6]);
    assert!(seen.iter().all(|line| number(&line["largest_eigenvalue"]) > 0.0));
    let events = fs::read(Path::new(&watched).join("events.out.tfevents.lowland")).unwrap();
    let tag = b"sharpness/largest_eigenvalue";
    assert_eq!(events.windows(tag.len()).filter(|window| window == tag).count(), 2);
}

#[test]
fn mistakes_are_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let (done, other) = (path(folder.path(), "done"), path(folder.path(), "other"));
    run(&short(&done, &["--epochs", "1"]));
    run(&short(&other, &["--epochs", "1", "--label-noise", "0.5"]));
    let empty = path(folder.path(), "empty");
    for (arguments, expected) in [
        (vec!["sharpness", &empty], "holds no run"),
        (vec!["sharpness", &done, "--images", "0"], "images must be at least 1, found 0"),
        (vec!["sharpness", &done, "--rho", "-1"], "rho must be finite and at least 0, found -1"),
        (vec!["landscape", &done, "--points", "1"], "--points must be between 2 and 201, found 1"),
        (vec!["landscape", &done, "--along", "line"], "a line needs two runs or more"),
        (vec!["landscape", &done, "--extent", "0"], "--extent must be finite and above 0, found 0"),
        (vec!["landscape", &done, &other], "has other training samples or labels than"),
        (vec!["report", &empty], "holds no run"),
        (vec!["report", &done, &done], "two runs of SAM have the seed 0 and the same settings"),
    ] {
        let output = lowland(&arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{expected:?} is not in {error:?}"
        );
    }
    let metrics = Path::new(&done).join("metrics.jsonl");
    let whole = fs::read_to_string(&metrics).unwrap();
    // Without the test, and without the last epoch.
    let untested = whole.trim_end().rsplit_once('\n').unwrap().0;
    let cut = untested.rsplit_once('\n').unwrap().0;
    for (text_, expected) in [
        (format!("{cut}\n"), "0 of 1 epoch is done"),
        // As a run that trains now, or was killed, leaves it.
        (format!("{cut}\n{{"), "0 of 1 epoch is done"),
        (format!("{cut}\n{{\n"), "metrics.jsonl line 5: "),
    ] {
        fs::write(&metrics, text_).unwrap();
        let output = lowland(&["report", &done]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{expected:?} is not in {error:?}"
        );
    }
}
