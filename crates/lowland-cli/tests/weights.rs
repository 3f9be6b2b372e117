//! Weights in and out by the command: a run's weights for others, and others' weights for a run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{lowland, path, run, text};
use serde_json::Value;

/// Pictures of 8 by 8 pixels, six of each of so many colours, in `train` and `test`.
fn pictures(folder: &Path, classes: usize) -> String {
    for part in ["train", "test"] {
        for class in 0..classes {
            let path = folder.join(part).join(format!("colour{class}"));
            fs::create_dir_all(&path).unwrap();
            for i in 0..6 {
                let mut colour = [20 + i; 3];
                colour[class] = 200 + i;
                let picture = image::RgbImage::from_pixel(8, 8, image::Rgb(colour));
                picture.save(path.join(format!("{i}.png"))).unwrap();
            }
        }
    }
    folder.display().to_string()
}

/// Arguments of a training run of one epoch.
fn training<'a>(out: &'a str, data: &'a str, dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["train", "--out", out, "--data", data, "--data-dir", dir, "--epochs", "1"];
    [&all[..], &["--algorithm", "sgd", "--lr", "0.001", "--batch-size", "6"], more].concat()
}

/// The metadata of a run's file for PyTorch.
fn metadata(run: &str) -> Value {
    let file = fs::read(Path::new(run).join("model.safetensors")).unwrap();
    let length = usize::try_from(u64::from_le_bytes(*file.first_chunk().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    header["__metadata__"].clone()
}

#[test]
fn a_run_starts_from_another_with_a_new_last_layer() {
    let folder = tempfile::tempdir().unwrap();
    let (two, three) =
        (pictures(&folder.path().join("two"), 2), pictures(&folder.path().join("three"), 3));
    let first = path(folder.path(), "first");
    run(&training(&first, "image-folder", &two, &["--model", "resnet20", "-q"]));
    let about = metadata(&first);
    assert_eq!((&about["format"], &about["model"]), (&"pt".into(), &"resnet20".into()));
    assert_eq!(about["classes"], r#"["colour0","colour1"]"#);
    assert_eq!(about["image_shape"], "[3,8,8]");

    let portable = path(Path::new(&first), "model.safetensors");
    for from in [&first, &portable] {
        let out = path(folder.path(), "refused");
        let start = ["--model", "resnet20", "--from", from];
        let output = lowland(&training(&out, "image-folder", &three, &start));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("--new-head (new_head = true) draws that layer anew"), "{error}");
        assert!(!Path::new(&out).exists());
    }
    let second = path(folder.path(), "second");
    let start = ["--model", "resnet20", "--from", &portable, "--new-head"];
    let output = run(&training(&second, "image-folder", &three, &start));
    let stderr = text(&output.stderr);
    let note = format!("weights: those of {portable} at the start; its last layer is drawn anew");
    assert!(stderr.contains(&note), "{stderr}");
    let settings = fs::read_to_string(Path::new(&second).join("config.toml")).unwrap();
    assert!(settings.contains("new_head = true"), "{settings}");
    run(&["evaluate", &second]);
    // Nothing is drawn anew to be looked at.
    let misfit = text(&lowland(&["evaluate", &second, "--weights", &portable]).stderr);
    assert!(misfit.contains("its last layer is for another number of classes"), "{misfit}");
    assert!(!misfit.contains("--new-head"), "{misfit}");

    let other = path(folder.path(), "other");
    let output = lowland(&training(&other, "image-folder", &two, &["--new-head"]));
    let error = text(&output.stderr);
    assert!(error.contains("new_head must be left out without weights"), "{error}");
}

#[test]
fn networks_of_imagenet_are_fed_as_published_weights_want_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = pictures(&folder.path().join("data"), 2);
    let train = |name: &str, more: &[&str]| {
        let out = path(folder.path(), name);
        let output = run(&training(&out, "image-folder", &data, more));
        (metadata(&out), text(&output.stderr))
    };
    let network = ["--model", "resnet18-imagenet", "--train-limit", "6", "--test-limit", "2"];
    let (about, stderr) = train("default", &network);
    assert!(stderr.contains("pixels are normalised with the means and deviations of ImageNet"));
    assert_eq!(about["image_mean"], "[0.485,0.456,0.406]");
    assert_eq!(about["image_std"], "[0.229,0.224,0.225]");
    let (about, stderr) = train("small", &["--normalisation", "imagenet"]);
    assert!(stderr.contains("(--normalisation measured takes"), "{stderr}");
    assert_eq!(about["image_mean"], "[0.485,0.456,0.406]");
    let (about, stderr) = train("measured", &["--normalisation", "measured"]);
    assert!(
        !stderr.contains("ImageNet") && about["image_mean"] != "[0.485,0.456,0.406]",
        "{stderr}"
    );

    let out = path(folder.path(), "grey");
    let output = lowland(&["train", "--out", &out, "--normalisation", "imagenet"]);
    let error = text(&output.stderr);
    assert!(error.contains("imagenet for images of 1 channels"), "{error}");
    let output = lowland(&["train", "--out", &out, "--model", "resnet50"]);
    assert!(text(&output.stderr).contains("did you mean \"resnet50-imagenet\"?"));
}

/// Sentences that are easy to classify, and the folder of a tiny transformer.
fn sentences(folder: &Path) -> (String, PathBuf) {
    fs::create_dir_all(folder).unwrap();
    let row = |i: usize| if i.is_multiple_of(2) { "a good film\t1\n" } else { "a bad film\t0\n" };
    for (name, count) in [("train.tsv", 12), ("dev.tsv", 4), ("test.tsv", 4)] {
        let rows: String = (0..count).map(row).collect();
        fs::write(folder.join(name), format!("sentence\tlabel\n{rows}")).unwrap();
    }
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lowland-tasks/tests/tiny-bert");
    (folder.display().to_string(), model)
}

#[test]
fn the_folder_of_a_fine_tuned_run_is_that_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let (data, tiny) = sentences(&folder.path().join("data"));
    let from = tiny.display().to_string();
    let first = path(folder.path(), "first");
    let task = ["--task", "fine-tune", "--set", "text.max_length=12", "--from"];
    let output = run(&training(&first, "sst2", &data, &[&task[..], &[&from]].concat()));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("the last layer is drawn anew: the weights have none of Lowland's"));

    let config = fs::read(Path::new(&first).join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["hidden_size"], &config["model_type"]), (&16.into(), &"bert".into()));
    assert_eq!(config["id2label"].as_object().unwrap().len(), 2);
    assert!(Path::new(&first).join("tokenizer.json").is_file());

    let second = path(folder.path(), "second");
    let output = run(&training(&second, "sst2", &data, &[&task[..], &[&first]].concat()));
    let stderr = text(&output.stderr);
    assert!(!stderr.contains("drawn anew"), "{stderr}");
    let evaluated = run(&["evaluate", &second, "--json"]);
    assert!(serde_json::from_slice::<Value>(&evaluated.stdout).unwrap()["accuracy"].is_f64());

    // A folder of a model is not written to.
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::copy(tiny.join("config.json"), model.join("config.json")).unwrap();
    let model = model.display().to_string();
    let output = lowland(&training(&model, "sst2", &data, &[&task[..], &[&from]].concat()));
    let error = text(&output.stderr);
    assert!(error.contains("holds a model: name another --out"), "{error}");
}
