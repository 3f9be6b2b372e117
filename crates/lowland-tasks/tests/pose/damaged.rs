//! Keypoint files with entries that cannot be used, and folders with files that are not.

use std::path::Path;

use image::ImageFormat;
use lowland_tasks::data::Decoding;
use lowland_tasks::pose::{CropConfig, PoseSplits, coco};
use serde_json::{Value, json};

use crate::folder::{encoded, folder, folder_of, image, keypoints, write};

fn with(place: &str, value: Value) -> Value {
    let mut file = keypoints();
    *file.pointer_mut(place).unwrap() = value;
    file
}

fn parse(text: &str) -> lowland_tasks::Result<coco::Keypoints> {
    coco::parse(Path::new("x"), text.as_bytes())
}

fn read(folder: &Path, skip_damaged: bool) -> Result<PoseSplits, String> {
    PoseSplits::read_with(folder, &CropConfig::default(), &Decoding::default(), skip_damaged)
        .map_err(|error| error.to_string())
}

#[test]
fn damaged_annotations_are_named_with_what_is_allowed() {
    let whole = "a whole number of at least 0 as";
    let cases = [
        ("/keypoints", json!([1, 2, 2]), "3 numbers for each of 5 joints, found 3 numbers"),
        ("/keypoints", json!(null), "a list of numbers as keypoints, found null"),
        ("/keypoints", json!("x"), "a list of numbers as keypoints, found \"x\""),
        ("/keypoints/4", json!("9"), "a list of numbers as keypoints, found \"9\" in place 4"),
        ("/keypoints/2", json!(3), "a visibility of 0, 1 or 2, found 3 for \"head_top\""),
        ("/keypoints/2", json!(1e300), "a visibility of 0, 1 or 2, found 1e300 for \"head_top\""),
        ("/image_id", json!("7"), &format!("{whole} image_id, found \"7\"")),
        ("/category_id", json!(-1), &format!("{whole} category_id, found -1")),
        ("/bbox", json!([1, 2, 3]), "4 numbers as bbox, found 3 numbers"),
        ("/bbox", json!({"x": 1}), "a list of numbers as bbox, found an object"),
        ("/area", json!([]), "a number as area, found a list of 0"),
        ("/iscrowd", json!("no"), "0 or 1 as iscrowd, found \"no\""),
    ];
    let usual = parse(&keypoints().to_string()).unwrap();
    assert_eq!((&usual.damaged, &usual.without_people), (&vec![], &vec!["not-there.jpg".into()]));
    for (place, value, expected) in cases {
        let file = with(&format!("/annotations/0{place}"), value);
        let found = parse(&file.to_string()).unwrap();
        let [damaged] = &*found.damaged else { panic!("{place}: {:?}", found.damaged) };
        let error = damaged.error(Path::new("x")).to_string();
        assert_eq!(error, format!("x: expected {expected} in annotation 1"));
        assert_eq!(found.people, parse(&without(0).to_string()).unwrap().people);
        assert_eq!(found.oddities, usual.oddities);
    }
    // Without an id, an entry is called by its place.
    for (entry, expected) in [(json!(5), "an object, found 5"), (json!({"id": null}), whole)] {
        let found = parse(&with("/annotations/0", entry).to_string()).unwrap();
        let error = found.damaged[0].error(Path::new("x")).to_string();
        assert!(error.starts_with(&format!("x: expected {expected}")), "{error}");
        assert!(error.ends_with(" in annotations[0]"), "{error}");
    }
    let nobody = parse(&with("/annotations", json!([])).to_string()).unwrap_err().to_string();
    assert_eq!(nobody, "x: expected at least one person with a joint, found none");
}

/// The file without one of its annotations.
fn without(annotation: usize) -> Value {
    let mut file = keypoints();
    file["annotations"].as_array_mut().unwrap().remove(annotation);
    file
}

#[test]
fn damaged_images_are_named_and_their_people_counted() {
    let sides = "images with sides of 1 to 32768 pixels, found";
    let inside = "file names inside the folder, found";
    let cases = [
        ("/images/0/width", json!(0), format!("{sides} 0x40 in image 70")),
        ("/images/0/height", json!(40_000), format!("{sides} 60x40000 in image 70")),
        ("/images/0/width", json!(-1), format!("{sides} -1x40 in image 70")),
        ("/images/0/file_name", json!("../b.png"), format!("{inside} \"../b.png\" in image 70")),
        ("/images/0/file_name", json!("/b.png"), format!("{inside} \"/b.png\" in image 70")),
        ("/images/0/file_name", json!(""), format!("{inside} \"\" in image 70")),
        (
            "/images/0/file_name",
            json!(null),
            "the name of a file as file_name, found null in image 70".to_owned(),
        ),
    ];
    for (place, value, expected) in cases {
        let found = parse(&with(place, value).to_string()).unwrap();
        assert_eq!((found.people.len(), found.oddities.of_damaged_images), (2, 1), "{place}");
        let error = found.damaged[0].error(Path::new("x")).to_string();
        assert_eq!(error, format!("x: expected {expected}"));
    }
    for (place, value, expected) in [
        ("/images/1/id", json!(70), "images of different ids, found 70 again in images[1]"),
        (
            "/images/1/file_name",
            json!("b.png"),
            "images of different file names, found \"b.png\" again in image 7",
        ),
        (
            "/images/1/id",
            json!("7"),
            "a whole number of at least 0 as id, found \"7\" in images[1]",
        ),
    ] {
        let found = parse(&with(place, value).to_string()).unwrap();
        let error = found.damaged[0].error(Path::new("x")).to_string();
        assert_eq!(error, format!("x: expected {expected}"));
        assert_eq!(found.people.len(), 1);
    }
}

#[test]
fn mistakes_of_categories_and_of_the_file_refuse_it() {
    let limbs = "limbs between two of the joints, counted from 1, found";
    let cases = [
        ("/categories", json!([]), "one category with keypoints, found 0 of 0".to_owned()),
        (
            "/categories/0",
            json!({"id": 3, "keypoints": ["a"]}),
            "one category with keypoints, found 2 of 2".to_owned(),
        ),
        ("/categories/0/id", json!(1), "categories of different ids, found 1 twice".to_owned()),
        (
            "/categories/0/id",
            json!("a"),
            "a whole number of at least 0 as id, found \"a\" in categories[0]".to_owned(),
        ),
        (
            "/categories/1/keypoints/0",
            json!("neck"),
            "joints of different names, found \"neck\" twice".to_owned(),
        ),
        (
            "/categories/1/keypoints/1",
            json!("hip"),
            "joints on both sides or on none, found \"right_hip\" alone".to_owned(),
        ),
        (
            "/categories/1/keypoints/1",
            json!(1),
            "names as keypoints of a category, found 1".to_owned(),
        ),
        ("/categories/1/skeleton/0/0", json!(0), format!("{limbs} 0 to 4 of 5")),
        ("/categories/1/skeleton/0", json!([1, 6]), format!("{limbs} 1 to 6 of 5")),
        ("/categories/1/skeleton/0", json!([2, 2]), format!("{limbs} 2 to 2 of 5")),
        (
            "/categories/1/skeleton/0",
            json!([1, "neck"]),
            "pairs of joints as limbs, found [1, \"neck\"]".to_owned(),
        ),
        ("/images", json!({}), "a list as images, found an object".to_owned()),
    ];
    for (place, value, expected) in cases {
        let error = parse(&with(place, value).to_string()).unwrap_err().to_string();
        assert_eq!(error, format!("x: expected {expected}"), "{place}");
    }
    let text = |file: &str| parse(file).unwrap_err().to_string();
    let json = "x: expected COCO keypoints, a JSON object, found";
    assert_eq!(text("[1]"), format!("{json} a list of 1"));
    assert_eq!(text(""), format!("{json} an empty file"));
    assert_eq!(text("{\"images\": [\n"), format!("{json} one that ends early, in line 2"));
    assert!(text("x = 1").starts_with(&format!("{json} no JSON in line 1, column 1 (")));
    assert_eq!(text("{\"images\": []}"), "x: expected a list as categories, found none");
}

#[test]
fn a_byte_order_mark_and_the_words_of_python_are_read() {
    let file = keypoints().to_string();
    assert_eq!(parse(&format!("\u{feff}{file}")).unwrap(), parse(&file).unwrap());
    let found = parse(&file.replace("50.5", "NaN").replace("2400", "Infinity")).unwrap();
    assert_eq!(
        found.damaged[0].error(Path::new("x")).to_string(),
        "x: expected a list of numbers as keypoints, found NaN in place 4 in annotation 1"
    );
    assert_eq!(found.people.len(), 2);
}

#[test]
fn damaged_entries_are_named_together_or_left_out_and_counted() {
    let mut file = with("/annotations/0/keypoints", json!(null));
    file["images"][0]["width"] = json!(-60);
    let folder = folder_of(&file, &keypoints());
    let train = folder.path().join("train.json").display().to_string();
    assert_eq!(
        read(folder.path(), false).unwrap_err(),
        format!(
            "2 damaged entries: {train}: expected images with sides of 1 to 32768 pixels, found \
             -60x40 in image 70; {train}: expected a list of numbers as keypoints, found null in \
             annotation 1; --skip-damaged leaves them out"
        )
    );
    let found = read(folder.path(), true).unwrap();
    assert_eq!((found.train.len(), found.test.len()), (1, 3));
    for line in [
        "training part: left out 2 damaged entries: image 70, annotation 1",
        "training part: 1 annotation of a damaged image, left out",
    ] {
        assert!(found.remarks.iter().any(|found| found == line), "{:?}", found.remarks);
    }
    let mut file = with("/annotations", json!([]));
    file["annotations"] = json!([{"id": 1}]);
    let folder = folder_of(&file, &keypoints());
    let error = read(folder.path(), true).unwrap_err();
    assert!(error.contains("train.json: expected at least one person who is not dam"), "{error}");
}

#[test]
fn files_that_are_not_used_and_images_without_people_are_named() {
    let mut file = keypoints();
    let more = json!({"id": 9, "file_name": "images/empty.png", "width": 60, "height": 40});
    file["images"].as_array_mut().unwrap().push(more);
    let folder = folder_of(&file, &keypoints());
    for name in ["images/empty.png", "extra.png", "other/a.png", "other/b.png"] {
        write(folder.path(), name, &encoded(&image(60, 40, &[]), ImageFormat::Png));
    }
    let found = read(folder.path(), false).unwrap();
    assert_eq!(
        found.remarks[5..],
        [
            "left out 2 images without a person: images/empty.png, not-there.jpg",
            "left out 1 file (.png) not used: extra.png",
            "left out 1 folder with no part in the layout: other",
        ]
    );
}

#[test]
fn transparent_images_are_laid_over_white_and_named() {
    let folder = folder();
    let clear = image::RgbaImage::from_pixel(60, 40, image::Rgba([255, 0, 0, 0]));
    clear.save(folder.path().join("b.png")).unwrap();
    let found = read(folder.path(), false).unwrap();
    let line = "1 image has transparent pixels and was laid over white: b.png";
    assert!(found.remarks.iter().any(|remark| remark == line), "{:?}", found.remarks);
    // The middle of the second person's picture.
    let picture = found.train.pictures().image(1);
    assert_eq!(picture[64 * 128 + 64..][..2], [255, 255]);
    assert_eq!(picture[128 * 128 + 64 * 128 + 64], 255);
}
