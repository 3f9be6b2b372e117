//! The joints of a person: their names, what connects them, and which change places in a mirror.

use std::collections::HashMap;

use crate::{Error, Result};

/// The most joints that a person may have.
const MOST_JOINTS: usize = 512;

/// The joints of a person.
///
/// There is at least one, names differ, and each that is of one side has a counterpart on the
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    joints: Vec<String>,
    limbs: Vec<[usize; 2]>,
    mirrored: Vec<usize>,
}

impl Skeleton {
    /// Puts joints and limbs together. `limbs` are pairs of places in `joints`, counted from 0.
    ///
    /// Which joints a mirror swaps follows from their names: `left` and `right`, or `l` and `r`, as
    /// words of their own (`left_hip`, `hip.r`) or `left` and `right` at the start of the name
    /// (`leftHip`).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are no joints or more than 512, if two have one name, if one of
    /// the left has none of the right beside it or the other way round, or if a limb does not
    /// connect two joints.
    pub fn new(joints: Vec<String>, limbs: Vec<[usize; 2]>) -> Result<Self> {
        let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
        let count = joints.len();
        if !(1..=MOST_JOINTS).contains(&count) {
            return setting("joints", count.to_string(), "between 1 and 512");
        }
        let keys: Vec<Vec<String>> = joints.iter().map(|name| words(name)).collect();
        let mut places = HashMap::new();
        for (place, key) in keys.iter().enumerate() {
            if places.insert(key.clone(), place).is_some() {
                return setting(
                    "joints",
                    format!("{:?} twice", joints[place]),
                    "of different names",
                );
            }
        }
        let mut mirrored = Vec::with_capacity(count);
        for (key, name) in keys.iter().zip(&joints) {
            let other = key.iter().map(|word| other_side(word).to_owned()).collect::<Vec<_>>();
            let Some(&place) = places.get(&other) else {
                return setting("joints", format!("{name:?} alone"), "on both sides or on none");
            };
            mirrored.push(place);
        }
        if let Some([a, b]) = limbs.iter().find(|[a, b]| *a.max(b) >= count || a == b) {
            return setting("limbs", format!("{a} to {b} of {count}"), "between two of the joints");
        }
        Ok(Self { joints, limbs, mirrored })
    }

    /// The names of the joints.
    pub fn joints(&self) -> &[String] {
        &self.joints
    }

    /// What is connected: pairs of places in [`joints`](Self::joints).
    pub fn limbs(&self) -> &[[usize; 2]] {
        &self.limbs
    }

    /// The joint that each is in a mirror: its counterpart on the other side, or itself.
    pub fn mirrored(&self) -> &[usize] {
        &self.mirrored
    }

    /// The joints that change places in a mirror, the lower place first.
    pub fn flip_pairs(&self) -> Vec<[usize; 2]> {
        let pairs = self.mirrored.iter().enumerate().map(|(place, &other)| [place, other]);
        pairs.filter(|[place, other]| place < other).collect()
    }

    /// The place of the joint with this name, if there is one.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.joints.iter().position(|joint| joint == name)
    }
}

/// A name as lower-case words, with the side as a word of its own.
fn words(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let mut words = Vec::new();
    for word in name.split(|character: char| !character.is_alphanumeric()) {
        let side = ["left", "right"].into_iter().find(|side| word.starts_with(side));
        let (side, rest) = word.split_at(side.map_or(0, str::len));
        words.extend([side, rest].into_iter().filter(|word| !word.is_empty()).map(str::to_owned));
    }
    words
}

fn other_side(word: &str) -> &str {
    match word {
        "left" => "right",
        "right" => "left",
        "l" => "r",
        "r" => "l",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skeleton(joints: &[&str], limbs: &[[usize; 2]]) -> Result<Skeleton> {
        Skeleton::new(joints.iter().map(|&joint| joint.to_owned()).collect(), limbs.to_vec())
    }

    #[test]
    fn names_decide_what_a_mirror_swaps() {
        let joints = ["nose", "left_hip", "Knee.L", "rightEye", "right_hip", "knee.r", "leftEye"];
        let skeleton = skeleton(&joints, &[[0, 1]]).unwrap();
        assert_eq!(skeleton.mirrored(), [0, 4, 5, 6, 1, 2, 3]);
        assert_eq!(skeleton.flip_pairs(), [[1, 4], [2, 5], [3, 6]]);
        assert_eq!(skeleton.place("rightEye"), Some(3));
        assert_eq!(skeleton.place("tail"), None);
    }

    #[test]
    fn mistakes_are_reported() {
        let text = |joints: &[&str], limbs: &[[usize; 2]]| {
            skeleton(joints, limbs).unwrap_err().to_string()
        };
        assert_eq!(text(&[], &[]), "joints must be between 1 and 512, found 0");
        assert_eq!(text(&["a", "a"], &[]), "joints must be of different names, found \"a\" twice");
        assert_eq!(
            text(&["left_hip", "neck"], &[]),
            "joints must be on both sides or on none, found \"left_hip\" alone"
        );
        for limb in [[0, 2], [1, 1]] {
            let error = text(&["a", "b"], &[limb]);
            assert!(error.starts_with("limbs must be between two of the joints, found"), "{error}");
        }
    }
}
