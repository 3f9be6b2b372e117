//! The loss over a line or a plane.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{LossSurface, Progress, Section};
use crate::Result;

/// The loss at one point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<const D: usize> {
    /// Its coordinates in the section.
    pub at: [f64; D],
    /// The mean loss there. Far away it may be infinite or not a number.
    pub loss: f64,
    /// Whatever else was measured there, such as the accuracy.
    pub other: Option<f64>,
}

/// What [`landscape`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Landscape<const D: usize> {
    /// The points in the order in which they were asked for.
    pub points: Vec<Point<D>>,
    /// Whether all of them are there.
    pub complete: bool,
}

/// The loss at each of `points` in a section, a line or a plane for instance. For comparisons of
/// several runs, take surfaces with the same batches and settings.
///
/// `other` measures something else on a copy of the module at each point ([`no_extra`] does not).
/// The copy behaves as the surface's [`Normalisation`](super::Normalisation) says, and is on the
/// same device as the module. `progress` is called after each point; where it breaks off, the
/// points so far are returned. A loss that is not finite is kept as it is.
///
/// A surface's restriction to some parameters does not count here: the section says what moves.
///
/// # Cost
/// A third of a gradient a point, and what `other` costs.
///
/// # Source
/// Li, Xu, Taylor, Studer, Goldstein (2018), "Visualizing the Loss Landscape of Neural Nets",
/// arXiv:1712.09913.
///
/// # Errors
/// A section of another module, the wrong number of losses, a device that fails.
pub fn landscape<const D: usize, M, F>(
    surface: &mut LossSurface<M, F>,
    section: &impl Section<D>,
    points: &[[f64; D]],
    mut other: impl FnMut(&M) -> Option<f64>,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Landscape<D>>
where
    M: Module,
    F: FnMut(&M, usize) -> Tensor<1>,
{
    let here = surface.position();
    let total = points.len();
    let mut found = Vec::with_capacity(total);
    for &at in points {
        let position = section.at(at);
        here.check_fits("a section", &position)?;
        let copy = surface.at(&position);
        let loss = surface.loss_on(&copy)?;
        found.push(Point { at, loss, other: other(&copy) });
        if progress(Progress { done: found.len(), total }).is_break() {
            break;
        }
    }
    let complete = found.len() == total;
    Ok(Landscape { points: found, complete })
}

/// Measures nothing beside the loss.
pub fn no_extra<M>(_: &M) -> Option<f64> {
    None
}

/// `count` numbers from `from` to `to` at equal distances, both ends included; `from` alone where
/// `count` is 1.
pub fn linspace(from: f64, to: f64, count: usize) -> Vec<f64> {
    let last = count.saturating_sub(1);
    let at = |i: usize| from + (to - from) * i as f64 / last as f64;
    // Rounding could miss the end.
    (0..count)
        .map(|i| {
            if i == 0 {
                from
            } else if i == last {
                to
            } else {
                at(i)
            }
        })
        .collect()
}

/// All pairs of coordinates, row by row: `y` changes slowest.
pub fn grid(xs: &[f64], ys: &[f64]) -> Vec<[f64; 2]> {
    ys.iter().flat_map(|&y| xs.iter().map(move |&x| [x, y])).collect()
}
