//! Labelled images: where they come from and how they become batches.
//!
//! The way of an image is a straight line: [`DataName::load`] reads a training and a test
//! [`ImageSet`], [`redraw_labels`] may corrupt some of the training labels, an [`Augment`] turns
//! bytes into normalised numbers, and a [`Loader`] hands out batches. Everything random is a
//! function of a seed and of the place where it is used, never of timing or of what was drawn
//! before.

pub mod augment;
pub mod batches;
pub mod cifar;
pub mod embedded;
pub mod host_batch;
pub mod idx;
pub mod image_file;
pub mod image_folder;
pub mod image_set;
pub mod label_noise;
pub mod mix;
pub mod published;
pub mod subset;

pub(crate) mod draw;
pub(crate) mod files;
mod image_mistake;
mod prefetch;
pub(crate) mod remarks;
pub(crate) mod scan;
mod targets;
mod tiff_head;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

pub use augment::{Augment, AugmentConfig, Normalisation, NormalisedBy};
pub use batches::{BatchConfig, Batches, ImageSource, Loader, Source, epoch_order};
pub use host_batch::{HostBatch, ImageBatch, Mixed};
pub use image_file::Decoding;
pub use image_folder::FolderConfig;
pub use image_set::{ImageItem, ImageSet, ImageShape, SampleFiles, Splits};
pub use label_noise::{LabelNoise, Labelled, redraw_labels};
pub use mix::{Mixup, Partner};
pub use published::Published;
pub use subset::Subset;
pub use targets::{TargetTensor, TargetValues, Targets};

use crate::pose;
use crate::text::{self, GlueTask, TextKind};
use crate::{Error, Result};
use cifar::Cifar;
use embedded::FASHION_MNIST_CLASSES;

/// The classes of MNIST, in the order of their labels.
pub const MNIST_CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A data set that this crate can load.
///
/// It is read from its [`name`](Self::name), in any case and with or without hyphens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
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
    /// Images of any classes, from a folder; named `image-folder`.
    ImageFolder,
    /// People with their joints, from a folder; named `pose`.
    Pose,
    /// Film reviews, from a folder; named `sst2`.
    Sst2,
    /// Pairs of sentences, from a folder; named `mrpc`.
    Mrpc,
    /// Sentences of linguists, from a folder; named `cola`.
    Cola,
    /// Pairs of questions, from a folder; named `qqp`.
    Qqp,
    /// Pairs of a premise and a hypothesis, from a folder; named `mnli`.
    Mnli,
    /// Questions and sentences, from a folder; named `qnli`.
    Qnli,
    /// Pairs of sentences, from a folder; named `rte`.
    Rte,
    /// Pairs of sentences with a pronoun, from a folder; named `wnli`.
    Wnli,
    /// Pairs of sentences with how similar they are, a number, from a folder; named `stsb`.
    Stsb,
    /// Texts of any classes, from tables in a folder; named `text`.
    Text,
    /// The samples of a program's own task; named `own`. No list has it.
    Own,
}

/// What a data set has samples of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Labelled images.
    Images,
    /// People with their joints.
    People,
    /// Texts with labels, or with a number each.
    Texts(TextKind),
    /// Whatever a program's own task has.
    Own,
}

impl DataName {
    /// Every data set, in the order in which lists show them.
    pub const ALL: [Self; 17] = [
        Self::FashionMnistSmall,
        Self::FashionMnist,
        Self::Mnist,
        Self::Cifar10,
        Self::Cifar100,
        Self::ImageFolder,
        Self::Pose,
        Self::Sst2,
        Self::Mrpc,
        Self::Cola,
        Self::Qqp,
        Self::Mnli,
        Self::Qnli,
        Self::Rte,
        Self::Wnli,
        Self::Stsb,
        Self::Text,
    ];

    /// What it has samples of.
    pub fn kind(self) -> Kind {
        match self {
            Self::Pose => Kind::People,
            Self::Own => Kind::Own,
            Self::Text => Kind::Texts(TextKind::Own),
            _ => self.glue().map_or(Kind::Images, |task| Kind::Texts(TextKind::Glue(task))),
        }
    }

    /// The task of GLUE that it is, if it is one.
    fn glue(self) -> Option<GlueTask> {
        match self {
            Self::Sst2 => Some(GlueTask::Sst2),
            Self::Mrpc => Some(GlueTask::Mrpc),
            Self::Cola => Some(GlueTask::Cola),
            Self::Qqp => Some(GlueTask::Qqp),
            Self::Mnli => Some(GlueTask::Mnli),
            Self::Qnli => Some(GlueTask::Qnli),
            Self::Rte => Some(GlueTask::Rte),
            Self::Wnli => Some(GlueTask::Wnli),
            Self::Stsb => Some(GlueTask::Stsb),
            _ => None,
        }
    }

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::FashionMnistSmall => "embedded",
            Self::FashionMnist => "fashion-mnist",
            Self::Mnist => "mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::ImageFolder => "image-folder",
            Self::Pose => "pose",
            Self::Sst2 => "sst2",
            Self::Mrpc => "mrpc",
            Self::Cola => "cola",
            Self::Qqp => "qqp",
            Self::Mnli => "mnli",
            Self::Qnli => "qnli",
            Self::Rte => "rte",
            Self::Wnli => "wnli",
            Self::Stsb => "stsb",
            Self::Text => "text",
            Self::Own => "own",
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
                "objects and animals, 50,000 and 10,000 images of 32x32, colour, 100 classes; from a folder"
            }
            Self::ImageFolder => {
                "images of any classes, in train/CLASS and test/CLASS or as Tiny-ImageNet; from a folder"
            }
            Self::Pose => "people with their joints, as COCO keypoints; from a folder",
            Self::Own => "the samples of the program's own task",
            Self::Text => {
                "texts or pairs of any classes, in train and test as .tsv, .csv or .jsonl; from a folder"
            }
            _ => self.glue().map_or("", GlueTask::description),
        }
    }

    /// The files that the folder should hold, in words; `None` where no folder is needed.
    pub fn expected_files(self) -> Option<&'static str> {
        match self {
            Self::FashionMnistSmall => None,
            Self::FashionMnist | Self::Mnist => Some(idx::EXPECTED_FILES),
            Self::Cifar10 => Some(Cifar::Ten.expected_files()),
            Self::Cifar100 => Some(Cifar::Hundred.expected_files()),
            Self::ImageFolder => Some(image_folder::EXPECTED_FILES),
            Self::Pose => Some(pose::EXPECTED_FILES),
            Self::Text => Some(text::EXPECTED_FILES),
            _ => self.glue().map(GlueTask::expected_files),
        }
    }

    /// Reads the data set from `data_dir`, or from the folder in it that has the name of the data
    /// set, where there is one; the embedded one needs none.
    ///
    /// # Errors
    ///
    /// [`Error::NoFolder`] if a folder is needed and none is given, [`Error::Setting`] if one is
    /// given for the embedded data, and the errors of
    /// [`idx::read_folder`], [`cifar::read_folder`] and [`image_folder::read_folder`].
    pub fn load(self, data_dir: Option<&Path>) -> Result<Splits> {
        self.load_with(data_dir, &FolderConfig::default())
    }

    /// The same, with settings that only an image folder has a use for.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and [`Error::Setting`] if one of them is not the default and this
    /// is no image folder.
    pub fn load_with(self, data_dir: Option<&Path>, config: &FolderConfig) -> Result<Splits> {
        self.check_folder(config)?;
        self.check_dir(data_dir)?;
        let folder = || self.folder(data_dir);
        let read = || match self {
            Self::FashionMnistSmall => embedded::load(),
            Self::FashionMnist => {
                idx::read_folder(&idx::inner(&folder()?, "FashionMNIST"), &FASHION_MNIST_CLASSES)
            }
            Self::Mnist => idx::read_folder(&idx::inner(&folder()?, "MNIST"), &MNIST_CLASSES),
            Self::Cifar10 => cifar::read_folder(&folder()?, Cifar::Ten),
            Self::Cifar100 => cifar::read_folder(&folder()?, Cifar::Hundred),
            Self::ImageFolder => image_folder::read_folder(&folder()?, config),
            _ => Err(Error::Setting {
                field: "data",
                found: self.name().to_owned(),
                allowed: "labelled images",
            }),
        };
        read().map_err(|error| self.with_way(error, data_dir))
    }

    /// The folder with the files: `data_dir`, or the one in it that has this name, as
    /// `lowland data fetch` makes it.
    ///
    /// # Errors
    ///
    /// [`Error::NoFolder`] if none is given.
    pub fn folder(self, data_dir: Option<&Path>) -> Result<PathBuf> {
        let Some(folder) = data_dir else {
            let expected = self.expected_files().unwrap_or_default().to_owned();
            return Err(Error::NoFolder { data: self.name(), expected, way: self.way(None) });
        };
        let own = folder.join(self.name());
        Ok(if own.is_dir() { own } else { folder.to_owned() })
    }

    /// Whether it is a part of the program, and in no folder.
    pub fn is_embedded(self) -> bool {
        self == Self::FashionMnistSmall
    }

    /// Whether damaged files, lines or entries of it can be left out.
    pub fn can_skip_damaged(self) -> bool {
        matches!(self, Self::ImageFolder | Self::Pose) || matches!(self.kind(), Kind::Texts(_))
    }

    /// An error where a folder is given and none is read.
    pub(crate) fn check_dir(self, data_dir: Option<&Path>) -> Result<()> {
        let Some(dir) = data_dir.filter(|_| self.is_embedded()) else { return Ok(()) };
        Err(Error::Setting {
            field: "data_dir",
            found: dir.display().to_string(),
            allowed: "left out with the embedded data, which needs no folder: name the data that \
                      is in the folder, such as image-folder (--data)",
        })
    }

    /// How the data set is named or brought, where it is not in `folder`.
    fn way(self, folder: Option<&Path>) -> String {
        let which = if folder.is_some() { "another" } else { "a" };
        let way = format!("name {which} folder with --data-dir");
        let Some(_) = self.published() else { return way };
        let folder =
            folder.map_or_else(|| "data".to_owned(), |folder| folder.display().to_string());
        format!("{way}, or download it: lowland data fetch {self} --data-dir {folder}")
    }

    /// Says with an error for something that is not in `data_dir` what to do.
    pub fn with_way(self, error: Error, data_dir: Option<&Path>) -> Error {
        match error {
            error @ Error::Missing { .. } => {
                let inner = data_dir.and_then(|folder| inner_folder(folder, &error));
                let way = inner.unwrap_or_else(|| self.way(data_dir));
                Error::MissingData { missing: Box::new(error), way }
            }
            error => error,
        }
    }

    /// An error unless the settings are in range, and the default where they do not apply.
    pub(crate) fn check_folder(self, config: &FolderConfig) -> Result<()> {
        config.check()?;
        let FolderConfig { image_size, skip_damaged, decoding } = *config;
        let images = self == Self::ImageFolder;
        // People are cut out of image files too.
        let files = images || self == Self::Pose;
        let default = Decoding::default();
        let refused = |field, value: String, allowed| {
            Err(Error::Setting { field, found: format!("{value} with {self}"), allowed })
        };
        if let Some(size) = image_size.filter(|_| !images) {
            let allowed = "left out unless the data is an image-folder";
            return refused("image_size", size.to_string(), allowed);
        }
        let allowed = "left out unless the data is an image-folder, pose or texts";
        if skip_damaged && !self.can_skip_damaged() {
            return refused("skip_damaged", "true".to_owned(), allowed);
        }
        let allowed = "left out unless the data is an image-folder or pose";
        if decoding.upright != default.upright && !files {
            return refused("upright", decoding.upright.to_string(), allowed);
        }
        if decoding.max_megapixels != default.max_megapixels && !files {
            return refused("max_megapixels", decoding.max_megapixels.to_string(), allowed);
        }
        Ok(())
    }
}

/// What to do where a folder in `folder` has what is missing in `folder` itself: archives are often
/// unpacked into a folder of the same name.
fn inner_folder(folder: &Path, missing: &Error) -> Option<String> {
    let Error::Missing { path, expected, .. } = missing else { return None };
    if path.parent() != Some(folder) {
        return None;
    }
    let name = path.file_name()?.to_str()?;
    let names = expected.split([' ', ',']).chain([name]);
    let names: Vec<&str> =
        names.filter(|name| !name.is_empty() && Path::new(name).is_relative()).collect();
    let entries = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().find_map(|inner| {
        let name = names.iter().find(|name| inner.join(name).exists())?;
        let inner = inner.display();
        Some(format!("{inner} has {name}: name that folder (--data-dir {inner})"))
    })
}

impl fmt::Display for DataName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for DataName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let letters = |name: &str| {
            let letters = name.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>()
        };
        let found = Self::ALL.into_iter().find(|data| letters(data.name()) == letters(name));
        found.ok_or_else(|| Error::unknown("data set", name, &Self::ALL.map(Self::name)))
    }
}

impl TryFrom<String> for DataName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        // In the settings of runs, and nothing that one can ask for.
        if name == Self::Own.name() { Ok(Self::Own) } else { name.parse() }
    }
}
