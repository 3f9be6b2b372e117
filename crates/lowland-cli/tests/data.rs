//! `lowland data`: downloads from a server on loopback, how they fail and how they resume, and what
//! is printed about a set.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod common;
#[path = "../../lowland-fetch/tests/server/mod.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{lowland, path, read_json, run, text};
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use server::{Reply, Server};

/// The length of the first file of MNIST, and of its second.
const IMAGES: usize = 9_912_422;

fn fetch(folder: &str, mirror: &str) -> Output {
    lowland(&["data", "fetch", "mnist", "--data-dir", folder, "--mirror", mirror, "-q"])
}

/// The one line of a command that failed.
fn error(output: &Output, code: i32) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr.trim_end().to_owned()
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(folder).join("mnist")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn mistakes_are_reported_before_anything_is_requested() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    let output = lowland(&["data", "fetch", "imagenet", "--data-dir", &data]);
    let message = error(&output, 2);
    assert!(
        message.contains("'imagenet'")
            && message.contains("[possible values: cifar10, cifar100, fashion-mnist, mnist]"),
        "{message}"
    );
    assert_eq!(
        error(&fetch(&data, "example.org/mnist"), 2),
        "error: \"example.org/mnist\" is no address: expected one that begins with http:// or https://"
    );
    assert!(!Path::new(&data).exists());
    fs::write(&data, "a file").unwrap();
    let message = error(&fetch(&data, "http://127.0.0.1:9"), 2);
    assert!(message.ends_with("data is not a folder"), "{message}");
}

#[test]
fn a_server_without_the_file_or_with_another_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    let server = Server::start(|_| Reply::status("404 Not Found"));
    let name = format!("{}/train-images-idx3-ubyte.gz", server.address());
    let message = error(&fetch(&data, &server.address()), 1);
    assert_eq!(message, format!("error: {name} answered with 404 Not Found"));
    assert!(files(&data).is_empty());

    let server = Server::start(|_| Reply::whole(&vec![0; IMAGES]));
    let message = error(&fetch(&data, &server.address()), 1);
    let sum = "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609";
    assert!(message.contains(&format!("expected SHA-256 {sum}, found ")), "{message}");
    assert!(message.ends_with("they were removed"), "{message}");
    assert!(files(&data).is_empty());
}

#[test]
fn an_interrupted_download_says_how_to_resume_and_does() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    let server = Server::start(|request| match request.from {
        None => Reply::whole(&vec![0; IMAGES]).cut_after(1_000_000),
        Some(from) => Reply::rest(&vec![0; IMAGES], from).cut_after(0),
    });
    let expected = format!(
        "error: {}/train-images-idx3-ubyte.gz ended the connection after 1000000 of {IMAGES} bytes; 1.00 MB are kept, and the same command resumes the download",
        server.address()
    );
    for _ in 0..2 {
        assert_eq!(error(&fetch(&data, &server.address()), 1), expected);
        assert_eq!(files(&data), ["train-images-idx3-ubyte.gz.part"]);
    }
    let asked: Vec<_> = server.requests().iter().map(|request| request.from).collect();
    assert_eq!(asked, [None, Some(1_000_000), Some(1_000_000)]);
}

/// Without a terminal it says in lines what it does.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_download_at_once_and_keeps_what_came() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let data = path(folder.path(), "data");
        let server =
            Server::start(|_| Reply::whole(&vec![0; IMAGES]).cut_after(1_000_000).and_hang());
        let child = Command::new(assert_cmd::cargo::cargo_bin("lowland"))
            .args(["data", "fetch", "mnist", "--data-dir", &data, "--mirror", &server.address()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let part = Path::new(&data).join("mnist/train-images-idx3-ubyte.gz.part");
        while part.metadata().map_or(0, |found| found.len()) < 1_000_000 {
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let address = server.address();
        assert_eq!(
            text(&output.stderr),
            format!(
                "9.91 MB from {address}/train-images-idx3-ubyte.gz\nerror: interrupted; 1.00 MB are kept, and the same command resumes the download\n"
            )
        );
        assert_eq!(part.metadata().unwrap().len(), 1_000_000);
    }
}

/// A disk of its own that fills up.
#[cfg(unix)]
#[test]
fn a_full_disk_is_reported_and_what_came_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let disk = path(folder.path(), "disk");
    fs::create_dir(&disk).unwrap();
    let server = Server::start(|_| Reply::whole(&vec![0; IMAGES]));
    let program = assert_cmd::cargo::cargo_bin("lowland").display().to_string();
    let script = format!(
        "mount -t tmpfs -o size=2m none {disk}
         exec {program} data fetch mnist -q --data-dir {disk} --mirror {}",
        server.address()
    );
    let room = |script: &str| {
        Command::new("unshare").args(["--mount", "--map-root-user", "sh", "-euc", script]).output()
    };
    if !room("mount -t tmpfs none /mnt").is_ok_and(|output| output.status.success()) {
        eprintln!("not run: this system gives no private mounts");
        return;
    }
    let message = error(&room(&script).unwrap(), 1);
    assert!(
        message.starts_with("error: cannot write ") && message.contains("No space left"),
        "{message}"
    );
    assert!(
        message.ends_with(" MB are kept, and the same command resumes the download"),
        "{message}"
    );
}

#[test]
fn what_a_set_holds_is_printed_as_a_table_and_as_json() {
    let table = text(&run(&["data", "check", "embedded"]).stdout);
    for part in ["2,500", "28x28", "Ankle boot", "0.2", "SHA-256:"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let json = text(&run(&["data", "check", "embedded", "--json"]).stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["train"]["samples"], 2500);
    assert_eq!(json["test"]["classes"][9]["samples"], 200);
    assert!(json["as_published"].is_null(), "a part of a set has no published figures");
    let channel = &json["train"]["channels"][0];
    let ratio = channel["mean_of_bytes"].as_f64().unwrap() / channel["mean"].as_f64().unwrap();
    assert!((ratio - 255.0).abs() < 1e-9);
}

#[test]
fn a_set_with_other_figures_than_the_published_ones_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mnist");
    fs::create_dir(&place).unwrap();
    for part in ["train", "t10k"] {
        let images =
            [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[0, 255, 0, 255]].concat();
        fs::write(place.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 3, 4];
        fs::write(place.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
    // The folder around it, as `fetch` writes it, and the folder itself.
    for data in [folder.path(), &place] {
        let data = data.display().to_string();
        let output = lowland(&["data", "check", "mnist", "--data-dir", &data]);
        assert!(text(&output.stdout).contains("2x1"), "{}", text(&output.stdout));
        assert_eq!(
            error(&output, 1),
            "error: mnist is not as it was published: 2 training images instead of 60000; 2 test images instead of \
             10000; a mean of 0.5000 in channel 0 instead of 0.1307; a deviation of 0.5000 in channel 0 instead of 0.3081"
        );
        let output = lowland(&["data", "check", "mnist", "--data-dir", &data, "--json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &json["as_published"]), (Some(1), &Value::Bool(false)));
        assert_eq!(json["differences"].as_array().unwrap().len(), 4);
    }
    let absent = path(folder.path(), "absent");
    let message = error(&lowland(&["data", "check", "cifar10", "--data-dir", &absent]), 2);
    assert!(message.contains("absent: expected a folder with data_batch_1.bin"), "{message}");
}

#[test]
fn a_folder_for_embedded_data_is_refused_wherever_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| path(folder.path(), name);
    let small =
        ["--train-limit", "20", "--test-limit", "20", "--epochs", "1", "--batch-size", "10"];
    let [config, other, out, compared] = ["a.toml", "b.toml", "run", "compared"].map(at);
    fs::write(&config, "data.dir = \"x\"\n").unwrap();
    let refused = "data_dir must be left out with the embedded data, which needs no folder";
    let train = ["train", "--config", &config, "--out", &out];
    assert!(error(&lowland(&[&train[..], &small].concat()), 2).contains(refused));
    let check = error(&lowland(&["data", "check", "embedded", "--data-dir", "x"]), 2);
    let way = "for images of your own: lowland data check image-folder --data-dir x";
    assert!(check.contains("--data-dir must be left out with embedded") && check.contains(way));

    // The folder of another set that a file names goes with that set.
    fs::write(&other, "data = { name = \"image-folder\", dir = \"x\" }\n").unwrap();
    let train = ["train", "--config", &other, "--data", "embedded", "--out", &out];
    let share = ["--validation", "0.99"];
    let stderr = text(&run(&[&train[..], &small, &share].concat()).stderr);
    let line = "data: validation takes 10 of the 20 training samples (50 %), where a share of 0.99 \
                is 20: each class keeps at least one to learn from";
    assert!(stderr.lines().any(|found| found == line), "{stderr}");
    let resume = error(&lowland(&["resume", &out, "--data-dir", "x"]), 2);
    assert!(resume.contains("learned the embedded data, which is in no folder"), "{resume}");

    let compare = ["compare", "--out", &compared, "--algorithms", "sgd", "--seeds", "1", "-q"];
    run(&[&compare[..], &small, &["--no-sharpness"]].concat());
    let resume = error(&lowland(&["resume", &compared, "--data-dir", "x"]), 2);
    assert!(resume.contains(refused), "{resume}");
    run(&["resume", &compared, "-q"]);
}

#[test]
fn an_image_folder_is_checked_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 12_u8), ("val", 4)] {
        for class in ["dark", "light"] {
            let place = folder.path().join(part).join(class);
            fs::create_dir_all(&place).unwrap();
            for i in 0..count {
                let grey = if class == "dark" { i } else { 255 - i };
                let image = RgbImage::from_pixel(20 + u32::from(i), 18, Rgb([grey; 3]));
                image.save(place.join(format!("{i}.png"))).unwrap();
            }
        }
    }
    let data = folder.path().display().to_string();
    let check = ["data", "check", "image-folder", "--data-dir", &data];
    let message = error(&lowland(&check), 2);
    assert!(message.contains("train/dark/1.png: expected 20x18 pixels, as the first"), "{message}");
    let sized = [&check[..], &["--image-size", "16", "--json"]].concat();
    let json: Value = serde_json::from_slice(&run(&sized).stdout).unwrap();
    assert_eq!((&json["train"]["samples"], &json["train"]["height"]), (&24.into(), &16.into()));

    let out = path(folder.path(), "run");
    let train = ["train", "--data", "image-folder", "--data-dir", &data, "--image-size", "16"];
    let rest = ["--epochs", "2", "--batch-size", "8", "--lr", "0.01", "-q", "--out", &out];
    run(&[&train[..], &rest].concat());
    let config = fs::read_to_string(Path::new(&out).join("config.toml")).unwrap();
    assert!(config.contains("image_size = 16"), "{config}");
    let message =
        error(&lowland(&["train", "--image-size", "16", "--out", &path(folder.path(), "x")]), 2);
    assert!(
        message.contains("image_size must be left out unless the data is an image-folder"),
        "{message}"
    );
}

#[test]
fn repeated_shared_and_transparent_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, grey: u8, alpha: u8| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbaImage::from_pixel(4, 4, Rgba([grey, grey, grey, alpha])).save(path).unwrap();
    };
    put("train/cat/a.png", 9, 255);
    put("train/dog/a.png", 9, 255);
    put("train/dog/b.png", 7, 0);
    put("test/cat/x.png", 9, 255);
    let data = folder.path().display().to_string();
    let check = ["data", "check", "image-folder", "--data-dir", &data, "--json"];
    let json: Value = serde_json::from_slice(&run(&check).stdout).unwrap();
    assert_eq!(
        json["odd"],
        json!([
            "1 training sample comes with more than one label: train/dog/a.png (as \
             train/cat/a.png)",
            "1 training sample repeats another of the same part: train/dog/a.png (as \
             train/cat/a.png)",
            "no test sample of dog",
            "1 test sample is in the training part too: test/cat/x.png (as train/cat/a.png)",
        ])
    );
    assert_eq!(
        json["remarks"][0],
        "1 image has transparent pixels and was laid over white: train/dog/b.png"
    );
}

#[test]
fn texts_and_people_are_checked_too_and_what_is_odd_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    fs::write(folder.path().join("train.csv"), "text,label\ngood,a\nbad,b\ngood,b\n,c\n").unwrap();
    fs::write(folder.path().join("test.tsv"), "text\tlabel\nbad\tb\nfine\ta\n").unwrap();
    fs::write(folder.path().join("notes.md"), "x").unwrap();
    fs::create_dir(folder.path().join("old")).unwrap();
    let check = ["data", "check", "text", "--data-dir", &data];
    let table = text(&run(&check).stdout);
    for line in [
        "  the columns taken are \"text\", \"label\"",
        "  left out 1 file that is not used: notes.md",
        "  left out 1 folder that is not used: old",
        "  1 training sample comes with more than one label",
        "  no test sample of c",
        "  1 test sample is in the training part too",
        "  1 training sample without a text",
    ] {
        assert!(table.lines().any(|found| found == line), "{line} in {table}");
    }
    let json = text(&run(&[&check[..], &["--json"]].concat()).stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["train"]["samples"], &json["test"]["classes"][1]["samples"]),
        (&4.into(), &1.into())
    );
    let message = error(&lowland(&[&check[..], &["--label-column", "stars"]].concat()), 2);
    assert!(message.contains("columns named"), "{message}");

    let people = folder.path().join("people");
    fs::create_dir(&people).unwrap();
    RgbImage::from_pixel(20, 20, Rgb([9; 3])).save(people.join("a.png")).unwrap();
    let file = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 20}],
        "categories": [{"id": 1, "keypoints": ["head", "neck"], "skeleton": [[1, 2]]}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [2, 2, 30, 10], "keypoints": [5, 5, 2, 0, 0, 0]}]}"#;
    for name in ["train.json", "val.json"] {
        fs::write(people.join(name), file).unwrap();
    }
    let data = people.display().to_string();
    let table = text(&run(&["data", "check", "pose", "--data-dir", &data]).stdout);
    let twice = "1 test sample is in the training part too: image 1 (as image 1)";
    let cut = "training part: 1 box cut at the edge";
    for part in ["head", cut, "no training person shows neck", twice] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn many_classes_are_counted_and_headers_read_as_texts_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let rows: Vec<String> = (0..21).map(|i| format!("good {i}\tclass {i}\n")).collect();
    let rows = rows.concat();
    for name in ["train.tsv", "test.tsv"] {
        fs::write(folder.path().join(name), format!("text\tlabel\n{rows}")).unwrap();
    }
    let check = ["data", "check", "text", "--data-dir", &data];
    let words = |arguments: &[&str]| {
        let printed = text(&run(arguments).stdout);
        printed.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let note = "The texts of each of the 21 classes are left out here; --json lists them.";
    assert!(words(&check).contains(note), "{}", words(&check));
    let numbers = [&check[..], &["--text-column", "1", "--label-column", "2"]].concat();
    let odd = "Unusual: line 1 of train.tsv is read as a text and looks like the names of columns";
    assert!(words(&numbers).contains(odd), "{}", words(&numbers));
}

/// Twelve images to learn from and six to test on, dark ones and light ones.
fn dark_and_light(folder: &Path) {
    for (part, count) in [("train", 6_u8), ("test", 3)] {
        for (class, grey) in [("dark", 10), ("light", 240)] {
            let place = folder.join(part).join(class);
            fs::create_dir_all(&place).unwrap();
            for i in 0..count {
                RgbImage::from_pixel(16, 16, Rgb([grey + i; 3]))
                    .save(place.join(format!("{i}.png")))
                    .unwrap();
            }
        }
    }
}

/// A run knows its data again: where it changed, this is said, and where its classes did, nothing is
/// given the name of another.
#[test]
fn data_that_changed_under_a_run_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    dark_and_light(Path::new(&data));
    fs::write(Path::new(&data).join("train/dark/readme.txt"), "x").unwrap();
    let out = path(folder.path(), "run");
    let train = ["train", "--data", "image-folder", "--data-dir", &data, "--epochs", "1"];
    // Without progress, and still with what was left out; the result in JSON has it too.
    let output = run(&[&train[..], &["--out", &out, "-q", "--json"]].concat());
    let left_out = "data: left out 1 file (.txt) not read as images: train/dark/readme.txt";
    assert_eq!(text(&output.stderr).trim_end(), left_out);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["notes"], json!([left_out]));
    assert!(fs::read_to_string(Path::new(&out).join("facts.json")).unwrap().contains("readme.txt"));
    let same = run(&["evaluate", &out, "--json"]);
    let image = path(Path::new(&data), "test/light/0.png");
    let predicted = run(&["predict", &out, &image]).stdout;
    run(&["sharpness", &out, "-q"]);
    assert_eq!(text(&same.stderr), "");
    assert!(!text(&same.stdout).contains("data_differences"));

    // Another test image.
    let image = Path::new(&data).join("test/dark/0.png");
    RgbImage::from_pixel(16, 16, Rgb([77; 3])).save(&image).unwrap();
    let other = run(&["evaluate", &out, "--json"]);
    let difference = "as many test samples as then (6), but not the same ones";
    let words = |bytes: &[u8]| text(bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    let warning = words(&other.stderr);
    assert!(warning.contains("the data is not that which") && warning.contains(difference));
    let found: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(found["data_differences"], json!([difference]));
    fs::remove_file(&image).unwrap();
    let resumed = words(&lowland(&["resume", &out, "-q"]).stderr);
    for part in ["6 test samples then, 5 now; put it back, or name the folder", "train --from"] {
        assert!(resumed.contains(part), "{resumed}");
    }

    // The data is elsewhere: what looks at a run takes its new place, and a report needs none.
    let moved = path(folder.path(), "moved");
    fs::rename(&data, &moved).unwrap();
    run(&["report", &out]);
    let input = path(Path::new(&moved), "train/light/0.png");
    for command in [&["predict", &out, &input][..], &["evaluate", &out], &["sharpness", &out, "-q"]]
    {
        let missing = error(&lowland(command), 2);
        assert!(missing.contains("name another folder with --data-dir"), "{missing}");
        run(&[command, &["--data-dir", &moved]].concat());
    }

    // Brighter images to learn from: pixels are normalised as they were in training, and what is
    // measured on other data does not take the place of the run's.
    let sharpness = fs::read(Path::new(&out).join("sharpness.json")).unwrap();
    for class in ["dark", "light"] {
        let image = Path::new(&moved).join("train").join(class).join("0.png");
        RgbImage::from_pixel(16, 16, Rgb([255; 3])).save(&image).unwrap();
    }
    let image = path(Path::new(&moved), "test/light/0.png");
    let again = run(&["predict", &out, &image, "--data-dir", &moved]);
    assert_eq!(text(&again.stdout).replace(&moved, &data), text(&predicted));
    let measured = run(&["sharpness", &out, "-q", "--data-dir", &moved]);
    assert!(words(&measured.stdout).contains("sharpness.json is left as it is"));
    let landscape = path(folder.path(), "landscape");
    let few = ["--points", "2", "--extent", "0.1", "-q", "--out", &landscape];
    run(&[&["landscape", &out, "--data-dir", &moved][..], &few].concat());
    let found = read_json(&Path::new(&landscape).join("landscape.json"));
    assert!(!found["data_differences"].as_array().unwrap().is_empty());
    let page = fs::read_to_string(Path::new(&landscape).join("landscape.html")).unwrap();
    assert!(page.contains("Other data than in training"));
    assert_eq!(fs::read(Path::new(&out).join("sharpness.json")).unwrap(), sharpness);

    // A damaged image is left out where that is asked for.
    fs::write(Path::new(&moved).join("test/dark/1.png"), "x").unwrap();
    let damaged = error(&lowland(&["evaluate", &out, "--data-dir", &moved]), 2);
    assert!(damaged.contains("--skip-damaged"), "{damaged}");
    run(&["evaluate", &out, "--data-dir", &moved, "--skip-damaged"]);
    fs::remove_file(Path::new(&moved).join("test/dark/1.png")).unwrap();

    // A class more: labels would mean something else.
    let grey = Path::new(&moved).join("train/grey");
    fs::create_dir(&grey).unwrap();
    RgbImage::from_pixel(16, 16, Rgb([128; 3])).save(grey.join("0.png")).unwrap();
    for command in [&["predict", &out, &input][..], &["evaluate", &out], &["landscape", &out]] {
        let refused = error(&lowland(&[command, &["--data-dir", &moved]].concat()), 2);
        let expected = format!(
            "the classes of the data are not those that {out} learned: 2 then, 3 now, with grey; name a \
             folder that has them with --data-dir"
        );
        assert!(refused.contains(&expected), "{refused}");
    }
    // A run that has no checkpoint yet does not begin again on it.
    fs::remove_dir_all(Path::new(&out).join("checkpoints")).unwrap();
    let resumed = words(&lowland(&["resume", &out, "-q", "--data-dir", &moved]).stderr);
    assert!(resumed.contains("2 then, 3 now, with grey"), "{resumed}");
}

/// Images of another size are refused, and not measured as if they were those of then.
#[test]
fn images_of_another_size_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    dark_and_light(Path::new(&data));
    let out = path(folder.path(), "run");
    let train = ["train", "--data", "image-folder", "--data-dir", &data, "--epochs", "1"];
    run(&[&train[..], &["--out", &out, "-q"]].concat());
    for place in ["train", "test"].map(|part| Path::new(&data).join(part)) {
        for image in ["dark", "light"].iter().flat_map(|class| {
            fs::read_dir(place.join(class)).unwrap().map(|entry| entry.unwrap().path())
        }) {
            RgbImage::from_pixel(20, 18, Rgb([9; 3])).save(&image).unwrap();
        }
    }
    let refused = error(&lowland(&["evaluate", &out]), 2);
    assert!(refused.contains("16x16 pixels, 3 channels then, 20x18 pixels"), "{refused}");
}

/// Nothing is added to a comparison on other data than it was begun with.
#[test]
fn a_comparison_stays_on_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let [data, other, copy] = ["data", "other", "copy"].map(|name| path(folder.path(), name));
    for place in [&data, &other, &copy] {
        dark_and_light(Path::new(place));
    }
    fs::remove_file(Path::new(&other).join("test/dark/0.png")).unwrap();
    let out = path(folder.path(), "out");
    let compare = |dir: &str, more: &[&str]| {
        let set = ["compare", "--out", &out, "--data", "image-folder", "--data-dir", dir, "-q"];
        let less = ["--epochs", "1", "--no-sharpness", "--batch-size", "8"];
        lowland(&[&set[..], &less, more].concat())
    };
    assert!(compare(&data, &["--algorithms", "sgd", "--seeds", "1"]).status.success());
    let refusal = "6 test samples then, 5 now; put it back, or begin a new comparison";
    for more in [["--algorithms", "sgd,sam"], ["--seeds", "2"]] {
        let refused = error(&compare(&other, &more), 2);
        assert!(refused.contains(refusal), "{refused}");
    }
    let added = compare(&copy, &["--algorithms", "sgd,sam"]);
    assert!(added.status.success(), "{}", text(&added.stderr));
}

#[test]
fn what_was_left_out_and_drawn_is_said_when_a_run_begins() {
    let folder = tempfile::tempdir().unwrap();
    dark_and_light(folder.path());
    fs::write(folder.path().join("train/dark/bad.png"), "x").unwrap();
    fs::write(folder.path().join("train/dark/readme.txt"), "x").unwrap();
    let (data, out) = (folder.path().display().to_string(), path(folder.path(), "run"));
    let train =
        ["train", "--data", "image-folder", "--data-dir", &data, "--epochs", "1", "--out", &out];
    let stderr = error(&lowland(&train), 2);
    assert!(
        stderr.contains("train/dark/bad.png: expected an image")
            && stderr.contains("--skip-damaged"),
        "{stderr}"
    );
    let more = ["--skip-damaged", "--train-limit", "4", "--test-limit", "2", "--batch-size", "2"];
    let stderr = text(&run(&[&train[..], &more].concat()).stderr);
    for line in [
        "data: left out 1 file (.txt) not read as images: train/dark/readme.txt",
        "data: left out 1 damaged file: train/dark/bad.png",
        "data: 4 of 12 training images, drawn over both classes with seed 0",
        "data: 2 of 6 test images, drawn over both classes with seed 0",
    ] {
        assert!(stderr.lines().any(|found| found == line), "{line} in {stderr}");
    }

    // The data moves, and the run resumes with it where it lies then.
    let moved = path(folder.path(), "moved");
    fs::create_dir(&moved).unwrap();
    for part in ["train", "test"] {
        fs::rename(folder.path().join(part), Path::new(&moved).join(part)).unwrap();
    }
    let stderr = error(&lowland(&["resume", &out, "-q"]), 2);
    let way = format!("{moved} has train: name that folder (--data-dir {moved})");
    assert!(stderr.contains(&way), "{stderr}");
    run(&["resume", &out, "-q", "--data-dir", &moved]);
    let config = fs::read_to_string(Path::new(&out).join("config.toml")).unwrap();
    assert!(config.contains(&format!("dir = \"{moved}\"")), "{config}");

    // So does the data of a comparison, with that of its runs.
    let compared = path(folder.path(), "compared");
    let data = ["--data", "image-folder", "--data-dir", &moved, "--algorithms", "sgd"];
    let compare = ["compare", "--out", &compared, "--epochs", "1", "--seeds", "2", "-q"];
    run(&[&compare[..], &data, &["--no-sharpness"], &more].concat());
    let runs = Path::new(&compared).join("runs");
    fs::remove_dir_all(runs.join("sgd-seed-1")).unwrap();
    let again = path(folder.path(), "again");
    fs::rename(&moved, &again).unwrap();
    let resume = ["resume", &compared, "-q"];
    assert!(error(&lowland(&resume), 2).contains("name another folder with --data-dir"));
    run(&[&resume[..], &["--data-dir", &again]].concat());
    for seed in ["sgd-seed-0", "sgd-seed-1"] {
        run(&["evaluate", &runs.join(seed).display().to_string()]);
    }
}
