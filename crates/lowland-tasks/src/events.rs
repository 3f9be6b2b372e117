//! What TensorBoard is shown of a run.

use std::collections::BTreeMap;

pub use lowland_tensorboard::{EventWriter, Experiment, Metric, Part, Status, Value};

use crate::config::TrainConfig;
use crate::flatness::Flatness;
use crate::record::{EpochRecord, RunRecord, StepRecord, TestRecord};

/// Scalars of one step, by their tags.
pub type Scalars = Vec<(String, f64)>;

/// The scalars of a step.
pub fn of_step(step: &StepRecord) -> Scalars {
    measured([
        ("train/loss", Some(step.loss)),
        ("train/learning_rate", Some(step.learning_rate)),
        ("step/passes", Some(step.passes)),
        ("step/second_gradient", Some(f64::from(u8::from(step.second_gradient)))),
        ("step/gradient_norm", step.gradient_norm),
        ("step/perturbed_norm", step.perturbed_norm),
        ("step/psf_norm", step.psf_norm),
        ("step/cosine", step.cosine),
        ("step/radius", step.radius),
    ])
}

/// The scalars of an epoch, which belong to its last step. `measure` is the name of what the task
/// is measured by, its [`Wording::measure`](crate::task::Wording::measure): with "accuracy" there
/// is `validation/accuracy`. What else the task measures is there by its own name too.
pub fn of_epoch(record: &EpochRecord, measure: &str) -> Scalars {
    let mut scalars = measured([
        ("epoch/train_loss", record.train_loss),
        (&format!("epoch/train_{measure}"), record.train_accuracy),
        ("validation/loss", record.validation_loss),
        (&format!("validation/{measure}"), record.validation_accuracy),
        ("test/loss", record.test_loss),
        (&format!("test/{measure}"), record.test_accuracy),
        (&format!("average/{measure}"), record.average_accuracy),
        ("average/loss", record.average_loss),
        ("epoch/passes", Some(record.passes)),
        ("epoch/second_gradient_share", Some(record.second_gradient_share)),
        ("epoch/seconds", Some(record.seconds)),
    ]);
    let is_validation = record.validation_loss.or(record.validation_accuracy).is_some();
    scalars.extend(named(if is_validation { "validation" } else { "test" }, &record.scores));
    scalars
}

/// The scalars of the end of a run, which belong to its last step: what was measured on the test
/// samples, and what the run cost. Where the run has no validation part, those of the test samples
/// continue the scalars of its epochs. For `measure` see [`of_epoch`].
pub fn of_end(test: &TestRecord, run: &RunRecord, measure: &str) -> Scalars {
    let mut scalars = measured([
        ("test/loss", test.test_loss),
        (&format!("test/{measure}"), test.test_accuracy),
        (&format!("average/{measure}"), test.average_accuracy),
        ("average/loss", test.average_loss),
        ("run/passes_per_step", Some(run.passes / run.steps.max(1) as f64)),
        ("run/seconds", Some(run.seconds())),
    ]);
    scalars.extend(named("test", &test.scores));
    scalars
}

/// The scalars of a measurement of the sharpness.
pub fn of_sharpness(found: &Flatness) -> Scalars {
    measured([
        ("sharpness/largest_eigenvalue", found.eigenvalues.first().map(|first| first.value)),
        ("sharpness/largest_rise", found.largest_rise.map(|rise| rise.mean)),
    ])
}

fn measured<const N: usize>(scalars: [(&str, Option<f64>); N]) -> Scalars {
    scalars.into_iter().filter_map(|(tag, value)| Some((tag.to_owned(), value?))).collect()
}

/// The scores of a part by their names.
fn named(part: &str, scores: &BTreeMap<String, f64>) -> Scalars {
    scores.iter().map(|(name, &score)| (format!("{part}/{name}"), score)).collect()
}

/// The settings that have a part in what comes out of a run, by their paths, such as
/// `algorithm.rho`; those that are unset are left out.
pub fn settings(config: &TrainConfig) -> BTreeMap<String, Value> {
    let value = |value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::Bool(flag) => Some(Value::from(flag)),
        serde_json::Value::String(text) => Some(Value::from(text)),
        serde_json::Value::Number(number) => Some(match number.as_i64() {
            Some(integer) => Value::from(integer),
            None => number.as_f64().map_or_else(|| Value::Text(number.to_string()), Value::from),
        }),
        other => Some(Value::Text(other.to_string())),
    };
    let values = config.values().into_iter();
    values.filter_map(|(name, setting)| Some((name, value(setting)?))).collect()
}

/// What TensorBoard shows of runs with these settings in its tab of hyperparameters. For `measure`
/// see [`of_epoch`].
pub fn experiment(configs: &[TrainConfig], measure: &str) -> Experiment {
    let metric = |(tag, name, part): (&str, &str, Part)| Metric {
        tag: tag.to_owned(),
        name: name.to_owned(),
        part,
    };
    let by = |start: &str| format!("{start}{measure}");
    let metrics = [
        (&*by("test/"), &*by("test "), Part::Other),
        ("test/loss", "test loss", Part::Other),
        (&by("validation/"), &by("validation "), Part::Validation),
        ("validation/loss", "validation loss", Part::Validation),
        (&by("epoch/train_"), &by("training "), Part::Training),
        ("epoch/train_loss", "training loss", Part::Training),
        ("run/passes_per_step", "passes per step", Part::Other),
        ("run/seconds", "seconds of training", Part::Other),
    ];
    let runs: Vec<BTreeMap<String, Value>> = configs.iter().map(settings).collect();
    Experiment::of(&runs, metrics.map(metric).to_vec())
}
