//! Image classification.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use lowland::Samples;
use serde_json::json;

use super::{
    AnySource, Boxed, Inputs, Learning, OnHost, Outcome, Split, Task, TaskBatch, Wording,
    class_answers, class_outcome, in_percent, number, split::Parts, start::started,
};
use crate::Result;
use crate::answer::Answer;
use crate::config::TrainConfig;
use crate::data::files::{self, Each};
use crate::data::{
    HostBatch, ImageBatch, ImageSet, ImageShape, ImageSource, LabelNoise, Mixed, Normalisation,
    NormalisedBy, Source, Subset, image_folder, redraw_labels,
};
use crate::models::Model;
use crate::quantise::quantised;
use crate::weights::Export;
use lowland::cross_entropies;

/// How many training images go through a network that is to be quantised, to see what comes into
/// its layers.
const CALIBRATION: usize = 128;

/// Labelled images: cut to size, labels corrupted. The loss is the cross entropy.
#[derive(Debug, Clone)]
pub struct ImageTask {
    /// Images to learn from, to choose by and to test on.
    parts: Parts<ImageSet>,
    /// What became of the training labels.
    pub noise: LabelNoise,
    /// What is done to every pixel before the network sees it.
    pub normalisation: Normalisation,
    /// What was left out of the data set, or decided about it.
    remarks: Vec<String>,
}

impl ImageTask {
    /// Loads the images that `config` asks for.
    ///
    /// # Errors
    /// Whatever reading the data gives, and values out of range.
    pub fn load(config: &TrainConfig) -> Result<Self> {
        let data = &config.data;
        let splits = data.name.load_with(data.dir.as_deref(), &data.folder())?;
        let mut parts = Parts::new(splits.train, splits.validation, splits.test, &config.data)?;
        let (normalisation, remark) = normalisation(config, &parts.train)?;
        let noise = redraw_labels(parts.train_mut(), data.label_noise, config.seed)?;
        let mut remarks = splits.remarks;
        remarks.extend(parts.remarks().iter().cloned());
        remarks.extend(remark);
        Ok(Self { parts, noise, normalisation, remarks })
    }

    fn fresh(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let shape = self.parts.train.shape();
        config.model.check(shape)?;
        config.model.init(self.classes(), shape.channels, config.seed, device)
    }
}

impl Task for ImageTask {
    fn wording(&self) -> Wording {
        Wording::default()
    }

    fn classes(&self) -> usize {
        self.parts.train.classes().len()
    }

    fn count(&self, split: Split) -> usize {
        self.parts.count(split)
    }

    fn checksum(&self, split: Split) -> String {
        self.parts.of(split).map_or_else(|_| String::new(), |set| set.sha256())
    }

    fn class_names(&self) -> Vec<String> {
        self.parts.train.classes().to_vec()
    }

    fn form_of_samples(&self) -> String {
        let ImageShape { channels, height, width } = self.parts.train.shape();
        let channels =
            if channels == 1 { "1 channel".to_owned() } else { format!("{channels} channels") };
        format!("{width}x{height} pixels, {channels}")
    }

    fn pixel_statistics(&self) -> Vec<(f64, f64)> {
        self.normalisation.statistics().to_vec()
    }

    fn inputs(&self, config: &TrainConfig, paths: &[PathBuf]) -> Result<Inputs> {
        let shape = self.parts.train.shape();
        let mut pixels = Vec::new();
        let folder = config.data.folder();
        let each = Each::of(paths, |path| {
            let (found, colours) = image_folder::parse(path, &files::read(path)?, &folder)?;
            let found = ImageShape { channels: shape.channels, ..found };
            if found != shape {
                let expected =
                    format!("an image of {}x{}, as in training", shape.width, shape.height);
                let found = format!("{}x{}", found.width, found.height);
                return Err(files::format_error(path, expected, found));
            }
            match shape.channels {
                1 => pixels.extend(grey(&colours)),
                _ => pixels.extend(colours),
            }
            Ok(())
        });
        let (images, remarks) = each.or_left_out(Vec::new(), folder.skip_damaged)?;
        let set = ImageSet::new(pixels, vec![0; images.len()], shape, self.class_names())?;
        let source = ImageSource::plain(Arc::new(set), self.normalisation.clone())?;
        let names = images.iter().map(|(path, ())| path.display().to_string()).collect();
        Ok(Inputs { source: Box::new(Boxed(source)), names, remarks })
    }

    fn class_counts(&self) -> Option<Vec<usize>> {
        Some(self.parts.train.class_counts())
    }

    fn labels_changed(&self) -> usize {
        self.noise.changed
    }

    fn to_learn(&self, config: &TrainConfig) -> Result<AnySource> {
        let augment = config.augment.build(self.normalisation.clone())?;
        let source = ImageSource::varied(Arc::clone(&self.parts.train), augment, config.seed)?;
        Ok(Box::new(Boxed(source)))
    }

    fn variation(&self, config: &TrainConfig) -> String {
        let augment = &config.augment;
        let mut parts = Vec::new();
        if augment.crop_padding > 0 {
            parts.push(format!("padded by {} pixels and cropped", augment.crop_padding));
        }
        if augment.resized_crop > 0.0 {
            let share = in_percent(augment.resized_crop);
            parts.push(format!("a window of {share} % of the area or more, brought to full size"));
        }
        if augment.mixup > 0.0 {
            parts.push(format!("mixed with another image (mixup, alpha {})", augment.mixup));
        }
        if augment.flip {
            parts.push("mirrored every second time".to_owned());
        }
        if augment.cutout > 0 {
            let (side, share) = (augment.cutout, in_percent(augment.cutout_probability));
            parts.push(format!("a hole of {side} by {side} pixels in {share} % of the images"));
        }
        parts.join(", ")
    }

    fn to_measure(&self, split: Split, at_most: usize) -> Result<AnySource> {
        let set = self.parts.some(split, at_most)?;
        Ok(Box::new(Boxed(ImageSource::plain(set, self.normalisation.clone())?)))
    }

    fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>> {
        self.parts.drawn(split, at_most)
    }

    fn limited(&self, split: Split) -> Option<Subset> {
        self.parts.limited(split)
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn calibration(&self, config: &TrainConfig) -> Option<Subset> {
        config.quantise.as_ref()?;
        self.drawn(Split::Train, CALIBRATION).ok()?
    }

    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let model = started(self.fresh(config, device)?, config)?;
        let Some(bits) = &config.quantise else { return Ok(model) };
        let set = self.parts.some(Split::Train, CALIBRATION)?;
        let all: Vec<usize> = (0..set.len()).collect();
        let source = ImageSource::plain(set, self.normalisation.clone())?;
        let batch = source.prepare(0, &all).to_device(&device.clone().without_autodiff());
        quantised(model, bits, |model: &Model| drop(model.forward(batch.images)))
    }

    /// With the means and deviations that pixels are normalised with, and the size of the images.
    fn export(&self, config: &TrainConfig) -> Result<Export> {
        let mut export = Export::of(config.model.name(), &self.class_names());
        let statistics = self.normalisation.statistics();
        let (means, deviations): (Vec<f64>, Vec<f64>) = statistics.iter().copied().unzip();
        let ImageShape { channels, height, width } = self.normalisation.shape();
        export.add("image_mean", &json!(means));
        export.add("image_std", &json!(deviations));
        export.add("image_shape", &json!([channels, height, width]));
        Ok(export)
    }

    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let model = self.fresh(config, device)?;
        match &config.quantise {
            Some(bits) => bits.form(model),
            None => Ok(model),
        }
    }
}

/// How pixels are normalised, and a remark where that is not by what was measured on them.
fn normalisation(config: &TrainConfig, set: &ImageSet) -> Result<(Normalisation, Option<String>)> {
    let shape = set.shape();
    if let Some(statistics) = &config.data.pixel_statistics {
        return Ok((Normalisation::given(shape, statistics)?, None));
    }
    let is_default = config.model.is_of_imagenet() && shape.channels == 3;
    let default = if is_default { NormalisedBy::ImageNet } else { NormalisedBy::Measured };
    Ok(match config.data.normalisation.unwrap_or(default) {
        NormalisedBy::Measured => (Normalisation::of(set), None),
        NormalisedBy::ImageNet => {
            let remark = "pixels are normalised with the means and deviations of ImageNet \
                          (--normalisation measured takes those of the training images)";
            (Normalisation::of_imagenet(shape)?, Some(remark.to_owned()))
        }
    })
}

/// Three planes of colour as one of grey: the luma of ITU-R BT.601, which JPEG has too.
fn grey(colours: &[u8]) -> Vec<u8> {
    let plane = colours.len() / 3;
    let (red, rest) = colours.split_at(plane);
    let (green, blue) = rest.split_at(plane);
    let luma = |((&red, &green), &blue): ((&u8, &u8), &u8)| {
        let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
        u8::try_from((sum + 500) / 1000).unwrap_or(u8::MAX)
    };
    red.iter().zip(green).zip(blue).map(luma).collect()
}

impl OnHost for HostBatch {
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn TaskBatch> {
        Box::new((*self).to_device(device))
    }
}

impl TaskBatch for ImageBatch {
    fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn piece(&self, range: Range<usize>) -> Box<dyn TaskBatch> {
        Box::new(self.piece(range))
    }

    fn losses(&self, model: &Model, samples: &Samples, learning: Learning) -> Tensor<1> {
        let (images, labels) = self.select(samples);
        let logits = model.forward(learning.precision.of(images));
        let losses = learning.cross_entropies(logits.clone(), labels);
        match self.select_mixed(samples) {
            None => losses,
            Some(Mixed { labels, shares }) => {
                let others = learning.cross_entropies(logits, labels);
                let shares = shares.cast(losses.dtype());
                losses.clone() + (others - losses) * shares
            }
        }
    }

    fn answers(&self, model: &Model) -> Result<Vec<Answer>> {
        class_answers(model.forward(self.images.clone()), self.labels.clone())
    }

    fn measure(&self, model: &Model) -> Result<Outcome> {
        let logits = model.forward(self.images.clone()); // [batch, classes]
        let loss = number(cross_entropies(logits.clone(), self.labels.clone(), 0.0).sum())?;
        class_outcome(logits, self.labels.clone(), loss)
    }
}
