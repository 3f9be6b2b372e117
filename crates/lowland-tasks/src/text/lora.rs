//! Low-rank adapters (Hu et al., arXiv 2106.09685): Burn's, with weights that are a function of the
//! seed.

use burn::module::{LoraAdapter, Param, Reparameterizer};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::BertConfig;
use crate::data::draw::{Purpose, generator, unit};
use crate::{Error, Result};

/// One of the linear maps of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// What a token asks others for.
    Query,
    /// What a token is asked by.
    Key,
    /// What a token passes to others.
    Value,
    /// Behind the heads of the attention.
    Output,
    /// Into the feed-forward part.
    Expand,
    /// Out of the feed-forward part.
    Contract,
}

impl Projection {
    /// Where its weights are in a layer.
    fn path(self) -> &'static str {
        match self {
            Self::Query => "attention.query.weight",
            Self::Key => "attention.key.weight",
            Self::Value => "attention.value.weight",
            Self::Output => "attention.output.weight",
            Self::Expand => "expand.weight",
            Self::Contract => "contract.weight",
        }
    }
}

/// The settings of low-rank adapters.
///
/// A weight `W` is used as `W + (alpha/rank)·A·B` with `A: [from, rank]` and `B: [rank, to]`, which
/// alone are learned. `B` starts at 0 and `A` uniform between `±1/√from`, as the authors' code
/// has it; Burn's own start is normal with deviation `1/rank` and drawn on the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Columns of `A` and rows of `B`, from 1 to the sizes of the weights. Default: 8.
    pub rank: usize,
    /// α, a scale, above 0 and finite. Default: 16.
    pub alpha: f64,
    /// The weights that get an adapter, in each layer; at least one. Default: query and value,
    /// those of the paper.
    pub targets: Vec<Projection>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, targets: vec![Projection::Query, Projection::Value] }
    }
}

impl LoraConfig {
    pub(crate) fn check(&self, sizes: &BertConfig) -> Result<()> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        if self.rank == 0 || self.rank > sizes.hidden_size.min(sizes.intermediate_size) {
            let found =
                format!("{} for {} and {}", self.rank, sizes.hidden_size, sizes.intermediate_size);
            return setting("text.trained.lora.rank", found, "from 1 to the sizes of the weights");
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            let found = self.alpha.to_string();
            return setting("text.trained.lora.alpha", found, "above 0 and finite");
        }
        if self.targets.is_empty() {
            let allowed = "at least one of query, key, value, output, expand and contract";
            return setting("text.trained.lora.targets", "none".to_owned(), allowed);
        }
        Ok(())
    }
}

/// Puts adapters on an encoder and freezes all else of it.
#[derive(Debug)]
pub(crate) struct SeededLora<'a> {
    config: &'a LoraConfig,
    seed: u64,
    /// How many adapters there are.
    made: u64,
}

impl<'a> SeededLora<'a> {
    pub(crate) fn new(config: &'a LoraConfig, seed: u64) -> Self {
        Self { config, seed, made: 0 }
    }

    fn adapter<const D: usize>(&mut self, weight: &Tensor<D>) -> LoraAdapter {
        let (device, dims) = (weight.device(), weight.dims());
        let (from, to, rank) = (dims[0], dims[1], self.config.rank);
        self.made += 1;
        let mut generator = generator(Purpose::Weights, [self.seed, self.made, 0]);
        let bound = (from as f64).sqrt().recip();
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let a: Vec<f32> =
            (0..from * rank).map(|_| (bound * (2.0 * unit(&mut generator) - 1.0)) as f32).collect();
        LoraAdapter {
            a: Param::from_tensor(Tensor::from_data(TensorData::new(a, [from, rank]), &device)),
            b: Param::from_tensor(Tensor::zeros([rank, to], &device)),
            scale: self.config.alpha / rank as f64,
        }
    }
}

impl Reparameterizer for SeededLora<'_> {
    type Reparam = LoraAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<LoraAdapter>) {
        let base = param.set_require_grad(false);
        let is_target =
            D == 2 && self.config.targets.iter().any(|target| path.ends_with(target.path()));
        let adapter = is_target.then(|| self.adapter(&base.base()));
        (base, adapter)
    }
}
