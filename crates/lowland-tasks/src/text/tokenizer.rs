//! From text to tokens.

use std::path::Path;

use ahash::AHashMap;
use serde::Deserialize;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{
    AddedToken, EncodeInput, Encoding, PostProcessor, Tokenizer, TruncationDirection,
    TruncationParams, TruncationStrategy, decoders,
};

use super::{BertConfig, Text, Tokens};
use crate::data::files::{format_error, read};
use crate::{Error, Result};

/// The file of a model folder that is read here.
const FILE: &str = "tokenizer.json";

/// What stands in for it in folders of the first BERTs: a token a line.
const VOCABULARY: &str = "vocab.txt";

/// Where such a folder says whether texts are put in lower case.
const SETTINGS: &str = "tokenizer_config.json";

/// Texts that are tokenised at a time; bounds the memory that it takes, for the tokenizer keeps
/// much more of each text than is kept here.
const AT_A_TIME: usize = 1024;

/// Turns texts into tokens of a pretrained network.
#[derive(Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    sizes: BertConfig,
}

/// A text that could not be tokenised.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its place, or that of the first of some of which one is at fault.
    pub(crate) index: usize,
    pub(crate) found: String,
}

impl TextTokenizer {
    /// Reads `tokenizer.json` of a model folder, or makes the tokenizer of a BERT from its
    /// `vocab.txt`, in lower case unless `do_lower_case` in `tokenizer_config.json` says otherwise.
    /// Texts of more than `max_length` tokens, those that
    /// the network wants around a text included, are cut; of two texts, the longer one first.
    ///
    /// How the file itself would cut and fill up is of no effect.
    ///
    /// # Errors
    ///
    /// The errors of [`BertConfig::from_folder`]; [`Error::File`] or [`Error::Format`] if the file
    /// cannot be read, or has tokens that the network has no embedding for; [`Error::Setting`]
    /// if `max_length` leaves no room for a text, or is more than the network knows positions.
    pub fn from_folder(folder: &Path, max_length: usize) -> Result<Self> {
        let sizes = BertConfig::from_folder(folder)?;
        sizes.check_length("text.max_length", max_length)?;
        let path = folder.join(FILE);
        let (path, tokenizer) = match (path.is_file(), folder.join(VOCABULARY)) {
            (false, vocabulary) if vocabulary.is_file() => {
                let tokenizer = word_pieces(&vocabulary, is_lower_case(folder)?)?;
                (vocabulary, tokenizer)
            }
            _ => {
                let tokenizer = Tokenizer::from_bytes(read(&path)?).map_err(|error| {
                    format_error(&path, "a tokenizer as JSON".to_owned(), error.to_string())
                })?;
                (path, tokenizer)
            }
        };
        if let Some((token, id)) = largest(&tokenizer)
            && id as usize >= sizes.vocab_size
        {
            let expected = format!("tokens below {}, as in config.json", sizes.vocab_size);
            return Err(format_error(&path, expected, format!("{token:?} with number {id}")));
        }
        Ok(Self { tokenizer: cut(tokenizer, &path, max_length)?, sizes })
    }

    /// The tokenizer as the contents of a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it cannot be put in JSON.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let mut tokenizer = self.tokenizer.clone();
        // Cutting is a setting of the run.
        let cleared = tokenizer.with_truncation(None).map(|_| ());
        let text = cleared.and_then(|()| tokenizer.to_string(true));
        text.map(String::into_bytes).map_err(|error| Error::Setting {
            field: "tokenizer",
            found: error.to_string(),
            allowed: "one that can be written as JSON",
        })
    }

    /// How the tokenizer of a folder was made, where it was not read from `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// Settings that cannot be read.
    pub(crate) fn remark(folder: &Path) -> Result<Option<String>> {
        if folder.join(FILE).is_file() {
            return Ok(None);
        }
        let case = if is_lower_case(folder)? { "in lower case" } else { "in their own case" };
        Ok(Some(format!(
            "the tokenizer is made from {VOCABULARY}, as BERT's: texts are read {case}"
        )))
    }

    /// The token that fills up a text.
    pub fn padding(&self) -> u32 {
        u32::try_from(self.sizes.pad_token_id).unwrap_or_default() // below 2²⁰, as it was checked
    }

    /// The most tokens of a text.
    pub fn max_length(&self) -> usize {
        self.tokenizer.get_truncation().map_or(0, |truncation| truncation.max_length)
    }

    /// The tokens of texts: of one each, or of two that belong together.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a text has no token or one that the network does not know.
    pub fn encode(&self, texts: &[Text]) -> Result<Vec<Tokens>> {
        let all = self.encode_or_tell(texts).map_err(|fault| Error::Setting {
            field: "texts",
            found: format!("{} in text {}", fault.found, fault.index),
            allowed: "texts of tokens that the network knows",
        });
        all.map(|(tokens, _)| tokens)
    }

    /// The tokens of texts, and how many of these were cut.
    pub(crate) fn encode_or_tell(&self, texts: &[Text]) -> Result<(Vec<Tokens>, usize), Fault> {
        let (mut all, mut cut) = (Vec::with_capacity(texts.len()), 0);
        for (part, texts) in texts.chunks(AT_A_TIME).enumerate() {
            let first = part * AT_A_TIME;
            let inputs: Vec<EncodeInput<'_>> = texts
                .iter()
                .map(|text| match &text.second {
                    Some(second) => (text.first.as_str(), second.as_str()).into(),
                    None => text.first.as_str().into(),
                })
                .collect();
            let encoded = self
                .tokenizer
                .encode_batch_fast(inputs, true)
                .map_err(|error| Fault { index: first, found: error.to_string() })?;
            for (i, encoding) in encoded.iter().enumerate() {
                cut += usize::from(!encoding.get_overflowing().is_empty());
                let tokens = self.tokens(encoding);
                all.push(tokens.map_err(|found| Fault { index: first + i, found })?);
            }
        }
        Ok((all, cut))
    }

    fn tokens(&self, encoding: &Encoding) -> Result<Tokens, String> {
        let ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            return Err("no token".to_owned());
        }
        // Special tokens are numbered by the template that adds them, not by the vocabulary.
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.sizes.vocab_size) {
            return Err(format!("token {id} of {}", self.sizes.vocab_size));
        }
        let types = encoding.get_type_ids().iter().map(|&kind| match u8::try_from(kind) {
            Ok(small) if usize::from(small) < self.sizes.type_vocab_size => Ok(small),
            _ => Err(format!("a token of type {kind} of {}", self.sizes.type_vocab_size)),
        });
        Ok(Tokens { ids, types: types.collect::<Result<_, _>>()? })
    }
}

/// Whether a folder without `tokenizer.json` wants texts in lower case, as most do.
fn is_lower_case(folder: &Path) -> Result<bool> {
    #[derive(Deserialize)]
    struct Settings {
        do_lower_case: Option<bool>,
    }
    let path = folder.join(SETTINGS);
    if !path.is_file() {
        return Ok(true);
    }
    let settings: Settings = serde_json::from_slice(&read(&path)?).map_err(|error| {
        format_error(&path, "the settings of a tokenizer as JSON".to_owned(), error.to_string())
    })?;
    Ok(settings.do_lower_case.unwrap_or(true))
}

/// The tokenizer of BERT with the tokens of a file, one a line.
fn word_pieces(path: &Path, lower_case: bool) -> Result<Tokenizer> {
    let expected = || "the tokens of a BERT, one a line, with [UNK], [CLS] and [SEP]".to_owned();
    let wrong = |error: tokenizers::Error| format_error(path, expected(), error.to_string());
    let lines = String::from_utf8(read(path)?)
        .map_err(|error| format_error(path, expected(), error.to_string()))?;
    let tokens = lines.lines().map(|line| line.trim_end().to_owned()).zip(0..);
    let vocabulary: AHashMap<String, u32> = tokens.collect();
    let number = |token: &str| {
        let number = vocabulary.get(token).copied();
        number.ok_or_else(|| format_error(path, expected(), format!("no {token}")))
    };
    number("[UNK]")?;
    let ends = ["[SEP]", "[CLS]"].map(|token| Ok((token.to_owned(), number(token)?)));
    let [separator, start]: [Result<(String, u32)>; 2] = ends;
    let ends = BertProcessing::new(separator?, start?);
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let special: Vec<AddedToken> = special
        .into_iter()
        .filter(|token| vocabulary.contains_key(*token))
        .map(|token| AddedToken::from(token, true))
        .collect();
    let model = WordPiece::builder().vocab(vocabulary).build().map_err(wrong)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, true, None, lower_case)))
        .map_err(wrong)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(ends));
    tokenizer.with_decoder(Some(decoders::wordpiece::WordPiece::default()));
    tokenizer.add_special_tokens(special).map_err(wrong)?;
    Ok(tokenizer)
}

/// The token with the largest number.
fn largest(tokenizer: &Tokenizer) -> Option<(String, u32)> {
    tokenizer.get_vocab(true).into_iter().max_by(|a, b| (a.1, &b.0).cmp(&(b.1, &a.0)))
}

/// The tokenizer, made to cut at `max_length` and to fill up nothing.
fn cut(mut tokenizer: Tokenizer, path: &Path, max_length: usize) -> Result<Tokenizer> {
    let added = [false, true].map(|two| {
        tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(two))
    });
    // The tokenizer subtracts without a look.
    if max_length < added[0].max(added[1]) + 2 {
        let found = format!("{max_length}, with {} tokens around texts", added[0].max(added[1]));
        let allowed = "enough for the tokens around texts and two more";
        return Err(Error::Setting { field: "text.max_length", found, allowed });
    }
    let truncation = TruncationParams {
        direction: TruncationDirection::Right,
        max_length,
        strategy: TruncationStrategy::LongestFirst,
        stride: 0,
    };
    tokenizer.with_padding(None);
    tokenizer.with_truncation(Some(truncation)).map_err(|error| {
        format_error(path, "a tokenizer that can cut".to_owned(), error.to_string())
    })?;
    Ok(tokenizer)
}
