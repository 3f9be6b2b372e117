//! Attention of tokens to one another.

use burn::nn::Linear;
use burn::nn::attention::{MhaInput, MultiHeadAttention};
use burn::tensor::{Bool, Tensor};

use crate::scaled_softmax;

/// The context that Burn's [`MultiHeadAttention`] returns for `x` `[batch, tokens, features]` that look at one another,
/// `[batch, tokens, features]`. Tokens that `padding` `[batch, tokens]` marks are not looked at.
///
/// A layer with a quiet softmax is Burn's own.
///
/// # Panics
///
/// If the features are not those of the layer, as Burn's own.
pub fn self_attention(
    layer: &MultiHeadAttention,
    x: Tensor<3>,
    padding: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [batch, tokens, features] = x.dims();
    if layer.quiet_softmax || features != layer.d_model {
        let input = MhaInput::self_attn(x);
        let input = match padding {
            Some(padding) => input.mask_pad(padding),
            None => input,
        };
        return layer.forward(input).context;
    }
    let heads = |linear: &Linear| {
        let y = linear.forward(x.clone()).reshape([batch, tokens, layer.n_heads, layer.d_k]);
        y.swap_dims(1, 2) // [batch, heads, tokens, features of a head]
    };
    let (query, key, value) = (heads(&layer.query), heads(&layer.key), heads(&layer.value));
    let root = (layer.d_k as f64).sqrt();
    let scores = query.matmul(key.transpose()); // [batch, heads, tokens, tokens]
    let scores = match padding {
        Some(padding) => {
            let padding = padding.reshape([batch, 1, 1, tokens]);
            scores.mask_fill(padding, layer.min_float * root)
        }
        None => scores,
    };
    let weights = layer.dropout.forward(scaled_softmax(scores, root.recip()));
    let context = weights.matmul(value).swap_dims(1, 2).reshape([batch, tokens, features]);
    layer.output.forward(context)
}
