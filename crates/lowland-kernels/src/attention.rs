//! Attention of tokens to one another.

use burn::nn::attention::{MhaInput, MultiHeadAttention};
use burn::tensor::{Bool, Tensor};

use crate::{linear, scaled_softmax, softmax};

/// Self-attention over `x` `[batch, tokens, features]`: the context of Burn's
/// [`MultiHeadAttention`], same shape. Tokens that `padding` `[batch, tokens]` marks are masked out
/// as keys.
///
/// Kernels take the heads where they lie among the features, and compute the weights once more in
/// the backward pass instead of keeping `[batch, heads, tokens, tokens]` of them. A layer that
/// drops weights keeps them, and one with a quiet softmax is Burn's own.
///
/// # Panics
///
/// If the features are not those of the layer, as Burn's own, or `padding` is not
/// `[batch, tokens]`.
pub fn self_attention(
    layer: &MultiHeadAttention,
    x: Tensor<3>,
    padding: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [batch, tokens, features] = x.dims();
    if let Some(padding) = &padding {
        assert_eq!(padding.dims(), [batch, tokens], "the padding must be [batch, tokens]");
    }
    if layer.quiet_softmax || features != layer.d_model {
        let input = MhaInput::self_attn(x);
        let input = match padding {
            Some(padding) => input.mask_pad(padding),
            None => input,
        };
        return layer.forward(input).context;
    }
    let looks = [&layer.query, &layer.key, &layer.value].map(|part| linear(part, x.clone()));
    #[cfg(feature = "flex")]
    if fits(layer, &looks) {
        let heads = crate::kernel::attention::Heads {
            tokens,
            count: layer.n_heads,
            features: layer.d_k,
            scale: (layer.d_k as f64).sqrt().recip(),
            masked: layer.min_float,
        };
        let mask = padding.map(|padding| padding.float().cast(looks[0].dtype()));
        return linear(&layer.output, crate::flex::attend(looks, mask, heads));
    }
    // [batch, heads, tokens, features of a head]
    let [query, key, value] =
        looks.map(|look| look.reshape([batch, tokens, layer.n_heads, layer.d_k]).swap_dims(1, 2));
    let scale = (layer.d_k as f64).sqrt().recip();
    let scores = query.matmul(key.transpose()); // [batch, heads, tokens, tokens]
    let weights = match padding {
        Some(padding) => {
            let padding = padding.reshape([batch, 1, 1, tokens]);
            // Scaled before: the score of what is masked, divided by the scale, may be infinite.
            softmax(scores.mul_scalar(scale).mask_fill(padding, layer.min_float), 3)
        }
        None => scaled_softmax(scores, scale),
    };
    let weights = layer.dropout.forward(weights);
    let context = weights.matmul(value).swap_dims(1, 2).reshape([batch, tokens, features]);
    linear(&layer.output, context)
}

/// Whether kernels compute it.
#[cfg(feature = "flex")]
fn fits(layer: &MultiHeadAttention, looks: &[Tensor<3>; 3]) -> bool {
    let [batch, tokens, features] = looks[0].dims();
    let tensors = looks.each_ref().map(|look| (look.device(), look.dtype()));
    let drops = layer.dropout.prob > 0.0
        && layer.dropout.training.is_enabled()
        && looks[0].device().is_autodiff();
    !drops
        && features == layer.n_heads * layer.d_k
        && [batch, tokens, features].iter().all(|&size| size > 0)
        && crate::by_kernels(&tensors)
}
