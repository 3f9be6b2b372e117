//! The Python version of CIFAR: pickles of a dictionary with an array of pixels and a list of
//! labels. The calls that NumPy writes for an array are recognised by name.

use crate::pickle::{Machine, Value};

/// A batch of CIFAR: pixels, `[images, 3072]`, and a label each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<i64>,
}

/// Reads a batch. `columns` is how many bytes an image has, and `labels` the name of the labels.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(file: &[u8], columns: usize, labels: &str) -> Result<Batch, String> {
    let mut machine = Machine::new(file);
    let top = machine.run()?;
    let data = machine.entry(top, "data").ok_or("no \"data\"")?;
    let list = machine.entry(top, labels).ok_or_else(|| format!("no {labels:?}"))?;
    let list = machine.list(list).ok_or_else(|| format!("{labels:?} that are no list"))?;
    let label = |&place: &usize| match machine.value(place) {
        Some(Value::Number(label)) => Ok(*label),
        _ => Err(format!("{labels:?} that are no numbers")),
    };
    let labels = list.iter().map(label).collect::<Result<Vec<i64>, String>>()?;
    let pixels = array(&machine, data, columns).ok_or("\"data\" that is no array of bytes")?;
    if pixels.len() != labels.len() * columns {
        return Err(format!("{} bytes of pixels for {} labels", pixels.len(), labels.len()));
    }
    Ok(Batch { pixels, labels })
}

/// The bytes of a NumPy array of `[rows, columns]`, row by row.
fn array(machine: &Machine<'_>, place: usize, columns: usize) -> Option<Vec<u8>> {
    let (_, state) = machine.call(place, "core.multiarray._reconstruct")?;
    let &[_, shape, kind, by_columns, bytes] = machine.list(state?)? else { return None };
    let (arguments, _) = machine.call(kind, "numpy.dtype")?;
    let is_byte = matches!(machine.text(*arguments.first()?)?, "u1" | "|u1" | "uint8");
    let &[rows, width] = machine.list(shape)? else { return None };
    let bytes = bytes_of(machine, bytes)?;
    let (rows, width) = (machine.size(rows)?, machine.size(width)?);
    let fits = width == columns && rows.checked_mul(columns) == Some(bytes.len());
    if !(is_byte && fits) {
        return None;
    }
    if machine.size(by_columns)? == 0 {
        return Some(bytes);
    }
    let places = (0..rows).flat_map(|row| (0..columns).map(move |c| c * rows + row));
    Some(places.map(|place| bytes[place]).collect())
}

/// Bytes, as Python 2 writes them or as Python 3 does for it: a text of characters below 256.
fn bytes_of(machine: &Machine<'_>, place: usize) -> Option<Vec<u8>> {
    if let Some(bytes) = machine.bytes(place) {
        return Some(bytes.to_vec());
    }
    let (arguments, _) = machine.call(place, "_codecs.encode")?;
    let text = machine.text(*arguments.first()?)?;
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        bytes.push(u8::try_from(character).ok()?);
    }
    Some(bytes)
}
