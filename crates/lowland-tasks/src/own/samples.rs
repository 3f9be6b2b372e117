//! Samples of a program's own task.

use crate::checkpoint::sha256;
use crate::data::Labelled;
pub use crate::data::Targets;
use crate::data::subset::Select;
use crate::{Error, Result};

/// Samples, each a row of numbers with what is looked for in it. There is at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSet {
    inputs: Vec<f32>,
    width: usize,
    targets: Targets,
}

/// The samples of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnData {
    /// What is learned from.
    pub train: SampleSet,
    /// What is chosen by, where the task has such a part of its own. Default: none.
    pub validation: Option<SampleSet>,
    /// What is tested on.
    pub test: SampleSet,
    /// What was left out or decided on the way, a line each, which runs say. Default: nothing.
    pub remarks: Vec<String>,
}

impl OwnData {
    /// What is learned from, and what is tested on.
    pub fn new(train: SampleSet, test: SampleSet) -> Self {
        Self { train, validation: None, test, remarks: Vec::new() }
    }
}

impl SampleSet {
    /// Samples of classes: their numbers, one sample after the other, a label for each, below the
    /// number of classes, and the names of the classes.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no sample, numbers that do not divide evenly among the
    /// labels or are not finite, a label without a name, fewer than two names or more than 65,536.
    pub fn of_classes(inputs: Vec<f32>, labels: Vec<u16>, names: Vec<String>) -> Result<Self> {
        let classes = names.len();
        crate::error::setting(
            "number of classes",
            (2..=1 << 16).contains(&classes),
            classes,
            "2 to 65536",
        )?;
        if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(Error::Setting {
                field: "label",
                found: format!("{label} with {classes} classes"),
                allowed: "below the number of classes",
            });
        }
        Self::new(inputs, labels.len(), Targets::Classes { labels, names })
    }

    /// Samples with a number to find in each: their numbers, one sample after the other, and those
    /// to find, one a sample.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no sample, numbers that do not divide evenly among the
    /// samples, and where any is not finite.
    pub fn of_numbers(inputs: Vec<f32>, numbers: Vec<f32>) -> Result<Self> {
        finite("number to find", &numbers)?;
        Self::new(inputs, numbers.len(), Targets::Numbers(numbers))
    }

    /// As many samples as there are targets, which are in range.
    pub(super) fn new(inputs: Vec<f32>, count: usize, targets: Targets) -> Result<Self> {
        if count == 0 || inputs.is_empty() || !inputs.len().is_multiple_of(count) {
            return Err(Error::Setting {
                field: "samples",
                found: format!("{} numbers with {count} targets", inputs.len()),
                allowed: "at least one, with one target each and equally many numbers",
            });
        }
        finite("number of a sample", &inputs)?;
        let width = inputs.len() / count;
        Ok(Self { inputs, width, targets })
    }

    /// How many samples there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.inputs.len() / self.width
    }

    /// How many numbers a sample has, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The numbers of a sample.
    pub(super) fn row(&self, index: usize) -> &[f32] {
        &self.inputs[index * self.width..(index + 1) * self.width]
    }

    /// What is looked for.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// How many outputs a network has for these: one a class, or one for numbers.
    pub fn outputs(&self) -> usize {
        self.targets.outputs()
    }

    /// SHA-256 of all numbers and targets, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        let inputs: Vec<u8> = self.inputs.iter().flat_map(|x| x.to_le_bytes()).collect();
        let width = (self.width as u64).to_le_bytes();
        let names = self.targets.names().join("\0");
        sha256([&*inputs, &width, &self.targets.bytes(), names.as_bytes()])
    }

    /// Whether both sets are samples of one kind: equally wide, with the same classes.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.width == other.width
            && match (&self.targets, &other.targets) {
                (Targets::Classes { names, .. }, Targets::Classes { names: others, .. }) => {
                    names == others
                }
                (Targets::Numbers(_), Targets::Numbers(_)) => true,
                _ => false,
            }
    }
}

fn finite(field: &'static str, numbers: &[f32]) -> Result<()> {
    let Some(index) = numbers.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    Err(Error::Setting {
        field,
        found: format!("{} at place {index}", numbers[index]),
        allowed: "finite",
    })
}

impl Labelled for SampleSet {
    fn labels_and_classes(&mut self) -> (&mut [u16], usize) {
        self.targets.labels_and_classes()
    }
}

impl Select for SampleSet {
    fn size(&self) -> usize {
        self.len()
    }

    fn strata(&self) -> Option<&[u16]> {
        self.targets.strata()
    }

    fn taken(&self, indices: &[usize]) -> Result<Self> {
        let inputs = indices.iter().flat_map(|&index| self.row(index)).copied().collect();
        Self::new(inputs, indices.len(), self.targets.at(indices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_that_make_no_sense_are_refused_by_name() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let set = SampleSet::of_classes(vec![1.0; 6], vec![0, 1, 1], names()).unwrap();
        assert_eq!((set.len(), set.width(), set.outputs()), (3, 2, 2));
        let message = |set: Result<SampleSet>| set.unwrap_err().to_string();
        let label = message(SampleSet::of_classes(vec![1.0; 6], vec![0, 1, 2], names()));
        assert_eq!(label, "label must be below the number of classes, found 2 with 2 classes");
        let uneven = message(SampleSet::of_classes(vec![1.0; 7], vec![0, 1, 1], names()));
        assert!(uneven.contains("7 numbers with 3 targets"), "{uneven}");
        let infinite = message(SampleSet::of_numbers(vec![1.0, f32::NAN], vec![0.0; 2]));
        assert_eq!(infinite, "number of a sample must be finite, found NaN at place 1");
        assert!(SampleSet::of_numbers(Vec::new(), Vec::new()).is_err());
        assert!(SampleSet::of_classes(vec![1.0], vec![0], vec!["a".to_owned()]).is_err());
    }

    #[test]
    fn checksums_distinguish_samples_widths_and_targets() {
        let of = |inputs: &[f32], numbers: &[f32]| {
            SampleSet::of_numbers(inputs.to_vec(), numbers.to_vec()).unwrap().sha256()
        };
        let sums = [
            of(&[1.0, 2.0], &[3.0, 4.0]),
            of(&[1.0, 2.0], &[3.0]),
            of(&[1.0, 2.0], &[3.0, 5.0]),
            of(&[1.0, 3.0], &[3.0, 4.0]),
        ];
        for (i, sum) in sums.iter().enumerate() {
            assert!(sums[i + 1..].iter().all(|other| other != sum));
        }
    }
}
