//! The one visitor and the one mapper: float values of a module, flattened, without their rank.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{GradientCheckpointingStrategy, Shape, Tensor};

/// What [`Tensor::from_inner`] loses of a tensor's autodiff state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
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

    /// Gives a tensor the state back, so that a pass on a copy of the module runs as one on the
    /// live module does: checkpointed alike, and its gradients reduced over devices alike.
    fn restore<const D: usize>(self, id: ParamId, mut tensor: Tensor<D>, leaf: bool) -> Tensor<D> {
        if let Some(strategy) = self.checkpointing {
            tensor = tensor.with_gradient_checkpointing_strategy(strategy);
        }
        if leaf {
            tensor = tensor.require_grad();
        }
        if self.distributed { tensor.set_distributed(id) } else { tensor }
    }
}

/// A float value of a module: a parameter, trainable or frozen, or a running statistic.
pub(crate) struct Float<'a> {
    pub(crate) id: ParamId,
    /// Whether it requires a gradient.
    pub(crate) trainable: bool,
    path: &'a [String],
    /// The type of the module that holds it, as Burn names it; empty where that is not known.
    container: &'a str,
    shape: &'a dyn Fn() -> Shape,
    context: &'a dyn Fn() -> Option<Context>,
    value: &'a dyn Fn() -> Tensor<1>,
}

impl Float<'_> {
    /// Its path in the module, such as `layer1.conv.weight`.
    pub(crate) fn path(&self) -> String {
        self.path.join(".")
    }

    /// Whether it is the weight of a `Linear` layer.
    pub(crate) fn is_linear_weight(&self) -> bool {
        self.container == "Struct:Linear" && self.path.last().is_some_and(|name| name == "weight")
    }

    pub(crate) fn shape(&self) -> Shape {
        (self.shape)()
    }

    /// Its autodiff state; `None` where it is on no autodiff device.
    pub(crate) fn context(&self) -> Option<Context> {
        (self.context)()
    }

    /// Its values, flattened, without gradient graph.
    pub(crate) fn value(&self) -> Tensor<1> {
        (self.value)()
    }
}

/// Calls `visit` for every float value of a module, in visit order.
pub(crate) fn visit_flat<M: Module>(module: &M, visit: &mut dyn FnMut(Float<'_>)) {
    module.visit(&mut Flat { path: Vec::new(), containers: Vec::new(), visit });
}

/// What takes the place of a float value.
pub(crate) struct Replacement {
    /// Its values, flattened, without gradient graph.
    pub(crate) value: Tensor<1>,
    /// Whether it is a leaf of a new gradient graph.
    pub(crate) leaf: bool,
    /// The autodiff state that it is to have; that of the value it replaces where `None`.
    pub(crate) context: Option<Context>,
}

/// The module with what `map` gives in place of each float value, in visit order; values for which
/// it gives nothing stay as they are.
pub(crate) fn map_flat<M: Module>(
    module: M,
    map: &mut dyn FnMut(Float<'_>) -> Option<Replacement>,
) -> M {
    module.map(&mut FlatMapper { map })
}

/// The values of a tensor, flattened, without gradient graph.
pub(super) fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let tensor = if tensor.is_autodiff() { tensor.inner() } else { tensor };
    let elements = tensor.shape().num_elements();
    tensor.reshape([elements])
}

fn context<const D: usize>(tensor: &Tensor<D>) -> Option<Context> {
    tensor.is_autodiff().then(|| Context::of(tensor))
}

struct Flat<'a> {
    path: Vec<String>,
    containers: Vec<String>,
    visit: &'a mut dyn FnMut(Float<'_>),
}

impl ModuleVisitor for Flat<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        (self.visit)(Float {
            id: param.id,
            trainable: param.is_require_grad(),
            path: &self.path,
            container: self.containers.last().map_or("", String::as_str),
            shape: &|| param.lazy_shape(),
            context: &|| context(&param.base()),
            value: &|| flat(param.base()),
        });
    }
}

struct FlatMapper<'a> {
    map: &'a mut dyn FnMut(Float<'_>) -> Option<Replacement>,
}

impl ModuleMapper for FlatMapper<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trainable = param.is_require_grad();
        let (id, tensor, mapper) = param.consume();
        let replacement = (self.map)(Float {
            id,
            trainable,
            path: &[],
            container: "",
            shape: &|| tensor.shape(),
            context: &|| context(&tensor),
            value: &|| flat(tensor.clone()),
        });
        let Some(Replacement { value, leaf, context: wanted }) = replacement else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let value = value.reshape(tensor.shape());
        let value = match wanted.or_else(|| context(&tensor)) {
            Some(context) => context.restore(id, Tensor::from_inner(value), leaf),
            None => value,
        };
        Param::from_mapped_value(id, value, mapper)
    }
}
