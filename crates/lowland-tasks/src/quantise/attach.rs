//! How quantisers come to the layers of a network, and what comes into its layers.
//!
//! They are attached to the weights, as Burn's reparameterisations: no network has to know of them,
//! and the paths of its parameters stay what they were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param, Reparameterization, Reparameterizer};
use burn::tensor::Tensor;

use super::config::{OUTER_BITS, QuantiseConfig};
use super::quantiser::{Grid, Quantiser};
use crate::{Error, Result};

/// The quantisers of one layer.
#[derive(Module, Debug)]
pub(super) struct Lsq {
    weight: Quantiser,
    input: Quantiser,
}

impl Reparameterization for Lsq {
    const NAME: &'static str = "lsq";

    fn apply<const D: usize>(&self, weights: Tensor<D>) -> Tensor<D> {
        let count = weights.shape().num_elements();
        self.weight.forward(weights, count)
    }
}

/// What comes into the layer with these weights as the layer sees it: rounded where it is
/// quantised.
pub(crate) fn quantised_input<const W: usize, const D: usize>(
    weight: &Param<Tensor<W>>,
    x: Tensor<D>,
) -> Tensor<D> {
    if let Some(lsq) = weight.reparameterization::<Lsq>() {
        let count = x.shape().num_elements() / x.dims()[0].max(1);
        lsq.input.forward(x, count)
    } else if let Some(probe) = weight.reparameterization::<Probe>() {
        probe.input(x)
    } else {
        x
    }
}

/// Rounds the weights of a layer and looks at what comes in.
#[derive(Module, Debug)]
struct Probe {
    weight: Quantiser,
    #[module(skip)]
    bits: u8,
    #[module(skip)]
    seen: Seen,
}

/// What came into a layer, once it did.
type Seen = Arc<Mutex<Option<Result<Grid, &'static str>>>>;

impl Reparameterization for Probe {
    const NAME: &'static str = "probe";

    fn apply<const D: usize>(&self, weights: Tensor<D>) -> Tensor<D> {
        self.weight.forward(weights, 1)
    }
}

impl Probe {
    fn input<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let grid = seen.get_or_insert_with(|| {
            let negative = x.clone().min().into_scalar::<f64>() < 0.0;
            let grid = if negative { Grid::signed(self.bits) } else { Grid::unsigned(self.bits) };
            fitted(grid, x.clone().abs().mean())
        });
        match grid {
            Ok(grid) => Quantiser::new(grid, &x.device(), x.dtype()).forward(x, 1),
            Err(_) => x,
        }
    }
}

fn fitted(grid: Grid, mean: Tensor<1>) -> Result<Grid, &'static str> {
    let mean = mean.into_scalar::<f64>();
    if !mean.is_finite() {
        Err("not finite")
    } else if mean == 0.0 {
        Err("all zero")
    } else {
        Ok(grid.fitted(mean))
    }
}

/// A layer that can be quantised.
#[derive(Debug)]
pub(super) struct Layer {
    /// The path of its weights.
    pub(super) path: String,
    /// The bits of its weights.
    pub(super) weights: u8,
    /// The bits of what comes in.
    pub(super) inputs: u8,
    mean: Tensor<1>,
}

impl Layer {
    /// The grid that its weights begin with.
    pub(super) fn fitted(&self) -> Result<Grid> {
        fitted(Grid::signed(self.weights), self.mean.clone())
            .map_err(|problem| Error::quantise(&self.path, format!("its weights are {problem}")))
    }
}

/// The layers of a network that is not quantised yet, in the order of the module.
pub(super) fn layers<M: Module>(model: &M, config: &QuantiseConfig) -> Result<Vec<Layer>> {
    config.check()?;
    let mut visitor = Layers { path: Vec::new(), config, found: Vec::new(), quantised: false };
    model.visit(&mut visitor);
    if visitor.quantised {
        return Err(Error::quantise("the network", "it is quantised already"));
    }
    let mut layers = visitor.found;
    let last = layers.len().checked_sub(1);
    let last =
        last.ok_or_else(|| Error::quantise("the network", "it has no layers with weights"))?;
    for outer in [0, last] {
        (layers[outer].weights, layers[outer].inputs) = (OUTER_BITS, OUTER_BITS);
    }
    Ok(layers)
}

struct Layers<'a> {
    path: Vec<String>,
    config: &'a QuantiseConfig,
    found: Vec<Layer>,
    quantised: bool,
}

impl ModuleVisitor for Layers<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.quantised |= name == Lsq::NAME;
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Linear layers and convolutions; scales and shifts are of rank 1.
        if [2, 4].contains(&D) && self.path.last().is_some_and(|name| name == "weight") {
            let QuantiseConfig { weights, activations: inputs } = *self.config;
            let mean = param.base().without_autodiff().abs().mean();
            self.found.push(Layer { path: self.path.join("."), weights, inputs, mean });
        }
    }
}

/// Takes a batch through the network with its weights rounded to `weights`, one grid a layer, and
/// fits grids to what comes into the layers.
pub(super) fn inputs<M: Module>(
    model: &M,
    layers: &[Layer],
    weights: &[Grid],
    forward: impl FnOnce(&M),
) -> Result<Vec<Grid>> {
    let all: Vec<Seen> = layers.iter().map(|_| Seen::default()).collect();
    let probes =
        layers.iter().zip(weights).zip(&all).map(|((layer, grid), seen)| {
            (layer.path.clone(), (*grid, layer.inputs, Arc::clone(seen)))
        });
    let probes = Probes(probes.collect());
    // A copy with running statistics of its own, which a clone would share with the network.
    forward(&model.valid().apply_reparameterization(probes));
    let grid = |(layer, seen): (&Layer, Seen)| {
        let failed = |problem| Error::quantise(&layer.path, problem);
        match seen.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Ok(grid)) => Ok(grid),
            Some(Err(problem)) => Err(failed(format!("what comes in is {problem}"))),
            None => Err(failed("nothing came into a layer with these weights".to_owned())),
        }
    };
    layers.iter().zip(all).map(grid).collect()
}

struct Probes(BTreeMap<String, (Grid, u8, Seen)>);

impl Reparameterizer for Probes {
    type Reparam = Probe;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Probe>) {
        let probe = self.0.remove(path).map(|(grid, bits, seen)| Probe {
            weight: Quantiser::beside(&param, &grid),
            bits,
            seen,
        });
        (param, probe)
    }
}

/// `model` with quantisers for weights and input of each layer, with the grids `[weights, input]`.
pub(super) fn attached<M: Module>(
    model: M,
    layers: &[Layer],
    grids: impl IntoIterator<Item = [Grid; 2]>,
) -> M {
    let grids = layers.iter().map(|layer| layer.path.clone()).zip(grids);
    model.apply_reparameterization(Quantisers(grids.collect()))
}

struct Quantisers(BTreeMap<String, [Grid; 2]>);

impl Reparameterizer for Quantisers {
    type Reparam = Lsq;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Lsq>) {
        let lsq = self.0.remove(path).map(|grids| {
            let [weight, input] = grids.map(|grid| Quantiser::beside(&param, &grid));
            Lsq { weight, input }
        });
        (param, lsq)
    }
}
