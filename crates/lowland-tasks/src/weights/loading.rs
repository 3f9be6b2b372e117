//! The weights of a file for a network: found by name, checked, and loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::{FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter};
use burn::tensor::{Bool, DType, Int, Tensor};
use burn_pack::Tensor as PackTensor;

use super::export::MODEL;
use super::names::{ADAPTER, Names};
use super::stored::{Layout, Stored};
use crate::{Error, Result};

/// The last layers of networks: what depends on the number of classes or joints.
const HEADS: [&str; 2] = ["head.", "last."];

/// What becomes of the last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// Its weights come from the file.
    Loaded,
    /// It keeps those that were drawn for it.
    New,
}

/// Gives a network the weights of a file. Its own are gone then, but for those of a new head.
///
/// # Errors
/// [`Error::Weights`] for tensors that are missing, of another shape or no part of the network:
/// what is there, what was expected, and what to do; [`Error::LastLayer`] where only the last layer
/// does not fit; [`Error::NotFiniteFile`] for NaN or infinity.
pub(crate) fn load<M: Module>(
    mut module: M,
    stored: &Stored,
    names: &Names,
    head: Head,
    path: &Path,
) -> Result<M> {
    let refused = |problem: String| Error::Weights { path: path.to_owned(), problem };
    let wanted = Wanted::of(&module, names);
    let by_name = stored.by_name(names, &wanted).map_err(refused)?;
    let mut misfits = Misfits::default();
    // The first tensor that is not finite, by its name in the file.
    let mut not_finite: Result<Option<String>, String> = Ok(None);
    let (mut tensors, mut used): (Vec<PackTensor>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
    for wanted in &wanted {
        let keys = match stored.layout {
            Layout::Burn => [&wanted.full, &wanted.path],
            Layout::PyTorch => [&wanted.plain, &wanted.plain],
        };
        let found = keys.into_iter().find_map(|key| by_name.get_key_value(key.as_str()));
        used.extend(found.map(|(key, _)| key.as_str()));
        if head == Head::New && wanted.is_head() {
            continue;
        }
        let Some((key, tensor)) = found else {
            misfits.missing.push(wanted);
            continue;
        };
        let shape = match stored.layout {
            Layout::Burn => wanted.shape.clone(),
            Layout::PyTorch => wanted.portable_shape(),
        };
        let is_float = tensor.dtype.is_float();
        if tensor.shape.to_vec() != shape || is_float != wanted.is_float {
            misfits.shapes.push((wanted, shape, tensor));
            continue;
        }
        if is_float && not_finite == Ok(None) {
            not_finite = is_finite(tensor).map(|is_finite| (!is_finite).then(|| key.clone()));
        }
        let mut tensor = (*tensor).clone();
        tensor.name.clone_from(match stored.layout {
            Layout::Burn => &wanted.path,
            Layout::PyTorch => &wanted.portable,
        });
        tensors.push(tensor);
    }
    let unused = by_name.keys().filter(|name| !used.contains(name.as_str()));
    misfits.unused = unused.filter(|name| !names.is_left(name)).map(String::as_str).collect();
    if let Some((tensor, found, expected)) = misfits.of_last_layer(stored) {
        let path = path.to_owned();
        return Err(Error::LastLayer { path, tensor, found, expected, can_be_new: true });
    }
    if let Some(problem) = misfits.problem(stored, &wanted) {
        return Err(refused(problem));
    }
    if let Some(tensor) = not_finite.map_err(refused)? {
        return Err(Error::NotFiniteFile { path: path.to_owned(), tensor });
    }
    let to_f32 = FloatCastAdapter::to(DType::F32);
    let adapter: Box<dyn ModuleAdapter> = match stored.layout {
        Layout::Burn => Box::new(to_f32),
        Layout::PyTorch => Box::new(PyTorchToBurnAdapter.chain(to_f32)),
    };
    let applied = module.apply(tensors, None, Some(adapter), true);
    match applied.errors.first() {
        Some(error) => Err(refused(format!("{error}"))),
        None => Ok(module),
    }
}

impl Stored {
    /// The tensors by the names that they are compared by.
    ///
    /// # Errors
    /// Two tensors that have one name, in words.
    fn by_name(
        &self,
        names: &Names,
        wanted: &[Wanted],
    ) -> Result<BTreeMap<String, &PackTensor>, String> {
        let is_there = |path: &String| self.tensors.contains_key(path.as_str());
        // A part of a model may take what was written of the whole.
        let is_whole = wanted.iter().any(|wanted| is_there(&wanted.full) || is_there(&wanted.path));
        let mut found = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            let plain = match (self.layout, name.split_once('.')) {
                (Layout::PyTorch, _) => names.plain(name),
                (Layout::Burn, Some((_, rest))) if !is_whole => rest.to_owned(),
                (Layout::Burn, _) => name.clone(),
            };
            if found.insert(plain.clone(), tensor).is_some() {
                return Err(format!("it has {plain} twice, once as {name}"));
            }
        }
        Ok(found)
    }

    /// Which network the tensors seem to be of, in words.
    fn seems(&self) -> Option<String> {
        if let Some(model) = self.metadata.get(MODEL) {
            return Some(format!("Lowland wrote it for {model}"));
        }
        if self.layout == Layout::Burn {
            let (network, _) = self.tensors.keys().next()?.split_once('.')?;
            return Some(format!("it is a record of {network}"));
        }
        let names = Names::ResNet(Vec::new());
        let plain: BTreeMap<String, &PackTensor> =
            self.tensors.iter().map(|(name, tensor)| (names.plain(name), tensor)).collect();
        let stem = plain.get("conv1.weight")?.shape.to_vec();
        let blocks = (0..).take_while(|i| plain.contains_key(&format!("layer3.{i}.conv1.weight")));
        let is_deep = plain.contains_key("layer1.0.conv3.weight");
        let network = match (is_deep, blocks.count()) {
            (false, 2) => "18",
            (false, 6) => "34",
            (true, 6) => "50",
            (true, 23) => "101",
            (true, 36) => "152",
            _ => return None,
        };
        let stem = if stem.last() == Some(&7) { "ImageNet" } else { "CIFAR" };
        Some(format!("it looks like a ResNet-{network} with the stem for {stem}"))
    }
}

/// What does not fit.
#[derive(Default)]
struct Misfits<'a> {
    missing: Vec<&'a Wanted>,
    /// With the shape that was expected.
    shapes: Vec<(&'a Wanted, Vec<usize>, &'a PackTensor)>,
    unused: Vec<&'a str>,
}

impl Misfits<'_> {
    /// Where all that is wrong is the shape of the last layer, its first tensor, the shape of that
    /// and the one that fits.
    fn of_last_layer(&self, stored: &Stored) -> Option<(String, String, String)> {
        let Self { missing, shapes, unused } = self;
        let is_all = missing.is_empty() && unused.is_empty();
        let (wanted, expected, tensor) = shapes.first().filter(|_| is_all)?;
        let are_head = shapes.iter().all(|(wanted, ..)| wanted.is_head());
        let found = (wanted.name(stored.layout), shape(tensor), format!("{expected:?}"));
        are_head.then_some(found)
    }

    /// What is wrong and what to do, in a few sentences; `None` where all fits.
    fn problem(&self, stored: &Stored, wanted: &[Wanted]) -> Option<String> {
        let Self { missing, shapes, unused } = self;
        let faults = missing.len() + shapes.len() + unused.len();
        if faults == 0 {
            return None;
        }
        let name = |wanted: &Wanted| wanted.name(stored.layout);
        let mut parts = Vec::new();
        if let Some(first) = missing.first() {
            parts.push(format!("{} missing, the first {}", missing.len(), name(first)));
        }
        if let Some((first, expected, tensor)) = shapes.first() {
            let (count, first) = (shapes.len(), name(first));
            let found = format!("{:?} of shape {}", tensor.dtype, shape(tensor));
            parts.push(format!(
                "{count} misshapen, the first {first}: {found}, expected {expected:?}"
            ));
        }
        if let Some(first) = unused.first() {
            parts.push(format!("{} that are no part of it, the first {first}", unused.len()));
        }
        let seems = stored.seems().map(|seems| format!("; {seems}")).unwrap_or_default();
        let counts = match (stored.tensors.len(), wanted.len()) {
            (count, expected) if count == expected => format!("of {count} tensors "),
            (count, expected) => format!("it has {count} tensors, expected {expected}: "),
        };
        let what_to_do = match self.of_channels() {
            Some((file, data)) => {
                let s = if file == 1 { "" } else { "s" };
                format!(
                    "it is for images of {file} channel{s} and images are read with {data} here: name another file"
                )
            }
            None if unused.iter().any(|name| name.contains(ADAPTER)) => {
                "it has low-rank adapters, which only SafeTensors hold together with what they belong \
                 to: name the folder of the run, or its model.safetensors"
                    .to_owned()
            }
            None => "name the network that the file is of, or another file".to_owned(),
        };
        Some(format!("{counts}{}{seems}; {what_to_do}", parts.join("; ")))
    }

    /// Where all that is wrong before the last layer is for how many channels the first convolution
    /// is: those of the file and those of the network.
    fn of_channels(&self) -> Option<(usize, usize)> {
        let Self { missing, shapes, unused } = self;
        let is_all = missing.is_empty() && unused.is_empty();
        let mut shapes = shapes.iter().filter(|(wanted, ..)| !wanted.is_head());
        let (Some((_, expected, tensor)), None) = (shapes.next(), shapes.next()) else {
            return None;
        };
        let found = tensor.shape.to_vec();
        let (&[out, channels, height, width], &[.., wanted, _, _]) =
            (found.as_slice(), expected.as_slice())
        else {
            return None;
        };
        let fits = *expected == [out, wanted, height, width];
        (is_all && fits && channels != wanted).then_some((channels, wanted))
    }
}

/// Whether all numbers of a floating-point tensor are finite.
///
/// # Errors
/// The file is damaged, in words.
fn is_finite(tensor: &PackTensor) -> Result<bool, String> {
    let bytes = tensor.to_bytes().map_err(|error| error.to_string())?;
    // By their exponents: bytes of a file need not lie as numbers do in memory.
    let half = |exponent: u16| {
        let (numbers, _) = bytes.as_chunks();
        numbers.iter().all(|number| u16::from_le_bytes(*number) & exponent != exponent)
    };
    Ok(match tensor.dtype {
        DType::F64 => {
            bytes.as_chunks().0.iter().all(|number| f64::from_le_bytes(*number).is_finite())
        }
        DType::F16 => half(0x7c00),
        DType::BF16 => half(0x7f80),
        _ => bytes.as_chunks().0.iter().all(|number| f32::from_le_bytes(*number).is_finite()),
    })
}

fn shape(tensor: &PackTensor) -> String {
    format!("{:?}", tensor.shape.to_vec())
}

/// A tensor of the network.
struct Wanted {
    /// Its path with the names of variants.
    full: String,
    /// Its path without them.
    path: String,
    /// The path with PyTorch's name of the parameter.
    portable: String,
    /// The name that is compared.
    plain: String,
    shape: Vec<usize>,
    is_float: bool,
    is_transposed: bool,
}

impl Wanted {
    /// The tensors of a network, none of which is made for it.
    fn of<M: Module>(module: &M, names: &Names) -> Vec<Self> {
        let mut visitor = Visitor { names, path: Vec::new(), found: Vec::new() };
        module.visit(&mut visitor);
        visitor.found
    }

    /// What it is called in a file.
    fn name(&self, layout: Layout) -> String {
        match layout {
            Layout::Burn => self.path.clone(),
            Layout::PyTorch => self.plain.clone(),
        }
    }

    fn is_head(&self) -> bool {
        HEADS.iter().any(|head| self.path.starts_with(head))
    }

    fn portable_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.is_transposed {
            shape.reverse();
        }
        shape
    }
}

/// Collects what a network wants.
struct Visitor<'a> {
    names: &'a Names,
    /// Names and types of the modules on the way.
    path: Vec<(String, String)>,
    found: Vec<Wanted>,
}

impl Visitor<'_> {
    fn add(&mut self, shape: Vec<usize>, is_float: bool) {
        let joined = |keep: fn(&str) -> bool| {
            let parts = self.path.iter().filter(|(_, kind)| keep(kind));
            parts.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
        };
        let (full, path) = (joined(|_| true), joined(|kind| !kind.starts_with("Enum:")));
        let module = self.path.iter().rev().map(|(_, kind)| kind.as_str());
        let module = module.into_iter().find(|kind| kind.starts_with("Struct:")).unwrap_or("");
        let portable = match (module, path.rsplit_once('.')) {
            ("Struct:BatchNorm" | "Struct:LayerNorm", Some((layer, "gamma"))) => {
                format!("{layer}.weight")
            }
            ("Struct:BatchNorm" | "Struct:LayerNorm", Some((layer, "beta"))) => {
                format!("{layer}.bias")
            }
            _ => path.clone(),
        };
        let is_transposed =
            module == "Struct:Linear" && shape.len() == 2 && path.ends_with(".weight");
        let plain = self.names.plain(&self.names.of(&portable));
        self.found.push(Wanted { full, path, portable, plain, shape, is_float, is_transposed });
    }
}

impl ModuleVisitor for Visitor<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_owned(), container_type.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.lazy_shape().to_vec(), true);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.lazy_shape().to_vec(), false);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param.lazy_shape().to_vec(), false);
    }
}
