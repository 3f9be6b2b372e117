//! The categories and images of a keypoint file.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

use super::damage::{DamagedEntry, Mistake, mistake};
use super::lenient::Json;
use super::records::Image;
use crate::Error;
use crate::pose::Skeleton;

/// The longest side of an image.
const LONGEST_SIDE: u32 = 32_768;

/// The categories of a file.
pub(super) struct Categories {
    pub(super) ids: HashSet<u64>,
    /// The one that has joints.
    pub(super) category: u64,
    pub(super) skeleton: Skeleton,
}

/// The ids of the categories, and the joints of the one that has any.
pub(super) fn categories(categories: &[Json]) -> Result<Categories, Mistake> {
    let (mut ids, mut twice, mut with_joints) = (HashSet::new(), HashSet::new(), Vec::new());
    for (place, category) in categories.iter().enumerate() {
        let in_category = |Mistake { expected, found }| Mistake {
            expected,
            found: format!("{found} in {}", category.name(["category", "categories"], place)),
        };
        let id = category.whole("id").map_err(in_category)?;
        let joints = category.optional_list("keypoints").map_err(in_category)?;
        if !joints.is_empty() {
            with_joints.push((id, joints, category));
        }
        if !ids.insert(id) {
            twice.insert(id);
        }
    }
    let &[(category, joints, entry)] = &*with_joints else {
        let found = format!("{} of {}", with_joints.len(), categories.len());
        return Err(mistake("one category with keypoints", found));
    };
    if twice.contains(&category) {
        return Err(mistake("categories of different ids", format!("{category} twice")));
    }
    let joints = joints.iter().map(|name| match name {
        Json::Text(name) => Ok(String::from(&**name)),
        other => Err(mistake("names as keypoints of a category", other.to_string())),
    });
    let joints = joints.collect::<Result<Vec<_>, Mistake>>()?;
    let limbs = entry.optional_list("skeleton")?.iter().map(|limb| limb_of(limb, joints.len()));
    let limbs = limbs.collect::<Result<Vec<_>, Mistake>>()?;
    let skeleton = Skeleton::new(joints, limbs).map_err(|error| match error {
        Error::Setting { field, found, allowed } => mistake(&format!("{field} {allowed}"), found),
        other => mistake("joints and limbs", other.to_string()),
    })?;
    Ok(Categories { ids, category, skeleton })
}

/// A limb between two of `count` joints, counted from 0; in the file they are counted from 1.
fn limb_of(limb: &Json, count: usize) -> Result<[usize; 2], Mistake> {
    let Json::List(ends) = limb else {
        return Err(mistake("pairs of joints as limbs", limb.to_string()));
    };
    let place = |end: &Json| match end {
        Json::Whole(number) => usize::try_from(*number).ok(),
        _ => None,
    };
    let [Some(first), Some(second)] = *ends.iter().map(place).collect::<Vec<_>>() else {
        let ends: Vec<String> = ends.iter().take(3).map(Json::to_string).collect();
        let found = format!("[{}]", ends.join(", "));
        return Err(mistake("pairs of joints as limbs", found));
    };
    let known = 1..=count;
    if !(known.contains(&first) && known.contains(&second)) || first == second {
        let found = format!("{first} to {second} of {count}");
        return Err(mistake("limbs between two of the joints, counted from 1", found));
    }
    Ok([first - 1, second - 1])
}

/// The images of a file.
#[derive(Default)]
#[expect(clippy::struct_field_names, reason = "it is the images, beside what is known of them")]
pub(super) struct Images {
    pub(super) images: Vec<Image>,
    /// Where the image of each id is in `images`.
    pub(super) places: HashMap<u64, usize>,
    /// The ids of those that cannot be used.
    pub(super) is_damaged: HashSet<u64>,
    pub(super) damaged: Vec<DamagedEntry>,
}

impl Images {
    pub(super) fn new(entries: &[Json]) -> Self {
        let mut found = Self::default();
        let mut names = HashSet::new();
        for (place, entry) in entries.iter().enumerate() {
            match image(entry) {
                Ok(Image { id, .. }) if found.places.contains_key(&id) => {
                    let mistake = mistake("images of different ids", format!("{id} again"));
                    found.damaged.push(DamagedEntry::new(format!("images[{place}]"), mistake));
                }
                // Otherwise a short file could ask for the same large image any number of times.
                Ok(Image { file_name, .. }) if names.contains(&file_name) => {
                    let again = format!("{file_name:?} again");
                    let mistake = mistake("images of different file names", again);
                    found.add_damaged(entry, place, mistake);
                }
                Ok(image) => {
                    found.places.insert(image.id, found.images.len());
                    names.insert(image.file_name.clone());
                    found.images.push(image);
                }
                Err(mistake) => found.add_damaged(entry, place, mistake),
            }
        }
        found
    }

    fn add_damaged(&mut self, entry: &Json, place: usize, mistake: Mistake) {
        self.is_damaged.extend(entry.whole("id"));
        self.damaged.push(DamagedEntry::new(entry.name(["image", "images"], place), mistake));
    }
}

/// One image, with a size and a file in the folder.
fn image(entry: &Json) -> Result<Image, Mistake> {
    let id = entry.whole("id")?;
    let side = |name: &str| {
        let side = entry.whole(name).ok().and_then(|side| u32::try_from(side).ok());
        side.filter(|side| (1..=LONGEST_SIDE).contains(side))
    };
    let (Some(width), Some(height)) = (side("width"), side("height")) else {
        let found = format!("{}x{}", entry.get("width"), entry.get("height"));
        return Err(mistake("images with sides of 1 to 32768 pixels", found));
    };
    let Json::Text(file_name) = entry.get("file_name") else {
        return Err(entry.wrong("file_name", "the name of a file as file_name"));
    };
    let inside =
        Path::new(&**file_name).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || file_name.is_empty() {
        return Err(mistake("file names inside the folder", format!("{file_name:?}")));
    }
    Ok(Image { id, file_name: String::from(&**file_name), size: [width, height] })
}
