//! Augmentation: every result is one that the settings allow, and the same for the same key.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use lowland_tasks::data::augment::{Choice, Hole, Window};
use lowland_tasks::data::{Augment, AugmentConfig, ImageSet, ImageShape, Normalisation};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// One image where every pixel of every channel has a value of its own, never 0.
fn set(channels: usize, height: usize, width: usize) -> ImageSet {
    let count = channels * height * width;
    let images = (0..count).map(|index| u8::try_from(1 + index % 255).unwrap()).collect();
    let shape = ImageShape { channels, height, width };
    ImageSet::new(images, vec![0], shape, vec!["only".to_owned()]).unwrap()
}

fn augment(set: &ImageSet, config: AugmentConfig) -> Augment {
    config.build(Normalisation::of(set)).unwrap()
}

fn apply(set: &ImageSet, augment: &Augment, choice: &Choice) -> Vec<f32> {
    let mut output = vec![f32::NAN; set.images().len()];
    augment.apply(set.image(0), choice, &mut output);
    output
}

/// The value that the definition gives for one pixel of the result.
fn expected(set: &ImageSet, augment: &Augment, choice: &Choice, place: [usize; 3]) -> f32 {
    let [channel, row, column] = place;
    let ImageShape { height, width, .. } = set.shape();
    if let Some(Hole { top, bottom, left, right }) = choice.hole
        && (top..bottom).contains(&row)
        && (left..right).contains(&column)
    {
        return 0.0;
    }
    let column = if choice.flipped { width - 1 - column } else { column };
    let padding = augment.config().crop_padding;
    let inside = |position: usize, start: usize, length: usize| {
        (position + start).checked_sub(padding).filter(|&position| position < length)
    };
    let pixel = match (inside(row, choice.row, height), inside(column, choice.column, width)) {
        (Some(row), Some(column)) => set.image(0)[(channel * height + row) * width + column],
        _ => 0,
    };
    augment.normalisation().value(channel, pixel)
}

#[test]
fn settings_are_checked() {
    let images = set(1, 4, 6);
    let error =
        |config: AugmentConfig| config.build(Normalisation::of(&images)).unwrap_err().to_string();
    assert_eq!(
        error(AugmentConfig { crop_padding: 5, ..AugmentConfig::none() }),
        "crop_padding must be at most the shorter side of the images, found 5 for a side of 4"
    );
    assert_eq!(
        error(AugmentConfig::crop_flip_cutout()),
        "cutout must be at most the shorter side of the images, found 16 for a side of 4"
    );
    for probability in [-0.5, 2.0, f64::NAN] {
        assert_eq!(
            error(AugmentConfig { cutout_probability: probability, ..AugmentConfig::none() }),
            format!("cutout_probability must be between 0 and 1, found {probability}")
        );
    }
}

#[test]
fn a_file_may_leave_settings_out_but_not_misspell_them() {
    let config: AugmentConfig = toml::from_str("crop_padding = 4\nflip = true").unwrap();
    assert_eq!(config, AugmentConfig { crop_padding: 4, flip: true, ..AugmentConfig::none() });
    let preset = AugmentConfig::crop_flip_cutout();
    assert_eq!(
        toml::from_str::<AugmentConfig>(&toml::to_string(&preset).unwrap()).unwrap(),
        preset
    );
    assert!(toml::from_str::<AugmentConfig>("crop-padding = 4").is_err());
}

#[test]
fn normalised_channels_have_mean_zero_and_deviation_one() {
    let images = set(3, 9, 11);
    let mut output = vec![0.0; images.images().len()];
    Normalisation::of(&images).apply(images.image(0), &mut output);
    for channel in output.chunks_exact(99) {
        let mean = channel.iter().map(|&x| f64::from(x)).sum::<f64>() / 99.0;
        let square = channel.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 99.0;
        // Values are rounded to `f32` once, each by half of EPSILON of its size, which is 1 in the
        // mean of squares: the mean is off by half of EPSILON at most, that of squares by EPSILON.
        let bound = f64::from(f32::EPSILON);
        assert!(mean.abs() < bound && (square - 1.0).abs() < 2.0 * bound, "{mean} {square}");
    }
}

#[test]
fn a_channel_of_one_value_becomes_zero() {
    let shape = ImageShape { channels: 1, height: 2, width: 2 };
    let flat = ImageSet::new(vec![77; 4], vec![0], shape, vec!["only".to_owned()]).unwrap();
    let mut output = vec![f32::NAN; 4];
    Normalisation::of(&flat).apply(flat.image(0), &mut output);
    assert!(output.iter().all(|x| *x == 0.0), "{output:?}");
}

#[test]
fn chance_keeps_its_promises_over_many_images() {
    let images = set(1, 32, 32);
    let augment = augment(&images, AugmentConfig::crop_flip_cutout());
    let choices: Vec<_> = (0..20_000).map(|index| augment.choose(3, 1, index)).collect();
    let share = |holds: &dyn Fn(&Choice) -> bool| {
        choices.iter().filter(|choice| holds(choice)).count() as f64 / choices.len() as f64
    };
    // Five standard deviations are 0.018 at one half and less elsewhere.
    assert!((share(&|choice| choice.flipped) - 0.5).abs() < 0.018);
    assert!((share(&|choice| choice.hole.is_some()) - 0.5).abs() < 0.018);
    for offset in 0..=8 {
        assert!((share(&|choice| choice.row == offset) - 1.0 / 9.0).abs() < 0.012, "{offset}");
        assert!((share(&|choice| choice.column == offset) - 1.0 / 9.0).abs() < 0.012, "{offset}");
    }
    // The centre is anywhere, so that holes are cut off at the border: the full 256 pixels only for
    // 17 of 32 rows and columns.
    let full = |choice: &Choice| choice.hole.is_some_and(|hole| area(hole) == 256);
    assert!((share(&full) - 0.5 * (17.0_f64 / 32.0).powi(2)).abs() < 0.013);
}

#[test]
fn switching_a_part_off_leaves_the_others_as_they_were() {
    let images = set(1, 32, 32);
    let all = augment(&images, AugmentConfig::crop_flip_cutout());
    let config =
        AugmentConfig { flip: false, crop_padding: 0, ..AugmentConfig::crop_flip_cutout() };
    let only_cutout = augment(&images, config);
    for index in 0..200 {
        let choice = only_cutout.choose(1, 2, index);
        assert_eq!(choice.hole, all.choose(1, 2, index).hole);
        assert_eq!((choice.row, choice.column, choice.flipped), (0, 0, false));
    }
}

fn area(hole: Hole) -> usize {
    (hole.bottom - hole.top) * (hole.right - hole.left)
}

prop_compose! {
    fn setting()(channels in 1_usize..4, height in 1_usize..9, width in 1_usize..9)(
        crop_padding in 0..=height.min(width),
        cutout in 0..=height.min(width),
        flip in any::<bool>(),
        cutout_probability in 0.0..=1.0_f64,
        channels in Just(channels), height in Just(height), width in Just(width),
    ) -> (ImageSet, AugmentConfig) {
        (set(channels, height, width), AugmentConfig { crop_padding, flip, cutout, cutout_probability, ..AugmentConfig::none() })
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_result_is_a_window_of_the_padded_image_with_a_hole(
        (images, config) in setting(), seed: u64, epoch: u64, index: usize,
    ) {
        let augment = augment(&images, config);
        let choice = augment.choose(seed, epoch, index);
        prop_assert!(choice.row <= 2 * config.crop_padding && choice.column <= 2 * config.crop_padding);
        prop_assert!(config.flip || !choice.flipped);
        if let Some(hole) = choice.hole {
            prop_assert!((1..=config.cutout * config.cutout).contains(&area(hole)), "{hole:?}");
            prop_assert!(hole.bottom <= images.shape().height && hole.right <= images.shape().width);
        }
        let output = apply(&images, &augment, &choice);
        let ImageShape { height, width, .. } = images.shape();
        for (place, value) in output.iter().enumerate() {
            let at = [place / (height * width), place / width % height, place % width];
            let expected = expected(&images, &augment, &choice, at);
            prop_assert_eq!(value.to_bits(), expected.to_bits(), "at {:?} of {:?}", at, choice);
        }
    }

    #[test]
    fn mirroring_twice_is_not_mirroring((images, config) in setting(), seed: u64) {
        let augment = augment(&images, config);
        let straight = Choice { flipped: false, hole: None, ..augment.choose(seed, 0, 0) };
        let mirrored = Choice { flipped: true, ..straight };
        let mut output = apply(&images, &augment, &mirrored);
        output.chunks_exact_mut(images.shape().width).for_each(<[f32]>::reverse);
        prop_assert_eq!(output, apply(&images, &augment, &straight));
    }

    #[test]
    fn the_choice_is_a_function_of_its_key(
        (images, config) in setting(), seed: u64, epoch: u64, index: usize,
    ) {
        let augment = augment(&images, config);
        prop_assert_eq!(augment.choose(seed, epoch, index), augment.clone().choose(seed, epoch, index));
    }
}

#[test]
fn windows_lie_in_the_image_and_are_brought_to_its_size() {
    let set = set(3, 12, 9);
    let config = AugmentConfig { resized_crop: 0.2, flip: true, ..AugmentConfig::none() };
    let normalisation = Normalisation::of(&set);
    let augment = config.build(normalisation.clone()).unwrap();
    let mut output = vec![0.0; 3 * 12 * 9];
    for index in 0..300 {
        let choice = augment.choose(1, 2, index);
        let window = choice.window.unwrap();
        assert!(window.top + window.height <= 12 && window.left + window.width <= 9);
        let area = window.height * window.width;
        assert!((10..=108).contains(&area), "{window:?}");
        augment.apply(set.image(0), &choice, &mut output);
        // A mean of values lies between them.
        for (channel, plane) in output.chunks_exact(108).enumerate() {
            let [low, high] = [0, 255].map(|byte| normalisation.value(channel, byte));
            assert!(plane.iter().all(|value| (low..=high).contains(value)));
        }
    }
    // All of the image is the image.
    let whole = Window { top: 0, left: 0, height: 12, width: 9 };
    let choice = Choice { window: Some(whole), flipped: false, ..augment.choose(1, 2, 0) };
    augment.apply(set.image(0), &choice, &mut output);
    let mut plain = vec![0.0; output.len()];
    normalisation.apply(set.image(0), &mut plain);
    assert_eq!(output, plain);
    let both = AugmentConfig { crop_padding: 1, ..config };
    let error = both.build(normalisation).unwrap_err().to_string();
    assert!(error.starts_with("resized_crop must be left out beside crop_padding"), "{error}");
}
