//! What workers exchange, by name.

/// What workers exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Topic {
    /// Numbers of the training loop, or of a rule.
    Numbers,
    /// Bytes of worker 0.
    Bytes,
    /// A decision of worker 0.
    Decision,
    /// A loss.
    Loss,
    /// The losses of samples.
    Losses,
    /// A gradient at the weights.
    Gradient,
    /// A gradient of a group of workers.
    AscentGradient,
    /// The mean of gradients that workers ascend along.
    MeanGradient,
    /// A gradient at perturbed weights.
    PerturbedGradient,
    /// Running statistics.
    RunningStatistics,
    /// How many samples each worker has for a step.
    Step,
    /// A check that workers are alike.
    Check,
}

impl Topic {
    const NAMES: [&str; 12] = [
        "numbers",
        "bytes",
        "a decision",
        "a loss",
        "the losses of samples",
        "a gradient at the weights",
        "the gradient of a group",
        "the mean gradient over all workers",
        "a gradient at perturbed weights",
        "running statistics",
        "the start of a step",
        "a check",
    ];

    /// The name of the topic of that number.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    pub(super) fn name(number: f64) -> &'static str {
        Self::NAMES.get(number as usize).copied().unwrap_or("something else")
    }
}
