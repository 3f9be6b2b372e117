//! Image classification.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use lowland::Samples;

use super::{
    AnySource, Boxed, Learning, Limits, OnHost, Outcome, Split, Task, TaskBatch, Wording,
    in_percent, loaded_from, number,
};
use crate::Result;
use crate::config::TrainConfig;
use crate::data::subset::{drawn, part_of};
use crate::data::{
    HostBatch, ImageBatch, ImageSet, ImageSource, LabelNoise, Normalisation, Source, Subset,
    redraw_labels,
};
use crate::models::Model;
use crate::quantise::quantised;
use lowland::cross_entropies;

/// How many training images go through a network that is to be quantised, to see what comes into
/// its layers.
const CALIBRATION: usize = 128;

/// Labelled images: cut to size, labels corrupted. The loss is the cross entropy.
#[derive(Debug, Clone)]
pub struct ImageTask {
    /// Images to learn from.
    pub train: Arc<ImageSet>,
    /// Images to measure on.
    pub test: Arc<ImageSet>,
    /// What became of the training labels.
    pub noise: LabelNoise,
    /// What is done to every pixel before the network sees it.
    pub normalisation: Normalisation,
    /// What was left out of the data set, or decided about it.
    remarks: Vec<String>,
    limits: Limits,
    /// The seed of every part that is drawn of these.
    subset_seed: u64,
}

impl ImageTask {
    /// Loads the images that `config` asks for.
    ///
    /// # Errors
    /// Whatever reading the data gives, and values out of range.
    pub fn load(config: &TrainConfig) -> Result<Self> {
        let data = &config.data;
        let splits = data.name.load_with(data.dir.as_deref(), &data.folder())?;
        let (mut limits, subset_seed) = (Limits::default(), data.subset_seed);
        let mut remarks = splits.remarks;
        if let Some(validation) = &splits.validation {
            remarks.push(format!("the validation part ({} images) is not used", validation.len()));
        }
        let mut train = limits.cut(Split::Train, splits.train, data.train_limit, subset_seed)?;
        let test = limits.cut(Split::Test, splits.test, data.test_limit, subset_seed)?;
        let normalisation = Normalisation::of(&train);
        let noise = redraw_labels(Arc::make_mut(&mut train), data.label_noise, config.seed)?;
        Ok(Self { train, test, noise, normalisation, remarks, limits, subset_seed })
    }

    fn unquantised(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let shape = self.train.shape();
        config.model.check(shape)?;
        config.model.init(self.classes(), shape.channels, config.seed, device)
    }

    fn set(&self, split: Split) -> &Arc<ImageSet> {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Task for ImageTask {
    fn wording(&self) -> Wording {
        Wording::default()
    }

    fn classes(&self) -> usize {
        self.train.classes().len()
    }

    fn count(&self, split: Split) -> usize {
        self.set(split).len()
    }

    fn checksum(&self, split: Split) -> String {
        self.set(split).sha256()
    }

    fn labels_changed(&self) -> usize {
        self.noise.changed
    }

    fn to_learn(&self, config: &TrainConfig) -> Result<AnySource> {
        let augment = config.augment.build(self.normalisation.clone())?;
        let source = ImageSource::varied(Arc::clone(&self.train), augment, config.seed)?;
        Ok(Box::new(Boxed(source)))
    }

    fn variation(&self, config: &TrainConfig) -> String {
        let augment = &config.augment;
        let mut parts = Vec::new();
        if augment.crop_padding > 0 {
            parts.push(format!("padded by {} pixels and cropped", augment.crop_padding));
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
        let (set, _) = part_of(Arc::clone(self.set(split)), at_most, self.subset_seed)?;
        Ok(Box::new(Boxed(ImageSource::plain(set, self.normalisation.clone())?)))
    }

    fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>> {
        let found = drawn(&**self.set(split), Some(at_most), self.subset_seed)?;
        Ok(found.map(|(_, subset)| subset))
    }

    fn limited(&self, split: Split) -> Option<Subset> {
        self.limits.of(split)
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn calibration(&self, config: &TrainConfig) -> Option<Subset> {
        config.quantise.as_ref()?;
        self.drawn(Split::Train, CALIBRATION).ok()?
    }

    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let mut model = self.unquantised(config, device)?;
        if let Some(path) = &config.from {
            model = loaded_from(model, path)?;
        }
        let Some(bits) = &config.quantise else { return Ok(model) };
        let (set, _) = part_of(Arc::clone(&self.train), CALIBRATION, self.subset_seed)?;
        let all: Vec<usize> = (0..set.len()).collect();
        let source = ImageSource::plain(set, self.normalisation.clone())?;
        let batch = source.prepare(0, &all).to_device(&device.clone().without_autodiff());
        quantised(model, bits, |model: &Model| drop(model.forward(batch.images)))
    }

    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let model = self.unquantised(config, device)?;
        match &config.quantise {
            Some(bits) => bits.form(model),
            None => Ok(model),
        }
    }
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
        cross_entropies(logits, labels, learning.smoothing)
    }

    fn measure(&self, model: &Model) -> Result<Outcome> {
        let logits = model.forward(self.images.clone()); // [batch, classes]
        let count = self.indices.len();
        let hits = logits.clone().argmax(1).reshape([count]).equal(self.labels.clone());
        let right = number(hits.int().sum().float())?;
        let loss = number(cross_entropies(logits, self.labels.clone(), 0.0).sum())?;
        Ok(Outcome { loss, right, answers: count as f64, marks: Vec::new() })
    }
}
