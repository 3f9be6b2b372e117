//! What a run may use up: where it ends before its epochs do.

use crate::Result;
use crate::error::setting;

/// What a run may use up, above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// Gradient evaluations of a whole batch.
    Passes(f64),
    /// Seconds of training steps, measuring left out.
    Seconds(f64),
}

impl Limit {
    /// The limit that is configured.
    ///
    /// # Errors
    /// A value out of range, or two limits.
    pub(crate) fn new(passes: Option<f64>, seconds: Option<f64>) -> Result<Option<Self>> {
        let checked = |field, limit: f64| -> Result<f64> {
            setting(field, limit > 0.0 && limit.is_finite(), limit, "finite and above 0")?;
            Ok(limit)
        };
        match (passes, seconds) {
            (None, None) => Ok(None),
            (Some(limit), None) => Ok(Some(Self::Passes(checked("max_passes", limit)?))),
            (None, Some(limit)) => Ok(Some(Self::Seconds(checked("max_seconds", limit)?))),
            (Some(_), Some(limit)) => {
                setting("max_seconds", false, limit, "left out beside max_passes")?;
                Ok(None)
            }
        }
    }

    /// The share of it that is used up, 0 to 1.
    pub(crate) fn share(self, passes: f64, seconds: f64) -> f64 {
        let share = match self {
            Self::Passes(limit) => passes / limit,
            Self::Seconds(limit) => seconds / limit,
        };
        share.min(1.0)
    }
}
