//! The sizes of a BERT, from its `config.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::data::files::{format_error, read};
use crate::{Error, Result};

/// The file of a model folder that is read here.
const FILE: &str = "config.json";

/// The sizes of a BERT encoder.
///
/// What `config.json` leaves out is as Hugging Face's `BertConfig` has it, which is `BERT-base`.
/// What else it says is not looked at: the probabilities of dropout in it are those of the
/// pretraining, and [`FineTuning`](super::FineTuning) has its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// Tokens that have an embedding, at most 2²⁰.
    pub vocab_size: usize,
    /// Numbers that stand for a token between layers, at most 16,384; a multiple of the number of
    /// heads.
    pub hidden_size: usize,
    /// Layers, at most 128.
    pub num_hidden_layers: usize,
    /// Heads of the attention of each layer.
    pub num_attention_heads: usize,
    /// Numbers that stand for a token inside the feed-forward part of a layer, at most 65,536.
    pub intermediate_size: usize,
    /// The most tokens of a text, at most 65,535.
    pub max_position_embeddings: usize,
    /// Kinds of tokens (those of the first and of the second sentence), at most 256.
    pub type_vocab_size: usize,
    /// What is added to a variance before the root is taken.
    pub layer_norm_eps: f64,
    /// The token that fills up texts that are shorter than others of their batch.
    pub pad_token_id: usize,
    model_type: String,
    hidden_act: String,
    position_embedding_type: String,
}

impl Default for BertConfig {
    /// The defaults of Hugging Face.
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: 0,
            model_type: "bert".to_owned(),
            hidden_act: "gelu".to_owned(),
            position_embedding_type: "absolute".to_owned(),
        }
    }
}

/// The entries of `config.json` that decide what is computed.
const ENTRIES: [&str; 10] = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "model_type",
    "hidden_act",
];

impl BertConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read, [`Error::Format`] if it is not the configuration
    /// of a BERT with exact GELU and learned positions, or has a size outside its range.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let config: Self = serde_json::from_slice(&read(&path)?).map_err(|error| {
            format_error(&path, "the sizes of a BERT as JSON".to_owned(), error.to_string())
        })?;
        config.check(&path)?;
        Ok(config)
    }

    /// `config.json` as it is, and the entries that it leaves out, of those that decide what is
    /// computed.
    ///
    /// # Errors
    ///
    /// As [`from_folder`](Self::from_folder).
    pub(crate) fn entries(folder: &Path) -> Result<(Map<String, Value>, Vec<&'static str>)> {
        let path = folder.join(FILE);
        let entries: Map<String, Value> =
            serde_json::from_slice(&read(&path)?).map_err(|error| {
                format_error(&path, "the sizes of a BERT as JSON".to_owned(), error.to_string())
            })?;
        let missing = ENTRIES.into_iter().filter(|name| !entries.contains_key(*name)).collect();
        Ok((entries, missing))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let wrong =
            |expected: &str, found: String| Err(format_error(path, expected.to_owned(), found));
        for (name, found, expected) in [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ] {
            if found != expected {
                return wrong(&format!("{name} to be {expected:?}"), format!("{found:?}"));
            }
        }
        for (name, found, most) in [
            ("vocab_size", self.vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 14),
            ("num_hidden_layers", self.num_hidden_layers, 128),
            ("num_attention_heads", self.num_attention_heads, self.hidden_size),
            ("intermediate_size", self.intermediate_size, 1 << 16),
            ("max_position_embeddings", self.max_position_embeddings, usize::from(u16::MAX)),
            ("type_vocab_size", self.type_vocab_size, 256),
        ] {
            if found == 0 || found > most {
                return wrong(&format!("{name} to be from 1 to {most}"), found.to_string());
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let found = format!("{} and {}", self.hidden_size, self.num_attention_heads);
            return wrong("hidden_size to be a multiple of num_attention_heads", found);
        }
        if self.pad_token_id >= self.vocab_size {
            let expected = format!("pad_token_id to be below {}", self.vocab_size);
            return wrong(&expected, self.pad_token_id.to_string());
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return wrong("layer_norm_eps between 0 and 1", self.layer_norm_eps.to_string());
        }
        Ok(())
    }

    /// How many weights the encoder has. The pooler of a published BERT, a layer behind the first
    /// token that the mean over tokens has no use for, is not among them.
    pub fn parameter_count(&self) -> u64 {
        let [hidden, inner] = [self.hidden_size, self.intermediate_size].map(|n| n as u64);
        let norm = 2 * hidden;
        let tables = self.vocab_size + self.max_position_embeddings + self.type_vocab_size;
        let attention = 4 * (hidden * hidden + hidden) + norm;
        let feed_forward = 2 * hidden * inner + inner + hidden + norm;
        tables as u64 * hidden + norm + self.num_hidden_layers as u64 * (attention + feed_forward)
    }

    /// Fails as a setting of this name unless `length` tokens have positions.
    pub(crate) fn check_length(&self, field: &'static str, length: usize) -> Result<()> {
        if length <= self.max_position_embeddings {
            return Ok(());
        }
        let found = format!("{length} of {}", self.max_position_embeddings);
        Err(Error::Setting { field, found, allowed: "at most the positions that the model knows" })
    }
}
