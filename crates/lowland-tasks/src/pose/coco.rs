//! Keypoint files as COCO has them.
//!
//! One JSON object with `images` (`id`, `file_name`, `width`, `height`), `annotations` (`image_id`,
//! `category_id`, `keypoints` as `[x, y, v]` for each joint, `bbox` as `[x, y, width, height]`,
//! `area`, `iscrowd`) and `categories` (`id`, `name`, `keypoints` as names, `skeleton` as pairs
//! counted from 1). All other fields are ignored.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::Skeleton;
use crate::data::files::format_error;
use crate::{Error, Result};

/// The most people that are marked in one image.
const MOST_PEOPLE: usize = 256;

/// The longest side of an image.
const LONGEST_SIDE: u32 = 32_768;

/// How far outside its image a box may reach, in pixels: files are rounded.
const ROUNDING: f64 = 1.0;

/// How much wider a box around joints is on each side, as a share of its longer side.
const MARGIN: f64 = 0.1;

#[derive(Deserialize)]
struct File {
    images: Vec<RawImage>,
    annotations: Vec<RawAnnotation>,
    categories: Vec<RawCategory>,
}

#[derive(Deserialize)]
struct RawImage {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct RawAnnotation {
    id: Option<u64>,
    image_id: u64,
    category_id: u64,
    #[serde(default)]
    keypoints: Vec<f64>,
    bbox: Option<[f64; 4]>,
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct RawCategory {
    id: u64,
    #[serde(default)]
    keypoints: Vec<String>,
    #[serde(default)]
    skeleton: Vec<[usize; 2]>,
}

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

/// Reads the text of a keypoint file. `path` is only what an error calls the file.
///
/// Crowds and people without a joint are left out, and so is what belongs to a category without
/// joints, or to an image or category that is not there. Boxes are cut at the edge of their image,
/// and drawn around the joints where they are missing; joints outside the image are not visible.
/// [`Oddities`] counts all that. Where there is no `area`, it is that of the box.
///
/// # Errors
///
/// [`Error::Format`] if the text is no such JSON; if not exactly one category has keypoints, or
/// these make no [`Skeleton`]; if an image or its file comes twice, an image is empty or has a side
/// of more than 32,768 pixels, or the name of its file leads out of the folder; if an annotation
/// has another number of joints than the category; if one image has more than 256 people; or if
/// nobody is left.
pub fn parse(path: &Path, text: &[u8]) -> Result<Keypoints> {
    let file: File = serde_json::from_slice(text)
        .map_err(|error| format_error(path, "COCO keypoints".to_owned(), error.to_string()))?;
    let at = |Mistake { expected, found }| format_error(path, expected, found);
    let (category, skeleton) = skeleton(&file.categories).map_err(at)?;
    let places = images(&file.images).map_err(at)?;
    let categories: HashSet<u64> = file.categories.iter().map(|category| category.id).collect();

    let oddities = Oddities::default();
    let mut keypoints = Keypoints { skeleton, images: Vec::new(), people: Vec::new(), oddities };
    let mut used: HashMap<u64, (usize, usize)> = HashMap::new();
    for (number, raw) in file.annotations.iter().enumerate() {
        let name = raw.id.map_or_else(|| format!("number {number}"), |id| id.to_string());
        let place = places.get(&raw.image_id).filter(|_| categories.contains(&raw.category_id));
        let Some(&place) = place else {
            keypoints.oddities.strays += 1;
            continue;
        };
        if raw.category_id != category {
            continue;
        }
        if raw.iscrowd != 0 {
            keypoints.oddities.crowds += 1;
            continue;
        }
        let image = &file.images[place];
        let in_annotation = |Mistake { expected, found }| {
            format_error(path, expected, format!("{found} in annotation {name}"))
        };
        let joints = keypoints.skeleton.joints();
        let person = person(raw, image, joints, &mut keypoints.oddities).map_err(in_annotation)?;
        let Some(person) = person else { continue };
        let next = keypoints.images.len();
        let (image_place, people) = used.entry(raw.image_id).or_insert((next, 0));
        *people += 1;
        if *people > MOST_PEOPLE {
            let found = format!("more of them in image {}", raw.image_id);
            return Err(at(mistake("at most 256 people in an image", found)));
        }
        if *image_place == next && *people == 1 {
            let size = [image.width, image.height];
            let file_name = image.file_name.clone();
            keypoints.images.push(Image { id: image.id, file_name, size });
        }
        keypoints.people.push(Annotation { image: *image_place, ..person });
    }
    if keypoints.people.is_empty() {
        return Err(at(mistake("at least one person with a joint", "none".to_owned())));
    }
    Ok(keypoints)
}

/// What is wrong, before it is said where.
struct Mistake {
    expected: String,
    found: String,
}

fn mistake(expected: &str, found: String) -> Mistake {
    Mistake { expected: expected.to_owned(), found }
}

/// The one category that has joints, and these.
fn skeleton(categories: &[RawCategory]) -> Result<(u64, Skeleton), Mistake> {
    let mut with_joints = categories.iter().filter(|category| !category.keypoints.is_empty());
    let (Some(RawCategory { id, keypoints, skeleton }), None) =
        (with_joints.next(), with_joints.next())
    else {
        let count = categories.iter().filter(|category| !category.keypoints.is_empty()).count();
        let found = format!("{count} of {}", categories.len());
        return Err(mistake("one category with keypoints", found));
    };
    if categories.iter().filter(|category| category.id == *id).count() > 1 {
        return Err(mistake("categories of different ids", format!("{id} twice")));
    }
    let mut limbs = Vec::with_capacity(skeleton.len());
    for &[a, b] in skeleton {
        let (Some(first), Some(second)) = (a.checked_sub(1), b.checked_sub(1)) else {
            return Err(mistake("limbs of joints counted from 1", format!("0 in [{a}, {b}]")));
        };
        limbs.push([first, second]);
    }
    let skeleton = Skeleton::new(keypoints.clone(), limbs).map_err(|error| match error {
        Error::Setting { field, found, allowed } => mistake(&format!("{field} {allowed}"), found),
        other => mistake("joints and limbs", other.to_string()),
    })?;
    Ok((*id, skeleton))
}

/// Where the image of each number is in `images`.
fn images(images: &[RawImage]) -> Result<HashMap<u64, usize>, Mistake> {
    let (mut places, mut names) = (HashMap::new(), HashSet::new());
    for (place, RawImage { id, file_name, width, height }) in images.iter().enumerate() {
        if places.insert(*id, place).is_some() {
            return Err(mistake("images of different ids", format!("{id} twice")));
        }
        let side = 1..=LONGEST_SIDE;
        if !(side.contains(width) && side.contains(height)) {
            let found = format!("{width}x{height} for image {id}");
            return Err(mistake("images with sides of 1 to 32768 pixels", found));
        }
        let inside =
            Path::new(file_name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || file_name.is_empty() {
            let found = format!("{file_name:?} for image {id}");
            return Err(mistake("file names inside the folder", found));
        }
        // Otherwise a short file could ask for the same large image any number of times.
        if !names.insert(file_name) {
            return Err(mistake("images of different file names", format!("{file_name:?} twice")));
        }
    }
    Ok(places)
}

/// One person; which image it is in stays open. `None` for one who is left out.
fn person(
    raw: &RawAnnotation,
    image: &RawImage,
    names: &[String],
    oddities: &mut Oddities,
) -> Result<Option<Annotation>, Mistake> {
    let size = [f64::from(image.width), f64::from(image.height)];
    // Tools leave the list empty for people whose joints nobody marked.
    if raw.keypoints.is_empty() {
        oddities.without_joints += 1;
        return Ok(None);
    }
    if raw.keypoints.len() != 3 * names.len() {
        let found = format!("{} numbers", raw.keypoints.len());
        let expected = format!("3 numbers for each of {} joints", names.len());
        return Err(mistake(&expected, found));
    }
    let mut joints = Vec::with_capacity(names.len());
    for (numbers, name) in raw.keypoints.chunks_exact(3).zip(names) {
        let [x, y, visibility] = [numbers[0], numbers[1], numbers[2]];
        if ![0.0, 1.0, 2.0].contains(&visibility) {
            let found = format!("{visibility} for {name:?}");
            return Err(mistake("a visibility of 0, 1 or 2", found));
        }
        let known = visibility > 0.0;
        let inside = (0.0..=size[0]).contains(&x) && (0.0..=size[1]).contains(&y);
        oddities.joints_outside += usize::from(known && !inside);
        joints.push((known && inside).then_some([x, y]));
    }
    if joints.iter().all(Option::is_none) {
        oddities.without_joints += 1;
        return Ok(None);
    }
    let Some(bounds) = bounds(raw.bbox, &joints, size, oddities) else {
        oddities.without_box += 1;
        return Ok(None);
    };
    let [_, _, across, down] = bounds;
    let given = raw.area.filter(|&area| area > 0.0);
    oddities.areas_derived += usize::from(raw.area.is_some() && given.is_none());
    Ok(Some(Annotation { image: 0, joints, bounds, area: given.unwrap_or(across * down) }))
}

/// The box inside the image: the one that is given, or one around the joints.
fn bounds(
    given: Option<[f64; 4]>,
    joints: &[Option<[f64; 2]>],
    [width, height]: [f64; 2],
    oddities: &mut Oddities,
) -> Option<[f64; 4]> {
    if let Some(given @ [left, top, across, down]) = given {
        let inside = left >= -ROUNDING
            && top >= -ROUNDING
            && left + across <= width + ROUNDING
            && top + down <= height + ROUNDING;
        if inside && across > 0.0 && down > 0.0 {
            return Some(given);
        }
        let clipped = between([left, top], [left + across, top + down], [width, height]);
        if clipped.is_some() {
            oddities.boxes_clipped += 1;
            return clipped;
        }
    }
    let known = || joints.iter().flatten();
    let least = [0, 1].map(|axis| known().map(|at| at[axis]).fold(f64::INFINITY, f64::min));
    let most = [0, 1].map(|axis| known().map(|at| at[axis]).fold(f64::NEG_INFINITY, f64::max));
    // Joints lie inside of people.
    let margin = MARGIN * (most[0] - least[0]).max(most[1] - least[1]);
    if margin <= 0.0 {
        return None;
    }
    let derived = between(least.map(|at| at - margin), most.map(|at| at + margin), [width, height]);
    oddities.boxes_derived += usize::from(derived.is_some());
    derived
}

/// The part inside the image of the box between two corners; `None` where it has no area.
fn between(first: [f64; 2], last: [f64; 2], [width, height]: [f64; 2]) -> Option<[f64; 4]> {
    let [left, right] = [first[0], last[0]].map(|x| x.clamp(0.0, width));
    let [top, bottom] = [first[1], last[1]].map(|y| y.clamp(0.0, height));
    (right > left && bottom > top).then_some([left, top, right - left, bottom - top])
}
