//! Vectors in and out of a module: its weights, gradients and what it holds beside them.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor, TensorData};

use super::visit::{Replacement, flat, map_flat, visit_flat};
use super::{Active, Parameter, Parameters};
use crate::vector::{Scalar, scaled};
use crate::{Error, ParamVec, Result};

impl Parameters {
    /// The weights of `module`, without gradient graph. Shares memory with the module.
    pub fn weights<M: Module>(&self, module: &M) -> ParamVec {
        let mut parts = vec![None; self.len()];
        visit_flat(module, &mut |float| {
            if let Some(&i) = self.index.get(&float.id) {
                // Of a tensor that stands in several places, the first.
                parts[i].get_or_insert_with(|| float.value());
            }
        });
        ParamVec::new(parts)
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

/// `module` with the value of its first place in all places of each trainable tensor: Burn's
/// optimizers step the first place only.
pub(crate) fn retied<M: Module>(parameters: &Parameters, module: M) -> M {
    if parameters.ties().is_empty() {
        return module;
    }
    let first = parameters.weights(&module);
    map_flat(module, &mut |float| {
        let value = first.parts()[*parameters.index.get(&float.id)?].clone()?;
        Some(Replacement { value, leaf: true, context: None })
    })
}

/// `module` with `w − lr·direction` for `w`, where `lr` gives the learning rate of each parameter.
pub(crate) fn displaced<M: Module>(
    parameters: &Parameters,
    module: M,
    direction: &ParamVec,
    lr: &dyn Fn(&Parameter) -> f64,
) -> M {
    map_flat(module, &mut |float| {
        let i = *parameters.index.get(&float.id)?;
        let step = direction.parts()[i].clone()?.mul_scalar(lr(&parameters.list[i]));
        Some(Replacement { value: float.value() - step, leaf: true, context: None })
    })
}

/// `module` at `w + scale·direction`, or at `w` where there is no perturbation; the active
/// parameters as leaves of a new gradient graph, the others without one.
///
/// A module from [`Module::valid`] and [`Module::train`] has running statistics of its own, which a
/// plain clone shares with the live module.
pub(crate) fn perturbed<M: Module>(
    parameters: &Parameters,
    module: M,
    perturbation: Option<(&ParamVec, &Scalar)>,
    active: &Active,
) -> M {
    map_flat(module, &mut |float| {
        let context = Some(*parameters.contexts.get(&float.id)?);
        let Some(&i) = parameters.index.get(&float.id) else {
            return Some(Replacement { value: float.value(), leaf: false, context });
        };
        let direction = perturbation.and_then(|(d, scale)| Some((d.parts()[i].clone()?, scale)));
        let value = match direction {
            Some((direction, scale)) => float.value() + scaled(direction, scale),
            None => float.value(),
        };
        Some(Replacement { value, leaf: active.contains(i), context })
    })
}

/// The float values of `module` that are not trained, such as running statistics, in visit order.
/// `module` is a [`Module::valid`] copy, in which none is out of date.
pub(crate) fn untrained<M: Module>(
    parameters: &Parameters,
    module: &M,
) -> Vec<(ParamId, Tensor<1>)> {
    let mut values = Vec::new();
    visit_flat(module, &mut |float| {
        if !parameters.index.contains_key(&float.id) {
            values.push((float.id, float.value()));
        }
    });
    values
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
    let mut others = others.into_iter().flatten().cloned();
    map_flat(module, &mut |float| {
        let (value, leaf) = match parameters.index.get(&float.id) {
            Some(&i) => (weights.parts()[i].clone(), active.contains(i)),
            None => (others.next(), false),
        };
        // What has no autodiff state to lose is left as it is.
        if value.is_none() && float.context().is_none() {
            return None;
        }
        let context = parameters.contexts.get(&float.id).copied();
        Some(Replacement { value: value.unwrap_or_else(|| float.value()), leaf, context })
    })
}

/// Puts the running statistics of `module` back to those of `before`, its [`Module::valid`] copy.
pub(crate) fn restore_running_state<M: Module>(
    parameters: &Parameters,
    module: M,
    before: &M,
) -> M {
    restored(parameters, module, untrained(parameters, before).into_iter().collect())
}

/// `module` with other values, given by Burn's names, of what is not trained.
pub(crate) fn restored<M: Module>(
    parameters: &Parameters,
    module: M,
    mut values: HashMap<ParamId, Tensor<1>>,
) -> M {
    // Values still pending in this thread would overwrite what is put back; this applies them.
    drop(module.valid());
    map_flat(module, &mut |float| {
        let value = values.remove(&float.id)?;
        let context = float.context().and(parameters.contexts.get(&float.id).copied());
        Some(Replacement { value, leaf: false, context })
    })
}

/// The bytes of all float values of a module, in visit order.
pub(crate) fn float_bytes<M: Module>(module: &M) -> Result<Vec<u8>> {
    let mut bytes = Ok(Vec::new());
    visit_flat(module, &mut |float| {
        let Ok(so_far) = &mut bytes else { return };
        match float.value().try_into_data() {
            Ok(data) => so_far.extend_from_slice(data.as_bytes()),
            Err(error) => bytes = Err(Error::ReadBack(error.to_string())),
        }
    });
    bytes
}

/// `module` with other float values, whose bytes [`float_bytes`] gave for a module of the same
/// make.
pub(crate) fn with_float_bytes<M: Module>(module: M, mut bytes: &[u8]) -> M {
    map_flat(module, &mut |float| {
        let old = float.value();
        let (device, dtype, elements) = (old.device(), old.dtype(), old.dims()[0]);
        let (own, rest) = bytes.split_at_checked(elements * dtype.size())?;
        bytes = rest;
        let data = TensorData::from_bytes_vec(own.to_vec(), [elements], dtype);
        let value = Tensor::from_data(data, (&device, dtype));
        Some(Replacement { value, leaf: float.trainable, context: None })
    })
}

// Burn's gradients know the rank of their tensors: these three visitors cannot do without it.

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
