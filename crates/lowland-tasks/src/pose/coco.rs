//! Keypoint files as COCO has them.
//!
//! One JSON object with `images` (`id`, `file_name`, `width`, `height`), `annotations` (`image_id`,
//! `category_id`, `keypoints` as `[x, y, v]` for each joint, `bbox` as `[x, y, width, height]`,
//! `area`, `iscrowd`) and `categories` (`id`, `name`, `keypoints` as names, `skeleton` as pairs
//! counted from 1). All other fields are ignored.

mod damage;
mod header;
mod lenient;
mod person;
mod records;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::Result;
use crate::data::files::format_error;
use damage::{Mistake, mistake};
use header::{Categories, Images, categories};
use lenient::Json;

pub use damage::DamagedEntry;
pub use records::{Annotation, Image, Keypoints, Oddities};

/// The most people of one image that are kept: the average precision compares all pairs of them.
pub(super) const MOST_PEOPLE: usize = 1024;

/// Reads the text of a keypoint file. `path` is only what an error calls the file.
///
/// Crowds and people without a joint are left out, and so is what belongs to a category without
/// joints, or to an image or category that is not there. Boxes are cut at the edge of their image,
/// and drawn around the joints where they are missing; joints outside the image are not visible.
/// [`Oddities`] counts all that. Where there is no `area`, it is that of the box. Of an image with
/// more than 1,024 people the first 1,024 are kept, and [`Keypoints::beyond`] counts the others.
///
/// An image or annotation is left out and put in [`Keypoints::damaged`] if a field is missing or
/// has another type; if an image or its file comes twice, an image is empty or has a side of more
/// than 32,768 pixels, or the name of its file leads out of the folder; or if an annotation has
/// another number of joints than the category, or a visibility other than 0, 1 and 2.
///
/// # Errors
///
/// [`Error::Format`](crate::Error::Format) if the text is no such JSON; if not exactly one category
/// has keypoints, or these make no [`Skeleton`](super::Skeleton); or if nobody is left and nothing
/// is damaged.
pub fn parse(path: &Path, text: &[u8]) -> Result<Keypoints> {
    let at = |Mistake { expected, found }| format_error(path, expected, found);
    let file = lenient::read(text).map_err(at)?;
    if !matches!(file, Json::Object(_)) {
        return Err(at(mistake("COCO keypoints, a JSON object", file.to_string())));
    }
    let [images, annotations] = ["images", "annotations"].map(|name| file.list(name).map_err(at));
    let Categories { ids, category, skeleton } =
        categories(file.list("categories").map_err(at)?).map_err(at)?;
    let Images { images, places, is_damaged, mut damaged } = Images::new(images?);

    let mut oddities = Oddities::default();
    let (mut used_images, mut people) = (Vec::new(), Vec::new());
    let mut used: HashMap<u64, (usize, usize)> = HashMap::new();
    let mut beyond: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, raw) in annotations?.iter().enumerate() {
        let name = || raw.name(["annotation", "annotations"], number);
        let ids_of = || Ok([raw.whole("image_id")?, raw.whole("category_id")?]);
        let [image_id, category_id] = match ids_of() {
            Ok(ids) => ids,
            Err(mistake) => {
                damaged.push(DamagedEntry::new(name(), mistake));
                continue;
            }
        };
        if !ids.contains(&category_id) {
            oddities.strays += 1;
            continue;
        }
        let Some(&place) = places.get(&image_id) else {
            let count = if is_damaged.contains(&image_id) {
                &mut oddities.of_damaged_images
            } else {
                &mut oddities.strays
            };
            *count += 1;
            continue;
        };
        if category_id != category {
            continue;
        }
        let image = &images[place];
        let person = match person::read(raw, image.size, skeleton.joints(), &mut oddities) {
            Ok(Some(person)) => person,
            Ok(None) => continue,
            Err(mistake) => {
                damaged.push(DamagedEntry::new(name(), mistake));
                continue;
            }
        };
        let next = used_images.len();
        let (image_place, people_of_it) = used.entry(image_id).or_insert((next, 0));
        if *people_of_it == MOST_PEOPLE {
            *beyond.entry(*image_place).or_default() += 1;
            continue;
        }
        *people_of_it += 1;
        if *image_place == next && *people_of_it == 1 {
            used_images.push(image.clone());
        }
        people.push(Annotation { image: *image_place, ..person });
    }
    if people.is_empty() && damaged.is_empty() {
        return Err(at(mistake("at least one person with a joint", "none".to_owned())));
    }
    let without_people = images.into_iter().filter(|image| !used.contains_key(&image.id));
    let without_people = without_people.map(|image| image.file_name).collect();
    let images = used_images;
    let named = |(place, count): (usize, usize)| (images[place].file_name.clone(), count);
    let beyond = beyond.into_iter().map(named).collect();
    Ok(Keypoints { skeleton, images, people, oddities, beyond, damaged, without_people })
}
