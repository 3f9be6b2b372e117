//! The data sets that can be asked for by name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::cifar::{self, Cifar};
use super::embedded::{self, FASHION_MNIST_CLASSES};
use super::{Splits, idx};
use crate::{Error, Result};

/// The classes of MNIST, in the order of their labels.
pub const MNIST_CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A data set that this crate can load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataName {
    /// The part of Fashion-MNIST inside the library; named `embedded`.
    #[default]
    #[serde(rename = "embedded")]
    FashionMnistSmall,
    /// Fashion-MNIST, from a folder; named `fashion-mnist`.
    FashionMnist,
    /// MNIST, from a folder; named `mnist`.
    Mnist,
    /// CIFAR-10, from a folder; named `cifar10`.
    Cifar10,
    /// CIFAR-100, from a folder; named `cifar100`.
    Cifar100,
}

impl DataName {
    /// Every data set, in the order in which lists show them.
    pub const ALL: [Self; 5] =
        [Self::FashionMnistSmall, Self::FashionMnist, Self::Mnist, Self::Cifar10, Self::Cifar100];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::FashionMnistSmall => "embedded",
            Self::FashionMnist => "fashion-mnist",
            Self::Mnist => "mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::FashionMnistSmall => {
                "2,500 training and 2,000 test images of Fashion-MNIST (28x28, grey, 10 classes), inside the program"
            }
            Self::FashionMnist => {
                "clothes, 60,000 and 10,000 images of 28x28, grey, 10 classes; from a folder"
            }
            Self::Mnist => {
                "handwritten digits, 60,000 and 10,000 images of 28x28, grey, 10 classes; from a folder"
            }
            Self::Cifar10 => {
                "animals and vehicles, 50,000 and 10,000 images of 32x32, colour, 10 classes; from a folder"
            }
            Self::Cifar100 => {
                "objects and beings, 50,000 and 10,000 images of 32x32, colour, 100 classes; from a folder"
            }
        }
    }

    /// The files that the folder should hold, in words; `None` where no folder is needed.
    pub fn expected_files(self) -> Option<&'static str> {
        match self {
            Self::FashionMnistSmall => None,
            Self::FashionMnist | Self::Mnist => Some(idx::EXPECTED_FILES),
            Self::Cifar10 => Some(Cifar::Ten.expected_files()),
            Self::Cifar100 => Some(Cifar::Hundred.expected_files()),
        }
    }

    /// Reads the data set from `data_dir`; the embedded one needs no folder and looks at none.
    ///
    /// # Errors
    ///
    /// [`Error::NoFolder`] if a folder is needed and none is given, and the errors of
    /// [`idx::read_folder`] and [`cifar::read_folder`].
    pub fn load(self, data_dir: Option<&Path>) -> Result<Splits> {
        let folder = || {
            data_dir.ok_or_else(|| Error::NoFolder {
                data: self.name(),
                expected: self.expected_files().unwrap_or_default().to_owned(),
            })
        };
        match self {
            Self::FashionMnistSmall => embedded::load(),
            Self::FashionMnist => idx::read_folder(folder()?, &FASHION_MNIST_CLASSES),
            Self::Mnist => idx::read_folder(folder()?, &MNIST_CLASSES),
            Self::Cifar10 => cifar::read_folder(folder()?, Cifar::Ten),
            Self::Cifar100 => cifar::read_folder(folder()?, Cifar::Hundred),
        }
    }
}

impl fmt::Display for DataName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for DataName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|data| data.name() == name).ok_or_else(|| Error::Unknown {
            what: "data set",
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}
