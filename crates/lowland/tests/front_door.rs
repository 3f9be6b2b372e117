//! The front door: what your own loop needs to know, and what it may do. Beside Burn's
//! prelude, whose names this crate's must not clash with. In one file, since all cases have the
//! same small loop.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use burn::module::{ModuleMapper, Param, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::optim::{AdamWConfig, SgdConfig};
use burn::prelude::*;
use burn::tensor::{DType, Distribution};
use common::pair::{Pair, all, batch, device, run, step};
use common::{Values, in_f64, numbers, sgd};
use lowland::*;

#[test]
fn arsam_trains_with_its_defaults_in_a_plain_loop() {
    let _alone = common::alone();
    let device = device();
    let mut net = Pair::new(&device);
    let base = AdamWConfig::new().init();
    let mut optimizer = SharpnessAware::new(base, ArsamConfig::default()).unwrap();
    let mut losses = Vec::new();
    let mut second = Vec::new();
    for at in 0..260 {
        let (x, y) = batch(at % 4, &device);
        let loss = |net: &Pair| cross_entropies(net.forward(x.clone()), y.clone(), 0.0).mean();
        let (next, report) = optimizer.step(1e-2, net, loss).unwrap();
        net = next;
        losses.push(report.values().unwrap().loss);
        second.push(report.second_gradient);
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..20]), mean(&losses[240..]));
    assert!(last < first, "{first} to {last}");
    // Without epochs the warm-up is 200 steps; after it, few steps take a second gradient.
    assert!(second[..200].iter().all(|&second| second));
    assert!(second[200..].iter().filter(|&&second| second).count() < 30);
}

#[test]
fn a_budget_and_a_radius_schedule_are_set_by_builders() {
    let _alone = common::alone();
    let arsam = ArsamConfig::new(0.05).with_budget(1.25).with_beta(0.9);
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), arsam).unwrap();
    run(&mut optimizer, Pair::new(&device()), 0..500);
    let average = optimizer.passes() / optimizer.steps() as f64;
    assert!((average - 1.25).abs() < 0.0125, "{average}");

    let sam = SamConfig::new(0.1).with_radius_schedule(RadiusSchedule::Linear { to: 0.0 });
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), sam).unwrap().with_total_steps(5);
    let mut net = Pair::new(&device());
    let mut radii = Vec::new();
    for at in 0..5 {
        let (next, report) = step(&mut optimizer, net, at).unwrap();
        net = next;
        radii.push(report.values().unwrap().radius.unwrap());
    }
    for (found, expected) in radii.iter().zip([0.1, 0.075, 0.05, 0.025, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{radii:?}");
    }
}

/// Algorithms that refuse a setting made by `set`, each with the reason.
fn refusing(set: impl Fn(Algorithm) -> Scheduled<Algorithm>) -> Vec<(&'static str, &'static str)> {
    let refused = |d: &Descriptor| match set(common::named(d.name)).build() {
        Ok(_) => None,
        Err(Error::Unsupported { algorithm, reason, .. }) => {
            assert_eq!(algorithm, d.label);
            Some((d.name, reason))
        }
        Err(other) => panic!("{}: {other}", d.name),
    };
    Algorithm::ALL.iter().filter_map(refused).collect()
}

/// All algorithms take a budget, a late start and a radius that changes, but for those that have
/// nothing to put it on.
#[test]
fn what_does_not_apply_to_an_algorithm_is_refused_with_the_reason() {
    let never = "it never takes a second gradient";
    let same = "every step computes the same gradients";
    let thin = "its first gradient leaves tensors out, which a step without a second one would not \
                train; set `mask = \"coordinates\"` (ESAM) or `beta = 1`";
    let without_schedule =
        [("base", never), ("bsam", same), ("esam", thin), ("msam", same), ("sampa", same)];
    let sorted = |mut refused: Vec<_>| {
        refused.sort_unstable();
        refused
    };
    assert_eq!(sorted(refusing(|algorithm| algorithm.with_budget(1.2))), without_schedule);
    assert_eq!(sorted(refusing(|algorithm| algorithm.with_time_budget(1.2))), without_schedule);
    assert_eq!(sorted(refusing(|algorithm| algorithm.with_late_start(0.5))), without_schedule);
    let without_radius =
        [("base", "it never perturbs the weights"), ("bsam", "it has no radius that can change")];
    let warmup = Warmup::Steps(3);
    assert_eq!(sorted(refusing(|algorithm| algorithm.with_radius_warmup(warmup))), without_radius);
    let falling = RadiusSchedule::Linear { to: 0.0 };
    let found = refusing(|algorithm| algorithm.with_radius_schedule(falling));
    assert_eq!(sorted(found), without_radius);
}

/// No step costs less than a gradient of the whole batch, unless samples or parameters are left out
/// of it.
#[test]
fn a_budget_below_one_step_is_refused_where_no_step_is_cheaper() {
    let refused = |set: fn(Algorithm) -> Scheduled<Algorithm>| -> Vec<&str> {
        let below = |d: &&Descriptor| match set(common::named(d.name)).build() {
            Err(Error::Config { field, found, allowed }) => {
                assert_eq!((field, found.as_str()), ("budget", "0.9"));
                assert!(allowed.starts_with("at least 1,"), "{allowed}");
                true
            }
            Ok(_) | Err(Error::Unsupported { .. }) => false,
            Err(other) => panic!("{}: {other}", d.name),
        };
        Algorithm::ALL.iter().filter(below).map(|d| d.name).collect()
    };
    let by_passes = refused(|algorithm| algorithm.with_budget(0.9));
    assert!(by_passes.contains(&"sam") && by_passes.contains(&"arsam"));
    for cheap in ["ksam", "ausam", "slsam"] {
        assert!(!by_passes.contains(&cheap), "{cheap}");
    }
    let by_time = refused(|algorithm| algorithm.with_time_budget(0.9));
    assert!(by_time.contains(&"sam") && by_time.contains(&"slsam"));
}

/// AdaSAM and bSAM go over the base that they bring; for others there is none.
#[test]
fn an_algorithm_goes_over_its_own_base() {
    for d in Algorithm::ALL {
        let algorithm = common::named(d.name);
        let brings = matches!(d.name, "adasam" | "bsam");
        match SharpnessAware::over_own_base(algorithm.clone().with_radius(RadiusConfig::default()))
        {
            Ok(_) => assert!(brings, "{}", d.name),
            Err(error) => {
                let reason = "it brings no base optimizer; give `SharpnessAware::new` one";
                let expected = format!("`over_own_base` does not apply to {}: {reason}", d.label);
                assert_eq!((brings, error.to_string()), (false, expected));
            }
        }
    }
    // The size of a training set is that which was given, or that of the data.
    let counted = |config: BsamConfig| Algorithm::from(config).with_sample_count(7);
    assert_eq!(counted(BsamConfig::new(0.1)), BsamConfig::new(0.1).with_data_size(7).into());
    let given = BsamConfig::new(0.1).with_data_size(50);
    assert_eq!(counted(given), given.into());
}

/// A controller with this warm-up.
fn warmup(warmup: Warmup) -> ControllerConfig {
    ControllerConfig::default().with_warmup(warmup)
}

/// The controller's settings are set on ARSAM, before and after a budget.
#[test]
fn the_settings_of_the_controller_are_set_on_arsam() {
    let controller = ControllerConfig {
        window: 20,
        blocks: 4,
        gain_ratio: 0.1,
        gain_variance: 0.2,
        max_fraction: 0.5,
        norm_tensors: 3,
        warmup: Warmup::Steps(7),
    };
    let expected = ArsamConfig { controller, ..ArsamConfig::new(0.1) };
    let built = ControllerConfig::default()
        .with_window(20)
        .with_blocks(4)
        .with_gain_ratio(0.1)
        .with_gain_variance(0.2)
        .with_max_fraction(0.5)
        .with_norm_tensors(3)
        .with_warmup(Warmup::Steps(7));
    assert_eq!(ArsamConfig::new(0.1).with_controller(built.clone()), expected);
    let after = ArsamConfig::new(0.1).with_budget(1.2).with_controller(built);
    assert_eq!(after.algorithm, expected);
    assert_eq!(after.budget, expected.with_budget(1.2).budget);

    let _alone = common::alone();
    let arsam = ArsamConfig::new(0.05).with_controller(warmup(Warmup::Steps(3)));
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), arsam).unwrap();
    run(&mut optimizer, Pair::new(&device()), 0..8);
    assert_eq!(optimizer.second_gradients(), 3, "those of the warm-up");
}

/// Settings of a program's own, by Burn's derive, beside all names of both crates.
#[derive(Config, Debug)]
struct Mine {
    #[config(default = 0.1)]
    rate: f64,
    radius: f64,
}

#[test]
fn burns_config_goes_beside_this_crate() {
    let mine = Mine::new(0.05).with_rate(0.2);
    assert_eq!((mine.rate, mine.radius), (0.2, 0.05));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.json");
    Config::save(&mine, &path).unwrap();
    assert_eq!(Mine::load(&path).unwrap().radius, 0.05);
    let made = SharpnessAware::new(SgdConfig::new().init(), SamConfig::new(mine.radius));
    assert!(made.is_ok());
}

#[test]
fn settings_are_checked_where_the_optimizer_is_made() {
    let refused = |result: Result<SharpnessAware>| result.unwrap_err().to_string();
    let made = |rho| SharpnessAware::new(SgdConfig::new().init(), SamConfig::new(rho));
    assert_eq!(refused(made(-0.1)), "rho must be finite and at least 0, found -0.1");
    assert_eq!(refused(made(f64::NAN)), "rho must be finite and at least 0, found NaN");
    let budget = ArsamConfig::new(0.1).with_budget(-1.0);
    assert_eq!(
        refused(SharpnessAware::new(SgdConfig::new().init(), budget)),
        "budget must be finite and above 0, found -1"
    );
    let controller = ControllerConfig::default().with_window(0);
    let arsam = ArsamConfig::new(0.1).with_controller(controller).with_budget(1.2);
    assert!(refused(SharpnessAware::new(SgdConfig::new().init(), arsam)).starts_with("window"));
}

#[test]
fn settings_are_plain_values_that_files_hold() {
    let scheduled = Scheduled::from(Algorithm::from(ArsamConfig::new(0.1))).with_budget(1.2);
    let text = toml::to_string(&scheduled).unwrap();
    assert!(text.contains("name = \"arsam\"") && text.contains("limit = 1.2"), "{text}");
    assert_eq!(toml::from_str::<Scheduled<Algorithm>>(&text).unwrap(), scheduled);
    assert!(toml::from_str::<Scheduled<SamConfig>>("[algorithm]\nrho = 0.1\nbeta = 1.0").is_err());
}

#[test]
fn algorithms_that_choose_samples_ask_for_another_step() {
    let _alone = common::alone();
    for algorithm in ["ksam", "esam", "ausam"] {
        let algorithm = common::named(algorithm);
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), algorithm).unwrap();
        let error =
            optimizer.step(0.1, Pair::new(&device()), |_| panic!("no loss is wanted")).unwrap_err();
        assert_eq!(error, Error::PerSample);
        assert!(error.to_string().contains("step_samples"), "{error}");
    }
}

#[test]
fn what_only_the_loop_knows_is_asked_for_by_name() {
    let _alone = common::alone();
    let asked = |algorithm: Algorithm, info: &BatchInfo<'_>| {
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), algorithm).unwrap();
        let net = Pair::new(&device());
        let (x, y) = batch(0, &device());
        let losses = |net: &Pair, samples: &Samples| {
            cross_entropies(net.forward(samples.select(x.clone())), samples.select(y.clone()), 0.0)
        };
        optimizer.step_samples(0.1, net, info, losses).unwrap_err()
    };
    let unknown = BatchInfo::default();
    let steps = Error::Missing {
        what: "the number of steps in the whole training",
        call: "with_total_steps",
    };
    let epoch =
        Error::Missing { what: "the number of steps in an epoch", call: "with_steps_per_epoch" };
    assert_eq!(asked(AesamConfig::default().into(), &unknown), steps);
    let falling = StochasticSamConfig::new(0.1).with_last_probability(0.1);
    assert_eq!(asked(falling.into(), &unknown), steps);
    let in_epochs = ArsamConfig::new(0.1).with_controller(warmup(Warmup::Epochs(3)));
    assert_eq!(asked(in_epochs.into(), &unknown), epoch);
    let error = asked(AusamConfig::default().into(), &unknown);
    assert!(error.to_string().contains("call `BatchInfo::with_indices`"), "{error}");
    let indices = [0, 1, 2, 3, 4, 5, 6, 7];
    assert_eq!(asked(AusamConfig::default().into(), &unknown.with_indices(&indices)), epoch);
}

/// A module of the same values under other identifiers, as weights from a file without them give.
fn copied(net: &Pair) -> Pair {
    struct Set(std::collections::VecDeque<Vec<f64>>);
    impl ModuleMapper for Set {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let values = self.0.pop_front().unwrap();
            param.map(|tensor| {
                let data = TensorData::new(values, tensor.shape()).convert_dtype(tensor.dtype());
                Tensor::from_data(data, &tensor.device()).require_grad()
            })
        }
    }
    let values = Values::of(net).trainable;
    let copy = Pair::new(&device()).map(&mut Set(values.into()));
    assert_eq!(Values::of(&copy), Values::of(net));
    copy
}

#[test]
fn a_saved_optimizer_resumes_exactly_whatever_the_parameters_are_called() {
    let _alone = common::alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("optimizer.bpk");
    for (name, fresh) in all() {
        let mut optimizer = fresh.clone();
        let net = run(&mut optimizer, Pair::new(&device()), 0..7);
        optimizer.save(&path).unwrap();
        let expected = Values::of(&run(&mut optimizer.clone(), net.clone(), 7..15));

        let same = fresh.clone().load(&path, &net).unwrap();
        assert_eq!(Values::of(&run(&mut { same }, net.clone(), 7..15)), expected, "{name}");
        let other = copied(&net);
        let loaded = fresh.clone().load(&path, &other).unwrap();
        assert_eq!(Values::of(&run(&mut { loaded }, other, 7..15)), expected, "{name}, other ids");
    }
}

#[test]
fn a_record_of_another_module_is_refused() {
    let _alone = common::alone();
    let device = device();
    let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), ArsamConfig::new(0.1)).unwrap();
    run(&mut optimizer, Pair::new(&device), 0..3);
    let refused = |module: &dyn Fn() -> Result<SharpnessAware>| module().unwrap_err().to_string();

    let wider = Pair { first: LinearConfig::new(5, 4).init(&device), ..Pair::new(&device) };
    let found = refused(&|| optimizer.clone().load_record(optimizer.to_record()?, &wider));
    let expected = "first.weight has 20 values in the module and 12 in the record";
    assert_eq!(found, format!("the record does not fit: {expected}"));

    let single: Linear = LinearConfig::new(3, 4).init(&device);
    let found = refused(&|| optimizer.clone().load_record(optimizer.to_record()?, &single));
    assert!(found.contains("first.weight is a parameter of the record and not of"), "{found}");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing.bpk");
    let found = refused(&|| optimizer.clone().load(&path, &single));
    assert!(found.starts_with("cannot read ") && found.contains("missing.bpk"), "{found}");
    std::fs::write(&path, b"no record").unwrap();
    let found = refused(&|| optimizer.clone().load(&path, &single));
    assert!(found.contains("missing.bpk"), "{found}");
}

#[test]
fn a_module_without_gradient_graph_is_named() {
    let _alone = common::alone();
    let plain = Device::flex();
    for (what, net) in [("plain", Pair::new(&plain)), ("valid", Pair::new(&device()).valid())] {
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), SamConfig::new(0.1)).unwrap();
        let error = optimizer.step(0.1, net, |net| net.second.weight.val().mean()).unwrap_err();
        assert!(matches!(error, Error::Untracked { .. }), "{what}: {error}");
        assert!(error.to_string().contains("Device::autodiff"), "{error}");
    }
}

#[test]
fn a_learning_rate_that_is_no_rate_is_refused() {
    let _alone = common::alone();
    let device = device();
    let net = Pair::new(&device);
    let group = |rate: f64| {
        let second = ParamGroup::from_regex("second").unwrap();
        ModuleLrScheduler::new(0.1).with_group(second, rate).step()
    };
    for rate in [f64::NAN.into(), f64::INFINITY.into(), (-0.1).into(), group(f64::NAN)] {
        let rate: ModuleLearningRate = rate;
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), SamConfig::new(0.1)).unwrap();
        let (x, y) = batch(0, &device);
        let loss = |net: &Pair| cross_entropies(net.forward(x.clone()), y.clone(), 0.0).mean();
        let error = optimizer.step(rate, net.clone(), loss).unwrap_err();
        assert!(error.to_string().starts_with("the learning rate must be finite"), "{error}");
    }
}

/// What two optimizers of one training, as in a GAN, draw between and in their steps.
fn noise(device_seed: u64, seed: Option<u64>) -> Vec<Vec<f64>> {
    let device = device();
    let mut nets = [Some(Pair::new(&device)), Some(Pair::new(&device))];
    device.seed(device_seed);
    let optimizer = || {
        let optimizer = SharpnessAware::new(sgd(0.0, 0.0), SamConfig::new(0.1)).unwrap();
        match seed {
            Some(seed) => optimizer.with_seed(seed),
            None => optimizer,
        }
    };
    let mut optimizers = [optimizer(), optimizer()];
    let mut drawn = Vec::new();
    let draw = || numbers(Tensor::<1>::random([4], Distribution::Default, &Device::flex()));
    for at in 0..6 {
        let which = at % 2;
        let (x, y) = batch(0, &device);
        let mut inside = Vec::new();
        let loss = |net: &Pair| {
            inside.push(draw());
            cross_entropies(net.forward(x.clone()), y.clone(), 0.0).mean()
        };
        let net = nets[which].take().unwrap();
        nets[which] = Some(optimizers[which].step(0.1, net, loss).unwrap().0);
        assert_eq!(inside[0], inside[1], "one step draws the same for both gradients");
        if seed.is_none() {
            drawn.push(inside[0].clone());
        }
        drawn.push(draw());
    }
    drawn
}

#[test]
fn optimizers_steps_and_device_seeds_draw_apart() {
    let _alone = common::alone();
    let runs = [1, 2, 3].map(|seed| noise(seed, None));
    let all: Vec<&Vec<f64>> = runs.iter().flatten().collect();
    for (i, one) in all.iter().enumerate() {
        assert!(!all[..i].contains(one), "draw {i} repeats an earlier one");
    }
    assert_eq!(noise(2, None), runs[1], "a device's seed decides");
    // With a seed of its own, draws between steps still follow the device's seed.
    let runs = [1, 2].map(|seed| noise(seed, Some(9)));
    let all: Vec<&Vec<f64>> = runs.iter().flatten().collect();
    for (i, one) in all.iter().enumerate() {
        assert!(!all[..i].contains(one), "draw {i} repeats an earlier one");
    }
}

#[test]
fn draws_between_steps_are_the_same_after_a_resume() {
    let _alone = common::alone();
    let draw = || numbers(Tensor::<1>::random([4], Distribution::Default, &Device::flex()));
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), SamConfig::new(0.1)).unwrap();
    let net = run(&mut optimizer, Pair::new(&device()), 0..3);
    let record = optimizer.to_record().unwrap();
    let mut expected = vec![draw()];
    let next = run(&mut optimizer, net.clone(), 3..4);
    expected.push(draw());
    device().seed(1234);
    let fresh = SharpnessAware::new(sgd(0.0, 0.0), SamConfig::new(0.1)).unwrap();
    let mut resumed = fresh.load_record(record, &net).unwrap();
    let mut found = vec![draw()];
    let again = run(&mut resumed, net, 3..4);
    found.push(draw());
    assert_eq!(found, expected);
    assert_eq!(Values::of(&again), Values::of(&next), "dropout included");
}

/// One matrix in two places, as an encoder and a decoder that share it.
#[derive(Module, Debug)]
struct Tied {
    encode: Linear,
    decode: Linear,
}

#[test]
fn a_tensor_in_two_places_has_one_value_in_both_after_a_step() {
    let _alone = common::alone();
    let device = device();
    let encode: Linear = in_f64(LinearConfig::new(3, 3).with_bias(false).init(&device));
    let mut tied = Tied { encode: encode.clone(), decode: encode.clone() };
    let mut single = encode;
    let optimizer = || SharpnessAware::new(sgd(0.9, 1e-2), SamConfig::new(0.1)).unwrap();
    let (mut of_tied, mut of_single) = (optimizer(), optimizer());
    let x = batch(0, &device).0.cast(DType::F64);
    for _ in 0..4 {
        let loss = |net: &Tied| net.decode.forward(net.encode.forward(x.clone())).square().mean();
        tied = of_tied.step(0.1, tied, loss).unwrap().0;
        let loss = |net: &Linear| net.forward(net.forward(x.clone())).square().mean();
        single = of_single.step(0.1, single, loss).unwrap().0;
        let [encode, decode, one] =
            [&tied.encode, &tied.decode, &single].map(|layer| numbers(layer.weight.val().inner()));
        assert_eq!(encode, decode);
        for (two, one) in encode.iter().zip(&one) {
            // The gradient's two terms are added in another order: a few roundings of values
            // below 1 in each of up to four steps.
            assert!((two - one).abs() < 4.0 * 16.0 * f64::EPSILON, "{two}, {one}");
        }
    }
}

/// Your own rule is accepted as it is.
#[derive(Debug, Clone)]
struct Halved;

impl Rule for Halved {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let g = surface.gradient(&Selection::ALL)?.into_vec();
        Ok(g.map(|part| part.mul_scalar(0.5)).into())
    }
}

#[test]
fn your_own_rule_needs_no_box() {
    let _alone = common::alone();
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), Halved).unwrap().with_seed(3);
    let halved = run(&mut optimizer, Pair::new(&device()), 0..1);
    let base = SharpnessAware::new(sgd(0.0, 0.0), BaseConfig::new()).unwrap().with_seed(3);
    let whole = run(&mut { base }, Pair::new(&device()), 0..1);
    let start = Values::of(&Pair::new(&device())).trainable.concat();
    let (halved, whole) =
        (Values::of(&halved).trainable.concat(), Values::of(&whole).trainable.concat());
    let mut moved = 0.0_f64;
    for ((h, w), s) in halved.iter().zip(&whole).zip(&start) {
        // f32 weights of at most 1: one rounding in each of the two steps.
        assert!((2.0 * (h - s) - (w - s)).abs() < 4.0 * f64::from(f32::EPSILON));
        moved = moved.max((w - s).abs());
    }
    assert!(moved > 1e-4, "{moved}");
}

/// Every algorithm has its row in the table of the crate's documentation and in the book, there
/// with cost, memory, source and fidelity as the descriptor has them.
#[test]
fn every_algorithm_is_documented_with_its_source_and_fidelity() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (library, book) = (read("src/lib.rs"), read("../../docs/src/algorithms.md"));
    for descriptor in Algorithm::ALL {
        let Descriptor { name, summary, memory, source, fidelity, .. } = *descriptor;
        let row = book.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} has no row in the book"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[3], memory, "{row}");
        let mut numbers = source.trim_start_matches("arXiv ").split(", ");
        assert!(numbers.all(|number| cells[4].contains(number)), "{row} does not have {source}");
        let expected = match fidelity {
            Fidelity::AuthorsCode => "authors' code",
            Fidelity::Equations => "equations",
            Fidelity::Laws => "laws",
        };
        assert_eq!(cells[5], expected, "{row}");
        let does = summary.split(';').next().unwrap_or(summary);
        let rows = library.lines().filter(|line| line.starts_with("//! | [`"));
        assert_eq!(rows.filter(|row| row.contains(&format!("| {does} |"))).count(), 1, "{name}");
    }
}
