//! Fine-tuning a pretrained transformer on sentences.
//!
//! A folder with `config.json`, weights (`model.safetensors` or `pytorch_model.bin`) and
//! `tokenizer.json` or `vocab.txt`, as they are published for BERT and its kin, gives the
//! [`TextTokenizer`] and the [`TextClassifier`]; a folder with the files of a [`GlueTask`] gives
//! two [`TextSet`]s of tokens, and those the batches.
//!
//! ```
//! # use burn::tensor::Device;
//! use lowland_tasks::text::{FineTuning, GlueTask, TextClassifier, TextTokenizer};
//!
//! # let model = std::path::Path::new("tests/tiny-bert");
//! # let folder = tempfile::tempdir().unwrap();
//! # let data = folder.path();
//! # let rows = "sentence\tlabel\na fine film\t1\na dull one\t0\nfine again\t1\n";
//! # for file in ["train.tsv", "dev.tsv", "test.tsv"] {
//! #     std::fs::write(data.join(file), rows).unwrap();
//! # }
//! // `model` and `data` are paths of two such folders; a text gets at most 16 tokens.
//! let tokenizer = TextTokenizer::from_folder(model, 16)?;
//! let splits = GlueTask::Sst2.load(data, &tokenizer)?;
//!
//! let device = Device::flex().autodiff();
//! let classes = splits.train.classes().len();
//! let network = TextClassifier::from_folder(model, classes, &FineTuning::default(), 0, &device)?;
//! let batch = splits.train.batch(&[0, 1, 2]).to_device(&device);
//! let logits = network.forward(batch.input); // [3, classes]
//! # assert_eq!(logits.dims(), [3, 2]);
//! # Ok::<(), lowland_tasks::Error>(())
//! ```

mod batches;
mod bert;
mod classifier;
mod columns;
mod config;
mod corpus;
mod delimited;
mod files;
mod glue;
mod kind;
mod lora;
mod metrics;
mod objects;
mod rows;
mod table;
mod text_set;
mod tokenizer;
mod weights;

pub use batches::{HostTextBatch, TextBatch, TextInput};
pub use bert::{Bert, BertEmbeddings, BertLayer};
pub use classifier::{FineTuning, TextClassifier, Trained};
pub(crate) use columns::Columns;
pub use columns::TextColumns;
pub use config::BertConfig;
pub use corpus::{TextCorpus, Texts, parse_table};
pub use glue::GlueTask;
pub(crate) use kind::EXPECTED_FILES;
pub use kind::TextKind;
pub use lora::{LoraConfig, Projection};
pub use metrics::{Confusion, Metric};
pub(crate) use rows::line_error;
pub(crate) use table::{Unlabelled, inputs};
pub use text_set::{TextSet, TextSplits};
pub use tokenizer::TextTokenizer;
pub(crate) use weights::{folder_of, weights_of};

/// What is looked at as one: a text, or two that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, or the first of two.
    pub first: String,
    /// The second one, where there are two.
    pub second: Option<String>,
}

/// A [`Text`] as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The numbers of the tokens, at least one.
    pub ids: Vec<u32>,
    /// For each token, which text it is of: 0 or 1.
    pub types: Vec<u8>,
}

impl From<&str> for Text {
    fn from(first: &str) -> Self {
        Self { first: first.to_owned(), second: None }
    }
}

impl From<(&str, &str)> for Text {
    fn from((first, second): (&str, &str)) -> Self {
        Self { first: first.to_owned(), second: Some(second.to_owned()) }
    }
}
