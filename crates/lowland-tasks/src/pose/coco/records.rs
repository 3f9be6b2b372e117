//! What is read of a keypoint file.

use super::damage::DamagedEntry;
use crate::pose::Skeleton;

/// What a keypoint file says, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Keypoints {
    /// The joints of everyone in it.
    pub skeleton: Skeleton,
    /// The images that show someone, in the order in which they are first needed.
    pub images: Vec<Image>,
    /// The people, in the order of the file.
    pub people: Vec<Annotation>,
    /// What was mended or left out.
    pub oddities: Oddities,
    /// The files of images with more than 1,024 people, and how many beyond these were left out.
    pub beyond: Vec<(String, usize)>,
    /// What cannot be used and was left out, in the order of the file, images first. Whether that
    /// refuses the data is for the caller to decide.
    pub damaged: Vec<DamagedEntry>,
    /// The files of the images that show nobody, in the order of the file.
    pub without_people: Vec<String>,
}

/// How many annotations were odd, and what was done about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Boxes that reached out of their image and were cut at its edge.
    pub boxes_clipped: usize,
    /// Boxes that were missing or had no area, and were drawn around the joints.
    pub boxes_derived: usize,
    /// Joints outside their image, which count as not visible.
    pub joints_outside: usize,
    /// Areas that were not above 0, for which that of the box stands.
    pub areas_derived: usize,
    /// Annotations of images or categories that the file does not have, which were left out.
    pub strays: usize,
    /// Annotations of damaged images, which were left out with these.
    pub of_damaged_images: usize,
    /// Crowds, which were left out.
    pub crowds: usize,
    /// People without a joint, who were left out.
    pub without_joints: usize,
    /// People without a box, and with too few joints to draw one, who were left out.
    pub without_box: usize,
}

impl Oddities {
    /// A line for each that there is.
    pub fn remarks(&self) -> Vec<String> {
        [
            (self.boxes_clipped, ["box", "boxes"], "cut at the edge of the image"),
            (self.boxes_derived, ["box", "boxes"], "missing or empty, drawn around the joints"),
            (self.joints_outside, ["joint", "joints"], "outside the image, taken as not visible"),
            (self.areas_derived, ["area", "areas"], "not above 0, that of the box in its place"),
            (
                self.strays,
                ["annotation", "annotations"],
                "of an unknown image or category, left out",
            ),
            (self.of_damaged_images, ["annotation", "annotations"], "of a damaged image, left out"),
            (self.crowds, ["crowd", "crowds"], "left out"),
            (self.without_joints, ["person", "people"], "without a visible joint, left out"),
            (
                self.without_box,
                ["person", "people"],
                "without a box and with too few joints for one, left out",
            ),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, [one, many], what)| {
            format!("{count} {} {what}", if count == 1 { one } else { many })
        })
        .collect()
    }
}

/// An image that a keypoint file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its number in the file.
    pub id: u64,
    /// Its path inside the data set's folder.
    pub file_name: String,
    /// Columns and rows, in pixels.
    pub size: [u32; 2],
}

/// Someone in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The place of the image in [`Keypoints::images`].
    pub image: usize,
    /// Where each joint is in the image, in pixels, where that is known; at least one is.
    pub joints: Vec<Option<[f64; 2]>>,
    /// The box around the person: left, top, width and height, in pixels.
    pub bounds: [f64; 4],
    /// The area of the person, in square pixels.
    pub area: f64,
}
