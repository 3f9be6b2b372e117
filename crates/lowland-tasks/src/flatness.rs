//! How flat the loss is where a network ended, in the numbers that are usually asked for.

use std::ops::ControlFlow;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use lowland::sharpness::{
    AverageRiseConfig, DensityConfig, EigenvaluesConfig, Estimate, LargestRiseConfig, Layer,
    LossSurface, Normalisation, Scale, SurfaceConfig, TraceConfig, average_rise, density,
    eigenvalues, largest_rise, trace,
};
use lowland::{Samples, Scaling};
use serde::{Deserialize, Serialize};

use crate::data::{BatchConfig, Loader, Subset};
use crate::models::Model;
pub use crate::task::Split;
use crate::task::{Learning, Outcome, TaskBatch};
use crate::train::Data;
use crate::{Error, Result};

/// Where and with what the loss is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSettings {
    /// Which images. Default those of training.
    pub split: Split,
    /// How many of them at most, drawn over all classes; at least 1. Default 1000.
    pub images: usize,
    /// How many at once; at least 1. Default 500.
    pub batch_size: usize,
    /// How BatchNorm behaves. Default as in evaluation.
    pub normalisation: Normalisation,
}

impl Default for EvalSettings {
    fn default() -> Self {
        let normalisation = Normalisation::Evaluation;
        Self { split: Split::Train, images: 1000, batch_size: 500, normalisation }
    }
}

impl EvalSettings {
    /// Few images, for measurements during training and after each of many runs.
    pub fn quick() -> Self {
        Self { images: 500, ..Self::default() }
    }
}

/// The residual up to which an eigenvalue counts as found, as a share of the largest. Behind ReLU
/// products with the Hessian are known to a few hundredths.
const SETTLED: f64 = 0.1;

/// Batches that stay on the device, for measurements that go over them many times.
#[derive(Debug)]
pub struct EvalBatches {
    batches: Vec<Box<dyn TaskBatch>>,
    data: Data,
    subset: Option<Subset>,
    normalisation: Normalisation,
}

impl EvalBatches {
    /// Puts the images that `eval` asks for on the device.
    ///
    /// # Errors
    /// A number that is 0.
    pub fn new(data: &Data, eval: &EvalSettings, device: &Device) -> Result<Self> {
        if eval.images == 0 {
            let found = "0".to_owned();
            return Err(Error::Setting { field: "images", found, allowed: "at least 1" });
        }
        let source = data.task().to_measure(eval.split, eval.images)?;
        let subset = data.task().drawn(eval.split, eval.images)?;
        let config = BatchConfig { batch_size: eval.batch_size, ..BatchConfig::default() };
        let loader = Loader::to_measure(source, config)?;
        let device = device.clone().autodiff();
        let batches = loader.epoch(0).map(|batch| batch.to_device(&device)).collect();
        Ok(Self { batches, data: data.clone(), subset, normalisation: eval.normalisation })
    }

    /// The number of images.
    pub fn images(&self) -> usize {
        self.sizes().iter().sum()
    }

    /// How they were drawn; `None` where they are all images of their split.
    pub fn subset(&self) -> Option<Subset> {
        self.subset
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches.iter().map(|batch| batch.indices().len()).collect()
    }

    /// The mean loss over all batches as a function of the weights of `model`, without label
    /// smoothing.
    ///
    /// # Errors
    /// A model without trainable parameters.
    pub fn surface<'a>(
        &'a self,
        model: &Model,
    ) -> Result<LossSurface<Model, impl FnMut(&Model, usize) -> Tensor<1> + use<'a>>> {
        let normalisation = self.normalisation;
        let config = SurfaceConfig { normalisation, ..SurfaceConfig::default() };
        let losses = |model: &Model, i: usize| {
            self.batches[i].losses(model, &Samples::All, Learning::default())
        };
        Ok(LossSurface::new(model, &self.sizes(), &config, losses)?)
    }

    /// The figure that the task is measured by, as the model behaves.
    ///
    /// # Errors
    /// The device fails.
    pub fn accuracy(&self, model: &Model) -> Result<f64> {
        let mut all = Outcome::default();
        for batch in &self.batches {
            all.add(batch.measure(model)?);
        }
        Ok(self.data.task().measured(&all))
    }
}

/// What is measured of a network, and how closely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlatnessConfig {
    /// How many of the largest eigenvalues of the Hessian; 0 for none. Default 5.
    pub eigenvalues: usize,
    /// The most Lanczos steps for them, at least 1. Default 40.
    pub lanczos_steps: usize,
    /// Random vectors for the trace of the Hessian, whole and layer by layer; 0 for none. Default
    /// 20.
    pub trace_probes: usize,
    /// Random vectors for the density of its spectrum; 0, the default, for none.
    pub density_probes: usize,
    /// ρ, the radius within which the rise of the loss is measured. Default 0.05.
    pub rho: f64,
    /// ρ of the rise within a radius that scales with the weights, as ASAM's does. Default 0.5.
    pub adaptive_rho: f64,
    /// Steps of the ascent to the largest rise; 0 for none. Default 5.
    pub ascent_steps: usize,
    /// Random directions for the average rise; 0 for none. Default 10.
    pub directions: usize,
    /// The seed of all random vectors. Default 0.
    pub seed: u64,
}

impl Default for FlatnessConfig {
    fn default() -> Self {
        Self {
            eigenvalues: 5,
            lanczos_steps: 40,
            trace_probes: 20,
            density_probes: 0,
            rho: 0.05,
            adaptive_rho: 0.5,
            ascent_steps: 5,
            directions: 10,
            seed: 0,
        }
    }
}

impl FlatnessConfig {
    /// Few evaluations, for measurements during training: the largest eigenvalue, and the largest
    /// rise.
    pub fn quick() -> Self {
        Self {
            eigenvalues: 1,
            lanczos_steps: 10,
            trace_probes: 0,
            ascent_steps: 1,
            directions: 0,
            ..Self::default()
        }
    }
}

/// The Lanczos steps for a density.
const DENSITY_STEPS: usize = 30;
/// The points of its curve.
const DENSITY_POINTS: usize = 200;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatness {
    /// With which images.
    #[serde(rename = "ground")]
    pub eval: EvalSettings,
    /// How many there were.
    pub images: usize,
    /// How these were drawn; `None` where they are all images of their split.
    #[serde(default)]
    pub subset: Option<Subset>,
    /// How closely.
    pub config: FlatnessConfig,
    /// The mean loss on them.
    pub loss: f64,
    /// The largest eigenvalues of the Hessian, the largest first.
    pub eigenvalues: Vec<Eigenvalue>,
    /// Whether the residuals of all of them are at most a tenth of the largest.
    pub converged: bool,
    /// How far from the weights the gradients lie whose differences are products with the Hessian;
    /// `None` where no product was taken.
    pub difference: Option<f64>,
    /// The trace of the Hessian.
    pub trace: Option<Measured>,
    /// Its part in each layer.
    pub layers: Vec<LayerTrace>,
    /// The density of the Hessian's eigenvalues: pairs of eigenvalue and density.
    pub density: Vec<(f64, f64)>,
    /// The largest rise of the loss that an ascent found within ρ, a lower bound, and its standard
    /// error over the samples.
    pub largest_rise: Option<Measured>,
    /// The average rise within ρ, and its standard error over the directions.
    pub average_rise: Option<Measured>,
    /// The largest rise found within the adaptive radius.
    pub adaptive_largest_rise: Option<Measured>,
    /// The average rise within it.
    pub adaptive_average_rise: Option<Measured>,
    /// What it cost, in gradients over all the images.
    pub passes: f64,
    /// The seconds that it took.
    pub seconds: f64,
}

impl Flatness {
    /// Whether another was measured in the same way: as closely, and with as many samples that
    /// were drawn alike.
    pub fn is_comparable(&self, other: &Self) -> bool {
        (&self.eval, &self.config) == (&other.eval, &other.config)
            && (self.images, &self.subset) == (other.images, &other.subset)
    }

    /// Nothing but the loss.
    fn begun(
        eval: &EvalSettings,
        batches: &EvalBatches,
        config: &FlatnessConfig,
        loss: f64,
    ) -> Self {
        Self {
            eval: eval.clone(),
            images: batches.images(),
            subset: batches.subset(),
            config: config.clone(),
            loss,
            eigenvalues: Vec::new(),
            converged: true,
            difference: None,
            trace: None,
            layers: Vec::new(),
            density: Vec::new(),
            largest_rise: None,
            average_rise: None,
            adaptive_largest_rise: None,
            adaptive_average_rise: None,
            passes: 0.0,
            seconds: 0.0,
        }
    }
}

/// An eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eigenvalue {
    /// θ, its value.
    pub value: f64,
    /// `‖H·x − θ·x‖` for the unit vector x that was found for it, measured by one more product: how
    /// uncertain the value is.
    pub residual: f64,
}

/// A mean over random draws, or over samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The mean.
    pub mean: f64,
    /// Its standard error; `None` of a single draw, and where the losses of single samples are not
    /// known.
    pub standard_error: Option<f64>,
}

impl From<Estimate> for Measured {
    fn from(estimate: Estimate) -> Self {
        Self { mean: estimate.mean, standard_error: estimate.standard_error }
    }
}

/// The trace of one layer's block of the Hessian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerTrace {
    /// The path of the layer in the network.
    pub path: String,
    /// Its weights, in numbers.
    pub weights: usize,
    /// The trace.
    pub trace: Measured,
}

/// Receives what is measured now, how much of it is done, and of how much.
pub type Watch<'a> = dyn FnMut(&'static str, usize, usize) -> ControlFlow<()> + 'a;

/// Measures a network; `None` where `watch` breaks off.
///
/// # Errors
/// A setting out of range, a loss that is not finite.
pub fn flatness(
    model: &Model,
    batches: &EvalBatches,
    eval: &EvalSettings,
    config: &FlatnessConfig,
    watch: &mut Watch<'_>,
) -> Result<Option<Flatness>> {
    let started = Instant::now();
    let mut surface = batches.surface(model)?;
    let mut found = Flatness::begun(eval, batches, config, surface.loss()?);
    let mut ended = false;
    let seed = config.seed;
    macro_rules! watched {
        ($what:literal) => {
            |progress: lowland::sharpness::Progress| {
                let flow = watch($what, progress.done, progress.total);
                ended |= flow.is_break();
                flow
            }
        };
    }
    if config.eigenvalues > 0 {
        let (count, steps) = (config.eigenvalues, config.lanczos_steps);
        let settings = EigenvaluesConfig { count, steps, seed, ..EigenvaluesConfig::default() };
        let pairs = eigenvalues(&mut surface, &settings, watched!("eigenvalues"))?;
        let pair = |pair: lowland::sharpness::Eigenpair| Eigenvalue {
            value: pair.value,
            residual: pair.measured_residual,
        };
        found.eigenvalues = pairs.pairs.into_iter().map(pair).collect();
        let largest = found.eigenvalues.iter().fold(0.0, |most: f64, of| most.max(of.value.abs()));
        found.converged = found.eigenvalues.iter().all(|of| of.residual <= SETTLED * largest);
    }
    if config.trace_probes > 0 && !ended {
        let settings = TraceConfig { probes: config.trace_probes, seed, ..TraceConfig::default() };
        let measured = trace(&mut surface, &settings, watched!("trace"))?;
        found.trace = Some(measured.total.into());
        let numbers: Vec<usize> =
            surface.parameters().iter().map(|p| p.shape.num_elements()).collect();
        let layer = |layer: Layer| LayerTrace {
            trace: measured.of(&layer.members).into(),
            weights: layer.members.iter().map(|&member| numbers[member]).sum(),
            path: layer.path,
        };
        found.layers = Layer::all(surface.parameters()).into_iter().map(layer).collect();
    }
    if config.density_probes > 0 && !ended {
        let settings = DensityConfig { probes: config.density_probes, steps: DENSITY_STEPS, seed };
        let measured = density(&mut surface, &settings, watched!("density"))?;
        found.density = measured.curve(DENSITY_POINTS, None)?;
    }
    let adaptive = Scale::Adaptive { eta: 0.0, scaling: Scaling::All };
    for (rho, scale) in [(config.rho, Scale::Plain), (config.adaptive_rho, adaptive)] {
        let (mut largest, mut average) = (None, None);
        if config.ascent_steps > 0 && !ended {
            let steps = config.ascent_steps;
            let settings = LargestRiseConfig { rho, scale, steps, ..LargestRiseConfig::default() };
            let rise = largest_rise(&mut surface, &settings, watched!("largest rise"))?;
            let (mean, standard_error) = (rise.rise, rise.standard_error);
            largest = Some(Measured { mean, standard_error });
        }
        if config.directions > 0 && !ended {
            let directions = config.directions;
            let settings =
                AverageRiseConfig { rho, scale, directions, seed, ..AverageRiseConfig::default() };
            average =
                Some(average_rise(&mut surface, &settings, watched!("average rise"))?.rise.into());
        }
        match scale {
            Scale::Plain => (found.largest_rise, found.average_rise) = (largest, average),
            Scale::Adaptive { .. } => {
                (found.adaptive_largest_rise, found.adaptive_average_rise) = (largest, average);
            }
        }
    }
    if config.eigenvalues + config.trace_probes + config.density_probes > 0 && !ended {
        found.difference = Some(surface.difference()?);
    }
    (found.passes, found.seconds) = (surface.passes(), started.elapsed().as_secs_f64());
    Ok((!ended).then_some(found))
}
