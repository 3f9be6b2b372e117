//! The base optimizer that spares biases and norms its weight decay.

use burn::optim::ModuleOptimizer;
use lowland::Parameters;

use crate::config::TrainConfig;
use crate::models::Model;
use crate::{Error, Result};

/// The base optimizer that leaves weight decay off parameters of one dimension, where that is asked
/// for.
///
/// # Errors
/// An algorithm that brings its own base optimizer.
pub(super) fn sparing(config: &TrainConfig, model: &Model) -> Result<Option<ModuleOptimizer>> {
    if config.optimizer.decay_biases_and_norms {
        return Ok(None);
    }
    if config.algorithm.base()?.is_some() {
        return Err(Error::Setting {
            field: "decay_biases_and_norms",
            found: "false".to_owned(),
            allowed: "true with an algorithm that brings its own base optimizer",
        });
    }
    let parameters = Parameters::of(model)?;
    let flat = parameters.iter().filter(|parameter| parameter.shape.num_dims() == 1);
    let paths: Vec<String> = flat.map(|parameter| parameter.path.clone()).collect();
    Ok(Some(config.optimizer.build_sparing(&paths)?))
}
