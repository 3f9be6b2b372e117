//! Whether the weights of a network are numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::models::Model;
use crate::{Error, Result};

/// Checks that all weights of a network are numbers.
///
/// # Errors
/// [`Error::NotFinite`] with the first tensor that holds NaN or infinity, or the device fails.
pub fn check_finite(model: &Model) -> Result<()> {
    let mut search = Search::default();
    model.visit(&mut search);
    match search.found {
        Some(Ok(tensor)) => Err(Error::NotFinite { tensor }),
        Some(Err(error)) => Err(Error::Algorithm(lowland::Error::ReadBack(error))),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Search {
    path: Vec<String>,
    /// The first tensor that is not finite, or what went wrong on the way to it.
    found: Option<Result<String, String>>,
}

impl ModuleVisitor for Search {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_some() {
            return;
        }
        match param.val().is_finite().all().try_into_scalar::<bool>() {
            Ok(true) => {}
            Ok(false) => self.found = Some(Ok(self.path.join("."))),
            Err(error) => self.found = Some(Err(error.to_string())),
        }
    }
}
