//! Modules in `f64`, so that what is compared does not depend on the order in which a processor
//! adds.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

/// Gives all float tensors of a module, running statistics included, the type `f64`.
pub(crate) fn in_f64<M: Module>(module: M) -> M {
    struct Cast;
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let (trained, autodiff) = (tensor.is_require_grad(), tensor.is_autodiff());
                let tensor = tensor.inner().cast(DType::F64);
                if autodiff { tensor.autodiff().set_require_grad(trained) } else { tensor }
            })
        }
    }
    module.map(&mut Cast)
}
