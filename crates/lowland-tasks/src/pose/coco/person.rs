//! One person of a keypoint file.

use super::damage::{Mistake, mistake};
use super::lenient::{Json, in_few_digits};
use super::records::{Annotation, Oddities};

/// How far outside its image a box may reach, in pixels: files are rounded.
const ROUNDING: f64 = 1.0;

/// How much wider a box around joints is on each side, as a share of its longer side.
const MARGIN: f64 = 0.1;

/// One person; which image it is in stays open. `None` for one who is left out.
pub(super) fn read(
    raw: &Json,
    size: [u32; 2],
    names: &[String],
    oddities: &mut Oddities,
) -> Result<Option<Annotation>, Mistake> {
    match raw.get("iscrowd") {
        Json::Null | Json::Bool(false) | Json::Whole(0) => {}
        Json::Bool(true) | Json::Whole(_) => {
            oddities.crowds += 1;
            return Ok(None);
        }
        _ => return Err(raw.wrong("iscrowd", "0 or 1 as iscrowd")),
    }
    let size = size.map(f64::from);
    // Tools leave the list empty, or out, for people whose joints nobody marked.
    let is_there = raw.has("keypoints");
    let numbers = if is_there { raw.numbers("keypoints")? } else { Vec::new() };
    if numbers.is_empty() {
        oddities.without_joints += 1;
        return Ok(None);
    }
    if numbers.len() != 3 * names.len() {
        let found = counted_numbers(numbers.len());
        let expected = format!("3 numbers for each of {} joints", names.len());
        return Err(mistake(&expected, found));
    }
    let given = if matches!(raw.get("bbox"), Json::Null) {
        None
    } else {
        let given = <[f64; 4]>::try_from(raw.numbers("bbox")?);
        let four = |found: Vec<f64>| mistake("4 numbers as bbox", counted_numbers(found.len()));
        Some(given.map_err(four)?)
    };
    let area = raw.optional_number("area")?;
    let mut joints = Vec::with_capacity(names.len());
    // Counted when it is clear that the person is not damaged.
    let mut outside = 0;
    for (numbers, name) in numbers.chunks_exact(3).zip(names) {
        let [x, y, visibility] = [numbers[0], numbers[1], numbers[2]];
        if ![0.0, 1.0, 2.0].contains(&visibility) {
            let found = format!("{} for {name:?}", in_few_digits(visibility));
            return Err(mistake("a visibility of 0, 1 or 2", found));
        }
        let known = visibility > 0.0;
        let inside = (0.0..=size[0]).contains(&x) && (0.0..=size[1]).contains(&y);
        outside += usize::from(known && !inside);
        joints.push((known && inside).then_some([x, y]));
    }
    oddities.joints_outside += outside;
    if joints.iter().all(Option::is_none) {
        oddities.without_joints += 1;
        return Ok(None);
    }
    let Some(bounds) = bounds(given, &joints, size, oddities) else {
        oddities.without_box += 1;
        return Ok(None);
    };
    let [_, _, across, down] = bounds;
    let given = area.filter(|&area| area > 0.0);
    oddities.areas_derived += usize::from(area.is_some() && given.is_none());
    Ok(Some(Annotation { image: 0, joints, bounds, area: given.unwrap_or(across * down) }))
}

fn counted_numbers(count: usize) -> String {
    if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") }
}

/// The box inside the image: the one that is given, or one around the joints.
fn bounds(
    given: Option<[f64; 4]>,
    joints: &[Option<[f64; 2]>],
    [width, height]: [f64; 2],
    oddities: &mut Oddities,
) -> Option<[f64; 4]> {
    if let Some(given @ [left, top, across, down]) = given {
        let inside = left >= -ROUNDING
            && top >= -ROUNDING
            && left + across <= width + ROUNDING
            && top + down <= height + ROUNDING;
        if inside && across > 0.0 && down > 0.0 {
            return Some(given);
        }
        let clipped = between([left, top], [left + across, top + down], [width, height]);
        if clipped.is_some() {
            oddities.boxes_clipped += 1;
            return clipped;
        }
    }
    let known = || joints.iter().flatten();
    let least = [0, 1].map(|axis| known().map(|at| at[axis]).fold(f64::INFINITY, f64::min));
    let most = [0, 1].map(|axis| known().map(|at| at[axis]).fold(f64::NEG_INFINITY, f64::max));
    // Joints lie inside of people.
    let margin = MARGIN * (most[0] - least[0]).max(most[1] - least[1]);
    if margin <= 0.0 {
        return None;
    }
    let derived = between(least.map(|at| at - margin), most.map(|at| at + margin), [width, height]);
    oddities.boxes_derived += usize::from(derived.is_some());
    derived
}

/// The part inside the image of the box between two corners; `None` where it has no area.
fn between(first: [f64; 2], last: [f64; 2], [width, height]: [f64; 2]) -> Option<[f64; 4]> {
    let [left, right] = [first[0], last[0]].map(|x| x.clamp(0.0, width));
    let [top, bottom] = [first[1], last[1]].map(|y| y.clamp(0.0, height));
    (right > left && bottom > top).then_some([left, top, right - left, bottom - top])
}
