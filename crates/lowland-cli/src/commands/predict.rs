//! `lowland predict`: what a run's network predicts for files.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lowland_tasks::evaluation::{Answer, answers};
use serde_json::{Value, json};

use crate::failure::Usage;
use crate::files;
use crate::layout::csv;
use crate::run::finished::{FinishedRun, OpenFlags, read_config};
use crate::terminal::{note, print};

/// Print what a run's network predicts for files
///
/// Images, each a sample; for texts, tables (.tsv, .csv, .jsonl) with the columns of training, with
/// or without labels, and files of another ending with one text a line, or two with a tab between
/// them; for poses, images that each show one person, who fills it. They are prepared as test
/// samples are: the run's data must be there. Prints each class with its probability, or each joint
/// with its place in the image. Files and lines that cannot be used are named together;
/// --skip-damaged leaves them out.
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The files
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    open: OpenFlags,
    /// The form of the output
    #[arg(long, value_name = "FORM", default_value = "csv")]
    format: Form,
    /// The file that is written to [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// A line for each sample, commas between its fields
    Csv,
    /// A list of objects
    Json,
}

/// What the network makes of one sample, named.
struct Prediction {
    input: String,
    answer: Answer,
}

impl Predict {
    /// Predicts, and prints or writes.
    ///
    /// # Errors
    /// A folder without a run, files that cannot be read, a file that cannot be written.
    pub(crate) fn run(self) -> Result<()> {
        self.check_out()?;
        let skip_damaged = self.open.skip_damaged;
        // Inputs may be damaged where the data of training is nothing that can be.
        let can_skip = skip_damaged && read_config(&self.run)?.data.name.can_skip_damaged();
        let mut open = self.open;
        open.skip_damaged = can_skip;
        let run = FinishedRun::open(&self.run, &open)?;
        let task = run.data.task();
        let mut config = run.config.clone();
        config.data.skip_damaged |= skip_damaged;
        let inputs = task.inputs(&config, &self.inputs)?;
        for remark in &inputs.remarks {
            note(remark, false);
        }
        let found = answers(inputs.source, &run.model, &run.device)?;
        let found = inputs.names.into_iter().zip(found);
        let predictions: Vec<Prediction> =
            found.map(|(input, answer)| Prediction { input, answer }).collect();
        let (classes, joints) = (task.class_names(), task.joint_names());
        let text = match self.format {
            Form::Csv => in_csv(&predictions, &classes, &joints),
            Form::Json => {
                let all: Vec<Value> =
                    predictions.iter().map(|p| p.in_json(&classes, &joints)).collect();
                serde_json::to_string_pretty(&all)?
            }
        };
        match &self.out {
            Some(path) => files::write(path, format!("{text}\n").as_bytes()),
            None => print(&text),
        }
    }

    /// An error where the output would take the place of what is read.
    fn check_out(&self) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let place = |path: &PathBuf| std::fs::canonicalize(path).ok();
        let Some(target) = place(out).filter(|target| target.is_file()) else { return Ok(()) };
        let mut read = self.inputs.iter().chain(&self.open.weights);
        let what = if read.any(|path| place(path).as_ref() == Some(&target)) {
            "one of the inputs"
        } else if place(&self.run).is_some_and(|run| target.starts_with(run)) {
            "a file of the run"
        } else {
            return Ok(());
        };
        bail!(Usage(format!("--out {} is {what}: name another file", out.display())))
    }
}

impl Prediction {
    fn in_json(&self, classes: &[String], joints: &[String]) -> Value {
        match &self.answer {
            Answer::Class { probabilities, .. } => {
                let class = self.answer.class().and_then(|class| classes.get(class));
                // A list and no object: two classes may have the same name.
                let shares = classes.iter().zip(probabilities);
                let shares: Vec<Value> =
                    shares.map(|(class, p)| json!({"class": class, "probability": p})).collect();
                json!({"input": self.input, "class": class, "probabilities": shares})
            }
            Answer::Joints(found) => {
                let places = joints.iter().zip(found).map(|(joint, found)| {
                    let [x, y] = found.at;
                    json!({"joint": joint, "x": x, "y": y, "score": found.score})
                });
                json!({"input": self.input, "joints": places.collect::<Vec<_>>()})
            }
            Answer::Number(number) => json!({"input": self.input, "number": number}),
        }
    }
}

/// A line for each sample under a line of heads.
fn in_csv(predictions: &[Prediction], classes: &[String], joints: &[String]) -> String {
    let mut head = vec!["input".to_owned()];
    if joints.is_empty() && classes.is_empty() {
        head.push("number".to_owned());
    } else if joints.is_empty() {
        head.push("class".to_owned());
        head.extend(classes.iter().map(|class| format!("probability of {class}")));
    } else {
        let of = |joint: &String| ["x", "y", "score"].map(|what| format!("{joint} {what}"));
        head.extend(joints.iter().flat_map(of));
    }
    let mut rows = vec![head];
    for Prediction { input, answer } in predictions {
        let mut fields = vec![input.clone()];
        match answer {
            Answer::Class { probabilities, .. } => {
                let class = answer.class().and_then(|class| classes.get(class));
                fields.push(class.cloned().unwrap_or_default());
                fields.extend(probabilities.iter().map(f64::to_string));
            }
            Answer::Joints(found) => {
                let numbers = found.iter().flat_map(|f| [f.at[0], f.at[1], f.score]);
                fields.extend(numbers.map(|number| number.to_string()));
            }
            Answer::Number(number) => fields.push(number.to_string()),
        }
        rows.push(fields);
    }
    csv(&rows).trim_end_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let fields = ["plain", "a, b", "say \"so\""].map(str::to_owned).to_vec();
        assert_eq!(csv([&fields]), "plain,\"a, b\",\"say \"\"so\"\"\"\n");
        let answer = Answer::Class { probabilities: vec![0.25, 0.75], label: 0 };
        let predictions = [Prediction { input: "a.png".into(), answer }];
        let classes = ["cat", "dog"].map(str::to_owned);
        let expected = "input,class,probability of cat,probability of dog\na.png,dog,0.25,0.75";
        assert_eq!(in_csv(&predictions, &classes, &[]), expected);
    }
}
