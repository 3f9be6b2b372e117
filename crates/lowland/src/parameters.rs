//! The module side of a step: which parameters there are, and how vectors go in and out of them.
//!
//! Everything here walks the module with Burn's visitors and mappers; no layer is known by name.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{GradientCheckpointingStrategy, Gradients, Shape, Tensor, TensorData};

use crate::rule::Active;
use crate::vector::scaled;
use crate::{Error, ParamVec, Perturbation, Result};

/// One trainable parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its path in the module, such as `layer1.conv.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Shape,
    /// Burn's name for it, which is new in each process.
    pub id: ParamId,
}

impl Parameter {
    /// The last part of the path, such as `weight`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// The trainable parameters of a module, in the order in which the module is visited.
///
/// A parameter is trainable where it requires a gradient; running statistics and frozen
/// parameters are not. A tensor that stands in several places of the module counts once, under the
/// path of its first place, with the sum of its gradients.
#[derive(Debug, Clone)]
pub struct Parameters {
    list: Vec<Parameter>,
    index: HashMap<ParamId, usize>,
    contexts: HashMap<ParamId, Context>,
    /// The paths of a trainable tensor's first and of another place, one pair for each further place.
    ties: Vec<[String; 2]>,
    /// The float values that are not trainable: frozen parameters and running statistics.
    others: Vec<Parameter>,
    /// The path of the first trainable parameter that is not on an autodiff device.
    untracked: Option<String>,
    /// Whether any float value is on an autodiff device.
    any_tracked: bool,
}

/// What [`Tensor::from_inner`] loses of a tensor's autodiff state.
#[derive(Debug, Clone, Copy)]
struct Context {
    distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Context {
    fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        Self {
            distributed: tensor.is_distributed(),
            checkpointing: tensor.gradient_checkpointing_strategy(),
        }
    }

    /// Gives a tensor the state back, so that a pass on a copy of the module runs as one on the live
    /// module does: checkpointed alike, and its gradients reduced over devices alike.
    fn restore<const D: usize>(
        self,
        id: ParamId,
        mut tensor: Tensor<D>,
        trainable: bool,
    ) -> Tensor<D> {
        if let Some(strategy) = self.checkpointing
            && tensor.is_autodiff()
        {
            tensor = tensor.with_gradient_checkpointing_strategy(strategy);
        }
        if trainable {
            tensor = tensor.require_grad();
        }
        if self.distributed { tensor.set_distributed(id) } else { tensor }
    }
}

impl Parameters {
    /// Lists the trainable parameters of a module.
    ///
    /// # Errors
    /// [`Error::NoParameters`] where there is none.
    pub fn of<M: Module>(module: &M) -> Result<Self> {
        let found = Self::found_in(module);
        if found.list.is_empty() { Err(Error::NoParameters) } else { Ok(found) }
    }

    /// As [`of`](Self::of), of a module that is to be trained.
    ///
    /// # Errors
    /// [`Error::Untracked`] for a module that is not on an autodiff device, or its
    /// [`valid`](Module::valid) copy; [`Error::NoParameters`] where no parameter is trainable.
    pub(crate) fn tracked<M: Module>(module: &M) -> Result<Self> {
        let mut found = Self::found_in(module);
        match found.untracked.take() {
            Some(path) => Err(Error::Untracked { what: format!("the parameter `{path}`") }),
            None if found.list.is_empty() && !found.any_tracked => {
                Err(Error::Untracked { what: "the module".into() })
            }
            None if found.list.is_empty() => Err(Error::NoParameters),
            None => Ok(found),
        }
    }

    fn found_in<M: Module>(module: &M) -> Self {
        let mut list = ListVisitor { path: Vec::new(), found: Self::of_list(Vec::new()) };
        module.visit(&mut list);
        list.found
    }

    /// Parameters of which no more is known than this list.
    pub(crate) fn of_list(list: Vec<Parameter>) -> Self {
        Self {
            index: list.iter().enumerate().map(|(i, parameter)| (parameter.id, i)).collect(),
            list,
            contexts: HashMap::new(),
            ties: Vec::new(),
            others: Vec::new(),
            untracked: None,
            any_tracked: false,
        }
    }

    /// What in the module, trainable or not, has this identifier of Burn's or, where nothing has it, this
    /// path.
    pub(crate) fn named(&self, id: ParamId, path: &str) -> Option<&Parameter> {
        let all = || self.list.iter().chain(&self.others);
        all().find(|own| own.id == id).or_else(|| all().find(|own| own.path == path))
    }

    /// The paths of the first and of another place of a trainable tensor that stands in several.
    pub(crate) fn ties(&self) -> &[[String; 2]] {
        &self.ties
    }

    /// The place of each of these parameters among `others`: of the same name of Burn's or, where there is
    /// none, of the same path; and of the same size.
    pub(crate) fn places_among(&self, others: &Self) -> Vec<Option<usize>> {
        let by_path: HashMap<&str, usize> =
            others.list.iter().enumerate().map(|(i, other)| (other.path.as_str(), i)).collect();
        let place = |own: &Parameter| {
            let i =
                others.index.get(&own.id).or_else(|| by_path.get(own.path.as_str())).copied()?;
            (others.list[i].shape.num_elements() == own.shape.num_elements()).then_some(i)
        };
        self.list.iter().map(place).collect()
    }

    /// Whether `module` has exactly these trainable parameters.
    pub(crate) fn fit<M: Module>(&self, module: &M) -> bool {
        let mut visitor = FitVisitor { parameters: self, seen: 0, fits: true };
        module.visit(&mut visitor);
        visitor.fits && visitor.seen >= self.len()
    }

    /// The number of parameter tensors.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none; never so for a list that was made by [`of`](Self::of).
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The parameters, in visit order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.list.iter()
    }

    /// The share of a gradient evaluation's cost that one with respect to `active` alone takes:
    /// `(1 + d + φ)/3`, a third for the forward pass, one for the gradients of the layers' inputs, one
    /// for those of the weights. φ is the active share of all weights. d is the share of the weights
    /// from the first active parameter on, for input gradients must flow down to it; it holds
    /// where modules are visited in the order of their forward pass.
    pub fn cost(&self, active: &Active) -> f64 {
        if *active == Active::All {
            return 1.0;
        }
        let elements = |list: &mut dyn Iterator<Item = &Parameter>| {
            list.map(|parameter| parameter.shape.num_elements()).sum::<usize>() as f64
        };
        let all = elements(&mut self.iter()).max(1.0);
        let on = |i: &usize| active.contains(*i);
        let weights = elements(&mut (0..self.len()).filter(on).map(|i| &self.list[i]));
        let first = (0..self.len()).find(on).unwrap_or(self.len());
        (1.0 + elements(&mut self.list[first..].iter()) / all + weights / all) / 3.0
    }

    /// The weights of `module`, without gradient graph. Shares memory with the module.
    pub fn weights<M: Module>(&self, module: &M) -> ParamVec {
        let mut visitor = WeightsVisitor { parameters: self, parts: vec![None; self.len()] };
        module.visit(&mut visitor);
        ParamVec::new(visitor.parts)
    }

    /// As [`weights`](Self::weights), of the first place of each tensor.
    fn weights_of_first_places<M: Module>(&self, module: &M) -> ParamVec {
        let mut visitor = FirstVisitor { parameters: self, parts: vec![None; self.len()] };
        module.visit(&mut visitor);
        ParamVec::new(visitor.parts)
    }

    /// The gradients of `module`'s parameters.
    pub(crate) fn gradients<M: Module>(&self, module: &M, gradients: Gradients) -> ParamVec {
        let parts = vec![None; self.len()];
        let mut visitor = GradientsVisitor { parameters: self, gradients, parts };
        module.visit(&mut visitor);
        ParamVec::new(visitor.parts)
    }

    /// The gradients that were registered for `module`'s active parameters.
    pub(crate) fn registered<M: Module>(
        &self,
        module: &M,
        gradients: GradientsParams,
        active: &Active,
    ) -> ParamVec {
        let parts = vec![None; self.len()];
        let mut visitor = RegisteredVisitor { parameters: self, gradients, active, parts };
        module.visit(&mut visitor);
        ParamVec::new(visitor.parts)
    }
}

/// Hands a vector to Burn as the gradients of `module`.
pub(crate) fn into_gradients<M: Module>(
    parameters: &Parameters,
    vector: ParamVec,
    module: &M,
) -> GradientsParams {
    let mut visitor = RegisterVisitor {
        parameters,
        parts: vector.into_parts(),
        gradients: GradientsParams::new(),
    };
    module.visit(&mut visitor);
    visitor.gradients
}

/// `module` with the value of its first place in all places of each trainable tensor: Burn's optimizers
/// step the first place only.
pub(crate) fn retied<M: Module>(parameters: &Parameters, module: M) -> M {
    if parameters.ties.is_empty() {
        return module;
    }
    let first = parameters.weights_of_first_places(&module);
    module.map(&mut TieMapper { parameters, first })
}

/// `module` at `w + e`, or at `w` where there is no perturbation; the active parameters as leaves of a new
/// gradient graph, the others without one.
///
/// A module from [`Module::valid`] and [`Module::train`] has running statistics of its own, which a
/// plain clone shares with the live module.
pub(crate) fn perturbed<M: Module>(
    parameters: &Parameters,
    module: M,
    perturbation: Option<&Perturbation<'_>>,
    active: &Active,
) -> M {
    module.map(&mut PerturbMapper { parameters, perturbation, active })
}

/// The float values of `module` that are not trained, such as running statistics, in visit order.
/// `module` is a [`Module::valid`] copy, in which none is out of date.
pub(crate) fn untrained<M: Module>(parameters: &Parameters, module: &M) -> Vec<Tensor<1>> {
    let mut visitor = UntrainedVisitor { parameters, values: Vec::new() };
    module.visit(&mut visitor);
    visitor.values
}

/// `module` with the weights `weights`, where they are there, and the values `others` of what is
/// not trained, where they are given; the active parameters as leaves of a new gradient graph.
pub(crate) fn placed<M: Module>(
    parameters: &Parameters,
    module: M,
    weights: &ParamVec,
    others: Option<&[Tensor<1>]>,
    active: &Active,
) -> M {
    module.map(&mut PlaceMapper { parameters, weights, others, next: 0, active })
}

/// Puts the running statistics of `module` back to those of `before`, its [`Module::valid`] copy.
pub(crate) fn restore_running_state<M: Module>(
    parameters: &Parameters,
    module: M,
    before: &M,
) -> M {
    let saved = untrained_by_id(parameters, before);
    restored(parameters, module, saved.into_iter().collect())
}

/// As [`untrained`], with Burn's names.
pub(crate) fn untrained_by_id<M: Module>(
    parameters: &Parameters,
    module: &M,
) -> Vec<(ParamId, Tensor<1>)> {
    let mut saved = SaveVisitor { parameters, values: Vec::new() };
    module.visit(&mut saved);
    saved.values
}

/// `module` with other values, given by Burn's names, of what is not trained.
pub(crate) fn restored<M: Module>(
    parameters: &Parameters,
    module: M,
    values: HashMap<ParamId, Tensor<1>>,
) -> M {
    // Values still pending in this thread would overwrite what is put back; this applies them.
    drop(module.valid());
    module.map(&mut RestoreMapper { parameters, values })
}

/// The bytes of all float values of a module, in visit order.
pub(crate) fn float_bytes<M: Module>(module: &M) -> Result<Vec<u8>> {
    let mut visitor = BytesVisitor { bytes: Ok(Vec::new()) };
    module.visit(&mut visitor);
    visitor.bytes
}

/// `module` with other float values, whose bytes [`float_bytes`] gave for a module of the same make.
pub(crate) fn with_float_bytes<M: Module>(module: M, bytes: &[u8]) -> M {
    module.map(&mut BytesMapper { bytes })
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let elements = tensor.shape().num_elements();
    tensor.reshape([elements])
}

struct ListVisitor {
    path: Vec<String>,
    found: Parameters,
}

impl ModuleVisitor for ListVisitor {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.base();
        if tensor.is_autodiff() {
            self.found.contexts.insert(param.id, Context::of(&tensor));
        }
        let path = self.path.join(".");
        self.found.any_tracked |= tensor.is_autodiff();
        if !param.is_require_grad() {
            self.found.others.push(Parameter { path, shape: tensor.shape(), id: param.id });
            return;
        }
        if !tensor.is_autodiff() {
            self.found.untracked.get_or_insert_with(|| path.clone());
        }
        if let Some(&i) = self.found.index.get(&param.id) {
            self.found.ties.push([self.found.list[i].path.clone(), path]);
        } else {
            self.found.index.insert(param.id, self.found.list.len());
            self.found.list.push(Parameter { path, shape: tensor.shape(), id: param.id });
        }
    }
}

struct FitVisitor<'a> {
    parameters: &'a Parameters,
    seen: usize,
    fits: bool,
}

impl ModuleVisitor for FitVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.seen += 1;
            let known = self.parameters.index.get(&param.id).map(|&i| &self.parameters.list[i]);
            self.fits &= known.is_some_and(|p| p.shape == param.lazy_shape());
        }
    }
}

struct WeightsVisitor<'a> {
    parameters: &'a Parameters,
    parts: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for WeightsVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(&i) = self.parameters.index.get(&param.id) {
            self.parts[i] = Some(flat(param.base().inner()));
        }
    }
}

struct FirstVisitor<'a> {
    parameters: &'a Parameters,
    parts: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for FirstVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(&i) = self.parameters.index.get(&param.id)
            && self.parts[i].is_none()
        {
            self.parts[i] = Some(flat(param.base().inner()));
        }
    }
}

struct TieMapper<'a> {
    parameters: &'a Parameters,
    first: ParamVec,
}

impl ModuleMapper for TieMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let place = self.parameters.index.get(&param.id);
        let Some(value) = place.and_then(|&i| self.first.parts()[i].clone()) else { return param };
        let (id, tensor, mapper) = param.consume();
        let value = Tensor::from_inner(value.reshape(tensor.shape()));
        let value = Context::of(&tensor).restore(id, value, true);
        Param::from_mapped_value(id, value, mapper)
    }
}

struct GradientsVisitor<'a> {
    parameters: &'a Parameters,
    gradients: Gradients,
    parts: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for GradientsVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(&i) = self.parameters.index.get(&param.id)
            && let Some(gradient) = param.base().grad_remove(&mut self.gradients)
        {
            // A tensor that stands in several places of a perturbed copy is a leaf in each of them.
            let gradient = flat(gradient);
            self.parts[i] = Some(match self.parts[i].take() {
                Some(other) => other + gradient,
                None => gradient,
            });
        }
    }
}

struct RegisteredVisitor<'a> {
    parameters: &'a Parameters,
    gradients: GradientsParams,
    active: &'a Active,
    parts: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for RegisteredVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(&i) = self.parameters.index.get(&param.id)
            && self.active.contains(i)
            && let Some(gradient) = self.gradients.remove::<D>(param.id)
        {
            self.parts[i] = Some(flat(gradient));
        }
    }
}

struct RegisterVisitor<'a> {
    parameters: &'a Parameters,
    parts: Vec<Option<Tensor<1>>>,
    gradients: GradientsParams,
}

impl ModuleVisitor for RegisterVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(&i) = self.parameters.index.get(&param.id)
            && let Some(part) = self.parts[i].take()
        {
            let shape = self.parameters.list[i].shape.clone();
            self.gradients.register::<D>(param.id, part.reshape(shape));
        }
    }
}

struct PerturbMapper<'a> {
    parameters: &'a Parameters,
    perturbation: Option<&'a Perturbation<'a>>,
    active: &'a Active,
}

impl ModuleMapper for PerturbMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match (self.parameters.contexts.get(&id), self.parameters.index.get(&id)) {
            (Some(context), Some(&i)) => {
                let w = tensor.inner();
                let direction = self
                    .perturbation
                    .and_then(|e| Some((e.direction.parts()[i].clone()?, &e.scale)));
                let moved = match direction {
                    Some((direction, scale)) => {
                        let shape = w.shape();
                        w + scaled(direction, scale).reshape(shape)
                    }
                    None => w,
                };
                context.restore(id, Tensor::from_inner(moved), self.active.contains(i))
            }
            (Some(context), None) => context.restore(id, tensor, false),
            (None, _) => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

struct PlaceMapper<'a> {
    parameters: &'a Parameters,
    weights: &'a ParamVec,
    others: Option<&'a [Tensor<1>]>,
    /// The next of the others.
    next: usize,
    active: &'a Active,
}

impl ModuleMapper for PlaceMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let (value, trainable) = if let Some(&i) = self.parameters.index.get(&id) {
            (self.weights.parts()[i].clone(), self.active.contains(i))
        } else {
            self.next += 1;
            (self.others.and_then(|others| others.get(self.next - 1).cloned()), false)
        };
        let tensor = match value {
            Some(value) => Tensor::from_inner(value.reshape(tensor.shape())),
            // What has no autodiff state to lose is left as it is.
            None if tensor.is_autodiff() => Tensor::from_inner(tensor.inner()),
            None => tensor,
        };
        let tensor = match self.parameters.contexts.get(&id) {
            Some(context) => context.restore(id, tensor, trainable),
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

struct UntrainedVisitor<'a> {
    parameters: &'a Parameters,
    values: Vec<Tensor<1>>,
}

impl ModuleVisitor for UntrainedVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.parameters.index.contains_key(&param.id) {
            self.values.push(flat(param.base()));
        }
    }
}

struct SaveVisitor<'a> {
    parameters: &'a Parameters,
    values: Vec<(ParamId, Tensor<1>)>,
}

impl ModuleVisitor for SaveVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.parameters.index.contains_key(&param.id) {
            self.values.push((param.id, flat(param.base())));
        }
    }
}

struct BytesVisitor {
    bytes: Result<Vec<u8>>,
}

impl ModuleVisitor for BytesVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(bytes) = &mut self.bytes else { return };
        let tensor = param.base();
        let tensor = if tensor.is_autodiff() { tensor.inner() } else { tensor };
        match tensor.try_into_data() {
            Ok(data) => bytes.extend_from_slice(data.as_bytes()),
            Err(error) => self.bytes = Err(Error::ReadBack(error.to_string())),
        }
    }
}

struct BytesMapper<'a> {
    bytes: &'a [u8],
}

impl ModuleMapper for BytesMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trainable = param.is_require_grad();
        let (id, tensor, mapper) = param.consume();
        let (shape, dtype, device) = (tensor.shape(), tensor.dtype(), tensor.device());
        let size = shape.num_elements() * dtype.size();
        let Some((own, rest)) = self.bytes.split_at_checked(size) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        self.bytes = rest;
        let data = TensorData::from_bytes_vec(own.to_vec(), shape, dtype);
        let tensor = if tensor.is_autodiff() {
            let value = Tensor::from_data(data, (&device.inner(), dtype));
            Context::of(&tensor).restore(id, Tensor::from_inner(value), trainable)
        } else {
            Tensor::from_data(data, (&device, dtype))
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

struct RestoreMapper<'a> {
    parameters: &'a Parameters,
    values: HashMap<ParamId, Tensor<1>>,
}

impl ModuleMapper for RestoreMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.remove(&param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let value = value.reshape(tensor.shape());
        let value = if tensor.is_autodiff() {
            let value = Tensor::from_inner(value);
            match self.parameters.contexts.get(&id) {
                Some(context) => context.restore(id, value, false),
                None => value,
            }
        } else {
            value
        };
        Param::from_mapped_value(id, value, mapper)
    }
}
