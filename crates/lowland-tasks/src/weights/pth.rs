//! The files of `torch.save`: a zip archive, or before PyTorch 1.6 a row of pickles, with a
//! dictionary of tensors and the numbers of each storage behind one another.
//!
//! The pickle is read without running it. A tensor is a call to one of a few functions of PyTorch;
//! every other value is passed over.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use burn::store::bridge;
use burn::tensor::{BoolStore, DType, Shape, TensorData};
use burn_pack::Tensor as PackTensor;
use rawzip::{CompressionMethod, ZipArchive};

use crate::pickle::{Machine, Value};

/// The keys under which checkpoints keep the weights, beside other things.
const NESTED: [&str; 6] = ["state_dict", "model_state_dict", "model", "module", "net", "weights"];

/// What a pickle of the older format begins with: a magic number of ten bytes.
const LEGACY: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The longest name of a tensor, in bytes.
const LONGEST_NAME: usize = 512;

/// The most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// Whether a file begins as `torch.save` writes it.
pub(super) fn is_pth(file: &[u8]) -> bool {
    file.starts_with(b"PK\x03\x04") || file.starts_with(&LEGACY)
}

/// The tensors of a file, by their names. Their numbers stay in the file until they are asked for.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(file: &Arc<Vec<u8>>) -> Result<BTreeMap<String, PackTensor>, String> {
    if file.starts_with(&LEGACY) { legacy(file) } else { zipped(file) }
}

/// Where the numbers of storages are, by the keys of the storages.
type Storages = BTreeMap<String, Range<usize>>;

fn zipped(file: &Arc<Vec<u8>>) -> Result<BTreeMap<String, PackTensor>, String> {
    let damaged = |error: rawzip::Error| format!("a damaged zip archive: {error}");
    let archive = ZipArchive::from_slice(file.as_slice()).map_err(damaged)?;
    let mut entries = archive.entries();
    let (mut pickle, mut storages, mut is_big) = (None, Storages::new(), false);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        let path = entry.file_path();
        // Everything lies in one folder, whose name is that of the file when it was written.
        let path = String::from_utf8_lossy(path.as_ref()).into_owned();
        let Some((_, name)) = path.split_once('/') else { continue };
        let key = name.strip_prefix("data/");
        if key.is_none() && name != "data.pkl" && name != "byteorder" {
            continue;
        }
        if entry.compression_method() != CompressionMethod::STORE {
            return Err(format!("{name} is compressed, which torch.save never does"));
        }
        let entry = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
        let (start, end) = entry.compressed_data_range();
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let range = range.map(|(start, end)| start..end);
        let range = range.filter(|range| file.get(range.clone()).is_some());
        let range = range.ok_or_else(|| format!("{name} lies beyond the end of the file"))?;
        match key {
            Some(key) => drop(storages.insert(key.to_owned(), range)),
            None if name == "data.pkl" => pickle = Some(range),
            None => is_big = file[range].starts_with(b"big"),
        }
    }
    if is_big {
        return Err("its numbers have the highest byte first".to_owned());
    }
    let pickle = pickle.ok_or("a zip archive without data.pkl, which torch.save writes")?;
    let mut machine = Machine::new(&file[pickle]);
    let top = machine.run().map_err(|error| format!("a pickle with {error}"))?;
    tensors(&machine, top, file, &storages)
}

fn legacy(file: &Arc<Vec<u8>>) -> Result<BTreeMap<String, PackTensor>, String> {
    let with = |error: String| format!("a pickle with {error}");
    let mut machine = Machine::at(file, LEGACY.len());
    machine.run().map_err(with)?; // The version of the protocol.
    let system = machine.run().map_err(with)?;
    let little = machine.entry(system, "little_endian").and_then(|place| machine.size(place));
    if little == Some(0) {
        return Err("its numbers have the highest byte first".to_owned());
    }
    let top = machine.run().map_err(with)?;
    let keys = machine.run().map_err(with)?;
    let sizes: BTreeMap<&str, usize> = (0..machine.values().len())
        .filter_map(|place| storage(&machine, place))
        .map(|storage| (storage.key, storage.dtype.size()))
        .collect();
    let (mut at, mut storages) = (machine.place_in_file(), Storages::new());
    for &key in machine.list(keys).ok_or("no list of storages")? {
        let key = machine.text(key).ok_or("a storage whose name is no text")?;
        let count = file.get(at..at.saturating_add(8)).and_then(|bytes| bytes.try_into().ok());
        let count = count.map(u64::from_le_bytes).ok_or("storages that end early")?;
        let size = sizes.get(key).ok_or("a storage that no tensor uses")?;
        at += 8;
        let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(*size));
        let end = length.and_then(|length| at.checked_add(length));
        let end = end.filter(|&end| end <= file.len()).ok_or("storages that end early")?;
        storages.insert(key.to_owned(), at..end);
        at = end;
    }
    tensors(&machine, top, file, &storages)
}

/// A storage, as a pickle names it.
struct Storage<'a> {
    key: &'a str,
    dtype: DType,
}

/// The storage that a value stands for, if its numbers are of a type that weights have.
fn storage<'a>(machine: &'a Machine<'_>, place: usize) -> Option<Storage<'a>> {
    let Some(Value::Outside(name)) = machine.value(place) else { return None };
    let [kind, class, key, ..] = machine.list(*name)? else { return None };
    (machine.text(*kind)? == "storage").then_some(())?;
    let dtype = match machine.global(*class)?.strip_prefix("torch.")? {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool(BoolStore::Native),
        _ => return None,
    };
    Some(Storage { key: machine.text(*key)?, dtype })
}

/// The tensors of the dictionary at `top`, or of the one in it that checkpoints keep weights in.
fn tensors(
    machine: &Machine<'_>,
    top: usize,
    file: &Arc<Vec<u8>>,
    storages: &Storages,
) -> Result<BTreeMap<String, PackTensor>, String> {
    let is_tensor = |place: usize| view(machine, place).is_some();
    let has_tensors = |place: usize| machine.entries(place).any(|(_, value)| is_tensor(value));
    let nested = || NESTED.iter().filter_map(|key| machine.entry(top, key));
    let dictionary = std::iter::once(top).chain(nested()).find(|&place| has_tensors(place));
    let Some(dictionary) = dictionary else {
        return Err("no dictionary of tensors; save model.state_dict(), not the model".to_owned());
    };
    let mut found = BTreeMap::new();
    for (key, value) in machine.entries(dictionary) {
        let (Some(name), Some(view)) = (machine.text(key), view(machine, value)) else { continue };
        if name.len() > LONGEST_NAME {
            return Err(format!("a tensor with a name of {} bytes", name.len()));
        }
        if found.contains_key(name) {
            continue;
        }
        let range = storages.get(view.storage.key);
        let range = range.ok_or_else(|| format!("no numbers for {name}"))?;
        let tensor = tensor(name, &view, machine, file, range.clone());
        let tensor = tensor.ok_or_else(|| format!("{name} with numbers beyond its storage"))?;
        found.insert(name.to_owned(), tensor);
    }
    Ok(found)
}

/// A tensor, as a pickle rebuilds it from a storage.
struct View<'a> {
    storage: Storage<'a>,
    offset: usize,
    shape: &'a [usize],
    strides: &'a [usize],
}

/// The tensor that a value stands for.
fn view<'a>(machine: &'a Machine<'_>, place: usize) -> Option<View<'a>> {
    let mut place = place;
    // A parameter is a tensor inside another call.
    for name in ["torch._utils._rebuild_parameter", "_rebuild_parameter_with_state"] {
        if let Some(([inner, ..], _)) = machine.call(place, name) {
            place = *inner;
        }
    }
    let call = ["torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"]
        .into_iter()
        .find_map(|name| machine.call(place, name));
    let ([kept, offset, shape, strides, ..], _) = call? else { return None };
    Some(View {
        storage: storage(machine, *kept)?,
        offset: machine.size(*offset)?,
        shape: machine.list(*shape)?,
        strides: machine.list(*strides)?,
    })
}

/// The numbers of a view in row-major order, read when they are asked for; `None` where the view
/// does not fit its storage, or has more numbers than there are in it.
fn tensor(
    name: &str,
    view: &View<'_>,
    machine: &Machine<'_>,
    file: &Arc<Vec<u8>>,
    range: Range<usize>,
) -> Option<PackTensor> {
    let sizes = |places: &[usize]| places.iter().map(|&place| machine.size(place)).collect();
    let (shape, strides): (Option<Vec<usize>>, Option<Vec<usize>>) =
        (sizes(view.shape), sizes(view.strides));
    let (shape, strides, dtype) = (shape?, strides?, view.storage.dtype);
    if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
        return None;
    }
    let (size, there) = (dtype.size(), range.len() / dtype.size());
    let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side))?;
    let last = shape.iter().zip(&strides).try_fold(view.offset, |last, (&side, stride)| {
        last.checked_add(side.saturating_sub(1).checked_mul(*stride)?)
    })?;
    // An expanded tensor could have any number of numbers that are all the same one.
    if count > there || (count > 0 && last >= there) {
        return None;
    }
    let (file, offset, sides) = (Arc::clone(file), view.offset, shape.clone());
    Some(bridge::deferred(name.to_owned(), dtype, Shape::from(shape), None, move || {
        let numbers = &file[range.clone()];
        // Of no numbers, the sides say nothing about the storage.
        if count > 0 && is_in_order(&sides, &strides) {
            let bytes = numbers[offset * size..][..count * size].to_vec();
            return Ok(TensorData::from_bytes_vec(bytes, sides.clone(), dtype));
        }
        let mut bytes = Vec::with_capacity(count * size);
        each_place(&sides, &strides, offset, count, |place| {
            bytes.extend_from_slice(&numbers[place * size..][..size]);
        });
        Ok(TensorData::from_bytes_vec(bytes, sides.clone(), dtype))
    }))
}

/// Whether the numbers of a view lie behind one another, row by row.
fn is_in_order(shape: &[usize], strides: &[usize]) -> bool {
    let mut next = 1;
    shape.iter().zip(strides).rev().all(|(&side, &stride)| {
        let is_next = side == 1 || stride == next;
        next *= side;
        is_next
    })
}

/// The places of the numbers of a view in its storage, row by row.
fn each_place(
    shape: &[usize],
    strides: &[usize],
    offset: usize,
    count: usize,
    mut visit: impl FnMut(usize),
) {
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        visit(offset + index.iter().zip(strides).map(|(i, stride)| i * stride).sum::<usize>());
        for (i, side) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *side {
                break;
            }
            *i = 0;
        }
    }
}
