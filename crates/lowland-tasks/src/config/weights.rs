//! How much each class counts.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How much the loss of a sample counts, by its class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// By a rule.
    Named(WeightRule),
    /// As given, one weight for each class, in their order.
    Given(Vec<f64>),
}

/// A rule for the weights of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightRule {
    /// Each class counts the same: `n / (k · n_c)` for `n_c` of `n` samples in one of `k` classes,
    /// which is 1 on average over the samples.
    Balanced,
}

impl ClassWeights {
    const ALLOWED: &'static str = "balanced, or a number for each class";

    /// The weights for so many training samples in each class.
    ///
    /// # Errors
    /// [`Error::Setting`] for another number of weights than classes, and for weights that are
    /// negative, not finite or all 0.
    pub(crate) fn of(&self, counts: &[usize]) -> Result<Vec<f64>> {
        let refused = |found: String, allowed: &'static str| {
            Err(Error::Setting { field: "class_weights", found, allowed })
        };
        match self {
            Self::Named(WeightRule::Balanced) => {
                let (n, k) = (counts.iter().sum::<usize>() as f64, counts.len() as f64);
                // A class without samples has no loss to weigh.
                Ok(counts.iter().map(|&count| n / (k * count.max(1) as f64)).collect())
            }
            Self::Given(weights) if weights.len() != counts.len() => {
                refused(format!("{} for {} classes", weights.len(), counts.len()), Self::ALLOWED)
            }
            Self::Given(weights) => {
                let holds = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
                if !holds || weights.iter().all(|weight| *weight == 0.0) {
                    return refused(format!("{weights:?}"), "finite and at least 0, not all 0");
                }
                Ok(weights.clone())
            }
        }
    }
}

impl FromStr for ClassWeights {
    type Err = Error;

    /// Reads `balanced`, or numbers with commas between them.
    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("balanced") {
            return Ok(Self::Named(WeightRule::Balanced));
        }
        let weights: Result<Vec<f64>, _> =
            text.split(',').map(|weight| weight.trim().parse()).collect();
        weights.map(Self::Given).map_err(|_| Error::Setting {
            field: "class_weights",
            found: text.to_owned(),
            allowed: Self::ALLOWED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_are_one_on_average_over_the_samples() {
        let counts = [60, 30, 10];
        let weights = ClassWeights::Named(WeightRule::Balanced).of(&counts).unwrap();
        let sum: f64 = counts.iter().zip(&weights).map(|(&n, weight)| n as f64 * weight).sum();
        assert!((sum - 100.0).abs() < 1e-12);
        assert!((60.0 * weights[0] - 10.0 * weights[2]).abs() < 1e-12);
    }

    #[test]
    fn weights_are_read_and_checked() {
        let read = |text: &str| text.parse::<ClassWeights>();
        assert_eq!(read("balanced").unwrap(), ClassWeights::Named(WeightRule::Balanced));
        let given = read("1, 2.5,0").unwrap();
        assert_eq!(given, ClassWeights::Given(vec![1.0, 2.5, 0.0]));
        assert_eq!(given.of(&[1, 1, 1]).unwrap(), [1.0, 2.5, 0.0]);
        assert!(read("heavy").unwrap_err().to_string().contains("balanced, or a number for each"));
        let error = given.of(&[1, 1]).unwrap_err().to_string();
        assert!(error.contains("found 3 for 2 classes"), "{error}");
        for bad in [vec![-1.0, 1.0], vec![f64::NAN, 1.0], vec![0.0, 0.0]] {
            assert!(ClassWeights::Given(bad).of(&[1, 1]).is_err());
        }
    }
}
