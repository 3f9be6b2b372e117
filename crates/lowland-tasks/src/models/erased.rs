//! A network of any type behind one type, so that a program can train its own.
//!
//! [`Module`] is no trait for objects: its visitors and mappers are type parameters, and these have
//! a method for each rank of a tensor. What stands between is [`Any`]: a parameter goes through it
//! untyped and is asked for its rank on the other side.

use std::any::Any;
use std::fmt;

use burn::module::{
    Content, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::{Error, Result};

/// The most dimensions that a parameter may have.
const MOST_DIMENSIONS: usize = 8;

/// A network of any type. Its parameters have the paths that they have in it.
pub struct OwnNetwork(Box<dyn Erased>);

impl OwnNetwork {
    /// A network of a type that the program defines.
    ///
    /// # Errors
    /// [`Error::Setting`] for a parameter with more than 8 dimensions.
    pub fn new<M: Module + 'static>(network: M) -> Result<Self> {
        let mut most = Dimensions(0);
        network.visit(&mut most);
        if most.0 > MOST_DIMENSIONS {
            return Err(Error::Setting {
                field: "dimensions of a parameter",
                found: most.0.to_string(),
                allowed: "at most 8",
            });
        }
        Ok(Self(Box::new(network)))
    }

    /// The network, if it is of this type.
    pub fn get<M: Module + 'static>(&self) -> Option<&M> {
        self.0.as_any().downcast_ref()
    }
}

impl fmt::Debug for OwnNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OwnNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a program's own network")
    }
}

impl ModuleDisplayDefault for OwnNetwork {
    fn content(&self, content: Content) -> Option<Content> {
        Some(content.add_formatted(&self.to_string()))
    }
}

impl ModuleDisplay for OwnNetwork {}

impl Clone for OwnNetwork {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl Module for OwnNetwork {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.0.devices_too(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.forked(device))
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.moved(device))
    }

    fn train(self) -> Self {
        Self(self.0.in_training())
    }

    fn valid(&self) -> Self {
        Self(self.0.in_evaluation())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialized())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visited(&mut Visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self(self.0.mapped(&mut Map(mapper)))
    }
}

/// [`Module`] without type parameters.
trait Erased: fmt::Debug + Send {
    fn as_any(&self) -> &dyn Any;
    fn duplicate(&self) -> Box<dyn Erased>;
    fn devices_too(&self, devices: Vec<Device>) -> Vec<Device>;
    fn forked(self: Box<Self>, device: &Device) -> Box<dyn Erased>;
    fn moved(self: Box<Self>, device: &Device) -> Box<dyn Erased>;
    fn in_training(self: Box<Self>) -> Box<dyn Erased>;
    fn in_evaluation(&self) -> Box<dyn Erased>;
    fn materialized(self: Box<Self>) -> Box<dyn Erased>;
    fn visited(&self, visitor: &mut dyn AnyVisitor);
    fn mapped(self: Box<Self>, mapper: &mut dyn AnyMapper) -> Box<dyn Erased>;
}

impl<M: Module + 'static> Erased for M {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn duplicate(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }

    fn devices_too(&self, devices: Vec<Device>) -> Vec<Device> {
        self.collect_devices(devices)
    }

    fn forked(self: Box<Self>, device: &Device) -> Box<dyn Erased> {
        Box::new((*self).fork(device))
    }

    fn moved(self: Box<Self>, device: &Device) -> Box<dyn Erased> {
        Box::new((*self).to_device(device))
    }

    fn in_training(self: Box<Self>) -> Box<dyn Erased> {
        Box::new((*self).train())
    }

    fn in_evaluation(&self) -> Box<dyn Erased> {
        Box::new(self.valid())
    }

    fn materialized(self: Box<Self>) -> Box<dyn Erased> {
        Box::new((*self).materialize())
    }

    fn visited(&self, visitor: &mut dyn AnyVisitor) {
        self.visit(&mut ToAny(visitor));
    }

    fn mapped(self: Box<Self>, mapper: &mut dyn AnyMapper) -> Box<dyn Erased> {
        Box::new((*self).map(&mut ToAny(mapper)))
    }
}

/// A visitor of parameters of any rank and kind.
trait AnyVisitor {
    fn visit_any(&mut self, param: &dyn Any);
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// A mapper of parameters of any rank and kind: gives back what it takes, of the same type.
trait AnyMapper {
    fn map_any(&mut self, param: Box<dyn Any>) -> Box<dyn Any>;
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// Hands what a typed module has to an untyped visitor or mapper.
struct ToAny<'a, T: ?Sized>(&'a mut T);

impl ModuleVisitor for ToAny<'_, dyn AnyVisitor + '_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.visit_any(param);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.visit_any(param);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.visit_any(param);
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.visit_any(flag);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

impl ToAny<'_, dyn AnyMapper + '_> {
    fn same<P: Any>(&mut self, param: P) -> P {
        let mapped = self.0.map_any(Box::new(param)).downcast();
        // A mapper of modules has no way to give back another type.
        *mapped.expect("a mapper gives back the type that it took")
    }
}

impl ModuleMapper for ToAny<'_, dyn AnyMapper + '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.same(param)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.same(param)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.same(param)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.same(flag)
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

/// A typed visitor as an untyped one.
struct Visit<'a, V>(&'a mut V);

impl<V: ModuleVisitor> AnyVisitor for Visit<'_, V> {
    fn visit_any(&mut self, param: &dyn Any) {
        macro_rules! ranks {
            ($($rank:literal)*) => { $(
                if let Some(param) = param.downcast_ref::<Param<Tensor<$rank>>>() {
                    return self.0.visit_float(param);
                }
                if let Some(param) = param.downcast_ref::<Param<Tensor<$rank, Int>>>() {
                    return self.0.visit_int(param);
                }
                if let Some(param) = param.downcast_ref::<Param<Tensor<$rank, Bool>>>() {
                    return self.0.visit_bool(param);
                }
            )* };
        }
        ranks!(1 2 3 4 5 6 7 8);
        if let Some(flag) = param.downcast_ref() {
            self.0.visit_flag(flag);
        }
    }

    fn enter(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }

    fn exit(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }
}

/// A typed mapper as an untyped one.
struct Map<'a, M>(&'a mut M);

impl<M: ModuleMapper> AnyMapper for Map<'_, M> {
    fn map_any(&mut self, mut param: Box<dyn Any>) -> Box<dyn Any> {
        macro_rules! ranks {
            ($($rank:literal)*) => { $(
                param = match param.downcast::<Param<Tensor<$rank>>>() {
                    Ok(param) => return Box::new(self.0.map_float(*param)),
                    Err(other) => other,
                };
                param = match param.downcast::<Param<Tensor<$rank, Int>>>() {
                    Ok(param) => return Box::new(self.0.map_int(*param)),
                    Err(other) => other,
                };
                param = match param.downcast::<Param<Tensor<$rank, Bool>>>() {
                    Ok(param) => return Box::new(self.0.map_bool(*param)),
                    Err(other) => other,
                };
            )* };
        }
        ranks!(1 2 3 4 5 6 7 8);
        match param.downcast::<Param<Flag>>() {
            Ok(flag) => Box::new(self.0.map_flag(*flag)),
            Err(other) => other,
        }
    }

    fn enter(&mut self, name: &str, container: &str) {
        self.0.enter_module(name, container);
    }

    fn exit(&mut self, name: &str, container: &str) {
        self.0.exit_module(name, container);
    }
}

/// The most dimensions of a parameter so far.
struct Dimensions(usize);

impl ModuleVisitor for Dimensions {
    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.0 = self.0.max(D);
    }

    fn visit_int<const D: usize>(&mut self, _: &Param<Tensor<D, Int>>) {
        self.0 = self.0.max(D);
    }

    fn visit_bool<const D: usize>(&mut self, _: &Param<Tensor<D, Bool>>) {
        self.0 = self.0.max(D);
    }
}
