//! What a program's own task says of itself.

use std::fmt;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::samples::OwnData;
use crate::data::files::{Each, format_error};
use crate::task::Wording;
use crate::{Error, Result};

/// Why something of a program's own task failed. Any error turns into it with `?`.
pub type Reason = Box<dyn std::error::Error + Send + Sync>;

/// Your own task.
///
/// Samples are rows of numbers, and each has a class or a number to find. The loss is the cross
/// entropy for classes and the squared error for numbers; what is measured is the accuracy, or the
/// coefficient of determination R², beside the root of the mean squared error. Where that does not
/// do, [`Task`](crate::task::Task) is the whole seam.
pub trait OwnTask: fmt::Debug + Send + Sync + Sized + 'static {
    /// The network: any module of Burn.
    type Network: Module + 'static;

    /// The name of the program, which its runs keep, such as "housing".
    fn name(&self) -> &'static str;

    /// Settings that differ from Lowland's defaults, as TOML, such as `"epochs = 30"`. Files and
    /// flags override them. Default: none.
    fn settings(&self) -> &'static str {
        ""
    }

    /// How samples are spoken of. Default: "sample" and "samples".
    fn wording(&self) -> Wording {
        Wording::labelled("sample", "samples")
    }

    /// The samples; `folder` is that of `--data-dir`.
    ///
    /// # Errors
    /// Whatever reading them gives; it is shown as it is.
    fn data(&self, folder: Option<&Path>) -> Result<OwnData, Reason>;

    /// A network for samples of so many numbers, with one output a class, or one in all. Weights
    /// that Burn draws here are a function of the run's seed.
    fn network(&self, inputs: usize, outputs: usize, device: &Device) -> Self::Network;

    /// What the network makes of samples `[batch, numbers]`: a logit for each class,
    /// `[batch, classes]`, or the number that is looked for, `[batch, 1]`. For numbers as they are:
    /// a network that takes another shape brings them to it.
    fn forward(&self, network: &Self::Network, inputs: Tensor<2>) -> Tensor<2>;

    /// The numbers of samples without targets in a file, one after the other, for
    /// `lowland predict`. Default: no file is read.
    ///
    /// # Errors
    /// Whatever reading it gives.
    fn inputs(&self, file: &Path) -> Result<Vec<f32>, Reason> {
        Err(format!("no inputs are read from files, such as {}", file.display()).into())
    }
}

/// Makes an error of what a program's own task says.
pub(super) fn failed(name: &str, reason: &Reason) -> Error {
    Error::Own { program: name.to_owned(), reason: reason.to_string() }
}

/// The samples of some files, one after the other, the name of each, and lines on files that were
/// left out.
pub(super) fn inputs_of<T: OwnTask>(
    own: &T,
    width: usize,
    files: &[PathBuf],
    skip: bool,
) -> Result<(Vec<f32>, Vec<String>, Vec<String>)> {
    let (mut inputs, mut names) = (Vec::new(), Vec::new());
    let each = Each::of(files, |file| {
        let found = own.inputs(file).map_err(|reason| failed(own.name(), &reason))?;
        if found.is_empty() || found.len() % width != 0 {
            let expected = format!("samples of {width} numbers each");
            return Err(format_error(file, expected, format!("{} numbers", found.len())));
        }
        let count = found.len() / width;
        let name = |i: usize| match count {
            1 => file.display().to_string(),
            _ => format!("{}:{}", file.display(), i + 1),
        };
        names.extend((0..count).map(name));
        inputs.extend(found);
        Ok(())
    });
    let (_, remarks) = each.or_left_out(Vec::new(), skip)?;
    Ok((inputs, names, remarks))
}
