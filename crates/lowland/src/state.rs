//! What rules carry from step to step, by name.

use std::collections::BTreeMap;

use burn::tensor::{Bytes, DType, Device, Tensor, TensorData};
use burn_pack::Scalar;

use crate::{Error, ParamVec, Parameters, Result};

mod fields;
pub(crate) use fields::{Fields, broken};

/// What a rule remembers, by name. A rule and its parts write all of it with `put_…` and read the
/// same back with `take_…`; what is missing, of another kind or left over is an error. Vectors stay
/// on their device and are shared, not copied.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    scalars: BTreeMap<String, Scalar>,
    lists: BTreeMap<String, Vec<f64>>,
    /// A number for each parameter; `None` for one that is new.
    each: BTreeMap<String, Vec<Option<f64>>>,
    vectors: BTreeMap<String, Option<ParamVec>>,
    /// The names of the parts around the one that reads or writes now, each with a dot behind it.
    prefix: String,
}

impl Memory {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Gives the names that `part` uses a prefix of their own, so that parts cannot mix theirs up.
    ///
    /// # Errors
    /// Whatever `part` gives.
    pub fn within<T>(
        &mut self,
        name: &str,
        part: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outer = self.prefix.len();
        self.prefix.push_str(name);
        self.prefix.push('.');
        let result = part(self);
        self.prefix.truncate(outer);
        result
    }

    /// Writes a number.
    pub fn put_number(&mut self, name: &str, value: f64) {
        self.scalars.insert(self.name(name), Scalar::Float(value));
    }

    /// Writes a count.
    pub fn put_count(&mut self, name: &str, value: u64) {
        self.scalars.insert(self.name(name), Scalar::UInt(value));
    }

    /// Writes a list of numbers.
    pub fn put_numbers(&mut self, name: &str, values: Vec<f64>) {
        self.lists.insert(self.name(name), values);
    }

    /// Writes a number for each parameter, in their order; an empty list where there are none yet.
    /// A number that is NaN counts as that of a new parameter.
    pub fn put_per_parameter(&mut self, name: &str, values: &[f64]) {
        self.each.insert(self.name(name), values.iter().map(|&value| Some(value)).collect());
    }

    /// Writes a vector over the parameters, or its absence.
    pub fn put_vector(&mut self, name: &str, value: Option<&ParamVec>) {
        self.vectors.insert(self.name(name), value.cloned());
    }

    /// Reads a number.
    ///
    /// # Errors
    /// [`Error::Record`] where it is missing or of another kind.
    pub fn take_number(&mut self, name: &str) -> Result<f64> {
        self.scalar(name)
    }

    /// Reads a count.
    ///
    /// # Errors
    /// [`Error::Record`] where it is missing or of another kind.
    pub fn take_count(&mut self, name: &str) -> Result<u64> {
        self.scalar(name)
    }

    fn scalar<T: TryFrom<Scalar>>(&mut self, name: &str) -> Result<T> {
        let name = self.name(name);
        let scalar = self.scalars.remove(&name).ok_or_else(|| missing(&name))?;
        T::try_from(scalar).map_err(|_| Error::record(&name, "is of another kind"))
    }

    /// Reads a list of numbers.
    ///
    /// # Errors
    /// [`Error::Record`] where it is missing.
    pub fn take_numbers(&mut self, name: &str) -> Result<Vec<f64>> {
        let name = self.name(name);
        self.lists.remove(&name).ok_or_else(|| missing(&name))
    }

    /// Reads a number for each parameter, `start` for those that are new to the training.
    ///
    /// # Errors
    /// [`Error::Record`] where it is missing.
    pub fn take_per_parameter(&mut self, name: &str, start: f64) -> Result<Vec<f64>> {
        let name = self.name(name);
        let values = self.each.remove(&name).ok_or_else(|| missing(&name))?;
        Ok(values.into_iter().map(|value| value.unwrap_or(start)).collect())
    }

    /// Reads a vector over the parameters, or its absence.
    ///
    /// # Errors
    /// [`Error::Record`] where neither is there.
    pub fn take_vector(&mut self, name: &str) -> Result<Option<ParamVec>> {
        let name = self.name(name);
        self.vectors.remove(&name).ok_or_else(|| missing(&name))
    }

    /// Fails where something was written that nothing has read.
    pub(crate) fn finish(self) -> Result<()> {
        let names = self.scalars.into_keys().chain(self.lists.into_keys());
        match names.chain(self.each.into_keys()).chain(self.vectors.into_keys()).next() {
            Some(name) => Err(Error::record(&name, "is of another algorithm")),
            None => Ok(()),
        }
    }

    /// Carries every vector and every list with a number for each parameter over to other
    /// parameters: what belongs to a parameter that stays is kept, that of a new one is absent,
    /// which is how rules begin.
    ///
    /// # Errors
    /// [`Error::Record`] for a vector or list that is not over the old parameters.
    pub(crate) fn carry(&mut self, old: &Parameters, new: &Parameters) -> Result<()> {
        let places = new.places_among(old);
        let unfit = |name: &str| Error::record(name, "is over the parameters of another module");
        for (name, values) in self.each.iter_mut().filter(|(_, values)| !values.is_empty()) {
            if values.len() != old.len() {
                return Err(unfit(name));
            }
            *values = places.iter().map(|place| place.and_then(|i| values[i])).collect();
        }
        for (name, value) in &mut self.vectors {
            let Some(vector) = value.take() else { continue };
            let fits = |(part, parameter): (&Option<Tensor<1>>, &crate::Parameter)| {
                part.as_ref().is_none_or(|part| part.dims()[0] == parameter.shape.num_elements())
            };
            if vector.len() != old.len() || !vector.parts().iter().zip(old.iter()).all(fits) {
                return Err(unfit(name));
            }
            let parts = vector.into_parts();
            let carried = places.iter().map(|place| place.and_then(|i| parts[i].clone()));
            *value = Some(ParamVec::new(carried.collect()));
        }
        Ok(())
    }

    /// All of it as bytes, in Burn's burnpack format: equal for equal memories.
    ///
    /// # Errors
    /// A device that fails.
    pub fn into_bytes(self) -> Result<Bytes> {
        self.into_fields()?.pack(None).into_bytes().map_err(broken)
    }

    /// All of it, off the device.
    pub(crate) fn into_fields(self) -> Result<Fields> {
        let mut fields = Fields { scalars: self.scalars, ..Fields::default() };
        for (name, values) in self.lists {
            let length = values.len();
            fields.tensors.insert(name, TensorData::new(values, [length]));
        }
        for (name, values) in self.each {
            let values: Vec<f64> =
                values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
            let length = values.len();
            fields.tensors.insert(format!("{name}{EACH}"), TensorData::new(values, [length]));
        }
        for (name, vector) in self.vectors {
            let parts = vector.map(ParamVec::into_parts).unwrap_or_default();
            fields.scalars.insert(parts_name(&name), Scalar::UInt(parts.len() as u64));
            for (i, part) in parts.into_iter().enumerate() {
                let Some(part) = part else { continue };
                let data = part.try_into_data();
                let data = data.map_err(|error| Error::ReadBack(error.to_string()))?;
                fields.tensors.insert(part_name(&name, i), data);
            }
        }
        Ok(fields)
    }

    /// What [`into_fields`](Self::into_fields) gave, with vectors on `device`.
    ///
    /// # Errors
    /// [`Error::Record`] for what is no such thing.
    pub(crate) fn from_fields(fields: Fields, device: &Device) -> Result<Self> {
        let Fields { mut scalars, mut tensors, .. } = fields;
        let mut memory = Self::default();
        let is_vector = |name: &String, _: &mut Scalar| name.ends_with(PARTS);
        let counts: Vec<(String, Scalar)> = scalars.extract_if(.., is_vector).collect();
        for (key, count) in counts {
            let name = key.strip_suffix(PARTS).unwrap_or(&key);
            let count = u64::try_from(count).ok().filter(|&count| count <= MOST_PARTS);
            let count = count
                .ok_or_else(|| Error::record(name, "has more parts than a module can have"))?;
            let mut part = |i| -> Result<Option<Tensor<1>>> {
                let name = part_name(name, i);
                let Some(data) = tensors.remove(&name) else { return Ok(None) };
                if data.shape().rank() != 1 || !data.dtype().is_float() {
                    return Err(Error::record(&name, "is of another kind"));
                }
                let dtype = data.dtype();
                Ok(Some(Tensor::from_data(data, (device, dtype))))
            };
            #[expect(clippy::cast_possible_truncation, reason = "at most MOST_PARTS")]
            let parts: Result<Vec<_>> = (0..count as usize).map(&mut part).collect();
            let vector = (count > 0).then_some(ParamVec::new(parts?));
            memory.vectors.insert(name.to_owned(), vector);
        }
        for (name, data) in tensors {
            if data.dtype() != DType::F64 || data.shape().rank() != 1 {
                return Err(Error::record(&name, "is of another kind"));
            }
            let values = data.iter::<f64>();
            match name.strip_suffix(EACH) {
                Some(name) => {
                    let values = values.map(|value| Some(value).filter(|value| !value.is_nan()));
                    memory.each.insert(name.to_owned(), values.collect());
                }
                None => drop(memory.lists.insert(name, values.collect())),
            }
        }
        memory.scalars = scalars;
        Ok(memory)
    }
}

fn missing(name: &str) -> Error {
    Error::record(name, "is missing")
}

/// What stands behind the name of a vector where the number of its parts is saved.
const PARTS: &str = ".parts";

/// What stands behind the name of a list with a number for each parameter.
const EACH: &str = ".per_parameter";

fn parts_name(name: &str) -> String {
    format!("{name}{PARTS}")
}

fn part_name(name: &str, i: usize) -> String {
    format!("{name}.{i}")
}

/// More parameter tensors than any module has: a corrupt count asks for no more memory than this.
const MOST_PARTS: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameter;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let device = Device::flex();
        let vector = ParamVec::new(vec![Some(Tensor::from_floats([1.0, 2.0], &device)), None]);
        let mut memory = Memory::default();
        memory.put_number("rate", 0.5);
        memory
            .within("part", |memory| {
                memory.put_count("rate", 3);
                memory.put_numbers("list", vec![1.0, f64::NAN]);
                memory.put_per_parameter("each", &[0.25, f64::NAN]);
                memory.put_vector("kept", Some(&vector));
                memory.put_vector("none", None);
                Ok(())
            })
            .unwrap();
        let fields = memory.clone().into_fields().unwrap();
        let mut read = Memory::from_fields(fields, &device).unwrap();
        assert!(read.clone().take_count("rate").is_err(), "a number is no count");
        assert_eq!(read.take_number("rate").unwrap().to_bits(), 0.5_f64.to_bits());
        assert!(read.take_number("rate").is_err(), "each is read once");
        read.within("part", |read| {
            assert_eq!(read.take_count("rate").unwrap(), 3);
            let list = read.take_numbers("list").unwrap();
            assert!(list[1].is_nan());
            assert_eq!(read.take_per_parameter("each", 0.5).unwrap(), [0.25, 0.5]);
            let kept = read.take_vector("kept").unwrap().unwrap();
            assert_eq!(kept.len(), 2);
            assert!(kept.parts()[1].is_none());
            Ok(())
        })
        .unwrap();
        let error = read.clone().finish().unwrap_err();
        assert!(error.to_string().contains("part.none is of another algorithm"), "{error}");
        assert!(read.within("part", |read| read.take_vector("none")).unwrap().is_none());
        read.finish().unwrap();
    }
    #[test]
    fn what_belongs_to_a_parameter_goes_with_it() {
        let parameter = |id: u64, path: &str| Parameter {
            path: path.to_owned(),
            shape: [2].into(),
            outputs: 0,
            id: id.into(),
        };
        let old = Parameters::of_list(vec![parameter(1, "a"), parameter(2, "b")]);
        // As many, one of them new; `b` is known by its path.
        let new = Parameters::of_list(vec![parameter(3, "c"), parameter(4, "b")]);
        let device = Device::flex();
        let part = |values: [f64; 2]| Some(Tensor::from_data(values, (&device, DType::F64)));
        let vector = ParamVec::new(vec![part([1.0, 2.0]), part([3.0, 4.0])]);
        let mut memory = Memory::default();
        memory.put_per_parameter("each", &[0.1, 0.2]);
        memory.put_per_parameter("none", &[]);
        memory.put_vector("vector", Some(&vector));
        memory.put_numbers("list", vec![7.0]);
        memory.carry(&old, &new).unwrap();
        // What is new stays new in a file.
        let fields = memory.into_fields().unwrap();
        let mut memory = Memory::from_fields(fields, &device).unwrap();
        assert_eq!(memory.take_per_parameter("each", 0.9).unwrap(), [0.9, 0.2]);
        assert!(memory.take_per_parameter("none", 0.9).unwrap().is_empty());
        let parts = memory.take_vector("vector").unwrap().unwrap().into_parts();
        assert!(parts[0].is_none());
        assert_eq!(parts[1].clone().unwrap().try_into_vec_as::<f64>().unwrap(), [3.0, 4.0]);
        assert_eq!(memory.take_numbers("list").unwrap(), [7.0], "of no parameter");
        memory.finish().unwrap();

        let mut memory = Memory::default();
        memory.put_per_parameter("each", &[0.1, 0.2, 0.3]);
        let error = memory.carry(&old, &new).unwrap_err();
        assert!(error.to_string().contains("each is over the parameters of another"), "{error}");
    }
}
