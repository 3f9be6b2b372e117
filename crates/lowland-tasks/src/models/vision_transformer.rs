//! A small vision transformer for small images.

use burn::module::{Module, Param};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderLayer,
};
use burn::nn::{Initializer, LayerNorm, Linear};
use burn::tensor::{Device, Tensor, s};
use lowland_kernels::{add, gelu, layer_norm, linear, self_attention};

use super::init::{LAYER_NORM_EPSILON, LayerMaker, at_least_one};
use crate::data::ImageShape;
use crate::{Error, Result};

/// The sizes of a [`VisionTransformer`]. The default has the widths of the tiny transformer of
/// Touvron et al. (arXiv 2012.12877) and half of its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionTransformerConfig {
    /// The side of a patch in pixels, at least 1. Default 4.
    pub patch: usize,
    /// How many patches the largest image has on a side, at least 1. Default 8: images of 32 by 32.
    pub grid: usize,
    /// The numbers that stand for a patch, a multiple of `heads`. Default 192.
    pub width: usize,
    /// The layers, at least 1. Default 6.
    pub layers: usize,
    /// The heads of each attention, at least 1. Default 3.
    pub heads: usize,
    /// The numbers between the two linear maps behind each attention, at least 1. Default 768.
    pub hidden: usize,
}

impl Default for VisionTransformerConfig {
    fn default() -> Self {
        Self { patch: 4, grid: 8, width: 192, layers: 6, heads: 3, hidden: 768 }
    }
}

/// The vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929) for small images.
///
/// The image is cut into patches. Each becomes a vector through one linear map, to which a learned
/// vector for its place is added. Layers of attention and two linear maps with GELU between them
/// follow; layer normalisation comes before each (pre-norm) and after the last layer. The head is a
/// linear layer on the mean over the patches: there is no class token, and no dropout. The default
/// has 2,693,194 trainable parameters for three channels and ten classes.
///
/// Height and width of the images must be multiples of the patch. Images smaller than the grid,
/// such as those of 28 by 28, use its upper left part; see [`VisionTransformerConfig::check`].
///
/// Weights of linear maps are normal with variance `1 / fan-in`, vectors of places normal with
/// deviation 0.02.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    embedding: Linear,
    /// One vector a place, row by row: `[grid, grid, width]`.
    places: Param<Tensor<3>>,
    encoder: TransformerEncoder,
    norm: LayerNorm,
    head: Linear,
    patch: usize,
}

impl VisionTransformerConfig {
    /// Makes the network for images of `channels` channels and for `classes` classes. Weights are a
    /// function of `seed` alone.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a number is 0 or `width` is no multiple of `heads`.
    pub fn init(
        &self,
        classes: usize,
        channels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<VisionTransformer> {
        let &Self { patch, grid, width, layers, heads, hidden } = self;
        for (field, value) in [
            ("classes", classes),
            ("channels", channels),
            ("patch", patch),
            ("grid", grid),
            ("width", width),
            ("layers", layers),
            ("heads", heads),
            ("hidden", hidden),
        ] {
            at_least_one(field, value)?;
        }
        if !width.is_multiple_of(heads) {
            let found = format!("{width} for {heads} heads");
            return Err(Error::Setting { field: "width", found, allowed: "a multiple of heads" });
        }
        let mut maker = LayerMaker::new(seed, device);
        let embedding = maker.linear(patch * patch * channels, width).into();
        let places = maker.normal([grid, grid, width], 0.02);
        let mut encoder = TransformerEncoderConfig::new(width, hidden, heads, layers)
            .with_dropout(0.0)
            .with_norm_first(true)
            .with_initializer(Initializer::Zeros)
            .init(device);
        for layer in &mut encoder.layers {
            draw(layer, &mut maker, width, hidden);
        }
        let norm = maker.layer_norm(width);
        let head = maker.linear(width, classes).into();
        Ok(VisionTransformer { embedding, places, encoder, norm, head, patch })
    }

    /// Whether images of this size can be cut into patches and have a place for each.
    ///
    /// # Errors
    ///
    /// [`Error::Images`] that says which sizes can.
    pub fn check(&self, images: ImageShape) -> Result<()> {
        let ImageShape { height, width, .. } = images;
        let largest = self.patch.saturating_mul(self.grid);
        let fits = |side: usize| (1..=largest).contains(&side) && side.is_multiple_of(self.patch);
        if fits(height) && fits(width) {
            return Ok(());
        }
        let patch = self.patch;
        Err(Error::Images {
            network: "the vision transformer",
            found: format!("{height}x{width}"),
            expected: format!("a height and a width that are multiples of {patch} up to {largest}"),
        })
    }
}

/// Burn's layer with weights of the seed in place of its own.
fn draw(
    layer: &mut TransformerEncoderLayer,
    maker: &mut LayerMaker<'_>,
    width: usize,
    hidden: usize,
) {
    layer.mha.query = maker.linear(width, width).into();
    layer.mha.key = maker.linear(width, width).into();
    layer.mha.value = maker.linear(width, width).into();
    layer.mha.output = maker.linear(width, width).into();
    layer.pwff.linear_inner = maker.linear(width, hidden).into();
    layer.pwff.linear_outer = maker.linear(hidden, width).into();
    layer.norm_1 = maker.layer_norm(width);
    layer.norm_2 = maker.layer_norm(width);
}

/// The forward pass of Burn's layer, normalisation first: `[batch, patches, width]` to the same.
fn forward(layer: &TransformerEncoderLayer, x: Tensor<3>) -> Tensor<3> {
    let y = layer_norm(&layer.norm_2, LAYER_NORM_EPSILON, x.clone());
    let x = add(x, layer.dropout.forward(self_attention(&layer.mha, y, None)));
    let y = layer_norm(&layer.norm_1, LAYER_NORM_EPSILON, x.clone());
    let y = gelu(linear(&layer.pwff.linear_inner, y));
    let y = linear(&layer.pwff.linear_outer, layer.pwff.dropout.forward(y));
    add(x, layer.dropout.forward(y))
}

impl VisionTransformer {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    ///
    /// # Panics
    ///
    /// If [`VisionTransformerConfig::check`] refuses images of this size.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.encoder.layers.iter().fold(self.embed(images), |x, layer| forward(layer, x));
        let x = layer_norm(&self.norm, LAYER_NORM_EPSILON, x); // [batch, patches, width]
        let [batch, _, width] = x.dims();
        self.head.forward(x.mean_dim(1).reshape([batch, width]))
    }

    /// `[batch, channels, height, width]` to `[batch, patches, width]`, patches row by row.
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = images.dims();
        let (side, rows, columns) = (self.patch, height / self.patch, width / self.patch);
        let pixels = images
            .reshape([batch, channels, rows, side, columns, side])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, channels * side * side]);
        let [_, _, features] = self.places.dims();
        let places = self.places.val().slice(s![0..rows, 0..columns, ..]);
        linear(&self.embedding, pixels) + places.reshape([1, rows * columns, features])
    }
}
