//! How the eigenvalues of the Hessian are spread.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::draw::{gaussian, generator};
use super::lanczos::Lanczos;
use super::map::{SymmetricMap, dimension};
use super::{Progress, linspace};
use crate::Result;
use crate::error::{at_least_one, positive};

/// The settings of [`density`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DensityConfig {
    /// How many random vectors Lanczos starts from. At least 1, default 10.
    pub probes: usize,
    /// The most Lanczos steps from each. At least 1, default 80.
    pub steps: usize,
    /// The seed of the vectors. Default 0.
    pub seed: u64,
}

impl Default for DensityConfig {
    fn default() -> Self {
        Self { probes: 10, steps: 80, seed: 0 }
    }
}

/// A point of a quadrature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// The eigenvalue that this node represents.
    pub value: f64,
    /// The share of all eigenvalues it represents.
    pub weight: f64,
}

/// What [`density`] found.
#[derive(Debug, Clone)]
pub struct Density {
    /// The quadrature of each probe, by rising value. The weights of each add up to 1.
    pub probes: Vec<Vec<Node>>,
    /// The number of eigenvalues that there are: the dimension of the map.
    pub dimension: usize,
}

impl Density {
    /// The share of eigenvalues up to and including `value`.
    pub fn share_up_to(&self, value: f64) -> f64 {
        self.mean(|node| if node.value <= value { 1.0 } else { 0.0 })
    }

    /// The mean of `f` over all eigenvalues. Times [`dimension`](Self::dimension) it estimates the
    /// trace of `f(H)`.
    fn mean(&self, f: impl Fn(&Node) -> f64) -> f64 {
        let of = |nodes: &Vec<Node>| nodes.iter().map(|node| node.weight * f(node)).sum::<f64>();
        self.probes.iter().map(of).sum::<f64>() / self.probes.len() as f64
    }

    /// The mean of all eigenvalues: the trace over the dimension.
    pub fn mean_eigenvalue(&self) -> f64 {
        self.mean(|node| node.value)
    }

    /// The least and the greatest value of all nodes.
    pub fn range(&self) -> (f64, f64) {
        let nodes = self.probes.iter().flatten();
        nodes.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), node| {
            (least.min(node.value), most.max(node.value))
        })
    }

    /// The density at evenly spaced points, each node made a normal distribution of deviation
    /// `sigma`:
    ///
    /// ```text
    /// φ(t) = mean over probes of Σ_i weight_i·N(t; value_i, σ²)
    /// ```
    ///
    /// The points reach from 4 σ below the least node to 4 σ above the greatest, so that the
    /// integral over them is close to 1 where they are no further apart than σ. Without `sigma`, it
    /// is a hundredth of the nodes' range, or of their magnitude where they all lie in one place.
    /// Gives pairs of `t` and `φ(t)`.
    ///
    /// # Errors
    /// Fewer than 1 point, a deviation that is not above 0.
    pub fn curve(&self, points: usize, sigma: Option<f64>) -> Result<Vec<(f64, f64)>> {
        at_least_one("points", points)?;
        let (least, most) = self.range();
        let sigma = match sigma {
            Some(sigma) => positive("sigma", sigma)?,
            None => [most - least, most.abs(), 1.0]
                .into_iter()
                .find(|&width| width > 0.0)
                .map_or(0.01, |width| 0.01 * width),
        };
        let height = 1.0 / (sigma * std::f64::consts::TAU.sqrt());
        let at =
            |t: f64| height * self.mean(|node| (-0.5 * ((t - node.value) / sigma).powi(2)).exp());
        let points = linspace(4.0f64.mul_add(-sigma, least), 4.0f64.mul_add(sigma, most), points);
        Ok(points.into_iter().map(|t| (t, at(t))).collect())
    }
}

/// The spectral density of a symmetric map, by stochastic Lanczos quadrature.
///
/// Lanczos from a random vector `v` gives a small tridiagonal matrix. Its eigenvalues `θ_i` and the
/// squares of the first elements of its eigenvectors are the nodes and weights of the Gauss
/// quadrature of the density as `v` sees it; the mean over random `v` is the density:
///
/// ```text
/// vᵀf(H)v ≈ Σ_i s_{1i}²·f(θ_i),      E[vᵀf(H)v] = tr f(H)/n      (‖v‖ = 1, uniform on the sphere)
/// ```
///
/// Its outer nodes are sharp, the bulk is known to about the distance between nodes. `progress` is
/// called after each probe; where it breaks off, the probes so far are returned.
///
/// # Cost
/// `probes·steps` products; `steps` vectors of the size of the weights.
///
/// # Source
/// Ghorbani, Krishnan, Xiao (2019), "An Investigation into Neural Net Optimization via Hessian
/// Eigenvalue Density", arXiv:1901.10159.
///
/// # Errors
/// A setting out of range, products that are not finite, and what the map itself gives.
pub fn density(
    map: &mut impl SymmetricMap,
    config: &DensityConfig,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Density> {
    let total = at_least_one("probes", config.probes)?;
    at_least_one("steps", config.steps)?;
    let dimension = dimension(map.like());
    let mut probes = Vec::new();
    for probe in 0..total {
        let start = gaussian(map.like(), &mut generator(config.seed, probe));
        let mut lanczos = Lanczos::new(start);
        for _ in 0..config.steps.min(dimension) {
            // An exhausted space makes the quadrature exact.
            if lanczos.is_exhausted() {
                break;
            }
            lanczos.step(map)?;
        }
        let node = |pair: super::tridiagonal::Pair| Node {
            value: pair.value,
            weight: pair.vector.first().map_or(0.0, |s| s * s),
        };
        probes.push(lanczos.eigenpairs()?.into_iter().map(node).collect());
        if progress(Progress { done: probe + 1, total }).is_break() {
            break;
        }
    }
    Ok(Density { probes, dimension })
}
