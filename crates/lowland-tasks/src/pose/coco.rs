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
/// joints. Where there is no `area`, it is that of the box.
///
/// # Errors
///
/// [`Error::Format`] if the text is no such JSON; if not exactly one category has keypoints, or
/// these make no [`Skeleton`]; if an image or its file comes twice, an image is empty or has a side
/// of more than 32,768 pixels, or the name of its file leads out of the folder; if an annotation
/// names no image or category that there is, has no box inside its image, another number of joints
/// than the category, or a joint outside its image; if one image has more than 256 people; or if
/// nobody is left.
pub fn parse(path: &Path, text: &[u8]) -> Result<Keypoints> {
    let file: File = serde_json::from_slice(text)
        .map_err(|error| format_error(path, "COCO keypoints".to_owned(), error.to_string()))?;
    let at = |Mistake { expected, found }| format_error(path, expected, found);
    let (category, skeleton) = skeleton(&file.categories).map_err(at)?;
    let places = images(&file.images).map_err(at)?;
    let categories: HashSet<u64> = file.categories.iter().map(|category| category.id).collect();

    let mut keypoints = Keypoints { skeleton, images: Vec::new(), people: Vec::new() };
    let mut used: HashMap<u64, (usize, usize)> = HashMap::new();
    for (number, raw) in file.annotations.iter().enumerate() {
        let name = raw.id.map_or_else(|| format!("number {number}"), |id| id.to_string());
        if !categories.contains(&raw.category_id) {
            let found = format!("category {} in annotation {name}", raw.category_id);
            return Err(at(mistake("annotations of the file's categories", found)));
        }
        let Some(&place) = places.get(&raw.image_id) else {
            let found = format!("image {} in annotation {name}", raw.image_id);
            return Err(at(mistake("annotations of the file's images", found)));
        };
        if raw.category_id != category || raw.iscrowd != 0 {
            continue;
        }
        let image = &file.images[place];
        let in_annotation = |Mistake { expected, found }| {
            format_error(path, expected, format!("{found} in annotation {name}"))
        };
        let person = person(raw, image, keypoints.skeleton.joints()).map_err(in_annotation)?;
        if person.joints.iter().all(Option::is_none) {
            continue;
        }
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
    // Counted from 1 in the file; a 0 becomes a place that no joint has.
    let limbs = skeleton.iter().map(|pair| pair.map(|joint| joint.wrapping_sub(1))).collect();
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

/// One person; which image it is in stays open.
fn person(raw: &RawAnnotation, image: &RawImage, names: &[String]) -> Result<Annotation, Mistake> {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    if raw.keypoints.len() != 3 * names.len() {
        let found = format!("{} numbers", raw.keypoints.len());
        let expected = format!("3 numbers for each of {} joints", names.len());
        return Err(mistake(&expected, found));
    }
    let size = format!("the image of {width}x{height}");
    let mut joints = Vec::with_capacity(names.len());
    for (numbers, name) in raw.keypoints.chunks_exact(3).zip(names) {
        let [x, y, visibility] = [numbers[0], numbers[1], numbers[2]];
        if ![0.0, 1.0, 2.0].contains(&visibility) {
            let found = format!("{visibility} for {name:?}");
            return Err(mistake("a visibility of 0, 1 or 2", found));
        }
        let known = visibility > 0.0;
        if known && !((0.0..=width).contains(&x) && (0.0..=height).contains(&y)) {
            let found = format!("{name:?} at {x}, {y}");
            return Err(mistake(&format!("joints inside {size}"), found));
        }
        joints.push(known.then_some([x, y]));
    }
    let Some(bounds @ [left, top, across, down]) = raw.bbox else {
        return Err(mistake("a bbox", "none".to_owned()));
    };
    let inside = left >= -ROUNDING
        && top >= -ROUNDING
        && left + across <= width + ROUNDING
        && top + down <= height + ROUNDING;
    if !(inside && across > 0.0 && down > 0.0) {
        let found = format!("{bounds:?}");
        return Err(mistake(&format!("a bbox with an area inside {size}"), found));
    }
    let area = raw.area.unwrap_or(across * down);
    if area <= 0.0 {
        return Err(mistake("an area above 0", area.to_string()));
    }
    Ok(Annotation { image: 0, joints, bounds, area })
}
