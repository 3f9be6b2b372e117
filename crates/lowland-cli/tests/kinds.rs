//! Runs on texts, on numbers and on people: evaluated, predicted, looked at from all sides.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "../../lowland-tensorboard/tests/common/mod.rs"]
mod events;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{lines, lowland, path, read_json, run, text};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

/// The folder of a tiny transformer.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lowland-tasks/tests/tiny-bert");

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Writes tables of the same rows over and over: 18 to learn from, 6 to choose by, 6 to test on.
fn tables(folder: &Path, head: &str, rows: [&str; 3]) -> String {
    fs::create_dir_all(folder).unwrap();
    for (name, count) in [("train.tsv", 18), ("dev.tsv", 6), ("test.tsv", 6)] {
        let rows: Vec<&str> = (0..count).map(|i| rows[i % 3]).collect();
        fs::write(folder.join(name), format!("{head}\n{}\n", rows.join("\n"))).unwrap();
    }
    folder.display().to_string()
}

/// The tags of a run's scalars of a part.
fn tags(run: &str, part: &str) -> BTreeSet<String> {
    let file = fs::read(Path::new(run).join("events.out.tfevents.lowland")).unwrap();
    let tags = events::scalars(&file).into_iter().map(|(_, tag, _)| tag);
    tags.filter_map(|tag| Some(tag.strip_prefix(part)?.to_owned())).collect()
}

/// Arguments of a run that fine-tunes the tiny transformer.
fn fine_tuning<'a>(out: &'a str, data: &'a str, dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let task = ["train", "--task", "fine-tune", "--data", data, "--data-dir", dir, "--from", TINY];
    let how = ["--set", "text.max_length=16", "--epochs", "3", "--batch-size", "6", "--lr", "0.01"];
    [&task[..], &how, &["-q", "--out", out], more].concat()
}

#[test]
fn texts_are_evaluated_class_by_class_and_predicted_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ["a good film\t1", "a bad film\t0", "it was good\t1"];
    let dir = tables(&folder.path().join("data"), "sentence\tlabel", rows);
    let out = path(folder.path(), "run");
    run(&fine_tuning(&out, "sst2", &dir, &[]));

    let found = json_of(&run(&["evaluate", &out, "--json"]));
    assert_eq!((&found["measure"], &found["samples"]), (&"accuracy".into(), &6.into()));
    let classes = found["classes"].as_array().unwrap();
    let names: Vec<&Value> = classes.iter().map(|class| &class["class"]).collect();
    assert_eq!(names, ["negative", "positive"]);
    assert_eq!((&classes[0]["samples"], &classes[1]["samples"]), (&2.into(), &4.into()));
    let confusion: Vec<Vec<f64>> = serde_json::from_value(found["confusion"].clone()).unwrap();
    let right = confusion[0][0] + confusion[1][1];
    assert!((right / 6.0 - number(&found["accuracy"])).abs() < 1e-12, "{found}");
    assert!((0.0..=1.0).contains(&number(&found["calibration_error"])));

    let file = folder.path().join("lines.txt");
    fs::write(&file, "a good film\nbread, food\nthe man is bad\n").unwrap();
    let file = file.display().to_string();
    let predictions = json_of(&run(&["predict", &out, &file, "--format", "json"]));
    let predictions = predictions.as_array().unwrap();
    assert_eq!(predictions.len(), 3);
    for (line, prediction) in (1..).zip(predictions) {
        assert_eq!(prediction["input"], format!("{file}:{line}"));
        let shares = prediction["probabilities"].as_array().unwrap();
        let shares: Vec<f64> = shares.iter().map(|share| number(&share["probability"])).collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let class = if shares[1] > shares[0] { "positive" } else { "negative" };
        assert_eq!(prediction["class"], class);
    }
    let table = text(&run(&["predict", &out, &file]).stdout);
    let head = table.lines().next();
    assert_eq!(head, Some("input,class,probability of negative,probability of positive"));
    assert_eq!(table.lines().count(), 4);

    // Tables as those of training, with labels or without, give what lines do.
    let expected = predictions;
    for (name, table, first) in [
        ("a.tsv", "sentence\tlabel\na good film\t1\nbread, food\tno\nthe man is bad\t0\n", 2),
        ("a.csv", "id,sentence\n1,a good film\n2,\"bread, food\"\n3,the man is bad\n", 2),
        (
            "a.jsonl",
            "{\"sentence\": \"a good film\"}\n{\"sentence\": \"bread, food\"}\n\
             {\"sentence\": \"the man is bad\", \"label\": 0}\n",
            1,
        ),
    ] {
        let file = path(folder.path(), name);
        fs::write(&file, table).unwrap();
        let found = json_of(&run(&["predict", &out, &file, "--format", "json"]));
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), 3, "{name}");
        for (line, (found, expected)) in (first..).zip(found.iter().zip(expected)) {
            assert_eq!(found["input"], format!("{file}:{line}"));
            assert_eq!(found["probabilities"], expected["probabilities"], "{name}");
        }
    }
    unusable_texts(folder.path(), &out, &file);
}

/// Texts that cannot be used are named together, with files, and left out together.
fn unusable_texts(folder: &Path, out: &str, file: &str) {
    fs::write(file, "good\n\nbad\n").unwrap();
    let error = lowland(&["predict", out, file]);
    assert_eq!(error.status.code(), Some(2));
    assert!(text(&error.stderr).contains(":2: expected a text, or two with a tab between them"));
    let absent = path(folder, "absent.txt");
    let both = ["predict", out, file, &absent];
    let error = text(&lowland(&both).stderr);
    let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(error.contains("2 files and lines that cannot be used: cannot read "), "{error}");
    assert!(error.contains(":2: expected a text"), "{error}");
    let left = run(&[&both[..], &["--skip-damaged"]].concat());
    assert_eq!(text(&left.stdout).lines().count(), 3);
    let said = text(&left.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("left out 1 damaged line: {file}:2")), "{said}");
    assert!(said.contains(&format!("left out 1 file that cannot be used: {absent}")), "{said}");
    for (name, contents, expected, left) in [
        ("b.txt", "good\nthe man\tis bad\n", "b.txt:2: expected single texts, as in training", 1),
        ("b.txt", "", "b.txt: expected at least one text, found none", 0),
        ("b.tsv", "words\tlabel\nx\t1\n", "b.tsv:1: expected a column named \"sentence\"", 0),
        ("b.csv", "sentence,label\n\"x\" y,1\nx\n", "2 damaged lines: ", 0),
        ("b.csv", "sentence,label\n\"x\" y,1\nx,0\nx\n", "2 damaged lines: ", 1),
    ] {
        let file = path(folder, name);
        fs::write(&file, contents).unwrap();
        let error = lowland(&["predict", out, &file]);
        let stderr = text(&error.stderr);
        let words = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(error.status.code(), Some(2), "{words}");
        assert!(words.contains(expected), "{words}");
        assert_eq!(words.contains("--skip-damaged"), left > 0, "{words}");
        let skipped = lowland(&["predict", out, &file, "--skip-damaged"]);
        assert_eq!(skipped.status.success(), left > 0, "{}", text(&skipped.stderr));
        let rows = text(&skipped.stdout).lines().count();
        assert_eq!(rows, if left > 0 { left + 1 } else { 0 });
        assert_eq!(text(&skipped.stderr).contains("left out "), left > 0);
    }
}

#[test]
fn a_first_line_is_a_text_in_prediction_where_it_was_one_in_training() {
    let folder = tempfile::tempdir().unwrap();
    // Labels that are numbers of columns, too.
    let rows = ["a bad film\t1", "it was good\t2", "a good film\t2"];
    let data = tables(&folder.path().join("data"), "a good film\t2", rows);
    let out = path(folder.path(), "run");
    let by_number = ["--new-head", "--text-column", "1", "--label-column", "2"];
    run(&fine_tuning(&out, "text", &data, &by_number));

    let predicted = |name: &str, table: &str| {
        let file = path(folder.path(), name);
        fs::write(&file, table).unwrap();
        let output = run(&["predict", &out, &file, "--format", "json"]);
        let rows = json_of(&output);
        let lines = rows.as_array().unwrap().iter().map(|row| {
            let input = row["input"].as_str().unwrap();
            input.rsplit(':').next().unwrap().parse().unwrap()
        });
        (lines.collect::<Vec<usize>>(), text(&output.stderr))
    };
    for (name, table) in [("a.tsv", "a good film\t2\na bad film\t1\n"), ("b.tsv", "2\nbad\n")] {
        assert_eq!(predicted(name, table), (vec![1, 2], String::new()), "{name}");
    }
    for (name, table) in [("c.tsv", "text\tlabel\ngood\t1\n"), ("d.csv", "sentence\ngood\n")] {
        let (lines, stderr) = predicted(name, table);
        assert_eq!(lines, [1, 2], "{name}");
        let words = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("line 1 of ") && words.contains(name), "{words}");
        assert!(words.contains("is read as a text and looks like the names of columns"), "{words}");
    }
}

#[test]
fn similarities_are_numbers_in_every_output() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ["a man\ta man .\t4.5", "a dog\tthe dog is not good\t2.5", "bread\tbad film\t0.25"];
    let dir = tables(&folder.path().join("data"), "sentence1\tsentence2\tscore", rows);
    let [sam, sgd] = ["sam", "sgd"].map(|name| path(folder.path(), name));
    let checked = text(&run(&["data", "check", "stsb", "--data-dir", &dir]).stdout);
    assert!(checked.contains("numbers: least, mean,"), "{checked}");
    assert!(checked.contains("0.25 2.42 4.50"), "{checked}");

    let output = run(&fine_tuning(&sam, "stsb", &dir, &["--json"]));
    let result = json_of(&output);
    assert_eq!(result["measure"], "Pearson's correlation");
    let number_of = |name: &str| number(&result[name]);
    assert!((-1.0..=1.0).contains(&number_of("test_accuracy")), "{result}");
    assert!((-1.0..=1.0).contains(&number(&result["scores"]["Spearman's correlation"])));
    let names = ["Pearson's correlation", "Spearman's correlation", "loss"];
    for part in ["validation/", "test/"] {
        assert_eq!(tags(&sam, part), names.map(str::to_owned).into(), "{part}");
    }
    assert!(tags(&sam, "epoch/").contains("train_Pearson's correlation"));
    let config = read_json(&Path::new(&sam).join("config.json"));
    assert_eq!(
        (&config["problem_type"], &config["id2label"]),
        (&"regression".into(), &json!({"0": "LABEL_0"}))
    );

    let evaluated = run(&["evaluate", &sam, "--json"]);
    let found = json_of(&evaluated);
    assert_eq!(found["accuracy"], result["test_accuracy"]);
    for absent in ["classes", "confusion", "joints"] {
        assert!(found[absent].is_null(), "{absent}: {found}");
    }
    assert!(found["calibration_error"].is_null());
    // Its sentences are broken where the line ends.
    let words = text(&run(&["evaluate", &sam]).stdout).replace('\n', " ");
    assert!(words.contains("Pearson's correlation ") && words.contains("Spearman's correlation "));
    assert!(!words.contains("accuracy") && !words.contains("precision"), "{words}");

    let file = folder.path().join("pairs.txt");
    fs::write(&file, "a man\ta man .\nbread\tfood\n").unwrap();
    let file = file.display().to_string();
    let table = text(&run(&["predict", &sam, &file]).stdout);
    let table: Vec<&str> = table.lines().collect();
    assert_eq!((table[0], table.len()), ("input,number", 3));
    let predictions = json_of(&run(&["predict", &sam, &file, "--format", "json"]));
    for (line, prediction) in table[1..].iter().zip(predictions.as_array().unwrap()) {
        let (input, found) = line.rsplit_once(',').unwrap();
        assert_eq!(prediction["input"], input);
        assert!((number(&prediction["number"]) - found.parse::<f64>().unwrap()).abs() < 1e-12);
    }
    let alone = path(folder.path(), "alone.txt");
    fs::write(&alone, "a man\tbread\nfood\n").unwrap();
    let error = text(&lowland(&["predict", &sam, &alone]).stderr);
    assert!(error.contains("alone.txt:2: expected pairs of texts, as in training"), "{error}");

    // In a table and a page, and on a line between two runs: the best weights of both, on the part
    // that they were chosen by.
    run(&fine_tuning(&sgd, "stsb", &dir, &["--algorithm", "sgd"]));
    let out = path(folder.path(), "report");
    let words = text(&run(&["report", &sam, &sgd, "--out", &out]).stdout);
    assert!(words.contains("Pearson's correlation") && !words.contains("accuracy"), "{words}");
    let page = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(page.contains("correlation, %"));
    for absent in ["accuracy", "share of right"] {
        assert!(!page.to_lowercase().contains(absent), "{absent} is on the page of a regression");
    }

    let out = path(folder.path(), "line");
    let along = ["--along", "line", "--points", "2", "--on", "validation", "--checkpoint", "best"];
    run(&[&["landscape", &sam, &sgd, "--out", &out, "-q"][..], &along].concat());
    let found = read_json(&Path::new(&out).join("landscape.json"));
    assert_eq!(found["measure"], "Pearson's correlation");
    assert_eq!(found["weights"], "the weights that were best on validation");
    assert_eq!((&found["images"], &found["ground"]["split"]), (&6.into(), &"validation".into()));
    let evaluated = |run_: &str| {
        json_of(&run(&["evaluate", run_, "--on", "validation", "--checkpoint", "best", "--json"]))
    };
    let points = found["views"][0]["points"].as_array().unwrap();
    for (run_, at) in [(&sam, 0.0), (&sgd, 1.0)] {
        let here = |point: &&Value| (number(&point["at"][0]) - at).abs() < 1e-12;
        let point = points.iter().find(here).unwrap();
        assert!((number(&point["accuracy"]) - number(&evaluated(run_)["accuracy"])).abs() < 1e-6);
    }
    let page = fs::read_to_string(Path::new(&out).join("landscape.html")).unwrap();
    assert!(
        page.contains("correlation on straight lines between runs") && !page.contains("ccuracy")
    );
}

#[test]
fn runs_that_do_not_fit_have_no_landscape() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ["a good film\t1", "a bad film\t0", "it was good\t1"];
    let dir = tables(&folder.path().join("data"), "sentence\tlabel", rows);
    let [whole, head, few] = ["whole", "head", "few"].map(|name| path(folder.path(), name));
    run(&fine_tuning(&whole, "sst2", &dir, &[]));
    run(&fine_tuning(&head, "sst2", &dir, &["--set", "text.trained=head"]));
    run(&fine_tuning(&few, "sst2", &dir, &["--train-limit", "9"]));
    let out = path(folder.path(), "out");
    let landscape = |runs: &[&str], more: &[&str]| {
        let little = ["--points", "2", "--extent", "0.5", "--out", &out, "-q"];
        lowland(&[&["landscape"], runs, &little[..], more].concat())
    };
    let refused = |runs: &[&str], more: &[&str], expected: &str| {
        let output = landscape(runs, more);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{expected}: {error}");
        assert!(!Path::new(&out).exists());
    };
    refused(&[&whole, &head], &[], "has another network or other data than");
    refused(&[&whole, &few], &[], "has other training samples or labels than");
    refused(&[&whole, &few], &[], "--on test measures all on the same ones");
    refused(&[&whole], &["--checkpoint", "average"], "has no average of the weights");
    refused(&[&whole], &["--checkpoint", "first"], "has no checkpoint \"first\"");
    // The test samples are the same of both.
    let output = landscape(&[&whole, &few], &["--on", "test"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = read_json(&Path::new(&out).join("landscape.json"));
    assert_eq!(
        (&found["images"], &found["views"][1]["points"][3]["at"]),
        (&6.into(), &json!([0.5, 0.5]))
    );
}

/// People in pictures of 32 by 32: a red and a blue square, which are the two joints.
fn people(folder: &Path) -> String {
    fs::create_dir_all(folder.join("images")).unwrap();
    for (name, count) in [("train", 12_u32), ("val", 4)] {
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for i in 0..count {
            let file = format!("{name}-{i}.png");
            let (red, blue) = ([6 + i, 8], [20, 10 + i]);
            let near = |[x, y]: [u32; 2], [u, v]: [u32; 2]| x.abs_diff(u) < 3 && y.abs_diff(v) < 3;
            let picture = RgbImage::from_fn(32, 32, |x, y| {
                if near([x, y], red) {
                    Rgb([250, 20, 20])
                } else if near([x, y], blue) {
                    Rgb([20, 20, 250])
                } else {
                    Rgb([90; 3])
                }
            });
            picture.save(folder.join("images").join(&file)).unwrap();
            images.push(json!({"id": i, "file_name": file, "width": 32, "height": 32}));
            annotations.push(json!({
                "id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 32, 32],
                "num_keypoints": 2, "keypoints": [red[0], red[1], 2, blue[0], blue[1], 2],
            }));
        }
        let category = json!({"id": 1, "keypoints": ["red", "blue"], "skeleton": [[1, 2]]});
        let file = json!({"images": images, "annotations": annotations, "categories": [category]});
        fs::write(folder.join(format!("{name}.json")), file.to_string()).unwrap();
    }
    folder.display().to_string()
}

#[test]
fn people_are_evaluated_joint_by_joint_and_predicted_in_their_images() {
    let folder = tempfile::tempdir().unwrap();
    let dir = people(&folder.path().join("data"));
    let out = path(folder.path(), "run");
    let small = ["crop.height=32", "crop.width=32", "pose.height=32", "pose.width=32"];
    let small: Vec<&str> = small.iter().flat_map(|setting| ["--set", setting]).collect();
    let task = ["train", "--task", "pose", "--data-dir", &dir, "--epochs", "2", "--out", &out];
    let how = ["--batch-size", "6", "--algorithm", "sgd", "--set", "crop.enlarge=1.0", "--json"];
    let result = json_of(&run(&[&task[..], &how, &small, &["-q"]].concat()));
    assert_eq!(result["measure"], "PCK@0.2");

    let found = json_of(&run(&["evaluate", &out, "--json"]));
    assert_eq!(found["accuracy"], result["test_accuracy"]);
    let joints = found["joints"].as_array().unwrap();
    let names: Vec<&Value> = joints.iter().map(|joint| &joint["joint"]).collect();
    assert_eq!(names, ["red", "blue"]);
    let mean: f64 = joints.iter().map(|joint| number(&joint["pck"])).sum::<f64>() / 2.0;
    // Both joints are marked of everyone.
    assert!((mean - number(&found["accuracy"])).abs() < 1e-9, "{found}");
    assert!(found["classes"].is_null() && found["confusion"].is_null(), "{found}");
    assert!(found["scores"]["AP50"].is_f64(), "{found}");
    let words = text(&run(&["evaluate", &out]).stdout);
    assert!(words.contains("PCK@0.2 ") && !words.contains("accuracy"), "{words}");

    // In the coordinates of the image, which is larger than what the network sees of it.
    let large = folder.path().join("large.png");
    RgbImage::from_pixel(64, 64, Rgb([90; 3])).save(&large).unwrap();
    let small = path(Path::new(&dir), "images/val-0.png");
    let large = large.display().to_string();
    let predictions = json_of(&run(&["predict", &out, &small, &large, "--format", "json"]));
    let predictions = predictions.as_array().unwrap();
    for ((prediction, file), side) in predictions.iter().zip([&small, &large]).zip([32.0, 64.0]) {
        assert_eq!(prediction["input"], file.as_str());
        let joints = prediction["joints"].as_array().unwrap();
        assert_eq!((joints.len(), &joints[1]["joint"]), (2, &"blue".into()));
        for joint in joints {
            let inside = |x: &Value| (-1.0..=side + 1.0).contains(&number(x));
            assert!(inside(&joint["x"]) && inside(&joint["y"]), "{joint}");
        }
    }
    let table = text(&run(&["predict", &out, &small]).stdout);
    let head = table.lines().next();
    assert_eq!(head, Some("input,red x,red y,red score,blue x,blue y,blue score"));
    assert_eq!(table.lines().nth(1).unwrap().split(',').count(), 7);
    let error = lowland(&["predict", &out, &path(folder.path(), "gone.png")]);
    assert_eq!(error.status.code(), Some(2), "{}", text(&error.stderr));
}

/// Arguments of a short run on the embedded data.
fn embedded<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["train", "--train-limit", "120", "--test-limit", "60", "--epochs", "3", "-q"];
    [&all[..], &["--algorithm", "sgd", "--out", out], more].concat()
}

/// The metrics of a run without their seconds.
fn metrics(out: &str) -> Vec<Value> {
    let mut metrics = lines(out);
    for line in &mut metrics {
        line.as_object_mut().unwrap().remove("seconds");
    }
    metrics
}

#[test]
fn an_average_of_weights_is_resumed_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (path(folder.path(), "whole"), path(folder.path(), "cut"));
    let how = ["--ema", "0.9", "--batch-size", "16", "--checkpoint-steps", "5", "--keep", "9"];
    run(&embedded(&whole, &how));
    run(&embedded(&cut, &how));
    // In the middle of the second epoch: what came after is lost.
    let mut kept = 0;
    for entry in fs::read_dir(Path::new(&cut).join("checkpoints")).unwrap() {
        let checkpoint = entry.unwrap().path();
        let name = checkpoint.file_name().unwrap().display().to_string();
        match name.rsplit('-').next().unwrap().parse::<u64>().unwrap() {
            10 => kept += 1,
            step if step > 10 => fs::remove_dir_all(checkpoint).unwrap(),
            _ => {}
        }
    }
    assert_eq!(kept, 1);
    for name in ["model.bpk", "model.safetensors", "average.bpk"] {
        fs::remove_file(Path::new(&cut).join(name)).unwrap();
    }
    let early =
        |more: &[&str]| json_of(&run(&[&["evaluate", cut.as_str(), "--json"][..], more].concat()));
    let average = ["--checkpoint", "average"];
    let unfinished = early(&average);
    // Its sharpness is no figure of the run's end.
    let brief = ["--eigenvalues", "1", "--lanczos-steps", "2", "--trace-probes", "0"];
    let brief = [&brief[..], &["--ascent-steps", "0", "--directions", "0", "-q"]].concat();
    run(&[&["sharpness", &cut, "--images", "50"][..], &brief].concat());
    assert!(!Path::new(&cut).join("sharpness.json").exists());
    let output = run(&["resume", &cut]);
    assert!(text(&output.stderr).contains("resumes from step 10"), "{}", text(&output.stderr));
    assert_eq!(metrics(&cut), metrics(&whole));
    let weights = |out: &str| fs::read(Path::new(out).join("model.safetensors")).unwrap();
    assert_eq!(weights(&cut), weights(&whole));

    let evaluate = |out: &str, more: &[&str]| {
        json_of(&run(&[&["evaluate", out, "--json"][..], more].concat()))
    };
    let (resumed, straight) = (evaluate(&cut, &average), evaluate(&whole, &average));
    assert_eq!(resumed, straight);
    assert_ne!(unfinished, straight, "the average of step 10 is another");
    let last = lines(&whole).into_iter().rfind(|line| line["kind"] == "epoch").unwrap();
    let (loss, measured) = (number(&straight["loss"]), number(&last["average_loss"]));
    assert!((loss - measured).abs() < 1e-12, "{loss} and {measured}");
    assert_ne!(straight["loss"], evaluate(&whole, &["--checkpoint", "last"])["loss"]);
    let words = text(&run(&["evaluate", &whole, "--checkpoint", "average"]).stdout);
    assert!(words.contains("with the average of the weights"), "{words}");
}

#[test]
fn a_batch_larger_than_the_training_set_is_all_of_it_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [large, all, none] = ["large", "all", "none"].map(|name| path(folder.path(), name));
    let train = |out: &str, size: &str| {
        let flags = embedded(out, &["--batch-size", size]);
        run(&flags.into_iter().filter(|flag| *flag != "-q").collect::<Vec<_>>())
    };
    let said = text(&train(&large, "1000").stderr);
    let line = "a batch of 1000 is larger than the 120 images: each step takes all of them, as \
                --batch-size 120 does";
    assert!(said.contains(line), "{said}");
    let said = text(&train(&all, "120").stderr);
    assert!(!said.contains("is larger than"), "{said}");
    assert_eq!(metrics(&large), metrics(&all));
    let weights = |out: &str| fs::read(Path::new(out).join("model.safetensors")).unwrap();
    assert_eq!(weights(&large), weights(&all));
    let steps = metrics(&large).iter().filter(|line| line["kind"] == "step").count();
    assert_eq!(steps, 3, "one step in each epoch");

    let error = lowland(&embedded(&none, &["--batch-size", "1000", "--drop-last"]));
    let stderr = text(&error.stderr);
    assert_eq!(error.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("at most the number of samples with drop_last"), "{stderr}");
    assert!(!Path::new(&none).exists());
}
