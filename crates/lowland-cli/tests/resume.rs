//! Runs that end early and are resumed: signals, folders in use, damaged checkpoints, disks that
//! are full or not to be written to, numbers that go bad.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use common::{in_a_namespace, lines, lowland, path, run, short, text};
use serde_json::Value;

/// A long run that is under way and has a checkpoint, and what it says.
fn long_run(out: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("lowland"))
        .args(["train", "--epochs", "10000", "--train-limit", "200", "--test-limit", "100"])
        .args(["--out", out])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut before = Vec::new();
    let first = stderr.by_ref().map(Result::unwrap).find(|line| {
        before.push(line.clone());
        line.starts_with("epoch")
    });
    assert!(first.is_some(), "the run is under way: {before:?}");
    assert!(before.iter().any(|line| line.starts_with("training on ")), "{before:?}");
    // An epoch is printed before it is saved: the second one says that the first is on the disk.
    assert!(stderr.next().unwrap().unwrap().starts_with("epoch"), "the run is under way");
    (child, stderr)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// The metrics of a run without their seconds, and its weights.
fn result(out: &str) -> (Vec<Value>, Vec<u8>) {
    let mut metrics = lines(out);
    for line in &mut metrics {
        line.as_object_mut().unwrap().remove("seconds");
    }
    (metrics, fs::read(Path::new(out).join("model.safetensors")).unwrap())
}

/// The checkpoints of a run, the latest first.
fn checkpoints(out: &str) -> Vec<String> {
    let list = fs::read_dir(Path::new(out).join("checkpoints")).unwrap();
    let mut paths: Vec<_> = list.map(|entry| entry.unwrap().path().display().to_string()).collect();
    paths.sort();
    paths.reverse();
    paths
}

#[test]
fn signals_end_a_run_in_good_order_and_say_how_to_resume() {
    let folder = tempfile::tempdir().unwrap();
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let out = path(folder.path(), name);
        let (mut child, printed) = long_run(&out);
        signal(&child, name);
        let last = printed.map(Result::unwrap).last().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(
            last.starts_with("error: interrupted after ") && last.contains("epochs done"),
            "{last}"
        );
        assert!(last.ends_with(&format!("lowland resume {out}")), "{last}");
        assert!(!Path::new(&out).join("model.bpk").exists());
        let steps = lines(&out).iter().filter(|line| line["kind"] == "step").count();
        let newest = checkpoints(&out).remove(0);
        assert!(newest.ends_with(&format!("step-{steps:08}")), "{newest} after {steps} steps");

        let (mut child, printed) = resumed(&out);
        signal(&child, name);
        assert!(printed.map(Result::unwrap).last().unwrap().contains("interrupted"), "{name}");
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

/// A run that was resumed and is under way.
fn resumed(out: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("lowland"))
        .args(["resume", out])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(stderr.next().unwrap().unwrap().starts_with("resumes from step "));
    assert!(stderr.next().unwrap().unwrap().starts_with("training on "));
    assert!(stderr.next().unwrap().unwrap().starts_with("training with "));
    assert!(stderr.next().unwrap().unwrap().starts_with("epoch"));
    (child, stderr)
}

/// Whatever the first signal has begun, the second one ends at once.
#[test]
fn a_second_ctrl_c_loses_nothing_that_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let (mut child, printed) = long_run(&out);
    signal(&child, "-INT");
    // It may be gone already.
    let _ =
        Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
    drop(printed);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (mut child, printed) = resumed(&out);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(printed);
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let (mut child, printed) = long_run(&out);
    let process = format!("(process {})", child.id());
    let output = lowland(&["resume", &out]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("is in use: another lowland works in it") && error.contains(&process),
        "{error}"
    );
    let output = lowland(&short(&out, &[]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    child.kill().unwrap();
    child.wait().unwrap();
    drop(printed);
    // The system lets go of the lock of a program that was killed.
    let (mut child, _lines) = resumed(&out);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Stopped in an epoch, its latest checkpoint damaged, resumed, and again with settings that
/// were changed.
#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (path(folder.path(), "whole"), path(folder.path(), "cut"));
    let flags = ["--algorithm", "looksam", "--epochs", "3", "--checkpoint-steps", "3"];
    run(&short(&whole, &flags));
    run(&short(&cut, &flags));
    let list = checkpoints(&cut);
    assert!(list.len() >= 3, "{list:?}");
    let damaged = Path::new(&list[0]).join("optimizer.bpk");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[1000] ^= 4;
    fs::write(&damaged, bytes).unwrap();
    let output = run(&["resume", &cut]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&damaged.display().to_string()), "{stderr}");
    assert!(
        stderr.contains("does not match its checksum") && stderr.contains("resumes from step 9"),
        "{stderr}"
    );
    assert_eq!(result(&cut), result(&whole));

    // Once more changes nothing; with none that is whole, nothing is touched.
    run(&["resume", &cut, "-q"]);
    assert_eq!(result(&cut), result(&whole));
    for checkpoint in checkpoints(&cut) {
        fs::write(Path::new(&checkpoint).join("model.bpk"), "").unwrap();
    }
    let output = lowland(&["resume", &cut]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("none of the checkpoints of "),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(result(&cut), result(&whole));
}

#[test]
fn a_run_resumes_with_other_settings_only_if_they_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    run(&short(&out, &["--algorithm", "sam"]));
    let config = Path::new(&out).join("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        fs::write(&config, good.replacen(from, to, 1)).unwrap();
    };
    let refused = |expected: &str, flags: &[&str]| {
        let before = result(&out);
        let output = lowland(&[&["resume", &out], flags].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(expected) && error.trim_end().lines().count() == 1,
            "{expected:?}: {error}"
        );
        assert_eq!(result(&out), before);
    };
    change("epochs = 2", "epochs = 3");
    refused("epochs was 2 and is 3; put them back, or accept the new ones: --accept-changes", &[]);
    let output = run(&["resume", &out, "--accept-changes", "-q"]);
    assert!(text(&output.stdout).contains("after 3 epochs"), "{}", text(&output.stdout));
    let changed: Vec<_> =
        lines(&out).into_iter().filter(|line| line["kind"] == "changed").collect();
    assert_eq!(
        changed,
        [serde_json::json!({
            "kind": "changed", "step": 9, "changes": ["epochs was 2 and is 3"]
        })]
    );
    change("model = \"small-cnn\"", "model = \"resnet20\"");
    refused("the checkpoint does not fit the run: the model ", &["--accept-changes"]);
    change("epochs = 2", "epochs = \"two\"");
    refused("config.toml: epochs: expected a whole number", &[]);
    let empty = path(folder.path(), "empty");
    let output = lowland(&["resume", &empty]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("holds no run"), "{}", text(&output.stderr));
}

/// The run stops by itself, and resumes from its last good checkpoint with a smaller radius.
#[test]
fn non_finite_steps_stop_the_run_which_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(folder.path(), "run");
    let flags = ["--algorithm", "sam:rho=1e300", "--epochs", "4", "--checkpoint-steps", "2"];
    let output = lowland(&short(&out, &flags));
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(
        error.matches("the step changes nothing").count(),
        11,
        "each with its step: {error}"
    );
    let last = error.lines().last().unwrap();
    assert!(last.contains("was not finite at step 10, 11 steps in a row"), "{last}");
    assert!(
        last.contains("the last good checkpoint is of step 10")
            && last.contains("--accept-changes"),
        "{last}"
    );
    assert!(!Path::new(&out).join("model.safetensors").exists());

    let config = Path::new(&out).join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (before, after) = text.split_once("rho = ").unwrap();
    let rest = after.split_once('\n').unwrap().1;
    fs::write(&config, format!("{before}rho = 0.05\n{rest}")).unwrap();
    run(&["resume", &out, "--accept-changes", "-q"]);
    let steps: Vec<_> = lines(&out).into_iter().filter(|line| line["kind"] == "step").collect();
    assert_eq!(steps.len(), 16);
    assert!(steps[..10].iter().all(|step| step["skipped"] == true));
    assert!(steps[10..].iter().all(|step| step["skipped"] == false));
}

/// A disk of its own that fills up: the run says so, what it had saved stays, and with room again
/// it resumes to the same end.
#[test]
fn a_full_disk_is_reported_and_what_was_saved_stays() {
    let folder = tempfile::tempdir().unwrap();
    let whole = path(folder.path(), "whole");
    let flags = ["--algorithm", "arsam", "--epochs", "3", "--keep", "9"];
    run(&short(&whole, &flags));
    let disk = path(folder.path(), "disk");
    fs::create_dir(&disk).unwrap();
    let program = assert_cmd::cargo::cargo_bin("lowland").display().to_string();
    let out = format!("{disk}/run");
    let arguments = short(&out, &flags).join(" ");
    let script = format!(
        "mount -t tmpfs -o size=340k none {disk}
         set +e
         {program} {arguments} --checkpoint-steps 2
         echo code $?
         ls -a {out} {out}/checkpoints
         mount -o remount,size=9m {disk}
         {program} resume {out} -q
         echo code $?
         cp {out}/model.safetensors {out}/metrics.jsonl {whole}-resumed"
    );
    fs::create_dir(format!("{whole}-resumed")).unwrap();
    let Some(output) = in_a_namespace(&script) else { return };
    let (stderr, listed) = (text(&output.stderr), text(&output.stdout));
    assert!(
        stderr.contains("error: cannot write ") && stderr.contains("No space left on device"),
        "{stderr}"
    );
    assert!(stderr.contains("to resume from step "), "{stderr}\n{listed}");
    assert!(
        listed.contains("code 1\n") && listed.trim_end().ends_with("code 0"),
        "{listed}\n{stderr}"
    );
    assert_eq!(result(&format!("{whole}-resumed")), result(&whole));
}

/// A folder and a file system that must not be written to: wrong usage before anything is trained.
#[test]
fn a_read_only_folder_is_reported_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("lowland");
    fs::copy(assert_cmd::cargo::cargo_bin("lowland"), &program).unwrap();
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(folder.path(), 0o755);
    let out = path(folder.path(), "run");
    run(&short(&out, &["--epochs", "1"]));
    open(Path::new(&out), 0o555);
    // Root may write anywhere: as nobody.
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let command = |arguments: &[&str]| {
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        command.args(arguments).output().unwrap()
    };
    let output = command(&["resume", &out]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("error: cannot write ") && error.contains("Permission denied"),
        "{error}"
    );
    let output = command(&short(&format!("{out}/inner"), &[]));
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("cannot write to ") && error.contains("Permission denied"), "{error}");
    open(Path::new(&out), 0o755);

    let disk = path(folder.path(), "disk");
    fs::create_dir(&disk).unwrap();
    let arguments = short(&format!("{disk}/run"), &[]).join(" ");
    let script =
        format!("mount -t tmpfs -o ro none {disk}; exec {} {arguments}", program.display());
    let Some(output) = in_a_namespace(&script) else { return };
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("Read-only file system"), "{error}");
}
