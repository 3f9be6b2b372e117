//! What the tensors of a network are called where PyTorch reads them.

/// How the names of a network's tensors follow from their paths in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// As they are, with PyTorch's names for the parameters of a normalisation.
    Own,
    /// Those of a ResNet of torchvision, with so many blocks in each stage: `conv1`, `bn1`,
    /// `layer1.0.conv1`, `layer2.0.downsample.0`, `fc`.
    ResNet(Vec<usize>),
    /// Those of a BERT of Hugging Face under `bert.`, and `classifier`.
    Bert,
}

/// The parts of a layer of a BERT: here, and in Hugging Face's.
const BERT_LAYER: [(&str, &str); 8] = [
    ("attention.query", "attention.self.query"),
    ("attention.key", "attention.self.key"),
    ("attention.value", "attention.self.value"),
    ("attention.output", "attention.output.dense"),
    ("attention_norm", "attention.output.LayerNorm"),
    ("expand", "intermediate.dense"),
    ("contract", "output.dense"),
    ("norm", "output.LayerNorm"),
];

/// The other parts of a BERT with a classifier.
const BERT: [(&str, &str); 5] = [
    ("encoder.embeddings.words", "bert.embeddings.word_embeddings"),
    ("encoder.embeddings.positions", "bert.embeddings.position_embeddings"),
    ("encoder.embeddings.types", "bert.embeddings.token_type_embeddings"),
    ("encoder.embeddings.norm", "bert.embeddings.LayerNorm"),
    ("head", "classifier"),
];

/// The parts of a ResNet outside its blocks.
const RESNET: [(&str, &str); 3] = [("stem", "conv1"), ("stem_norm", "bn1"), ("head", "fc")];

/// The parts of a block of a ResNet.
const RESNET_BLOCK: [(&str, &str); 8] = [
    ("first", "conv1"),
    ("first_norm", "bn1"),
    ("second", "conv2"),
    ("second_norm", "bn2"),
    ("third", "conv3"),
    ("third_norm", "bn3"),
    ("shortcut.convolution", "downsample.0"),
    ("shortcut.norm", "downsample.1"),
];

impl Names {
    /// The name of the tensor whose path in the network is `path`, without names of variants and
    /// with PyTorch's name of the parameter, such as `blocks.0.first_norm.weight`.
    pub fn of(&self, path: &str) -> String {
        let name = match self {
            Self::Own => None,
            Self::ResNet(stages) => resnet(path, stages),
            Self::Bert => bert(path),
        };
        name.unwrap_or_else(|| path.to_owned())
    }

    /// The name without what exporters put before it, and with today's names of parameters: what
    /// names are compared by.
    pub(crate) fn plain(&self, name: &str) -> String {
        let mut rest = name;
        while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
            rest = shorter;
        }
        match self {
            Self::Own => rest.to_owned(),
            Self::ResNet(_) => match rest.strip_prefix("linear.") {
                Some(parameter) => format!("fc.{parameter}"),
                None => rest.to_owned(),
            },
            Self::Bert => match rest.rsplit_once("LayerNorm.") {
                Some((layer, "gamma")) => format!("{layer}LayerNorm.weight"),
                Some((layer, "beta")) => format!("{layer}LayerNorm.bias"),
                _ => rest.to_owned(),
            },
        }
    }

    /// Whether a tensor of a file, by its [plain](Self::plain) name, may be left where it is: it is
    /// known to have no use here.
    pub(crate) fn is_left(&self, plain: &str) -> bool {
        match self {
            Self::Own | Self::ResNet(_) => plain.ends_with(".num_batches_tracked"),
            Self::Bert => {
                plain == "embeddings.position_ids"
                    || !plain.contains(ADAPTER)
                        && !BERT_PARTS.iter().any(|part| plain.starts_with(part))
            }
        }
    }
}

/// What exporters put before the names of a model: `DataParallel`, `torch.compile`, Lightning,
/// sentence-transformers, and the tasks of Hugging Face.
const PREFIXES: [&str; 5] = ["module.", "_orig_mod.", "model.", "0.auto_model.", "bert."];

/// The parts of a file of BERT that must all be used: what lies beside them is for other tasks.
const BERT_PARTS: [&str; 2] = ["embeddings.", "encoder.layer."];

/// What the names of low-rank adapters in a record hold.
pub(crate) const ADAPTER: &str = ".lora.";

/// The path with `from` at its start, or as a whole module of it, in other words.
fn replaced(path: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| {
        let rest = path.strip_prefix(from)?;
        rest.starts_with('.').then(|| format!("{to}{rest}"))
    })
}

/// The number at the start of a path, and what follows it.
fn numbered(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

fn resnet(path: &str, stages: &[usize]) -> Option<String> {
    let Some(block) = path.strip_prefix("blocks.") else { return replaced(path, &RESNET) };
    let (mut index, rest) = numbered(block)?;
    for (stage, &blocks) in stages.iter().enumerate() {
        if index < blocks {
            let part = replaced(rest, &RESNET_BLOCK)?;
            return Some(format!("layer{}.{index}.{part}", stage + 1));
        }
        index -= blocks;
    }
    None
}

fn bert(path: &str) -> Option<String> {
    let Some(layer) = path.strip_prefix("encoder.layers.") else { return replaced(path, &BERT) };
    let (index, rest) = numbered(layer)?;
    Some(format!("bert.encoder.layer.{index}.{}", replaced(rest, &BERT_LAYER)?))
}
