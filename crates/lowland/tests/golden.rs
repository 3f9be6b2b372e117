//! Runs the golden traces: short training runs in `f64` with the weights that they must reach. In
//! one file: one runner for all kinds.
//!
//! - `LOWLAND_GOLDEN` names a folder of traces to run instead of the ones here.
//! - `LOWLAND_GOLDEN_ONLY=base,sam` restricts the run to these kinds of algorithm; without it, a
//!   trace of an unknown kind fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test runner")]

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{DType, Device, Distribution, FloatDType, Int, Tensor, TensorData};
use common::{Net, cross_entropies, sgd};
use lowland::ascend::AlongGradient;
use lowland::descend::{ReusePsf, ReusePsfConfig};
use lowland::rule::Note;
use lowland::schedule::Schedule;
use lowland::select::AllSamples;
use lowland::state::Memory;
use lowland::{
    AdaSamConfig, AesamConfig, Algorithm, AlgorithmConfig, ArsamConfig, AsamConfig, AusamConfig,
    BatchInfo, BsamConfig, ComposedRule, ControllerConfig, Cost, EsamConfig, Gradient, ParamVec,
    Parameters, Perturbation, Rule, Samples, Scaling, Selection, SharpnessAware, StepValues,
    Surface, Update, Warmup,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Trace {
    model: Model,
    init: Vec<Initial>,
    data: Data,
    batches: Vec<Vec<usize>>,
    base: Base,
    algorithm: Settings,
    #[serde(default)]
    script: Script,
    #[serde(default)]
    observed: Observed,
    /// Gradient evaluations, of however many samples.
    passes: u64,
    expect: Vec<Expect>,
    controller: Option<Controller>,
}

#[derive(Deserialize)]
struct Model {
    kind: String,
    #[serde(default)]
    sizes: Vec<usize>,
    #[serde(default)]
    in_channels: usize,
    #[serde(default)]
    channels: Vec<usize>,
    #[serde(default)]
    classes: usize,
}

#[derive(Deserialize)]
struct Initial {
    data: Vec<f64>,
}

#[derive(Deserialize)]
struct Data {
    x_shape: Vec<usize>,
    x: Vec<f64>,
    y: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Base {
    Sgd {
        lr: f64,
        #[serde(default)]
        momentum: f64,
        #[serde(default)]
        weight_decay: f64,
    },
    AdamW {
        lr: f64,
        beta1: f32,
        beta2: f32,
        eps: f32,
        weight_decay: f32,
    },
    AdaSam {
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
    },
    Bsam {
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        damping: f64,
        s_init: f64,
    },
}

/// An algorithm's settings, all numbers but its kind; a kind's own code says which it needs.
#[derive(Deserialize)]
struct Settings {
    kind: String,
    #[serde(flatten)]
    values: BTreeMap<String, serde_json::Value>,
}

impl Settings {
    fn number(&self, name: &str) -> Result<f64, String> {
        let value = self.values.get(name).and_then(serde_json::Value::as_f64);
        value.ok_or_else(|| format!("algorithm.{name} is not a number"))
    }

    fn count(&self, name: &str) -> Result<usize, String> {
        let value = self.values.get(name).and_then(serde_json::Value::as_u64);
        value
            .and_then(|value| usize::try_from(value).ok())
            .ok_or_else(|| format!("algorithm.{name} is not a count"))
    }

    fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
}

#[derive(Deserialize, Default)]
struct Script {
    second_pass: Option<Vec<bool>>,
    /// A number a step, or a list of them.
    uniforms: Option<Vec<Uniforms>>,
    noise: Option<Vec<Vec<f64>>>,
    mask: Option<Vec<Vec<bool>>>,
    subset: Option<Vec<Vec<usize>>>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Uniforms {
    One(f64),
    Several(Vec<f64>),
}

impl Script {
    /// The draws of each step.
    fn draws(&self) -> Result<Vec<Vec<f64>>, String> {
        let uniforms = self.uniforms.clone().ok_or("script.uniforms is missing")?;
        let list = |uniforms| match uniforms {
            Uniforms::One(uniform) => vec![uniform],
            Uniforms::Several(uniforms) => uniforms,
        };
        Ok(uniforms.into_iter().map(list).collect())
    }
}

#[derive(Deserialize, Default)]
struct Observed {
    active: Option<Vec<Vec<bool>>>,
    probabilities: Option<Vec<Vec<f64>>>,
    second_pass: Option<Vec<bool>>,
    psf_norm: Option<Vec<f64>>,
    psf_ratio: Option<Vec<f64>>,
    samples_per_window: Option<Vec<f64>>,
    subset: Option<Vec<Vec<usize>>>,
    loss_change: Option<Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct Expect {
    step: usize,
    loss: f64,
    params: Vec<Vec<f64>>,
    #[serde(default)]
    running: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Controller {
    window: usize,
    blocks: usize,
    gain_ratio: f64,
    gain_var: f64,
    max_fraction: f64,
    warmup_steps: u64,
}

/// A rule, and the draws that it replays, a list a step.
type RuleAndDraws = (Box<dyn Rule>, Option<Vec<Vec<f64>>>);

/// The rule of a trace.
fn rule(trace: &Trace) -> Result<RuleAndDraws, String> {
    // A draw below any probability, and one above.
    let draws = |yes: bool| if yes { 0.0 } else { 1.0 - f64::EPSILON };
    let settings = &trace.algorithm;
    let rho = || settings.number("rho");
    let text = |error: lowland::Error| error.to_string();
    match settings.kind.as_str() {
        "arsam" => arsam(trace),
        "esam" => {
            let (beta, gamma) = (settings.number("beta")?, settings.number("gamma")?);
            let rule = EsamConfig::new(rho()?).with_beta(beta).with_gamma(gamma);
            let mask = trace.script.mask.as_ref().ok_or("script.mask is missing")?;
            let uniforms = mask.iter().map(|step| step.iter().copied().map(draws).collect());
            Ok((rule.build().map_err(text)?, Some(uniforms.collect())))
        }
        "ausam" => {
            let config =
                AusamConfig::new(rho()?).with_alpha(settings.number("alpha")?).with_full_epochs(0);
            let subset = trace.script.subset.as_ref().ok_or("script.subset is missing")?;
            // Positions with the largest draws win, whatever their weights.
            let uniforms = trace.batches.iter().zip(subset).map(|(batch, subset)| {
                (0..batch.len()).map(|i| draws(!subset.contains(&i))).collect()
            });
            Ok((config.build().map_err(text)?, Some(uniforms.collect())))
        }
        _ => {
            let draws =
                trace.script.uniforms.is_some().then(|| trace.script.draws()).transpose()?;
            Ok((plain(trace)?, draws))
        }
    }
}

/// The rule of a trace whose script is at most what is drawn.
fn plain(trace: &Trace) -> Result<Box<dyn Rule>, String> {
    let settings = &trace.algorithm;
    let rho = || settings.number("rho");
    let rule = match settings.kind.as_str() {
        "asam" => {
            let scaling =
                if settings.flag("weights_only") { Scaling::Weights } else { Scaling::All };
            AsamConfig { rho: rho()?, eta: settings.number("eta")?, scaling }.build()
        }
        "aesam" => AesamConfig::new(rho()?)
            .with_delta(settings.number("delta")?)
            .with_lambda_1(settings.number("lambda1")?)
            .with_lambda_2(settings.number("lambda2")?)
            .with_total_steps(settings.count("total_steps")? as u64)
            .build(),
        "bsam" => {
            let Base::Bsam { beta1, beta2, weight_decay, damping, s_init, .. } = trace.base else {
                return Err("bsam has a base of its own".into());
            };
            BsamConfig {
                rho: rho()?,
                data_size: Some(settings.count("data_size")? as u64),
                beta_1: beta1,
                beta_2: beta2,
                weight_decay,
                damping,
                precision: s_init,
            }
            .build()
        }
        _ => return named(settings),
    };
    rule.map_err(|error| error.to_string())
}

/// The rule of a trace that has this library's names for its settings, wherever among the
/// algorithm's settings and their tables they are.
fn named(settings: &Settings) -> Result<Box<dyn Rule>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let kind = &settings.kind;
    let default = Algorithm::named(kind).ok_or_else(|| format!("unknown kind {kind}"))?;
    let mut table = serde_json::to_value(&default).map_err(|error| text(&error))?;
    for (name, value) in &settings.values {
        let place = place(&mut table, name);
        match place {
            Some(place) => place.clone_from(value),
            // The length of the training, which the optimizer knows.
            None if name == "total_steps" => {}
            None => return Err(format!("{kind} has no setting {name}")),
        }
    }
    let algorithm: Algorithm = serde_json::from_value(table).map_err(|error| text(&error))?;
    algorithm.build().map_err(|error| text(&error))
}

/// The value of that name in a table or in one of its tables.
fn place<'a>(table: &'a mut serde_json::Value, name: &str) -> Option<&'a mut serde_json::Value> {
    let table = table.as_object_mut()?;
    if table.contains_key(name) {
        return table.get_mut(name);
    }
    table.values_mut().find_map(|inner| place(inner, name))
}

fn arsam(trace: &Trace) -> Result<RuleAndDraws, String> {
    let (rho, beta) = (trace.algorithm.number("rho")?, trace.algorithm.number("beta")?);
    let max_reuse =
        u32::try_from(trace.algorithm.count("max_reuse")?).map_err(|error| error.to_string())?;
    let text = |error: lowland::Error| error.to_string();
    if let Some(second_pass) = &trace.script.second_pass {
        return Ok((
            Box::new(
                ComposedRule::new(
                    AllSamples,
                    Scripted(second_pass.clone()),
                    AlongGradient::new(rho).unwrap(),
                    ReusePsf::new(ReusePsfConfig { beta, max_reuse, scaled: false }).unwrap(),
                )
                .unwrap(),
            ),
            None,
        ));
    }
    let controller = trace.controller.as_ref().ok_or("neither script nor controller")?;
    let uniforms = trace.script.draws()?;
    let controller = ControllerConfig {
        window: controller.window,
        blocks: controller.blocks,
        gain_ratio: controller.gain_ratio,
        gain_variance: controller.gain_var,
        max_fraction: controller.max_fraction,
        norm_tensors: trace.algorithm.count("norm_tensors")?,
        warmup: Warmup::Steps(controller.warmup_steps),
    };
    let rule = ArsamConfig::new(rho)
        .with_beta(beta)
        .with_max_reuse(max_reuse)
        .with_controller(controller)
        .build()
        .map_err(text)?;
    Ok((rule, Some(uniforms)))
}

/// A schedule that is written down.
#[derive(Debug, Clone)]
struct Scripted(Vec<bool>);

impl Schedule for Scripted {
    fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> lowland::Result<bool> {
        Ok(self.0[usize::try_from(surface.step()).unwrap()])
    }
}

/// A rule whose draws are written down, and what it saw.
#[derive(Debug, Clone)]
struct Replayed {
    rule: Box<dyn Rule>,
    /// A list a step; without one, draws are the optimizer's.
    uniforms: Option<Vec<Vec<f64>>>,
    /// A list a step; without one, noise is the optimizer's.
    noise: Option<Vec<Vec<f64>>>,
    /// Whether the rule has probabilities that the trace holds.
    probabilities: bool,
    seen: Arc<Mutex<Seen>>,
}

/// What the evaluations of all steps were asked for and gave.
#[derive(Debug, Default)]
struct Seen {
    /// The samples of each step's last gradient, where they were chosen.
    subset: Vec<Vec<usize>>,
    /// The losses of each step's latest evaluations, as the rule read them.
    losses: Vec<Vec<Vec<f64>>>,
    /// The parameters of each step's last gradient, where some were left out.
    active: Vec<Vec<bool>>,
    /// SL-SAM's probabilities after each step.
    probabilities: Vec<Vec<f64>>,
}

impl Rule for Replayed {
    fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
        let step = usize::try_from(surface.step()).unwrap();
        let uniforms = self.uniforms.as_ref().map(|steps| steps[step].clone().into());
        self.seen.lock().unwrap().subset.push(Vec::new());
        self.seen.lock().unwrap().losses.push(Vec::new());
        self.seen.lock().unwrap().active.push(Vec::new());
        let noise = self.noise.as_ref().map(|steps| steps[step].clone().into());
        let mut surface = ReplayedSurface {
            surface,
            uniforms,
            noise: noise.unwrap_or_default(),
            seen: self.seen.clone(),
        };
        let update = self.rule.update(&mut surface)?;
        assert!(surface.noise.is_empty(), "the noise is used up");
        if self.uniforms.is_some() && self.probabilities {
            assert!(surface.uniforms.is_some_and(|left| left.is_empty()), "the draws are used up");
            let mut memory = Memory::default();
            self.rule.save(&mut memory)?;
            let found = memory
                .within("select", |memory| memory.take_per_parameter("probabilities", f64::NAN))?;
            self.seen.lock().unwrap().probabilities.push(found);
        }
        Ok(update)
    }
}

struct ReplayedSurface<'a> {
    surface: &'a mut dyn Surface,
    uniforms: Option<VecDeque<f64>>,
    /// Standard normal numbers over all parameters; none where they are the optimizer's.
    noise: VecDeque<f64>,
    seen: Arc<Mutex<Seen>>,
}

impl ReplayedSurface<'_> {
    fn saw(&self, of: &Selection) {
        if let Samples::Some { positions, .. } = &of.samples {
            self.seen.lock().unwrap().subset.last_mut().unwrap().clone_from(positions);
        }
        let tensors = self.surface.parameters().len();
        let active = (0..tensors).map(|i| of.parameters.contains(i)).collect();
        *self.seen.lock().unwrap().active.last_mut().unwrap() = active;
    }
}

impl Surface for ReplayedSurface<'_> {
    fn gradient(&mut self, of: &Selection) -> lowland::Result<Gradient> {
        self.saw(of);
        self.surface.gradient(of)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> lowland::Result<ParamVec> {
        self.saw(of);
        self.surface.gradient_at(e, of)
    }

    fn latest_losses(&self) -> lowland::Result<Tensor<1>> {
        let losses = self.surface.latest_losses()?;
        let mut seen = self.seen.lock().unwrap();
        seen.losses.last_mut().unwrap().push(common::numbers(losses.clone()));
        Ok(losses)
    }

    common::forward_surface!();

    fn draw(&mut self, like: &ParamVec, distribution: Distribution) -> ParamVec {
        if self.noise.is_empty() {
            return self.surface.draw(like, distribution);
        }
        assert_eq!(distribution, Distribution::Normal(0.0, 1.0));
        // The traces hold linear weights as `[out, in]`.
        let parameters = self.surface.parameters().iter();
        let parts = like.parts().iter().zip(parameters).map(|(part, parameter)| {
            let part = part.as_ref()?;
            let mut values: Vec<f64> = self.noise.drain(..part.dims()[0]).collect();
            if let ([rows, columns], 1) = (parameter.shape.as_slice(), parameter.outputs) {
                let at = |i: usize| values[(i % columns) * rows + i / columns];
                values = (0..values.len()).map(at).collect();
            }
            let data = TensorData::new(values, [part.dims()[0]]);
            Some(Tensor::from_data(data, (&part.device(), part.dtype())))
        });
        ParamVec::new(parts.collect())
    }

    fn uniform(&mut self) -> f64 {
        match &mut self.uniforms {
            Some(uniforms) => uniforms.pop_front().unwrap(),
            None => self.surface.uniform(),
        }
    }
}

/// The float type of the run, and how far off its results may be.
fn precision(base: &Base, device: &Device) -> (FloatDType, f64) {
    if !device.supports_dtype(DType::F64) {
        return (FloatDType::F32, 2e-4);
    }
    match base {
        Base::Sgd { .. } | Base::AdaSam { .. } | Base::Bsam { .. } => (FloatDType::F64, 1e-9),
        // Burn keeps AdamW's hyper-parameters in f32.
        Base::AdamW { .. } => (FloatDType::F64, 1e-5),
    }
}

fn base(base: &Base) -> (ModuleOptimizer, f64) {
    match *base {
        Base::Sgd { lr, momentum, weight_decay } => (sgd(momentum, weight_decay), lr),
        Base::AdamW { lr, beta1, beta2, eps, weight_decay } => {
            let config = AdamWConfig::new().with_beta_1(beta1).with_beta_2(beta2);
            (config.with_epsilon(eps).with_weight_decay(weight_decay).init(), lr)
        }
        Base::AdaSam { lr, beta1, beta2, eps } => {
            let config =
                AdaSamConfig::new(0.0).with_beta_1(beta1).with_beta_2(beta2).with_epsilon(eps);
            (config.optimizer().unwrap(), lr)
        }
        Base::Bsam { lr, .. } => (BsamConfig::default().base().unwrap().unwrap(), lr),
    }
}

fn net(trace: &Trace, device: &Device, dtype: FloatDType) -> Result<Net, String> {
    let model = &trace.model;
    let net = match model.kind.as_str() {
        "mlp" => Net::mlp(&model.sizes, device),
        "convbn" => {
            let channels =
                model.channels.clone().try_into().map_err(|_| "two channels expected")?;
            Net::conv_bn(model.in_channels, channels, model.classes, device)
        }
        kind => return Err(format!("unknown model {kind}")),
    };
    let values: Vec<_> = trace.init.iter().map(|initial| initial.data.clone()).collect();
    Ok(net.with_values(&values, dtype))
}

/// Fails where `found` is further from `expected` than `tolerance`, relative to `expected`.
fn compare(
    what: &str,
    step: usize,
    found: &[f64],
    expected: &[f64],
    tolerance: f64,
) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!(
            "step {step}: {what} has {} values, not {}",
            found.len(),
            expected.len()
        ));
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let error = difference / norm(&mut expected.iter().copied());
    // Not `error > tolerance`, which would let NaN pass.
    if error <= tolerance || difference == 0.0 {
        Ok(())
    } else {
        Err(format!("step {step}: {what} is off by {error:e}, allowed is {tolerance:e}"))
    }
}

fn run(trace: &Trace) -> Result<(), String> {
    let device = Device::flex().autodiff();
    let (dtype, tolerance) = precision(&trace.base, &device);
    let mut net = net(trace, &device, dtype)?;
    let (base, lr) = base(&trace.base);
    let (rule, uniforms) = rule(trace)?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let noise = trace.script.noise.clone();
    let probabilities = trace.observed.probabilities.is_some();
    let rule = Replayed { rule, uniforms, noise, probabilities, seen: seen.clone() };
    let mut optimizer = SharpnessAware::new(base, rule).unwrap().with_steps_per_epoch(6);
    if let Ok(steps) = trace.algorithm.count("total_steps") {
        optimizer = optimizer.with_total_steps(steps as u64);
    }
    let row = trace.data.x_shape[1..].iter().product::<usize>();
    let mut records = Records::default();

    for (t, batch) in trace.batches.iter().enumerate() {
        let x: Vec<f64> =
            batch.iter().flat_map(|&i| &trace.data.x[i * row..(i + 1) * row]).copied().collect();
        let y: Vec<i64> = batch.iter().map(|&i| trace.data.y[i]).collect();
        let x = TensorData::new(x, [batch.len(), row]);
        let x = Tensor::<2>::from_data(x, (&device, DType::from(dtype)));
        let y = Tensor::<1, Int>::from_data(TensorData::new(y, [batch.len()]), &device);

        let losses = |net: &Net, _: usize, samples: &Samples| {
            let (x, y) = common::chosen(&x, &y, samples);
            cross_entropies(net.forward(x, &trace.data.x_shape), y)
        };
        let described = BatchInfo::default().with_indices(batch);
        let (next, report) =
            optimizer.step_micro_batches(lr, net, &described, losses).map_err(|e| e.to_string())?;
        net = next;
        let values = report.values().map_err(|e| e.to_string())?;
        records.push(values, report.second_gradient);
        if let Some(expect) = trace.expect.iter().find(|expect| expect.step == t + 1) {
            check_step(&net, values.loss, expect, tolerance)?;
        }
    }
    if optimizer.evaluations() != trace.passes {
        return Err(format!("{} gradients, not {}", optimizer.evaluations(), trace.passes));
    }
    check_seen(&seen.lock().unwrap(), trace, tolerance)?;
    records.check(trace, tolerance)
}

/// The samples that were chosen, and how much their losses changed.
fn check_seen(seen: &Seen, trace: &Trace, tolerance: f64) -> Result<(), String> {
    let subset = trace.observed.subset.as_ref().or(trace.script.subset.as_ref());
    if let Some(expected) = subset
        && *expected != seen.subset
    {
        let step = expected.iter().zip(&seen.subset).position(|(a, b)| a != b);
        return Err(format!("the samples at step {step:?} are not the trace's"));
    }
    if let Some(expected) = &trace.observed.active
        && *expected != seen.active
    {
        let step = expected.iter().zip(&seen.active).position(|(a, b)| a != b);
        return Err(format!("the layers at step {step:?} are not the trace's"));
    }
    if let Some(expected) = &trace.observed.probabilities {
        if expected.len() != seen.probabilities.len() {
            return Err("the probabilities are not of as many steps".into());
        }
        for (step, (found, expected)) in seen.probabilities.iter().zip(expected).enumerate() {
            compare("probabilities", step, found, expected, tolerance)?;
        }
    }
    for (step, expected) in trace.observed.loss_change.iter().flatten().enumerate() {
        let [before, after] = seen.losses[step].as_slice() else {
            return Err(format!("step {step}: the losses were not read twice"));
        };
        let change: Vec<f64> = before.iter().zip(after).map(|(a, b)| (b - a).abs()).collect();
        compare("loss_change", step, &change, expected, tolerance)?;
    }
    Ok(())
}

fn check_step(net: &Net, loss: f64, expect: &Expect, tolerance: f64) -> Result<(), String> {
    compare("loss", expect.step, &[loss], &[expect.loss], tolerance)?;
    let values = net.values();
    if values.len() != expect.params.len() {
        return Err(format!("{} parameters, not {}", values.len(), expect.params.len()));
    }
    for (i, (found, expected)) in values.iter().zip(&expect.params).enumerate() {
        compare(&format!("parameter {i}"), expect.step, found, expected, tolerance)?;
    }
    let running = net.running();
    if running.keys().ne(expect.running.keys()) {
        return Err(format!("running statistics {:?} are not the trace's", running.keys()));
    }
    for (name, expected) in &expect.running {
        compare(name, expect.step, &running[name], expected, tolerance)?;
    }
    Ok(())
}

/// What the steps reported.
#[derive(Default)]
struct Records {
    second_gradients: Vec<bool>,
    samples_per_window: Vec<f64>,
    psf_norms: Vec<f64>,
    psf_ratios: Vec<f64>,
}

impl Records {
    fn push(&mut self, values: &StepValues, second_gradient: bool) {
        self.second_gradients.push(second_gradient);
        self.samples_per_window.extend(values.notes.get("samples_per_window"));
        if let (Some(psf), Some(g)) = (values.psf_norm, values.gradient_norm) {
            self.psf_norms.push(psf);
            self.psf_ratios.push(psf / g);
        }
    }

    fn check(&self, trace: &Trace, tolerance: f64) -> Result<(), String> {
        let decisions = trace.observed.second_pass.as_ref().or(trace.script.second_pass.as_ref());
        if let Some(expected) = decisions
            && *expected != self.second_gradients
        {
            let step = expected.iter().zip(&self.second_gradients).position(|(a, b)| a != b);
            return Err(format!("the decision at step {step:?} is not the trace's"));
        }
        if let Some(expected) = &trace.observed.samples_per_window {
            let steps = expected.len();
            compare("samples_per_window", steps, &self.samples_per_window, expected, tolerance)?;
        }
        // A report's norms run over all tensors, the trace's over the last few.
        let all = trace.algorithm.count("norm_tensors").is_ok_and(|n| n >= trace.init.len());
        let norms = [
            ("psf_norm", &trace.observed.psf_norm, &self.psf_norms),
            ("psf_ratio", &trace.observed.psf_ratio, &self.psf_ratios),
        ];
        for (name, expected, found) in norms {
            if let Some(expected) = expected.as_ref().filter(|_| all) {
                compare(name, expected.len(), found, expected, tolerance)?;
            }
        }
        Ok(())
    }
}

fn load(path: &Path) -> Result<Trace, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// The kind of a trace, read before its details, which an unknown kind may give other forms.
fn kind(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let kind = value["algorithm"]["kind"].as_str();
    kind.map(str::to_owned).ok_or_else(|| "algorithm.kind is missing".to_owned())
}

/// Whether the README beside the traces has a row for each of their keys and no other, and every link in
/// it leads to a file.
fn readme(folder: &Path) -> Result<(), String> {
    let text =
        std::fs::read_to_string(folder.join("README.md")).map_err(|error| error.to_string())?;
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !folder.join(link).is_file() {
            return Err(format!("{link} is not there"));
        }
    }
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: BTreeSet<String> = rows.map(str::to_owned).collect();
    let mut keys = BTreeSet::new();
    for path in traces(folder) {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let trace: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|error| error.to_string())?;
        keys.extend(trace.into_keys());
    }
    if rows == keys { Ok(()) } else { Err(format!("has rows for {rows:?}, not for {keys:?}")) }
}

/// The traces in a folder, by name.
fn traces(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
}

fn main() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let described = readme(&here);
    let folder = std::env::var_os("LOWLAND_GOLDEN").map_or(here, PathBuf::from);
    let only = std::env::var("LOWLAND_GOLDEN_ONLY").ok();
    let only: Option<Vec<&str>> = only.as_deref().map(|only| only.split(',').collect());
    let (mut passed, mut failed) = (0, 0);
    let mut report = |name: &str, result: Result<(), String>| match result {
        Ok(()) => {
            passed += 1;
            println!("{name} ... ok");
        }
        Err(error) => {
            failed += 1;
            println!("{name} ... FAILED: {error}");
        }
    };

    report("README.md", described);
    for unknown in only.iter().flatten().filter(|kind| Algorithm::named(kind).is_none()) {
        report("LOWLAND_GOLDEN_ONLY", Err(format!("unknown kind {unknown}")));
    }
    let mut ran = 0;
    for path in &traces(&folder) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let kind = kind(path);
        if let (Some(only), Ok(kind)) = (&only, &kind)
            && !only.contains(&kind.as_str())
        {
            continue;
        }
        ran += 1;
        let known = kind.and_then(|kind| {
            if Algorithm::named(&kind).is_some() {
                Ok(())
            } else {
                Err(format!("unknown kind {kind}"))
            }
        });
        report(&name, known.and_then(|()| load(path)).and_then(|trace| run(&trace)));
    }
    if ran == 0 {
        report("golden", Err(format!("no trace to run in {}", folder.display())));
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
