//! GCSAM: a perturbation without what is common to the inputs of an output.

use burn::tensor::Tensor;
use lowland::{GcsamConfig, ParamVec, Parameters, SamConfig};

use super::{LR, RHO, constant, descend, flat, follow, near, norm};
use crate::common::spy::{Seen, spied};
use crate::common::{Net, numbers, sgd};
use crate::workers::{batch_of, conv, conv_losses, net};

/// The numbers of a tensor by output: rows where the outputs are the first axis, columns where they
/// are the second.
fn by_output(values: &[f64], shape: &[usize], outputs: usize) -> Vec<Vec<usize>> {
    let inner = values.len() / shape[0];
    match outputs {
        0 => (0..shape[0]).map(|row| (row * inner..(row + 1) * inner).collect()).collect(),
        _ => {
            (0..shape[1]).map(|column| (column..values.len()).step_by(shape[1]).collect()).collect()
        }
    }
}

/// In every tensor of two axes or more the part of e that belongs to an output sums to 0, vectors
/// keep their gradient, and `‖e‖ = ρ‖c‖/‖g‖`, which is at most ρ.
fn check_gcsam(parameters: &Parameters, seen: &Seen) {
    let (g, e) = (&seen.gradients[0], &seen.perturbations[0]);
    let length = norm(&flat(g));
    let mut centred = Vec::new();
    for (i, parameter) in parameters.iter().enumerate() {
        let of = |vector: &ParamVec| numbers(vector.parts()[i].clone().unwrap());
        let (mut c, e) = (of(g), of(e));
        if parameter.shape.num_dims() > 1 {
            for places in by_output(&c, parameter.shape.as_slice(), parameter.outputs) {
                let mean = places.iter().map(|&j| c[j]).sum::<f64>() / places.len() as f64;
                places.iter().for_each(|&j| c[j] -= mean);
                let sum: f64 = places.iter().map(|&j| e[j]).sum();
                assert!(sum.abs() < 1e-14, "{}: {sum}", parameter.path);
            }
        }
        let expected: Vec<f64> = c.iter().map(|c| RHO * c / (length + 1e-12)).collect();
        near(&e, &expected, &parameter.path);
        centred.extend(c);
    }
    let found = norm(&flat(e));
    assert!((found - RHO * norm(&centred) / length).abs() < 1e-12, "{found}");
    assert!(found < RHO, "{found}: something was taken off");
    let update = seen.final_gradient.as_ref().unwrap();
    assert_eq!(flat(update), flat(&seen.gradients[1]), "the second gradient is passed on as it is");
}

#[test]
fn gcsam_takes_the_mean_of_each_output_off_its_perturbation() {
    let gcsam = || GcsamConfig::new(RHO).build().unwrap();
    let parameters = Parameters::of(&net()).unwrap();
    assert!(parameters.iter().any(|parameter| parameter.outputs == 1), "a linear weight");
    follow(gcsam(), sgd(0.9, 0.0), 6, &batch_of, &mut |step| check_gcsam(&parameters, step.seen));

    let (mut optimizer, seen) = spied(gcsam(), sgd(0.9, 0.0));
    let mut net = conv();
    let parameters = Parameters::of(&net).unwrap();
    assert!(parameters.iter().any(|parameter| parameter.shape.num_dims() == 4), "a convolution");
    for t in 0..4 {
        let indices: Vec<usize> = (t * 7..t * 7 + 6).collect();
        let loss = |net: &Net| conv_losses(net, &indices).mean();
        net = optimizer.step(LR, net, loss).unwrap().0;
        check_gcsam(&parameters, &seen.lock().unwrap());
    }
}

#[test]
fn gcsam_is_sam_where_tensors_have_one_axis() {
    let loss = |w: Tensor<1>| (w.square() * constant(&[0.5, 5.0, 0.1])).sum().sqrt();
    let run = |rule| descend(rule, &[1.0, -0.4, 2.0], 8, &loss);
    let gcsam = run(GcsamConfig::new(RHO).build().unwrap());
    assert_eq!(gcsam, run(SamConfig { rho: RHO }.build().unwrap()));
}
