//! What the HPARAMS tab of TensorBoard shows: runs with their hyperparameters and their metrics.

use std::collections::BTreeMap;

use crate::messages::{
    DataType, Domain, ExperimentInfo, HParamInfo, Interval, Kind, ListValue, MetricInfo,
    MetricName, ProtoValue,
};

/// The value of a hyperparameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; TensorBoard knows no integers. One that is not finite is written as a text, since
    /// the page cannot show it as a number.
    Number(f64),
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    /// A number where an `f64` holds it exactly, or else a text.
    #[expect(clippy::cast_possible_truncation, reason = "it is compared with what it came from")]
    fn from(integer: i64) -> Self {
        let number = integer as f64;
        // 2^63 is one more than the largest integer, to which a conversion back would saturate.
        let is_exact = number < 9_223_372_036_854_775_808.0 && number as i64 == integer;
        if is_exact { Self::Number(number) } else { Self::Text(integer.to_string()) }
    }
}

impl Value {
    pub(crate) fn message(&self) -> ProtoValue {
        let kind = match self {
            Self::Number(number) if number.is_finite() => Kind::Number(*number),
            Self::Number(number) => Kind::String(number.to_string()),
            Self::Text(text) => Kind::String(text.clone()),
            Self::Flag(flag) => Kind::Bool(*flag),
        };
        ProtoValue { kind: Some(kind) }
    }

    /// As TensorBoard writes it in a column of texts.
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// As it should.
    Success = 1,
    /// In an error.
    Failure = 2,
}

/// On which samples a metric is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Part {
    /// Neither on those of training nor on those of validation.
    Other = 0,
    /// On samples of training.
    Training = 1,
    /// On samples of validation.
    Validation = 2,
}

/// A metric that the runs of an experiment are compared by: the last scalar under its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The tag of the scalars, such as `test/accuracy`.
    pub tag: String,
    /// What it is called on the page; the tag where this is empty.
    pub name: String,
    /// On which samples it is measured.
    pub part: Part,
}

/// Which hyperparameters and metrics the HPARAMS tab shows of the runs of a folder.
///
/// It belongs into a file of its own in the folder that holds those of the runs: TensorBoard takes
/// one experiment, the first that it finds. Where there is none it shows every scalar of the runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experiment {
    /// The names of the hyperparameters, and the values that they have in some run, in any order.
    pub settings: BTreeMap<String, Vec<Value>>,
    /// How many runs there are. A hyperparameter with fewer values differs between them.
    pub runs: usize,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

impl Experiment {
    /// An experiment of runs with these hyperparameters, in the order of the runs.
    pub fn of(runs: &[BTreeMap<String, Value>], metrics: Vec<Metric>) -> Self {
        let mut settings: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (name, value) in runs.iter().flatten() {
            settings.entry(name.clone()).or_default().push(value.clone());
        }
        Self { settings, runs: runs.len(), metrics }
    }

    pub(crate) fn message(&self, time: f64) -> ExperimentInfo {
        let metric = |metric: &Metric| MetricInfo {
            name: Some(MetricName { tag: metric.tag.clone() }),
            display_name: metric.name.clone(),
            dataset_type: metric.part as i32,
        };
        ExperimentInfo {
            time_created_secs: time,
            hparam_infos: self.settings.iter().map(|(name, v)| self.setting(name, v)).collect(),
            metric_infos: self.metrics.iter().map(metric).collect(),
        }
    }

    /// A hyperparameter: of one type where all its values have it, or else a text, as TensorBoard
    /// itself would have it.
    fn setting(&self, name: &str, values: &[Value]) -> HParamInfo {
        let first = values.first();
        let differs = values.len() < self.runs || values.iter().any(|value| Some(value) != first);
        let numbers: Option<Vec<f64>> = values.iter().map(Value::number).collect();
        let flags: Option<Vec<bool>> = values.iter().map(Value::flag).collect();
        let (kind, domain) = match (numbers, flags) {
            (Some(numbers), _) if !numbers.is_empty() => {
                let min_value = numbers.iter().copied().fold(f64::INFINITY, f64::min);
                let max_value = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (DataType::Float64, Domain::Interval(Interval { min_value, max_value }))
            }
            (_, Some(flags)) if !flags.is_empty() => {
                let found = [false, true].into_iter().filter(|flag| flags.contains(flag));
                let values = found.map(|flag| Value::Flag(flag).message()).collect();
                (DataType::Bool, Domain::Discrete(ListValue { values }))
            }
            _ => {
                let mut texts: Vec<String> = values.iter().map(Value::text).collect();
                texts.sort();
                texts.dedup();
                let values = texts.into_iter().map(|text| Value::Text(text).message()).collect();
                (DataType::String, Domain::Discrete(ListValue { values }))
            }
        };
        HParamInfo { name: name.to_owned(), r#type: kind as i32, domain: Some(domain), differs }
    }
}

impl Value {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number).filter(|number| number.is_finite()),
            _ => None,
        }
    }

    fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_finite_is_a_text() {
        for (number, text) in [(f64::INFINITY, "inf"), (f64::NAN, "NaN")] {
            let value = Value::Number(number);
            assert_eq!(value.message().kind, Some(Kind::String(text.to_owned())));
            assert_eq!((value.number(), value.text()), (None, text.to_owned()));
        }
    }
}
