//! Which parameters a module has: their paths, shapes and cost.

use std::collections::HashMap;

use burn::module::{Module, ParamId};
use burn::tensor::Shape;

use super::visit::{Context, Float, visit_flat};
use crate::{Error, Result};

/// One trainable parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its path in the module, such as `layer1.conv.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Shape,
    /// The axis of its outputs: 0, but 1 for the weight of a `Linear` layer, which Burn keeps as
    /// `[in, out]`.
    pub outputs: usize,
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
    pub(super) list: Vec<Parameter>,
    pub(super) index: HashMap<ParamId, usize>,
    pub(super) contexts: HashMap<ParamId, Context>,
    /// The paths of a trainable tensor's first and of another place, one pair for each further
    /// place.
    ties: Vec<[String; 2]>,
    /// The float values that are not trainable: frozen parameters and running statistics.
    others: Vec<Parameter>,
    /// The path of the first trainable parameter that is not on an autodiff device.
    untracked: Option<String>,
    /// Whether any float value is on an autodiff device.
    any_tracked: bool,
}

/// Parameters that a gradient is taken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Active {
    /// All of them.
    All,
    /// Those with `true`, one flag for each parameter tensor in visit order.
    Some(Vec<bool>),
}

impl Active {
    /// Whether the i-th parameter tensor is one of them.
    pub fn contains(&self, i: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(flags) => flags.get(i).is_some_and(|&flag| flag),
        }
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
        let mut found = Self::of_list(Vec::new());
        visit_flat(module, &mut |float| found.add(&float));
        found
    }

    fn add(&mut self, float: &Float<'_>) {
        let (id, path, context) = (float.id, float.path(), float.context());
        self.any_tracked |= context.is_some();
        if let Some(context) = context {
            self.contexts.insert(id, context);
        }
        if !float.trainable {
            self.others.push(Parameter { path, shape: float.shape(), outputs: 0, id });
            return;
        }
        if context.is_none() {
            self.untracked.get_or_insert_with(|| path.clone());
        }
        if let Some(&i) = self.index.get(&id) {
            self.ties.push([self.list[i].path.clone(), path]);
        } else {
            self.index.insert(id, self.list.len());
            let outputs = usize::from(float.is_linear_weight());
            self.list.push(Parameter { path, shape: float.shape(), outputs, id });
        }
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

    /// What in the module, trainable or not, has this identifier of Burn's or, where nothing has
    /// it, this path.
    pub(crate) fn named(&self, id: ParamId, path: &str) -> Option<&Parameter> {
        let all = || self.with_frozen();
        all().find(|own| own.id == id).or_else(|| all().find(|own| own.path == path))
    }

    /// The paths of the first and of another place of a trainable tensor that stands in several.
    pub(crate) fn ties(&self) -> &[[String; 2]] {
        &self.ties
    }

    /// The place of each of these parameters among `others`: of the same name of Burn's or, where
    /// there is none, of the same path; and of the same size.
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
        let (mut seen, mut fits) = (0, true);
        visit_flat(module, &mut |float| {
            if float.trainable {
                seen += 1;
                let known = self.index.get(&float.id).map(|&i| &self.list[i]);
                fits &= known.is_some_and(|known| known.shape == float.shape());
            }
        });
        fits && seen >= self.len()
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

    /// These, and all float values beside them: frozen parameters and running statistics.
    pub(crate) fn with_frozen(&self) -> impl Iterator<Item = &Parameter> {
        self.list.iter().chain(&self.others)
    }

    /// The share of a gradient evaluation's cost that one with respect to `active` alone takes:
    /// `(1 + d + φ)/3`, a third for the forward pass, one for the gradients of the layers' inputs,
    /// one for those of the weights. φ is the active share of all weights. d is the share of the
    /// weights from the first active parameter on, for input gradients must flow down to it; it
    /// holds where modules are visited in the order of their forward pass.
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
}
