//! Labelled texts as tokens.

use super::tokenizer::{Fault, TextTokenizer};
use super::{HostTextBatch, Text, Tokens};
use crate::checkpoint::sha256;
use crate::data::draw::{Purpose, generator, shuffle_front};
use crate::data::{Labelled, Targets, epoch_order};
use crate::{Error, Result};

/// Batches among which [`TextSet::grouped_order`] sorts by length.
const POOL: usize = 64;

/// Texts with a label or a number each, tokenised once.
///
/// The tokens of all texts lie one after the other. A set holds at least one text, and every label
/// names one of its classes.
#[derive(Clone, Debug, PartialEq)]
pub struct TextSet {
    ids: Vec<u32>,
    types: Vec<u8>,
    /// How many tokens each text has, at least one.
    lengths: Vec<u16>,
    /// Where each text starts.
    starts: Vec<usize>,
    targets: Targets,
    padding: u32,
    max_length: usize,
}

impl Labelled for TextSet {
    fn labels_and_classes(&mut self) -> (&mut [u16], usize) {
        self.targets.labels_and_classes()
    }
}

/// The parts of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct TextSplits {
    /// What is learned from.
    pub train: TextSet,
    /// What checkpoints and settings are chosen on, where the data set has such a part.
    pub validation: Option<TextSet>,
    /// What is only ever measured on.
    pub test: TextSet,
    /// What was left out or decided on the way, a line each.
    pub remarks: Vec<String>,
}

impl TextSet {
    /// Tokenises texts and puts their labels and class names to them.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no text, not one label a text, a label that is not below the
    /// number of classes, or a text that cannot be tokenised.
    pub fn new(
        texts: &[Text],
        labels: Vec<u16>,
        classes: Vec<String>,
        tokenizer: &TextTokenizer,
    ) -> Result<Self> {
        Self::with_targets(texts, Targets::Classes { labels, names: classes }, tokenizer)
    }

    /// Tokenises texts and puts to them what is looked for in each.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`Error::Setting`] for a number that is not finite.
    pub fn with_targets(
        texts: &[Text],
        targets: Targets,
        tokenizer: &TextTokenizer,
    ) -> Result<Self> {
        Self::check(texts, &targets)?;
        Ok(Self::of(&tokenizer.encode(texts)?, targets, tokenizer))
    }

    /// As [`new`](Self::new), for a reader that makes a message of its own from the text at fault.
    /// There is at least one text, with a label below the number of classes or a finite number. The
    /// second number is that of texts that are cut.
    pub(crate) fn new_or_tell(
        texts: &[Text],
        targets: Targets,
        tokenizer: &TextTokenizer,
    ) -> Result<(Self, usize), Fault> {
        let (tokens, cut) = tokenizer.encode_or_tell(texts)?;
        Ok((Self::of(&tokens, targets, tokenizer), cut))
    }

    fn check(texts: &[Text], targets: &Targets) -> Result<()> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        if texts.is_empty() {
            return setting("texts", "none".to_owned(), "at least one");
        }
        if targets.len() != texts.len() {
            let found = format!("{} for {} texts", targets.len(), texts.len());
            return setting("labels", found, "one for every text");
        }
        match targets {
            Targets::Classes { labels, names } => {
                let is_beyond = |&label: &u16| usize::from(label) >= names.len();
                let Some(index) = labels.iter().position(is_beyond) else { return Ok(()) };
                let found = format!("{} of {} classes at text {index}", labels[index], names.len());
                setting("labels", found, "below the number of classes")
            }
            Targets::Numbers(numbers) => {
                let Some(index) = numbers.iter().position(|x| !x.is_finite()) else {
                    return Ok(());
                };
                setting("numbers", format!("{} at text {index}", numbers[index]), "finite")
            }
        }
    }

    fn of(tokens: &[Tokens], targets: Targets, tokenizer: &TextTokenizer) -> Self {
        let length = |tokens: &Tokens| {
            u16::try_from(tokens.ids.len()).expect("a tokenizer cuts at 65,535 tokens or before")
        };
        let lengths: Vec<u16> = tokens.iter().map(length).collect();
        Self {
            ids: tokens.iter().flat_map(|tokens| &tokens.ids).copied().collect(),
            types: tokens.iter().flat_map(|tokens| &tokens.types).copied().collect(),
            starts: starts(&lengths),
            lengths,
            targets,
            padding: tokenizer.padding(),
            max_length: tokenizer.max_length(),
        }
    }

    /// How many texts there are, at least 1.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Always false: a set holds at least one text.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// What is looked for in the texts.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The names of the classes, in the order of their labels; none where numbers are looked for.
    pub fn classes(&self) -> &[String] {
        self.targets.names()
    }

    /// The label of every text, in order; none where numbers are looked for.
    pub fn labels(&self) -> &[u16] {
        self.targets.labels()
    }

    /// How many tokens every text has, in order.
    pub fn lengths(&self) -> &[u16] {
        &self.lengths
    }

    /// The tokens of one text.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len), as a slice does.
    pub fn tokens(&self, index: usize) -> (&[u32], &[u8]) {
        let range = self.starts[index]..self.starts[index] + usize::from(self.lengths[index]);
        (&self.ids[range.clone()], &self.types[range])
    }

    /// The SHA-256 of tokens, labels and the number of classes, in hexadecimal, or of tokens and
    /// numbers: the same for sets that give the same batches.
    pub fn sha256(&self) -> String {
        let numbers = [self.len(), self.classes().len(), self.max_length]
            .map(|number| (number as u64).to_le_bytes());
        let labels = self.targets.bytes();
        let lengths: Vec<u8> =
            self.lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
        let ids: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let padding = self.padding.to_le_bytes();
        sha256([numbers.as_flattened(), &padding, &labels, &lengths, &ids, &self.types])
    }

    /// The texts at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `indices` is empty or holds one that is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let setting = |found| Error::Setting {
            field: "indices",
            found,
            allowed: "at least one, each below the number of texts",
        };
        if indices.is_empty() {
            return Err(setting("none".to_owned()));
        }
        if let Some(index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(setting(format!("{index} in a set of {}", self.len())));
        }
        Ok(self.at(indices))
    }

    /// The same texts, the shortest first: neighbours need little filling up in a batch.
    #[must_use]
    pub fn by_length(&self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&index| self.lengths[index]);
        self.at(&order)
    }

    fn at(&self, indices: &[usize]) -> Self {
        let tokens = || indices.iter().map(|&index| self.tokens(index));
        let lengths: Vec<u16> = indices.iter().map(|&index| self.lengths[index]).collect();
        Self {
            ids: tokens().flat_map(|(ids, _)| ids).copied().collect(),
            types: tokens().flat_map(|(_, types)| types).copied().collect(),
            starts: starts(&lengths),
            lengths,
            targets: self.targets.at(indices),
            ..*self
        }
    }

    /// How many texts each class has, in the order of [`classes`](Self::classes); none where
    /// numbers are looked for.
    pub fn class_counts(&self) -> Vec<usize> {
        self.targets.class_counts().unwrap_or_default()
    }

    /// The order in which epoch `epoch` of the run with `seed` goes through the texts, such that
    /// batches of `batch_size` have texts of like length and little to fill up: a permutation.
    ///
    /// Texts are shuffled as [`epoch_order`] does it, then sorted by length among those of 64
    /// batches, and the batches are shuffled. A last batch that is not full stays the last one.
    ///
    /// # Panics
    ///
    /// If `batch_size` is 0.
    pub fn grouped_order(&self, seed: u64, epoch: u64, batch_size: usize) -> Vec<usize> {
        let mut order = epoch_order(seed, epoch, self.len());
        for pool in order.chunks_mut(batch_size.saturating_mul(POOL)) {
            pool.sort_by_key(|&index| self.lengths[index]);
        }
        let mut batches: Vec<&[usize]> = order.chunks(batch_size).collect();
        let full = self.len() / batch_size;
        // Stream 0 of this epoch is that of `epoch_order`.
        let mut generator = generator(Purpose::Order, [seed, epoch, 1]);
        shuffle_front(&mut generator, &mut batches[..full], full);
        batches.concat()
    }

    /// The texts at `indices` as a batch, each filled up to the longest of them.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len), as a slice does.
    pub fn batch(&self, indices: &[usize]) -> HostTextBatch {
        let width =
            indices.iter().map(|&index| usize::from(self.lengths[index])).max().unwrap_or(0);
        let mut batch = HostTextBatch {
            ids: vec![self.padding; indices.len() * width],
            types: vec![0; indices.len() * width],
            lengths: indices.iter().map(|&index| self.lengths[index]).collect(),
            targets: self.targets.values(indices),
            indices: indices.to_vec(),
            width,
        };
        for (row, &index) in indices.iter().enumerate() {
            let (ids, types) = self.tokens(index);
            batch.ids[row * width..][..ids.len()].copy_from_slice(ids);
            batch.types[row * width..][..types.len()].copy_from_slice(types);
        }
        batch
    }
}

fn starts(lengths: &[u16]) -> Vec<usize> {
    lengths
        .iter()
        .scan(0, |next, &length| {
            let start = *next;
            *next += usize::from(length);
            Some(start)
        })
        .collect()
}
