//! Folders of keypoints that tests write.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The joints of everyone here.
pub(crate) const JOINTS: [&str; 5] = ["head_top", "left_hip", "right_hip", "neck", "thorax"];

/// An image of one colour with a square of five pixels of another around each of `points`.
pub(crate) fn image(width: u32, height: u32, points: &[([u32; 2], [u8; 3])]) -> RgbImage {
    let mut image = RgbImage::from_pixel(width, height, Rgb([20, 40, 60]));
    for &([x, y], colour) in points {
        for (dx, dy) in (0..25).map(|place| (place % 5, place / 5)) {
            image.put_pixel(x + dx - 2, y + dy - 2, Rgb(colour));
        }
    }
    image
}

pub(crate) fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A keypoint file with three people in two images, a crowd, someone without a joint and someone
/// who is no person.
pub(crate) fn keypoints() -> Value {
    json!({
        "info": {"version": "1.0"},
        "images": [
            {"id": 70, "file_name": "b.png", "width": 60, "height": 40, "license": 3},
            {"id": 7, "file_name": "deep/a.jpg", "width": 80, "height": 80},
            {"id": 8, "file_name": "not-there.jpg", "width": 80, "height": 80}
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 800.0, "num_keypoints": 4,
             "bbox": [10, 20, 40, 40], "segmentation": [[1, 2]],
             "keypoints": [30, 22, 2, 40, 50.5, 1, 20, 50, 2, 0, 0, 0, 40, 30, 2]},
            {"id": 2, "image_id": 8, "category_id": 1, "iscrowd": 1, "area": 1.0, "bbox": [0, 0, 9, 9],
             "keypoints": [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2]},
            {"id": 3, "image_id": 70, "category_id": 1, "bbox": [0, 0, 60, 40],
             "keypoints": [0, 0, 2, 60, 40, 2, 1, 1, 2, 1, 1, 2, 0, 0, 0]},
            {"id": 4, "image_id": 8, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 3,
             "keypoints": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]},
            {"id": 5, "image_id": 8, "category_id": 2, "bbox": [0, 0, 9, 9], "area": 3},
            {"id": 6, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 5.0, "bbox": [0, 0, 8, 4],
             "keypoints": [0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 2, 2, 0, 0, 0]}
        ],
        "categories": [
            {"id": 2, "name": "dog", "supercategory": "animal"},
            {"id": 1, "name": "person", "keypoints": JOINTS, "skeleton": [[1, 4], [4, 5], [2, 3]]}
        ]
    })
}

/// A folder with [`keypoints`] as both files, and its images.
pub(crate) fn folder() -> TempDir {
    folder_of(&keypoints(), &keypoints())
}

pub(crate) fn folder_of(train: &Value, val: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
    write("train.json", train.to_string().as_bytes());
    write("val.json", val.to_string().as_bytes());
    let a = image(80, 80, &[([30, 22], [255, 0, 0]), ([40, 50], [0, 255, 0])]);
    write("images/deep/a.jpg", &encoded(&a, ImageFormat::Jpeg));
    write("b.png", &encoded(&image(60, 40, &[]), ImageFormat::Png));
    folder
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
