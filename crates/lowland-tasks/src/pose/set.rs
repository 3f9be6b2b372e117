//! People, a picture of each, and how they are cut out of their images.

use serde::{Deserialize, Serialize};

use super::{Affine, Skeleton};
use crate::checkpoint::sha256;
use crate::data::ImageSet;
use crate::{Error, Result};

/// The longest side of the picture that is kept of a person.
const LONGEST_SIDE: usize = 1024;

/// How people are cut out of their images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropConfig {
    /// Rows of the picture that is kept of each person, in pixels, from 1 to 1024. Default: 128.
    pub height: usize,
    /// Columns of it. Default: 128.
    pub width: usize,
    /// How much larger than the person's box the picture is, from 1 to 4. Default: 1.25, as in the
    /// paper (arXiv 1804.06208). 1 fits images that are cut out already.
    pub enlarge: f64,
}

impl Default for CropConfig {
    fn default() -> Self {
        Self { height: 128, width: 128, enlarge: 1.25 }
    }
}

impl CropConfig {
    pub(super) fn check(&self) -> Result<()> {
        for (field, value) in [("height", self.height), ("width", self.width)] {
            if !(1..=LONGEST_SIDE).contains(&value) {
                let found = value.to_string();
                return Err(Error::Setting { field, found, allowed: "between 1 and 1024" });
            }
        }
        if !(1.0..=4.0).contains(&self.enlarge) {
            let found = self.enlarge.to_string();
            return Err(Error::Setting { field: "enlarge", found, allowed: "between 1 and 4" });
        }
        Ok(())
    }

    /// From the image to the picture of the person in the box `bounds`: the box is made as wide or
    /// as high as the picture's proportions ask for, and larger, around its middle.
    pub(super) fn crop(&self, [left, top, across, down]: [f64; 4]) -> Affine {
        let (width, height) = (self.width as f64, self.height as f64);
        let scale = (width / across).min(height / down) / self.enlarge;
        Affine::translation([-(left + across / 2.0), -(top + down / 2.0)])
            .then(&Affine::scaling([scale, scale]))
            .then(&Affine::translation([width / 2.0, height / 2.0]))
    }
}

/// What is known of one person. Coordinates are those of the image, not of the picture that was cut
/// out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The number of the image in the file that it was read from: people of one image share it.
    pub image: u64,
    /// Where each joint is, in pixels, where that is known.
    pub joints: Vec<Option<[f64; 2]>>,
    /// The box around the person: left, top, width and height, in pixels.
    pub bounds: [f64; 4],
    /// The area of the person, in square pixels.
    pub area: f64,
    /// From the image to the picture of the person.
    pub crop: Affine,
}

/// People with their joints, and a picture of each.
///
/// Pictures are of one size and three colours. There is at least one person.
#[derive(Clone, Debug, PartialEq)]
pub struct PoseSet {
    pictures: ImageSet,
    people: Vec<Person>,
    skeleton: Skeleton,
}

impl PoseSet {
    /// Puts pictures and people together. `pictures` has the shape
    /// `[people.len(), 3, height, width]`; what its labels are does not matter.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is not one picture of three colours for each person, or a person
    /// has another number of joints than the skeleton, no box with an area, no area, or numbers
    /// that are not finite.
    pub fn new(pictures: ImageSet, people: Vec<Person>, skeleton: Skeleton) -> Result<Self> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        if pictures.len() != people.len() || pictures.shape().channels != 3 {
            let channels = pictures.shape().channels;
            let found = format!("{} of {channels} colours for {}", pictures.len(), people.len());
            return setting("pictures", found, "one of three colours for each person");
        }
        let count = skeleton.joints().len();
        for (index, person) in people.iter().enumerate() {
            let [_, _, across, down] = person.bounds;
            let mut numbers = person.joints.iter().flatten().flatten().chain(&person.bounds);
            let sound = person.joints.len() == count
                && numbers.all(|number| number.is_finite())
                && across > 0.0
                && down > 0.0
                && person.area > 0.0
                && person.area.is_finite()
                && person.crop.inverse().rows.iter().flatten().all(|number| number.is_finite());
            if !sound {
                let found = format!("another in place {index}");
                return setting("people", found, "with the skeleton's joints, a box and an area");
            }
        }
        Ok(Self { pictures, people, skeleton })
    }

    /// How many people there are, at least 1.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Always false: a set holds at least one person.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The joints that everyone has.
    pub fn skeleton(&self) -> &Skeleton {
        &self.skeleton
    }

    /// The people, in order.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The picture of each person, `[people, 3, height, width]`, all with the same label.
    pub fn pictures(&self) -> &ImageSet {
        &self.pictures
    }

    /// The people at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `indices` is empty or holds one that is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let pictures = self.pictures.select(indices)?;
        let people = indices.iter().map(|&index| self.people[index].clone()).collect();
        Ok(Self { pictures, people, skeleton: self.skeleton.clone() })
    }

    /// A checksum of all that the set holds: SHA-256, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut bytes = Vec::new();
        for name in self.skeleton.joints() {
            bytes.extend((name.len() as u64).to_le_bytes());
            bytes.extend(name.as_bytes());
        }
        for limb in self.skeleton.limbs() {
            bytes.extend(limb.map(|joint| (joint as u64).to_le_bytes()).as_flattened());
        }
        for Person { image, joints, bounds, area, crop } in &self.people {
            bytes.extend(image.to_le_bytes());
            for joint in joints {
                bytes.push(u8::from(joint.is_some()));
                bytes.extend(joint.unwrap_or_default().map(f64::to_le_bytes).as_flattened());
            }
            let numbers = bounds.iter().chain([area]).chain(crop.rows.as_flattened());
            bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
        }
        let counts = [self.skeleton.joints().len(), self.skeleton.limbs().len()];
        let counts = counts.map(|count| (count as u64).to_le_bytes());
        sha256([counts.as_flattened(), &bytes, self.pictures.sha256().as_bytes()])
    }
}
