//! The layers of a module, for measurements of each.

use crate::{Active, Parameters};

/// The parameters of one layer: those whose paths differ in nothing but the last part, such as
/// `conv1.weight` and `conv1.bias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What the paths have in common, such as `conv1`; empty for parameters at the root of the
    /// module.
    pub path: String,
    /// The numbers of its parameters, in visit order.
    pub members: Vec<usize>,
}

impl Layer {
    /// The layers of a module, in the order of their first parameters.
    pub fn all(parameters: &Parameters) -> Vec<Self> {
        let mut layers: Vec<Self> = Vec::new();
        for (i, parameter) in parameters.iter().enumerate() {
            let path = parameter.path.rsplit_once('.').map_or("", |(path, _)| path);
            match layers.iter_mut().find(|layer| layer.path == path) {
                Some(layer) => layer.members.push(i),
                None => layers.push(Self { path: path.to_owned(), members: vec![i] }),
            }
        }
        layers
    }

    /// This layer's parameters and no others, for
    /// [`LossSurface::restrict`](super::LossSurface::restrict).
    pub fn active(&self, parameters: &Parameters) -> Active {
        Active::Some((0..parameters.len()).map(|i| self.members.contains(&i)).collect())
    }
}
