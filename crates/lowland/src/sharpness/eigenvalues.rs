//! The extreme eigenvalues of the Hessian.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::Progress;
use super::draw::{gaussian, generator};
use super::lanczos::Lanczos;
use super::map::{SymmetricMap, dimension};
use super::tridiagonal::Pair;
use crate::error::{at_least_one, positive};
use crate::vector::read;
use crate::{Error, ParamVec, Result};

/// Which eigenvalues are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The largest: those that are usually meant by sharpness.
    #[default]
    Largest,
    /// The smallest, which are the most negative where there are such.
    Smallest,
    /// Those of the largest magnitude, of either sign.
    Magnitude,
}

/// The settings of [`eigenvalues`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EigenvaluesConfig {
    /// How many eigenvalues. At least 1, default 1.
    pub count: usize,
    /// Which of them. Default the largest.
    pub which: Which,
    /// The most Lanczos steps, each one product and one more vector of the size of the weights in
    /// memory. At least 1, default 100. Never more are taken than the map has dimensions.
    pub steps: usize,
    /// The residual `‖H·x − θ·x‖` up to which an eigenvalue counts as found, as a share of the
    /// largest magnitude among all. Above 0, default 1e-3. The eigenvalue itself is then off by no
    /// more than that share, and usually by about its square. Lanczos ends where its own residuals
    /// are that small; [`Eigenvalues::converged`] is about the measured ones.
    pub tolerance: f64,
    /// The seed of the first vector. Default 0.
    pub seed: u64,
}

impl Default for EigenvaluesConfig {
    fn default() -> Self {
        Self { count: 1, which: Which::Largest, steps: 100, tolerance: 1e-3, seed: 0 }
    }
}

/// An eigenvalue and its eigenvector, as far as they are known.
#[derive(Debug, Clone)]
pub struct Eigenpair {
    /// `θ = xᵀH·x`, from a product along `x` itself. There is an eigenvalue within
    /// `measured_residual` of it, provided that products are linear.
    pub value: f64,
    /// `‖H·x − θ·x‖`, as Lanczos has it from the products before.
    pub residual: f64,
    /// `‖H·x − θ·x‖`, from the same product as `value`: how uncertain that is. Much more than
    /// `residual`, it says that what was taken for the Hessian is not linear, which no further step
    /// mends: gradients jump over the length of the [`Difference`](super::Difference).
    pub measured_residual: f64,
    /// `x`, of unit length. Its sign is arbitrary, but reproducible for a seed.
    pub vector: ParamVec,
}

/// What [`eigenvalues`] found.
#[derive(Debug, Clone)]
pub struct Eigenvalues {
    /// As many pairs as were asked for (fewer where there are fewer), the outermost first.
    pub pairs: Vec<Eigenpair>,
    /// Whether all of these have measured residuals within the tolerance.
    pub converged: bool,
    /// The Lanczos steps taken.
    pub steps: usize,
    /// The eigenvalues of the Lanczos matrix, rising. The outer ones at both ends approximate
    /// eigenvalues, those between need not.
    pub ritz_values: Vec<f64>,
}

/// The outermost eigenvalues of a symmetric map, by Lanczos with full re-orthogonalisation from a
/// random vector.
///
/// ```text
/// H·x_i = λ_i·x_i,    λ_1 ≥ λ_2 ≥ …    (Which::Largest)
/// ```
///
/// Ends once the pairs asked for have converged, or after [`EigenvaluesConfig::steps`], or when
/// `progress` breaks off; what is known by then is returned.
///
/// Of an eigenvalue that several independent eigenvectors share exactly, one start sees a single
/// copy, and further ones come to light through rounding alone. So where the map has no more
/// dimensions than `steps`, all of them are taken, from other random vectors where one start is
/// exhausted, and every copy is found. Beyond that a copy can be missed; the eigenvalues of trained
/// networks are rarely shared.
///
/// # Cost
/// A product a step, and one for each pair at the end, besides those that choose the length of
/// differences; `steps` vectors of the size of the weights.
///
/// # Errors
/// A setting out of range, products that are not finite, and what the map itself gives.
pub fn eigenvalues(
    map: &mut impl SymmetricMap,
    config: &EigenvaluesConfig,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Eigenvalues> {
    at_least_one("count", config.count)?;
    at_least_one("steps", config.steps)?;
    positive("tolerance", config.tolerance)?;
    let dimension = dimension(map.like());
    let (total, count) = (config.steps.min(dimension), config.count.min(dimension));

    let mut lanczos = Lanczos::new(fresh(map, config, 0));
    // An exhausted space holds but one copy of each eigenvalue, however well it has converged.
    let mut copies_missing = dimension <= config.steps;
    for done in 1..=total {
        if lanczos.is_exhausted() {
            lanczos.go_on_from(fresh(map, config, done));
        }
        lanczos.step(map)?;
        copies_missing |= lanczos.is_exhausted();
        let broken_off = progress(Progress { done, total }).is_break();
        let converged = done >= count && !copies_missing && {
            let pairs = lanczos.eigenpairs()?;
            let limit = limit(&pairs, config);
            wanted(&pairs, config.which, count).iter().all(|pair| lanczos.residual(pair) <= limit)
        };
        if broken_off || converged {
            break;
        }
    }
    found(map, &lanczos, config, count)
}

/// A random vector of the kind that `map` takes.
fn fresh(map: &impl SymmetricMap, config: &EigenvaluesConfig, number: usize) -> ParamVec {
    gaussian(map.like(), &mut generator(config.seed, number))
}

fn found(
    map: &mut impl SymmetricMap,
    lanczos: &Lanczos,
    config: &EigenvaluesConfig,
    count: usize,
) -> Result<Eigenvalues> {
    let all = lanczos.eigenpairs()?;
    let limit = limit(&all, config);
    let mut pairs = Vec::new();
    for pair in wanted(&all, config.which, count) {
        let (residual, vector) = (lanczos.residual(pair), lanczos.vector(pair));
        // A product of its own: those that Lanczos took made the vector what it is, noise included.
        let product = map.times(&vector)?;
        let value = read(vec![vector.dot(&product)])?[0];
        let rest = product.plus_scaled(&vector, -value).norm();
        let measured_residual = read(vec![rest])?[0];
        if !measured_residual.is_finite() {
            return Err(Error::NotFinite("a product with the Hessian"));
        }
        pairs.push(Eigenpair { value, residual, measured_residual, vector });
    }
    outermost_first(&mut pairs, config.which, |pair| pair.value);
    let settled = |pair: &Eigenpair| pair.measured_residual <= limit;
    let converged = pairs.len() == count && pairs.iter().all(settled);
    let ritz_values = all.iter().map(|pair| pair.value).collect();
    Ok(Eigenvalues { pairs, converged, steps: lanczos.basis.len(), ritz_values })
}

/// The residual up to which a pair counts as converged.
fn limit(pairs: &[Pair], config: &EigenvaluesConfig) -> f64 {
    config.tolerance * pairs.iter().fold(0.0, |most: f64, pair| most.max(pair.value.abs()))
}

/// The outermost `count` of `pairs`, which are in rising order.
fn wanted(pairs: &[Pair], which: Which, count: usize) -> Vec<&Pair> {
    let mut pairs: Vec<&Pair> = pairs.iter().collect();
    outermost_first(&mut pairs, which, |pair| pair.value);
    pairs.truncate(count);
    pairs
}

fn outermost_first<T>(pairs: &mut [T], which: Which, value: impl Fn(&T) -> f64) {
    pairs.sort_by(|a, b| match which {
        Which::Largest => value(b).total_cmp(&value(a)),
        Which::Smallest => value(a).total_cmp(&value(b)),
        Which::Magnitude => value(b).abs().total_cmp(&value(a).abs()),
    });
}
