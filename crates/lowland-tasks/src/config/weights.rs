//! How much each class counts.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How much the loss of a sample counts, by its class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"balanced\" or a list of one number for each class")]
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

    /// An error unless each weight that is given is a number that losses, which are `f32`, can be
    /// multiplied by, and one of them is above 0.
    ///
    /// # Errors
    /// [`Error::Setting`] that names the first one that is not.
    pub(crate) fn check(&self) -> Result<()> {
        let Self::Given(weights) = self else { return Ok(()) };
        let refused = |found: String, allowed: &'static str| {
            Err(Error::Setting { field: "class_weights", found, allowed })
        };
        let range = 0.0..=f64::from(f32::MAX);
        if let Some(place) = weights.iter().position(|weight| !range.contains(weight)) {
            let found = format!("{:?} in place {} of {}", weights[place], place + 1, weights.len());
            return refused(found, "numbers from 0 to 3.4e38");
        }
        let smallest = f64::from(f32::MIN_POSITIVE);
        if weights.iter().all(|weight| *weight < smallest) {
            let largest = weights.iter().fold(0.0, |a: f64, b| a.max(*b));
            return refused(
                format!("none above {largest:?}"),
                "numbers of which one is above 1.2e-38",
            );
        }
        Ok(())
    }

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
                self.check()?;
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
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let mut weights = Vec::with_capacity(parts.len());
        for (place, part) in (1..).zip(&parts) {
            let found = match parts.len() {
                1 => (*part).to_owned(),
                count => format!("{part:?} in place {place} of {count}"),
            };
            let (field, allowed) = ("class_weights", Self::ALLOWED);
            weights.push(part.parse().map_err(|_| Error::Setting { field, found, allowed })?);
        }
        let weights = Self::Given(weights);
        weights.check()?;
        Ok(weights)
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
        let error = |text: &str| read(text).unwrap_err().to_string();
        let number = "class_weights must be balanced, or a number for each class, found";
        assert_eq!(error("heavy"), format!("{number} heavy"));
        assert_eq!(error("1,,2"), format!("{number} \"\" in place 2 of 3"));
        assert_eq!(error("1, 2, x"), format!("{number} \"x\" in place 3 of 3"));
        let range = "class_weights must be numbers from 0 to 3.4e38, found";
        for (text, found) in [
            ("1,-0.5,3", "-0.5 in place 2 of 3"),
            ("nan,1", "NaN in place 1 of 2"),
            ("1,inf", "inf in place 2 of 2"),
        ] {
            assert_eq!(error(text), format!("{range} {found}"));
        }
        // Infinite where losses are f32.
        assert_eq!(error("2,1e39"), format!("{range} 1e39 in place 2 of 2"));
        assert!(read("2,3e38").is_ok());
        let above = "class_weights must be numbers of which one is above 1.2e-38, found";
        assert_eq!(error("0,0"), format!("{above} none above 0.0"));
        // Weights of a file are checked too.
        for bad in [vec![-1.0, 1.0], vec![f64::NAN, 1.0], vec![0.0, 1e-50]] {
            assert!(ClassWeights::Given(bad).of(&[1, 1]).is_err());
        }
        let error = given.of(&[1, 1]).unwrap_err().to_string();
        assert!(error.contains("found 3 for 2 classes"), "{error}");
    }
}
