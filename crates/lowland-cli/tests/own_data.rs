//! Three splits, evaluation and prediction by the command.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{lines, lowland, path, read_json, run, short, text};
use serde_json::Value;

/// Two classes of bright and dark pictures of 8 by 8 pixels, `count` of each in `train` and `test`.
fn pictures(folder: &Path, count: usize) {
    for part in ["train", "test"] {
        for (class, base) in [("bright", 180), ("dark", 20)] {
            let path = folder.join(part).join(class);
            std::fs::create_dir_all(&path).unwrap();
            for i in 0..count {
                let pixel = |x: u32, y: u32| {
                    let place = u8::try_from((x * 5 + y * 3) as usize % 40 + i % 20).unwrap();
                    image::Rgb([base + place, base, base + place / 2])
                };
                image::RgbImage::from_fn(8, 8, pixel).save(path.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// `file` is the one for readers elsewhere of the run in `out`.
fn weights_that_are_not_finite_are_refused(out: &str, file: &str) {
    // The last number of the file is none.
    let mut bytes = std::fs::read(file).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    let damaged = format!("{out}/nan.safetensors");
    std::fs::write(&damaged, bytes).unwrap();
    let error = lowland(&["evaluate", out, "--weights", &damaged]);
    assert_eq!(error.status.code(), Some(2), "{}", text(&error.stderr));
    assert!(text(&error.stderr).contains("not finite"), "{}", text(&error.stderr));
    // Nor does a run that holds such weights predict.
    let model = std::fs::read(format!("{out}/model.bpk")).unwrap();
    let mut bytes = model.clone();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(format!("{out}/model.bpk"), bytes).unwrap();
    let error = lowland(&["evaluate", out]);
    assert!(text(&error.stderr).contains("not finite"), "{}", text(&error.stderr));
    std::fs::write(format!("{out}/model.bpk"), model).unwrap();
}

#[test]
fn validation_chooses_and_test_is_measured_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let more = ["--validation", "0.2", "--epochs", "3", "--ema", "0.9", "--json"];
    let result = json(&run(&short(&out, &more)));
    let lines = lines(&out);
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let epochs = of("epoch");
    assert_eq!((epochs.len(), of("test").len()), (3, 1));
    for epoch in &epochs {
        assert!(epoch["validation_accuracy"].is_f64() && epoch["train_accuracy"].is_f64());
        assert!(epoch["average_accuracy"].is_f64());
        assert!(epoch["test_accuracy"].is_null());
    }
    let test = of("test")[0];
    assert_eq!(test["chosen_on_validation"], true);
    assert_eq!(test["test_accuracy"], result["test_accuracy"]);
    assert_eq!(test["epoch"], result["tested_epoch"]);

    // What is evaluated without more is what was tested; other weights can be named.
    let evaluate = |more: &[&str]| {
        let mut found = json(&run(&[&["evaluate", out.as_str(), "--json"][..], more].concat()));
        let weights = found.as_object_mut().unwrap().remove("weights").unwrap();
        (found, weights)
    };
    assert_eq!(evaluate(&[]).1, "the weights that were best on validation");
    assert_eq!(evaluate(&["--checkpoint", "last"]).1, "the final weights");
    let evaluate = |more: &[&str]| evaluate(more).0;
    let found = evaluate(&[]);
    assert_eq!(found["accuracy"], result["test_accuracy"]);
    assert_eq!(evaluate(&["--checkpoint", "best"]), found);
    let averaged = evaluate(&["--checkpoint", "average"]);
    assert_eq!(averaged["accuracy"], test["average_accuracy"]);
    let last = evaluate(&["--checkpoint", "last", "--on", "validation"]);
    assert_eq!(last["accuracy"], epochs[2]["validation_accuracy"]);
    let named = evaluate(&["--checkpoint", "epoch-0003-step-00000009", "--on", "validation"]);
    assert_eq!(named, last);
    // Other weights for its network: here those of a file of its own.
    let file = format!("{out}/model.safetensors");
    let other = evaluate(&["--weights", &file]);
    assert_eq!(other["confusion"], found["confusion"], "the file has the tested weights");
    let other = evaluate(&["--weights", &format!("{out}/last.bpk"), "--on", "validation"]);
    assert_eq!(other["confusion"], last["confusion"]);
    let error = lowland(&["evaluate", &out, "--weights", &file, "--checkpoint", "last"]);
    assert_eq!(error.status.code(), Some(2));
    let error = lowland(&["evaluate", &out, "--weights", "nowhere.bpk"]);
    assert!(text(&error.stderr).contains("nowhere.bpk"), "{}", text(&error.stderr));
    weights_that_are_not_finite_are_refused(&out, &file);
    let error = lowland(&["landscape", &out, &out, "--weights", &file]);
    assert!(text(&error.stderr).contains("--weights"), "{}", text(&error.stderr));
    let error = lowland(&["evaluate", &out, "--checkpoint", "first"]);
    assert!(text(&error.stderr).contains("has no checkpoint \"first\": use best, last, average"));

    // The parts of an evaluation fit together.
    let confusion: Vec<Vec<f64>> = serde_json::from_value(found["confusion"].clone()).unwrap();
    let right: f64 = confusion.iter().enumerate().map(|(i, row)| row[i]).sum();
    assert!((right / 100.0 - number(&found["accuracy"])).abs() < 1e-12);
    assert!((confusion.iter().flatten().sum::<f64>() - 100.0).abs() < 1e-9);
    let error = number(&found["calibration_error"]);
    assert!((0.0..=1.0).contains(&error));
    // Weights that are rounded are not those of the run; many bits change little.
    let loss = |found: &Value| number(&found["loss"]);
    let [eight, two] = ["8", "2"].map(|bits| loss(&evaluate(&["--round", bits])));
    assert!((eight - loss(&found)).abs() < (two - loss(&found)).abs(), "{eight}, {two}");
    // Sentences are broken into lines.
    let printed = |arguments: &[&str]| {
        let printed = text(&run(arguments).stdout);
        printed.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let words = printed(&["evaluate", &out, "--round", "4"]);
    assert!(words.contains("the weights that were best on validation rounded to 4 bits"));
    assert_eq!(lowland(&["evaluate", &out, "--round", "9"]).status.code(), Some(2));
    let words = printed(&["evaluate", &out]);
    for part in ["the weights that were best on validation", "precision", "calibration error"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    // Where the file of the last epoch is gone, the best weights do not pass for it.
    std::fs::remove_file(format!("{out}/last.bpk")).unwrap();
    assert_eq!(evaluate(&[]), found);
    assert_eq!(evaluate(&["--checkpoint", "last", "--on", "validation"]), last, "a checkpoint's");
    std::fs::remove_dir_all(format!("{out}/checkpoints")).unwrap();
    assert_eq!(evaluate(&[]), found);
    let error = text(&lowland(&["evaluate", &out, "--checkpoint", "last"]).stderr);
    assert!(error.contains("neither last.bpk nor a checkpoint"), "{error}");
}

#[test]
fn without_a_validation_part_the_output_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let output = run(&short(&out, &["--epochs", "1"]));
    let words = text(&output.stdout);
    assert!(words.contains("Tested with the weights of the last epoch"), "{words}");
    assert!(words.contains("--validation SHARE"), "{words}");
    let error = lowland(&short(&path(folder.path(), "other"), &["--patience", "2"]));
    assert_eq!(error.status.code(), Some(2));
    assert!(text(&error.stderr).contains("--validation SHARE"));
    let error = lowland(&["evaluate", &out, "--on", "validation"]);
    assert!(text(&error.stderr).contains("there is no validation part"));
    let error = lowland(&["sharpness", &out, "--checkpoint", "best"]);
    assert!(text(&error.stderr).contains("has no best weights"), "{}", text(&error.stderr));
}

#[test]
fn an_algorithm_with_an_optimizer_of_its_own_names_what_it_leaves_aside() {
    let folder = tempfile::tempdir().unwrap();
    let said = |name: &str| {
        let out = path(folder.path(), &name.replace(':', "-"));
        let limits = ["--train-limit", "64", "--test-limit", "64", "--epochs", "1"];
        let more = ["train", "--out", &out, "--lr", "0.0001", "--algorithm", name];
        text(&run(&[&more[..], &limits].concat()).stderr)
    };
    for (name, label) in [("adasam", "AdaSAM"), ("bsam", "bSAM")] {
        let said = said(name);
        let counted = "bSAM takes the 64 images for its N (algorithm.data_size sets another)";
        assert_eq!(said.contains(counted), name == "bsam", "{said}");
        let with = format!("training with {label} over an optimizer of its own, learning rate");
        let aside = format!("of the settings of the optimizer, {label} takes the learning rate");
        assert!(said.contains(&with) && said.contains(&aside), "{said}");
    }
    assert!(!said("sam").contains("of the settings of the optimizer"));
}

#[test]
fn pictures_are_predicted_as_they_were_tested() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, 12);
    let (out, dir) = (path(folder.path(), "run"), data.display().to_string());
    let more = ["--data", "image-folder", "--data-dir", &dir, "--batch-size", "100"];
    let output = run(&[
        &["train", "--out", &out, "--epochs", "8", "--lr", "0.02", "--algorithm", "sgd"][..],
        &more,
    ]
    .concat());
    let said = text(&output.stderr);
    assert!(said.contains("a batch of 100 is larger than the 24 images"), "{said}");

    let files: Vec<String> = ["bright/3.png", "dark/4.png"]
        .map(|name| data.join("test").join(name).display().to_string())
        .to_vec();
    let predict =
        |more: &[&str]| run(&[&["predict", out.as_str(), &files[0], &files[1]][..], more].concat());
    let found = json(&predict(&["--format", "json"]));
    for (prediction, file) in found.as_array().unwrap().iter().zip(&files) {
        assert_eq!(prediction["input"], file.as_str());
        let shares = prediction["probabilities"].as_array().unwrap();
        let shares: Vec<f64> = shares.iter().map(|share| number(&share["probability"])).collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let class = if shares[1] > shares[0] { "dark" } else { "bright" };
        assert_eq!(prediction["class"], class);
    }
    let table = text(&predict(&[]).stdout);
    let mut rows = table.lines();
    assert_eq!(rows.next(), Some("input,class,probability of bright,probability of dark"));
    assert!(rows.next().unwrap().starts_with(&format!("{},", files[0])));
    let target = path(folder.path(), "out.csv");
    predict(&["--out", &target]);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), table);
    outputs(folder.path(), &out, &files, &table);

    let wrong = folder.path().join("wide.png");
    image::RgbImage::new(9, 8).save(&wrong).unwrap();
    let error = lowland(&["predict", &out, &wrong.display().to_string()]);
    assert!(text(&error.stderr).contains("an image of 8x8, as in training"));

    // What cannot be used is named at once, and left out where that is asked for.
    let wrong = wrong.display().to_string();
    let (broken, absent) = (path(folder.path(), "broken.png"), path(folder.path(), "absent.png"));
    std::fs::write(&broken, "x").unwrap();
    let inside = folder.path().display().to_string();
    let all = ["predict", &out, &files[0], &wrong, &broken, &files[1], &absent, &inside];
    let error = lowland(&all);
    let said = text(&error.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(error.status.code(), Some(2), "{said}");
    for part in ["4 files that cannot be used: ", &wrong, &broken, &absent, "--skip-damaged"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let left = run(&[&all[..], &["--skip-damaged"]].concat());
    assert_eq!(text(&left.stdout), table);
    let said = text(&left.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("left out 4 files that cannot be used: "), "{said}");
    let none = text(&lowland(&["predict", &out, &broken, "--skip-damaged"]).stderr);
    assert!(none.contains("broken.png: expected an image") && !none.contains("leaves it out"));
}

/// What predictions are written into, and what they do not take the place of.
fn outputs(folder: &Path, out: &str, files: &[String], table: &str) {
    let target = path(folder, "target.csv");
    let error = lowland(&["predict", out, &files[0], "--out", &files[0]]);
    assert_eq!(error.status.code(), Some(2));
    assert!(text(&error.stderr).contains("is one of the inputs"));
    let model = format!("{out}/model.bpk");
    let error = lowland(&["predict", out, &files[0], "--out", &model]);
    assert!(text(&error.stderr).contains("is a file of the run"));
    let nowhere = path(folder, "nowhere/out.csv");
    let error = lowland(&["predict", out, &files[0], "--out", &nowhere]);
    assert!(text(&error.stderr).contains("there is no folder"));
    #[cfg(unix)]
    {
        // What a link leads to is written, and the link stays.
        let link = path(folder, "link.csv");
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        run(&["predict", out, &files[0], &files[1], "--out", &link]);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let (dangling, later) = (path(folder, "dangling"), path(folder, "later"));
        std::os::unix::fs::symlink(&later, &dangling).unwrap();
        run(&["predict", out, &files[0], &files[1], "--out", &dangling]);
        assert_eq!(std::fs::read_to_string(&later).unwrap(), table);
        // A stream is written into, and the file that it goes to keeps what it has.
        let log = path(folder, "log");
        std::fs::write(&log, "before\n").unwrap();
        let to = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
        let words = ["predict", out, &files[0], &files[1], "--out", "/dev/stdout"];
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lowland"));
        assert!(command.args(words).stdout(to).status().unwrap().success());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("before\n{table}"));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), table);
    }
}

/// The embedded data is never damaged, and inputs may be.
#[test]
fn inputs_of_a_run_on_the_embedded_data_may_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (out, image) = (path(folder.path(), "run"), path(folder.path(), "grey.png"));
    run(&short(&out, &["--epochs", "1"]));
    image::GrayImage::new(28, 28).save(&image).unwrap();
    let left = run(&["predict", &out, &image, "absent.png", "--skip-damaged"]);
    assert_eq!(text(&left.stdout).lines().count(), 2);
    assert!(text(&left.stderr).contains("left out 1 file that cannot be used: absent.png"));
}

#[test]
fn runs_of_other_data_stand_in_tables_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, 8);
    let [a, b, c] = ["a", "b", "c"].map(|name| path(folder.path(), name));
    run(&short(&a, &["--algorithm", "sgd", "--epochs", "1"]));
    run(&short(&b, &["--algorithm", "sam", "--epochs", "1"]));
    let dir = data.display().to_string();
    let own = ["--data", "image-folder", "--data-dir", &dir, "--batch-size", "8"];
    run(&[&["train", "-q", "--out", &c, "--epochs", "1"][..], &own].concat());
    let out = path(folder.path(), "report");
    let words = text(&run(&["report", &a, &c, &b, "--out", &out]).stdout);
    let summary = |name: &str| read_json(&Path::new(&out).join(name));
    let labels = |summary: &Value| {
        let all = summary["algorithms"].as_array().unwrap();
        all.iter().map(|one| one["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&summary("summary.json")), ["SGD", "SAM"]);
    assert_eq!(labels(&summary("summary-2.json")), ["SAM"]);
    assert!(words.contains("images from a folder, accuracy"), "{words}");
    assert!(words.contains("not tested"), "{words}");
    assert!(!words.contains("undecided"), "{words}");
    // The second page stays, and is named as an old one.
    let again = text(&run(&["report", &a, &b, "--out", &out]).stderr);
    let again = again.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(again.contains("report-2.html is left of an earlier report"), "{again}");
}

#[test]
fn runs_with_other_settings_about_data_stand_in_tables_that_are_named_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let [few, noisy, sam] = ["few", "noisy", "sam"].map(|name| path(folder.path(), name));
    run(&short(&few, &["--algorithm", "sgd", "--epochs", "1"]));
    run(&short(&noisy, &["--algorithm", "sgd", "--epochs", "1", "--label-noise", "0.25"]));
    run(&short(&sam, &["--algorithm", "sam", "--epochs", "1"]));
    let out = path(folder.path(), "report");
    let words = text(&run(&["report", &few, &noisy, &sam, "--out", &out]).stdout);
    let of = "Fashion-MNIST, the embedded subset, accuracy; label_noise";
    let headings: Vec<&str> = words.lines().filter(|line| line.starts_with(of)).collect();
    assert_eq!(headings, [format!("{of} = 0.0"), format!("{of} = 0.25")]);
    let title = |name: &str| read_json(&Path::new(&out).join(name))["title"].clone();
    assert_eq!(title("summary.json"), format!("SGD, SAM: {}", headings[0]));
    assert_eq!(title("summary-2.json"), format!("SGD: {}", headings[1]));
    // Alone they need no name.
    let words = text(&run(&["report", &few, &sam, "--out", &out]).stdout);
    assert!(!words.contains(of), "{words}");
}
