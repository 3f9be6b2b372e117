//! Keypoint files and their images: what is read, and what is refused. In one file, since all cases
//! share what writes the files.

use std::path::Path;

use image::ImageFormat;
use lowland_tasks::data::{Decoding, ImageSet, ImageShape};
use lowland_tasks::pose::{Affine, CropConfig, PoseSet, PoseSplits, coco};
use serde_json::{Value, json};

use crate::folder::{JOINTS, encoded, folder, folder_of, image, keypoints, write};

fn read(folder: &Path) -> Result<PoseSplits, String> {
    PoseSplits::read(folder, &CropConfig::default()).map_err(|error| error.to_string())
}

#[test]
fn people_are_read_with_their_joints() {
    let folder = folder();
    let PoseSplits { train, test, remarks, validation } = read(folder.path()).unwrap();
    assert_eq!(validation, None);
    assert_eq!(
        remarks,
        [
            "there is no test file: val.json is the test part",
            "training part: 1 crowd left out",
            "training part: 1 person without a visible joint, left out",
            "test part: 1 crowd left out",
            "test part: 1 person without a visible joint, left out",
            "left out 1 image without a person: not-there.jpg",
        ]
    );
    assert_eq!(train, test);
    assert_eq!((train.len(), train.is_empty()), (3, false));
    assert_eq!(train.skeleton().joints(), JOINTS);
    assert_eq!(train.skeleton().limbs(), [[0, 3], [3, 4], [1, 2]]);
    assert_eq!(train.skeleton().mirrored(), [0, 2, 1, 3, 4]);
    let people = train.people();
    assert_eq!(people.iter().map(|person| person.image).collect::<Vec<_>>(), [7, 70, 7]);
    let joints =
        [Some([30.0, 22.0]), Some([40.0, 50.5]), Some([20.0, 50.0]), None, Some([40., 30.])];
    assert_eq!(people[0].joints, joints);
    assert_eq!((people[0].bounds, people[0].area), ([10.0, 20.0, 40.0, 40.0], 800.0));
    // Without an area, it is that of the box.
    assert_eq!(people[1].area, 2400.0);
}

#[test]
fn pictures_show_the_box_and_a_quarter_more() {
    let folder = folder();
    let set = read(folder.path()).unwrap().train;
    let shape = ImageShape { channels: 3, height: 128, width: 128 };
    assert_eq!(set.pictures().shape(), shape);
    let crop = |index: usize, point| set.people()[index].crop.apply(point);
    let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < 1e-9;
    // The box of 40 by 40 around (30, 40) becomes one of 50 by 50.
    assert!(near(crop(0, [5.0, 15.0]), [0.0, 0.0]) && near(crop(0, [55.0, 65.0]), [128.0, 128.0]));
    // One of 60 by 40 becomes 75 by 75, and reaches out of the image.
    assert!(
        near(crop(1, [-7.5, -17.5]), [0.0, 0.0]) && near(crop(1, [67.5, 57.5]), [128.0, 128.0])
    );
    let pixel = |index: usize, [x, y]: [f64; 2]| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "inside")]
        let place = y as usize * 128 + x as usize;
        let picture = set.pictures().image(index);
        [0, 1, 2].map(|channel| i32::from(picture[channel * 128 * 128 + place]))
    };
    let like = |found: [i32; 3], expected: [i32; 3]| {
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 40);
        assert!(near, "{found:?} for {expected:?}");
    };
    // The colours of the image at the joints: a JPEG is not exact.
    like(pixel(0, crop(0, [30.5, 22.5])), [255, 0, 0]);
    like(pixel(0, crop(0, [40.5, 50.5])), [0, 255, 0]);
    like(pixel(0, crop(0, [30.5, 40.5])), [20, 40, 60]);
    assert_eq!(pixel(1, crop(1, [30.0, 20.0])), [20, 40, 60]);
    assert_eq!(pixel(1, crop(1, [30.0, -5.0])), [0, 0, 0]);
}

#[test]
fn settings_of_pictures_are_kept_and_checked() {
    let folder = folder();
    let config = CropConfig { height: 20, width: 10, enlarge: 1.0 };
    let set = PoseSplits::read(folder.path(), &config).unwrap().train;
    assert_eq!(set.pictures().shape(), ImageShape { channels: 3, height: 20, width: 10 });
    // 40 by 40 becomes 40 by 80.
    assert_eq!(set.people()[0].crop.apply([10.0, 0.0]), [0.0, 0.0]);
    assert_eq!(set.people()[0].crop.apply([50.0, 80.0]), [10.0, 20.0]);

    let error = |config| PoseSplits::read(folder.path(), &config).unwrap_err().to_string();
    let default = CropConfig::default();
    assert_eq!(
        error(CropConfig { height: 0, ..default }),
        "height must be between 1 and 1024, found 0"
    );
    assert_eq!(
        error(CropConfig { width: 1025, ..default }),
        "width must be between 1 and 1024, found 1025"
    );
    for enlarge in [0.9, 4.1, f64::NAN] {
        let expected = format!("enlarge must be between 1 and 4, found {enlarge}");
        assert_eq!(error(CropConfig { enlarge, ..default }), expected);
    }
}

#[test]
fn some_of_the_people_are_a_set_and_checksums_distinguish_sets() {
    let folder = folder();
    let set = read(folder.path()).unwrap().train;
    let first = set.select(&[0, 1]).unwrap();
    assert_eq!((first.len(), first.people()), (2, &set.people()[..2]));
    assert_eq!(first.pictures().image(1), set.pictures().image(1));
    assert!(set.select(&[3]).is_err() && set.select(&[]).is_err());

    let mut sums = vec![set.sha256(), first.sha256()];
    assert_eq!(read(folder.path()).unwrap().test.sha256(), sums[0]);
    for (place, value) in [
        ("/annotations/0/keypoints/1", json!(23)),
        ("/annotations/0/keypoints/2", json!(0)),
        ("/annotations/0/area", json!(801)),
        ("/annotations/2/bbox/0", json!(1)),
        ("/categories/1/keypoints/3", json!("throat")),
        ("/categories/1/skeleton/0/1", json!(5)),
    ] {
        let mut changed = keypoints();
        *changed.pointer_mut(place).unwrap() = value;
        if place.contains("bbox") {
            changed["annotations"][2]["bbox"][2] = json!(59);
        }
        sums.push(read(folder_of(&changed, &changed).path()).unwrap().train.sha256());
    }
    let other = folder_of(&keypoints(), &keypoints());
    let pixels = encoded(&image(60, 40, &[([9, 9], [1, 2, 3])]), ImageFormat::Png);
    write(other.path(), "b.png", &pixels);
    sums.push(read(other.path()).unwrap().train.sha256());
    let distinct: std::collections::BTreeSet<_> = sums.iter().collect();
    assert_eq!(distinct.len(), sums.len());
}

/// What is read of a keypoint file in which the value at `place` is another.
fn mended(place: &str, value: Value) -> coco::Keypoints {
    let mut file = keypoints();
    *file.pointer_mut(place).unwrap() = value;
    coco::parse(Path::new("x"), file.to_string().as_bytes()).unwrap()
}

#[test]
fn odd_annotations_are_mended_or_left_out_and_counted() {
    let usual = coco::Oddities { crowds: 1, without_joints: 1, ..coco::Oddities::default() };
    let unknown = [("/annotations/0/image_id", 9), ("/annotations/0/category_id", 9)];
    for (place, value) in unknown {
        let found = mended(place, json!(value));
        assert_eq!(found.oddities, coco::Oddities { strays: 1, ..usual });
        assert_eq!(found.people.len(), 2);
    }
    for value in [json!(80.5), json!(-1)] {
        let found = mended("/annotations/0/keypoints/0", value);
        assert_eq!(found.oddities, coco::Oddities { joints_outside: 1, ..usual });
        assert_eq!(found.people[0].joints[0], None);
    }
    for (value, bounds) in [
        (json!([10, 20, 40, 62]), [10.0, 20.0, 40.0, 60.0]),
        (json!([-5, -1e300, 110, 2e300]), [0.0, 0.0, 80.0, 80.0]),
    ] {
        let found = mended("/annotations/0/bbox", value);
        assert_eq!(found.oddities, coco::Oddities { boxes_clipped: 1, ..usual });
        assert_eq!(found.people[0].bounds, bounds);
    }
    // The joints reach from 20 to 40 and from 22 to 50.5, and a tenth of 28.5 goes around them.
    for value in [json!(null), json!([10, 20, 0, 40]), json!([1e300, 20, 40, 40])] {
        let found = mended("/annotations/0/bbox", value);
        assert_eq!(found.oddities, coco::Oddities { boxes_derived: 1, ..usual });
        let expected = [20.0 - 2.85, 22.0 - 2.85, 20.0 + 5.7, 28.5 + 5.7];
        let near = found.people[0].bounds.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near, "{:?}", found.people[0].bounds);
    }
    // One joint is no box.
    let found = mended("/annotations/5/bbox", json!(null));
    assert_eq!(found.oddities, coco::Oddities { without_box: 1, ..usual });
    let found = mended("/annotations/0/area", json!(0));
    assert_eq!((found.oddities.areas_derived, found.people[0].area), (1, 1600.0));
}

#[test]
fn coco_is_read_as_it_is_published_and_as_tools_export_it() {
    let (file, flat) = (keypoints().to_string(), folder());
    let image = |name: &str| std::fs::read(flat.path().join(name)).unwrap();
    for (train, val, images) in [
        (
            "annotations/person_keypoints_train2017.json",
            "annotations/person_keypoints_val2017.json",
            ["train2017", "val2017"],
        ),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", ["train", "valid"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), train, file.as_bytes());
        write(folder.path(), val, file.as_bytes());
        write(folder.path(), "annotations/captions_train2017.json", b"{}");
        for place in images {
            write(folder.path(), &format!("{place}/deep/a.jpg"), &image("images/deep/a.jpg"));
            write(folder.path(), &format!("{place}/b.png"), &image("b.png"));
        }
        let found = read(folder.path()).unwrap();
        assert_eq!(found.train, read(flat.path()).unwrap().train);
        // An image that is missing is looked for where those of its part are.
        let place = folder.path().join(images[0]).join("b.png");
        let bytes = std::fs::read(&place).unwrap();
        std::fs::remove_file(&place).unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.starts_with(&format!("{}: expected image ", place.display())), "{error}");
        std::fs::write(&place, bytes).unwrap();
        // A part of its own to test on leaves the other one to choose on.
        write(folder.path(), "test.json", file.as_bytes());
        write(folder.path(), "images/deep/a.jpg", &image("images/deep/a.jpg"));
        write(folder.path(), "b.png", &image("b.png"));
        assert!(read(folder.path()).unwrap().validation.is_some());
    }
}

#[test]
fn people_of_missing_images_can_be_left_out() {
    let folder = folder();
    std::fs::remove_file(folder.path().join("b.png")).unwrap();
    let (crop, decoding) = (CropConfig::default(), Decoding::default());
    let splits = PoseSplits::read_with(folder.path(), &crop, &decoding, true).unwrap();
    assert_eq!(splits.train.people().iter().map(|p| p.image).collect::<Vec<_>>(), [7, 7]);
    let line = "left out 1 missing or damaged image: images/b.png";
    assert!(splits.remarks.iter().any(|remark| remark == line), "{:?}", splits.remarks);
}

#[test]
fn people_beyond_the_limit_of_an_image_are_left_out_and_counted() {
    let mut file = keypoints();
    let (person, other) = (file["annotations"][0].clone(), file["annotations"][2].clone());
    let crowd = |count: usize| [vec![person.clone(); count], vec![other.clone()]].concat();
    let parse = |file: &Value| coco::parse(Path::new("x"), file.to_string().as_bytes()).unwrap();
    file["annotations"] = json!(crowd(1024));
    let found = parse(&file);
    assert_eq!((found.people.len(), found.beyond), (1025, vec![]));
    file["annotations"] = json!(crowd(1027));
    let found = parse(&file);
    let name = found.images[0].file_name.clone();
    assert_eq!((found.people.len(), found.images[1].id), (1025, 70));
    assert_eq!(found.beyond, [(name.clone(), 3)]);

    let folder = folder_of(&file, &keypoints());
    let crop = CropConfig { height: 8, width: 8, ..CropConfig::default() };
    let found = PoseSplits::read(folder.path(), &crop).unwrap();
    assert_eq!(found.train.people().iter().filter(|person| person.image == 7).count(), 1024);
    let line =
        format!("training part: left out 3 people beyond the first 1024 of an image: {name}");
    assert!(found.remarks.contains(&line), "{:?}", found.remarks);
}

#[test]
fn what_is_missing_in_a_folder_is_reported() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let remove = |name: &str| std::fs::remove_file(folder.path().join(name)).unwrap();
    remove("b.png");
    assert_eq!(
        read(folder.path()).unwrap_err(),
        format!(
            "{}: expected image 70 of a keypoint file, found no such file; --skip-damaged leaves it out",
            path("images/b.png")
        )
    );
    remove("val.json");
    let files = "train.json, val.json and the images that they name, or annotations/ and train2017/ as COCO has them";
    assert_eq!(
        read(folder.path()).unwrap_err(),
        format!("{}: expected one of {files}, found no such file", path("val.json"))
    );
    assert_eq!(
        read(&folder.path().join("x")).unwrap_err(),
        format!("{}: expected a folder with {files}, found no such folder", path("x"))
    );
}

#[test]
fn both_files_have_the_same_joints_and_limbs() {
    let mut other = keypoints();
    other["categories"][1]["skeleton"] = json!([[1, 4]]);
    let folder = folder_of(&keypoints(), &other);
    let (train, val) = (folder.path().join("train.json"), folder.path().join("val.json"));
    let (train, val) = (train.display(), val.display());
    assert_eq!(
        read(folder.path()).unwrap_err(),
        format!("{val}: expected the joints and limbs of {train}, found others")
    );
}

#[test]
fn images_that_are_damaged_are_named() {
    let folder = folder();
    let name = "images/deep/a.jpg";
    let path = folder.path().join(name);
    let whole = std::fs::read(&path).unwrap();
    let with = |bytes: &[u8]| {
        write(folder.path(), name, bytes);
        let error = read(folder.path()).unwrap_err();
        let start = format!("{}: expected ", path.display());
        error.strip_prefix(&start).unwrap().to_owned()
    };
    for length in [whole.len() - 2, whole.len() * 2 / 3] {
        let error = with(&whole[..length]);
        assert!(error.starts_with("a whole image, found one that ends early; "), "{error}");
    }
    for bytes in [&[][..], b"GIF89a\x01\x00\x01\x00", &whole[..40], b"hello"] {
        let error = with(bytes);
        let known = ["a whole image, found ", "an image (JPEG, ", "an image of 80x80, found 1x1"];
        assert!(known.iter().any(|start| error.starts_with(start)), "{error}");
    }
    let other = encoded(&image(81, 80, &[]), ImageFormat::Jpeg);
    assert!(with(&other).starts_with("an image of 80x80, found 81x80; "));
    let png = encoded(&image(80, 80, &[]), ImageFormat::Png);
    assert!(with(&png[..png.len() / 2]).starts_with("a whole image, found "));
    // What a file is called does not matter.
    write(folder.path(), name, &png);
    read(folder.path()).unwrap();
}

#[test]
fn a_small_file_cannot_ask_for_a_large_image() {
    let mut file = keypoints();
    for side in ["width", "height"] {
        file["images"][0][side] = json!(20_000);
    }
    let folder = folder_of(&file, &file);
    // A PNG whose header promises 20,000 by 20,000 pixels.
    let mut png = encoded(&image(60, 40, &[]), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    let algorithm = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut crc = algorithm.digest();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.finalize().to_be_bytes());
    write(folder.path(), "b.png", &png);
    let error = read(folder.path()).unwrap_err();
    let expected = "b.png: expected at most 200 million pixels (--max-megapixels";
    assert!(error.contains(expected) && error.contains("found 20000x20000 pixels"), "{error}");
}

#[test]
fn a_set_is_checked_when_it_is_made() {
    let folder = folder();
    let set = read(folder.path()).unwrap().train;
    let make = |pictures: &ImageSet, people| {
        PoseSet::new(pictures.clone(), people, set.skeleton().clone())
    };
    let people = set.people().to_vec();
    assert_eq!(make(set.pictures(), people.clone()).unwrap(), set);
    let text = |result: lowland_tasks::Result<PoseSet>| result.unwrap_err().to_string();
    assert_eq!(
        text(make(set.pictures(), people[..2].to_vec())),
        "pictures must be one of three colours for each person, found 3 of 3 colours for 2"
    );
    let changes: [fn(&mut lowland_tasks::pose::Person); 5] = [
        |person| person.joints.truncate(4),
        |person| person.joints[0] = Some([f64::NAN, 0.0]),
        |person| person.bounds[2] = 0.0,
        |person| person.area = f64::INFINITY,
        |person| person.crop = Affine::scaling([0.0, 1.0]),
    ];
    for change in changes {
        let mut people = people.clone();
        change(&mut people[1]);
        assert_eq!(
            text(make(set.pictures(), people)),
            "people must be with the skeleton's joints, a box and an area, found another in place 1"
        );
    }
}
