//! From heatmaps back to joints.

use burn::tensor::Tensor;

use super::Affine;
use crate::{Error, Result};

/// A joint that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundJoint {
    /// Where it is, in pixels of the image that the person was cut out of.
    pub at: [f64; 2],
    /// The height of its heatmap there: about 1 where the network is sure, and 0 where it sees
    /// none.
    pub score: f64,
}

/// Finds the joints of each person in heatmaps `[batch, joints, height, width]`; `to_image` is that
/// of the [`PoseBatch`](super::PoseBatch).
///
/// A joint is at the middle of the highest pixel, moved by a quarter of a pixel towards the higher
/// of its neighbours along each axis, as in the paper (arXiv 1804.06208, after Newell et al.); a
/// pixel at the border stays where it is along that axis. Of equal pixels the first is taken; one
/// that is not a number is never the highest.
///
/// # Errors
///
/// [`Error::Algorithm`] if the device fails, [`Error::Setting`] if there are not as many maps as
/// people, or heatmaps without a pixel.
pub fn decode(heatmaps: Tensor<4>, to_image: &[Affine]) -> Result<Vec<Vec<FoundJoint>>> {
    let [batch, joints, height, width] = heatmaps.dims();
    if batch != to_image.len() {
        let found = format!("{} for {batch} people", to_image.len());
        return Err(Error::Setting { field: "to_image", found, allowed: "one for each person" });
    }
    if joints * height * width == 0 {
        let found = format!("{joints}x{height}x{width}");
        return Err(Error::Setting { field: "heatmaps", found, allowed: "of at least one pixel" });
    }
    let data = heatmaps
        .try_into_data()
        .map_err(|error| Error::Algorithm(lowland::Error::ReadBack(error.to_string())))?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    let people = values.chunks_exact(joints * height * width).zip(to_image);
    let person = |(maps, map): (&[f32], &Affine)| {
        let found = maps.chunks_exact(height * width).map(|heatmap| peak(heatmap, width));
        found.map(|(at, score)| FoundJoint { at: map.apply(at), score }).collect()
    };
    Ok(people.map(person).collect())
}

/// Where a heatmap is highest, in its own pixels, and how high it is there.
fn peak(heatmap: &[f32], width: usize) -> ([f64; 2], f64) {
    let mut best = 0;
    for (place, value) in heatmap.iter().enumerate() {
        if *value > heatmap[best] || heatmap[best].is_nan() {
            best = place;
        }
    }
    let (row, column) = (best / width, best % width);
    let height = heatmap.len() / width;
    let x = quarter(column, width, |column| heatmap[row * width + column]);
    let y = quarter(row, height, |row| heatmap[row * width + column]);
    ([column as f64 + 0.5 + x, row as f64 + 0.5 + y], f64::from(heatmap[best]))
}

/// A quarter towards the higher of the two neighbours of `place`, if it has two.
fn quarter(place: usize, length: usize, value: impl Fn(usize) -> f32) -> f64 {
    if place == 0 || place + 1 == length {
        return 0.0;
    }
    let (before, after) = (value(place - 1), value(place + 1));
    if after > before {
        0.25
    } else if after < before {
        -0.25
    } else {
        0.0
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is asked for is exact")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn found(heatmap: [f32; 12], map: Affine) -> FoundJoint {
        let heatmap = TensorData::new(heatmap.to_vec(), [1, 1, 3, 4]);
        decode(Tensor::from_data(heatmap, &Device::flex()), &[map]).unwrap()[0][0]
    }

    #[test]
    fn a_joint_is_a_quarter_of_a_pixel_towards_the_higher_neighbour() {
        let heatmap = [0., 0., 1., 0., 0., 3., 9., 4., 0., 0., 2., 0.];
        // The middle of column 2 and row 1, to the right and down.
        let joint = found(heatmap, Affine::IDENTITY);
        assert_eq!((joint.at, joint.score), ([2.75, 1.75], 9.0));
        let map = Affine::scaling([4.0, 4.0]).then(&Affine::translation([100.0, -1.0]));
        assert_eq!(found(heatmap, map).at, [111.0, 6.0]);
    }

    #[test]
    fn a_joint_at_the_border_stays_in_the_middle_of_its_pixel() {
        let joint = found([7., 6., 0., 0., 5., 0., 0., 0., 0., 0., 0., 0.], Affine::IDENTITY);
        assert_eq!(joint.at, [0.5, 0.5]);
    }

    #[test]
    fn what_is_not_a_number_is_not_the_highest() {
        let mut heatmap = [f32::NAN; 12];
        heatmap[6] = -1.0;
        let joint = found(heatmap, Affine::IDENTITY);
        assert_eq!((joint.at, joint.score), ([2.5, 1.5], -1.0));
        assert!(found([f32::NAN; 12], Affine::IDENTITY).score.is_nan());
    }

    #[test]
    fn missing_maps_are_reported() {
        let heatmaps = || Tensor::zeros([2, 1, 3, 4], &Device::flex());
        let error = decode(heatmaps(), &[Affine::IDENTITY]).unwrap_err().to_string();
        assert_eq!(error, "to_image must be one for each person, found 1 for 2 people");
    }
}
