//! Batches of texts.

use std::ops::Range;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use lowland::Samples;

use crate::data::{TargetTensor, TargetValues};

/// A batch in the memory of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTextBatch {
    /// Tokens: `[batch, width]`.
    pub ids: Vec<u32>,
    /// Which text of two each token is of: `[batch, width]`.
    pub types: Vec<u8>,
    /// How many tokens of each text are its own, at least one; the rest fills up.
    pub lengths: Vec<u16>,
    /// What is looked for in each text.
    pub targets: TargetValues,
    /// The place of each text in the set.
    pub indices: Vec<usize>,
    /// Tokens of each text, with those that fill up.
    pub width: usize,
}

/// What a network gets of a batch.
#[derive(Clone, Debug)]
pub struct TextInput {
    /// Tokens: `[batch, tokens]`.
    pub ids: Tensor<2, Int>,
    /// Which text of two each token is of: `[batch, tokens]`.
    pub types: Tensor<2, Int>,
    /// Which tokens only fill up: `[batch, tokens]`.
    pub padding: Tensor<2, Bool>,
}

/// A batch as tensors.
#[derive(Clone, Debug)]
pub struct TextBatch {
    /// The texts.
    pub input: TextInput,
    /// What is looked for in each text: `[batch]`.
    pub targets: TargetTensor,
    /// The place of each text in the set: what methods that remember something of each sample go
    /// by.
    pub indices: Vec<usize>,
}

impl HostTextBatch {
    /// Moves the batch to `device`.
    pub fn to_device(self, device: &Device) -> TextBatch {
        let (count, width) = (self.indices.len(), self.width);
        let fills_up = |&length: &u16| (0..width).map(move |i| i >= usize::from(length));
        let padding: Vec<bool> = self.lengths.iter().flat_map(fills_up).collect();
        #[expect(clippy::cast_possible_wrap, reason = "a vocabulary has at most 2²⁰ tokens")]
        let ids: Vec<i32> = self.ids.into_iter().map(|id| id as i32).collect();
        let types: Vec<i32> = self.types.into_iter().map(i32::from).collect();
        TextBatch {
            input: TextInput {
                ids: Tensor::from_data(TensorData::new(ids, [count, width]), device),
                types: Tensor::from_data(TensorData::new(types, [count, width]), device),
                padding: Tensor::from_data(TensorData::new(padding, [count, width]), device),
            },
            targets: self.targets.to_device(device),
            indices: self.indices,
        }
    }
}

impl TextBatch {
    /// The samples at the positions `range`, which lie in the batch, as a batch of their own.
    #[must_use]
    pub fn piece(&self, range: Range<usize>) -> Self {
        let TextInput { ids, types, padding } = self.input.clone();
        Self {
            input: TextInput {
                ids: ids.slice([range.clone()]),
                types: types.slice([range.clone()]),
                padding: padding.slice([range.clone()]),
            },
            targets: self.targets.piece(range.clone()),
            indices: self.indices[range].to_vec(),
        }
    }

    /// The texts of the chosen samples, and what is looked for in them.
    pub fn select(&self, samples: &Samples) -> (TextInput, TargetTensor) {
        let TextInput { ids, types, padding } = self.input.clone();
        let input = TextInput {
            ids: samples.select(ids),
            types: samples.select(types),
            padding: samples.select(padding),
        };
        (input, self.targets.select(samples))
    }
}
