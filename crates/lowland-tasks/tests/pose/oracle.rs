//! OKS and AP beside those of `hotcoco`, an implementation of COCO's evaluation of its own.

use hotcoco::params::IouType;
use hotcoco::primitives::sim::{GtPose, oks_matrix};
use hotcoco::types::{Annotation, Dataset};
use hotcoco::{COCO, COCOeval};
use lowland_tasks::pose::{
    Affine, FoundJoint, Person, average_precision, object_keypoint_similarity,
};
use proptest::prelude::*;
use serde_json::json;

const JOINTS: usize = 3;
const SIGMAS: [f64; JOINTS] = [0.026, 0.079, 0.107];

/// A person of an image, and what was found of them. Their scores are `order`, which differs from
/// person to person, so that nothing is tied.
fn person(image: u64, order: usize) -> impl Strategy<Value = (Person, Vec<FoundJoint>)> {
    let joint = (0.0..100.0, 0.0..100.0).prop_map(|(x, y)| [x, y]);
    let joints = prop::collection::vec((joint, prop::bool::weighted(0.7)), JOINTS);
    let offsets = prop::collection::vec((-6.0..6.0, -6.0..6.0), JOINTS);
    (joints, offsets, 300.0..3000.0_f64).prop_map(move |(joints, offsets, area)| {
        let found = joints.iter().zip(offsets).map(|((at, _), (x, y))| FoundJoint {
            at: [at[0] + x, at[1] + y],
            score: 0.5 + order as f64 / 100.0,
        });
        let found = found.collect();
        // At least one joint is known: COCO leaves people out of whom none is.
        let known =
            joints.iter().enumerate().map(|(i, (at, known))| (i == 0 || *known).then_some(*at));
        let joints = known.collect();
        let bounds = [0.0, 0.0, 100.0, 100.0];
        (Person { image, joints, bounds, area, crop: Affine::IDENTITY }, found)
    })
}

/// Seven or thirteen people of three images: with these numbers no recall is a hundredth, where
/// rounding would decide which precision counts.
fn people() -> impl Strategy<Value = Vec<(Person, Vec<FoundJoint>)>> {
    let some = |count: usize| -> Vec<_> {
        // 5 has no common divisor with either number: the scores are in another order.
        (0..count).map(|i| person(i as u64 % 3, i * 5 % count).boxed()).collect()
    };
    prop_oneof![Just(7), Just(13)].prop_flat_map(some)
}

/// A person's joints as COCO writes them: x, y and whether it is known.
fn truth(person: &Person) -> Vec<f64> {
    let numbers = |joint: &Option<[f64; 2]>| joint.map_or([0.0; 3], |[x, y]| [x, y, 2.0]);
    person.joints.iter().flat_map(numbers).collect()
}

fn answer(found: &[FoundJoint]) -> Vec<f64> {
    found.iter().flat_map(|joint| [joint.at[0], joint.at[1], 1.0]).collect()
}

/// AP, AP50 and AP75 by `hotcoco`.
fn by_coco(people: &[Person], found: &[Vec<FoundJoint>]) -> [f64; 3] {
    let annotations: Vec<_> = (1_u64..)
        .zip(people)
        .map(|(id, person)| {
            json!({
                "id": id, "image_id": person.image + 1, "category_id": 1, "iscrowd": 0,
                "bbox": person.bounds, "area": person.area, "keypoints": truth(person),
            })
        })
        .collect();
    let images: Vec<_> =
        (1..=3).map(|id| json!({ "id": id, "width": 100, "height": 100 })).collect();
    let categories = json!([{ "id": 1, "name": "person" }]);
    let data = json!({ "images": images, "annotations": annotations, "categories": categories });
    let truth = COCO::from_dataset(serde_json::from_value::<Dataset>(data).unwrap());
    let poses = people.iter().zip(found).map(|(person, found)| {
        let score = found.iter().map(|joint| joint.score).sum::<f64>() / found.len() as f64;
        let pose = json!({
            "image_id": person.image + 1, "category_id": 1, "score": score,
            "keypoints": answer(found),
        });
        serde_json::from_value::<Annotation>(pose).unwrap()
    });
    let poses = truth.load_res_anns(poses.collect()).unwrap();
    let mut evaluation = COCOeval::new(truth, poses, IouType::Keypoints);
    evaluation.params.kpt_oks_sigmas = SIGMAS.to_vec();
    evaluation.run().unwrap();
    let values = evaluation.stats().unwrap();
    [values[0], values[1], values[2]]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn similarities_are_those_of_coco((person, found) in person(0, 0)) {
        let ours = object_keypoint_similarity(&person, &found, &SIGMAS).unwrap();
        let truth = truth(&person);
        let pose = GtPose { keypoints: &truth, area: person.area, bbox: person.bounds };
        let theirs = oks_matrix(&[&answer(&found)], &[pose], &SIGMAS)[0][0];
        prop_assert!((ours - theirs).abs() < 1e-12, "{ours} and {theirs}");
    }

    #[test]
    fn average_precision_is_that_of_coco(people in people()) {
        let (people, found): (Vec<_>, Vec<_>) = people.into_iter().unzip();
        let ours = average_precision(&people, &found, &SIGMAS).unwrap();
        let theirs = by_coco(&people, &found);
        for (ours, theirs) in [ours.mean, ours.at_50, ours.at_75].into_iter().zip(theirs) {
            prop_assert!((ours - theirs).abs() < 1e-12, "{ours} and {theirs}");
        }
    }
}
