//! The encoder of BERT (Devlin et al., arXiv 1810.04805).

use burn::module::Module;
use burn::nn::attention::{MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig,
    Linear, LinearConfig,
};
use burn::tensor::{Bool, Device, Tensor};
use lowland_kernels::{add, gelu, layer_norm, linear, self_attention};

use super::{BertConfig, TextInput};

/// An encoder that turns tokens into one vector each.
///
/// ```text
/// x = norm(word + position + type)
/// in each layer:   x = norm(x + attention(x)),   x = norm(x + contract(gelu(expand(x))))
/// ```
///
/// GELU is the exact one, not the approximation by a hyperbolic tangent.
#[derive(Module, Debug)]
pub struct Bert {
    /// What makes vectors of tokens.
    pub embeddings: BertEmbeddings,
    /// The layers, in the order of the forward pass.
    pub layers: Vec<BertLayer>,
}

/// The sum of what is known of a token: which one, where and in which sentence.
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    /// `[vocabulary, hidden]`
    pub words: Embedding,
    /// `[positions, hidden]`
    pub positions: Embedding,
    /// `[types, hidden]`
    pub types: Embedding,
    /// Over the sum.
    pub norm: LayerNorm,
    epsilon: f64,
    dropout: Dropout,
}

/// One layer of a [`Bert`].
#[derive(Module, Debug)]
pub struct BertLayer {
    /// Each token looks at all others.
    pub attention: MultiHeadAttention,
    /// Over the sum of what the attention got and gave.
    pub attention_norm: LayerNorm,
    /// From `hidden` to `intermediate` numbers.
    pub expand: Linear,
    /// And back.
    pub contract: Linear,
    /// Over the sum of what the feed-forward part got and gave.
    pub norm: LayerNorm,
    epsilon: f64,
    dropout: Dropout,
}

impl BertConfig {
    /// The network without weights, which takes no memory before they are loaded.
    pub(crate) fn empty(&self, dropout: f64, device: &Device) -> Bert {
        let layers = (0..self.num_hidden_layers).map(|_| self.layer(dropout, device)).collect();
        let table = |rows| {
            EmbeddingConfig::new(rows, self.hidden_size)
                .with_initializer(Initializer::Zeros)
                .init(device)
        };
        let embeddings = BertEmbeddings {
            words: table(self.vocab_size),
            positions: table(self.max_position_embeddings),
            types: table(self.type_vocab_size),
            norm: self.norm(device),
            epsilon: self.layer_norm_eps,
            dropout: DropoutConfig::new(dropout).init(),
        };
        Bert { embeddings, layers }
    }

    fn layer(&self, dropout: f64, device: &Device) -> BertLayer {
        let map = |from, to| {
            LinearConfig::new(from, to).with_initializer(Initializer::Zeros).init(device)
        };
        BertLayer {
            attention: MultiHeadAttentionConfig::new(self.hidden_size, self.num_attention_heads)
                .with_dropout(dropout)
                .with_initializer(Initializer::Zeros)
                .init(device),
            attention_norm: self.norm(device),
            expand: map(self.hidden_size, self.intermediate_size),
            contract: map(self.intermediate_size, self.hidden_size),
            norm: self.norm(device),
            epsilon: self.layer_norm_eps,
            dropout: DropoutConfig::new(dropout).init(),
        }
    }

    fn norm(&self, device: &Device) -> LayerNorm {
        LayerNormConfig::new(self.hidden_size).with_epsilon(self.layer_norm_eps).init(device)
    }
}

impl Bert {
    /// Tokens `[batch, tokens]` to one vector each, `[batch, tokens, hidden]`. Those of tokens that
    /// fill up mean nothing.
    ///
    /// # Panics
    ///
    /// If a token, a type or the number of tokens is beyond the sizes of the network. A
    /// [`TextTokenizer`](super::TextTokenizer) of the same folder gives none that is.
    pub fn forward(&self, input: TextInput) -> Tensor<3> {
        let padding = input.padding.clone();
        let tokens = self.embeddings.forward(input);
        self.layers.iter().fold(tokens, |x, layer| layer.forward(x, padding.clone()))
    }

    /// The mean over the tokens of each text: `[batch, hidden]`.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn mean(&self, input: TextInput) -> Tensor<2> {
        let padding = input.padding.clone();
        let tokens = self.forward(input); // [batch, tokens, hidden]
        let counted = padding.bool_not().float().cast(tokens.dtype()).unsqueeze_dim::<3>(2); // [batch, tokens, 1]
        let count = counted.clone().sum_dim(1); // [batch, 1, 1]
        ((tokens * counted).sum_dim(1) / count).squeeze_dim(1)
    }
}

impl BertEmbeddings {
    fn forward(&self, input: TextInput) -> Tensor<3> {
        let [_batch, tokens] = input.ids.dims();
        let positions = self.positions.weight.val().slice(0..tokens).unsqueeze_dim(0); // [1, tokens, hidden]
        let sum = self.words.forward(input.ids) + positions + self.types.forward(input.types);
        self.dropout.forward(layer_norm(&self.norm, self.epsilon, sum))
    }
}

impl BertLayer {
    fn forward(&self, x: Tensor<3>, padding: Tensor<2, Bool>) -> Tensor<3> {
        let seen = self.dropout.forward(self_attention(&self.attention, x.clone(), Some(padding)));
        let x = layer_norm(&self.attention_norm, self.epsilon, add(x, seen));
        let inner = gelu(linear(&self.expand, x.clone())); // [batch, tokens, intermediate]
        let inner = self.dropout.forward(linear(&self.contract, inner));
        layer_norm(&self.norm, self.epsilon, add(x, inner))
    }
}
