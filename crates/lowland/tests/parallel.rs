//! Laws of training with several workers, which are threads here. In one file, since all laws are
//! of the same few workers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;
#[path = "common/workers.rs"]
mod workers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Distribution, FloatDType, Tensor};
use common::{Net, Values, sgd};
use lowland::ascend::AlongGradient;
use lowland::descend::SharpGradient;
use lowland::parallel::{Numbers, threads};
use lowland::rule::Note;
use lowland::schedule::{BudgetConfig, Schedule, ScheduleConfig, Unit};
use lowland::select::AllSamples;
use lowland::state::Memory;
use lowland::{
    Accumulate, Algorithm, AscentScope, BatchInfo, Collective, ComposedConfig, ComposedRule, Cost,
    Diagnostics, Error, Gradient, ParamVec, Parameters, Perturbation, Result, Rule, SamConfig,
    Samples, Selection, SharpnessAware, SharpnessAwareRecord, Surface, Update, Workers,
};
use workers::{
    Data, STEPS, all, by_hand, conv, conv_losses, far, go, net, one_step, optimizer, shard,
};

/// Runs a function on every worker, each in a thread, and gives what they give.
fn together<T: Send>(count: usize, group: usize, run: impl Fn(Workers) -> T + Sync) -> Vec<T> {
    let workers = threads(count, group).unwrap();
    std::thread::scope(|scope| {
        let running: Vec<_> =
            workers.into_iter().map(|worker| scope.spawn(|| run(worker))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn several_workers_that_ascend_together_take_the_steps_of_one_with_the_whole_batch() {
    type Base = fn() -> ModuleOptimizer;
    let bases: [(&str, Base); 2] =
        [("sgd", || sgd(0.9, 1e-2)), ("adamw", || AdamWConfig::new().init())];
    for algorithm in all() {
        for (name, base) in bases {
            let run = |count| {
                together(count, count, |workers| {
                    let mut optimizer = optimizer(&algorithm, base(), workers);
                    let net = go(&mut optimizer, net(), 0..STEPS);
                    (net.values(), optimizer.passes(), optimizer.second_gradients())
                })
            };
            let (alone, passes, second) = run(1).remove(0);
            for count in [2, 4] {
                for (values, its_passes, its_second) in run(count) {
                    let apart = far(&alone, &values);
                    assert!(apart < 1e-6, "{algorithm:?} over {name}, {count}: {apart:e}");
                    assert!((passes - its_passes).abs() < 1e-9, "{algorithm:?}");
                    assert_eq!(second, its_second, "{algorithm:?}");
                }
            }
        }
    }
}

#[test]
fn workers_that_ascend_apart_step_along_the_mean_of_their_own_sam_gradients() {
    for (count, group) in [(2, 1), (4, 1), (4, 2), (4, 4)] {
        let expected = by_hand(count, group, 20);
        let found = together(count, group, |workers| {
            let rule = SamConfig { rho: 0.1 }.build().unwrap();
            let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule)
                .unwrap()
                .with_workers(workers.with_check_every(Some(1)));
            go(&mut optimizer, net(), 0..20).values()
        });
        for values in found {
            let apart = far(&expected, &values);
            assert!(apart < 1e-9, "{count} in groups of {group}: {apart:e}");
        }
    }
    // Not the same thing.
    assert!(far(&by_hand(2, 1, 20), &by_hand(2, 2, 20)) > 1e-4);
}

/// A rule that shows what it remembers, before every step.
#[derive(Debug, Clone)]
struct Shown {
    rule: Box<dyn Rule>,
    log: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Rule for Shown {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let mut memory = Memory::default();
        self.rule.save(&mut memory)?;
        self.log.lock().unwrap().push(memory.into_bytes()?.to_vec());
        self.rule.update(surface)
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        self.rule.save(memory)
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.rule.restore(memory)
    }

    fn chooses_samples(&self) -> bool {
        self.rule.chooses_samples()
    }
}

#[test]
fn all_that_rules_remember_and_decide_is_the_same_for_all_workers_however_they_ascend() {
    for algorithm in all() {
        for group in [1, 2] {
            let found = together(4, group, |workers| {
                let log = Arc::default();
                let rule = Shown { rule: algorithm.build().unwrap(), log: Arc::clone(&log) };
                let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), rule)
                    .unwrap()
                    .with_steps_per_epoch(6)
                    .with_total_steps(STEPS)
                    .with_workers(workers.clone().with_check_every(Some(1)));
                let mut net = net();
                let mut second = Vec::new();
                for step in 0..STEPS {
                    let (next, report) =
                        one_step(&mut optimizer, 0.05, net, &shard(step, &workers)).unwrap();
                    net = next;
                    let loss = report.values().unwrap().loss;
                    second.push((report.second_gradient, loss.to_bits(), report.passes.to_bits()));
                }
                let log = log.lock().unwrap().clone();
                (net.values(), second, log)
            });
            for (rank, other) in found.iter().enumerate() {
                assert_eq!(other.0, found[0].0, "weights, {algorithm:?}, {group}, {rank}");
                assert_eq!(other.1, found[0].1, "reports, {algorithm:?}, {group}, {rank}");
                assert!(other.2 == found[0].2, "state, {algorithm:?}, {group}, {rank}");
            }
        }
    }
}

/// A schedule of which worker `of` wants a second gradient, and no other.
#[derive(Debug, Clone)]
struct Wanted(bool);

impl Schedule for Wanted {
    fn due(&mut self, _g: &Gradient, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(self.0)
    }
}

#[test]
fn a_branch_that_differs_between_workers_is_an_error_and_no_hang() {
    for group in [1, 2] {
        let found = together(2, group, |workers| {
            let schedule = Wanted(workers.is_first());
            let ascend = AlongGradient::new(0.1).unwrap();
            let rule = ComposedRule::new(AllSamples, schedule, ascend, SharpGradient).unwrap();
            let mut optimizer =
                SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers.clone());
            let mut net = Some(net());
            (0..3).find_map(|step| {
                let taken = net.take().unwrap();
                match one_step(&mut optimizer, 0.05, taken, &shard(step, &workers)) {
                    Ok((next, _)) => {
                        net = Some(next);
                        None
                    }
                    Err(error) => Some(error),
                }
            })
        });
        for error in found {
            assert!(matches!(error, Some(Error::OutOfStep { worker: 1, .. })), "{error:?}");
        }
    }
}

/// A user's rule, which knows of no workers.
#[derive(Debug, Clone)]
struct Halfway;

impl Rule for Halfway {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let mut surface = Counting { surface, gradients: 0 };
        let g = surface.gradient(&Selection::ALL)?;
        let e = Perturbation::along(&g, 0.1);
        let g_s = surface.gradient_at(&e, &Selection::ALL)?;
        drop(e);
        // A number of the device decides: it must be the same for all.
        let lengths = surface.read(vec![g.norm(), g_s.norm()])?;
        assert_eq!(surface.gradients, 2);
        if lengths[1] > lengths[0] {
            return Ok(g_s.plus(&g).map(|part| part.mul_scalar(0.5)).into());
        }
        Ok(g.into())
    }
}

/// A user's wrapper around a surface, which knows of no workers either.
struct Counting<'a> {
    surface: &'a mut dyn Surface,
    gradients: usize,
}

impl Surface for Counting<'_> {
    fn gradient(&mut self, of: &Selection) -> Result<Gradient> {
        self.gradients += 1;
        self.surface.gradient(of)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> Result<ParamVec> {
        self.gradients += 1;
        self.surface.gradient_at(e, of)
    }

    common::forward_surface!();

    fn draw(&mut self, like: &ParamVec, distribution: Distribution) -> ParamVec {
        self.surface.draw(like, distribution)
    }

    fn latest_losses(&self) -> Result<Tensor<1>> {
        self.surface.latest_losses()
    }

    fn uniform(&mut self) -> f64 {
        self.surface.uniform()
    }
}

/// Among workers that ascend together it is one worker with the whole batch; among those that
/// ascend apart all keep the same weights, which differ from those.
#[test]
fn your_own_rule_and_wrapper_are_right_among_workers() {
    let order = shard(0, &Workers::alone());
    let mut alone = SharpnessAware::new(sgd(0.9, 0.0), Halfway).unwrap();
    let mut straight = net();
    for _ in 0..6 {
        straight = one_step(&mut alone, 0.05, straight, &order).unwrap().0;
    }
    let mut of_groups = Vec::new();
    for group in [2, 1] {
        let found = together(2, group, |workers| {
            let own = shard(0, &workers);
            let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), Halfway)
                .unwrap()
                .with_workers(workers.with_check_every(Some(1)));
            let mut net = net();
            for _ in 0..6 {
                net = one_step(&mut optimizer, 0.05, net, &own).unwrap().0;
            }
            net.values()
        });
        assert_eq!(found[0], found[1], "in groups of {group}");
        of_groups.push(far(&straight.values(), &found[0]));
    }
    assert!(of_groups[0] < 1e-9, "{of_groups:?}");
    assert!(of_groups[1] > 1e-6, "{of_groups:?}");
}

/// A rule of which each worker reads another number.
#[derive(Debug, Clone)]
struct Ranked(f64, Arc<Mutex<Vec<f64>>>);

impl Rule for Ranked {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let g = surface.gradient(&Selection::ALL)?;
        let own = g.norm().mul_scalar(0.0).add_scalar(self.0);
        self.1.lock().unwrap().extend(surface.read(vec![own])?);
        Ok(g.into())
    }
}

#[test]
fn what_a_rule_reads_is_worker_0s_number_on_all() {
    let found = together(2, 1, |workers| {
        let log = Arc::default();
        let rule = Ranked(workers.rank() as f64 + 0.25, Arc::clone(&log));
        let mut optimizer =
            SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers.clone());
        go(&mut optimizer, net(), 0..2);
        log.lock().unwrap().clone()
    });
    assert_eq!(found, [[0.25, 0.25], [0.25, 0.25]]);
}

#[test]
fn decisions_by_the_clock_are_the_same_for_all_workers() {
    let found = together(2, 2, |workers| {
        let config = BudgetConfig { limit: 1.4, unit: Unit::Time, ..BudgetConfig::default() };
        let schedule = ScheduleConfig::Budget(config);
        let rule = ComposedConfig { schedule, ..ComposedConfig::default() }.build().unwrap();
        let mut optimizer =
            SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers.clone());
        let mut net = net();
        let mut second = Vec::new();
        for step in 0..STEPS {
            let (next, report) =
                one_step(&mut optimizer, 0.01, net, &shard(step, &workers)).unwrap();
            net = next;
            second.push(report.second_gradient);
        }
        (second, net.values())
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_step_that_is_not_finite_for_one_worker_changes_nothing_for_any() {
    for group in [1, 2] {
        for algorithm in all() {
            let found = together(2, group, |workers| {
                let mut optimizer = optimizer(&algorithm, sgd(0.9, 0.0), workers.clone());
                let before = go(&mut optimizer, net(), 0..8);
                let data = Data::of(&shard(8, &workers));
                let described = BatchInfo::default().with_indices(&data.indices);
                let broken = workers.rank() == 1;
                let losses = |net: &Net, _: usize, samples: &Samples| {
                    let losses = data.losses(net, samples);
                    if broken { losses.mul_scalar(f64::NAN) } else { losses }
                };
                let (after, report) =
                    optimizer.step_micro_batches(0.05, before.clone(), &described, losses).unwrap();
                (report.skipped, before.values() == after.values(), optimizer.non_finite_steps())
            });
            assert_eq!(found, [(true, true, 1), (true, true, 1)], "{algorithm:?}, {group}");
        }
    }
}

fn conv_run(workers: Workers, shards: &[Vec<usize>]) -> Net {
    let rule = SamConfig { rho: 0.05 }.build().unwrap();
    let own = shards[workers.rank()].clone();
    let described = BatchInfo::default().with_size(own.len());
    let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_workers(workers);
    let mut net = conv();
    for _ in 0..3 {
        let losses = |net: &Net, _: usize, _: &Samples| conv_losses(net, &own);
        net = optimizer.step_micro_batches(0.05, net, &described, losses).unwrap().0;
    }
    net
}

#[test]
fn running_statistics_are_the_mean_over_workers_by_their_samples_after_every_step() {
    let shards = [(0..6).collect::<Vec<usize>>(), (6..10).collect(), Vec::new()];
    let found = together(3, 3, |workers| conv_run(workers, &shards).running());
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);

    // The first step, by hand: what each shard alone would have made of them.
    let first = together(3, 3, |workers| {
        let own = shards[workers.rank()].clone();
        let described = BatchInfo::default().with_size(own.len());
        let rule = SamConfig { rho: 0.05 }.build().unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers);
        let losses = |net: &Net, _: usize, _: &Samples| conv_losses(net, &own);
        optimizer.step_micro_batches(0.05, conv(), &described, losses).unwrap().0.running()
    });
    let alone = |own: &Vec<usize>| {
        let net = conv();
        drop(conv_losses(&net, own));
        net.running()
    };
    let (a, b) = (alone(&shards[0]), alone(&shards[1]));
    for (name, values) in &first[0] {
        for (i, found) in values.iter().enumerate() {
            let expected = 0.6 * a[name][i] + 0.4 * b[name][i];
            assert!((found - expected).abs() < 1e-12, "{name}: {found} is not {expected}");
        }
    }
}

#[test]
fn what_is_not_trained_and_does_not_move_is_left_as_it_is() {
    let found = together(3, 3, |workers| {
        let net = conv().freeze();
        let frozen = Values::of(&net);
        let mixed = (net, self::net());
        let own = shard(0, &workers);
        let described = BatchInfo::default().with_indices(&own);
        let rule = SamConfig { rho: 0.05 }.build().unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers);
        let data = Data::of(&own);
        let losses = |(_, net): &(Net, Net), _: usize, s: &Samples| data.losses(net, s);
        let mixed = optimizer.step_micro_batches(0.05, mixed, &described, losses).unwrap().0;
        (frozen, Values::of(&mixed.0))
    });
    for (before, after) in found {
        assert_eq!(before, after);
    }
}

#[test]
fn sharing_gives_all_workers_the_values_of_worker_0_running_statistics_included() {
    let found = together(3, 3, |workers| {
        let net = conv();
        // Each moves its running statistics and its weights in its own way.
        drop(conv_losses(&net, &[workers.rank(), 9]));
        let values: Vec<Vec<f64>> = net
            .values()
            .into_iter()
            .map(|values| values.iter().map(|v| v + workers.rank() as f64).collect())
            .collect();
        let net = net.with_values(&values, FloatDType::F64);
        let own = (net.values(), net.running());
        let net = workers.share(net).unwrap();
        // It still trains.
        let gradients = conv_losses(&net, &[1, 2]).mean().backward();
        assert!(!burn::optim::GradientsParams::from_grads(gradients, &net).is_empty());
        (own, (net.values(), net.running()))
    });
    let first = found[0].0.clone();
    for (own, shared) in &found {
        assert!(first.0 == shared.0 && first.1.len() == shared.1.len());
        assert!(*own == first || *own != *shared);
    }
    let first_shared = &found[0].1;
    assert!(found.iter().all(|(_, shared)| shared.0 == first_shared.0));
}

#[test]
fn weights_that_come_apart_are_an_error_that_names_the_worker() {
    // After `steps` whole steps worker 2 has another weight.
    let come_apart_after = |steps: u64| {
        together(3, 3, move |workers| {
            let rule = SamConfig { rho: 0.05 }.build().unwrap();
            let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule)
                .unwrap()
                .with_workers(workers.clone().with_check_every(Some(3)));
            let mut net = net();
            for t in 0..steps {
                net = one_step(&mut optimizer, 0.05, net, &shard(t, &workers)).unwrap().0;
            }
            if workers.rank() == 2 {
                let mut values = net.values();
                values[1][0] = f64::from_bits(values[1][0].to_bits() ^ 1);
                net = net.with_values(&values, FloatDType::F64);
            }
            for t in steps..3 {
                match one_step(&mut optimizer, 0.05, net, &shard(t, &workers)) {
                    Ok((next, _)) => net = next,
                    Err(error) => return error,
                }
            }
            panic!("no step noticed it")
        })
    };
    // The first step of all shows that they did not begin alike, and every third one the rest.
    for (steps, step) in [(0, 0), (1, 2)] {
        assert_eq!(come_apart_after(steps), vec![Error::Diverged { worker: 2, step }; 3]);
    }
}

#[test]
fn workers_with_different_numbers_of_batches_agree_on_whether_there_is_another() {
    let found = together(3, 3, |workers| {
        let batches = 2 + workers.rank();
        let rule = SamConfig { rho: 0.05 }.build().unwrap();
        let optimizer =
            SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers.clone());
        let run = |others: &dyn Fn(bool) -> bool| {
            let (mut optimizer, mut net) = (optimizer.clone(), net());
            let mut step = 0;
            while others(step < batches) {
                let own = if step < batches { vec![workers.rank(), 7 + step] } else { Vec::new() };
                net = one_step(&mut optimizer, 0.05, net, &own).unwrap().0;
                step += 1;
            }
            (step, net.values())
        };
        (run(&|more| workers.any(more).unwrap()), run(&|more| workers.all(more).unwrap()))
    });
    for (any, all) in &found {
        assert_eq!((any.0, all.0), (4, 2));
        assert_eq!((&any.1, &all.1), (&found[0].0.1, &found[0].1.1));
    }
}

#[test]
fn a_worker_that_ends_is_an_error_for_the_others_and_they_do_not_wait() {
    let found = together(3, 3, |workers| {
        let rank = workers.rank();
        let rule = SamConfig { rho: 0.05 }.build().unwrap();
        let mut optimizer =
            SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers.clone());
        let mut net = net();
        for step in 0..10 {
            if rank == 1 && step == 4 {
                return None;
            }
            match one_step(&mut optimizer, 0.05, net, &shard(step, &workers)) {
                Ok((next, _)) => net = next,
                Err(error) => return Some((step, error)),
            }
        }
        None
    });
    let left = Some((4, Error::Collective("another worker has left".to_owned())));
    assert_eq!(found, [left.clone(), None, left]);
}

#[test]
fn workers_that_are_out_of_step_or_do_not_know_their_samples_are_errors() {
    let found = together(2, 2, |workers| {
        let rule = SamConfig { rho: 0.05 }.build().unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap();
        if workers.rank() == 1 {
            one_step(&mut optimizer, 0.05, net(), &[1]).unwrap();
        }
        let mut optimizer = optimizer.with_workers(workers.clone());
        one_step(&mut optimizer, 0.05, net(), &shard(0, &workers)).unwrap_err().to_string()
    });
    let expected = "the workers are out of step: the step is 1 for worker 1 and 0 for worker 0";
    assert_eq!(found, [expected, expected]);

    let found = together(2, 2, |workers| {
        let rule = SamConfig { rho: 0.05 }.build().unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_workers(workers);
        let data = Data::of(&[1, 2]);
        let losses = |net: &Net, samples: &Samples| data.losses(net, samples).mean();
        optimizer.step_samples(0.1, net(), &BatchInfo::default(), losses).unwrap_err()
    });
    assert_eq!(found, [Error::BatchSize, Error::BatchSize]);
}

#[test]
fn a_run_resumes_with_another_number_of_workers_as_if_it_had_not_been_stopped() {
    for algorithm in all() {
        // Burn loads the momentum of `f64` weights in `f32`: none here, nor a base that has some.
        if matches!(algorithm, Algorithm::AdaSam(_)) {
            continue;
        }
        let new = |workers| optimizer(&algorithm, sgd(0.0, 1e-2), workers);
        let straight = go(&mut new(Workers::alone()), net(), 0..30).values();
        let (values, record) = together(2, 2, |workers| {
            let mut optimizer = new(workers);
            let net = go(&mut optimizer, net(), 0..15);
            let record = optimizer.to_record().unwrap().into_bytes().unwrap();
            (net, record.to_vec())
        })
        .remove(0);
        for count in [1, 4] {
            let found = together(count, count, |workers| {
                let bytes = burn::tensor::Bytes::from_bytes_vec(record.clone());
                let record = SharpnessAwareRecord::from_bytes(bytes).unwrap();
                let mut optimizer = new(workers).load_record(record, &values).unwrap();
                // Weights alone go over; the names of tensors are new in each process.
                go(&mut optimizer, values.clone(), 15..30).values()
            });
            for values in found {
                let apart = far(&straight, &values);
                assert!(apart < 1e-6, "{algorithm:?} with {count}: {apart:e}");
            }
        }
    }
}

#[test]
fn micro_batches_of_workers_that_are_taken_one_by_one_are_one_batch_each() {
    let order = [0, 1, 2, 10, 11, 3, 4, 12, 13, 14];
    // Those that need one update for each step refuse micro-batches one by one.
    let refuses =
        |a: &Algorithm| matches!(a, Algorithm::Msam(_) | Algorithm::Sampa(_) | Algorithm::Bsam(_));
    for algorithm in all().into_iter().filter(|algorithm| !refuses(algorithm)) {
        let mut alone = optimizer(&algorithm, sgd(0.9, 0.0), Workers::alone());
        let expected = {
            let whole = Data::of(&order);
            let sizes = [5, 5];
            let described = BatchInfo::default()
                .with_indices(&whole.indices)
                .with_micro_batches(&sizes, Accumulate::EachMicroBatch);
            let pieces = [Data::of(&order[..5]), Data::of(&order[5..])];
            let mut net = net();
            for _ in 0..8 {
                let losses = |net: &Net, i: usize, s: &Samples| pieces[i].losses(net, s);
                net = alone.step_micro_batches(0.05, net, &described, losses).unwrap().0;
            }
            net.values()
        };
        let found = together(2, 2, |workers| {
            let (own, sizes): (Vec<usize>, Vec<usize>) = match workers.rank() {
                0 => ((0..5).collect(), vec![3, 2]),
                _ => ((10..15).collect(), vec![2, 3]),
            };
            let pieces = [Data::of(&own[..sizes[0]]), Data::of(&own[sizes[0]..])];
            let described = BatchInfo::default()
                .with_indices(&own)
                .with_micro_batches(&sizes, Accumulate::EachMicroBatch);
            let mut optimizer = optimizer(&algorithm, sgd(0.9, 0.0), workers);
            let mut net = net();
            for _ in 0..8 {
                let losses = |net: &Net, i: usize, s: &Samples| pieces[i].losses(net, s);
                net = optimizer.step_micro_batches(0.05, net, &described, losses).unwrap().0;
            }
            net.values()
        });
        for values in found {
            let apart = far(&expected, &values);
            assert!(apart < 1e-9, "{algorithm:?}: {apart:e}");
        }
    }
}

/// Counts what goes through another way to reach workers.
#[derive(Debug)]
struct Counted {
    way: Arc<dyn Collective>,
    calls: AtomicUsize,
    numbers: AtomicUsize,
}

impl Counted {
    fn new(way: Arc<dyn Collective>) -> Arc<Self> {
        Arc::new(Self { way, calls: AtomicUsize::new(0), numbers: AtomicUsize::new(0) })
    }
}

impl Collective for Counted {
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.numbers.fetch_add(values.len(), Ordering::Relaxed);
        self.way.all_reduce_sum(values)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.way.broadcast(bytes)
    }
}

/// Copies of the parameters that worker 0 sends in a step, on average, rounded.
fn copies_sent(algorithm: &Algorithm, group: usize, measure: Diagnostics) -> f64 {
    let parameters = net().num_params() as f64;
    let sent = together(2, group, |workers| {
        let counted = Counted::new(workers.collective().unwrap());
        let rank = workers.rank();
        let scope = if group == 1 { AscentScope::Local } else { AscentScope::Global };
        let way = Arc::clone(&counted);
        let workers = Workers::new(rank, 2, way).unwrap().with_ascent_scope(scope);
        let mut optimizer = optimizer(algorithm, sgd(0.0, 0.0), workers).with_diagnostics(measure);
        let workers = optimizer.workers().clone().with_check_every(None);
        optimizer = optimizer.with_workers(workers);
        go(&mut optimizer, net(), 0..20);
        counted.numbers.load(Ordering::Relaxed) as f64
    });
    sent[0] / 20.0 / parameters
}

/// The exchange of a step is the gradients, and little beside: per algorithm, how many copies of
/// the parameters.
#[test]
fn a_gradient_is_exchanged_once_and_not_where_nothing_looks_at_it() {
    let named = |name| common::named(name);
    // What stands beside a gradient in so small a network: flags, counts and losses.
    let close = |found: f64, expected: f64| (expected..expected + 0.95).contains(&found);
    for (name, group, measure, expected) in [
        ("base", 2, Diagnostics::Finite, 1.0),
        ("base", 1, Diagnostics::Finite, 1.0),
        ("sam", 2, Diagnostics::Finite, 2.0),
        ("sam", 1, Diagnostics::Finite, 1.0),
        ("sam", 1, Diagnostics::All, 2.0),
        ("asam", 1, Diagnostics::Finite, 1.0),
        ("gsam", 1, Diagnostics::Finite, 2.0),
        ("fsam", 1, Diagnostics::Finite, 2.0),
        ("msam", 2, Diagnostics::Finite, 1.0),
        ("sampa", 2, Diagnostics::Finite, 2.0),
    ] {
        let found = copies_sent(&named(name), group, measure);
        assert!(close(found, expected), "{name} in groups of {group}, {measure:?}: {found}");
    }
}
