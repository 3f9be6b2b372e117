//! What the parts of a step and their combinations keep to: budgets, radii, micro-batches,
//! selections of samples and of layers, records. In one file, since all cases train the same
//! network on the same batches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use std::cell::{Cell, RefCell};

use burn::module::Module;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{DType, Device, Distribution, Int, Tensor};
use common::{Net, Values, cross_entropies, in_f64, sgd};
use lowland::ascend::{
    AlongGradient, AscendConfig, Perturb, RadiusConfig, RadiusGroup, RadiusSchedule, ScaledRadius,
};
use lowland::descend::{
    DescendConfig, ReuseOrthogonalConfig, ReusePsfConfig, SurrogateGapConfig, WeightedConfig,
};
use lowland::schedule::{Budget, BudgetConfig, PeriodicConfig, ScheduleConfig};
use lowland::select::{SelectConfig, TopLossConfig, TopRiseConfig};
use lowland::{
    Accumulate, Algorithm, ArsamConfig, AusamConfig, BaseConfig, BatchInfo, ComposedConfig,
    ControllerConfig, Error, EsamConfig, EsamMask, FsamConfig, GcsamConfig, KsamConfig,
    LateSamConfig, LookSamConfig, MsamConfig, ParamVec, Parameters, Radius, Rule, SamConfig,
    Samples, Scheduled, SharpnessAware, SharpnessAwareRecord, SparseLayerSamConfig, StepReport,
    StepValues, StochasticSamConfig, Warmup, WsamConfig,
};
use proptest::prelude::*;

const SIZE: usize = 8;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A perceptron with one hidden layer of `width`, always the same.
fn net(width: usize) -> Net {
    let device = device();
    device.seed(11);
    let net = Net::mlp(&[4, width, 3], &device);
    drop(Values::of(&net)); // Burn makes values when they are first used.
    net
}

/// The t-th batch: `[8, 4]` and its classes.
fn batch(t: u64) -> (Tensor<2>, Tensor<1, Int>) {
    let device = device();
    device.seed(500 + t);
    let x = Tensor::random([SIZE, 4], Distribution::Normal(0.0, 1.0), &device);
    let y = Tensor::<1>::random([SIZE], Distribution::Uniform(0.0, 3.0), &device).int();
    (x, y)
}

/// The network and the t-th batch in `f64`, where numbers are compared.
fn exact(t: u64) -> (Net, Tensor<2>, Tensor<1, Int>) {
    let (x, y) = batch(t);
    (in_f64(net(6)), x.cast(DType::F64), y)
}

fn step(optimizer: &mut SharpnessAware, net: Net, t: u64) -> lowland::Result<(Net, StepReport)> {
    let (x, y) = batch(t);
    // 3 batches of samples 0 to 23.
    let first = usize::try_from(t % 3).unwrap() * SIZE;
    let indices: Vec<usize> = (first..first + SIZE).collect();
    let described = BatchInfo::default().with_indices(&indices);
    optimizer.step_micro_batches(0.05, net, &described, |net, _, samples| {
        let (x, y) = common::chosen(&x, &y, samples);
        cross_entropies(net.forward(x, &[]), y)
    })
}

fn train(optimizer: &mut SharpnessAware, mut net: Net, steps: std::ops::Range<u64>) -> Net {
    for t in steps {
        net = step(optimizer, net, t).unwrap().0;
    }
    net
}

fn optimizer(rule: Box<dyn Rule>, base: ModuleOptimizer) -> SharpnessAware {
    SharpnessAware::new(base, rule).unwrap().with_steps_per_epoch(3).with_total_steps(60)
}

fn trained(rule: Box<dyn Rule>, steps: u64) -> Values {
    Values::of(&train(&mut optimizer(rule, sgd(0.9, 1e-2)), net(6), 0..steps))
}

fn sam(rho: f64) -> Box<dyn Rule> {
    SamConfig { rho }.build().unwrap()
}

/// All algorithms, and compositions that no paper has.
fn all() -> Vec<Algorithm> {
    let mut all: Vec<Algorithm> = Algorithm::ALL
        .iter()
        .map(|descriptor| match common::named(descriptor.name) {
            Algorithm::Arsam(config) => Algorithm::Arsam(ArsamConfig {
                controller: ControllerConfig {
                    window: 6,
                    blocks: 2,
                    gain_ratio: 0.5,
                    gain_variance: 0.5,
                    warmup: Warmup::Steps(9),
                    ..ControllerConfig::default()
                },
                ..config
            }),
            other => other,
        })
        .collect();
    let budget = BudgetConfig { limit: 1.4, ..BudgetConfig::default() };
    all.push(Algorithm::Composed(ComposedConfig {
        select: SelectConfig::TopLoss(TopLossConfig { fraction: 0.5 }),
        schedule: ScheduleConfig::Budget(budget),
        ascend: AscendConfig::LessAverage(FsamConfig { rho: 0.1, sigma: 1.0, lambda: 0.9 }),
        descend: DescendConfig::ReusePsf(ReusePsfConfig { beta: 0.7, ..ReusePsfConfig::default() }),
    }));
    all.push(Algorithm::Composed(ComposedConfig {
        select: SelectConfig::PastChange(lowland::select::PastChangeConfig::default()),
        schedule: ScheduleConfig::Periodic(PeriodicConfig { k: 3, first: 1 }),
        ascend: AscendConfig::Masked { rho: 0.1, beta: 0.5 },
        descend: DescendConfig::ReuseOrthogonal(ReuseOrthogonalConfig { alpha: 0.3 }),
    }));
    all
}

/// Stopping at any step, saving to bytes, loading into a new optimizer and continuing gives the
/// weights of the run that never stopped, bit for bit.
#[test]
fn a_run_that_is_saved_and_loaded_continues_as_if_it_had_not_been() {
    let _alone = common::alone();
    for algorithm in all() {
        let fresh = || {
            let base = algorithm.base().unwrap().unwrap_or_else(|| AdamWConfig::new().init());
            optimizer(algorithm.build().unwrap(), base).with_seed(5)
        };
        let start = net(6);
        let whole = train(&mut fresh(), start.clone(), 0..24);
        for stop in [1, 7, 8, 13] {
            let mut first = fresh();
            let middle = train(&mut first, start.clone(), 0..stop);
            let bytes = first.to_record().unwrap().into_bytes().unwrap();
            let record = SharpnessAwareRecord::from_bytes(bytes).unwrap();
            // As in a new process: another module, whose parameters have other names until it is
            // loaded.
            let bytes = middle.into_record().into_bytes().unwrap();
            let middle = net(6).load_record(ModuleRecord::from_bytes(bytes).unwrap());
            let mut second = fresh().load_record(record, &middle).unwrap();
            assert_eq!(second.steps(), stop);
            let end = train(&mut second, middle, stop..24);
            assert_eq!(Values::of(&end), Values::of(&whole), "{algorithm:?}, stopped at {stop}");
        }
    }
}

#[test]
fn a_record_of_another_algorithm_base_or_module_is_refused() {
    let _alone = common::alone();
    let record = |algorithm: &str, base: ModuleOptimizer| {
        let rule = common::named(algorithm).build().unwrap();
        let mut optimizer = optimizer(rule, base);
        train(&mut optimizer, net(6), 0..2);
        optimizer.to_record().unwrap()
    };
    let load_for = |module: &Net, algorithm: &str, base: ModuleOptimizer, record| {
        let rule = common::named(algorithm).build().unwrap();
        optimizer(rule, base).load_record(record, module)
    };
    let load = |algorithm, base, record| load_for(&net(6), algorithm, base, record);
    let error = load("looksam", sgd(0.9, 0.0), record("fsam", sgd(0.9, 0.0))).unwrap_err();
    assert!(error.to_string().contains("rule.schedule.step is missing"), "{error}");
    let error = load("sam", sgd(0.9, 0.0), record("fsam", sgd(0.9, 0.0))).unwrap_err();
    assert!(error.to_string().contains("is of another algorithm"), "{error}");
    let error = load("fsam", AdamWConfig::new().init(), record("fsam", sgd(0.9, 0.0))).unwrap_err();
    assert!(error.to_string().contains("base has 4 tensors, of which 0 fit"), "{error}");
    let error =
        load_for(&net(7), "fsam", sgd(0.9, 0.0), record("fsam", sgd(0.9, 0.0))).unwrap_err();
    assert!(error.to_string().contains("values in the module and"), "{error}");
    for bytes in [vec![], vec![0; 64]] {
        let bytes = burn::tensor::Bytes::from_bytes_vec(bytes);
        assert!(matches!(SharpnessAwareRecord::from_bytes(bytes), Err(Error::Record { .. })));
    }
}

#[test]
fn combinations_that_make_no_sense_are_refused_with_the_reason() {
    let reuse = DescendConfig::ReusePsf(ReusePsfConfig { beta: 0.7, ..ReusePsfConfig::default() });
    let build = |select, schedule| {
        ComposedConfig { select, schedule, descend: reuse, ..ComposedConfig::default() }.build()
    };
    let reasons = [
        (SelectConfig::All, ScheduleConfig::EveryStep, "takes one at every step"),
        (SelectConfig::All, ScheduleConfig::Never, "never takes one"),
        (
            SelectConfig::SampledLayers(lowland::select::SampledLayersConfig::default()),
            ScheduleConfig::Periodic(PeriodicConfig::default()),
            "leaves out",
        ),
    ];
    for (select, schedule, reason) in reasons {
        let error = build(select, schedule).unwrap_err();
        assert!(matches!(error, Error::Combination(_)), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// A first gradient of some tensors trains no other, and has no PSF of the others: it goes with
/// steps that all take the second gradient and descend along it alone.
#[test]
fn a_first_gradient_of_some_tensors_is_refused_where_it_is_used() {
    let budget = ScheduleConfig::Budget(BudgetConfig::default());
    let gap = DescendConfig::SurrogateGap(SurrogateGapConfig::default());
    let weighted = DescendConfig::Weighted(WeightedConfig::default());
    for (schedule, descend) in [
        (ScheduleConfig::Periodic(PeriodicConfig::default()), DescendConfig::Sharp),
        (budget, DescendConfig::Sharp),
        (ScheduleConfig::EveryStep, DescendConfig::Rescaled),
        (ScheduleConfig::EveryStep, gap),
        (ScheduleConfig::EveryStep, weighted),
    ] {
        let build = |beta| {
            let select = SelectConfig::TopRise(TopRiseConfig::default().with_beta(beta));
            let (schedule, descend) = (schedule.clone(), descend);
            ComposedConfig { select, schedule, descend, ..ComposedConfig::default() }.build()
        };
        let error = build(0.6).unwrap_err();
        assert!(matches!(error, Error::Combination(_)), "{error:?}");
        assert!(error.to_string().contains("`beta = 1`"), "{error}");
        assert!(build(1.0).is_ok(), "{schedule:?}, {descend:?}");
    }
    let select = SelectConfig::TopRise(TopRiseConfig::default());
    assert!(ComposedConfig { select, ..ComposedConfig::default() }.build().is_ok());

    let esam = EsamConfig::default();
    for refused in [esam.with_late_start(0.75), esam.with_budget(1.2), esam.with_time_budget(1.2)] {
        let error = refused.build().unwrap_err();
        assert!(matches!(error, Error::Unsupported { algorithm: "ESAM", .. }), "{error:?}");
    }
    let coordinates = esam.with_mask(EsamMask::Coordinates);
    for whole in [coordinates, esam.with_beta(1.0)] {
        assert!(whole.with_late_start(0.75).build().is_ok());
        assert!(whole.with_budget(1.2).build().is_ok());
    }
}

/// A part that has settings may stand by its name alone; what is saved says them all.
#[test]
fn parts_can_be_named_alone() {
    let read = |text: &str| toml::from_str::<ComposedConfig>(text);
    let text = "select = \"top-loss\"\nschedule = \"controller\"\ndescend = \"sharp\"\n";
    let config = read(text).unwrap();
    assert_eq!(config.select, SelectConfig::TopLoss(TopLossConfig::default()));
    assert_eq!(config.schedule, ScheduleConfig::Controller(ControllerConfig::default()));
    assert_eq!(config.descend, DescendConfig::Sharp);
    assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ComposedConfig>(&json).unwrap(), config);
    for (text, problem) in [
        ("schedule = \"sometimes\"", "unknown variant `sometimes`"),
        ("schedule = { periodic = { kk = 3 } }", "unknown field `kk`"),
        ("ascend = \"gradient\"", "missing field `rho`"),
        ("select = 3", "the name of a part"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn parts_put_together_are_the_algorithms_that_they_are_of() {
    let _alone = common::alone();
    let composed: ComposedConfig = toml::from_str(
        "
        schedule = { periodic = { k = 4 } }
        ascend = { gradient = { rho = 0.1 } }
        descend = { reuse-orthogonal = { alpha = 0.3 } }
        ",
    )
    .unwrap();
    let looksam: Algorithm =
        toml::from_str("name = \"looksam\"\nrho = 0.1\nk = 4\ndescend.alpha = 0.3").unwrap();
    assert_eq!(trained(composed.build().unwrap(), 12), trained(looksam.build().unwrap(), 12));
    let composed = |text| toml::from_str::<ComposedConfig>(text).unwrap().build().unwrap();
    let gcsam = GcsamConfig::new(0.1).build().unwrap();
    let parts = composed("ascend = { centred = { rho = 0.1 } }");
    assert_eq!(trained(parts, 12), trained(gcsam, 12));
    let wsam = WsamConfig::new(0.1).with_gamma(0.7).build().unwrap();
    let parts = composed("ascend.gradient.rho = 0.1\ndescend = { weighted = { gamma = 0.7 } }");
    assert_eq!(trained(parts, 12), trained(wsam, 12));
    let error = toml::from_str::<ComposedConfig>("select = \"most\"").unwrap_err().to_string();
    assert!(error.contains("unknown variant `most`") && error.contains("top-loss"), "{error}");
    let error = toml::from_str::<ComposedConfig>("ascend = { gradient = { rhoo = 1 } }");
    assert!(error.unwrap_err().to_string().contains("rhoo"));
}

/// The average number of passes over a run, with a budget in place of the rule's schedule.
fn average_passes(algorithm: &Algorithm, limit: f64, steps: u64) -> f64 {
    let mut rule = algorithm.build().unwrap();
    let controller = ControllerConfig { window: 10, blocks: 2, ..ControllerConfig::default() };
    let budget = BudgetConfig::default().with_limit(limit).with_controller(controller);
    *rule.schedule().unwrap() = Box::new(Budget::new(budget).unwrap());
    let mut optimizer = optimizer(rule, sgd(0.9, 0.0));
    let mut net = net(5);
    let mut worst: f64 = 0.0;
    for t in 0..steps {
        net = step(&mut optimizer, net, t).unwrap().0;
        if t + 1 >= 500 {
            let average = optimizer.passes() / (t + 1) as f64;
            worst = if (average - limit).abs() > (worst - limit).abs() || worst == 0.0 {
                average
            } else {
                worst
            };
        }
    }
    worst
}

/// Over every run of 500 steps or more, whatever the descent and whatever the samples cost.
#[test]
fn a_budget_is_kept_within_a_percent() {
    let _alone = common::alone();
    let named = |name| common::named(name);
    for (algorithm, limit) in [
        (named("arsam"), 1.15),
        (named("sam"), 1.5),
        (named("looksam"), 1.05),
        (named("ksam"), 1.0),
        (named("gsam"), 1.9),
    ] {
        let average = average_passes(&algorithm, limit, 620);
        assert!((average - limit).abs() <= 0.01 * limit, "{algorithm:?}: {average}, not {limit}");
    }
}

/// The same where the rule decides on each micro-batch by itself, with the cost of each.
#[test]
fn a_budget_over_single_micro_batches_is_kept_within_a_percent() {
    let _alone = common::alone();
    let cases: [(f64, &[usize]); 4] =
        [(1.1, &[2, 2, 2, 2]), (1.2, &[2, 2, 2, 2]), (1.5, &[3, 3, 2]), (1.3, &[7, 1])];
    for (limit, sizes) in cases {
        let controller = ControllerConfig { window: 10, blocks: 2, ..ControllerConfig::default() };
        let budget = BudgetConfig::default().with_limit(limit).with_controller(controller);
        let sam = Scheduled::from(SamConfig::new(0.1));
        let rule = sam.with_budget_of(budget).build().unwrap();
        let mut optimizer = optimizer(rule, sgd(0.9, 0.0));
        let described = BatchInfo::default().with_micro_batches(sizes, Accumulate::EachMicroBatch);
        let mut at = net(5);
        for t in 0..600 {
            let (x, y) = batch(t);
            let losses = |net: &Net, i: usize, _: &Samples| {
                let first: usize = sizes[..i].iter().sum();
                let (x, y) = (x.clone().narrow(0, first, sizes[i]), y.clone());
                cross_entropies(net.forward(x, &[]), y.narrow(0, first, sizes[i]))
            };
            at = optimizer.step_micro_batches(0.05, at, &described, losses).unwrap().0;
            let average = optimizer.passes() / (t + 1) as f64;
            let is_kept = (average - limit).abs() <= 0.01 * limit;
            assert!(t + 1 < 500 || is_kept, "{average}, not {limit}, after {t} in {sizes:?}");
        }
    }
}

#[test]
fn a_budget_of_two_passes_is_sam_and_of_one_the_base() {
    let _alone = common::alone();
    let with = |limit| {
        let mut rule = sam(0.1);
        let budget = BudgetConfig { limit, ..BudgetConfig::default() };
        *rule.schedule().unwrap() = Box::new(Budget::new(budget).unwrap());
        rule
    };
    assert_eq!(trained(with(2.0), 20), trained(sam(0.1), 20));
    assert_eq!(trained(with(1.0), 20), trained(BaseConfig {}.build().unwrap(), 20));
    let refused = Budget::new(BudgetConfig { limit: 0.0, ..BudgetConfig::default() });
    assert_eq!(refused.unwrap_err().to_string(), "limit must be finite and above 0, found 0");
}

/// Time is measured, so the test asks for little: that some second gradients are taken, and not
/// all.
#[test]
fn a_time_budget_takes_some_second_gradients() {
    let _alone = common::alone();
    let mut rule = sam(0.1);
    let budget: BudgetConfig = toml::from_str("limit = 1.5\nunit = \"time\"").unwrap();
    *rule.schedule().unwrap() = Box::new(Budget::new(budget).unwrap());
    let mut optimizer = optimizer(rule, sgd(0.9, 0.0));
    train(&mut optimizer, net(32), 0..300);
    let second = optimizer.second_gradients();
    assert!((1..=285).contains(&second), "{second} of 300");
}

/// The perturbation of a step, by what the loss closure sees of the weights.
fn perturbation(rule: Box<dyn Rule>, t: u64, lr: f64) -> Vec<Vec<f64>> {
    let mut optimizer = optimizer(rule, sgd(0.0, 0.0));
    let (net, x, y) = exact(0);
    let parameters = Parameters::of(&net).unwrap();
    let w = parameters.weights(&net);
    let seen: RefCell<Vec<ParamVec>> = RefCell::default();
    let mut at = net;
    for step in 0..=t {
        seen.borrow_mut().clear();
        // A learning rate of 0 leaves the weights where they are.
        let lr = if step == t { lr } else { 0.0 };
        at = optimizer
            .step_samples(lr, at, &BatchInfo::default(), |net: &Net, _: &Samples| {
                seen.borrow_mut().push(parameters.weights(net));
                cross_entropies(net.forward(x.clone(), &[]), y.clone())
            })
            .unwrap()
            .0;
    }
    let e = seen.borrow()[1].clone().minus(&w);
    e.into_parts().into_iter().map(|part| common::numbers(part.unwrap())).collect()
}

fn length<'a>(parts: impl IntoIterator<Item = &'a Vec<f64>>) -> f64 {
    parts.into_iter().flatten().map(|x| x * x).sum::<f64>().sqrt()
}

fn with_radius(config: &RadiusConfig) -> Box<dyn Rule> {
    let mut rule = sam(0.5);
    let ascend = rule.ascend().unwrap();
    let inner = std::mem::replace(ascend, Box::new(AlongGradient::new(0.0).unwrap()));
    *ascend = Box::new(ScaledRadius::new(inner, Radius::new(config).unwrap()));
    rule
}

#[test]
fn a_radius_follows_its_schedule_and_its_warm_up() {
    let _alone = common::alone();
    // 60 steps in all, so that step 59 is the end.
    for (schedule, t, factor) in [
        (RadiusSchedule::Constant, 40, 1.0),
        (RadiusSchedule::Linear { to: 0.2 }, 0, 1.0),
        (RadiusSchedule::Linear { to: 0.2 }, 59, 0.2),
        (RadiusSchedule::Cosine { to: 0.0 }, 59, 0.0),
        (RadiusSchedule::Cosine { to: 2.0 }, 59, 2.0),
        (RadiusSchedule::LearningRate { to: 0.1 }, 3, 1.0),
    ] {
        let config = RadiusConfig { schedule, ..RadiusConfig::default() };
        let found = length(&perturbation(with_radius(&config), t, 0.1));
        assert!((found - 0.5 * factor).abs() < 1e-9, "{schedule:?} at {t}: {found}");
    }
    let config = RadiusConfig { warmup: Warmup::Steps(10), ..RadiusConfig::default() };
    for (t, factor) in [(0, 0.0), (5, 0.5), (10, 1.0), (30, 1.0)] {
        let found = length(&perturbation(with_radius(&config), t, 0.1));
        assert!((found - 0.5 * factor).abs() < 1e-9, "warm-up at {t}: {found}");
    }
}

/// A warm-up of the radius begins where perturbations do, and continues there after a resume.
#[test]
fn a_radius_rises_from_the_first_perturbation_on() {
    let _alone = common::alone();
    let made = || {
        let settings = SamConfig::new(0.5).with_late_start(0.5);
        let rule = settings.with_radius_warmup(Warmup::Steps(4)).build().unwrap();
        optimizer(rule, sgd(0.0, 0.0)).with_total_steps(12)
    };
    let (mut own, mut at, mut radii) = (made(), net(6), Vec::new());
    for t in 0..12 {
        if t == 8 {
            own = made().load_record(own.to_record().unwrap(), &at).unwrap();
        }
        let (next, report) = step(&mut own, at, t).unwrap();
        at = next;
        radii.push(report.values().unwrap().radius.unwrap_or(0.0));
    }
    let expected = [0.0; 7].into_iter().chain([0.125, 0.25, 0.375, 0.5, 0.5]);
    for (t, (found, expected)) in radii.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 1e-6, "radius {found} at {t}: {radii:?}");
    }
}

/// No training has 0 steps, whatever asks for their number.
#[test]
fn a_training_without_steps_is_refused() {
    let _alone = common::alone();
    let linear = RadiusSchedule::Linear { to: 0.5 };
    let rules = [
        ("late", SamConfig::new(0.1).with_late_start(0.5).build()),
        ("aesam", Algorithm::named("aesam").unwrap().build()),
        ("ss-sam", StochasticSamConfig::new(0.1).with_last_probability(0.5).build()),
        ("a radius", SamConfig::new(0.1).with_radius_schedule(linear).build()),
    ];
    for (name, rule) in rules {
        let mut optimizer = optimizer(rule.unwrap(), sgd(0.0, 0.0)).with_total_steps(0);
        let error = step(&mut optimizer, net(6), 0).unwrap_err().to_string();
        assert_eq!(error, "total_steps must be at least 1, found 0", "{name}");
    }
}

/// An expression or a choice that nothing in the module belongs to is a slip of the pen.
#[test]
fn a_radius_of_nothing_is_refused() {
    let _alone = common::alone();
    let refused = |config: RadiusConfig| {
        let mut optimizer = optimizer(with_radius(&config), sgd(0.0, 0.0));
        step(&mut optimizer, net(6), 0).unwrap_err().to_string()
    };
    let groups = vec![RadiusGroup::new("bias$", 2.0), RadiusGroup::new("^layer\\.1", 0.5)];
    let found = refused(RadiusConfig { groups, ..RadiusConfig::default() });
    let allowed = "an expression that matches the path of at least one parameter of the module";
    assert_eq!(found, format!("path must be {allowed}, found ^layer\\.1"));
    let found = refused(RadiusConfig { perturb: Perturb::Norms, ..RadiusConfig::default() });
    let allowed = "a choice that covers at least one parameter of the module";
    assert_eq!(found, format!("perturb must be {allowed}, found norms"));
}

#[test]
fn a_radius_can_differ_from_group_to_group() {
    let _alone = common::alone();
    let plain = perturbation(sam(0.5), 0, 0.1);
    // Tensors are weight, bias, weight, bias.
    let weights = RadiusConfig { perturb: Perturb::Weights, ..RadiusConfig::default() };
    let found = perturbation(with_radius(&weights), 0, 0.1);
    assert_eq!((length([&found[1]]), length([&found[3]])), (0.0, 0.0));
    assert!((length(&found) - 0.5).abs() < 1e-9, "the norm is over those that are perturbed");

    let groups = vec![RadiusGroup::new("bias$", 2.0), RadiusGroup::new(r"layers\.1\.bias", 3.0)];
    let config = RadiusConfig { groups, ..RadiusConfig::default() };
    let found = perturbation(with_radius(&config), 0, 0.1);
    for (i, factor) in [1.0, 2.0, 1.0, 3.0].into_iter().enumerate() {
        let (found, expected) = (length([&found[i]]), factor * length([&plain[i]]));
        assert!((found - expected).abs() < 1e-9, "tensor {i}: {found}, not {expected}");
    }
    let groups = vec![RadiusGroup::new("(", 1.0)];
    let error = Radius::new(&RadiusConfig { groups, ..RadiusConfig::default() }).unwrap_err();
    assert_eq!(error.to_string(), "path must be a regular expression, found (");
}

/// The ascents of LookSAM that are not confirmed: ρ for each tensor, or `ρ·‖w_l‖/‖g‖`.
#[test]
fn an_ascent_by_tensors_keeps_its_radius_in_each() {
    let _alone = common::alone();
    let rule = |ascent: &str| {
        let text = format!("name = \"looksam\"\nrho = 0.5\nascent = \"{ascent}\"");
        toml::from_str::<Algorithm>(&text).unwrap().build().unwrap()
    };
    for part in perturbation(rule("per-tensor"), 0, 0.0) {
        assert!((length([&part]) - 0.5).abs() < 1e-9, "{}", length([&part]));
    }
    let weights = Values::of(&exact(0).0).trainable;
    let found = perturbation(rule("layer-wise"), 0, 0.0);
    let ratios: Vec<f64> =
        found.iter().zip(&weights).map(|(e, w)| length([e]) / length([w])).collect();
    assert!(ratios[0] > 0.0);
    for ratio in &ratios {
        assert!((ratio / ratios[0] - 1.0).abs() < 1e-9, "‖e_l‖ goes with ‖w_l‖: {ratios:?}");
    }
}

/// No second gradient before the turn, and after it as many as the schedule by itself would take
/// from its start on.
#[test]
fn a_late_start_stands_before_any_schedule() {
    let _alone = common::alone();
    let second = |settings: Scheduled<Algorithm>, steps: u64| {
        let mut optimizer =
            optimizer(settings.build().unwrap(), sgd(0.0, 0.0)).with_total_steps(steps);
        let (mut at, mut second) = (net(6), Vec::new());
        for t in 0..steps {
            let (next, report) = step(&mut optimizer, at, t).unwrap();
            at = next;
            second.push(report.second_gradient);
        }
        second
    };
    let count = |of: &[bool]| of.iter().filter(|second| **second).count();
    let controller = ControllerConfig {
        warmup: Warmup::Steps(3),
        window: 10,
        blocks: 2,
        gain_ratio: 0.0,
        gain_variance: 0.0,
        ..ControllerConfig::default()
    };
    let arsam = || {
        Scheduled::from(Algorithm::from(ArsamConfig::new(0.1).with_controller(controller.clone())))
    };
    // 3 of the warm-up; its own window has none, the two whole ones after it one each.
    let late = second(arsam().with_late_start(0.5), 64);
    assert_eq!(count(&late[..32]), 0);
    assert_eq!(late[32..35], [true; 3]);
    assert_eq!(count(&late[35..44]), 0);
    assert_eq!(count(&late[44..64]), 2);

    let periodic = Scheduled::from(Algorithm::from(LookSamConfig::new(0.1).with_k(4)));
    let late = second(periodic.with_late_start(0.51), 20);
    let expected: Vec<bool> = (0..20).map(|t| t >= 11 && (t - 11) % 4 == 0).collect();
    assert_eq!(late, expected, "from the 11th step of 20 on");

    // A budget takes the place of late SAM's every step, not of its start.
    let late = Scheduled::from(Algorithm::from(LateSamConfig::new(0.1).with_start(0.5)));
    let late = second(late.with_budget(1.2), 1000);
    assert_eq!(count(&late[..500]), 0);
    assert!((95..=105).contains(&count(&late[500..])), "{}", count(&late[500..]));

    let late = second(arsam().with_budget(1.4).with_late_start(0.4), 1000);
    assert_eq!(count(&late[..400]), 0);
    let passes = 1.0 + count(&late[400..]) as f64 / 600.0;
    assert!((passes / 1.4 - 1.0).abs() < 0.01, "{passes}");

    let refused = MsamConfig::new(0.1).with_late_start(0.5).build().unwrap_err();
    assert!(matches!(refused, Error::Unsupported { setting: "late_start", .. }), "{refused}");
    let refused = ArsamConfig::new(0.1).with_late_start(1.5).build().unwrap_err();
    assert_eq!(refused.to_string(), "late_start must be between 0 and 1, found 1.5");

    // 0.07·100 and 0.55·100 are a little more than 7 and 55 in floating point.
    for (start, first) in [(0.07, 7), (0.55, 55), (0.555, 56)] {
        let sam = Scheduled::from(Algorithm::from(SamConfig::new(0.1)));
        let late = second(sam.with_late_start(start), 100);
        let expected: Vec<bool> = (0..100).map(|t| t >= first).collect();
        assert_eq!(late, expected, "from {start} of 100 on");
    }
}

#[test]
fn a_probability_moves_from_its_first_to_its_last() {
    let _alone = common::alone();
    for course in ["linear", "cosine"] {
        let text = format!(
            "name = \"ss-sam\"\n[schedule]\nprobability = 1.0\nlast_probability = 0.0\n\
             course = \"{course}\""
        );
        let rule = toml::from_str::<Algorithm>(&text).unwrap().build().unwrap();
        let mut optimizer = optimizer(rule, sgd(0.0, 0.0));
        let (mut at, mut second) = (net(6), Vec::new());
        for t in 0..60 {
            let (next, report) = step(&mut optimizer, at, t).unwrap();
            at = next;
            second.push(report.second_gradient);
        }
        let count = |range: std::ops::Range<usize>| second[range].iter().filter(|s| **s).count();
        assert!(second[0] && !second[59], "{course}");
        assert!(count(0..30) >= 18 && count(30..60) <= 12, "{course}: {second:?}");
    }
    let rule = common::named("ss-sam");
    let mut table = toml::Table::try_from(&rule).unwrap();
    let schedule = table["schedule"].as_table_mut().unwrap();
    schedule.insert("last_probability".into(), 0.1.into());
    let rule = table.try_into::<Algorithm>().unwrap().build().unwrap();
    let mut untold = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap();
    let (x, y) = batch(0);
    let losses = |net: &Net, _: &Samples| cross_entropies(net.forward(x.clone(), &[]), y.clone());
    let error = untold.step_samples(0.1, net(6), &BatchInfo::default(), losses).unwrap_err();
    assert!(error.to_string().contains("with_total_steps"), "{error}");
}

/// One step on a batch of 8 in micro-batches of these sizes.
fn accumulated(
    rule: Box<dyn Rule>,
    sizes: &[usize],
    accumulate: Accumulate,
) -> (Values, StepReport) {
    let mut optimizer = optimizer(rule, sgd(0.0, 0.0));
    let (net, x, y) = exact(0);
    let starts: Vec<usize> = sizes
        .iter()
        .scan(0, |start, size| {
            *start += size;
            Some(*start - size)
        })
        .collect();
    let described = BatchInfo::default().with_micro_batches(sizes, accumulate);
    let (net, report) = optimizer
        .step_micro_batches(0.5, net, &described, |net, i, samples| {
            let x = x.clone().narrow(0, starts[i], sizes[i]);
            let y = y.clone().narrow(0, starts[i], sizes[i]);
            let (x, y) = common::chosen(&x, &y, samples);
            cross_entropies(net.forward(x, &[]), y)
        })
        .unwrap();
    (Values::of(&net), report)
}

fn distance(a: &Values, b: &Values) -> f64 {
    let pairs = a.trainable.iter().flatten().zip(b.trainable.iter().flatten());
    pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn micro_batches_taken_together_are_the_batch_in_one_piece() {
    let _alone = common::alone();
    for name in ["base", "sam", "asam", "ksam", "gsam"] {
        let rule = || common::named(name).build().unwrap();
        let (whole, one) = accumulated(rule(), &[8], Accumulate::WholeBatch);
        let (parts, three) = accumulated(rule(), &[3, 3, 2], Accumulate::WholeBatch);
        assert!(distance(&whole, &parts) < 1e-12, "{name}: {}", distance(&whole, &parts));
        assert!((one.passes - three.passes).abs() < 1e-12, "{name}");
        let (a, b) = (one.values().unwrap().loss, three.values().unwrap().loss);
        assert!((a - b).abs() < 1e-12, "{name}: the loss is {b}, not {a}");
    }
}

/// Ascent per micro-batch: the step is the mean of the steps that each would have taken alone.
#[test]
fn micro_batches_taken_one_by_one_average_their_own_gradients() {
    let _alone = common::alone();
    let (net, x, y) = exact(0);
    let start = Values::of(&net);
    let (found, report) = accumulated(sam(0.5), &[5, 3], Accumulate::EachMicroBatch);
    assert!((report.passes - 2.0).abs() < 1e-12);
    let mut expected = start.trainable.clone();
    for (first, size) in [(0, 5), (5, 3)] {
        let x = x.clone().narrow(0, first, size);
        let y = y.clone().narrow(0, first, size);
        let mut alone = optimizer(sam(0.5), sgd(0.0, 0.0));
        let losses =
            |net: &Net, _: &Samples| cross_entropies(net.forward(x.clone(), &[]), y.clone());
        let after = Values::of(
            &alone.step_samples(0.5, net.clone(), &BatchInfo::default(), losses).unwrap().0,
        );
        for (sum, (to, from)) in
            expected.iter_mut().zip(after.trainable.iter().zip(&start.trainable))
        {
            for (sum, (to, from)) in sum.iter_mut().zip(to.iter().zip(from)) {
                *sum += (to - from) * size as f64 / 8.0;
            }
        }
    }
    let expected = Values { trainable: expected, running: Vec::new() };
    assert!(distance(&found, &expected) < 1e-12, "{}", distance(&found, &expected));
    let (whole, _) = accumulated(sam(0.5), &[5, 3], Accumulate::WholeBatch);
    assert!(distance(&found, &whole) > 1e-4, "the two meanings differ");
}

/// The norms of a step over single micro-batches are those of the last one, which belong together.
#[test]
fn norms_over_single_micro_batches_are_those_of_the_last() {
    let _alone = common::alone();
    let report = accumulated(sam(0.5), &[5, 3], Accumulate::EachMicroBatch).1;
    let (net, x, y) = exact(0);
    let (x, y) = (x.narrow(0, 5, 3), y.narrow(0, 5, 3));
    let mut alone = optimizer(sam(0.5), sgd(0.0, 0.0));
    let losses = |net: &Net, _: &Samples| cross_entropies(net.forward(x.clone(), &[]), y.clone());
    let last = alone.step_samples(0.5, net, &BatchInfo::default(), losses).unwrap().1;
    let (found, last) = (report.values().unwrap(), last.values().unwrap());
    let numbers = |values: &StepValues| {
        let StepValues { gradient_norm, perturbed_norm, psf_norm, cosine, radius, .. } = values;
        [*gradient_norm, *perturbed_norm, *psf_norm, *cosine, *radius].map(Option::unwrap)
    };
    for (found, last) in numbers(found).into_iter().zip(numbers(last)) {
        assert!((found - last).abs() < 1e-12, "{found}, not {last}");
    }
}

/// Rules that need one update for each step refuse several in one, and take one.
#[test]
fn rules_of_whole_steps_refuse_single_micro_batches() {
    let _alone = common::alone();
    for name in ["msam", "sampa", "bsam"] {
        let step = |sizes: &[usize], accumulate: Accumulate| {
            let rule = common::named(name).build().unwrap();
            let (net, x, y) = exact(0);
            let described = BatchInfo::default().with_micro_batches(sizes, accumulate);
            let losses = |net: &Net, i: usize, _: &Samples| {
                let first: usize = sizes[..i].iter().sum();
                let (x, y) = (x.clone().narrow(0, first, sizes[i]), y.clone());
                cross_entropies(net.forward(x, &[]), y.narrow(0, first, sizes[i]))
            };
            let mut optimizer = optimizer(rule, sgd(0.0, 0.0));
            optimizer.step_micro_batches(0.1, net, &described, losses).map(|_| ())
        };
        let refused = step(&[5, 3], Accumulate::EachMicroBatch);
        assert_eq!(refused, Err(Error::EachMicroBatch), "{name}");
        assert_eq!(step(&[5, 3], Accumulate::WholeBatch), Ok(()), "{name}");
        assert_eq!(step(&[8], Accumulate::EachMicroBatch), Ok(()), "{name}");
    }
}

/// A batch of one sample is known as one by its stated size alone.
#[test]
fn a_batch_of_one_sample_needs_its_size() {
    let _alone = common::alone();
    let (net, x, y) = exact(0);
    let (x, y) = (x.narrow(0, 0, 1), y.narrow(0, 0, 1));
    for name in ["ksam", "esam"] {
        let step = |described: &BatchInfo<'_>| {
            let rule = common::named(name).build().unwrap();
            let losses = |net: &Net, samples: &Samples| {
                let (x, y) = common::chosen(&x, &y, samples);
                cross_entropies(net.forward(x, &[]), y)
            };
            let mut optimizer = optimizer(rule, sgd(0.0, 0.0));
            optimizer.step_samples(0.1, net.clone(), described, losses).map(|_| ())
        };
        assert_eq!(step(&BatchInfo::default()), Err(Error::PerSample), "{name}");
        assert_eq!(step(&BatchInfo::default().with_size(1)), Ok(()), "{name}");
    }
}

#[test]
fn a_batch_that_contradicts_itself_is_refused() {
    let _alone = common::alone();
    let losses = |_: &Net, _: usize, _: &Samples| -> Tensor<1> { unreachable!() };
    let wrong = BatchInfo::default().with_micro_batches(&[4, 0], Accumulate::WholeBatch);
    let mut optimizer = optimizer(sam(0.1), sgd(0.0, 0.0));
    assert!(matches!(
        optimizer.step_micro_batches(0.1, net(6), &wrong, losses),
        Err(Error::Batch { found: 0, .. })
    ));
    let wrong = BatchInfo::default()
        .with_indices(&[1, 2, 3])
        .with_micro_batches(&[2, 2], Accumulate::WholeBatch);
    assert!(matches!(
        optimizer.step_micro_batches(0.1, net(6), &wrong, losses),
        Err(Error::Batch { expected: 4, found: 3, .. })
    ));
}

#[test]
fn rules_that_choose_samples_want_the_loss_of_each() {
    let _alone = common::alone();
    for name in ["ksam", "esam", "ausam"] {
        let rule = common::named(name).build().unwrap();
        let mut optimizer = optimizer(rule, sgd(0.0, 0.0));
        let (x, y) = batch(0);
        let described = BatchInfo::default().with_indices(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let mean = |net: &Net, _: usize, _: &Samples| {
            cross_entropies(net.forward(x.clone(), &[]), y.clone()).mean()
        };
        let error = optimizer.step_micro_batches(0.1, net(6), &described, mean).unwrap_err();
        assert_eq!(error, Error::PerSample, "{name}");
    }
}

/// γ = β = 1 for ESAM, k = b for K-SAM, α = 1 for AUSAM, all layers for SL-SAM: SAM, bit for bit.
#[test]
fn selections_of_everything_are_sam() {
    let _alone = common::alone();
    let rho = 0.1;
    let sam = trained(sam(rho), 15);
    let esam = EsamConfig::new(rho).with_beta(1.0).with_gamma(1.0);
    assert_eq!(trained(esam.build().unwrap(), 15), sam, "ESAM");
    let ausam = AusamConfig::new(rho).with_alpha(1.0);
    assert_eq!(trained(ausam.build().unwrap(), 15), sam, "AUSAM");
    let slsam = SparseLayerSamConfig::new(rho).with_s(1.0);
    assert_eq!(trained(slsam.build().unwrap(), 15), sam, "SL-SAM");
    let ksam = KsamConfig::new(rho).with_fraction(1.0);
    let ksam = trained(ksam.build().unwrap(), 15);
    assert_eq!(ksam, sam, "K-SAM");
}

#[test]
fn ausam_takes_all_samples_in_the_first_epoch_and_learns_which_move() {
    let _alone = common::alone();
    let config = AusamConfig::default().with_f_max(5.0).with_transition_epochs(1);
    let mut optimizer = optimizer(config.build().unwrap(), sgd(0.0, 0.0));
    let drawn = RefCell::new(vec![0_u32; SIZE]);
    let mut at = net(6);
    let indices: Vec<usize> = (0..SIZE).collect();
    let described = BatchInfo::default().with_indices(&indices);
    let (x, y) = batch(0);
    // One sample's loss is steep, so that a perturbation changes it much.
    let steep: Vec<f32> = (0..SIZE).map(|i| if i == 5 { 20.0 } else { 1.0 }).collect();
    let steep = Tensor::<1>::from_floats(steep.as_slice(), &device());
    for t in 0..150 {
        let (next, report) = optimizer
            .step_micro_batches(0.0, at, &described, |net, _, samples| {
                if let Samples::Some { positions, .. } = samples {
                    for &p in positions {
                        drawn.borrow_mut()[p] += 1;
                    }
                }
                let all = cross_entropies(net.forward(x.clone(), &[]), y.clone()) * steep.clone();
                match samples {
                    Samples::All => all,
                    Samples::Some { positions, .. } => {
                        let positions: Vec<i64> =
                            positions.iter().map(|&p| i64::try_from(p).unwrap()).collect();
                        all.select(0, Tensor::from_ints(positions.as_slice(), &device()))
                    }
                }
            })
            .unwrap();
        at = next;
        let expected = if t < 3 { 2.0 } else { 1.0 };
        assert!((report.passes - expected).abs() < 1e-12, "step {t}");
    }
    let drawn = drawn.into_inner();
    let others = drawn.iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, n)| *n).max();
    assert!(drawn[5] > others.unwrap(), "{drawn:?}");

    let mut unknown = SharpnessAware::new(sgd(0.0, 0.0), config.build().unwrap()).unwrap();
    let losses = |net: &Net, _: &Samples| cross_entropies(net.forward(x.clone(), &[]), y.clone());
    let error = unknown.step_samples(0.1, net(6), &BatchInfo::default(), losses).unwrap_err();
    assert!(error.to_string().contains("BatchInfo::with_indices"), "{error}");
}

/// Inactive layers keep their weights, momentum and decay to the bit, and active ones move.
#[test]
fn slsam_leaves_inactive_layers_alone() {
    let _alone = common::alone();
    let config = SparseLayerSamConfig::default().with_s(0.5);
    let mut optimizer = optimizer(config.build().unwrap(), sgd(0.9, 0.1));
    let mut at = net(6);
    let (mut partial, mut layers_seen) = (0, [0; 4]);
    for t in 0..40 {
        let before = Values::of(&at).trainable;
        let (next, report) = step(&mut optimizer, at, t).unwrap();
        let after = Values::of(&next).trainable;
        at = next;
        let moved: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a != b).collect();
        let share = report.values().unwrap().notes["active_layers"];
        let count = moved.iter().filter(|moved| **moved).count();
        assert!((share - count as f64 / 4.0).abs() < 1e-12);
        assert!(count > 0);
        partial += u32::from(count < 4);
        for (seen, moved) in layers_seen.iter_mut().zip(moved) {
            *seen += u32::from(moved);
        }
        assert!(report.passes > 2.0 / 3.0 && report.passes <= 2.0 + 1e-12);
        if count < 4 {
            assert!(report.passes < 2.0 - 1e-6, "{}", report.passes);
        }
    }
    assert!(partial > 10, "{partial} of 40 with idle layers");
    assert!(layers_seen.iter().all(|&n| n >= 8), "{layers_seen:?}");
}

/// However small the share of active layers, a step ends, with one of them.
#[test]
fn slsam_draws_a_layer_where_almost_none_is_due() {
    let _alone = common::alone();
    let config = SparseLayerSamConfig::default().with_s(1e-12);
    let mut optimizer = optimizer(config.build().unwrap(), sgd(0.9, 0.0));
    let mut at = net(6);
    for t in 0..4 {
        let (next, report) = step(&mut optimizer, at, t).unwrap();
        at = next;
        assert_eq!(report.values().unwrap().notes["active_layers"], 0.25, "one of four");
    }
}

/// ESAM keeps the samples whose losses rise most, and ⌈γ·b⌉ of them.
#[test]
fn esam_descends_on_the_samples_that_rose_most() {
    let _alone = common::alone();
    let config = EsamConfig::new(0.5).with_beta(1.0).with_gamma(0.3);
    let mut optimizer = optimizer(config.build().unwrap(), sgd(0.0, 0.0));
    let (x, y) = batch(2);
    let calls: RefCell<Vec<Vec<f64>>> = RefCell::default();
    let chosen: RefCell<Vec<usize>> = RefCell::default();
    let (_, report) = optimizer
        .step_samples(0.1, net(6), &BatchInfo::default(), |net: &Net, samples: &Samples| {
            if let Samples::Some { positions, .. } = samples {
                chosen.borrow_mut().clone_from(positions);
            }
            let (x, y) = common::chosen(&x, &y, samples);
            let losses = cross_entropies(net.forward(x, &[]), y);
            calls.borrow_mut().push(common::numbers(losses.clone().inner()));
            losses
        })
        .unwrap();
    let (calls, chosen) = (calls.into_inner(), chosen.into_inner());
    assert_eq!((calls.len(), chosen.len()), (3, 3), "⌈0.3·8⌉ = 3");
    let rise: Vec<f64> = calls[0].iter().zip(&calls[1]).map(|(a, b)| b - a).collect();
    let least = chosen.iter().map(|&i| rise[i]).fold(f64::INFINITY, f64::min);
    let above = rise.iter().filter(|&&r| r > least).count();
    assert!(above < 3, "{rise:?}, chosen {chosen:?}");
    assert!((report.passes - (1.0 + 1.0 / 3.0 + 3.0 / 8.0)).abs() < 1e-12);
}

/// The mean of ESAM's perturbation over its coordinate masks is SAM's.
#[test]
fn the_mean_of_masked_perturbations_is_sams() {
    let _alone = common::alone();
    let config: EsamConfig =
        toml::from_str("rho = 0.5\nmask = \"coordinates\"\nselect = { beta = 0.5, gamma = 1.0 }")
            .unwrap();
    let whole = perturbation(sam(0.5), 0, 0.0);
    let draws = 200_u32;
    let mut mean = vec![0.0; whole.iter().map(Vec::len).sum()];
    let count = Cell::new(0);
    for seed in 0..draws {
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), config.build().unwrap())
            .unwrap()
            .with_seed(u64::from(seed));
        let (net, x, y) = exact(0);
        let parameters = Parameters::of(&net).unwrap();
        let w = parameters.weights(&net);
        let seen: RefCell<Vec<ParamVec>> = RefCell::default();
        optimizer
            .step_samples(0.0, net, &BatchInfo::default(), |net: &Net, _: &Samples| {
                seen.borrow_mut().push(parameters.weights(net));
                cross_entropies(net.forward(x.clone(), &[]), y.clone())
            })
            .unwrap();
        let e = seen.borrow()[1].clone().minus(&w).into_parts();
        let e: Vec<f64> = e.into_iter().flat_map(|p| common::numbers(p.unwrap())).collect();
        count.set(count.get() + e.iter().filter(|x| **x != 0.0).count());
        mean.iter_mut().zip(e).for_each(|(mean, e)| *mean += e / f64::from(draws));
    }
    let share = count.get() as f64 / (f64::from(draws) * mean.len() as f64);
    assert!((share - 0.5).abs() < 0.02, "{share} of coordinates");
    let whole: Vec<f64> = whole.into_iter().flatten().collect();
    let off = mean.iter().zip(&whole).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    // A coordinate's deviation is that of a doubled coin: ‖e‖/√draws in all.
    assert!(off < 2.0 * 0.5 / f64::from(draws).sqrt(), "off by {off}");
}

#[test]
fn msam_perturbs_along_the_last_step_and_leaves_clean_weights() {
    let _alone = common::alone();
    let rule = common::named("msam").build().unwrap();
    let mut optimizer = optimizer(rule, sgd(0.9, 0.0));
    let mut at = exact(0).0;
    let parameters = Parameters::of(&at).unwrap();
    let mut before: Option<ParamVec> = None;
    for t in 0..5 {
        let w = parameters.weights(&at);
        let seen: RefCell<Option<ParamVec>> = RefCell::default();
        let (_, x, y) = exact(t);
        let (next, report) = optimizer
            .step_samples(0.1, at, &BatchInfo::default(), |net: &Net, _: &Samples| {
                *seen.borrow_mut() = Some(parameters.weights(net));
                cross_entropies(net.forward(x.clone(), &[]), y.clone())
            })
            .unwrap();
        at = next;
        assert_eq!((report.passes, report.second_gradient), (1.0, false));
        let e = seen.into_inner().unwrap().minus(&w);
        let number = |scalar: Tensor<1>| common::numbers(scalar)[0];
        match &before {
            None => assert_eq!(number(e.norm()), 0.0),
            Some(before) => {
                let way = w.clone().minus(before);
                let cosine = number(e.dot(&way)) / (number(e.norm()) * number(way.norm()));
                assert!((number(e.norm()) - 0.3).abs() < 1e-9);
                assert!((cosine.abs() - 1.0).abs() < 1e-9 && cosine > 0.0, "{cosine}");
            }
        }
        before = Some(w);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// K-SAM's subset holds the largest loss, is as large as asked for, and does not depend on the
    /// order of the batch.
    #[test]
    fn ksams_samples_are_those_with_the_largest_losses(t in 0_u64..1000, fraction in 0.05..1.0_f64, turn in 0_usize..8) {
        let _alone = common::alone();
        let run = |turn: usize| {
            let config = KsamConfig::new(0.1).with_fraction(fraction);
            let mut optimizer = optimizer(config.build().unwrap(), sgd(0.0, 0.0));
            let order: Vec<i64> =
                (0..SIZE).map(|i| i64::try_from((i + turn) % SIZE).unwrap()).collect();
            let order = Tensor::from_ints(order.as_slice(), &device());
            let (net, x, y) = exact(t);
            let (x, y) = (x.select(0, order.clone()), y.select(0, order));
            let losses: RefCell<Vec<f64>> = RefCell::default();
            let chosen: RefCell<Vec<usize>> = RefCell::default();
            let (net, _) = optimizer.step_samples(0.1, net, &BatchInfo::default(), |net: &Net, samples: &Samples| {
                let (x, y) = common::chosen(&x, &y, samples);
                let values = cross_entropies(net.forward(x, &[]), y);
                match samples {
                    Samples::All => *losses.borrow_mut() = common::numbers(values.clone().inner()),
                    Samples::Some { positions, .. } => chosen.borrow_mut().clone_from(positions),
                }
                values
            }).unwrap();
            (Values::of(&net), losses.into_inner(), chosen.into_inner())
        };
        let (values, losses, chosen) = run(0);
        let (turned, _, _) = run(turn);
        prop_assert!(distance(&values, &turned) < 1e-12);
        prop_assert_eq!(chosen.len() as f64, (fraction * 8.0 - 1e-9).ceil().max(1.0));
        let least = chosen.iter().map(|&i| losses[i]).fold(f64::INFINITY, f64::min);
        let left_out = (0..SIZE).filter(|i| !chosen.contains(i)).map(|i| losses[i]);
        prop_assert!(left_out.fold(f64::NEG_INFINITY, f64::max) <= least);
    }
}
