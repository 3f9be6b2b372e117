//! Text classification with a pretrained transformer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use lowland::Samples;

use super::{
    AnySource, Boxed, Learning, Limits, OnHost, Outcome, Split, Task, TaskBatch, Wording, number,
    only,
};
use crate::config::{TextConfig, TrainConfig};
use crate::data::subset::{drawn, part_of};
use crate::data::{LabelNoise, Source, Subset, redraw_labels};
use crate::models::Model;
use crate::text::{
    Confusion, HostTextBatch, Metric, TextBatch, TextClassifier, TextKind, TextSet, TextSplits,
    TextTokenizer,
};
use crate::{Error, Result};
use lowland::cross_entropies;

/// Labelled texts, or pairs of them. The loss is the cross entropy.
#[derive(Debug, Clone)]
pub struct TextTask {
    train: Arc<TextSet>,
    test: Arc<TextSet>,
    noise: LabelNoise,
    metric: Metric,
    /// What was left out of the data set, or decided about it.
    remarks: Vec<String>,
    limits: Limits,
    /// The seed of every part that is drawn of these.
    subset_seed: u64,
}

impl TextTask {
    /// Loads the texts of a task as the tokens of the pretrained network that `config` starts from.
    ///
    /// # Errors
    /// Whatever reading data and tokenizer gives, values out of range, and settings that are for
    /// images.
    pub fn load(kind: TextKind, config: &TrainConfig) -> Result<Self> {
        only("quantise", config.quantise.is_none(), "left out for texts")?;
        let folder = config.data.name.folder(config.data.dir.as_deref())?;
        let tokenizer = TextTokenizer::from_folder(&pretrained(config)?, text(config).max_length)?;
        let corpus = kind
            .corpus(&folder, &config.data.columns(), config.data.skip_damaged)
            .map_err(|error| config.data.name.with_way(error, config.data.dir.as_deref()))?;
        let TextSplits { train, validation, test, mut remarks } = corpus.tokenised(&tokenizer)?;
        if let Some(validation) = validation {
            remarks.push(format!("the validation part ({} texts) is not used", validation.len()));
        }
        let (data, mut limits) = (&config.data, Limits::default());
        let subset_seed = data.subset_seed;
        let mut train = limits.cut(Split::Train, train, data.train_limit, subset_seed)?;
        let test = limits.cut(Split::Test, test, data.test_limit, subset_seed)?;
        let noise = redraw_labels(Arc::make_mut(&mut train), config.data.label_noise, config.seed)?;
        Ok(Self { train, test, noise, metric: kind.metric(), remarks, limits, subset_seed })
    }

    fn set(&self, split: Split) -> &Arc<TextSet> {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

/// The folder of the pretrained network.
fn pretrained(config: &TrainConfig) -> Result<PathBuf> {
    config.from.clone().ok_or_else(|| Error::Setting {
        field: "from",
        found: "none".to_owned(),
        allowed: "the folder of a pretrained transformer: config.json, model.safetensors and tokenizer.json",
    })
}

impl Task for TextTask {
    fn wording(&self) -> Wording {
        Wording::labelled("text", "texts")
    }

    fn classes(&self) -> usize {
        self.train.classes().len()
    }

    fn count(&self, split: Split) -> usize {
        self.set(split).len()
    }

    fn checksum(&self, split: Split) -> String {
        self.set(split).sha256()
    }

    fn labels_changed(&self) -> usize {
        self.noise.changed
    }

    fn to_learn(&self, _config: &TrainConfig) -> Result<AnySource> {
        Ok(Box::new(Boxed(TextSource(Arc::clone(&self.train)))))
    }

    fn to_measure(&self, split: Split, at_most: usize) -> Result<AnySource> {
        let (set, _) = part_of(Arc::clone(self.set(split)), at_most, self.subset_seed)?;
        Ok(Box::new(Boxed(TextSource(Arc::new(set.by_length())))))
    }

    fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>> {
        let found = drawn(&**self.set(split), Some(at_most), self.subset_seed)?;
        Ok(found.map(|(_, subset)| subset))
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn limited(&self, split: Split) -> Option<Subset> {
        self.limits.of(split)
    }

    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        config.model.require_text()?;
        let (folder, tuning) = (pretrained(config)?, text(config).tuning());
        let network =
            TextClassifier::from_folder(&folder, self.classes(), &tuning, config.seed, device)?;
        Ok(Model::Transformer(network))
    }

    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        self.start(config, device)
    }

    /// What GLUE measures the task by, where that is not the accuracy.
    fn scores(&self, marks: &[f64]) -> BTreeMap<String, f64> {
        if self.metric == Metric::Accuracy {
            return BTreeMap::new();
        }
        let mut confusion = Confusion::new(self.classes());
        for pair in marks.chunks_exact(2) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "classes are small whole numbers"
            )]
            let [label, answer] = [pair[0] as u16, pair[1] as u16];
            confusion.add(label, answer);
        }
        [(self.metric.name().to_owned(), self.metric.of(&confusion))].into()
    }
}

/// Texts that become batches, each as it is, those of like length together.
#[derive(Debug)]
struct TextSource(Arc<TextSet>);

impl Source for TextSource {
    type Batch = HostTextBatch;

    fn sample_count(&self) -> usize {
        self.0.len()
    }

    fn order(&self, seed: u64, epoch: u64, batch_size: usize) -> Vec<usize> {
        self.0.grouped_order(seed, epoch, batch_size)
    }

    fn prepare(&self, _epoch: u64, indices: &[usize]) -> HostTextBatch {
        self.0.batch(indices)
    }
}

impl OnHost for HostTextBatch {
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn TaskBatch> {
        Box::new((*self).to_device(device))
    }
}

impl TaskBatch for TextBatch {
    fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn piece(&self, range: Range<usize>) -> Box<dyn TaskBatch> {
        Box::new(self.piece(range))
    }

    fn losses(&self, model: &Model, samples: &Samples, learning: Learning) -> Tensor<1> {
        let (input, labels) = self.select(samples);
        cross_entropies(model.read(input), labels, learning.smoothing)
    }

    fn measure(&self, model: &Model) -> Result<Outcome> {
        let logits = model.read(self.input.clone()); // [batch, classes]
        let count = self.indices.len();
        let answers = logits.clone().argmax(1).reshape([count]);
        let loss = number(cross_entropies(logits, self.labels.clone(), 0.0).sum())?;
        let (labels, answers) = (numbers(self.labels.clone())?, numbers(answers)?);
        let pairs = || labels.iter().zip(&answers);
        let right = pairs().filter(|(label, answer)| label == answer).count();
        let marks = pairs().flat_map(|(label, answer)| [*label as f64, *answer as f64]).collect();
        Ok(Outcome { loss, right: right as f64, answers: count as f64, marks })
    }
}

fn numbers(tensor: Tensor<1, Int>) -> Result<Vec<i64>> {
    let data = tensor
        .try_into_data()
        .map_err(|error| Error::Algorithm(lowland::Error::ReadBack(error.to_string())))?;
    Ok(data.iter::<i64>().collect())
}

/// How the transformer is fine-tuned.
fn text(config: &TrainConfig) -> TextConfig {
    config.text.clone().unwrap_or_default()
}
