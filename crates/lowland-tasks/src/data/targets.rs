//! What is looked for in samples: a class, or a number.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};
use lowland::Samples;

/// What is looked for in each sample of a set.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A class for each.
    Classes {
        /// One for each sample, below the number of names.
        labels: Vec<u16>,
        /// The names of the classes.
        names: Vec<String>,
    },
    /// A number for each.
    Numbers(Vec<f32>),
}

/// What is looked for in some samples, in the memory of the host.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetValues {
    /// The class of each.
    Labels(Vec<u16>),
    /// The number of each.
    Numbers(Vec<f32>),
}

/// What is looked for in the samples of a batch, on a device: `[batch]`.
#[derive(Debug, Clone)]
pub enum TargetTensor {
    /// The class of each.
    Labels(Tensor<1, Int>),
    /// The number of each.
    Numbers(Tensor<1>),
}

impl Targets {
    /// How many samples these are of.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether they are of no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label of every sample, in order; none where numbers are looked for.
    pub fn labels(&self) -> &[u16] {
        match self {
            Self::Classes { labels, .. } => labels,
            Self::Numbers(_) => &[],
        }
    }

    /// The names of the classes, in the order of their labels; none where numbers are looked for.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Classes { names, .. } => names,
            Self::Numbers(_) => &[],
        }
    }

    /// How many outputs a network has for these: one a class, or one for numbers.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classes { names, .. } => names.len(),
            Self::Numbers(_) => 1,
        }
    }

    /// How many samples each class has; `None` where numbers are looked for.
    pub fn class_counts(&self) -> Option<Vec<usize>> {
        let Self::Classes { labels, names } = self else { return None };
        let mut counts = vec![0; names.len()];
        labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        Some(counts)
    }

    /// What samples are drawn over: their labels, where there are classes.
    pub(crate) fn strata(&self) -> Option<&[u16]> {
        match self {
            Self::Classes { labels, .. } => Some(labels),
            Self::Numbers(_) => None,
        }
    }

    /// The labels, and the number of classes; none of either where numbers are looked for.
    pub(crate) fn labels_and_classes(&mut self) -> (&mut [u16], usize) {
        match self {
            Self::Classes { labels, names } => (labels, names.len()),
            Self::Numbers(_) => (&mut [], 0),
        }
    }

    /// Those of the samples at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len), as a slice does.
    #[must_use]
    pub fn at(&self, indices: &[usize]) -> Self {
        self.values(indices).named(self.names().to_vec())
    }

    /// What is looked for in the samples at `indices`, in that order.
    ///
    /// # Panics
    /// As [`at`](Self::at).
    pub fn values(&self, indices: &[usize]) -> TargetValues {
        match self {
            Self::Classes { labels, .. } => {
                TargetValues::Labels(indices.iter().map(|&index| labels[index]).collect())
            }
            Self::Numbers(numbers) => {
                TargetValues::Numbers(indices.iter().map(|&index| numbers[index]).collect())
            }
        }
    }

    /// As many targets of no meaning, of the same kind, for samples that have none.
    #[must_use]
    pub fn blank(&self, count: usize) -> Self {
        match self {
            Self::Classes { names, .. } => {
                Self::Classes { labels: vec![0; count], names: names.clone() }
            }
            Self::Numbers(_) => Self::Numbers(vec![0.0; count]),
        }
    }

    /// Labels or numbers as bytes, for checksums.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Classes { labels, .. } => labels.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Numbers(numbers) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

impl TargetValues {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels; none where these are numbers.
    pub fn labels(&self) -> &[u16] {
        match self {
            Self::Labels(labels) => labels,
            Self::Numbers(_) => &[],
        }
    }

    /// The numbers; none where these are labels.
    pub fn numbers(&self) -> &[f32] {
        match self {
            Self::Labels(_) => &[],
            Self::Numbers(numbers) => numbers,
        }
    }

    /// The same as targets of a set whose classes have these names, which numbers do not have.
    pub(crate) fn named(self, names: Vec<String>) -> Targets {
        match self {
            Self::Labels(labels) => Targets::Classes { labels, names },
            Self::Numbers(numbers) => Targets::Numbers(numbers),
        }
    }

    /// Moves them to `device`.
    pub fn to_device(self, device: &Device) -> TargetTensor {
        let count = self.len();
        match self {
            Self::Labels(labels) => {
                let labels: Vec<i32> = labels.into_iter().map(i32::from).collect();
                let labels = TensorData::new(labels, [count]);
                TargetTensor::Labels(Tensor::from_data(labels, device))
            }
            Self::Numbers(numbers) => {
                let numbers = TensorData::new(numbers, [count]);
                TargetTensor::Numbers(Tensor::from_data(numbers, device))
            }
        }
    }
}

impl TargetTensor {
    /// The labels, `[batch]`; `None` where these are numbers.
    pub fn labels(&self) -> Option<Tensor<1, Int>> {
        match self {
            Self::Labels(labels) => Some(labels.clone()),
            Self::Numbers(_) => None,
        }
    }

    /// Those at the positions `range`, which lie in the batch.
    #[must_use]
    pub fn piece(&self, range: Range<usize>) -> Self {
        match self.clone() {
            Self::Labels(labels) => Self::Labels(labels.slice([range])),
            Self::Numbers(numbers) => Self::Numbers(numbers.slice([range])),
        }
    }

    /// Those of the chosen samples.
    #[must_use]
    pub fn select(&self, samples: &Samples) -> Self {
        match self.clone() {
            Self::Labels(labels) => Self::Labels(samples.select(labels)),
            Self::Numbers(numbers) => Self::Numbers(samples.select(numbers)),
        }
    }
}
