//! What a rule carries from step to step, as named fields that can be saved and loaded.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_pack::Scalar;

use crate::{Error, ParamVec, Parameters, Result};

/// One view of all that a rule remembers, for saving and for loading alike, so that the two cannot
/// drift apart: the rule names its fields one by one, and each is read or replaced.
pub trait State {
    /// A number.
    ///
    /// # Errors
    /// While loading: the field is missing or of another kind. So for all fields.
    fn number(&mut self, name: &str, value: &mut f64) -> Result<()>;

    /// A count.
    ///
    /// # Errors
    /// See [`number`](Self::number).
    fn count(&mut self, name: &str, value: &mut u64) -> Result<()>;

    /// A list of numbers.
    ///
    /// # Errors
    /// See [`number`](Self::number).
    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()>;

    /// A vector over the parameters, or its absence.
    ///
    /// # Errors
    /// See [`number`](Self::number).
    fn vector(&mut self, name: &str, value: &mut Option<ParamVec>) -> Result<()>;
}

/// Gives the fields of a part names that begin with the part's own.
pub(crate) struct Within<'a> {
    pub(crate) part: &'static str,
    pub(crate) state: &'a mut dyn State,
}

impl Within<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.part)
    }
}

impl State for Within<'_> {
    fn number(&mut self, name: &str, value: &mut f64) -> Result<()> {
        self.state.number(&self.name(name), value)
    }

    fn count(&mut self, name: &str, value: &mut u64) -> Result<()> {
        self.state.count(&self.name(name), value)
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        self.state.numbers(&self.name(name), value)
    }

    fn vector(&mut self, name: &str, value: &mut Option<ParamVec>) -> Result<()> {
        self.state.vector(&self.name(name), value)
    }
}

/// Fields by name, off the device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    pub(crate) scalars: BTreeMap<String, Scalar>,
    pub(crate) tensors: BTreeMap<String, TensorData>,
    /// The parameters that the vectors among them run over, in order; each is its name of Burn's,
    /// its number of elements and its path.
    pub(crate) parameters: Vec<(u64, usize, String)>,
}

/// Saves: copies every field.
#[derive(Debug, Default)]
pub(crate) struct Save {
    pub(crate) fields: Fields,
}

impl State for Save {
    fn number(&mut self, name: &str, value: &mut f64) -> Result<()> {
        self.fields.scalars.insert(name.to_owned(), Scalar::Float(*value));
        Ok(())
    }

    fn count(&mut self, name: &str, value: &mut u64) -> Result<()> {
        self.fields.scalars.insert(name.to_owned(), Scalar::UInt(*value));
        Ok(())
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        let data = TensorData::new(value.clone(), [value.len()]);
        self.fields.tensors.insert(name.to_owned(), data);
        Ok(())
    }

    fn vector(&mut self, name: &str, value: &mut Option<ParamVec>) -> Result<()> {
        let parts = value.as_ref().map(ParamVec::parts).unwrap_or_default();
        self.count(&parts_name(name), &mut (parts.len() as u64))?;
        for (i, part) in parts.iter().enumerate() {
            if let Some(part) = part {
                let data = part.clone().try_into_data();
                let data = data.map_err(|error| Error::ReadBack(error.to_string()))?;
                self.fields.tensors.insert(part_name(name, i), data);
            }
        }
        Ok(())
    }
}

/// Loads: replaces every field, and knows at the end whether one was left over.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) fields: Fields,
    pub(crate) device: Device,
}

impl Load {
    /// Fails where a field was saved that nothing asked for.
    pub(crate) fn finish(self) -> Result<()> {
        let Fields { scalars, tensors, .. } = self.fields;
        match scalars.into_keys().chain(tensors.into_keys()).next() {
            Some(field) => Err(Error::record(&field, "is of another algorithm")),
            None => Ok(()),
        }
    }

    fn scalar<T: TryFrom<Scalar>>(&mut self, name: &str) -> Result<T> {
        let scalar = self.fields.scalars.remove(name).ok_or_else(|| missing(name))?;
        T::try_from(scalar).map_err(|_| Error::record(name, "is of another kind"))
    }
}

fn missing(name: &str) -> Error {
    Error::record(name, "is missing")
}

fn parts_name(name: &str) -> String {
    format!("{name}.parts")
}

fn part_name(name: &str, i: usize) -> String {
    format!("{name}.{i}")
}

/// More parameter tensors than any module has: a corrupt count asks for no more memory than this.
const MOST_PARTS: u64 = 1 << 20;

impl State for Load {
    fn number(&mut self, name: &str, value: &mut f64) -> Result<()> {
        *value = self.scalar(name)?;
        Ok(())
    }

    fn count(&mut self, name: &str, value: &mut u64) -> Result<()> {
        *value = self.scalar(name)?;
        Ok(())
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        let data = self.fields.tensors.remove(name).ok_or_else(|| missing(name))?;
        if data.dtype() != DType::F64 {
            return Err(Error::record(name, "is of another kind"));
        }
        *value = data.iter::<f64>().collect();
        Ok(())
    }

    fn vector(&mut self, name: &str, value: &mut Option<ParamVec>) -> Result<()> {
        let parts: u64 = self.scalar(&parts_name(name))?;
        if parts > MOST_PARTS {
            return Err(Error::record(name, "has more parts than a module can have"));
        }
        let mut part = |i| {
            let name = part_name(name, i);
            let Some(data) = self.fields.tensors.remove(&name) else { return Ok(None) };
            if data.shape().rank() != 1 || !data.dtype().is_float() {
                return Err(Error::record(&name, "is of another kind"));
            }
            let dtype = data.dtype();
            Ok(Some(Tensor::from_data(data, (&self.device, dtype))))
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most MOST_PARTS")]
        let list: Result<Vec<_>> = (0..parts as usize).map(&mut part).collect();
        *value = (parts > 0).then_some(ParamVec::new(list?));
        Ok(())
    }
}

/// Carries every vector over to other parameters: what belongs to a parameter that stays is kept, that of
/// a new one is absent, which is how rules begin.
#[derive(Debug)]
pub(crate) struct Carry<'a> {
    /// The place of each new parameter among the old ones.
    places: Vec<Option<usize>>,
    old: &'a Parameters,
}

impl<'a> Carry<'a> {
    pub(crate) fn new(old: &'a Parameters, new: &Parameters) -> Self {
        Self { places: new.places_among(old), old }
    }
}

impl State for Carry<'_> {
    fn number(&mut self, _name: &str, _value: &mut f64) -> Result<()> {
        Ok(())
    }

    fn count(&mut self, _name: &str, _value: &mut u64) -> Result<()> {
        Ok(())
    }

    fn numbers(&mut self, _name: &str, _value: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }

    fn vector(&mut self, name: &str, value: &mut Option<ParamVec>) -> Result<()> {
        let Some(vector) = value.take() else { return Ok(()) };
        Fit(self.old).vector(name, &mut Some(vector.clone()))?;
        let old = vector.into_parts();
        let parts = self.places.iter().map(|place| place.and_then(|i| old[i].clone()));
        *value = Some(ParamVec::new(parts.collect()));
        Ok(())
    }
}

/// Checks that every vector runs over these parameters.
#[derive(Debug)]
pub(crate) struct Fit<'a>(pub(crate) &'a Parameters);

impl State for Fit<'_> {
    fn number(&mut self, _name: &str, _value: &mut f64) -> Result<()> {
        Ok(())
    }

    fn count(&mut self, _name: &str, _value: &mut u64) -> Result<()> {
        Ok(())
    }

    fn numbers(&mut self, _name: &str, _value: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }

    fn vector(&mut self, name: &str, value: &mut Option<ParamVec>) -> Result<()> {
        let Some(vector) = value else { return Ok(()) };
        let fits = |(part, parameter): (&Option<Tensor<1>>, &crate::Parameter)| {
            part.as_ref().is_none_or(|part| part.dims()[0] == parameter.shape.num_elements())
        };
        if vector.len() != self.0.len() || !vector.parts().iter().zip(self.0.iter()).all(fits) {
            return Err(Error::record(name, "is over the parameters of another module"));
        }
        Ok(())
    }
}
