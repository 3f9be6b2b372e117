//! Maps of the plane, and pictures seen through them.

/// A map of the plane that keeps parallels: `(x, y)` goes to `(a·x + b·y + c, d·x + e·y + f)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// `[[a, b, c], [d, e, f]]`.
    pub rows: [[f64; 3]; 2],
}

impl Affine {
    /// The map that moves nothing.
    pub const IDENTITY: Self = Self { rows: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] };

    /// Times `x` to the right and times `y` downwards.
    pub fn scaling([x, y]: [f64; 2]) -> Self {
        Self { rows: [[x, 0.0, 0.0], [0.0, y, 0.0]] }
    }

    /// Moves everything by `x` to the right and by `y` down.
    pub fn translation([x, y]: [f64; 2]) -> Self {
        Self { rows: [[1.0, 0.0, x], [0.0, 1.0, y]] }
    }

    /// Turns around the origin by `angle` in radians, from the first axis to the second: clockwise
    /// on a screen.
    pub fn rotation(angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { rows: [[cos, -sin, 0.0], [sin, cos, 0.0]] }
    }

    /// This map, and then `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let [[a, b, c], [d, e, f]] = self.rows;
        let row = |[p, q, r]: [f64; 3]| [p * a + q * d, p * b + q * e, p * c + q * f + r];
        Self { rows: next.rows.map(row) }
    }

    /// Where a point goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        self.rows.map(|[a, b, c]| a * x + b * y + c)
    }

    /// How many times larger areas become; negative for a mirror.
    pub fn determinant(&self) -> f64 {
        let [[a, b, _], [d, e, _]] = self.rows;
        a * e - b * d
    }

    /// The way back. Its numbers are not finite where there is none, which is where
    /// [`determinant`](Self::determinant) is 0.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let [[a, b, c], [d, e, f]] = self.rows;
        let scale = self.determinant().recip();
        let (a, b, d, e) = (e * scale, -b * scale, -d * scale, a * scale);
        Self { rows: [[a, b, -(a * c + b * f)], [d, e, -(d * c + e * f)]] }
    }
}

/// A picture of three colours whose bytes lie one way or another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raster<'a> {
    bytes: &'a [u8],
    size: [usize; 2],
    /// Bytes from one pixel to the next, and from one colour to the next.
    steps: [usize; 2],
}

impl<'a> Raster<'a> {
    /// Bytes of shape `[height, width, 3]`; `size` is width and height.
    pub(super) fn interleaved(bytes: &'a [u8], size: [usize; 2]) -> Self {
        Self { bytes, size, steps: [3, 1] }
    }

    /// Bytes of shape `[3, height, width]`; `size` is width and height.
    pub(super) fn planar(bytes: &'a [u8], size: [usize; 2]) -> Self {
        Self { bytes, size, steps: [1, size[0] * size[1]] }
    }

    /// The colours at a point: those of the four pixels around it, each by how close its centre is.
    /// Black lies around the picture, and where the point is no number.
    fn at(&self, [x, y]: [f64; 2]) -> [f32; 3] {
        let [width, height] = self.size;
        // From the middle of a pixel one to the left and one up that is not there.
        let (x, y) = (x + 0.5, y + 0.5);
        let inside = x > 0.0 && y > 0.0 && x < width as f64 + 1.0 && y < height as f64 + 1.0;
        if !inside {
            return [0.0; 3];
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the whole part of what lies in the picture; a share is f32"
        )]
        let whole = |position: f64| {
            let index = position as usize;
            (index, (position - index as f64) as f32)
        };
        let ((right, right_share), (below, lower_share)) = (whole(x), whole(y));
        let mut colours = [0.0; 3];
        for (row, down) in [(below.wrapping_sub(1), 1.0 - lower_share), (below, lower_share)] {
            for (column, across) in
                [(right.wrapping_sub(1), 1.0 - right_share), (right, right_share)]
            {
                if row >= height || column >= width {
                    continue;
                }
                let start = (row * width + column) * self.steps[0];
                for (channel, colour) in colours.iter_mut().enumerate() {
                    let byte = self.bytes[start + channel * self.steps[1]];
                    *colour += down * across * f32::from(byte);
                }
            }
        }
        colours
    }
}

/// The most points, along each side, that one pixel is the mean of.
const MOST_POINTS: f64 = 16.0;

/// Looks at `picture` through `map`, which goes from its coordinates to those of the result, a
/// picture of `size` (width and height), and makes all lengths smaller or larger alike. `paint`
/// gets the number of each pixel, row by row, and its colours, 0 to 255.
///
/// Where the map makes things small, a pixel is the mean over several points, so that nothing is
/// left out between them.
pub(super) fn warp(
    picture: Raster<'_>,
    map: &Affine,
    size: [usize; 2],
    mut paint: impl FnMut(usize, [f32; 3]),
) {
    let back = map.inverse();
    // Each point already speaks for about two pixels on both sides.
    let points = (back.determinant().abs().sqrt() / 2.0 - 1e-9).ceil().clamp(1.0, MOST_POINTS);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 1 to 16"
    )]
    let count = points as usize;
    #[expect(clippy::cast_possible_truncation, reason = "colours are f32")]
    let share = (points * points).recip() as f32;
    for row in 0..size[1] {
        for column in 0..size[0] {
            let mut sum = [0.0; 3];
            for place in 0..count * count {
                let inner = [place % count, place / count].map(|p| (p as f64 + 0.5) / points);
                let point = [column as f64 + inner[0], row as f64 + inner[1]];
                let colours = picture.at(back.apply(point));
                sum.iter_mut().zip(colours).for_each(|(sum, colour)| *sum += colour);
            }
            paint(row * size[0] + column, sum.map(|sum| sum * share));
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is asked for is exact")]
mod tests {
    use super::*;

    fn warped(bytes: &[u8], from: [usize; 2], map: &Affine, to: [usize; 2]) -> Vec<f32> {
        let mut red = vec![f32::NAN; to[0] * to[1]];
        warp(Raster::planar(bytes, from), map, to, |place, colours| red[place] = colours[0]);
        red
    }

    /// A picture of three equal colours.
    fn grey(pixels: &[u8]) -> Vec<u8> {
        pixels.repeat(3)
    }

    fn close(found: &[f32], expected: &[f32]) {
        // Colours are at most 255 and a mixture of four takes less than 16 roundings, each by half
        // of EPSILON: below 16 · 255 · EPSILON / 2 = 2.5e-4.
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2.5e-4);
        assert!(near && found.len() == expected.len(), "{found:?} for {expected:?}");
    }

    #[test]
    fn maps_follow_each_other_and_lead_back() {
        let map = Affine::translation([-3.0, 2.0])
            .then(&Affine::rotation(0.7))
            .then(&Affine::scaling([-2.0, 0.5]));
        let point = map.apply([5.0, 1.0]);
        let (sin, cos) = 0.7_f64.sin_cos();
        let by_hand = [-2.0 * (cos * 2.0 - sin * 3.0), 0.5 * (sin * 2.0 + cos * 3.0)];
        let back = map.inverse().apply(point);
        for (found, expected) in [(point, by_hand), (back, [5.0, 1.0])] {
            assert!(
                (found[0] - expected[0]).abs() < 1e-12 && (found[1] - expected[1]).abs() < 1e-12
            );
        }
        assert!((map.determinant() + 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_identity_changes_no_byte() {
        let bytes = grey(&[1, 2, 3, 4, 5, 255]);
        close(&warped(&bytes, [3, 2], &Affine::IDENTITY, [3, 2]), &[1., 2., 3., 4., 5., 255.]);
    }

    #[test]
    fn both_layouts_are_the_same_picture() {
        let planar: Vec<u8> = (0..18).collect();
        let interleaved: Vec<u8> =
            (0..6).flat_map(|pixel| [pixel, pixel + 6, pixel + 12]).collect();
        let map = Affine::rotation(0.3).then(&Affine::scaling([1.7, 1.7]));
        let mut seen = Vec::new();
        warp(Raster::planar(&planar, [3, 2]), &map, [5, 4], |_, colours| seen.push(colours));
        warp(Raster::interleaved(&interleaved, [3, 2]), &map, [5, 4], |place, colours| {
            assert_eq!(seen[place], colours);
        });
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn between_pixels_lies_their_mixture_and_around_them_black() {
        let bytes = grey(&[100, 200]);
        let half = Affine::translation([0.5, 0.0]);
        close(&warped(&bytes, [2, 1], &half, [3, 1]), &[50.0, 150.0, 100.0]);
        let far = Affine::translation([1e30, -1e30]);
        close(&warped(&bytes, [2, 1], &far, [2, 1]), &[0.0, 0.0]);
    }

    #[test]
    fn a_smaller_picture_is_made_of_means() {
        let bytes = grey(&[0, 100, 200, 100, 40, 60, 0, 100]);
        let halved = Affine::scaling([0.5, 0.5]);
        close(&warped(&bytes, [4, 2], &halved, [2, 1]), &[50.0, 100.0]);
        // All of 8 by 8 pixels in one, and none left out.
        let eighth = Affine::scaling([0.125, 0.125]);
        for place in 0..64 {
            let mut pixels = [0; 64];
            pixels[place] = 64;
            let mean = warped(&grey(&pixels), [8, 8], &eighth, [1, 1])[0];
            assert!((mean - 1.0).abs() < 0.01, "{mean} for pixel {place}");
        }
    }
}
