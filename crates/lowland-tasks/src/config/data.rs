//! Which data, and how it is read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{DataName, Decoding, FolderConfig, Kind, NormalisedBy};
use crate::error::setting;
use crate::text::{FineTuning, TextColumns, Trained};
use crate::{Error, Result};

/// Which data, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The data set. Default `embedded`.
    pub name: DataName,
    /// The folder that it is read from, where it is not embedded.
    pub dir: Option<PathBuf>,
    /// The side in pixels that the images of an image folder are brought to, 1 to 4096. Default:
    /// they are left as they are, and must all have the same size.
    pub image_size: Option<usize>,
    /// Where the means and deviations come from that images are normalised with. Default: those of
    /// `ImageNet` for its networks, of images in colours, and else measured on the training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<NormalisedBy>,
    /// Mean and deviation of each channel, of pixels from 0 to 1, that images are normalised with, in
    /// place of what `normalisation` finds. Default: what it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_statistics: Option<Vec<(f64, f64)>>,
    /// The share of the training samples, after `train_limit`, that is set apart to choose by: the
    /// best epoch, and when training stops. Above 0 and below 1, drawn over all classes, labels as
    /// they are. Default: none, or the set's own validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// The seed that they are drawn with, apart from the run's: the same for all algorithms and
    /// seeds of a comparison. Default 0.
    pub split_seed: u64,
    /// The share of training labels that is corrupted, drawn anew at random, between 0 and 1.
    /// Default 0.
    pub label_noise: f64,
    /// Only this many training samples, drawn over all classes. Default: all.
    pub train_limit: Option<usize>,
    /// Only this many test samples, drawn over all classes. Default: all.
    pub test_limit: Option<usize>,
    /// The seed of every subset that is drawn: those of the limits, of measurements of sharpness
    /// and of the calibration of quantisers. It is apart from the run's seed, so that runs with
    /// different seeds have the same samples. Default 0.
    pub subset_seed: u64,
    /// Whether images are turned as their EXIF data says; see [`Decoding::upright`]. Default true.
    pub upright: bool,
    /// The most millions of pixels of an image file; see [`Decoding::max_megapixels`]. Default 200.
    pub max_megapixels: u32,
    /// Whether damaged image files, and damaged lines of texts, are left out and counted instead of
    /// refused. Default false.
    pub skip_damaged: bool,
    /// The column of the texts, of your own tables; see [`TextColumns`]. Default: by its name.
    pub text_column: Option<String>,
    /// The column of the second texts of pairs. Default: by its name, where there is one.
    pub pair_column: Option<String>,
    /// The column of the labels. Default: by its name.
    pub label_column: Option<String>,
}

impl Default for DataConfig {
    fn default() -> Self {
        let Decoding { upright, max_megapixels } = Decoding::default();
        Self {
            name: DataName::default(),
            dir: None,
            image_size: None,
            normalisation: None,
            pixel_statistics: None,
            validation: None,
            split_seed: 0,
            label_noise: 0.0,
            train_limit: None,
            test_limit: None,
            subset_seed: 0,
            upright,
            max_megapixels,
            skip_damaged: false,
            text_column: None,
            pair_column: None,
            label_column: None,
        }
    }
}

impl DataConfig {
    /// How image files are read.
    pub fn folder(&self) -> FolderConfig {
        let Self { image_size, upright, max_megapixels, skip_damaged, .. } = *self;
        FolderConfig { image_size, skip_damaged, decoding: Decoding { upright, max_megapixels } }
    }

    /// Which columns of your own table are read.
    pub fn columns(&self) -> TextColumns {
        TextColumns {
            text: self.text_column.clone(),
            pair: self.pair_column.clone(),
            label: self.label_column.clone(),
        }
    }

    /// Checks the values, and that they apply to the data set.
    ///
    /// # Errors
    /// [`Error::Setting`] where one is out of range, or does not apply.
    pub fn check(&self) -> Result<()> {
        let noise = self.label_noise;
        setting("label_noise", (0.0..=1.0).contains(&noise), noise, "between 0 and 1")?;
        if let Some(share) = self.validation {
            setting("validation", share > 0.0 && share < 1.0, share, "above 0 and below 1")?;
        }
        self.name.check_folder(&self.folder())?;
        self.name.check_dir(self.dir.as_deref())?;
        let is_of_images = self.name.kind() == Kind::Images;
        let allowed = "left out: it is for labelled images";
        setting("normalisation", is_of_images || self.normalisation.is_none(), "a value", allowed)?;
        let given = self.pixel_statistics.is_some();
        setting("pixel_statistics", is_of_images || !given, "a value", allowed)?;
        for (field, column) in [
            ("text_column", &self.text_column),
            ("pair_column", &self.pair_column),
            ("label_column", &self.label_column),
        ] {
            if let Some(column) = column.as_ref().filter(|_| self.name != DataName::Text) {
                let found = format!("{column:?} with {}", self.name);
                return Err(Error::Setting {
                    field,
                    found,
                    allowed: "left out unless the data is text",
                });
            }
        }
        for (field, limit) in [("train_limit", self.train_limit), ("test_limit", self.test_limit)] {
            setting(field, limit != Some(0), 0, "at least 1")?;
        }
        Ok(())
    }
}

/// How a pretrained transformer is fine-tuned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// The most tokens of a text; what is longer is cut. Default 64.
    pub max_length: usize,
    /// Which weights are learned. Default: all.
    pub trained: Trained,
    /// The share of numbers that the encoder drops while it learns, from 0 to below 1; see
    /// [`FineTuning::dropout`]. Default 0.
    pub dropout: f64,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self { max_length: 64, trained: Trained::default(), dropout: 0.0 }
    }
}

impl TextConfig {
    pub(crate) fn tuning(&self) -> FineTuning {
        FineTuning { trained: self.trained.clone(), dropout: self.dropout, new_head: false }
    }
}
