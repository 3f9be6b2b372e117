//! The names of contenders: the algorithm, and the settings in which those of the same algorithm
//! differ.

use std::collections::{BTreeMap, BTreeSet};

use lowland::{Algorithm, RadiusConfig};
use lowland_tasks::config::TrainConfig;
use serde::Serialize;
use toml::{Table, Value};

use crate::settings::brings_optimizer;

/// Settings that have no part in the result of a run, and the seed.
const APART: [&str; 5] = ["seed", "workers", "device", "sharpness_every", "checkpoints"];

/// A name for each configuration: the algorithm's, followed by the settings in which those of the
/// same algorithm differ, as in `SAM rho=0.1`.
pub(crate) fn labels(configs: &[TrainConfig]) -> Vec<String> {
    let values: Vec<Values> = configs.iter().map(all_values).collect();
    let label = |(config, own): (&TrainConfig, &Values)| {
        let label = config.algorithm_label();
        let twins = configs.iter().zip(&values).filter(|(c, _)| c.algorithm_label() == label);
        let apart: BTreeSet<&String> = twins
            .flat_map(|(_, other)| own.keys().filter(|key| other.get(*key) != own.get(*key)))
            .collect();
        let apart = apart.into_iter().map(|key| format!(" {}={}", brief(key), own[key]));
        format!("{label}{}", apart.collect::<String>())
    };
    configs.iter().zip(&values).map(label).collect()
}

/// The name on the command line, as in `sgd`.
pub(crate) fn name(config: &TrainConfig) -> &'static str {
    match config.algorithm {
        Algorithm::Base(_) => config.optimizer.name.name(),
        _ => config.algorithm.descriptor().name,
    }
}

/// The settings that a reader wants to see of a contender beside `baseline`: its radius, whatever
/// is not as its defaults have it, and those of its run that the others need not share.
pub(crate) fn settings(config: &TrainConfig, baseline: &TrainConfig) -> BTreeMap<String, String> {
    let mut settings = of_algorithm(&config.algorithm);
    let mut put = |key: &str, value: Value| settings.insert(key.to_owned(), in_words(&value));
    for (key, value) in [
        ("budget", config.budget),
        ("time budget", config.time_budget),
        ("late start", config.late_start),
    ] {
        if let Some(value) = value {
            put(key, Value::Float(value));
        }
    }
    let learning_rate = config.optimizer.learning_rate;
    if learning_rate.to_bits() != baseline.optimizer.learning_rate.to_bits() {
        put("learning rate", Value::Float(learning_rate));
    }
    if brings_optimizer(&config.algorithm) {
        put("base", Value::String("its own".to_owned()));
    }
    let default = entries("radius.", &RadiusConfig::default());
    for (key, value) in entries("radius.", &config.radius) {
        if !default.contains(&(key.clone(), value.clone())) {
            put(&key, value);
        }
    }
    settings
}

/// The algorithm's radius, and whatever is not as its defaults have it.
fn of_algorithm(algorithm: &Algorithm) -> BTreeMap<String, String> {
    let default = Algorithm::named(algorithm.descriptor().name).map(|a| entries("", &a));
    let default = default.unwrap_or_default();
    let shown = |(key, value): &(String, Value)| {
        key != "name" && (key == "rho" || default.iter().all(|(k, v)| k != key || v != value))
    };
    let mine = entries("", algorithm).into_iter().filter(shown);
    mine.map(|(key, value)| (key.replace("controller.", ""), in_words(&value))).collect()
}

/// Settings by their paths in a file, in words.
pub(crate) type Values = BTreeMap<String, String>;

/// The settings that have a part in the result of a run, without the seed.
pub(crate) fn all_values(config: &TrainConfig) -> Values {
    let mut table = Table::try_from(config).unwrap_or_default();
    table.retain(|key, _| !APART.contains(&key));
    flat("", table).into_iter().map(|(key, value)| (key, in_words(&value))).collect()
}

/// A setting as it is typed behind an algorithm's name, where it can be.
fn brief(key: &str) -> &str {
    if key == "optimizer.learning_rate" {
        return "lr";
    }
    let own = key.strip_prefix("algorithm.").unwrap_or(key);
    own.strip_prefix("controller.").unwrap_or(own)
}

/// Settings as a file holds them, one by one.
fn entries(prefix: &str, settings: &impl Serialize) -> Vec<(String, Value)> {
    flat(prefix, Table::try_from(settings).unwrap_or_default())
}

fn flat(prefix: &str, table: Table) -> Vec<(String, Value)> {
    let entry = |(key, value)| match value {
        Value::Table(inner) => flat(&format!("{prefix}{key}."), inner),
        value => vec![(format!("{prefix}{key}"), value)],
    };
    table.into_iter().flat_map(entry).collect()
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) if *number != 0.0 && !(1e-4..1e6).contains(&number.abs()) => {
            format!("{number:e}")
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use lowland::{ArsamConfig, SamConfig};

    use super::*;

    fn sam(rho: f64) -> TrainConfig {
        TrainConfig { algorithm: Algorithm::Sam(SamConfig { rho }), ..TrainConfig::default() }
    }

    #[test]
    fn labels_name_the_settings_in_which_twins_differ() {
        let arsam = Algorithm::Arsam(ArsamConfig::default());
        let arsam = TrainConfig { algorithm: arsam, seed: 3, ..TrainConfig::default() };
        let mut faster = sam(0.1);
        faster.optimizer.learning_rate = 0.1;
        assert_eq!(
            labels(&[sam(0.1), sam(0.2), faster, arsam.clone()]),
            ["SAM rho=0.1 lr=0.05", "SAM rho=0.2 lr=0.05", "SAM rho=0.1 lr=0.1", "ARSAM"]
        );
        let budget = TrainConfig { budget: Some(1.2), ..arsam.clone() };
        assert_eq!(labels(&[arsam.clone(), budget]), ["ARSAM", "ARSAM budget=1.2"]);
        let other_seed = TrainConfig { seed: 4, workers: 2, ..arsam.clone() };
        assert_eq!(labels(&[arsam, other_seed]), ["ARSAM", "ARSAM"]);
    }
}
