//! A program's own task as the training loop sees it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;

use super::batch::SampleSource;
use super::definition::{OwnTask, failed, inputs_of};
use super::samples::{OwnData, SampleSet, Targets};
use crate::Result;
use crate::config::TrainConfig;
use crate::data::{AugmentConfig, Subset, redraw_labels};
use crate::error::setting;
use crate::models::{Model, OwnNetwork};
use crate::regression::{r_squared, root_mean_squared_error};
use crate::task::split::Parts;
use crate::task::{
    AnySource, Boxed, Inputs, Outcome, Split, Task, Wording, numeric, start::started,
};

/// A program's own task with its samples.
#[derive(Debug)]
pub(super) struct SampleTask<T> {
    own: Arc<T>,
    parts: Parts<SampleSet>,
    remarks: Vec<String>,
    labels_changed: usize,
}

impl<T: OwnTask> SampleTask<T> {
    pub(super) fn load(own: Arc<T>, config: &TrainConfig) -> Result<Self> {
        config.check()?;
        let data = &config.data;
        let found = own.data(data.dir.as_deref()).map_err(|reason| failed(own.name(), &reason))?;
        let OwnData { train, validation, test, mut remarks } = found;
        for (part, set) in [("validation", validation.as_ref()), ("test", Some(&test))] {
            if set.is_some_and(|set| !set.is_like(&train)) {
                let reason = format!("the {part} samples are not like the training samples");
                return Err(failed(own.name(), &reason.into()));
            }
        }
        if matches!(train.targets(), Targets::Numbers(_)) {
            numeric::refuse_what_is_for_classes(config)?;
        }
        setting(
            "bits",
            config.quantise.is_none(),
            "a number",
            "left out with a program's own task",
        )?;
        let mut parts = Parts::new(train, validation, test, &config.data)?;
        let noise = redraw_labels(parts.train_mut(), data.label_noise, config.seed)?;
        let labels_changed = noise.changed;
        remarks.extend(parts.remarks().iter().cloned());
        Ok(Self { own, parts, remarks, labels_changed })
    }

    fn source(&self, set: &Arc<SampleSet>) -> AnySource {
        Box::new(Boxed(SampleSource { own: Arc::clone(&self.own), set: Arc::clone(set) }))
    }

    fn names(&self) -> &[String] {
        self.parts.train.targets().names()
    }
}

impl<T: OwnTask> Task for SampleTask<T> {
    fn wording(&self) -> Wording {
        let wording = self.own.wording();
        if !self.names().is_empty() {
            return wording;
        }
        Wording {
            class: "number".to_owned(),
            classes: "numbers".to_owned(),
            answer: "spread of the numbers".to_owned(),
            right: "spread of the numbers explained".to_owned(),
            measure: "R²".to_owned(),
            ..wording
        }
    }

    fn classes(&self) -> usize {
        self.parts.train.outputs()
    }

    fn count(&self, split: Split) -> usize {
        self.parts.count(split)
    }

    fn checksum(&self, split: Split) -> String {
        self.parts.of(split).map_or_else(|_| String::new(), |set| set.sha256())
    }

    fn class_names(&self) -> Vec<String> {
        self.names().to_vec()
    }

    fn inputs(&self, config: &TrainConfig, files: &[PathBuf]) -> Result<Inputs> {
        let (width, skip) = (self.parts.train.width(), config.data.skip_damaged);
        let (inputs, names, remarks) = inputs_of(&*self.own, width, files, skip)?;
        let targets = self.parts.train.targets().blank(names.len());
        let set = SampleSet::new(inputs, names.len(), targets)?;
        let source = self.source(&Arc::new(set));
        Ok(Inputs { source, names, remarks })
    }

    fn class_counts(&self) -> Option<Vec<usize>> {
        self.parts.train.targets().class_counts()
    }

    fn labels_changed(&self) -> usize {
        self.labels_changed
    }

    fn to_learn(&self, config: &TrainConfig) -> Result<AnySource> {
        setting(
            "augment",
            config.augment == AugmentConfig::none(),
            "another value",
            "none: a program's own samples are learned from as they are",
        )?;
        Ok(self.source(&self.parts.train))
    }

    fn to_measure(&self, split: Split, at_most: usize) -> Result<AnySource> {
        let set = self.parts.some(split, at_most)?;
        Ok(self.source(&set))
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

    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        started(self.form(config, device)?, config)
    }

    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        let set = &self.parts.train;
        device.seed(config.seed);
        // Burn draws a weight when it is first looked at: all of them now, before anybody else
        // draws.
        let network = self.own.network(set.width(), set.outputs(), device).materialize();
        Ok(Model::Own(OwnNetwork::new(network)?))
    }

    fn measured(&self, outcome: &Outcome) -> f64 {
        match self.parts.train.targets() {
            Targets::Classes { .. } => outcome.accuracy(),
            Targets::Numbers(_) => r_squared(&numeric::pairs(&outcome.marks)),
        }
    }

    fn scores(&self, _split: Split, marks: &[f64]) -> BTreeMap<String, f64> {
        if !self.names().is_empty() || marks.is_empty() {
            return BTreeMap::new();
        }
        let error = root_mean_squared_error(&numeric::pairs(marks));
        [("RMSE".to_owned(), error)].into()
    }
}
