//! Preparing people: joints go where their pixels go, whatever chance decides.

use std::sync::Arc;

use burn::tensor::Device;
use lowland::Samples;
use lowland_tasks::data::{ImageSet, ImageShape};
use lowland_tasks::pose::{
    Affine, Person, PoseBatch, PoseConfig, PoseMove, PosePreparation, PoseSet, PoseSource,
    Skeleton, decode,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const SIDE: usize = 96;

/// Four joints, of which a mirror swaps the first and the third.
fn skeleton() -> Skeleton {
    let joints = ["left_hip", "neck", "right_hip", "head_top"].map(str::to_owned).to_vec();
    Skeleton::new(joints, vec![[0, 1], [1, 2]]).unwrap()
}

/// A person in an image that is half as large again as the picture, which begins at (5, 3).
fn person(joints: [Option<[f64; 2]>; 4]) -> Person {
    let crop = Affine::translation([-5.0, -3.0]).then(&Affine::scaling([2.0 / 3.0, 2.0 / 3.0]));
    let image = |joint: Option<[f64; 2]>| joint.map(|at| crop.inverse().apply(at));
    let joints = joints.map(image).to_vec();
    Person { image: 1, joints, bounds: [5.0, 3.0, 144.0, 144.0], area: 144.0 * 144.0, crop }
}

/// People on pictures that are black but for a round bright spot at their first joint.
fn set(joints: &[[Option<[f64; 2]>; 4]]) -> Arc<PoseSet> {
    let mut pixels = Vec::new();
    for person in joints {
        let [x, y] = person[0].unwrap();
        for _ in 0..3 {
            for (row, column) in (0..SIDE * SIDE).map(|place| (place / SIDE, place % SIDE)) {
                let distance = (column as f64 + 0.5 - x).powi(2) + (row as f64 + 0.5 - y).powi(2);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a byte"
                )]
                pixels.push((255.0 * (-distance / (2.0 * 9.0)).exp()).round() as u8);
            }
        }
    }
    let shape = ImageShape { channels: 3, height: SIDE, width: SIDE };
    let labels = vec![0; joints.len()];
    let pictures = ImageSet::new(pixels, labels, shape, vec!["person".to_owned()]).unwrap();
    let people = joints.iter().map(|&joints| person(joints)).collect();
    Arc::new(PoseSet::new(pictures, people, skeleton()).unwrap())
}

fn two() -> Arc<PoseSet> {
    set(&[
        [Some([40.0, 52.0]), Some([60.0, 30.5]), Some([70.0, 70.0]), None],
        [Some([33.0, 44.0]), None, Some([50.0, 41.0]), Some([48.0, 60.0])],
    ])
}

fn preparation(set: &PoseSet, config: PoseConfig) -> PosePreparation {
    config.build(set).unwrap()
}

fn source(set: &Arc<PoseSet>, seed: u64) -> PoseSource {
    let preparation = preparation(set, PoseConfig::default());
    PoseSource::training(Arc::clone(set), preparation, seed).unwrap()
}

#[test]
fn settings_are_checked() {
    let set = two();
    let error = |config: PoseConfig| config.build(&set).unwrap_err().to_string();
    let default = PoseConfig::default();
    for side in [0, 33, 1056] {
        let expected = format!("height must be a multiple of 32, from 32 to 1024, found {side}");
        assert_eq!(error(PoseConfig { height: side, ..default }), expected);
    }
    assert_eq!(
        error(PoseConfig { height: 128, ..default }),
        "height by width must be of the proportions of the pictures, found 128 by 64 for 96 by 96"
    );
    for sigma in [0.0, f64::NAN, f64::INFINITY] {
        let expected = format!("sigma must be finite and above 0, found {sigma}");
        assert_eq!(error(PoseConfig { sigma, ..default }), expected);
    }
    let expected = "scale must be from 0 to below 1, found 1";
    assert_eq!(error(PoseConfig { scale: 1.0, ..default }), expected);
    let expected = "rotation must be between 0 and 180, found -1";
    assert_eq!(error(PoseConfig { rotation: -1.0, ..default }), expected);
    assert!(toml::from_str::<PoseConfig>("sigmas = 1").is_err());
    let read: PoseConfig = toml::from_str("rotation = 10").unwrap();
    assert_eq!(read, PoseConfig { rotation: 10.0, ..default });

    let shape = ImageShape { channels: 3, height: 8, width: 8 };
    let pictures = ImageSet::new(vec![0; 192], vec![0], shape, vec!["person".to_owned()]).unwrap();
    let small = PoseSet::new(pictures, vec![person([None; 4])], skeleton()).unwrap();
    let other = PoseSource::training(Arc::new(small), preparation(&set, default), 0);
    assert_eq!(
        other.unwrap_err().to_string(),
        "preparation must be for pictures of the set's size, found 96x96 and 8x8"
    );
}

#[test]
fn colours_have_mean_zero_and_deviation_one() {
    let set = two();
    let config = PoseConfig { height: 96, width: 96, ..PoseConfig::default() };
    let source = PoseSource::evaluation(Arc::clone(&set), preparation(&set, config)).unwrap();
    let images = source.prepare(0, &[0, 1]).images;
    let count = images.len() as f64;
    let mean = images.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let square = images.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / count;
    // A value is `colour · scale − shift` in `f32`, with four roundings (both constants, the
    // product and the difference) of half of EPSILON each, of numbers below 16: the mean is off by
    // 32 · EPSILON = 3.8e-6 at most, and that of squares, where the mean size is at most 1, by
    // twice as much.
    let bound = 32.0 * f64::from(f32::EPSILON);
    assert!(mean.abs() < bound && (square - 1.0).abs() < 2.0 * bound, "{mean} {square}");
}

#[test]
fn a_heatmap_is_a_bump_where_the_joint_is() {
    let set = two();
    let config = PoseConfig { sigma: 1.5, ..PoseConfig::default() };
    let preparation = preparation(&set, config);
    let mut heatmap = vec![f32::NAN; 256];
    // The middle of the pixel in column 5 and row 2.
    preparation.heatmap([22.0, 10.0], &mut heatmap);
    let at = |row: usize, column: usize| f64::from(heatmap[row * 16 + column]);
    // Computed in `f64` and rounded to `f32` once, by half of EPSILON at most.
    let bound = f64::from(f32::EPSILON);
    assert!((at(2, 5) - 1.0).abs() < bound);
    assert!((at(2, 7) - (-4.0_f64 / 4.5).exp()).abs() < bound);
    assert!((at(5, 4) - (-10.0_f64 / 4.5).exp()).abs() < bound);
}

#[test]
fn what_is_measured_on_is_not_moved() {
    let set = two();
    let preparation = preparation(&set, PoseConfig::default());
    let source = PoseSource::evaluation(Arc::clone(&set), preparation).unwrap();
    let batch = source.prepare(3, &[1, 0]);
    assert_eq!(batch, source.prepare(4, &[1, 0]));
    assert_eq!(batch.weights, [1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!((batch.size, batch.joints, &batch.indices[..]), ([64, 64], 4, &[1, 0][..]));
    // Nothing is known of the last joint of the last person, and nothing is drawn for it.
    assert!(batch.heatmaps[7 * 256..].iter().all(|&value| value == 0.0));
    // From a heatmap of 16 by 16 to the image: the whole picture of 96, times 1.5, from (5, 3).
    let corner = batch.to_image[0].apply([16.0, 16.0]);
    assert!((corner[0] - 149.0).abs() < 1e-9 && (corner[1] - 147.0).abs() < 1e-9, "{corner:?}");
}

#[test]
fn a_batch_does_not_depend_on_what_else_is_in_it() {
    let source = source(&two(), 5);
    let both = source.prepare(2, &[0, 1]);
    let alone = source.prepare(2, &[1]);
    assert_eq!(both.images[both.images.len() / 2..], alone.images);
    assert_eq!(both.heatmaps[both.heatmaps.len() / 2..], alone.heatmaps);
    assert_eq!(both.weights[4..], alone.weights);
    assert_eq!(both.to_image[1..], alone.to_image);
    assert_ne!(source.prepare(3, &[1]).images, alone.images);
}

#[test]
fn pieces_and_selections_keep_people_together() {
    let source = source(&two(), 5);
    let device = Device::flex();
    let host = source.prepare(0, &[1, 0, 1]);
    let batch = host.clone().to_device(&device);
    let dims = (batch.images.dims(), batch.heatmaps.dims(), batch.weights.dims());
    assert_eq!(dims, ([3, 3, 64, 64], [3, 4, 16, 16], [3, 4]));
    let values = |batch: &PoseBatch, samples: &Samples| {
        let (images, heatmaps, weights) = batch.select(samples);
        [images.into_data(), heatmaps.into_data(), weights.into_data()]
            .map(|data| data.iter::<f32>().collect::<Vec<_>>())
    };
    let part = |first: usize, last: usize| {
        [(&host.images, 3 * 64 * 64), (&host.heatmaps, 4 * 256), (&host.weights, 4)]
            .map(|(values, size)| values[first * size..last * size].to_vec())
    };
    assert_eq!(values(&batch, &Samples::All), part(0, 3));
    let piece = batch.piece(1..3);
    assert_eq!(values(&piece, &Samples::All), part(1, 3));
    assert_eq!((piece.indices, piece.to_image), (vec![0, 1], host.to_image[1..].to_vec()));
    let second = Samples::Some { positions: vec![1], of: 3 };
    assert_eq!(values(&batch, &second), part(1, 2));
}

#[test]
fn chance_keeps_its_promises_over_many_people() {
    let set = two();
    let preparation = preparation(&set, PoseConfig::default());
    let moves: Vec<_> = (0..20_000).map(|index| preparation.choose(3, 1, index)).collect();
    let share = |holds: &dyn Fn(&PoseMove) -> bool| {
        moves.iter().filter(|chosen| holds(chosen)).count() as f64 / moves.len() as f64
    };
    // Five standard deviations are 0.018 at one half.
    assert!((share(&|chosen| chosen.flipped) - 0.5).abs() < 0.018);
    assert!((share(&|chosen| chosen.scale < 1.0) - 0.5).abs() < 0.018);
    assert!((share(&|chosen| chosen.angle < 0.0) - 0.5).abs() < 0.018);
    assert!((share(&|chosen| chosen.angle.abs() < 15_f64.to_radians()) - 0.5).abs() < 0.018);
    assert!((share(&|chosen| (chosen.scale - 1.0).abs() < 0.125) - 0.5).abs() < 0.018);
    let allowed = |chosen: &PoseMove| {
        (0.75..=1.25).contains(&chosen.scale) && chosen.angle.abs() <= 30_f64.to_radians()
    };
    assert!(moves.iter().all(allowed));
}

fn any_move() -> impl Strategy<Value = PoseMove> {
    (any::<bool>(), 0.75..1.25_f64, -0.6..0.6_f64).prop_map(|(flipped, scale, angle)| PoseMove {
        flipped,
        scale,
        angle,
    })
}

/// A place in the middle of the picture, which no move takes out of sight.
fn place() -> impl Strategy<Value = [f64; 2]> {
    [30.0..66.0_f64, 30.0..66.0_f64]
}

/// Where the brightest part of a channel is: the mean over pixels, weighted by how bright they are.
fn brightest(channel: &[f32], width: usize) -> [f64; 2] {
    let darkest = channel.iter().copied().fold(f32::INFINITY, f32::min);
    let mut sums = [0.0; 3];
    for (place, &value) in channel.iter().enumerate() {
        let weight = f64::from(value - darkest);
        let at = [place % width, place / width].map(|index| index as f64 + 0.5);
        sums = [sums[0] + weight, sums[1] + weight * at[0], sums[2] + weight * at[1]];
    }
    [sums[1] / sums[0], sums[2] / sums[0]]
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn joints_follow_their_pixels(at in place(), chosen in any_move()) {
        let set = set(&[[Some(at), None, None, None]]);
        let preparation = preparation(&set, PoseConfig::default());
        let mut image = vec![f32::NAN; 3 * 64 * 64];
        preparation.image(set.pictures().image(0), &chosen, &mut image);
        let mirrored = set.skeleton().mirrored();
        let joints = preparation.joints(&set.people()[0], mirrored, &chosen);
        // In a mirror, the left hip is the right one.
        let name = if chosen.flipped { 2 } else { 0 };
        prop_assert!(joints.iter().enumerate().all(|(joint, at)| at.is_some() == (joint == name)));
        for channel in image.chunks_exact(64 * 64) {
            let spot = brightest(channel, 64);
            let joint = joints[name].unwrap();
            prop_assert!(distance(spot, joint) < 0.1, "spot at {:?}, joint at {:?}", spot, joint);
        }
    }

    #[test]
    fn a_picture_that_is_mirrored_twice_is_itself(at in place(), other in place()) {
        let set = set(&[[Some(at), Some(other), None, Some([48.0, 50.0])]]);
        let preparation = preparation(&set, PoseConfig::default());
        let mirror = PoseMove { flipped: true, ..PoseMove::NONE };
        let seen = |chosen: &PoseMove| {
            let mut image = vec![f32::NAN; 3 * 64 * 64];
            preparation.image(set.pictures().image(0), chosen, &mut image);
            let mirrored = set.skeleton().mirrored();
            (image, preparation.joints(&set.people()[0], mirrored, chosen))
        };
        let ((straight, joints), (mut image, found)) = (seen(&PoseMove::NONE), seen(&mirror));
        image.chunks_exact_mut(64).for_each(<[f32]>::reverse);
        // Both mix four bytes, at most 255, by two shares that are rounded to `f32`, with less than
        // 16 roundings of half of EPSILON; what a byte counts for is the range of the image / 255.
        let most = straight.iter().fold(f32::MIN, |most, x| most.max(*x));
        let least = straight.iter().fold(f32::MAX, |least, x| least.min(*x));
        let bound = 16.0 * f32::EPSILON * (most - least);
        for (a, b) in image.iter().zip(&straight) {
            prop_assert!((a - b).abs() <= bound, "{a} and {b}, allowed {bound}");
        }
        // Swapped back by name and mirrored back in place.
        for (joint, &name) in set.skeleton().mirrored().iter().enumerate() {
            let back = found[name].map(|[x, y]| [64.0 - x, y]);
            prop_assert_eq!(back.is_some(), joints[joint].is_some());
            if let (Some(back), Some(joint)) = (back, joints[joint]) {
                prop_assert!(distance(back, joint) < 1e-9);
            }
        }
    }

    #[test]
    fn what_is_decoded_from_the_targets_is_where_the_joints_are(
        seed: u64, epoch in 0..100_u64, at in place(), other in place(), third in place(),
    ) {
        let people = [[Some(at), Some(other), Some(third), None]];
        let set = set(&people);
        let batch = source(&set, seed).prepare(epoch, &[0]);
        let preparation = preparation(&set, PoseConfig::default());
        let chosen = preparation.choose(seed, epoch, 0);
        let batch = batch.to_device(&Device::flex());
        let found = decode(batch.heatmaps, &batch.to_image).unwrap();
        for (joint, &name) in set.skeleton().mirrored().iter().enumerate().take(3) {
            let name = if chosen.flipped { name } else { joint };
            let truth = set.people()[0].joints[joint].unwrap();
            // At most a quarter of a pixel along each axis: 4 pixels of the input, which are 1.5 ·
            // 1.5 of the image at a scale of 1.
            let pixel = 4.0 * 1.5 * 1.5 / chosen.scale;
            let found = found[0][name];
            let far = distance(found.at, truth);
            prop_assert!(far <= 0.3536 * pixel + 1e-6, "{far} of {pixel}: {found:?} for {truth:?}");
            prop_assert!(found.score > 0.77);
        }
    }

    #[test]
    fn the_move_is_a_function_of_its_key(seed: u64, epoch: u64, index: usize) {
        let set = two();
        let preparation = preparation(&set, PoseConfig::default());
        let chosen = preparation.choose(seed, epoch, index);
        prop_assert_eq!(chosen, preparation.clone().choose(seed, epoch, index));
        // Switching one part off leaves the others as they were.
        let config = PoseConfig { flip: false, scale: 0.0, ..PoseConfig::default() };
        let only_turned = config.build(&set).unwrap().choose(seed, epoch, index);
        prop_assert_eq!(only_turned, PoseMove { flipped: false, scale: 1.0, ..chosen });
    }
}

#[test]
fn joints_that_leave_the_image_are_not_learned() {
    let set = set(&[[Some([48.0, 48.0]), Some([95.0, 48.0]), None, None]]);
    let preparation = preparation(&set, PoseConfig::default());
    let mirrored = set.skeleton().mirrored();
    let joints = |scale| {
        let chosen = PoseMove { scale, ..PoseMove::NONE };
        preparation.joints(&set.people()[0], mirrored, &chosen)
    };
    assert!(joints(1.0)[1].is_some());
    assert!(joints(1.2)[0].is_some() && joints(1.2)[1].is_none());
}
