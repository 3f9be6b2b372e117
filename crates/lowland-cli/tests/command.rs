//! The command as a person meets it: what it prints, what it writes, how it ends. In one file,
//! since most cases are a line of two tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Tensor};
use common::{lines, lowland, path, run, short, text};
use lowland::{Algorithm, Descriptor};
use lowland_tasks::models::{Model, ModelName};
use serde_json::Value;

/// The network of a run without flags, with weights of its own.
fn model() -> Model {
    ModelName::SmallCnn.init(10, 1, 99, &Device::flex()).unwrap()
}

/// The bytes of all tensors by their paths, running statistics included.
fn tensors(model: &Model) -> BTreeMap<String, Vec<u8>> {
    #[derive(Default)]
    struct Tensors(Vec<String>, BTreeMap<String, Vec<u8>>);
    impl ModuleVisitor for Tensors {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let bytes = param.val().into_data().as_bytes().to_vec();
            self.1.insert(self.0.join("."), bytes);
        }
    }
    let mut found = Tensors::default();
    model.visit(&mut found);
    found.1
}

#[test]
fn a_run_writes_what_repeats_it_and_the_repetition_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (path(folder.path(), "first"), path(folder.path(), "second"));
    let algorithm = "arsam:controller.warmup.steps=3:rho=0.1";
    let flags = ["--algorithm", algorithm, "--seed", "3", "--label-noise", "0.2", "--lr", "0.1"];
    let output = run(&short(&first, &[&flags[..], &["--augment", "crop-flip-cutout"]].concat()));
    assert!(text(&output.stdout).starts_with("ARSAM: test accuracy "), "{}", text(&output.stdout));

    let config = path(Path::new(&first), "config.toml");
    run(&["train", "--config", &config, "--out", &second, "-q", "--workers", "2"]);
    let bytes = |run: &str, name: &str| std::fs::read(Path::new(run).join(name)).unwrap();
    assert_eq!(bytes(&first, "model.safetensors"), bytes(&second, "model.safetensors"));
    // Burn's record holds parameter ids, which are drawn anew in every process: what is the same is
    // all tensors, which are those of the other file too.
    let portable = Path::new(&first).join("model.safetensors");
    let portable = tensors(&model().with_weights(&portable, false).unwrap());
    let fresh = tensors(&model());
    for run in [&first, &second] {
        let record = Bytes::from_bytes_vec(bytes(run, "model.bpk"));
        let record = ModuleRecord::from_bytes(record).unwrap();
        let found = tensors(&model().try_load_record(record).unwrap());
        assert_eq!(found, portable);
        let trained = |path: &&String| found[*path] != fresh[*path];
        assert_eq!(found.keys().filter(trained).count(), found.len(), "all have moved");
    }
    let kept = |line: &Value| {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("seconds");
        line
    };
    let (a, b) = (lines(&first), lines(&second));
    assert_eq!(a.iter().map(kept).collect::<Vec<_>>(), b.iter().map(kept).collect::<Vec<_>>());

    let steps: Vec<_> = a.iter().filter(|line| line["kind"] == "step").collect();
    assert_eq!(steps.len(), 2 * 4, "200 images in batches of 64, two epochs");
    assert_eq!(steps.iter().filter(|step| step["second_gradient"] == true).count(), 3);
    assert_eq!(a.iter().filter(|line| line["kind"] == "epoch").count(), 2);
    assert!(steps[0]["cosine"].as_f64().unwrap() > 0.5);
    assert!(steps[7]["cosine"].is_null());
}

#[test]
fn another_run_in_the_folder_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    run(&short(&out, &[]));
    let weights = std::fs::read(Path::new(&out).join("model.safetensors")).unwrap();
    let output = lowland(&short(&out, &["--seed", "9"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("holds a run already"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(Path::new(&out).join("model.safetensors")).unwrap(), weights);
}

#[test]
fn a_run_without_a_finite_step_fails() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let output = lowland(&short(&out, &["--rho", "1e300"]));
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: training failed: 8 of 8 steps"), "{stderr}");
    assert!(!Path::new(&out).join("model.bpk").exists());
}

/// Found out before anything is trained.
#[test]
fn a_folder_that_cannot_be_written_to_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::fs::create_dir_all(folder.path().join("taken/report.html")).unwrap();
    let beneath_a_file = path(folder.path(), "file/sub");
    let long = path(folder.path(), &"x".repeat(300));
    let taken = path(folder.path(), "taken");
    for out in [&beneath_a_file, &long, &taken] {
        let output = lowland(&["compare", "--epochs", "1", "--train-limit", "50", "--out", out]);
        assert_eq!(output.status.code(), Some(2), "{out}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1, "{out}");
    }
    assert!(!folder.path().join("taken/summary.json").exists());
    let output = lowland(&short(&beneath_a_file, &[]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
}

/// One line on standard error, exit code 2, no folder made.
#[test]
#[allow(clippy::too_many_lines, reason = "a mistake a line")]
fn mistakes_are_one_line_exit_2_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let broken = folder.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("data_batch_1.bin"), vec![0; 5000]).unwrap();
    let (broken, absent) = (broken.display().to_string(), path(folder.path(), "absent"));
    let names: Vec<&str> = Algorithm::ALL.iter().map(|descriptor| descriptor.name).collect();
    let unknown = format!(
        "error: unknown algorithm \"nosam\", expected one of: sgd (the base optimizer alone), {}; did \
         you mean \"sam\"?",
        names.join(", ")
    );
    let cases: &[(&[&str], &str)] = &[
        (&["--rho", "-1"], "error: rho must be finite and at least 0, found -1"),
        (&["--bits", "1"], "error: --bits 1: quantise.weights must be between 2 and 8, found 1"),
        (
            &["--checkpoint-minutes", "0"],
            "error: --checkpoint-minutes 0: every_minutes must be finite and above 0, found 0",
        ),
        (&["--algorithm", "sgd", "--rho", "1"], "error: SGD has no radius: leave --rho out"),
        (&["--algorithm", "nosam"], &unknown),
        (
            &["--algorithm", "sam:rhoo=1"],
            "error: algorithm: unknown setting `rhoo`, expected `rho`; did you mean \"rho\"?",
        ),
        (
            &["--epochs", "-1"],
            "error: invalid value '-1' for '--epochs <N>': must be a whole number, at least 1 (see lowland \
             train --help)",
        ),
        (
            &["--set", "batch_size=2", "--batch-size", "3"],
            "error: --batch-size 3 and --set batch_size=2 give batch_size different values: leave one of them out",
        ),
        (
            &["--algorithm", "arsam:budget=1.2", "--budget", "1.5"],
            "error: --algorithm arsam:budget=1.2 and --budget 1.5 give budget different values: leave one of them \
             out",
        ),
        (
            &["--algorithm", "sam:rho=0.1", "--rho", "0.3"],
            "error: --algorithm sam:rho=0.1 and --rho 0.3 give algorithm.rho different values: leave one of them out",
        ),
        (
            &["--ascent-scope", "nobody"],
            "error: invalid value 'nobody' for '--ascent-scope <SCOPE>': ascent_scope must be global, local, micro-batch or a number \
             of workers above 0, found nobody (see lowland train --help)",
        ),
        (&["--device", "cpu:5"], "error: device \"cpu:5\" takes no number: there is one cpu"),
        (&["--set", "=1"], "error: --set \"=1\" must look like KEY=VALUE"),
        (
            &["--algorithm", "arsam:controller.window=9223372036854775807"],
            "error: window must be at most 10000 steps, found 9223372036854775807",
        ),
        (&["--epochs", "0"], "error: epochs must be between 1 and 100000, found 0"),
        (
            &["--epochs", "many"],
            "error: invalid value 'many' for '--epochs <N>': must be a whole number, at least 1 (see lowland \
             train --help)",
        ),
        (
            &["--validation", "abc"],
            "error: invalid value 'abc' for '--validation <SHARE>': must be a number (see lowland train --help)",
        ),
        (
            &["--workers", "-1"],
            "error: invalid value '-1' for '--workers <N>': must be a whole number, at least 0 (see lowland \
             train --help)",
        ),
        (
            &["--batch-size", "99999999999"],
            "error: invalid value '99999999999' for '--batch-size <N>': is too large (see lowland train --help)",
        ),
        (
            &["--class-weights=1,1e39"],
            "error: invalid value '1,1e39' for '--class-weights <WEIGHTS>': class_weights must be numbers from 0 \
             to 3.4e38, found 1e39 in place 2 of 2 (see lowland train --help)",
        ),
        (
            &["--data-dir", "/x"],
            "error: data_dir must be left out with the embedded data, which needs no folder: name the data that is \
             in the folder, such as image-folder (--data), found /x",
        ),
        (&["--lr", "-5"], "error: --lr -5: learning_rate must be finite and above 0, found -5"),
        (&["--label-noise", "1.5"], "error: label_noise must be between 0 and 1, found 1.5"),
        (&["--max-passes", "-1"], "error: max_passes must be finite and above 0, found -1"),
        (&["--max-seconds", "0"], "error: max_seconds must be finite and above 0, found 0"),
        (
            &["--max-passes", "5", "--max-seconds", "5"],
            "error: the argument '--max-passes <PASSES>' cannot be used with '--max-seconds <SECONDS>' (see \
             lowland train --help)",
        ),
        (
            &["--max-passes", "5", "--set", "max_seconds=5.0"],
            "error: max_seconds must be left out beside max_passes, found 5",
        ),
        (&["--batch-size", "0"], "error: batch_size must be at least 1, found 0"),
        (&["--set", "nonsense"], "error: --set \"nonsense\" must look like KEY=VALUE"),
        (
            &["--device", "cuda:x"],
            "error: device \"cuda:x\" must end in a number after the colon, as in cuda:0",
        ),
        (
            &["--data", "cifar10"],
            "error: data set cifar10 is read from a folder and none was given: expected \
             data_batch_1.bin to data_batch_5.bin and test_batch.bin; name a folder with --data-dir, \
             or download it: lowland data fetch cifar10 --data-dir data",
        ),
    ];
    let last_line = |arguments: &[&str]| {
        let output = lowland(&short(&out, arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!Path::new(&out).exists(), "{arguments:?}");
        let text = text(&output.stderr);
        assert_eq!(text.lines().count(), 1, "{text}");
        text.trim_end().to_owned()
    };
    for (arguments, expected) in cases {
        assert_eq!(last_line(arguments), *expected);
    }
    let line = last_line(&["--data", "cifar10", "--data-dir", &absent]);
    assert!(line.contains(&absent) && line.contains("expected a folder"), "{line}");
    let line = last_line(&["--data", "cifar10", "--data-dir", &broken]);
    assert!(line.contains("data_batch_1.bin") && line.contains("expected"), "{line}");
    let line = last_line(&["--config", &absent]);
    assert!(line.starts_with(&format!("error: cannot read {absent}: ")), "{line}");
    let line = last_line(&["--model", "vgg"]);
    let expected =
        "error: model: unknown model \"vgg\", expected one of: small-cnn, small-cnn-wide, ";
    assert!(line.starts_with(expected), "{line}");
    // Wherever a flag stands, its own command has the help.
    let typed = |arguments: &[&str]| text(&lowland(arguments).stderr).trim_end().to_owned();
    let whole = "must be a whole number, at least 1";
    for (arguments, end) in [
        (&["train", "--train-limit=-1"][..], format!("'-1' for '--train-limit <N>': {whole} (see lowland train --help)")),
        (&["compare", "--jobs", "-1"], format!("'--jobs <N>': {whole} (see lowland compare --help)")),
        (
            &["data", "-v", "check", "mnist", "--image-size", "x"],
            format!("'--image-size <N>': {whole} (see lowland data check --help)"),
        ),
        (
            &["-v", "--verbose", "train", "--epochs", "x"],
            format!("'--epochs <N>': {whole} (see lowland train --help)"),
        ),
        (&["--seeds", "-1"], format!("'--seeds <N>': {whole} (see lowland --help)")),
        (
            &["evaluate", "x", "--round", "9"],
            "'--round <BITS>': must be a whole number, at least 2 and at most 8 (see lowland evaluate --help)".into(),
        ),
    ] {
        let line = typed(arguments);
        assert!(line.ends_with(&end) && line.lines().count() == 1, "{line}");
    }
    let line = last_line(&["--lrr", "1"]);
    assert!(line.starts_with("error: unexpected argument '--lrr' found"), "{line}");
}

/// A run that ends in the middle of an epoch is finished, and only a limit that all share is
/// reported for all.
#[test]
fn a_report_knows_where_runs_end() {
    let folder = tempfile::tempdir().unwrap();
    let [sgd, sam, longer] =
        [("sgd", "6"), ("sam", "6"), ("sam", "9")].map(|(algorithm, passes)| {
            let out = path(folder.path(), &format!("{algorithm}-{passes}"));
            let what = ["--algorithm", algorithm, "--epochs", "5", "--max-passes", passes];
            run(&short(&out, &what));
            out
        });
    let table = text(&run(&["report", &sgd, &sam]).stdout);
    assert!(table.contains("With 6 passes for each run, SAM reached"), "{table}");
    let table = text(&run(&["report", &sgd, &longer]).stdout);
    assert!(table.contains("SAM reached") && !table.contains("passes for each run"), "{table}");

    let metrics = Path::new(&longer).join("metrics.jsonl");
    let whole = std::fs::read_to_string(&metrics).unwrap();
    // Without the test, and without the last epoch.
    let cut = |text: &str| text.trim_end().rsplit_once('\n').unwrap().0.to_owned();
    std::fs::write(&metrics, cut(&cut(&whole))).unwrap();
    let output = lowland(&["report", &longer]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("is not finished: 1 of at most 5 epochs are done"), "{stderr}");
}

/// The same start, the same first batch and the same second: the first step's loss is the same for
/// all algorithms, bit for bit, and another seed's is another.
#[test]
fn algorithms_start_alike() {
    let folder = tempfile::tempdir().unwrap();
    let first_loss = |algorithm: &str, seed: &str| {
        let out = path(folder.path(), &format!("{algorithm}-{seed}"));
        run(&short(&out, &["--algorithm", algorithm, "--seed", seed, "--epochs", "1"]));
        lines(&out)[0]["loss"].as_f64().unwrap().to_bits()
    };
    let loss = first_loss("sgd", "1");
    for algorithm in ["sam", "asam", "arsam", "fsam", "looksam"] {
        assert_eq!(first_loss(algorithm, "1"), loss, "{algorithm}");
    }
    assert_ne!(first_loss("sgd", "2"), loss);
}

#[test]
fn lists_name_everything_one_below_the_other() {
    let all = text(&run(&["list"]).stdout);
    for word in ["arsam", "small-cnn", "wrn-28-10", "embedded", "cifar100", "adamw", "cpu"] {
        assert!(all.contains(word), "{word} is not in\n{all}");
    }
    let algorithms = text(&run(&["list", "algorithms"]).stdout);
    // Further lines of a description are indented more than names are.
    let name = |line: &'_ str| {
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        Some(name.split(' ').next()?.to_owned())
    };
    let names: Vec<_> = algorithms.lines().filter_map(name).collect();
    assert_eq!(names[..4], ["base", "sam", "asam", "arsam"]);
    assert_eq!(algorithms.matches('[').count(), names.len(), "each with its passes");
}

#[test]
fn the_bench_counts_passes_and_times_every_algorithm() {
    // One thread: how many threads hold buffers at once is a matter of chance.
    let flags = ["--rounds", "2", "--steps", "10", "--batch-size", "4", "--threads", "1", "--json"];
    let output = run(&[&["bench"], &flags[..]].concat());
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let labels: Vec<&str> = rows.iter().map(|row| row["algorithm"].as_str().unwrap()).collect();
    let all = Algorithm::ALL.iter().filter(|of| of.name != "composed").map(|of| of.label);
    assert_eq!(labels, std::iter::once("Burn's own step").chain(all).collect::<Vec<_>>());
    let passes: Vec<_> = rows.iter().map(|row| row["passes_per_step"].as_f64().unwrap()).collect();
    for name in ["late SAM", "WSAM", "GCSAM", "bSAM"] {
        let place = labels.iter().position(|label| *label == name).unwrap();
        assert!((passes[place] - 2.0).abs() < 1e-9, "{name} takes two in each step: {passes:?}");
    }
    assert_eq!(passes[..4], [1.0, 1.0, 2.0, 2.0]);
    assert!((1.05..=1.2).contains(&passes[4]), "one second gradient in each window: {passes:?}");
    assert!((passes[5] - 1.2).abs() < 1e-9, "LookSAM, every fifth: {passes:?}");
    let memory = |name: &str, field: &str| {
        rows.iter().find(|row| row["algorithm"] == name).unwrap()[field].as_f64().unwrap()
    };
    assert!(memory("SAM", "kept_copies").abs() < 0.3, "SAM keeps nothing");
    for name in ["ARSAM", "LookSAM", "F-SAM", "MSAM"] {
        let kept = memory(name, "kept_copies");
        assert!((0.8..1.5).contains(&kept), "{name} keeps one copy of the parameters: {kept}");
    }
    assert!(memory("SAM", "peak_copies") > 0.5, "a perturbed copy, for the length of a pass");
    for flags in [["--steps", "3"], ["--rounds", "0"], ["--batch-size", "99999999999"]] {
        assert_eq!(lowland(&[&["bench"], &flags[..]].concat()).status.code(), Some(2), "{flags:?}");
    }
    assert!(rows.iter().all(|row| row["time_ratio"].as_f64().unwrap() > 0.0));
}

#[test]
fn algorithms_are_listed_with_passes_memory_source_and_fidelity() {
    let listed = text(&run(&["list", "algorithms"]).stdout);
    let words: Vec<&str> = listed.split_whitespace().collect();
    let listed = words.join(" "); // However the lines are wrapped.
    for descriptor in Algorithm::ALL {
        let Descriptor { name, summary, passes, memory, source, fidelity, .. } = descriptor;
        let entry = format!("{name} {summary} [{passes}; memory {memory}] {source}, {fidelity}");
        assert!(listed.contains(&entry), "{entry}");
    }
}

/// Parts that no paper has combined, a budget, micro-batches and a radius for norms alone, all from
/// a file; and the file that the run leaves repeats it.
#[test]
fn a_file_puts_parts_budget_and_radius_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(folder.path(), "composed.toml");
    let text = r#"
        budget = 1.3
        micro_batch = 32
        ascent_scope = "micro-batch"
        [algorithm]
        select = { top-loss = { fraction = 0.5 } }
        schedule = { periodic = { k = 3 } }
        ascend = { gradient = { rho = 0.1 } }
        descend = { reuse-psf = { beta = 0.7, max_reuse = 6 } }
        [radius]
        perturb = "norms"
        schedule = { cosine = { to = 0.1 } }
    "#;
    std::fs::write(&file, text).unwrap();
    let (first, second) = (path(folder.path(), "first"), path(folder.path(), "second"));
    run(&short(&first, &["--config", &file]));
    run(&short(&second, &["--config", &path(Path::new(&first), "config.toml")]));
    let weights = |run: &str| std::fs::read(Path::new(run).join("model.safetensors")).unwrap();
    assert_eq!(weights(&first), weights(&second));
    let steps: Vec<_> = lines(&first).into_iter().filter(|line| line["kind"] == "step").collect();
    assert!(steps.iter().any(|step| step["second_gradient"] == true));

    for (from, to, expected) in [
        ("periodic = { k = 3 }", "periodic = { kk = 3 }", "kk"),
        ("{ periodic = { k = 3 } }", "\"every-step\"", "takes one at every step"),
        ("{ periodic = { k = 3 } }", "\"never\"", "never takes one"),
        ("{ periodic = { k = 3 } }", "\"perodic\"", "unknown name `perodic`"),
        ("{ gradient = { rho = 0.1 } }", "\"gradient\"", "missing setting `rho`"),
        ("budget = 1.3", "budget = -1.0", "budget must be finite and above 0, found -1"),
        ("budget = 1.3", "budget = 1.3\ntime_budget = 1.3", "time_budget"),
        ("perturb = \"norms\"", "perturb = \"nroms\"", "nroms"),
        ("micro_batch = 32", "micro_batch = 0", "micro_batch must be at least 1, found 0"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        let output = lowland(&short(&path(folder.path(), "third"), &["--config", &file]));
        let error = self::text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{expected:?} is not in {error:?}"
        );
    }
}

#[test]
fn a_budget_is_met_and_one_that_allows_nothing_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let run_with = |name: &str, flags: &[&str]| {
        let out = path(folder.path(), name);
        let limits = ["train", "--train-limit", "512", "--test-limit", "50", "--batch-size", "8"];
        let output = run(&[&limits[..], &["--out", &out], flags].concat());
        (lines(&out), text(&output.stderr))
    };
    let (lines, stderr) =
        run_with("budget", &["--epochs", "8", "--algorithm", "arsam", "--budget", "1.15"]);
    let passes: Vec<_> = lines
        .iter()
        .filter(|l| l["kind"] == "step")
        .map(|l| l["passes"].as_f64().unwrap())
        .collect();
    let average = passes.iter().sum::<f64>() / passes.len() as f64;
    assert_eq!(passes.len(), 512);
    assert!((average / 1.15 - 1.0).abs() < 0.01, "{average} passes per step");
    assert!(!stderr.contains("warning"), "{stderr}");

    let (_, stderr) = run_with("none", &["--epochs", "1", "--algorithm", "sam:budget=1"]);
    assert!(stderr.contains("warning: SAM took no second gradient in 64 steps"), "{stderr}");

    let out = path(folder.path(), "no-place");
    for (algorithm, expected) in [
        ("sgd", "never takes a second gradient"),
        ("msam", "every step computes the same gradients"),
    ] {
        let output = lowland(&short(&out, &["--algorithm", algorithm, "--budget", "1.2"]));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.starts_with("error: `budget` does not apply to ") && error.contains(expected),
            "{error}"
        );
    }
    // Of several algorithms, those it does not apply to do without.
    let all =
        ["compare", "--algorithms", "sgd,arsam,msam", "--budget", "1.2", "--seeds", "1", "-q"];
    let limits = ["--epochs", "1", "--train-limit", "50", "--test-limit", "50", "--out", &out];
    run(&[&all[..], &limits].concat());
    let output = lowland(&["compare", "--algorithms", "sgd,msam", "--budget", "1.2"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = text(&run(&["completions", shell]).stdout);
        assert!(script.contains("lowland") && script.contains("tune"), "{shell}");
        assert!(!script.contains('\u{1b}'), "no colours where there is no terminal");
    }
    assert_eq!(lowland(&["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn help_and_version_are_there() {
    let help = text(&run(&["--help"]).stdout);
    for word in ["demo", "train", "compare", "list", "bench", "flat minima"] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    assert!(text(&run(&["--version"]).stdout).starts_with("lowland "));
    assert!(text(&run(&["-v", "help", "train"]).stdout).contains("--algorithm"));
    for command in ["demo", "train", "compare", "list", "bench"] {
        assert!(text(&run(&[command, "--help"]).stdout).contains("Usage: lowland"), "{command}");
    }
    for command in ["train", "compare"] {
        let help = text(&run(&[command, "--help"]).stdout);
        assert!(help.contains("Precedence of settings, lowest first: defaults, --task"), "{help}");
    }
}

/// Float weights, quantised, trained on, stopped and resumed, measured.
#[test]
fn a_network_is_quantised_from_the_weights_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let float = path(folder.path(), "float");
    run(&short(&float, &["--algorithm", "sgd"]));
    let quantised = |name: &str, more: &[&str]| {
        let out = path(folder.path(), name);
        let flags = ["--task", "quantised", "--from", &float, "--algorithm", "arsam"];
        run(&short(&out, &[&flags[..], more].concat()));
        out
    };
    let (whole, half) = (quantised("whole", &[]), quantised("half", &["--epochs", "1"]));
    let settings = std::fs::read_to_string(Path::new(&whole).join("config.toml")).unwrap();
    assert!(settings.contains("learning_rate = 0.005"), "the task's own: {settings}");
    assert!(settings.contains("[quantise]\nweights = 4\nactivations = 4"), "{settings}");

    // The second epoch's cosine is that of two epochs in both.
    let config = Path::new(&half).join("config.toml");
    let longer = std::fs::read_to_string(&config).unwrap().replace("epochs = 1", "epochs = 2");
    std::fs::write(&config, longer).unwrap();
    run(&["resume", &half, "--accept-changes", "-q"]);
    assert_eq!(lines(&half).len(), lines(&whole).len() + 1, "and a line that names the change");
    let found = run(&["sharpness", &whole, "--images", "50", "--lanczos-steps", "3", "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert!(found["eigenvalues"][0]["value"].is_number(), "{found}");

    let out = path(folder.path(), "other");
    for (flags, expected) in [
        (["--from", &float, "--model", "resnet20"], "does not hold the weights of the network"),
        (["--from", &out, "--model", "small-cnn"], "cannot read"),
        (["--from", &float, "--bits", "9"], "quantise.weights must be between 2 and 8, found 9"),
    ] {
        let output = lowland(&short(&out, &flags));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{expected:?} is not in {error:?}"
        );
    }
}
