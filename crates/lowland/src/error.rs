//! What can go wrong, named.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside its allowed range.
    #[error("{field} must be {allowed}, found {found}")]
    Config {
        /// The setting.
        field: &'static str,
        /// The value given.
        found: String,
        /// The values allowed.
        allowed: &'static str,
    },
    /// The algorithm needs something that only the training loop knows, and it was not given.
    #[error("{what} is needed and was not given: call `{call}`")]
    Missing {
        /// What is needed, such as the number of steps in the whole training.
        what: &'static str,
        /// The call that gives it.
        call: &'static str,
    },
    /// A setting does not apply to the algorithm.
    #[error("`{setting}` does not apply to {algorithm}: {reason}")]
    Unsupported {
        /// The setting.
        setting: &'static str,
        /// The algorithm, by its name in text.
        algorithm: &'static str,
        /// Why it does not apply.
        reason: &'static str,
    },
    /// The loss or the gradient stayed non-finite for more steps in a row than is allowed.
    #[error(
        "the loss or gradient was not finite at step {step}, {in_a_row} steps in a row; \
         lower the learning rate or the radius"
    )]
    NonFinite {
        /// The last of the steps, counted from 0.
        step: u64,
        /// How many steps in a row were not finite.
        in_a_row: u64,
    },
    /// The module, or the tensor that the loss closure returned, has no gradient graph.
    #[error(
        "{what} has no gradient graph; initialise the module on an autodiff device \
         (`Device::autodiff`), train the module itself and not its `valid` copy, and do not \
         call `valid` or `inner` in the loss closure"
    )]
    Untracked {
        /// What lacks the graph: the loss, or a parameter by its path.
        what: String,
    },
    /// Two places of the module share one tensor, and the training loop can step only the first.
    #[error(
        "`{second}` and `{first}` are one tensor, and Burn's `Learner` steps the first place only, \
         so that they would come apart; train with `SharpnessAware::step` in a loop of your own"
    )]
    Tied {
        /// The path of the first place.
        first: String,
        /// The path of the second place.
        second: String,
    },
    /// The loss closure gave the wrong number of losses for the samples it was asked for.
    #[error("the loss closure gave {found} losses for {expected} samples")]
    Losses {
        /// How many samples were asked for.
        expected: usize,
        /// How many losses came back.
        found: usize,
    },
    /// The algorithm chooses among samples by their losses, and there is one loss for all.
    #[error(
        "the algorithm chooses among samples and needs the loss of each; call `step_samples`, with \
         a closure that returns the losses of the samples it is asked for, `[samples]`, not their \
         mean (`lowland::CrossEntropy` gives them); for a batch of a single sample, state its size \
         (`BatchInfo::with_size`)"
    )]
    PerSample,
    /// The rule asks for some samples of a batch or for losses, and there are only gradients of
    /// whole batches.
    #[error(
        "the rule chooses samples by their losses, and a `Learner` gives gradients of whole \
         batches only; train with `SharpnessAware::step_samples` in a loop of your own"
    )]
    WholeBatches,
    /// The rule needs one update for each step, and was to take the micro-batches of a step one by
    /// one.
    #[error(
        "the rule needs one update for each step and cannot take micro-batches one by one; use \
         `Accumulate::WholeBatch`"
    )]
    EachMicroBatch,
    /// The rule moves the weights after the base optimizer's step, and the training loop keeps them
    /// to itself.
    #[error(
        "the rule moves the weights after the base optimizer's step, and Burn's `Learner` lets nobody \
         set its model; train with `SharpnessAware::step` in a loop of your own, or use WSAM with \
         `decoupled = false`"
    )]
    Displacement,
    /// Burn's checkpoints are on, and the state of the rule would not be saved with them.
    #[error(
        "the checkpoints would lack the state of the rule; make that of the optimizer by \
         `SharpnessAwareStrategy::checkpointer` (`SupervisedTraining::with_custom_checkpointers`)"
    )]
    Checkpoints,
    /// The batch was described in a way that contradicts itself.
    #[error("a batch of {expected} samples was given {found} {what}")]
    Batch {
        /// What does not fit.
        what: &'static str,
        /// The size of the batch.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// A combination of parts that makes no sense.
    #[error("{0}")]
    Combination(&'static str),
    /// A record does not fit the optimizer that is to load it.
    #[error("the record does not fit: {field} {problem}")]
    Record {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The rule asked for no gradient at all.
    #[error("the rule asked for no gradient in this step")]
    NoEvaluation,
    /// The module has no parameter that requires a gradient.
    #[error("the module has no trainable parameter")]
    NoParameters,
    /// A measurement came upon a value that is not finite.
    #[error("{0} is not finite")]
    NotFinite(&'static str),
    /// A vector or a module does not fit the module that is measured.
    #[error("{what} does not fit the module: {expected} expected, {found} found")]
    Mismatch {
        /// What does not fit.
        what: &'static str,
        /// What would.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {problem}")]
    File {
        /// What was tried: read or write.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system reports.
        problem: String,
    },
    /// Workers train together, and one does not know how many samples it has.
    #[error(
        "workers weigh their gradients by samples: say how many the batch has (`BatchInfo::with_size`, \
         `with_indices` or `with_micro_batches`, given to `step_samples`)"
    )]
    BatchSize,
    /// Workers could not reach one another.
    #[error("lost contact with another worker: {0}")]
    Collective(String),
    /// Workers that train together are not at the same place.
    #[error(
        "the workers are out of step: {what} is {found} for worker {worker} and {expected} for worker 0"
    )]
    OutOfStep {
        /// What differs.
        what: &'static str,
        /// The first worker that differs from worker 0.
        worker: usize,
        /// The value of worker 0.
        expected: String,
        /// Its value.
        found: String,
    },
    /// The weights of workers that train together have come apart.
    #[error(
        "the weights of worker {worker} are not those of the others after step {step}; its hardware \
         or its start differs (`Workers::share` gives all workers the weights of worker 0)"
    )]
    Diverged {
        /// The first worker whose weights are not those that most have.
        worker: usize,
        /// The step, counted from 0.
        step: u64,
    },
    /// A value could not be read back from the device.
    #[error("a value could not be read back from the device: {0}")]
    ReadBack(String),
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl Error {
    /// A schedule needs the number of steps in the whole training, and it was not given.
    pub const TOTAL_STEPS: Self = Self::Missing {
        what: "the number of steps in the whole training",
        call: "with_total_steps",
    };

    /// A schedule needs the number of steps in an epoch, and it was not given.
    pub const STEPS_PER_EPOCH: Self =
        Self::Missing { what: "the number of steps in an epoch", call: "with_steps_per_epoch" };

    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
        problem: impl std::fmt::Display,
    ) -> Self {
        Self::File { action, path: path.display().to_string(), problem: problem.to_string() }
    }

    pub(crate) fn record(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::Record { field: field.to_owned(), problem: problem.to_string() }
    }

    pub(crate) fn config(
        field: &'static str,
        found: &dyn std::fmt::Display,
        allowed: &'static str,
    ) -> Self {
        Self::Config { field, found: found.to_string(), allowed }
    }
}

/// Checks that a number is finite and at least zero.
pub(crate) fn non_negative(field: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(Error::config(field, &value, "finite and at least 0"))
    }
}

/// Checks that a number is finite.
pub(crate) fn finite(field: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::config(field, &value, "finite")) }
}

/// Checks that a number is finite and above zero.
pub(crate) fn positive(field: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::config(field, &value, "finite and above 0"))
    }
}

/// Checks that a count is at least one.
pub(crate) fn at_least_one(field: &'static str, value: usize) -> Result<usize> {
    if value > 0 { Ok(value) } else { Err(Error::config(field, &value, "at least 1")) }
}

/// Checks that a number is one, infinite ones included.
pub(crate) fn not_nan(field: &'static str, value: f64) -> Result<f64> {
    if value.is_nan() { Err(Error::config(field, &value, "a number")) } else { Ok(value) }
}

/// Checks that a number lies in `[0, 1]`.
pub(crate) fn fraction(field: &'static str, value: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(Error::config(field, &value, "between 0 and 1"))
    }
}

/// Checks that a number lies above 0 and is at most 1.
pub(crate) fn positive_fraction(field: &'static str, value: f64) -> Result<f64> {
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err(Error::config(field, &value, "above 0 and at most 1"))
    }
}
