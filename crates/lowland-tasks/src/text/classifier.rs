//! A pretrained encoder with a classifier behind it.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::nn::attention::MultiHeadAttention;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::lora::SeededLora;
use super::weights::{folder_of, loaded, weights_of};
use super::{Bert, BertConfig, BertLayer, LoraConfig, TextInput};
use crate::models::init::{LayerMaker, at_least_one};
use crate::weights::Head;
use crate::{Error, Result};

/// Which weights of a [`TextClassifier`] are learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trained {
    /// All of them.
    #[default]
    All,
    /// The last layer. The encoder's weights have no gradients, and keep what they learned before.
    Head,
    /// The last layer, and low-rank adapters inside the encoder.
    Lora(LoraConfig),
}

/// How a pretrained network is fine-tuned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineTuning {
    /// Which weights are learned. Default: all.
    pub trained: Trained,
    /// The share of numbers that the encoder drops while it learns (of the embeddings, of what the
    /// parts of a layer give, of the attention), from 0 to below 1. Default: 0, which is none.
    ///
    /// BERT was trained with 0.1. Here the default is none because the masks come from the
    /// generator that Burn keeps for a device and all its threads: [`lowland::SharpnessAware`]
    /// seeds it before each evaluation, so that both gradients of a step are those of one function,
    /// and that holds as long as no other thread draws meanwhile. Without dropout it holds always.
    pub dropout: f64,
    /// Whether the last layer is drawn anew although the weights have one of Lowland's. Default:
    /// false.
    pub new_head: bool,
}

impl FineTuning {
    fn check(&self, sizes: &BertConfig) -> Result<()> {
        if !(0.0..1.0).contains(&self.dropout) {
            let (field, found) = ("text.dropout", self.dropout.to_string());
            return Err(Error::Setting { field, found, allowed: "from 0 to below 1" });
        }
        match &self.trained {
            Trained::All | Trained::Head => Ok(()),
            Trained::Lora(lora) => lora.check(sizes),
        }
    }
}

/// Draws all matrices of a network.
struct Draw<'a, 'b> {
    maker: &'a mut LayerMaker<'b>,
}

impl ModuleMapper for Draw<'_, '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D == 2 { self.maker.normal(param.dims(), 0.02) } else { param }
    }
}

/// A [`Bert`] and a linear layer on the mean of its tokens.
#[derive(Module, Debug)]
pub struct TextClassifier {
    /// The pretrained part.
    pub encoder: Bert,
    /// From the mean to one number a class.
    pub head: Linear,
}

impl TextClassifier {
    /// Makes the network of a model for `classes` classes. `from` is a folder with `config.json`
    /// and weights in `model.safetensors` or `pytorch_model.bin`, or a file of weights in such a
    /// folder.
    ///
    /// The last layer is that of the file where Lowland wrote it, so that a fine-tuned network can
    /// be fine-tuned on. Weights that are not in the file, those of adapters and of the last layer
    /// of a network that others published, are a function of `seed` alone. On a device with
    /// autodiff the network is ready to be trained.
    ///
    /// # Errors
    ///
    /// The errors of [`BertConfig::from_folder`]; [`Error::Missing`], [`Error::File`],
    /// [`Error::Format`] or [`Error::Weights`] if the weights cannot be read or lack a tensor of
    /// the right shape, with its name; [`Error::Setting`] if `classes` is 0 or a setting is outside
    /// its range.
    pub fn from_folder(
        from: &Path,
        classes: usize,
        tuning: &FineTuning,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        at_least_one("classes", classes)?;
        let config = BertConfig::from_folder(folder_of(from))?;
        tuning.check(&config)?;
        let encoder = config.empty(tuning.dropout, device);
        let head = LayerMaker::new(seed, device).linear(config.hidden_size, classes).into();
        let start = if tuning.new_head { Head::New } else { Head::Loaded };
        let network = Self { encoder, head };
        let Self { encoder, head } = loaded(network, &weights_of(from)?, &config, start)?;
        let encoder = match &tuning.trained {
            Trained::All => encoder,
            Trained::Head => encoder.no_grad(),
            Trained::Lora(lora) => encoder.apply_reparameterization(SeededLora::new(lora, seed)),
        };
        Ok(Self { encoder, head })
    }

    /// The network with its low-rank adapters, where it has some, added to the weights that they
    /// belong to.
    #[must_use]
    pub fn merged(mut self) -> Self {
        for layer in &mut self.encoder.layers {
            let BertLayer { attention, expand, contract, .. } = layer;
            let MultiHeadAttention { query, key, value, output, .. } = attention;
            for linear in [query, key, value, output, expand, contract] {
                if linear.weight.adapter().is_some() {
                    linear.weight = Param::from_tensor(linear.weight.val());
                }
            }
        }
        self
    }

    /// Makes the network of these sizes for `classes` classes with weights that are not trained:
    /// those of linear maps and embeddings normal with deviation 0.02, as BERT begins its
    /// pretraining. Weights are a function of `seed` alone.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `classes` is 0.
    pub fn untrained(
        config: &BertConfig,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        at_least_one("classes", classes)?;
        let mut maker = LayerMaker::new(seed, device);
        let encoder = config.empty(0.0, device).map(&mut Draw { maker: &mut maker });
        let head = maker.linear(config.hidden_size, classes).into();
        Ok(Self { encoder, head })
    }

    /// Texts to logits `[batch, classes]`.
    ///
    /// # Panics
    ///
    /// As [`Bert::forward`].
    pub fn forward(&self, input: TextInput) -> Tensor<2> {
        self.head.forward(self.encoder.mean(input))
    }

    /// The sentence embedding of each text, `[batch, hidden]`: the mean over its tokens, of length
    /// 1.
    ///
    /// # Panics
    ///
    /// As [`Bert::forward`].
    pub fn embed(&self, input: TextInput) -> Tensor<2> {
        let mean = self.encoder.mean(input);
        let length = mean.clone().square().sum_dim(1).sqrt(); // [batch, 1]
        mean / length.clamp_min(1e-12)
    }
}
