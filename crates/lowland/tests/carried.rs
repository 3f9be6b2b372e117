//! What an optimizer keeps: where layers are frozen and unfrozen on the way, through its record,
//! and where a step fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Distribution, Tensor};
use common::pair::{Pair, all, batch, device, run, step};
use common::{Net, Values, numbers, sgd};
use lowland::{
    BatchInfo, Diagnostics, Error, MsamConfig, SamConfig, SharpnessAware, cross_entropies,
};

fn with_first_frozen(net: Pair, frozen: bool) -> Pair {
    let first = net.first;
    Pair { first: if frozen { first.no_grad() } else { first.train() }, ..net }
}

/// All parameters as leaves again, under the identifiers that they have.
fn unfreeze(net: Pair) -> Pair {
    struct Unfreeze;
    impl ModuleMapper for Unfreeze {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.set_require_grad(true)
        }
    }
    net.map(&mut Unfreeze)
}

/// Freezes one layer, unfreezes the other: as many parameters as before, and others.
fn with_layers_swapped(net: Pair) -> Pair {
    let Pair { first, second, dropout } = unfreeze(net);
    Pair { first, dropout, second: second.no_grad() }
}

/// When an optimizer goes through its record, seen from a change of layers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Resume {
    Never,
    Before,
    After,
}

/// The values after each part of a training in which layers come and go.
fn course(name: &str, fresh: &SharpnessAware, resume: Resume) -> Vec<Vec<Vec<f64>>> {
    let reloaded = |optimizer: SharpnessAware, net: &Pair, when| {
        if resume != when {
            return optimizer;
        }
        let record = optimizer.to_record().unwrap();
        let loaded = fresh.clone().load_record(record, net);
        loaded.unwrap_or_else(|error| panic!("{name}, resumed {resume:?}: {error}"))
    };
    let changes: [&dyn Fn(Pair) -> Pair; 4] =
        [&unfreeze, &|net| with_first_frozen(net, true), &with_layers_swapped, &unfreeze];
    let mut optimizer = fresh.clone();
    let net = with_first_frozen(Pair::new(&device()), true);
    let mut net = run(&mut optimizer, net, 0..6);
    let values = |net: &Pair| {
        let layers = [&net.first, &net.second];
        layers.map(|layer| numbers(layer.weight.val().inner())).to_vec()
    };
    let mut seen = vec![values(&net)];
    for (change, start) in changes.iter().zip([6_u64, 12, 18, 24]) {
        optimizer = reloaded(optimizer, &net, Resume::Before);
        net = change(net);
        optimizer = reloaded(optimizer, &net, Resume::After);
        net = run(&mut optimizer, net, start..start + 6);
        seen.push(values(&net));
    }
    assert_eq!(optimizer.non_finite_steps(), 0, "{name}");
    seen
}

/// Gradual unfreezing, and freezing again, with and without a resume at each change.
#[test]
fn layers_may_be_frozen_and_unfrozen_on_the_way() {
    let _alone = common::alone();
    for (name, fresh) in all() {
        let seen = course(name, &fresh, Resume::Never);
        let start = numbers(Pair::new(&device()).first.weight.val().inner());
        let moved = |i: usize, layer: usize| seen[i][layer] != seen[i - 1][layer];
        assert_eq!(seen[0][0], start, "{name}: frozen");
        assert!(moved(1, 0), "{name}: unfrozen");
        assert!(!moved(2, 0) && moved(2, 1), "{name}: frozen again");
        assert!(moved(3, 0) && !moved(3, 1), "{name}: the other one frozen");
        assert!(seen.iter().flatten().flatten().all(|value| value.is_finite()), "{name}");
        for resume in [Resume::Before, Resume::After] {
            assert_eq!(course(name, &fresh, resume), seen, "{name}, resumed {resume:?}");
        }
    }
}

/// The tensors and scalars of an optimizer's record that belong to its rule, by their names.
fn remembered(optimizer: &SharpnessAware) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, String>) {
    let bytes = optimizer.to_record().unwrap().into_bytes().unwrap();
    let reader = burn_pack::Reader::from_bytes(bytes).unwrap();
    let scalars = reader.scalars().clone().into_iter();
    let scalars = scalars.map(|(name, value)| (name, format!("{value:?}")));
    let scalars = scalars.filter(|(name, _)| name.starts_with("rule.")).collect();
    let mut tensors = BTreeMap::new();
    for tensor in reader.into_tensors().unwrap() {
        let (name, _, _, _, bytes) = tensor.into_parts().unwrap();
        if name.starts_with("rule.") {
            tensors.insert(name, bytes.to_vec());
        }
    }
    (tensors, scalars)
}

/// Each vector and each list over the parameters of the second layer is over those of both once the
/// first is unfrozen, with the same values for the second.
#[test]
fn what_every_rule_remembers_of_parameters_that_stay_is_kept() {
    let _alone = common::alone();
    let (mut vectors, mut lists) = (0, 0);
    for (name, fresh) in all() {
        let mut optimizer = fresh.clone();
        let net = with_first_frozen(Pair::new(&device()), true);
        let net = run(&mut optimizer, net, 0..6);
        let (before, sizes) = remembered(&optimizer);
        let loaded = fresh.load_record(optimizer.to_record().unwrap(), &unfreeze(net)).unwrap();
        let (after, new_sizes) = remembered(&loaded);
        for (key, size) in &sizes {
            let Some(vector) = key.strip_suffix(".parts") else { continue };
            let part = |values: &BTreeMap<String, Vec<u8>>, i: usize| {
                values.get(&format!("{vector}.{i}")).cloned()
            };
            if !size.contains('2') {
                assert!(size.contains('0'), "{name}: {key} of {size}");
                continue;
            }
            assert!(new_sizes[key].contains('4'), "{name}: {key}");
            for i in [0, 1] {
                assert!(part(&before, i).is_some(), "{name}: {vector}");
                assert_eq!(part(&after, i + 2), part(&before, i), "{name}: {vector}");
                assert_eq!(part(&after, i), None, "{name}: {vector} of a parameter that is new");
            }
            vectors += 1;
        }
        for (key, values) in before.iter().filter(|(key, _)| key.ends_with(".per_parameter")) {
            let new = &after[key];
            assert_eq!(new.len(), 2 * values.len(), "{name}: {key}");
            assert_eq!(new[values.len()..], values[..], "{name}: {key}");
            lists += 1;
        }
    }
    assert!(vectors >= 8, "ARSAM, LookSAM, F-SAM, MSAM, SAMPa and others keep vectors: {vectors}");
    assert!(lists >= 1, "SL-SAM keeps a number for each tensor");
}

/// What may go wrong in a step.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The learning rate is no number.
    Rate,
    /// The losses are no numbers.
    NotFinite,
    /// The i-th evaluation gives too many losses.
    Losses(usize),
}

/// What a fault makes of the losses of an evaluation.
fn spoiled(losses: Tensor<1>, fault: Fault, call: usize) -> Tensor<1> {
    match fault {
        Fault::NotFinite => losses.mul_scalar(f64::NAN),
        Fault::Losses(i) if i == call => Tensor::cat(vec![losses.clone(), losses], 0),
        _ => losses,
    }
}

/// A step with a fault; `None` where the step has no such evaluation and goes well.
fn failing(optimizer: &mut SharpnessAware, net: Pair, at: u64, fault: Fault) -> Option<Error> {
    let (x, y) = batch(at, &device());
    let indices = [0, 1, 2, 3, 4, 5, 6, 7];
    let info = BatchInfo::default().with_indices(&indices);
    let calls = Cell::new(0);
    let rate = if matches!(fault, Fault::Rate) { f64::NAN } else { 0.05 };
    let result = optimizer.step_samples(rate, net, &info, |net, samples| {
        let logits = net.forward(samples.select(x.clone()));
        let losses = cross_entropies(logits, samples.select(y.clone()), 0.0);
        spoiled(losses, fault, calls.replace(calls.get() + 1))
    });
    let expected = |error: &Error| match fault {
        Fault::Rate => error.to_string().starts_with("the learning rate must be"),
        Fault::NotFinite => matches!(error, Error::NonFinite { in_a_row: 1, .. }),
        Fault::Losses(_) => matches!(error, Error::Losses { .. }),
    };
    let error = result.err();
    assert!(error.as_ref().is_none_or(expected), "{fault:?}: {error:?}");
    error
}

/// An error leaves the optimizer as it was before the step: it continues, resumes from its record,
/// and follows layers that are frozen or unfrozen, as if the step had not been tried.
#[test]
fn a_step_that_fails_leaves_the_optimizer_as_it_was() {
    let _alone = common::alone();
    let faults = [Fault::Rate, Fault::NotFinite, Fault::Losses(0), Fault::Losses(1)];
    let mut second_failed = Vec::new();
    for (name, fresh) in all() {
        let fresh = fresh.with_non_finite_limit(0);
        let mut before = fresh.clone();
        let net = with_first_frozen(Pair::new(&device()), true);
        let net = run(&mut before, net, 0..6);
        let further = |optimizer: &SharpnessAware, net: Pair| {
            Values::of(&run(&mut optimizer.clone(), net, 6..9))
        };
        let same = further(&before, net.clone());
        let joined = further(&before, unfreeze(net.clone()));
        for fault in faults {
            for tried in [net.clone(), unfreeze(net.clone())] {
                let what =
                    format!("{name}, {fault:?}, {} tensors", Values::of(&tried).trainable.len());
                let mut optimizer = before.clone();
                if failing(&mut optimizer, tried, 6, fault).is_none() {
                    assert!(matches!(fault, Fault::Losses(1)), "{what} did not fail");
                    continue;
                }
                if let Fault::Losses(1) = fault {
                    second_failed.push(name);
                }
                assert_eq!(remembered(&optimizer), remembered(&before), "{what}");
                assert_eq!(further(&optimizer, net.clone()), same, "{what}");
                assert_eq!(further(&optimizer, unfreeze(net.clone())), joined, "{what}");
                for (net, expected) in [(net.clone(), &same), (unfreeze(net.clone()), &joined)] {
                    let record = optimizer.to_record().unwrap();
                    let loaded = fresh.clone().load_record(record, &net);
                    let loaded = loaded.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_eq!(further(&loaded, net), *expected, "{what}, resumed");
                }
            }
        }
    }
    for name in ["fsam", "sampa", "sam", "asam"] {
        assert!(second_failed.contains(&name), "{name} has a second evaluation in every step");
    }
}

/// Without measurements there is no guard against what is not finite, and errors leave as little.
#[test]
fn a_step_that_fails_leaves_nothing_where_nothing_is_measured() {
    let _alone = common::alone();
    for (name, fresh) in all() {
        let mut optimizer = fresh.with_diagnostics(Diagnostics::Nothing);
        let net = run(&mut optimizer, Pair::new(&device()), 0..6);
        let before = optimizer.clone();
        for fault in [Fault::Rate, Fault::Losses(0), Fault::Losses(1)] {
            let mut optimizer = before.clone();
            if failing(&mut optimizer, net.clone(), 6, fault).is_some() {
                assert_eq!(remembered(&optimizer), remembered(&before), "{name}, {fault:?}");
            }
        }
    }
}

/// Clones of a module share their running statistics: a clone kept from before a step that fails
/// has those of before it. Where nothing is measured there is no copy to put back.
#[test]
fn a_step_that_fails_leaves_running_statistics_as_they_were() {
    let _alone = common::alone();
    let device = device();
    device.seed(3);
    let x = Tensor::<2>::random([8, 32], Distribution::Normal(0.0, 1.0), &device);
    let (_, y) = batch(0, &device);
    let info = BatchInfo::default().with_size(8);
    for diagnostics in [Diagnostics::All, Diagnostics::Finite, Diagnostics::Nothing] {
        for fault in [Fault::NotFinite, Fault::Losses(0), Fault::Losses(1)] {
            if matches!((diagnostics, fault), (Diagnostics::Nothing, Fault::NotFinite)) {
                continue; // Such a step does not fail.
            }
            let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), SamConfig::new(0.1))
                .unwrap()
                .with_diagnostics(diagnostics)
                .with_non_finite_limit(0);
            let net = Net::conv_bn(2, [4, 4], 2, &device);
            let kept = net.clone();
            let before = kept.running();
            let calls = Cell::new(0);
            let result = optimizer.step_samples(0.05, net, &info, |net: &Net, samples| {
                let logits = net.forward(samples.select(x.clone()), &[8, 2, 4, 4]);
                let losses = cross_entropies(logits, samples.select(y.clone()), 0.0);
                spoiled(losses, fault, calls.replace(calls.get() + 1))
            });
            assert!(result.is_err(), "{fault:?}");
            let what = format!("{fault:?}, {diagnostics:?}");
            if diagnostics == Diagnostics::Nothing {
                assert_ne!(kept.running(), before, "{what}");
            } else {
                assert_eq!(kept.running(), before, "{what}");
            }
        }
    }
}

/// What a rule remembers of the parameters that stay is kept: MSAM's perturbation, along the latest
/// step, is the same for them whether another layer joins or not.
#[test]
fn what_is_remembered_of_parameters_that_stay_is_kept() {
    let _alone = common::alone();
    let device = device();
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), MsamConfig::new(0.3)).unwrap();
    let mut net = with_first_frozen(Pair::new(&device), true);
    let second = |net: &Pair| numbers(net.second.weight.val().inner());
    let mut before = second(&net);
    for at in 0..3 {
        before = second(&net);
        net = step(&mut optimizer, net, at).unwrap().0;
    }
    let way: Vec<f64> = second(&net).iter().zip(&before).map(|(now, then)| now - then).collect();
    let start = numbers(net.first.weight.val().inner());
    let (x, y) = batch(3, &device);
    let mut seen = Vec::new();
    let weights = second(&net);
    let unfrozen = unfreeze(net);
    optimizer
        .step(0.05, unfrozen, |net| {
            seen.push((second(net), numbers(net.first.weight.val().inner())));
            cross_entropies(net.forward(x.clone()), y.clone(), 0.0).mean()
        })
        .unwrap();
    let [(perturbed, first)] = seen.as_slice() else { panic!("MSAM takes one gradient") };
    assert_eq!(*first, start, "a parameter that joins has not moved yet");
    // e is parallel to the way: one factor for all coordinates, within f32's rounding of w + e.
    let e: Vec<f64> = perturbed.iter().zip(&weights).map(|(p, w)| p - w).collect();
    let factor = e.iter().zip(&way).map(|(e, v)| e * v).sum::<f64>()
        / way.iter().map(|v| v * v).sum::<f64>();
    assert!(factor > 0.0);
    let largest = weights.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
    for (e, v) in e.iter().zip(&way) {
        // Both differences are of f32 numbers of the weights' size: two roundings each.
        let bound = 4.0 * f64::from(f32::EPSILON) * largest * (1.0 + factor);
        assert!((e - factor * v).abs() <= bound, "{e} is not {factor} * {v}");
    }
}
