//! To how many bits a network is quantised.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::setting;

/// The bits of the first and the last layer.
pub(super) const OUTER_BITS: u8 = 8;

/// How many bits a network is quantised to. The first and the last layer have 8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantiseConfig {
    /// The bits of weights, 2 to 8. Default 4.
    pub weights: u8,
    /// The bits of what comes into a layer, 2 to 8. Default 4.
    pub activations: u8,
}

impl Default for QuantiseConfig {
    fn default() -> Self {
        Self { weights: 4, activations: 4 }
    }
}

impl QuantiseConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where a number of bits is out of range.
    pub fn check(&self) -> Result<()> {
        for (field, bits) in
            [("quantise.weights", self.weights), ("quantise.activations", self.activations)]
        {
            setting(field, (2..=8).contains(&bits), bits, "between 2 and 8")?;
        }
        Ok(())
    }
}
