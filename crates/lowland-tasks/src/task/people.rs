//! To find the joints of people.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use lowland::Samples;

use super::{
    AnySource, Boxed, Inputs, Learning, OnHost, Outcome, Picture, Split, Task, TaskBatch, Wording,
    in_percent, number, only, split::Parts, start::started,
};
use crate::Result;
use crate::answer::{Answer, JointFigures};
use crate::config::TrainConfig;
use crate::data::files::{self, Each};
use crate::data::image_file;
use crate::data::{AugmentConfig, FolderConfig, Source, Subset};
use crate::models::Model;
use crate::pose::{
    FoundJoint, HostPoseBatch, Person, PoseBatch, PoseConfig, PosePreparation, PoseSet, PoseSource,
    PoseSplits, Reference, Whole, average_precision, decode, heatmap_losses, joint_sigmas, pck,
    picture,
};

/// A joint counts as found within this share of the torso: PCK@0.2.
const THRESHOLD: f64 = 0.2;

/// People with their joints. The loss is the squared error of the heatmaps; accuracy is PCK@0.2,
/// the share of joints that are found within a fifth of the torso's length.
#[derive(Debug, Clone)]
pub struct PeopleTask {
    parts: Parts<PoseSet>,
    preparation: PosePreparation,
    /// What was left out of the data set, or decided about it.
    remarks: Vec<String>,
}

impl PeopleTask {
    /// Loads the people that `config` asks for.
    ///
    /// # Errors
    /// Whatever reading the data gives, values out of range, and settings that are for labelled
    /// images.
    pub fn load(config: &TrainConfig) -> Result<Self> {
        only("label_noise", config.data.label_noise == 0.0, "does not apply to pose tasks")?;
        only("quantise", config.quantise.is_none(), "is not supported for pose tasks")?;
        let is_varied = config.augment != AugmentConfig::none();
        only("augment", !is_varied, "does not apply to pose tasks, which have `pose`")?;
        let is_smooth = config.label_smoothing > 0.0;
        only("label_smoothing", !is_smooth, "does not apply to pose tasks")?;
        let folder = config.data.name.folder(config.data.dir.as_deref())?;
        let (crop, files) = (config.crop.unwrap_or_default(), config.data.folder());
        let skip = files.skip_damaged;
        let splits = PoseSplits::read_with(&folder, &crop, &files.decoding, skip)
            .map_err(|error| config.data.name.with_way(error, config.data.dir.as_deref()))?;
        let parts = Parts::new(splits.train, splits.validation, splits.test, &config.data)?;
        let preparation = config.pose.unwrap_or_default().build(&parts.train)?;
        let mut remarks = splits.remarks;
        remarks.extend(parts.remarks().iter().cloned());
        Ok(Self { parts, preparation, remarks })
    }

    /// What is in the marks of people of the test set.
    fn found(&self, marks: &[f64]) -> Vec<Vec<FoundJoint>> {
        let joint = |mark: &[f64]| FoundJoint { at: [mark[0], mark[1]], score: mark[2] };
        let joints = self.classes();
        marks.chunks_exact(3 * joints).map(|p| p.chunks_exact(3).map(joint).collect()).collect()
    }
}

impl Task for PeopleTask {
    fn wording(&self) -> Wording {
        Wording {
            class: "joint".to_owned(),
            classes: "joints".to_owned(),
            answer: "joint".to_owned(),
            right: "joints found within a fifth of the torso's length (PCK@0.2)".to_owned(),
            measure: "PCK@0.2".to_owned(),
            ..Wording::labelled("person", "people")
        }
    }

    fn classes(&self) -> usize {
        self.parts.train.skeleton().joints().len()
    }

    fn count(&self, split: Split) -> usize {
        self.parts.count(split)
    }

    fn checksum(&self, split: Split) -> String {
        self.parts.of(split).map_or_else(|_| String::new(), |set| set.sha256())
    }

    fn joint_names(&self) -> Vec<String> {
        self.parts.train.skeleton().joints().to_vec()
    }

    fn joint_figures(&self, split: Split, marks: &[f64]) -> Result<Vec<JointFigures>> {
        let set = self.parts.of(split)?;
        let (skeleton, people) = (set.skeleton(), set.people());
        let shares = pck(skeleton, people, &self.found(marks), Reference::Torso, THRESHOLD)?.joints;
        let known = |joint: usize| people.iter().filter(|p| p.joints[joint].is_some()).count();
        let figures = skeleton.joints().iter().zip(shares).enumerate();
        let one = |(place, (name, share)): (usize, (&String, Option<f64>))| {
            Some(JointFigures { joint: name.clone(), samples: known(place), pck: share? })
        };
        Ok(figures.filter_map(one).collect())
    }

    /// Images that each show one person, who fills it.
    fn inputs(&self, config: &TrainConfig, paths: &[PathBuf]) -> Result<Inputs> {
        let skeleton = self.parts.train.skeleton().clone();
        let FolderConfig { decoding, skip_damaged, .. } = config.data.folder();
        let crop = config.crop.unwrap_or_default();
        let each = Each::of(paths, |path| {
            let image = image_file::decode(path, &files::read(path)?, &decoding)?;
            Ok(Whole::of(&image, &crop))
        });
        let (images, remarks) = each.or_left_out(Vec::new(), skip_damaged)?;
        let names = images.iter().map(|(path, _)| path.display().to_string()).collect();
        let images = images.into_iter().map(|(_, image)| image);
        let set = PoseSet::whole_images(images, skeleton, &crop)?;
        let source = PoseSource::evaluation(Arc::new(set), self.preparation.clone())?;
        Ok(Inputs { source: Box::new(Boxed(source)), names, remarks })
    }

    fn to_learn(&self, config: &TrainConfig) -> Result<AnySource> {
        let (set, preparation) = (Arc::clone(&self.parts.train), self.preparation.clone());
        Ok(Box::new(Boxed(PoseSource::training(set, preparation, config.seed)?)))
    }

    fn variation(&self, config: &TrainConfig) -> String {
        let PoseConfig { flip, scale, rotation, .. } = config.pose.unwrap_or_default();
        let mut parts = Vec::new();
        if flip {
            parts.push("mirrored every second time".to_owned());
        }
        if scale > 0.0 {
            parts.push(format!("larger or smaller by up to {} %", in_percent(scale)));
        }
        if rotation > 0.0 {
            parts.push(format!("turned by up to {rotation} degrees to either side"));
        }
        parts.join(", ")
    }

    fn to_measure(&self, split: Split, at_most: usize) -> Result<AnySource> {
        let set = self.parts.some(split, at_most)?;
        Ok(Box::new(Boxed(PoseSource::evaluation(set, self.preparation.clone())?)))
    }

    fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>> {
        self.parts.drawn(split, at_most)
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn limited(&self, split: Split) -> Option<Subset> {
        self.parts.limited(split)
    }

    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        started(self.form(config, device)?, config)
    }

    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model> {
        config.model.init_pose(self.classes(), config.seed, device)
    }

    /// The average precision of COCO over the object keypoint similarity.
    fn scores(&self, split: Split, marks: &[f64]) -> BTreeMap<String, f64> {
        let sigmas = joint_sigmas(self.parts.test.skeleton());
        let Ok(set) = self.parts.of(split) else { return BTreeMap::new() };
        match average_precision(set.people(), &self.found(marks), &sigmas) {
            Ok(precision) => [("AP", precision.mean), ("AP50", precision.at_50)]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            // Nobody's joints are known.
            Err(_) => BTreeMap::new(),
        }
    }

    fn pictures(&self, marks: &[f64], count: usize) -> Result<Vec<Picture>> {
        let found = self.found(marks);
        let shown = found.iter().enumerate().take(count);
        let one = |(index, joints): (usize, &Vec<FoundJoint>)| {
            let svg = picture(&self.parts.test, index, joints)?;
            Ok(Picture { name: format!("person {index}"), svg })
        };
        shown.map(one).collect()
    }
}

impl Source for PoseSource {
    type Batch = HostPeople;

    fn sample_count(&self) -> usize {
        self.set().len()
    }

    fn prepare(&self, epoch: u64, indices: &[usize]) -> HostPeople {
        HostPeople { set: Arc::clone(self.set()), batch: Self::prepare(self, epoch, indices) }
    }
}

/// A batch in the memory of the host, and the set that it is of.
#[derive(Debug)]
pub struct HostPeople {
    set: Arc<PoseSet>,
    batch: HostPoseBatch,
}

impl OnHost for HostPeople {
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn TaskBatch> {
        Box::new(People { set: self.set, batch: self.batch.to_device(device) })
    }
}

#[derive(Debug)]
struct People {
    set: Arc<PoseSet>,
    batch: PoseBatch,
}

impl TaskBatch for People {
    fn indices(&self) -> &[usize] {
        &self.batch.indices
    }

    fn piece(&self, range: Range<usize>) -> Box<dyn TaskBatch> {
        Box::new(Self { set: Arc::clone(&self.set), batch: self.batch.piece(range) })
    }

    fn losses(&self, model: &Model, samples: &Samples, learning: Learning) -> Tensor<1> {
        let (images, targets, weights) = self.batch.select(samples);
        let heatmaps = model.heatmaps(learning.precision.of(images));
        heatmap_losses(heatmaps, targets, weights)
    }

    fn answers(&self, model: &Model) -> Result<Vec<Answer>> {
        let drawn = model.heatmaps(self.batch.images.clone());
        Ok(decode(drawn, &self.batch.to_image)?.into_iter().map(Answer::Joints).collect())
    }

    fn measure(&self, model: &Model) -> Result<Outcome> {
        let PoseBatch { images, heatmaps, weights, to_image, indices } = self.batch.clone();
        let drawn = model.heatmaps(images);
        let found = decode(drawn.clone(), &to_image)?;
        let loss = number(heatmap_losses(drawn, heatmaps, weights).sum())?;
        let people: Vec<Person> =
            indices.iter().map(|&index| self.set.people()[index].clone()).collect();
        let known = people.iter().flat_map(|person| &person.joints).flatten().count() as f64;
        let share = match known {
            0.0 => 0.0,
            _ => pck(self.set.skeleton(), &people, &found, Reference::Torso, THRESHOLD)?.mean,
        };
        let mark = |joint: &FoundJoint| [joint.at[0], joint.at[1], joint.score];
        let marks = found.iter().flatten().flat_map(mark).collect();
        Ok(Outcome { loss, right: (share * known).round(), answers: known, marks })
    }
}
