//! Curvature against exact Hessians and known spectra. In one file, since all measures are compared
//! on the same matrices and networks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

use std::ops::ControlFlow;

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use lowland::sharpness::{
    AverageRiseConfig, DensityConfig, Difference, Draw, Eigenpair, EigenvaluesConfig,
    LargestRiseConfig, Layer, Line, LossSurface, Normalisation, Position, Scale, Section, Span,
    SurfaceConfig, SymmetricMap, TraceConfig, Which, average_rise, density, eigenvalues,
    filter_axis, filter_normalised, grid, landscape, largest_rise, linspace, no_extra, trace,
    uninterrupted,
};
use lowland::{Active, Error, ParamVec, Parameters, Scaling};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;

mod common;
mod reference;

use common::{Net, Values, alone, cross_entropies, in_f64, numbers};
use reference::{Reference, noise, spectrum, with_spectrum};

/// What the error of a product may be, as a share of it, because its two gradients are a length
/// apart.
const PRODUCT: f64 = 1e-4;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A vector over the parameters of `like` with the given elements.
fn vector(like: &ParamVec, elements: &[f64]) -> ParamVec {
    let mut elements = elements.iter().copied();
    like.clone().map(|part| {
        let values: Vec<f64> = elements.by_ref().take(part.shape().num_elements()).collect();
        let data = TensorData::new(values, part.shape());
        Tensor::from_data(data, (&part.device(), part.dtype()))
    })
}

/// The elements of a vector; an absent part has none.
fn elements(vector: &ParamVec) -> DVector<f64> {
    let parts = vector.parts().iter().flatten().cloned();
    DVector::from_vec(parts.flat_map(numbers).collect())
}

/// `‖found − expected‖/‖expected‖`
fn relative(found: &DVector<f64>, expected: &DVector<f64>) -> f64 {
    (found - expected).norm() / expected.norm()
}

fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= tolerance, "{what}: {found}, not {expected}, by {error:e} > {tolerance:e}");
}

/// A matrix as a map, without finite differences.
struct Exact {
    matrix: DMatrix<f64>,
    like: ParamVec,
    calls: usize,
}

impl Exact {
    fn new(matrix: DMatrix<f64>) -> Self {
        let n = matrix.nrows();
        let part = |n| Some(Tensor::zeros([n], (&Device::flex(), DType::F64)));
        // In two parts, with one absent between.
        let like = ParamVec::new(vec![part(n / 3), None, part(n - n / 3)]);
        Self { matrix, like, calls: 0 }
    }
}

impl SymmetricMap for Exact {
    fn times(&mut self, v: &ParamVec) -> lowland::Result<ParamVec> {
        self.calls += 1;
        let product = &self.matrix * elements(v);
        Ok(vector(&self.like, product.as_slice()))
    }

    fn like(&self) -> &ParamVec {
        &self.like
    }
}

/// `½·wᵀAw`, in one tensor.
#[derive(Module, Debug)]
struct Vector {
    w: Param<Tensor<1>>,
}

impl Vector {
    fn new(w: &[f64], dtype: DType) -> Self {
        let data = TensorData::new(w.to_vec(), [w.len()]);
        Self { w: Param::from_tensor(Tensor::from_data(data, (&device(), dtype))) }
    }
}

fn quadratic(matrix: &DMatrix<f64>, dtype: DType) -> impl FnMut(&Vector, usize) -> Tensor<1> {
    let n = matrix.nrows();
    let data = TensorData::new(matrix.as_slice().to_vec(), [n, n]);
    let matrix = Tensor::<2>::from_data(data, (&device(), dtype));
    move |model, _| {
        let w = model.w.val();
        let product = matrix.clone().matmul(w.clone().reshape::<2, _>([n, 1])).reshape([n]);
        (w * product).sum().mul_scalar(0.5)
    }
}

/// The network of a reference, its weights and its data.
struct Case {
    reference: Reference,
    net: Net,
    weights: Vec<f64>,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Case {
    fn new(sizes: &[usize], samples: usize, dtype: FloatDType) -> Self {
        let reference = Reference::new(sizes, samples);
        let values: Vec<Vec<f64>> = sizes
            .windows(2)
            .enumerate()
            .flat_map(|(k, pair)| {
                let weight = noise(2 * k as u64, pair[0] * pair[1]);
                [weight.iter().map(|w| 1.2 * w).collect(), noise(2 * k as u64 + 1, pair[1])]
            })
            .collect();
        let net = Net::mlp(sizes, &device()).with_values(&values, dtype);
        let weights = elements(&Parameters::of(&net).unwrap().weights(&net)).as_slice().to_vec();
        let inputs: Vec<f64> = reference.inputs.iter().flatten().copied().collect();
        let x = TensorData::new(inputs, [samples, sizes[0]]);
        let x = Tensor::from_data(x, (&device(), DType::from(dtype)));
        let labels: Vec<i64> =
            reference.labels.iter().map(|&y| i64::try_from(y).unwrap()).collect();
        let y = Tensor::from_ints(labels.as_slice(), &device());
        Self { reference, net, weights, x, y }
    }

    /// The surface over batches of these sizes.
    fn surface(&self, batches: &[usize]) -> LossSurface<Net, impl FnMut(&Net, usize) -> Tensor<1>> {
        self.surface_by(batches, Difference::default())
    }

    fn surface_by(
        &self,
        batches: &[usize],
        difference: Difference,
    ) -> LossSurface<Net, impl FnMut(&Net, usize) -> Tensor<1>> {
        let starts: Vec<usize> = (0..batches.len()).map(|i| batches[..i].iter().sum()).collect();
        let (x, y, sizes) = (self.x.clone(), self.y.clone(), batches.to_vec());
        let losses = move |net: &Net, i: usize| {
            let x = x.clone().narrow(0, starts[i], sizes[i]);
            let y = y.clone().narrow(0, starts[i], sizes[i]);
            cross_entropies(net.forward(x, &[]), y)
        };
        let config = SurfaceConfig { difference, ..SurfaceConfig::default() };
        LossSurface::new(&self.net, batches, &config, losses).unwrap()
    }
}

/// A network of at most 200 weights with all that is not convex in it.
const SIZES: [usize; 4] = [4, 8, 6, 3];

#[test]
fn products_are_those_of_the_exact_hessian() {
    let _alone = alone();
    let single = f64::from(f32::EPSILON);
    for (length, most) in [(f64::EPSILON.cbrt(), 1e-8), (single.cbrt(), PRODUCT)] {
        for sizes in [&SIZES[..], &[5, 4]] {
            let case = Case::new(sizes, 24, FloatDType::F64);
            let exact = case.reference.hessian(&case.weights);
            if sizes.len() == 2 {
                let closed = case.reference.softmax_hessian(&case.weights);
                assert!((&exact - &closed).norm() < 1e-9 * closed.norm(), "the reference");
            }
            let mut surface = case.surface_by(&[10, 14], Difference::Length(length));
            let n = exact.nrows();
            let mut worst = |vectors: Vec<Vec<f64>>| {
                vectors.into_iter().fold(0.0, |worst: f64, v| {
                    let found = surface.hessian_times(&vector(surface.weights(), &v)).unwrap();
                    worst.max(relative(&elements(&found), &(&exact * DVector::from_vec(v))))
                })
            };
            let random = worst((0..20).map(|seed| noise(500 + seed, n)).collect());
            let unit = |i: usize| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
            let columns = worst((0..n).map(unit).collect());
            println!("{length} {sizes:?}: products within {random:e}, columns within {columns:e}");
            assert!(random <= most && columns <= 2.0 * most, "{length} {sizes:?}");
            let v = vector(surface.weights(), &noise(500, n));
            let estimate = surface.product_error(&v).unwrap();
            let found = elements(&surface.hessian_times(&v).unwrap());
            let error = relative(&found, &(&exact * elements(&v)));
            println!("{length} {sizes:?}: error {error:e}, estimated {estimate:e}");
            assert!(error <= 3.0 * estimate && estimate <= PRODUCT * 3.0);
        }
    }
}

/// Rounding in `f32`, apart from the error of the difference. An element of the gradient is a mean
/// of 24 samples of products through all layers: about 64 roundings, each by at most half of ε of
/// what is added, of either sign. Together they make about `√64·ε/2` of the mean norm G of the
/// samples' gradients, and a product with a unit vector is off by twice that over `2h`.
#[test]
fn products_in_f32_are_those_in_f64_but_for_rounding() {
    let _alone = alone();
    let epsilon = f64::from(f32::EPSILON);
    let length = epsilon.cbrt();
    let [single, double] =
        [FloatDType::F32, FloatDType::F64].map(|dtype| Case::new(&SIZES, 24, dtype));
    let norms = (0..24).map(|i| {
        let (x, y) = (single.reference.inputs[i].clone(), single.reference.labels[i]);
        let alone = Reference { inputs: vec![x], labels: vec![y], ..Reference::new(&SIZES, 1) };
        DVector::from_vec(alone.gradient(&single.weights)).norm()
    });
    let bound = 64_f64.sqrt() * 0.5 * epsilon * norms.sum::<f64>() / 24.0 / length;
    let mut f32s = single.surface_by(&[10, 14], Difference::ByType);
    let mut f64s = double.surface_by(&[10, 14], Difference::Length(length));
    for seed in 0..20 {
        let v = DVector::from_vec(noise(500 + seed, 115)).normalize();
        let found = f32s.hessian_times(&vector(f32s.weights(), v.as_slice())).unwrap();
        let expected = f64s.hessian_times(&vector(f64s.weights(), v.as_slice())).unwrap();
        let off = (elements(&found) - elements(&expected)).norm();
        assert!(off <= bound, "{off:e} > {bound:e}");
    }
}

#[test]
fn products_scale_with_their_vector_and_vanish_with_it() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let exact = case.reference.hessian(&case.weights);
    let mut surface = case.surface(&[24]);
    for length in [1e-9, 1e9] {
        let v: Vec<f64> = noise(3, exact.nrows()).iter().map(|v| v * length).collect();
        let found = surface.hessian_times(&vector(surface.weights(), &v)).unwrap();
        assert!(relative(&elements(&found), &(&exact * DVector::from_vec(v))) < 1e-7, "{length}");
    }
    let zero = vector(surface.weights(), &vec![0.0; exact.nrows()]);
    assert_eq!(elements(&surface.hessian_times(&zero).unwrap()).norm(), 0.0);
}

#[test]
fn eigenvalues_are_those_of_the_exact_hessian() {
    let _alone = alone();
    for dtype in [FloatDType::F64, FloatDType::F32] {
        let case = Case::new(&SIZES, 24, dtype);
        let exact = spectrum(&case.reference.hessian(&case.weights));
        let mut surface = case.surface(&[24]);
        let config = EigenvaluesConfig { count: 5, ..EigenvaluesConfig::default() };
        let found = eigenvalues(&mut surface, &config, uninterrupted).unwrap();
        // In `f32` rounding may be more than the tolerance.
        assert!(found.converged || dtype == FloatDType::F32);
        assert!(found.steps < exact.len());
        // Far more than products are off by in `f32`: see the two tests above.
        for (i, pair) in found.pairs.iter().enumerate() {
            println!("{dtype:?} {i}: {} for {}, {} steps", pair.value, exact[i], found.steps);
            assert_close(pair.value, exact[i], 0.01 * exact[i].abs(), "eigenvalue");
        }
        let config = EigenvaluesConfig { count: 2, which: Which::Smallest, ..config };
        let found = eigenvalues(&mut surface, &config, uninterrupted).unwrap();
        assert!(exact[exact.len() - 1] < 0.0, "not convex");
        for (i, pair) in found.pairs.iter().enumerate() {
            let expected = exact[exact.len() - 1 - i];
            assert_close(pair.value, expected, 0.01 * expected.abs(), "smallest eigenvalue");
        }
    }
}

#[test]
fn traces_are_those_of_the_exact_hessian_and_of_its_layers() {
    let _alone = alone();
    let sizes = [4, 6, 3];
    let case = Case::new(&sizes, 24, FloatDType::F64);
    let exact = case.reference.hessian(&case.weights);
    let mut surface = case.surface(&[24]);
    let config = TraceConfig { probes: 60_000, tolerance: 0.004, seed: 1 };
    let found = trace(&mut surface, &config, uninterrupted).unwrap();
    let error = found.total.standard_error.unwrap();
    println!(
        "trace {} ± {error} for {}, {} probes",
        found.total.mean,
        exact.trace(),
        found.draws.len()
    );
    assert_close(found.total.mean, exact.trace(), 0.02 * exact.trace(), "trace");
    assert_close(found.total.mean, exact.trace(), 4.0 * error, "trace by its own error");

    let layers = Layer::all(surface.parameters());
    let paths: Vec<&str> = layers.iter().map(|layer| layer.path.as_str()).collect();
    println!("{paths:?}");
    assert_eq!(
        layers.iter().map(|layer| layer.members.clone()).collect::<Vec<_>>(),
        [vec![0, 1], vec![2, 3]]
    );
    let mut start = 0;
    for (layer, pair) in layers.iter().zip(sizes.windows(2)) {
        let size = pair[0] * pair[1] + pair[1];
        let block = exact.view((start, start), (size, size)).clone_owned();
        start += size;
        let estimate = found.of(&layer.members);
        let error = estimate.standard_error.unwrap();
        assert_close(estimate.mean, block.trace(), 4.0 * error, &layer.path);
        assert!(error < 0.1 * block.trace(), "{error}");

        // The layer alone: its product and its eigenvalues are those of the block.
        surface.restrict(layer.active(surface.parameters())).unwrap();
        let v = vector(surface.weights(), &noise(9, size));
        let product = surface.hessian_times(&v).unwrap();
        assert_eq!(product.parts().iter().flatten().count(), 2);
        assert!(relative(&elements(&product), &(&block * elements(&v))) < 1e-7);
        let found =
            eigenvalues(&mut surface, &EigenvaluesConfig::default(), uninterrupted).unwrap();
        let largest = spectrum(&block)[0];
        assert_close(found.pairs[0].value, largest, 0.01 * largest, "of a layer");
        assert_eq!(found.pairs[0].vector.parts().iter().flatten().count(), 2);
    }
    surface.restrict(Active::All).unwrap();
    assert_eq!(elements(surface.weights()).len(), exact.nrows());
}

#[test]
fn unequal_batches_weigh_as_much_as_their_samples() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    // By their type, which takes no products to choose.
    let mut whole = case.surface_by(&[24], Difference::ByType);
    let mut parts = case.surface_by(&[17, 2, 5], Difference::ByType);
    assert_close(parts.loss().unwrap(), whole.loss().unwrap(), 1e-14, "loss");
    let v = vector(whole.weights(), &noise(2, 115));
    let expected = elements(&whole.hessian_times(&v).unwrap());
    assert!(relative(&elements(&parts.hessian_times(&v).unwrap()), &expected) < 1e-8);
    let zero = vector(whole.weights(), &[0.0; 115]);
    let (loss, gradient) = parts.gradient_at(&zero).unwrap();
    assert_close(loss, whole.loss().unwrap(), 1e-14, "loss of the gradient");
    let exact = DVector::from_vec(case.reference.gradient(&case.weights));
    assert!(relative(&elements(&gradient), &exact) < 1e-12);
    assert_close(whole.passes(), 1.0 / 3.0 * 2.0 + 2.0, 1e-12, "passes");
    assert_close(parts.passes(), 1.0 / 3.0 + 2.0 + 1.0, 1e-12, "passes");
}

/// Negative, degenerate, and zero eigenvalues.
const SPECTRUM: [f64; 12] = [5.0, 5.0, 3.0, 1.0, 0.5, 0.0, 0.0, 0.0, -0.1, -2.0, -2.0, -7.0];

#[test]
fn lanczos_finds_known_spectra_whole_with_every_copy() {
    for matrix in
        [with_spectrum(&SPECTRUM), DMatrix::from_diagonal(&DVector::from_row_slice(&SPECTRUM))]
    {
        let mut map = Exact::new(matrix.clone());
        let config =
            EigenvaluesConfig { count: 12, tolerance: 1e-12, ..EigenvaluesConfig::default() };
        let found = eigenvalues(&mut map, &config, uninterrupted).unwrap();
        assert_eq!((found.steps, map.calls, found.converged), (12, 24, true));
        for (i, pair) in found.pairs.iter().enumerate() {
            assert_close(pair.value, SPECTRUM[i], 1e-10, "eigenvalue");
            let x = elements(&pair.vector);
            assert!((&matrix * &x - pair.value * &x).norm() < 1e-9, "eigenvector {i}");
            for other in &found.pairs[..i] {
                assert!(x.dot(&elements(&other.vector)).abs() < 1e-9, "orthogonal");
            }
            assert_close(x.norm(), 1.0, 1e-12, "length");
        }
        assert!(found.ritz_values.is_sorted());

        let config = EigenvaluesConfig { count: 3, which: Which::Magnitude, ..config };
        let found = eigenvalues(&mut map, &config, uninterrupted).unwrap();
        let values: Vec<f64> = found.pairs.iter().map(|pair| pair.value.round()).collect();
        assert_eq!(values, [-7.0, 5.0, 5.0]);
        let config = EigenvaluesConfig { count: 3, which: Which::Smallest, ..config };
        let found = eigenvalues(&mut map, &config, uninterrupted).unwrap();
        let values: Vec<f64> = found.pairs.iter().map(|pair| pair.value.round()).collect();
        assert_eq!(values, [-7.0, -2.0, -2.0]);
    }
}

#[test]
fn lanczos_ends_once_it_has_converged_and_says_how_far_it_is() {
    let values: Vec<f64> = (0..150).map(|i| 0.8_f64.powi(i)).collect();
    let matrix = with_spectrum(&values);
    let mut map = Exact::new(matrix.clone());
    let config = EigenvaluesConfig { count: 4, tolerance: 1e-6, ..EigenvaluesConfig::default() };
    let found = eigenvalues(&mut map, &config, uninterrupted).unwrap();
    assert!(found.converged && found.steps < 60, "{} steps", found.steps);
    for (pair, expected) in found.pairs.iter().zip(&values) {
        assert!(pair.residual <= 1e-6);
        assert_close(pair.value, *expected, pair.residual + 1e-13, "eigenvalue");
        assert_close(pair.measured_residual, pair.residual, 1e-12, "residual");
    }

    let config = EigenvaluesConfig { count: 1, steps: 3, tolerance: 1e-12, ..config };
    let found = eigenvalues(&mut map, &config, uninterrupted).unwrap();
    assert!(!found.converged && found.steps == 3);
    let x = elements(&found.pairs[0].vector);
    let residual = (&matrix * &x - found.pairs[0].value * &x).norm();
    assert_close(found.pairs[0].residual, residual, 1e-12, "residual");
    assert_close(found.pairs[0].measured_residual, residual, 1e-12, "measured residual");
    assert!(residual > 1e-3);
}

#[test]
fn a_map_that_is_zero_has_eigenvalues_of_zero() {
    let mut map = Exact::new(DMatrix::zeros(5, 5));
    let config = EigenvaluesConfig { count: 9, ..EigenvaluesConfig::default() };
    let found = eigenvalues(&mut map, &config, uninterrupted).unwrap();
    assert!(found.converged);
    assert_eq!(found.pairs.iter().map(|pair| pair.value).collect::<Vec<_>>(), [0.0; 5]);
    let found = density(&mut map, &DensityConfig::default(), uninterrupted).unwrap();
    assert_eq!(found.range(), (0.0, 0.0));
    assert!(found.curve(50, None).unwrap().iter().all(|(_, height)| height.is_finite()));
}

#[test]
fn a_quadratic_has_the_spectrum_that_it_was_given() {
    let _alone = alone();
    // A product takes 12 terms: in `f32` it is off by 12·ε/2·‖A‖·‖w‖/h = 2e-3 at most, and as
    // single roundings have either sign by √12·ε/2·‖A‖·‖w‖/h = 6e-4.
    for (dtype, tolerance) in [(DType::F64, 1e-6), (DType::F32, 2e-3)] {
        let matrix = with_spectrum(&SPECTRUM);
        let model = Vector::new(&noise(4, 12), dtype);
        let losses = quadratic(&matrix, dtype);
        let mut surface =
            LossSurface::new(&model, &[1], &SurfaceConfig::default(), losses).unwrap();
        let config =
            EigenvaluesConfig { count: 12, tolerance: 1e-9, ..EigenvaluesConfig::default() };
        let found = eigenvalues(&mut surface, &config, uninterrupted).unwrap();
        for (pair, expected) in found.pairs.iter().zip(SPECTRUM) {
            assert_close(pair.value, expected, tolerance, "eigenvalue");
        }
    }
}

#[test]
fn traces_of_known_matrices() {
    // Of a diagonal matrix each probe gives the trace itself.
    let mut map = Exact::new(DMatrix::from_diagonal(&DVector::from_row_slice(&SPECTRUM)));
    let config = TraceConfig { probes: 3, tolerance: 0.0, seed: 0 };
    let found = trace(&mut map, &config, uninterrupted).unwrap();
    assert_close(found.total.mean, SPECTRUM.iter().sum(), 1e-12, "trace");
    assert_eq!(found.draws.len(), 3);
    assert_close(found.of(&[0]).mean, SPECTRUM[..4].iter().sum(), 1e-12, "block");
    assert_eq!(found.of(&[1]).mean, 0.0);

    let matrix = with_spectrum(&SPECTRUM);
    let mut map = Exact::new(matrix.clone());
    let config = TraceConfig { probes: 4000, tolerance: 0.0, seed: 0 };
    let found = trace(&mut map, &config, uninterrupted).unwrap();
    let error = found.total.standard_error.unwrap();
    assert_close(found.total.mean, matrix.trace(), 4.0 * error, "trace");
    // The variance of a probe is 2·Σ_{i≠j} H_ij².
    let off: f64 = matrix.norm_squared() - matrix.diagonal().norm_squared();
    let expected = (2.0 * off / 4000.0).sqrt();
    assert_close(error, expected, 0.05 * expected, "standard error");
}

#[test]
fn densities_of_known_spectra() {
    // Half of all eigenvalues at −1, three tenths at 2, the rest at 10.
    let mut values = vec![-1.0; 100];
    values.extend(vec![2.0; 60]);
    values.extend(vec![10.0; 40]);
    let mut map = Exact::new(with_spectrum(&values));
    let config = DensityConfig { probes: 60, steps: 20, seed: 3 };
    let found = density(&mut map, &config, uninterrupted).unwrap();
    assert_eq!(found.dimension, 200);
    // Three distinct eigenvalues take three steps.
    assert!(map.calls <= 60 * 4, "{}", map.calls);
    for nodes in &found.probes {
        assert_close(nodes.iter().map(|node| node.weight).sum(), 1.0, 1e-12, "weights");
        for node in nodes.iter().filter(|node| node.weight > 1e-9) {
            let off = [-1.0, 2.0, 10.0].iter().map(|v: &f64| (v - node.value).abs());
            assert!(off.fold(f64::INFINITY, f64::min) < 1e-6, "{node:?}");
        }
    }
    assert_close(found.share_up_to(0.0), 0.5, 0.02, "share");
    assert_close(found.share_up_to(5.0), 0.8, 0.02, "share");
    let mean = values.iter().sum::<f64>() / 200.0;
    assert_close(found.mean_eigenvalue(), mean, 0.15, "mean");

    let curve = found.curve(2000, Some(0.1)).unwrap();
    let width = curve[1].0 - curve[0].0;
    assert_close(curve.iter().map(|(_, height)| height * width).sum(), 1.0, 1e-3, "integral");
    let at =
        |t: f64| curve.iter().min_by(|a, b| (a.0 - t).abs().total_cmp(&(b.0 - t).abs())).unwrap().1;
    let peak = 0.5 / (0.1 * std::f64::consts::TAU.sqrt());
    assert_close(at(-1.0), peak, 0.05 * peak, "peak");
    assert!(at(5.0) < 1e-9);
}

#[test]
fn the_density_of_a_network_has_its_moments() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let exact = case.reference.hessian(&case.weights);
    let values = spectrum(&exact);
    let mut surface = case.surface(&[24]);
    let config = DensityConfig { probes: 30, steps: 40, seed: 0 };
    let found = density(&mut surface, &config, uninterrupted).unwrap();
    assert_close(found.range().1, values[0], 0.001 * values[0], "largest node");
    let n = exact.nrows() as f64;
    assert_close(found.mean_eigenvalue(), exact.trace() / n, 0.1 * exact.trace() / n, "mean");
    let share = values.iter().filter(|&&v| v <= 0.0).count() as f64 / n;
    assert_close(found.share_up_to(0.0), share, 0.1, "negative share");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn products_are_symmetric_and_linear(seed in 0_u64..1000, a in -2.0..2.0_f64, b in -2.0..2.0_f64) {
        let _alone = alone();
        let case = Case::new(&SIZES, 12, FloatDType::F64);
        let mut surface = case.surface(&[12]);
        let like = surface.weights().clone();
        let (u, v) = (vector(&like, &noise(seed, 115)), vector(&like, &noise(seed + 7000, 115)));
        let h_u = elements(&surface.hessian_times(&u).unwrap());
        let h_v = elements(&surface.hessian_times(&v).unwrap());
        let scale = h_u.norm() * elements(&v).norm();
        prop_assert!((elements(&v).dot(&h_u) - elements(&u).dot(&h_v)).abs() < 1e-8 * scale);
        let sum = vector(&like, (a * elements(&u) + b * elements(&v)).as_slice());
        let h_sum = elements(&surface.hessian_times(&sum).unwrap());
        let error = (h_sum - a * &h_u - b * &h_v).norm();
        prop_assert!(error < 1e-7 * (h_u.norm() + h_v.norm()), "{error:e}");
    }
}

/// The largest of `½·eᵀAe + g·e` within `‖e‖ ≤ ρ`, by bisection of the multiplier.
fn largest_within(a: &DMatrix<f64>, g: &DVector<f64>, rho: f64) -> f64 {
    let n = a.nrows();
    let e = |mu: f64| (DMatrix::identity(n, n) * mu - a).lu().solve(g).unwrap();
    let most = spectrum(a)[0].max(0.0);
    let (mut low, mut high) = (most + 1e-12, most + g.norm() / rho + 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if e(middle).norm() > rho { low = middle } else { high = middle }
    }
    let e = e(high);
    0.5 * e.dot(&(a * &e)) + g.dot(&e)
}

#[test]
fn the_largest_rise_of_a_quadratic_is_found_from_below() {
    let _alone = alone();
    let matrix = with_spectrum(&SPECTRUM);
    let w = DVector::from_vec(noise(4, 12));
    let model = Vector::new(w.as_slice(), DType::F64);
    let losses = quadratic(&matrix, DType::F64);
    let mut surface = LossSurface::new(&model, &[1], &SurfaceConfig::default(), losses).unwrap();
    let adaptive = Scale::Adaptive { eta: 0.01, scaling: Scaling::All };
    for (scale, rho) in [(Scale::Plain, 0.05), (Scale::Plain, 2.0), (adaptive, 0.5)] {
        let t = match scale {
            Scale::Plain => DVector::from_element(12, 1.0),
            Scale::Adaptive { eta, .. } => w.map(|w| w.abs() + eta),
        };
        let t = DMatrix::from_diagonal(&t);
        let g = &t * &matrix * &w;
        let best = largest_within(&(&t * &matrix * &t), &g, rho);
        let config = LargestRiseConfig { rho, scale, steps: 40, ..LargestRiseConfig::default() };
        let found = largest_rise(&mut surface, &config, uninterrupted).unwrap();
        println!("{scale:?} {rho}: {} of {best}, first {}", found.rise, found.rises[0]);
        assert!(found.rise <= best * (1.0 + 1e-9) && found.rise >= 0.99 * best);
        assert_eq!(found.rises.len(), 40);

        // SAM's and ASAM's own perturbation comes first.
        let e = rho * &t * &g / g.norm();
        let first = 0.5 * e.dot(&(&matrix * &e)) + (&matrix * &w).dot(&e);
        assert_close(found.rises[0], first, 1e-12 * first.abs().max(1.0), "first");
        let config = LargestRiseConfig { steps: 1, ..config };
        let found = largest_rise(&mut surface, &config, uninterrupted).unwrap();
        assert_eq!(found.rises.len(), 1);
        assert_close(found.rise, first, 1e-12 * first.abs().max(1.0), "one step");
        assert_close(found.loss, 0.5 * w.dot(&(&matrix * &w)), 1e-13, "loss");
    }
    let config = LargestRiseConfig { rho: 0.0, ..LargestRiseConfig::default() };
    assert_eq!(largest_rise(&mut surface, &config, uninterrupted).unwrap().rise, 0.0);
}

/// Samples whose losses are multiples of one quadratic: their rises at SAM's perturbation are
/// known.
#[test]
fn a_largest_rise_has_its_standard_error_over_the_samples() {
    const SHARES: [f64; 5] = [0.5, 1.0, 1.5, 4.0, 0.25];
    let _alone = alone();
    let model = Vector::new(&[3.0, -4.0], DType::F64);
    let shares = |places: std::ops::Range<usize>| {
        let data = TensorData::new(SHARES[places.clone()].to_vec(), [places.len()]);
        Tensor::<1>::from_data(data, (&device(), DType::F64))
    };
    // In two batches; the losses of single samples, or their means.
    let losses = |means: bool| {
        move |model: &Vector, batch: usize| {
            let half = model.w.val().square().sum().mul_scalar(0.5);
            let losses = shares(if batch == 0 { 0..3 } else { 3..5 }) * half;
            if means { losses.mean() } else { losses }
        }
    };
    let config = LargestRiseConfig { rho: 1.0, steps: 1, ..LargestRiseConfig::default() };
    let settings = SurfaceConfig::default();
    let mut surface = LossSurface::new(&model, &[3, 2], &settings, losses(false)).unwrap();
    let found = largest_rise(&mut surface, &config, uninterrupted).unwrap();
    // ‖w‖ = 5: at a distance of 1 along the gradient the quadratic is 18 in place of 12.5.
    let mean = SHARES.iter().sum::<f64>() / 5.0;
    let squares = SHARES.iter().map(|share| (share - mean).powi(2)).sum::<f64>();
    assert_close(found.rise, 5.5 * mean, 1e-12, "rise");
    let error = 5.5 * (squares / 4.0 / 5.0).sqrt();
    assert_close(found.standard_error.unwrap(), error, 1e-12, "error");
    assert_close(surface.passes(), 2.0, 1e-12, "a gradient, and three forward passes");

    let mut surface = LossSurface::new(&model, &[3, 2], &settings, losses(true)).unwrap();
    let found = largest_rise(&mut surface, &config, uninterrupted).unwrap();
    assert_eq!(found.standard_error, None, "of means nothing is known");
    let nowhere = LargestRiseConfig { rho: 0.0, ..config };
    let mut surface = LossSurface::new(&model, &[3, 2], &settings, losses(false)).unwrap();
    let found = largest_rise(&mut surface, &nowhere, uninterrupted).unwrap();
    assert_eq!((found.rise, found.standard_error), (0.0, None));
}

#[test]
fn average_rises_of_a_quadratic_are_those_of_its_trace() {
    let _alone = alone();
    let matrix = with_spectrum(&SPECTRUM.map(|value| value + 3.0));
    let w = DVector::from_vec(noise(4, 12));
    let model = Vector::new(w.as_slice(), DType::F64);
    let losses = quadratic(&matrix, DType::F64);
    let mut surface = LossSurface::new(&model, &[1], &SurfaceConfig::default(), losses).unwrap();
    let adaptive = Scale::Adaptive { eta: 0.0, scaling: Scaling::All };
    for (draw, factor) in
        [(Draw::Sphere, 1.0 / 12.0), (Draw::Ball, 1.0 / 14.0), (Draw::Gaussian, 1.0)]
    {
        for scale in [Scale::Plain, adaptive] {
            let t = if scale == Scale::Plain { w.map(|_| 1.0) } else { w.clone() };
            let t = DMatrix::from_diagonal(&t);
            let expected = 0.5 * 0.09 * factor * (&t * &matrix * &t).trace();
            let config = AverageRiseConfig { rho: 0.3, scale, draw, directions: 1500, seed: 5 };
            let found = average_rise(&mut surface, &config, uninterrupted).unwrap();
            let error = found.rise.standard_error.unwrap();
            assert_close(found.rise.mean, expected, 4.0 * error, "average");
            assert!(error < 0.04 * expected, "{draw:?} {scale:?} {error} of {expected}");
        }
    }
}

#[test]
fn rises_of_one_layer_move_that_layer_alone() {
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let mut surface = case.surface(&[24]);
    let config = LargestRiseConfig { rho: 0.3, ..LargestRiseConfig::default() };
    let whole = largest_rise(&mut surface, &config, uninterrupted).unwrap();
    let mut flat = 0.0;
    for layer in Layer::all(&surface.parameters().clone()) {
        surface.restrict(layer.active(surface.parameters())).unwrap();
        let found = largest_rise(&mut surface, &config, uninterrupted).unwrap();
        assert!(found.rise > 0.0 && found.rise < whole.rise);
        let average = AverageRiseConfig { directions: 5, ..AverageRiseConfig::default() };
        flat += average_rise(&mut surface, &average, uninterrupted).unwrap().rise.mean.abs();
    }
    assert!(flat > 0.0);
}

/// Burn's own BatchNorm and dropout between two linear layers, in `f64`.
#[derive(Module, Debug)]
struct Normalised {
    first: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    last: Linear,
}

impl Normalised {
    /// With running statistics that have seen some batches, the last of which Burn still holds
    /// back.
    fn new(seed: u64) -> Self {
        let device = device();
        device.seed(seed);
        let model = in_f64(Self {
            first: LinearConfig::new(3, 6).init(&device),
            norm: BatchNormConfig::new(6).init(&device),
            dropout: DropoutConfig::new(0.4).init(),
            last: LinearConfig::new(6, 3).init(&device),
        });
        for batch in 0..7 {
            let _ = model.forward(inputs(40 * seed + batch, 16).mul_scalar(2.0));
        }
        model
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.norm.forward(self.first.forward(x));
        self.last.forward(self.dropout.forward(x))
    }

    fn losses(&self, x: Tensor<2>) -> Tensor<1> {
        let [n, _] = x.dims();
        let labels: Vec<i64> = (0..i64::try_from(n).unwrap()).map(|i| i % 3).collect();
        let y = Tensor::from_ints(labels.as_slice(), &x.device());
        cross_entropies(self.forward(x), y)
    }
}

fn inputs(seed: u64, n: usize) -> Tensor<2> {
    let data = TensorData::new(noise(seed, 3 * n), [n, 3]);
    Tensor::from_data(data, (&device(), DType::F64))
}

fn surface_of(
    model: &Normalised,
    normalisation: Normalisation,
) -> LossSurface<Normalised, impl FnMut(&Normalised, usize) -> Tensor<1>> {
    let config = SurfaceConfig { normalisation, ..SurfaceConfig::default() };
    let losses = |model: &Normalised, i: usize| model.losses(inputs(60 + i as u64, 12));
    LossSurface::new(model, &[12, 12], &config, losses).unwrap()
}

#[test]
fn nothing_of_the_live_module_moves() {
    let _alone = alone();
    for normalisation in [Normalisation::Evaluation, Normalisation::Batch] {
        let model = Normalised::new(1);
        // Applies what is held back, so that any later change is the surface's.
        drop(model.valid());
        let before = Values::of(&model);
        let mut surface = surface_of(&model, normalisation);
        let _ = eigenvalues(&mut surface, &EigenvaluesConfig::default(), uninterrupted).unwrap();
        let config = TraceConfig { probes: 3, ..TraceConfig::default() };
        let _ = trace(&mut surface, &config, uninterrupted).unwrap();
        let _ = largest_rise(&mut surface, &LargestRiseConfig::default(), uninterrupted).unwrap();
        let line = Line::between(
            Position::of(&model).unwrap(),
            Position::of(&Normalised::new(2)).unwrap(),
        )
        .unwrap();
        let _ = landscape(&mut surface, &line, &[[0.5]], no_extra, uninterrupted).unwrap();
        assert_eq!(Values::of(&model), before);
        // Nor is anything held back that would move it later.
        drop(model.valid());
        assert_eq!(Values::of(&model), before);
        assert!(model.norm.training.is_enabled() && model.dropout.training.is_enabled());
    }
}

#[test]
fn evaluation_is_the_deployed_function_and_batch_the_trained_one() {
    let _alone = alone();
    let model = Normalised::new(1);
    let deployed = model.valid();
    let mean = |model: &Normalised, plain: bool| {
        let of = |i: u64| {
            let x = inputs(60 + i, 12);
            let x = if plain { x.inner() } else { x };
            device().seed(i);
            numbers(model.losses(x).mean())[0]
        };
        0.5 * of(0) + 0.5 * of(1)
    };
    let mut evaluation = surface_of(&model, Normalisation::Evaluation);
    assert_close(evaluation.loss().unwrap(), mean(&deployed, true), 1e-12, "deployed");
    let mut batch = surface_of(&model, Normalisation::Batch);
    let trained = mean(&deployed.clone().train(), false);
    assert_close(batch.loss().unwrap(), trained, 1e-12, "trained");
    assert!((trained - mean(&deployed, true)).abs() > 1e-3, "the two differ");
    // Dropout draws the same masks each time.
    assert_eq!(batch.loss().unwrap().to_bits(), batch.loss().unwrap().to_bits());

    // Gradients are those of the same function: against a difference of losses.
    for normalisation in [Normalisation::Evaluation, Normalisation::Batch] {
        let mut surface = surface_of(&model, normalisation);
        let zero = surface.weights().clone().map(|part| part.zeros_like());
        let (_, gradient) = surface.gradient_at(&zero).unwrap();
        let d = elements(&gradient).normalize() * 0.02;
        let e = vector(surface.weights(), d.as_slice());
        let rise = surface.loss_at(&e).unwrap() - surface.loss_at(&e.map(Tensor::neg)).unwrap();
        let expected = 0.04 * elements(&gradient).norm();
        assert_close(rise, expected, 0.01 * expected, "slope");
    }
}

#[test]
fn eigenvalues_made_of_jumps_have_a_large_measured_residual() {
    let _alone = alone();
    let (n, curvature) = (20, 3.0);
    let model = Vector::new(&vec![0.0; n], DType::F64);
    let losses = |model: &Vector, _: usize| {
        let w = model.w.val();
        // Jumps on either side, further away for each weight.
        let places = Tensor::<1, Int>::arange(1..21, &device()).float().cast(DType::F64);
        let jumps = (w.clone() - places.mul_scalar(4e-7)).abs().mul_scalar(1e-4).sum();
        w.clone().powi_scalar(2).sum().mul_scalar(0.5 * 3.0) + jumps
    };
    let top = |difference| {
        let config = SurfaceConfig { difference, ..SurfaceConfig::default() };
        let mut surface = LossSurface::new(&model, &[1], &config, losses).unwrap();
        let found =
            eigenvalues(&mut surface, &EigenvaluesConfig::default(), uninterrupted).unwrap();
        let pair = &found.pairs[0];
        assert_eq!(found.converged, pair.measured_residual <= 1e-3 * pair.value);
        (pair.value, pair.measured_residual / pair.value)
    };
    let (value, residual) = top(Difference::ByType);
    println!("by type {value}, {residual}");
    assert!(value > 10.0 * curvature && residual > 0.1, "{value}, {residual}");
    for difference in [Difference::Length(0.02), Difference::Auto] {
        let (value, residual) = top(difference);
        println!("{difference:?} {value}, {residual}");
        assert_close(value, curvature, 0.1 * curvature, "averaged");
        assert!(residual < 0.1);
    }
}

/// Linear layers with ReLU between.
#[derive(Module, Debug)]
struct Rectified {
    layers: Vec<Linear>,
}

impl Rectified {
    const SIZES: [usize; 4] = [8, 32, 32, 4];

    fn new(dtype: DType) -> Self {
        let layer = |(k, pair): (usize, &[usize])| {
            let (from, to) = (pair[0], pair[1]);
            let tensor = |seed: u64, shape: [usize; 2], scale: f64| {
                let values = noise(seed, shape[0] * shape[1]).iter().map(|w| scale * w).collect();
                let data = TensorData::new::<f64, _>(values, shape);
                Tensor::<2>::from_data(data, (&device(), dtype))
            };
            let weight = tensor(20 + k as u64, [from, to], (6.0 / from as f64).sqrt());
            let bias = tensor(30 + k as u64, [1, to], 0.3).reshape([to]);
            Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) }
        };
        Self { layers: Self::SIZES.windows(2).enumerate().map(layer).collect() }
    }

    fn losses(&self, samples: usize) -> Tensor<1> {
        let dtype = self.layers[0].weight.val().dtype();
        let x = TensorData::new(noise(41, samples * Self::SIZES[0]), [samples, Self::SIZES[0]]);
        let mut x = Tensor::<2>::from_data(x, (&device(), dtype)).mul_scalar(3.0_f64.sqrt());
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(if i == 0 { x } else { burn::tensor::activation::relu(x) });
        }
        let labels: Vec<i64> = (0..i64::try_from(samples).unwrap()).map(|i| i * i % 4).collect();
        cross_entropies(x, Tensor::from_ints(labels.as_slice(), &device()))
    }
}

/// What is found with the defaults on a network with ReLU in `f32`, by products in `f64` at the
/// same length; and what is said of a pair against products, in `f64`.
#[test]
fn the_defaults_suit_a_network_with_relu() {
    let _alone = alone();
    let samples = 64;
    let losses = |model: &Rectified, _: usize| model.losses(samples);
    let top = |dtype, difference| {
        let config = SurfaceConfig { difference, ..SurfaceConfig::default() };
        let mut surface =
            LossSurface::new(&Rectified::new(dtype), &[samples], &config, losses).unwrap();
        let found =
            eigenvalues(&mut surface, &EigenvaluesConfig::default(), uninterrupted).unwrap();
        (found, surface.difference().unwrap())
    };
    // `⟨x, H·x⟩` and `‖H·x − ⟨x, H·x⟩·x‖` of a pair's vector, in `f64` at a length.
    let measured = |pair: &Eigenpair, length: f64| {
        let config =
            SurfaceConfig { difference: Difference::Length(length), ..SurfaceConfig::default() };
        let model = Rectified::new(DType::F64);
        let mut surface = LossSurface::new(&model, &[samples], &config, losses).unwrap();
        let x = elements(&pair.vector).normalize();
        let product = surface.hessian_times(&vector(surface.weights(), x.as_slice())).unwrap();
        let product = elements(&product);
        let value = x.dot(&product);
        (value, (&product - value * &x).norm())
    };
    let found = |difference: Difference| {
        let (found, length) = top(DType::F32, difference);
        let pair = &found.pairs[0];
        let (value, residual) = measured(pair, length);
        println!(
            "{difference:?} {length}: {} ± {} by Lanczos {}, {value} ± {residual} in f64, {}",
            pair.value, pair.measured_residual, pair.residual, found.converged
        );
        let most = found.ritz_values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        assert!(pair.residual <= 1e-3 * most, "by its own residual Lanczos is done");
        let exact = top(DType::F64, Difference::Length(length)).0.pairs.remove(0);
        let (expected, of_expected) = measured(&exact, length);
        assert_close(exact.value, expected, 1e-9 * expected, "value");
        assert_close(exact.measured_residual, of_expected, 1e-9 * expected, "residual");
        (found.converged, residual / value, length)
    };
    let (converged, residual, _) = found(Difference::ByType);
    assert!(!converged && residual > 0.3, "what Lanczos found was made of jumps: {residual}");
    let (converged, residual, length) = found(Difference::Auto);
    assert!(!converged && residual < 0.15, "{residual} at {length}");
    assert!(length > 0.02, "{length}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F32);
    let run = |seed| {
        let mut surface = case.surface(&[24]);
        let config = EigenvaluesConfig { seed, ..EigenvaluesConfig::default() };
        let top = eigenvalues(&mut surface, &config, uninterrupted).unwrap();
        let config = TraceConfig { probes: 4, seed, ..TraceConfig::default() };
        let trace = trace(&mut surface, &config, uninterrupted).unwrap();
        let config = AverageRiseConfig { directions: 3, seed, ..AverageRiseConfig::default() };
        let rise = average_rise(&mut surface, &config, uninterrupted).unwrap();
        let config = DensityConfig { probes: 2, steps: 5, seed };
        let density = density(&mut surface, &config, uninterrupted).unwrap();
        let direction =
            filter_normalised(surface.parameters(), surface.weights(), seed, filter_axis).unwrap();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let nodes: Vec<f64> = density.probes.iter().flatten().map(|node| node.value).collect();
        [
            bits(elements(&top.pairs[0].vector).as_slice()),
            bits(&trace.draws.concat()),
            bits(&rise.draws),
            bits(&nodes),
            bits(elements(&direction).as_slice()),
        ]
    };
    let (first, again, other) = (run(3), run(3), run(4));
    for i in 0..first.len() {
        assert_eq!(first[i], again[i], "{i}");
        assert_ne!(first[i], other[i], "{i}");
    }
}

/// The norms of filters along `axis` of a tensor with shape `dims`.
fn filter_norms(values: &[f64], dims: &[usize], axis: usize) -> Vec<f64> {
    let after: usize = dims[axis + 1..].iter().product();
    let mut squares = vec![0.0; dims[axis]];
    for (i, value) in values.iter().enumerate() {
        squares[(i / after) % dims[axis]] += value * value;
    }
    squares.iter().map(|square: &f64| square.sqrt()).collect()
}

#[test]
fn directions_have_the_filter_norms_of_the_weights() {
    let net = in_f64(Net::conv_bn(3, [4, 5], 6, &device()));
    let parameters = Parameters::of(&net).unwrap();
    let weights = parameters.weights(&net);
    let direction = filter_normalised(&parameters, &weights, 11, filter_axis).unwrap();
    let mut seen = 0;
    for ((parameter, d), w) in parameters.iter().zip(direction.parts()).zip(weights.parts()) {
        let dims: Vec<usize> = parameter.shape.iter().copied().collect();
        let axis = match dims.len() {
            1 => {
                assert!(d.is_none(), "{} stays", parameter.path);
                continue;
            }
            2 => 1,
            _ => 0,
        };
        seen += 1;
        let (d, w) = (numbers(d.clone().unwrap()), numbers(w.clone().unwrap()));
        assert_eq!(filter_norms(&w, &dims, axis).len(), [4, 5, 6][seen - 1], "outputs");
        let pairs = filter_norms(&d, &dims, axis).into_iter().zip(filter_norms(&w, &dims, axis));
        for (found, expected) in pairs {
            assert_close(found, expected, 1e-12 * expected, &parameter.path);
        }
        let cosine = DVector::from_vec(d).normalize().dot(&DVector::from_vec(w).normalize());
        assert!(cosine.abs() < 0.6, "random, not the weights: {cosine}");
    }
    assert_eq!(seen, 3);

    // Weights ten times as large make the same direction ten times as long.
    let tenfold = weights.clone().map(|part| part.mul_scalar(10.0));
    let larger = filter_normalised(&parameters, &tenfold, 11, filter_axis).unwrap();
    assert!(relative(&elements(&larger), &(elements(&direction) * 10.0)) < 1e-12);
    let zero = weights.clone().map(|part| part.zeros_like());
    let none = filter_normalised(&parameters, &zero, 11, filter_axis).unwrap();
    assert_eq!(elements(&none).norm(), 0.0);

    let wrong = filter_normalised(&parameters, &weights, 11, |_| Some(1));
    assert!(matches!(wrong, Err(Error::Mismatch { what: "a filter axis", .. })));
    let short = ParamVec::new(weights.parts()[..2].to_vec());
    let wrong = filter_normalised(&parameters, &short, 11, filter_axis);
    assert!(matches!(wrong, Err(Error::Mismatch { what: "a vector of weights", .. })));
}

#[test]
fn a_line_meets_both_ends_exactly() {
    let _alone = alone();
    let (a, b) = (Normalised::new(1), Normalised::new(2));
    for normalisation in [Normalisation::Evaluation, Normalisation::Batch] {
        let (at_a, at_b) = (
            surface_of(&a, normalisation).loss().unwrap(),
            surface_of(&b, normalisation).loss().unwrap(),
        );
        assert_ne!(at_a, at_b);
        let line = Line::between(Position::of(&a).unwrap(), Position::of(&b).unwrap()).unwrap();
        let points: Vec<[f64; 1]> = linspace(-0.5, 1.5, 9).into_iter().map(|t| [t]).collect();
        let mut surface = surface_of(&a, normalisation);
        let mut calls = Vec::new();
        let found = landscape(
            &mut surface,
            &line,
            &points,
            |model: &Normalised| {
                let weight = model.first.weight.val().inner().sum();
                Some(numbers(weight)[0])
            },
            |progress| {
                calls.push((progress.done, progress.total));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        assert!(found.complete);
        assert_eq!(calls, (1..=9).map(|done| (done, 9)).collect::<Vec<_>>());
        let at = |t: f64| found.points.iter().find(|point| point.at == [t]).unwrap();
        assert_eq!(at(0.0).loss.to_bits(), at_a.to_bits());
        assert_eq!(at(1.0).loss.to_bits(), at_b.to_bits());
        let sum = |model: &Normalised| numbers(model.first.weight.val().inner().sum())[0];
        assert_eq!(at(1.0).other, Some(sum(&b)));
        assert_close(at(0.5).other.unwrap(), 0.5 * (sum(&a) + sum(&b)), 1e-12, "halfway");
    }
}

#[test]
fn a_span_is_the_loss_at_its_displacements_and_knows_coordinates() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let mut surface = case.surface(&[24]);
    let weights = surface.weights().clone();
    let x = filter_normalised(surface.parameters(), &weights, 1, filter_axis).unwrap();
    let y = filter_normalised(surface.parameters(), &weights, 2, filter_axis).unwrap();
    let origin = Position::of(&case.net).unwrap();
    let span = Span::around(origin.clone(), [x.clone(), y.clone()]).unwrap();
    let points = grid(&linspace(-1.0, 1.0, 5), &linspace(-0.5, 0.5, 3));
    assert_eq!(points.len(), 15);
    assert_eq!(points[1], [-0.5, -0.5]);
    let found = landscape(&mut surface, &span, &points, no_extra, uninterrupted).unwrap();
    for point in &found.points {
        let e = x.clone().map(|part| part.mul_scalar(point.at[0])).plus_scaled(&y, point.at[1]);
        assert_close(point.loss, surface.loss_at(&e).unwrap(), 1e-12, "loss");
        assert_eq!(point.other, None);
    }
    let center = found.points.iter().find(|point| point.at == [0.0, 0.0]).unwrap();
    assert_eq!(center.loss.to_bits(), surface.loss().unwrap().to_bits());

    let (at, distance) = span.coordinates(&span.at([0.25, -1.5])).unwrap();
    assert_close(at[0], 0.25, 1e-12, "x");
    assert_close(at[1], -1.5, 1e-12, "y");
    assert!(distance < 1e-12);
    // A third direction leads away from the plane: only what is across it counts.
    let z = vector(&weights, &noise(77, 115));
    let away = Span::around(origin.clone(), [z.clone()]).unwrap().at([2.0]);
    let (at, distance) = span.coordinates(&away).unwrap();
    let near = at[0] * filled(&x, &weights) + at[1] * filled(&y, &weights);
    let off = 2.0 * elements(&z) - &near;
    assert_close(distance, off.norm(), 1e-10, "distance");
    assert!(off.dot(&filled(&x, &weights)).abs() < 1e-10);
    let twice = Span::around(origin, [x.clone(), x]).unwrap();
    assert!(matches!(twice.coordinates(&away), Err(Error::Combination(_))));
}

/// The elements of a vector, absent parts as zeros.
fn filled(vector: &ParamVec, like: &ParamVec) -> DVector<f64> {
    elements(&like.clone().map(|part| part.zeros_like()).plus(vector))
}

#[test]
fn breaking_off_gives_what_there_is_so_far() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let mut surface = case.surface(&[24]);
    let after = |limit: usize| {
        move |progress: lowland::sharpness::Progress| {
            if progress.done >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let config = EigenvaluesConfig { count: 4, tolerance: 1e-12, ..EigenvaluesConfig::default() };
    let found = eigenvalues(&mut surface, &config, after(2)).unwrap();
    assert_eq!((found.steps, found.pairs.len(), found.converged), (2, 2, false));
    let config = TraceConfig { tolerance: 0.0, ..TraceConfig::default() };
    assert_eq!(trace(&mut surface, &config, after(1)).unwrap().total.standard_error, None);
    let found = density(&mut surface, &DensityConfig::default(), after(2)).unwrap();
    assert_eq!(found.probes.len(), 2);
    let found = largest_rise(&mut surface, &LargestRiseConfig::default(), after(3)).unwrap();
    assert_eq!(found.rises.len(), 3);
    let found = average_rise(&mut surface, &AverageRiseConfig::default(), after(3)).unwrap();
    assert_eq!(found.draws.len(), 3);
    let direction = surface.weights().clone();
    let span = Span::around(Position::of(&case.net).unwrap(), [direction]).unwrap();
    let points = [[0.0], [0.1], [0.2], [0.3]];
    let found = landscape(&mut surface, &span, &points, no_extra, after(2)).unwrap();
    assert_eq!((found.points.len(), found.complete), (2, false));
}

#[test]
fn a_module_without_gradient_graph_is_named() {
    let _alone = alone();
    let net = Net::mlp(&SIZES, &device());
    let plain = Net::mlp(&SIZES, &Device::flex());
    let losses = |_: &Net, _: usize| Tensor::<1>::zeros([3], &device());
    for (what, net) in [("plain", plain), ("valid", net.valid())] {
        let surface = LossSurface::new(&net, &[3], &SurfaceConfig::default(), losses);
        for error in [surface.err().unwrap(), Position::of(&net).unwrap_err()] {
            assert!(matches!(error, Error::Untracked { .. }), "{what}: {error}");
            assert!(error.to_string().contains("Device::autodiff"), "{what}: {error}");
        }
    }
    let frozen = LossSurface::new(&net.no_grad(), &[3], &SurfaceConfig::default(), losses);
    assert_eq!(frozen.err(), Some(Error::NoParameters));
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let config = SurfaceConfig::default();
    let message = |error: Option<Error>| error.unwrap().to_string();
    let losses = |_: &Net, _: usize| Tensor::<1>::zeros([3], (&device(), DType::F64));
    for batches in [&[][..], &[4, 0]] {
        let found = LossSurface::new(&case.net, batches, &config, losses).err();
        assert!(message(found).starts_with("batches must be at least one size"));
    }
    let mut wrong = LossSurface::new(&case.net, &[4], &config, losses).unwrap();
    assert_eq!(wrong.loss(), Err(Error::Losses { expected: 4, found: 3 }));
    let mut untracked = LossSurface::new(&case.net, &[3], &config, losses).unwrap();
    assert_eq!(untracked.loss(), Ok(0.0));
    let v = untracked.weights().clone();
    assert_eq!(
        untracked.hessian_times(&v).err(),
        Some(Error::Untracked { what: "the loss".into() })
    );
    let difference = Difference::Length(0.0);
    let config = SurfaceConfig { difference, ..config };
    let found = LossSurface::new(&case.net, &[3], &config, losses).err();
    assert_eq!(message(found), "difference must be finite and above 0, found 0");

    let (x, y) = (case.x.clone(), case.y.clone());
    let infinite = move |net: &Net, _: usize| {
        cross_entropies(net.forward(x.clone(), &[]), y.clone()).div_scalar(0.0)
    };
    let config = SurfaceConfig::default();
    let mut infinite = LossSurface::new(&case.net, &[24], &config, infinite).unwrap();
    let error = Some(Error::NotFinite("the loss"));
    assert_eq!(infinite.loss().err(), error);
    assert_eq!(infinite.hessian_times(&v).err(), error);
    assert_eq!(
        eigenvalues(&mut infinite, &EigenvaluesConfig::default(), uninterrupted).err(),
        error
    );
    assert_eq!(trace(&mut infinite, &TraceConfig::default(), uninterrupted).err(), error);
    assert_eq!(
        average_rise(&mut infinite, &AverageRiseConfig::default(), uninterrupted).err(),
        error
    );
    // Except in a landscape, which continues past such places.
    let span = Span::around(Position::of(&case.net).unwrap(), [v]).unwrap();
    let found = landscape(&mut infinite, &span, &[[0.0]], no_extra, uninterrupted).unwrap();
    assert_eq!(found.points[0].loss, f64::INFINITY);

    let mut surface = case.surface(&[24]);
    for flags in [vec![true; 5], vec![false; 6]] {
        let found = surface.restrict(Active::Some(flags));
        assert!(matches!(found, Err(Error::Mismatch { what: "a restriction", .. })));
    }
    let field = |error: Option<Error>| match error {
        Some(Error::Config { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let of = |count, steps, tolerance| EigenvaluesConfig {
        count,
        steps,
        tolerance,
        ..EigenvaluesConfig::default()
    };
    for (config, name) in
        [(of(0, 9, 0.1), "count"), (of(1, 0, 0.1), "steps"), (of(1, 9, f64::NAN), "tolerance")]
    {
        assert_eq!(field(eigenvalues(&mut surface, &config, uninterrupted).err()), name);
    }
    let config = TraceConfig { probes: 0, ..TraceConfig::default() };
    assert_eq!(field(trace(&mut surface, &config, uninterrupted).err()), "probes");
    let config = LargestRiseConfig { rho: -1.0, ..LargestRiseConfig::default() };
    assert_eq!(field(largest_rise(&mut surface, &config, uninterrupted).err()), "rho");
    let scale = Scale::Adaptive { eta: -1.0, scaling: Scaling::All };
    let config = AverageRiseConfig { scale, ..AverageRiseConfig::default() };
    assert_eq!(field(average_rise(&mut surface, &config, uninterrupted).err()), "eta");
}

#[test]
fn places_in_other_spaces_are_errors() {
    let _alone = alone();
    let case = Case::new(&SIZES, 24, FloatDType::F64);
    let mut surface = case.surface(&[24]);
    let message = |error: Option<Error>| error.unwrap().to_string();
    let other = Case::new(&[4, 8, 3], 24, FloatDType::F64);
    let (here, there) = (Position::of(&case.net).unwrap(), Position::of(&other.net).unwrap());
    let found = Line::between(here.clone(), there.clone()).err();
    assert_eq!(
        message(found),
        "the far end of a line does not fit the module: 115 weights in 6 tensors of f64 and 0 other values expected, \
         67 weights in 4 tensors of f64 and 0 other values found"
    );
    let single = Position::of(&Case::new(&SIZES, 24, FloatDType::F32).net).unwrap();
    assert!(message(Line::between(here.clone(), single).err()).contains("of f32"));
    let found = Span::around(here, [there.weights().clone()]).err();
    assert!(matches!(found, Some(Error::Mismatch { what: "a direction", .. })));
    let line = Line::between(there.clone(), there).unwrap();
    let found = landscape(&mut surface, &line, &[[0.0]], no_extra, uninterrupted).err();
    assert!(matches!(found, Some(Error::Mismatch { what: "a section", .. })));
}

#[test]
fn configurations_go_through_toml_and_unknown_fields_are_errors() {
    let config: SurfaceConfig =
        toml::from_str("normalisation = \"batch\"\ndifference = { length = 0.01 }").unwrap();
    assert_eq!(config.difference, Difference::Length(0.01));
    assert_eq!(config.normalisation, Normalisation::Batch);
    let config: LargestRiseConfig =
        toml::from_str("rho = 0.5\nscale = { adaptive = { eta = 0.01, scaling = \"all\" } }")
            .unwrap();
    assert_eq!(config.scale, Scale::Adaptive { eta: 0.01, scaling: Scaling::All });
    assert!(toml::from_str::<EigenvaluesConfig>("step = 5").is_err());
}
