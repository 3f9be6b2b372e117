//! How far a measurement is, and whether it continues.

use std::ops::ControlFlow;

/// How much of a measurement is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The units done: Lanczos steps, probes, directions or points, whichever the measurement is
    /// made of.
    pub done: usize,
    /// The most there may be. A measurement that has converged ends before.
    pub total: usize,
}

/// A callback that never interrupts.
pub fn uninterrupted(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
