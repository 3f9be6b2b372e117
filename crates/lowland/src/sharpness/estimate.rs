//! A mean over random draws, and how far it may be off.

/// The mean of independent draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The standard error of the mean, `s/√n` with the sample standard deviation `s`; `None` of one
    /// draw.
    pub standard_error: Option<f64>,
}

impl Estimate {
    /// Of independent draws, at least one.
    pub(super) fn of(draws: &[f64]) -> Self {
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let squares = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>();
        let standard_error = (draws.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Self { mean, standard_error }
    }
}
