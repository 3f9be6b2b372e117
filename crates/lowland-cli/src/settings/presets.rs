//! Settings that suit a kind of task.

use clap::ValueEnum;
use toml::{Table, Value};

use super::merge::{lay_over, nested};

/// Tasks, each with settings that suit it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TaskKind {
    /// Image classification
    Classify,
    /// Image classification with weights and activations of 4 bits, from the weights of a finished
    /// run (--from)
    Quantised,
    /// Finding the joints of people: COCO keypoints (--data-dir)
    Pose,
    /// Text classification: a task of GLUE (--data-dir) and a pretrained transformer (--from)
    FineTune,
}

impl TaskKind {
    /// Whether it is for weights that a run has trained already.
    pub(super) fn needs_start(self) -> bool {
        matches!(self, Self::Quantised)
    }

    /// The settings that differ from the defaults, where `over` is laid over them.
    pub(super) fn settings(self, over: &Table) -> Table {
        let text = match self {
            Self::Classify => "",
            Self::Quantised => QUANTISED,
            Self::Pose => POSE,
            Self::FineTune => FINE_TUNE,
        };
        let mut settings = toml::from_str(text).unwrap_or_default();
        if matches!(self, Self::FineTune)
            && let Some(rate) = rate_of_few(over)
        {
            lay_over(&mut settings, nested("optimizer.learning_rate", Value::Float(rate)));
        }
        settings
    }
}

/// A network that was trained already needs few epochs and a tenth of the learning rate.
const QUANTISED: &str = "epochs = 5\nquantise = {}\noptimizer.learning_rate = 0.005\n";

/// Adam suits heatmaps, whose gradients differ much from layer to layer.
const POSE: &str = "epochs = 12\nbatch_size = 16\nmodel = \"pose-small\"\ndata.name = \"pose\"\n\
                    optimizer = { name = \"adamw\", learning_rate = 0.003, weight_decay = 0.0001 }\n\
                    pose = { scale = 0.15, rotation = 15.0 }\n";

/// A pretrained network needs small steps.
const FINE_TUNE: &str = "epochs = 3\nbatch_size = 32\nmodel = \"transformer\"\ndata.name = \"sst2\"\n\
                         optimizer = { name = \"adamw\", learning_rate = 5e-5, weight_decay = 0.01 }\n";

/// The learning rate of fine-tuning where most weights of the pretrained network stay as they are:
/// the few that are new need larger steps. `None` where all are trained.
fn rate_of_few(settings: &Table) -> Option<f64> {
    let trained = settings.get("text")?.get("trained")?;
    let is = |name| trained.as_str() == Some(name) || trained.get(name).is_some();
    if is("lora") { Some(1e-3) } else { is("head").then_some(1e-2) }
}

#[cfg(test)]
mod tests {
    use lowland_tasks::Spec;
    use lowland_tasks::config::TrainConfig;

    use super::*;

    #[test]
    fn every_preset_holds_known_settings() {
        for task in TaskKind::value_variants() {
            let settings = task.settings(&Table::new());
            assert_eq!(settings.is_empty(), matches!(task, TaskKind::Classify), "{task:?}");
            Spec::try_from(settings.try_into::<TrainConfig>().unwrap()).unwrap();
        }
    }
}
