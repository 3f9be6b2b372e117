//! Text classification with a pretrained transformer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use lowland::Samples;
use serde_json::{Map, Value, json};

use super::{
    AnySource, Boxed, Inputs, Learning, OnHost, Outcome, Split, Task, TaskBatch, Wording,
    class_answers, number, only, split::Parts,
};
use crate::answer::Answer;
use crate::config::{TextConfig, TrainConfig};
use crate::data::{LabelNoise, Source, Subset, files, redraw_labels};
use crate::models::Model;
use crate::text::{
    BertConfig, Confusion, FineTuning, HostTextBatch, Metric, Text, TextBatch, TextClassifier,
    TextKind, TextSet, TextSplits, TextTokenizer, folder_of, weights_of,
};
use crate::weights::{self, Export};
use crate::{Error, Result};
use lowland::cross_entropies;

/// Labelled texts, or pairs of them. The loss is the cross entropy.
#[derive(Debug, Clone)]
pub struct TextTask {
    parts: Parts<TextSet>,
    noise: LabelNoise,
    metric: Metric,
    /// What was left out of the data set, or decided about it.
    remarks: Vec<String>,
    pretrained: Arc<Pretrained>,
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
        let from = pretrained(config)?;
        let model = folder_of(&from);
        let tokenizer = TextTokenizer::from_folder(model, text(config).max_length)?;
        let corpus = kind
            .corpus(&folder, &config.data.columns(), config.data.skip_damaged)
            .map_err(|error| config.data.name.with_way(error, config.data.dir.as_deref()))?;
        let TextSplits { train, validation, test, remarks } = corpus.tokenised(&tokenizer)?;
        let mut parts = Parts::new(train, validation, test, &config.data)?;
        let noise = redraw_labels(parts.train_mut(), config.data.label_noise, config.seed)?;
        let (mut pretrained, mut all) = Pretrained::of(model, &tokenizer)?;
        pretrained.name_classes(parts.train.classes());
        all.extend(remarks);
        if !config.new_head && !weights::is_lowlands(&weights_of(&from)?)? {
            all.push("the last layer is drawn anew: the weights have none of Lowland's".to_owned());
        }
        let pretrained = Arc::new(pretrained);
        let metric = kind.metric();
        Ok(Self { parts, noise, metric, remarks: all, pretrained })
    }
}

/// What a folder of a pretrained network says of it, to be written beside the weights of a run.
#[derive(Debug, Clone)]
struct Pretrained {
    /// The contents of `config.json`.
    config: Map<String, Value>,
    /// The contents of `tokenizer.json`.
    tokenizer: Vec<u8>,
}

impl Pretrained {
    /// What a folder says, and what was decided about it.
    fn of(folder: &Path, tokenizer: &TextTokenizer) -> Result<(Self, Vec<String>)> {
        let (config, missing) = BertConfig::entries(folder)?;
        let mut remarks = Vec::new();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            remarks.push(format!("config.json leaves out {missing}: as BERT-base has it"));
        }
        remarks.extend(TextTokenizer::remark(folder)?);
        Ok((Self { config, tokenizer: tokenizer.to_json()? }, remarks))
    }

    /// Names the classes, as Hugging Face does, and the network.
    fn name_classes(&mut self, classes: &[String]) {
        let by_number = classes.iter().enumerate().map(|(i, class)| (i.to_string(), json!(class)));
        let by_name = classes.iter().enumerate().map(|(i, class)| (class.clone(), json!(i)));
        self.config.insert("id2label".to_owned(), Value::Object(by_number.collect()));
        self.config.insert("label2id".to_owned(), Value::Object(by_name.collect()));
        self.config.insert("architectures".to_owned(), json!(["BertModel"]));
        self.config.insert("model_type".to_owned(), json!("bert"));
        self.config.insert("torch_dtype".to_owned(), json!("float32"));
    }
}

/// The folder of the pretrained network.
fn pretrained(config: &TrainConfig) -> Result<PathBuf> {
    config.from.clone().ok_or_else(|| Error::Setting {
        field: "from",
        found: "none".to_owned(),
        allowed: "the folder of a pretrained transformer: config.json, model.safetensors or pytorch_model.bin, \
                  tokenizer.json or vocab.txt; or that of a run that fine-tuned one",
    })
}

impl Task for TextTask {
    fn wording(&self) -> Wording {
        Wording::labelled("text", "texts")
    }

    fn classes(&self) -> usize {
        self.parts.train.classes().len()
    }

    fn count(&self, split: Split) -> usize {
        self.parts.count(split)
    }

    fn checksum(&self, split: Split) -> String {
        self.parts.of(split).map_or_else(|_| String::new(), |set| set.sha256())
    }

    fn class_names(&self) -> Vec<String> {
        self.parts.train.classes().to_vec()
    }

    /// One text a line, or two with a tab between them.
    fn inputs(&self, config: &TrainConfig, paths: &[PathBuf]) -> Result<Inputs> {
        let from = pretrained(config)?;
        let tokenizer = TextTokenizer::from_folder(folder_of(&from), text(config).max_length)?;
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        for path in paths {
            let contents = String::from_utf8(files::read(path)?).map_err(|_| Error::Format {
                path: path.clone(),
                expected: "text in UTF-8".to_owned(),
                found: "other bytes".to_owned(),
            })?;
            for (index, line) in contents.lines().enumerate() {
                let refused = |found: &str| Error::Line {
                    path: path.clone(),
                    line: index + 1,
                    expected: "a text, or two with a tab between them".to_owned(),
                    found: found.to_owned(),
                };
                let columns: Vec<&str> = line.split('\t').collect();
                texts.push(match columns.as_slice() {
                    [one] if !one.trim().is_empty() => Text::from(*one),
                    [one, two] => Text::from((*one, *two)),
                    [_] => return Err(refused("an empty line")),
                    more => return Err(refused(&format!("{} columns", more.len()))),
                });
                names.push(format!("{}:{}", path.display(), index + 1));
            }
        }
        let labels = vec![0; texts.len()];
        let set = TextSet::new(&texts, labels, self.class_names(), &tokenizer)?;
        Ok(Inputs { source: Box::new(Boxed(TextSource(Arc::new(set)))), names })
    }

    fn class_counts(&self) -> Option<Vec<usize>> {
        Some(self.parts.train.class_counts())
    }

    fn labels_changed(&self) -> usize {
        self.noise.changed
    }

    fn to_learn(&self, _config: &TrainConfig) -> Result<AnySource> {
        Ok(Box::new(Boxed(TextSource(Arc::clone(&self.parts.train)))))
    }

    fn to_measure(&self, split: Split, at_most: usize) -> Result<AnySource> {
        let set = self.parts.some(split, at_most)?;
        Ok(Box::new(Boxed(TextSource(Arc::new(set.by_length())))))
    }

    fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>> {
        self.parts.drawn(split, at_most)
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn limited(&self, split: Split) -> Option<Subset> {
        self.parts.limited(split)
    }

    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        config.model.require_text()?;
        let tuning = FineTuning { new_head: config.new_head, ..text(config).tuning() };
        let from = pretrained(config)?;
        let network =
            TextClassifier::from_folder(&from, self.classes(), &tuning, config.seed, device)?;
        Ok(Model::Transformer(network))
    }

    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        self.start(config, device)
    }

    fn chooses_by(&self) -> Option<&'static str> {
        (self.metric != Metric::Accuracy).then(|| self.metric.name())
    }

    /// With `config.json` and `tokenizer.json`, so that the folder of the run is that of a model.
    fn export(&self, config: &TrainConfig) -> Result<Export> {
        let mut export = Export::of(config.model.name(), &self.class_names());
        let Pretrained { config, tokenizer } = &*self.pretrained;
        let config = format!("{:#}\n", Value::Object(config.clone())).into_bytes();
        let files = [("config.json", config), ("tokenizer.json", tokenizer.clone())];
        export.files = files.map(|(name, contents)| (name.to_owned(), contents)).into();
        Ok(export)
    }

    /// What GLUE measures the task by, where that is not the accuracy.
    fn scores(&self, _split: Split, marks: &[f64]) -> BTreeMap<String, f64> {
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
        learning.cross_entropies(model.read(input), labels)
    }

    fn answers(&self, model: &Model) -> Result<Vec<Answer>> {
        class_answers(model.read(self.input.clone()), self.labels.clone())
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
