//! How good joints are, on numbers that can be checked by hand, and pictures of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lowland_tasks::pose::{
    Affine, CropConfig, FoundJoint, Person, PoseSplits, Reference, Skeleton, average_precision,
    joint_sigmas, object_keypoint_similarity, pck, picture,
};

use crate::folder::folder;

fn skeleton(joints: &[&str]) -> Skeleton {
    Skeleton::new(joints.iter().map(|&joint| joint.to_owned()).collect(), Vec::new()).unwrap()
}

fn person(image: u64, joints: &[Option<[f64; 2]>]) -> Person {
    let bounds = [0.0, 0.0, 50.0, 100.0];
    Person { image, joints: joints.to_vec(), bounds, area: 100.0, crop: Affine::IDENTITY }
}

fn found(joints: &[[f64; 2]], score: f64) -> Vec<FoundJoint> {
    joints.iter().map(|&at| FoundJoint { at, score }).collect()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
}

/// Two people with a torso and without, a joint that is not known, and joints found 6 pixels too
/// far to the right; the last of them 7.
fn two() -> (Skeleton, Vec<Person>, Vec<Vec<FoundJoint>>) {
    let names = ["head_top", "left_hip", "right_hip", "neck", "left_shoulder", "right_shoulder"];
    let truth = [[10.0, 0.0], [40.0, 50.0], [20.0, 50.0], [10.0, 10.0], [41.0, 29.0], [0.0, 0.0]];
    let mut all = truth.map(Some);
    all[5] = None;
    let mut without = all;
    without[4] = None;
    let moved = truth.map(|[x, y]| [x + 6.0, y]);
    let mut further = moved;
    further[0][0] += 1.0;
    let people = vec![person(1, &all), person(1, &without)];
    let skeleton = skeleton(&names);
    (skeleton, people, vec![found(&moved, 1.0), found(&further, 1.0)])
}

#[test]
fn joints_are_correct_within_a_share_of_the_torso() {
    let (skeleton, people, found) = two();
    let pck = |reference, threshold| pck(&skeleton, &people, &found, reference, threshold).unwrap();
    // The torso of the first is 21·√2 = 29.698 pixels: 6 are 0.20203 of it. Without a torso it is
    // 31 pixels for a box of 100: 6 are 0.19355, 7 are 0.2258.
    let at = pck(Reference::Torso, 0.2);
    near(at.mean, 3.0 / 9.0);
    assert_eq!(at.joints, [Some(0.0), Some(0.5), Some(0.5), Some(0.5), Some(0.0), None]);
    near(pck(Reference::Torso, 0.203).mean, 8.0 / 9.0);
    near(pck(Reference::Torso, 0.226).mean, 1.0);
    // The head is 10 pixels of both.
    near(pck(Reference::Head, 0.5).mean, 0.0);
    near(pck(Reference::Head, 0.6).mean, 8.0 / 9.0);
    near(pck(Reference::Box, 0.06).mean, 8.0 / 9.0);
    near(pck(Reference::Box, 0.05).mean, 0.0);
}

#[test]
fn the_other_diagonal_takes_the_place_of_a_torso_that_is_not_known() {
    let skeleton = skeleton(&["left_shoulder", "right_shoulder", "left_hip", "right_hip"]);
    let truth = [None, Some([0.0, 0.0]), Some([3.0, 4.0]), Some([90.0, 90.0])];
    let people = [person(1, &truth)];
    // A torso of 5: the limit is 1.
    let found = [found(&[[0.0, 0.0], [1.0, 0.0], [3.0, 5.01], [90.0, 90.0]], 1.0)];
    let at = pck(&skeleton, &people, &found, Reference::Torso, 0.2).unwrap();
    assert_eq!(at.joints, [None, Some(1.0), Some(0.0), Some(1.0)]);
    near(at.mean, 2.0 / 3.0);
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let (skeleton, people, found) = two();
    let text = |people: &[Person], found: &[Vec<FoundJoint>], threshold| {
        pck(&skeleton, people, found, Reference::Torso, threshold).unwrap_err().to_string()
    };
    for threshold in [0.0, f64::NAN] {
        let expected = format!("threshold must be above 0, found {threshold}");
        assert_eq!(text(&people, &found, threshold), expected);
    }
    let expected =
        "found must be with as many joints for each person as there are, found 1 people for 2";
    assert_eq!(text(&people, &found[..1], 0.2), expected);
    let nobody = [person(1, &[None; 6])];
    let expected = "people must be with at least one joint that is known, found none";
    assert_eq!(text(&nobody, &found[..1], 0.2), expected);
    let precision = |people: &[Person], sigmas: &[f64]| {
        average_precision(people, &found[..people.len()], sigmas).unwrap_err().to_string()
    };
    assert_eq!(precision(&nobody, &[0.1; 6]), expected);
    assert_eq!(precision(&people, &[0.1; 4]), "sigmas must be one for each joint, found 4");
    let lost = [vec![FoundJoint { at: [f64::NAN; 2], score: f64::NAN }; 6]];
    let lost = pck(&skeleton, &people[..1], &lost, Reference::Torso, 0.2).unwrap();
    near(lost.mean, 0.0);
}

#[test]
fn the_seventeen_joints_of_coco_have_its_sigmas() {
    let joints = [
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ];
    let expected = [
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
        0.087, 0.087, 0.089, 0.089,
    ];
    assert_eq!(joint_sigmas(&skeleton(&joints)), expected);
    assert_eq!(joint_sigmas(&skeleton(&["neck", "head_top"])), [0.079; 2]);
}

#[test]
fn similarity_falls_with_the_distance_in_units_of_the_person() {
    let truth = person(1, &[Some([10.0, 10.0]), None, Some([30.0, 10.0])]);
    let sigmas = [0.05, 0.05, 0.1];
    let similarity =
        |joints: &[[f64; 2]; 3]| object_keypoint_similarity(&truth, &found(joints, 1.0), &sigmas);
    near(similarity(&[[10.0, 10.0], [0.0, 0.0], [30.0, 10.0]]).unwrap(), 1.0);
    // 5 pixels of a person of 100 square pixels: exp(−25 / (2 · 100 · 0.1²)) for the first joint,
    // and exp(−4 / (2 · 100 · 0.2²)) for 2 pixels of the last.
    let expected = f64::midpoint((-12.5_f64).exp(), (-0.5_f64).exp());
    near(similarity(&[[13.0, 14.0], [0.0, 0.0], [30.0, 12.0]]).unwrap(), expected);
    near(similarity(&[[f64::NAN, 0.0], [0.0, 0.0], [30.0, 10.0]]).unwrap(), 0.5);
    let nobody = person(1, &[None; 3]);
    assert_eq!(object_keypoint_similarity(&nobody, &found(&[[0.0; 2]; 3], 1.0), &sigmas), None);
}

/// A person at (0, 0) whose only joint is found where its OKS is `oks`, and the score.
fn with_oks(image: u64, oks: f64, score: f64) -> (Person, Vec<FoundJoint>) {
    // σ is 0.05: OKS = exp(−d² / 2).
    let distance = (-2.0 * oks.ln()).sqrt();
    (person(image, &[Some([0.0, 0.0])]), found(&[[distance, 0.0]], score))
}

fn precision(poses: &[(Person, Vec<FoundJoint>)]) -> [f64; 3] {
    let (people, found): (Vec<_>, Vec<_>) = poses.iter().cloned().unzip();
    let precision = average_precision(&people, &found, &[0.05]).unwrap();
    [precision.mean, precision.at_50, precision.at_75]
}

#[test]
fn precision_is_averaged_over_recalls_and_thresholds() {
    let [first, second, third] = [(1, 0.99, 0.9), (2, 0.62, 0.8), (3, 0.4, 0.7)]
        .map(|(image, oks, score)| with_oks(image, oks, score));
    let poses = [third, first, second];
    // Up to 0.60 two of three are matched, the surest ones: precision 1 at the recalls 0.00 to
    // 0.66, which are 67 of 101. Then one of three: 34 of 101.
    let [mean, at_50, at_75] = precision(&poses);
    near(at_50, 67.0 / 101.0);
    near(at_75, 34.0 / 101.0);
    near(mean, (3.0 * 67.0 + 7.0 * 34.0) / 1010.0);

    // The surest is wrong: precision is at most 2 of 3 at 0.50, and 1 of 2 at 0.75.
    let mut poses = poses;
    poses[0].1[0].score = 0.95;
    let [_, at_50, at_75] = precision(&poses);
    near(at_50, 67.0 / 101.0 * 2.0 / 3.0);
    near(at_75, 34.0 / 101.0 / 2.0);
}

#[test]
fn poses_are_matched_to_the_most_similar_person_of_their_image() {
    let at = |image, [x, y]: [f64; 2], [u, v]: [f64; 2], score| {
        (person(image, &[Some([x, y])]), found(&[[u, v]], score))
    };
    let (a, b) = ([0.0, 0.0], [100.0, 0.0]);
    // Both were found, though each in place of the other.
    assert_eq!(precision(&[at(1, a, b, 0.5), at(1, b, a, 0.6)]), [1.0; 3]);
    // In different images that is no help.
    assert_eq!(precision(&[at(1, a, b, 0.5), at(2, b, a, 0.6)]), [0.0; 3]);
    // One person is matched once: precision 1 up to a recall of one half.
    near(precision(&[at(1, a, a, 0.6), at(1, b, a, 0.5)])[0], 51.0 / 101.0);
    // A score that is not a number comes last.
    near(precision(&[at(1, a, a, 0.5), at(2, a, b, f64::NAN)])[0], 51.0 / 101.0);
}

#[test]
fn a_picture_needs_no_other_file_and_shows_joints_where_they_are() {
    let folder = folder();
    let config = CropConfig { height: 64, width: 64, enlarge: 1.25 };
    let set = PoseSplits::read(folder.path(), &config).unwrap().train;
    // The first person: five joints of which the fourth is not known, limbs 0-3, 3-4 and 1-2.
    let mut joints = found(&[[30.0, 40.0]; 5], 1.0);
    joints[2].at = [f64::NAN, 1.0];
    joints[1].at = [10.0, 20.0];
    let svg = picture(&set, 0, &joints).unwrap();
    let count = |part: &str| svg.matches(part).count();
    // Each ring and each dot comes twice: the border and the colour. One is not known, one no
    // number.
    assert_eq!(count("<circle"), 2 * (4 + 4));
    // From the truth to what was found: 3 joints have both. Limbs twice: 1 of the truth, 2 of the
    // found.
    assert_eq!(count("<path"), 3 + 2 * (1 + 2));
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("viewBox=\"0 0 128 128\""));
    // The middle of the box is that of the picture, its corner a tenth of the picture from the
    // edge.
    for place in ["cx=\"64.00\" cy=\"64.00\"", "cx=\"12.80\" cy=\"12.80\""] {
        assert!(svg.contains(place), "{place}");
    }
    assert!(!svg.contains("NaN"));
    let opened = svg.matches("<g ").count();
    assert_eq!((opened, svg.matches("</svg>").count()), (svg.matches("</g>").count(), 1));

    let encoded = svg.split("base64,").nth(1).unwrap().split('"').next().unwrap();
    let image = image::load_from_memory(&STANDARD.decode(encoded).unwrap()).unwrap().to_rgb8();
    assert_eq!(image.dimensions(), (64, 64));
    let pixels = set.pictures().image(0);
    let far = image.enumerate_pixels().map(|(x, y, pixel)| {
        let place = y as usize * 64 + x as usize;
        (0..3).map(|c| pixels[c * 64 * 64 + place].abs_diff(pixel.0[c])).max().unwrap()
    });
    let far = far.map(f64::from).sum::<f64>() / 4096.0;
    assert!(far < 8.0, "{far}");
}

#[test]
fn pictures_of_nobody_are_refused() {
    let folder = folder();
    let set = PoseSplits::read(folder.path(), &CropConfig::default()).unwrap().train;
    let text = |index, count| {
        picture(&set, index, &found(&vec![[0.0; 2]; count], 1.0)).unwrap_err().to_string()
    };
    assert_eq!(text(3, 5), "index must be below the number of people, found 3");
    assert_eq!(text(0, 4), "found must be one for each joint of the person, found 4");
}
