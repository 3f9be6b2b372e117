#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! ```text
//! w ← base(w, rule(surface))
//! ```
//!
//! A [`Rule`] asks the loss surface of a step for gradients and returns one; [`SharpnessAware`]
//! passes it to the base optimizer. [`SharpnessAware::save`] and [`load`](SharpnessAware::load)
//! carry all that the optimizer remembers, so that training resumes bit for bit.
//!
//! # Algorithms
//!
//! | settings | what it does | passes per step |
//! | --- | --- | --- |
//! | [`BaseConfig`] | the base optimizer alone | 1 |
//! | [`SamConfig`] | descends along the gradient taken a radius uphill | 2 |
//! | [`AsamConfig`] | SAM whose perturbation is scaled by the size of each weight | 2 |
//! | [`ArsamConfig`] | SAM's second gradient only as often as it changes, reused with decay in between | 1 + share of sampled steps |
//! | [`LookSamConfig`] | SAM's second gradient every k-th step, the part across the plain one reused in between | 1 + 1/k |
//! | [`AesamConfig`] | SAM's second gradient only where the gradient is long | 1 + share of sampled steps |
//! | [`FsamConfig`] | SAM that perturbs along the gradient minus its running average | 2 |
//! | [`StableSamConfig`] | SAM's direction at the plain gradient's length | 2 |
//! | [`GsamConfig`] | SAM that also closes the gap between the loss and the perturbed loss | 2 |
//! | [`PeriodicSamConfig`] | a SAM step every so many steps, the base optimizer in between | 1 + 1/interval |
//! | [`StochasticSamConfig`] | a SAM step at random, the base optimizer otherwise | 1 + p |
//! | [`EsamConfig`] | SAM with a sparse ascent, and a descent on the samples whose losses it lifts most | 4/3 + γ − (1 − β)/3 |
//! | [`KsamConfig`] | SAM on the samples with the largest losses | 1/3 + 2k/b |
//! | [`AusamConfig`] | SAM on samples drawn by how much a perturbation has changed their losses | 2α |
//! | [`AdaSamConfig`] | SAM over AMSGrad without bias correction, a base of its own | 2 |
//! | [`SampaConfig`] | SAM with two gradients that do not wait for each other | 2 |
//! | [`MsamConfig`] | one gradient per step, at weights perturbed along the momentum | 1 |
//! | [`SparseLayerSamConfig`] | SAM on layers that a bandit draws, the others left alone | 2·(1 + d + φ)/3 |
//! | [`LateSamConfig`] | the base optimizer first, SAM in the last part of training | 2 − start |
//! | [`WsamConfig`] | SAM whose sharpness has a weight of its own, outside the base optimizer | 2 |
//! | [`GcsamConfig`] | SAM that perturbs along a centralised gradient | 2 |
//! | [`BsamConfig`] | SAM over a learned precision of each weight, a base of its own | 2 |
//! | [`ComposedConfig`] | any four parts: select, schedule, ascend, descend | that of its parts |
//!
//! [`Algorithm`] is any of them, as a file or a command line names it. A
//! [budget, late start or radius schedule](Scheduled) goes over any that it makes sense for.
//! ESAM, K-SAM and AUSAM choose samples by their losses and take
//! [`step_samples`](SharpnessAware::step_samples).
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
#![cfg_attr(
    feature = "train",
    doc = "| `train` | a strategy for Burn's `Learner`, with metrics and checkpoints: [`learner`] |"
)]
#![cfg_attr(
    not(feature = "train"),
    doc = "| `train` | a strategy for Burn's `Learner`, with metrics and checkpoints: `learner` |"
)]
//! | `tui` | the same, and Burn's terminal dashboard |
//!
//! # Your own algorithm
//!
//! A rule asks its [`Surface`] for gradients and returns an update. It knows no module, device or
//! file:
//!
//! ```
//! use lowland::{Perturbation, Result, Rule, Selection, SharpnessAware, Surface, Update};
//!
//! /// The mean of the gradients at `w` and at `w + e`.
//! #[derive(Debug, Clone)]
//! struct Halfway {
//!     rho: f64,
//! }
//!
//! impl Rule for Halfway {
//!     fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
//!         let g = surface.gradient(&Selection::ALL)?;
//!         let e = Perturbation::along(&g, self.rho);
//!         let g_s = surface.gradient_at(&e, &Selection::ALL)?;
//!         drop(e);
//!         Ok(g_s.plus(&g).map(|part| part.mul_scalar(0.5)).into())
//!     }
//! }
//!
//! let optimizer = SharpnessAware::new(burn::optim::SgdConfig::new().init(), Halfway { rho: 0.1 })?;
//! # let _ = optimizer;
//! # Ok::<(), lowland::Error>(())
//! ```
//!
//! Most algorithms are one choice of four parts: which samples ([`select`]), whether a second
//! gradient is due ([`schedule`]), where it is taken ([`ascend`]), what goes to the base optimizer
//! ([`descend`]). A part of your own joins any others:
//!
//! ```
//! use lowland::ascend::AlongGradient;
//! use lowland::descend::SharpGradient;
//! use lowland::schedule::Schedule;
//! use lowland::select::AllSamples;
//! use lowland::{ComposedRule, Gradient, Result, SharpnessAware, Surface};
//!
//! /// A second gradient in every second step.
//! #[derive(Debug, Clone)]
//! struct EverySecond;
//!
//! impl Schedule for EverySecond {
//!     fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> Result<bool> {
//!         Ok(surface.step() % 2 == 0)
//!     }
//! }
//!
//! let rule = ComposedRule::new(AllSamples, EverySecond, AlongGradient::new(0.1)?, SharpGradient)?;
//! let optimizer = SharpnessAware::new(burn::optim::SgdConfig::new().init(), rule)?;
//! # let _ = optimizer;
//! # Ok::<(), lowland::Error>(())
//! ```
//!
//! # Situations
//!
//! - **Rates by group.** `step` takes Burn's `ModuleLearningRate` in place of a number, and the
//!   base may be a `ModuleOptimizer` with groups. Radii by group:
//!   [`RadiusConfig::groups`](RadiusConfig).
//! - **Frozen layers.** Vectors and norms run over the parameters that require a gradient. Layers
//!   may be frozen and unfrozen on the way (gradual unfreezing): what is remembered of parameters
//!   that stay is kept.
//! - **LoRA.** Freeze the body and train the adapters; perturbations then lie in the adapters
//!   alone.
//! - **Tied weights.** A tensor in several places of a module has one value in all of them after a
//!   step.
//! - **GANs.** One optimizer for each network. Each draws its own noise within its steps from its
//!   seed ([`SharpnessAware::with_seed`]), and between them from the device's.
//! - **Learning-rate schedules.** Pass the rate of each step; Burn's schedulers give it.
//! - **Batches too large for the device.** [`SharpnessAware::step_micro_batches`].
//! - **Several machines.** [`Workers`].
//! - **How flat is it?** [`sharpness`] measures curvature.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod algorithms;
mod error;
#[cfg(feature = "train")]
pub mod learner;
mod loss;
pub mod parallel;
pub mod rule;
pub mod state;
pub mod vector;

pub mod sharpness {
    //! How curved the loss is around the weights: products with the Hessian, its largest
    //! eigenvalues, its trace, the density of its spectrum, the rise of the loss within a radius,
    //! and the shape of the loss along lines and planes.
    //!
    //! All of it is taken on a [`LossSurface`]: the mean loss over stated batches as a function of
    //! the weights. It works on copies of the module; the live module's weights and running
    //! statistics stay as they are.
    //!
    //! | question | answer | cost, in gradients over the batches |
    //! | --- | --- | --- |
    //! | `H·v` | [`LossSurface::hessian_times`] | 2 |
    //! | the largest eigenvalues of `H` | [`eigenvalues()`] | 2 a Lanczos step |
    //! | `tr H`, of each layer too | [`trace()`] | 2 a probe |
    //! | how the eigenvalues of `H` are spread | [`density()`] | 2 a Lanczos step of each probe |
    //! | the largest rise of the loss within ρ | [`largest_rise`] | 1 per step, and up to 1 more |
    //! | the average rise of the loss within ρ | [`average_rise`] | 2/3 a direction, and a third |
    //! | the loss along a line or a plane | [`landscape()`] | 1/3 a point |
    //!
    //! Each but the last runs over all trainable parameters, or over some after
    //! [`LossSurface::restrict`]; [`Layer::all`] lists the layers.
    //!
    //! # Example
    //! ```
    //! use burn::nn::{Linear, LinearConfig};
    //! use burn::tensor::{Device, Tensor};
    //! use lowland::sharpness::{EigenvaluesConfig, LossSurface, SurfaceConfig, eigenvalues, uninterrupted};
    //!
    //! # fn main() -> lowland::Result<()> {
    //! let device = Device::flex().autodiff();
    //! let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
    //! let x = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 1.0]], &device);
    //!
    //! // Half the mean of the squared outputs: the Hessian is xᵀx/2, whose eigenvalues are 4.5 and 0.5.
    //! let losses = |model: &Linear, _batch: usize| {
    //!     let outputs = model.forward(x.clone()).reshape([2]);
    //!     (outputs.clone() * outputs).mul_scalar(0.5)
    //! };
    //! let mut surface = LossSurface::new(&model, &[2], &SurfaceConfig::default(), losses)?;
    //! let config = EigenvaluesConfig { count: 2, ..EigenvaluesConfig::default() };
    //! let found = eigenvalues(&mut surface, &config, uninterrupted)?;
    //! assert!((found.pairs[0].value - 4.5).abs() < 0.01);
    //! # Ok(())
    //! # }
    //! ```

    mod density;
    mod difference;
    mod directions;
    mod draw;
    mod eigenvalues;
    mod estimate;
    mod lanczos;
    mod landscape;
    mod layers;
    mod map;
    mod progress;
    mod rise;
    mod section;
    mod settings;
    mod surface;
    mod trace;
    mod tridiagonal;

    pub use density::{Density, DensityConfig, Node, density};
    pub use difference::Difference;
    pub use directions::{filter_axis, filter_normalised};
    pub use eigenvalues::{Eigenpair, Eigenvalues, EigenvaluesConfig, Which, eigenvalues};
    pub use estimate::Estimate;
    pub use landscape::{Landscape, Point, grid, landscape, linspace, no_extra};
    pub use layers::Layer;
    pub use map::SymmetricMap;
    pub use progress::{Progress, uninterrupted};
    pub use rise::{
        AverageRise, AverageRiseConfig, Draw, LargestRise, LargestRiseConfig, Scale, average_rise,
        largest_rise,
    };
    pub use section::{Line, Position, Section, Span};
    pub use settings::{Normalisation, SurfaceConfig};
    pub use surface::LossSurface;
    pub use trace::{Trace, TraceConfig, trace};
}

/// The module side of a step: which parameters there are, and how vectors go in and out of them.
/// All goes through Burn's visitors and mappers; only `Linear` is known by name.
mod module {
    mod parameters;
    mod values;
    mod visit;

    pub use parameters::{Active, Parameter, Parameters};
    pub(crate) use values::{
        displaced, float_bytes, into_gradients, perturbed, placed, restore_running_state, restored,
        retied, untrained, with_float_bytes,
    };
}

/// How a step is taken: the optimizer, and the surface that it gives its rule.
mod step {
    mod agreement;
    mod among;
    pub(crate) mod base;
    pub(crate) mod batch;
    pub(crate) mod driver;
    mod evaluate;
    mod generators;
    mod local;
    mod micro_batches;
    pub(crate) mod optimizer;
    pub(crate) mod record;
    pub(crate) mod report;
    pub(crate) mod settings;
    pub(crate) mod source;
    mod surface;
}

/// The first stage: which samples of a batch each gradient is taken on, with respect to which
/// parameters.
pub mod select {
    pub use crate::algorithms::{
        ACTIVE_LAYERS, PastChange, PastChangeConfig, SampledLayers, SampledLayersConfig,
        SelectConfig, TopLoss, TopLossConfig, TopRise, TopRiseConfig,
    };
    pub use crate::rule::select::{AllSamples, Select};
}

/// The second stage: whether a second gradient is due at this step.
pub mod schedule {
    pub use crate::algorithms::{
        AtRandom, AtRandomConfig, Budget, BudgetConfig, Controller, ControllerConfig, NormTest,
        NormTestConfig, SAMPLES_PER_WINDOW, ScheduleConfig, Unit,
    };
    pub use crate::rule::schedule::{
        Course, EveryStep, Frequency, LateStart, Never, Periodic, PeriodicConfig, Schedule, Warmup,
    };
}

/// The third stage: in which direction and how far the perturbed weights lie.
pub mod ascend {
    pub use crate::algorithms::{
        Adaptive, AscendConfig, Centred, LessAverage, Masked, PerTensor, Perturb, Radius,
        RadiusConfig, RadiusGroup, RadiusSchedule, RawGradient, ScaledRadius, Scaling,
        TensorRadius,
    };
    pub use crate::rule::ascend::{AlongGradient, Ascend};
}

/// The fourth stage: which gradient goes to the base optimizer.
pub mod descend {
    pub use crate::algorithms::{
        DescendConfig, Rescaled, ReuseOrthogonal, ReuseOrthogonalConfig, ReusePsf, ReusePsfConfig,
        SurrogateGap, SurrogateGapConfig, Weighted, WeightedConfig,
    };
    pub use crate::rule::descend::{Descend, SharpGradient};
}

// What Burn's derive of `RecordState` looks for at the root of the crate.
use burn::optim::{RecordState, StateSink, StateSource};

pub use algorithms::*;
pub use error::{Error, Result};
pub use loss::{CrossEntropy, CrossEntropyConfig, cross_entropies};
pub use module::{Active, Parameter, Parameters};
pub use parallel::{AscentScope, Collective, Workers};
pub use rule::schedule::Warmup;
pub use rule::{
    ComposedRule, Cost, Gradient, Pair, Perturbation, Rule, Samples, Selection, Surface, Update,
};
pub use step::batch::{Accumulate, BatchInfo};
pub use step::optimizer::SharpnessAware;
pub use step::record::SharpnessAwareRecord;
pub use step::report::{StepReport, StepValues};
pub use step::settings::Diagnostics;
pub use vector::ParamVec;
