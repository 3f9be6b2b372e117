//! People with their joints, to look at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::{Affine, FoundJoint, PoseSet, Skeleton};
use crate::{Error, Result};

/// Quality of the pictures inside, of 100.
const QUALITY: u8 = 85;

/// The longer side of a picture, in units of its lines.
const SIDE: f64 = 128.0;

/// How joints and limbs are drawn. Shapes differ as well as colours, and both have a dark border,
/// so that they can be distinguished on any picture, in grey and by everyone.
struct Style {
    colour: &'static str,
    fill: &'static str,
    dashes: &'static str,
}

/// Where the joints are.
const TRUTH: Style = Style { colour: "#ffffff", fill: "none", dashes: "3 2" };

/// Where they were found.
const FOUND: Style = Style { colour: "#ff9f1c", fill: "#ff9f1c", dashes: "none" };

/// Person `index` of `set` as an SVG picture that needs no other file: the picture of the person,
/// the ground truth as white dashed lines with rings, predictions as orange lines with dots, and a
/// thin line from each ring to the dot that should be in it.
///
/// It has the picture's proportions and no size of its own. `found` is in pixels of the image that
/// the person was cut out of, as [`decode`](fn@super::decode) gives it; joints without a place that
/// is a number are left out.
///
/// # Errors
///
/// [`Error::Setting`] if there is no such person, if `found` has another number of joints, or if
/// pictures are too large for a JPEG.
pub fn picture(set: &PoseSet, index: usize, found: &[FoundJoint]) -> Result<String> {
    let setting = |field, found, allowed| Err(Error::Setting { field, found, allowed });
    let Some(person) = set.people().get(index) else {
        return setting("index", index.to_string(), "below the number of people");
    };
    if found.len() != person.joints.len() {
        return setting("found", found.len().to_string(), "one for each joint of the person");
    }
    let shape = set.pictures().shape();
    let scale = SIDE / shape.width.max(shape.height) as f64;
    let map = person.crop.then(&Affine::scaling([scale, scale]));
    let is_number = |point: &[f64; 2]| point.iter().all(|number| number.is_finite());
    let truth: Vec<_> = person.joints.iter().map(|joint| joint.map(|at| map.apply(at))).collect();
    let found: Vec<_> =
        found.iter().map(|joint| Some(map.apply(joint.at)).filter(is_number)).collect();

    let [width, height] = [shape.width, shape.height].map(|side| side as f64 * scale);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Person {index}: joints as they are, dashed, and as they were found\">\
         <image width=\"{width}\" height=\"{height}\" href=\"data:image/jpeg;base64,{}\"/>",
        STANDARD.encode(jpeg(set, index)?)
    );
    draw(&mut svg, set.skeleton(), &truth, &found);
    svg.push_str("</svg>");
    Ok(svg)
}

/// The picture of a person as a JPEG file.
fn jpeg(set: &PoseSet, index: usize) -> Result<Vec<u8>> {
    let shape = set.pictures().shape();
    let plane = shape.height * shape.width;
    let pixels = set.pictures().image(index);
    let interleaved: Vec<u8> = (0..plane)
        .flat_map(|place| [0, 1, 2].map(|channel| pixels[channel * plane + place]))
        .collect();
    let too_large = || {
        let found = format!("{}x{}", shape.width, shape.height);
        Error::Setting { field: "pictures", found, allowed: "small enough for a JPEG" }
    };
    let side = |side: usize| u16::try_from(side).map_err(|_| too_large());
    let (width, height) = (side(shape.width)?, side(shape.height)?);
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, QUALITY)
        .encode(&interleaved, width.into(), height.into(), ExtendedColorType::Rgb8)
        .map_err(|_| too_large())?;
    Ok(file)
}

type Points = [Option<[f64; 2]>];

fn draw(svg: &mut String, skeleton: &Skeleton, truth: &Points, found: &Points) {
    let missed = truth.iter().zip(found).map(|(from, to)| line(*from, *to)).collect();
    group(svg, "stroke=\"#ffffff\" stroke-width=\"0.5\"", missed);
    for (Style { colour, fill, dashes }, points) in [(TRUTH, truth), (FOUND, found)] {
        let limbs: String =
            skeleton.limbs().iter().map(|&[a, b]| line(points[a], points[b])).collect();
        let joints: String = points.iter().flatten().map(|&point| circle(point)).collect();
        for (stroke, width) in [("#000000", 2.2), (colour, 1.2)] {
            let pen = format!("stroke=\"{stroke}\" stroke-width=\"{width}\"");
            group(svg, &format!("{pen} stroke-dasharray=\"{dashes}\""), limbs.clone());
        }
        for (stroke, width) in [("#000000", 1.6), (colour, 0.8)] {
            let pen = format!("fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{width}\"");
            group(svg, &pen, joints.clone());
        }
    }
}

fn group(svg: &mut String, style: &str, shapes: String) {
    svg.extend([format!("<g {style}>"), shapes, "</g>".to_owned()]);
}

fn circle([x, y]: [f64; 2]) -> String {
    format!("<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"1.6\"/>")
}

/// Nothing where one of the ends is not known.
fn line(from: Option<[f64; 2]>, to: Option<[f64; 2]>) -> String {
    let (Some([x1, y1]), Some([x2, y2])) = (from, to) else { return String::new() };
    format!("<path d=\"M{x1:.2} {y1:.2}L{x2:.2} {y2:.2}\"/>")
}
