//! Text classification and regression with a pretrained transformer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use lowland::Samples;
use serde_json::{Map, Value, json};

use super::{
    AnySource, Boxed, Inputs, Learning, OnHost, Outcome, Split, Task, TaskBatch, Wording,
    class_answers, number, numeric, only, split::Parts,
};
use crate::answer::Answer;
use crate::config::{TextConfig, TrainConfig};
use crate::data::files::{self, Each};
use crate::data::{AugmentConfig, LabelNoise, Source, Subset, TargetTensor, redraw_labels};
use crate::models::Model;
use crate::regression::{pearson, spearman};
use crate::text::{
    BertConfig, Columns, Confusion, FineTuning, HostTextBatch, Metric, Text, TextBatch,
    TextClassifier, TextKind, TextSet, TextSplits, TextTokenizer, Unlabelled, folder_of, inputs,
    line_error, weights_of,
};
use crate::weights::{self, Export};
use crate::{Error, Result};
use lowland::cross_entropies;

/// Texts or pairs of them: labelled, where the loss is the cross entropy, or with a number to find
/// in each, where it is the squared error.
#[derive(Debug, Clone)]
pub struct TextTask {
    parts: Parts<TextSet>,
    noise: LabelNoise,
    /// What a classification is measured by; `None` where numbers are looked for.
    metric: Option<Metric>,
    /// What was left out of the data set, or decided about it.
    remarks: Vec<String>,
    reading: Reading,
    pretrained: Arc<Pretrained>,
}

/// How texts without labels are read, which is as those of training were.
#[derive(Debug, Clone)]
struct Reading {
    columns: Columns,
    /// Whether training texts were single ones, and whether they were pairs; some tables have both.
    single: bool,
    pairs: bool,
}

impl Reading {
    /// Texts with their names, each that of its file and its line, and what is odd about the file.
    fn inputs(&self, path: &Path) -> Result<Unlabelled<String>> {
        let found = inputs(path, &files::read(path)?, &self.columns)?;
        let Unlabelled { texts, mut damaged, remark } = found;
        let checked = texts.into_iter().map(|(text, line)| match text.second {
            Some(_) if !self.pairs => {
                let expected = "single texts, as in training";
                let found = "two texts: leave out the second, and the tab or its column";
                Err(line_error(path, line, expected, found.to_owned()))
            }
            None if !self.single => {
                let expected = "pairs of texts, as in training: in a table two columns named \
                                    as there, in lines of text a tab between the two";
                Err(line_error(path, line, expected, "a single text".to_owned()))
            }
            _ => Ok((text, format!("{}:{line}", path.display()))),
        });
        let fits = |text: Result<_>| text.map_err(|error| damaged.push(error)).ok();
        let texts: Vec<(Text, String)> = checked.filter_map(fits).collect();
        damaged.sort_by_key(Error::first_line);
        // A file without a text is none that can be used.
        let nothing_left = texts.is_empty().then(|| std::mem::take(&mut damaged));
        match nothing_left.and_then(|lines| Error::several_needed("damaged lines", lines)) {
            Some(error) => Err(error),
            None => Ok(Unlabelled { texts, damaged, remark }),
        }
    }
}

impl TextTask {
    /// Loads the texts of a task as the tokens of the pretrained network that `config` starts from.
    ///
    /// # Errors
    /// Whatever reading data and tokenizer gives, values out of range, and settings that are for
    /// images.
    pub fn load(kind: TextKind, config: &TrainConfig) -> Result<Self> {
        only("quantise", config.quantise.is_none(), "is not supported for text tasks")?;
        let is_varied = config.augment != AugmentConfig::none();
        only("augment", !is_varied, "is not supported for text tasks")?;
        let folder = config.data.name.folder(config.data.dir.as_deref())?;
        let metric = kind.metric();
        if metric.is_none() {
            numeric::refuse_what_is_for_classes(config)?;
        }
        let from = pretrained(config)?;
        let model = folder_of(&from);
        let tokenizer = TextTokenizer::from_folder(model, text(config).max_length)?;
        let corpus = kind
            .corpus(&folder, &config.data.columns(), config.data.skip_damaged)
            .map_err(|error| config.data.name.with_way(error, config.data.dir.as_deref()))?;
        let texts = &corpus.train.texts;
        let reading = Reading {
            columns: kind.columns_of_inputs(&config.data.columns(), &corpus.columns)?,
            single: texts.iter().any(|text| text.second.is_none()),
            pairs: texts.iter().any(|text| text.second.is_some()),
        };
        let TextSplits { train, validation, test, remarks } = corpus.tokenised(&tokenizer)?;
        let mut parts = Parts::new(train, validation, test, &config.data)?;
        let noise = redraw_labels(parts.train_mut(), config.data.label_noise, config.seed)?;
        let (mut pretrained, mut all) = Pretrained::of(model, &tokenizer)?;
        pretrained.name_classes(parts.train.classes());
        all.extend(remarks);
        all.extend(parts.remarks().iter().cloned());
        if !config.new_head && !weights::is_lowlands(&weights_of(&from)?)? {
            all.push("the last layer is drawn anew: the weights have none of Lowland's".to_owned());
        }
        let pretrained = Arc::new(pretrained);
        Ok(Self { parts, noise, metric, remarks: all, reading, pretrained })
    }

    /// What was taken for what, from the marks of texts with classes.
    fn confusion(&self, marks: &[f64]) -> Confusion {
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
        confusion
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

    /// Names the classes, as Hugging Face does, and the network. Without classes it is a
    /// regression, whose one output Hugging Face names, too.
    fn name_classes(&mut self, classes: &[String]) {
        let output = ["LABEL_0".to_owned()];
        let classes = if classes.is_empty() {
            self.config.insert("problem_type".to_owned(), json!("regression"));
            &output
        } else {
            // That of the network it started from may be another.
            self.config.remove("problem_type");
            classes
        };
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
        let wording = Wording::labelled("text", "texts");
        let Some(metric) = self.metric else {
            return Wording {
                class: "number".to_owned(),
                classes: "numbers".to_owned(),
                right: String::new(),
                measure: "Pearson's correlation".to_owned(),
                meaning:
                    "The correlation of the numbers found with those of the test set, times 100"
                        .to_owned(),
                ..wording
            };
        };
        let meaning = match metric {
            Metric::Accuracy => return wording,
            Metric::F1 => {
                let second = self.class_names().into_iter().nth(1).unwrap_or_default();
                format!("The F1 score of the class {second:?} on the test set, times 100")
            }
            Metric::Matthews => {
                "The correlation of the classes found with those of the test set, times 100"
                    .to_owned()
            }
        };
        Wording { right: String::new(), measure: metric.name().to_owned(), meaning, ..wording }
    }

    fn classes(&self) -> usize {
        self.parts.train.targets().outputs()
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

    /// Tables as those of training, and files with one text a line, or two with a tab between them.
    fn inputs(&self, config: &TrainConfig, paths: &[PathBuf]) -> Result<Inputs> {
        let from = pretrained(config)?;
        let tokenizer = TextTokenizer::from_folder(folder_of(&from), text(config).max_length)?;
        let (mut texts, mut names, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
        let mut each = Each::of(paths, |path| self.reading.inputs(path));
        let damaged =
            each.read.iter_mut().flat_map(|(_, read)| std::mem::take(&mut read.damaged)).collect();
        let (all, left_out) = each.or_left_out(damaged, config.data.skip_damaged)?;
        for (_, of_file) in all {
            let Unlabelled { texts: of_file, remark, .. } = of_file;
            let (of_file, named): (Vec<Text>, Vec<String>) = of_file.into_iter().unzip();
            remarks.extend(remark);
            texts.extend(of_file);
            names.extend(named);
        }
        remarks.extend(left_out);
        let targets = self.parts.train.targets().blank(texts.len());
        let set = TextSet::with_targets(&texts, targets, &tokenizer)?;
        Ok(Inputs { source: Box::new(Boxed(TextSource(Arc::new(set)))), names, remarks })
    }

    fn class_counts(&self) -> Option<Vec<usize>> {
        self.parts.train.targets().class_counts()
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

    /// With `config.json` and `tokenizer.json`, so that the folder of the run is that of a model.
    fn export(&self, config: &TrainConfig) -> Result<Export> {
        let mut export = Export::of(config.model.name(), &self.class_names());
        let Pretrained { config, tokenizer } = &*self.pretrained;
        let config = format!("{:#}\n", Value::Object(config.clone())).into_bytes();
        let files = [("config.json", config), ("tokenizer.json", tokenizer.clone())];
        export.files = files.map(|(name, contents)| (name.to_owned(), contents)).into();
        Ok(export)
    }

    /// What GLUE measures the task by; Pearson's correlation where numbers are looked for.
    fn measured(&self, outcome: &Outcome) -> f64 {
        match self.metric {
            Some(Metric::Accuracy) => outcome.accuracy(),
            Some(metric) => metric.of(&self.confusion(&outcome.marks)),
            None => pearson(&numeric::pairs(&outcome.marks)),
        }
    }

    /// The accuracy where GLUE measures the task by another figure, and where numbers are looked
    /// for Spearman's correlation.
    fn scores(&self, _split: Split, marks: &[f64]) -> BTreeMap<String, f64> {
        let score = match self.metric {
            Some(Metric::Accuracy) => None,
            Some(_) => Some((Metric::Accuracy.name(), self.confusion(marks).accuracy())),
            None => Some(("Spearman's correlation", spearman(&numeric::pairs(marks)))),
        };
        score.into_iter().map(|(name, score)| (name.to_owned(), score)).collect()
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
        let (input, targets) = self.select(samples);
        let outputs = model.read(input);
        match targets {
            TargetTensor::Labels(labels) => learning.cross_entropies(outputs, labels),
            TargetTensor::Numbers(numbers) => numeric::squared_errors(outputs, numbers),
        }
    }

    fn answers(&self, model: &Model) -> Result<Vec<Answer>> {
        let outputs = model.read(self.input.clone());
        match &self.targets {
            TargetTensor::Labels(labels) => class_answers(outputs, labels.clone()),
            TargetTensor::Numbers(_) => numeric::answers(outputs),
        }
    }

    fn measure(&self, model: &Model) -> Result<Outcome> {
        let logits = model.read(self.input.clone()); // [batch, classes]
        let labels = match self.targets.clone() {
            TargetTensor::Labels(labels) => labels,
            TargetTensor::Numbers(numbers) => return numeric::outcome(logits, numbers),
        };
        let count = self.indices.len();
        let answers = logits.clone().argmax(1).reshape([count]);
        let loss = number(cross_entropies(logits, labels.clone(), 0.0).sum())?;
        let (labels, answers) = (numbers(labels)?, numbers(answers)?);
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
