//! How good joints are that were found.

use std::collections::BTreeMap;

use super::{FoundJoint, Person, Skeleton};
use crate::{Error, Result};

/// The length that distances are measured against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reference {
    /// From `left_shoulder` to `right_hip`, the torso of the Leeds Sports data; else from
    /// `right_shoulder` to `left_hip`. Where neither is known, 0.31 of the longer side of the
    /// person's box, which is the median of the torso in crops of Leeds Sports Pose Extended.
    #[default]
    Torso,
    /// From `head_top` to `neck` or `upper_neck`; where that is not known, 0.14 of the longer side
    /// of the person's box, found in the same way.
    Head,
    /// The longer side of the person's box.
    Box,
}

impl Reference {
    /// The length for one person, in pixels, above 0.
    fn length(self, skeleton: &Skeleton, person: &Person) -> f64 {
        let (pairs, share): (&[_], f64) = match self {
            Self::Torso => {
                let pairs = &[["left_shoulder", "right_hip"], ["right_shoulder", "left_hip"]];
                (pairs, 0.31)
            }
            Self::Head => (&[["head_top", "neck"], ["head_top", "upper_neck"]], 0.14),
            Self::Box => (&[], 1.0),
        };
        let joint = |name: &str| person.joints[skeleton.place(name)?];
        let lengths = pairs.iter().filter_map(|[a, b]| Some(distance(joint(a)?, joint(b)?)));
        let [_, _, across, down] = person.bounds;
        lengths.into_iter().find(|&length| length > 0.0).unwrap_or(share * across.max(down))
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The share of joints that were found well enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Pck {
    /// Of all joints that are known, of everyone.
    pub mean: f64,
    /// Of each joint of the skeleton, where it is known of anyone.
    pub joints: Vec<Option<f64>>,
}

/// PCK, the percentage of correct keypoints, as a share: a joint is correct if it was found no
/// further than `threshold` times the reference length of its person from where it is. `found` has
/// the joints of each of the `people`.
///
/// PCK@0.2 is that of [`Reference::Torso`] with a `threshold` of 0.2, PCKh@0.5 that of
/// [`Reference::Head`] with 0.5.
///
/// # Errors
///
/// [`Error::Setting`] if `threshold` is not above 0, if `found` has not everyone's joints, or if no
/// joint is known.
pub fn pck(
    skeleton: &Skeleton,
    people: &[Person],
    found: &[Vec<FoundJoint>],
    reference: Reference,
    threshold: f64,
) -> Result<Pck> {
    check(people, found)?;
    if threshold.is_nan() || threshold <= 0.0 {
        let found = threshold.to_string();
        return Err(Error::Setting { field: "threshold", found, allowed: "above 0" });
    }
    let mut counts = vec![(0_usize, 0_usize); skeleton.joints().len()];
    for (person, joints) in people.iter().zip(found) {
        let limit = threshold * reference.length(skeleton, person);
        for ((truth, joint), (correct, all)) in person.joints.iter().zip(joints).zip(&mut counts) {
            if let Some(truth) = truth {
                *all += 1;
                *correct += usize::from(distance(*truth, joint.at) <= limit);
            }
        }
    }
    let share = |&(correct, all): &(usize, usize)| (all > 0).then(|| correct as f64 / all as f64);
    let sum = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    let mean = share(&sum).ok_or(Error::Setting {
        field: "people",
        found: "none".to_owned(),
        allowed: "with at least one joint that is known",
    })?;
    Ok(Pck { mean, joints: counts.iter().map(share).collect() })
}

/// An error unless there is a joint that was found for each that there is.
fn check(people: &[Person], found: &[Vec<FoundJoint>]) -> Result<()> {
    let mut pairs = people.iter().zip(found);
    if people.len() == found.len() && pairs.all(|(a, b)| a.joints.len() == b.len()) {
        return Ok(());
    }
    let found = format!("{} people for {}", found.len(), people.len());
    let allowed = "with as many joints for each person as there are";
    Err(Error::Setting { field: "found", found, allowed })
}

/// How far people disagree about each joint, σ, as a share of the root of the person's area: COCO's
/// numbers for the joints that it knows by name, whichever side, and 0.079 for all others, which is
/// its number for shoulders.
pub fn joint_sigmas(skeleton: &Skeleton) -> Vec<f64> {
    let sigma = |name: &String| match name.trim_start_matches("left_").trim_start_matches("right_")
    {
        "nose" => 0.026,
        "eye" => 0.025,
        "ear" => 0.035,
        "elbow" => 0.072,
        "wrist" => 0.062,
        "hip" => 0.107,
        "knee" => 0.087,
        "ankle" => 0.089,
        _ => 0.079,
    };
    skeleton.joints().iter().map(sigma).collect()
}

/// OKS, the object keypoint similarity of COCO, from 0 to 1:
///
/// ```text
/// OKS = mean over known joints of exp(−d² / (2·area·(2σ)²))
/// ```
///
/// d is how far a joint was found from where it is, in pixels. `None` where no joint is known.
/// `found` and `sigmas` have a value for each joint of the person.
pub fn object_keypoint_similarity(
    person: &Person,
    found: &[FoundJoint],
    sigmas: &[f64],
) -> Option<f64> {
    let joints = person.joints.iter().zip(found).zip(sigmas);
    let known = joints.filter_map(|((truth, found), sigma)| {
        let width = 2.0 * sigma;
        let exponent = distance((*truth)?, found.at).powi(2) / (2.0 * person.area * width * width);
        // What is not a number is nowhere near.
        Some(if exponent.is_nan() { 0.0 } else { (-exponent).exp() })
    });
    let (sum, count) = known.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// AP, the average precision of COCO, for people whose boxes are given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePrecision {
    /// The mean over the ten OKS thresholds 0.50, 0.55, ... 0.95: COCO's "AP".
    pub mean: f64,
    /// At an OKS of 0.50.
    pub at_50: f64,
    /// At an OKS of 0.75.
    pub at_75: f64,
}

/// AP over the OKS of everyone. At each threshold, poses are matched to the people of their image,
/// the surest first and each to the most similar person that is left; precision is what of the
/// poses up to a score is matched, made to fall as recall grows, and averaged over 101 recalls. The
/// score of a pose is the mean score of its joints, as in the paper (arXiv 1804.06208) for boxes
/// that are certain, though without leaving joints of a low score out.
///
/// # Errors
///
/// [`Error::Setting`] if `found` has not everyone's joints, if there are not as many `sigmas` as
/// joints, or if no joint is known.
pub fn average_precision(
    people: &[Person],
    found: &[Vec<FoundJoint>],
    sigmas: &[f64],
) -> Result<AveragePrecision> {
    check(people, found)?;
    if people.iter().any(|person| person.joints.len() != sigmas.len()) {
        let found = sigmas.len().to_string();
        return Err(Error::Setting { field: "sigmas", found, allowed: "one for each joint" });
    }
    let known = |person: &Person| person.joints.iter().any(Option::is_some);
    let mut images: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, person) in people.iter().enumerate().filter(|(_, person)| known(person)) {
        images.entry(person.image).or_default().push(index);
    }
    if images.is_empty() {
        let (found, allowed) = ("none".to_owned(), "with at least one joint that is known");
        return Err(Error::Setting { field: "people", found, allowed });
    }
    let images: Vec<Pairs> =
        images.values().map(|indices| Pairs::new(people, found, sigmas, indices)).collect();
    let at = |percent: u32| precision_at(&images, f64::from(percent) / 100.0);
    let values: Vec<f64> = (50..=95).step_by(5).map(at).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Ok(AveragePrecision { mean, at_50: values[0], at_75: values[5] })
}

/// The poses and the people of one image.
struct Pairs {
    /// The score of each pose, the surest first.
    scores: Vec<f64>,
    /// How similar each pose is to each person: `[poses, people]`.
    similar: Vec<Vec<f64>>,
}

impl Pairs {
    fn new(
        people: &[Person],
        found: &[Vec<FoundJoint>],
        sigmas: &[f64],
        indices: &[usize],
    ) -> Self {
        let score = |&index: &usize| {
            let joints = &found[index];
            let score = joints.iter().map(|joint| joint.score).sum::<f64>() / joints.len() as f64;
            // What is not a number is the least sure.
            if score.is_nan() { f64::NEG_INFINITY } else { score }
        };
        let mut poses: Vec<(f64, usize)> =
            indices.iter().map(|index| (score(index), *index)).collect();
        poses.sort_by(|a, b| b.0.total_cmp(&a.0));
        let similar = |pose: usize| {
            let oks = |&person: &usize| {
                object_keypoint_similarity(&people[person], &found[pose], sigmas).unwrap_or(0.0)
            };
            indices.iter().map(oks).collect()
        };
        let similar = poses.iter().map(|&(_, pose)| similar(pose)).collect();
        Self { scores: poses.into_iter().map(|(score, _)| score).collect(), similar }
    }

    /// The score of each pose, and whether a person is left that it is similar to.
    fn matched(&self, threshold: f64) -> Vec<(f64, bool)> {
        let mut taken = vec![false; self.scores.len()];
        let mut matched = Vec::with_capacity(self.scores.len());
        for (score, similar) in self.scores.iter().zip(&self.similar) {
            let left = similar
                .iter()
                .enumerate()
                .filter(|&(person, &oks)| !taken[person] && oks >= threshold);
            let best = left.max_by(|a, b| a.1.total_cmp(b.1)).map(|(person, _)| person);
            if let Some(person) = best {
                taken[person] = true;
            }
            matched.push((*score, best.is_some()));
        }
        matched
    }
}

/// The mean precision over 101 recalls from 0 to 1.
fn precision_at(images: &[Pairs], threshold: f64) -> f64 {
    let mut poses: Vec<(f64, bool)> =
        images.iter().flat_map(|image| image.matched(threshold)).collect();
    poses.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = poses.len();
    let mut hits = 0_usize;
    let mut curve: Vec<(usize, f64)> = Vec::with_capacity(all);
    for (place, (_, is_hit)) in poses.iter().enumerate() {
        hits += usize::from(*is_hit);
        curve.push((hits, hits as f64 / (place + 1) as f64));
    }
    // From the end: the best precision at this recall or a higher one.
    let mut best = 0.0_f64;
    for (_, precision) in curve.iter_mut().rev() {
        best = best.max(*precision);
        *precision = best;
    }
    let at_recall = |percent: usize| {
        let reached = curve.partition_point(|(hits, _)| hits * 100 < percent * all);
        curve.get(reached).map_or(0.0, |(_, precision)| *precision)
    };
    (0..=100).map(at_recall).sum::<f64>() / 101.0
}
