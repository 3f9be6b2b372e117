//! From pixels of channels to channels of pixels, and back.

use super::super::Real;
use super::plan::Part;

/// Writes sums `[pixel][width]` of a part into the planes `[channel][pixels]` of the output, with
/// the bias of each channel added.
#[inline(always)]
pub(super) fn to_planes<T: Real>(
    part: &Part,
    pixels: usize,
    sums: &[T],
    width: usize,
    bias: &[T],
    planes: &mut [T],
) {
    let [rows, columns] = part.grid;
    for y in 0..rows {
        let line = &sums[y * columns * width..][..columns * width];
        for (c, (plane, &bias)) in planes.chunks_exact_mut(pixels).zip(bias).enumerate() {
            let target = &mut plane[part.start + y * part.steps[0]..];
            let source = line.iter().skip(c).step_by(width);
            if part.steps[1] == 1 {
                target[..columns].iter_mut().zip(source).for_each(|(to, &x)| *to = x + bias);
            } else {
                let target = target.iter_mut().step_by(part.steps[1]).take(columns);
                target.zip(source).for_each(|(to, &x)| *to = x + bias);
            }
        }
    }
}

/// Writes planes `[channel][pixels]` as pixels `[pixel][width]`; channels that there are not stay
/// as they are.
#[inline(always)]
pub(super) fn to_pixels<T: Real>(planes: &[T], pixels: usize, width: usize, target: &mut [T]) {
    const BLOCK: usize = 16;
    for start in (0..pixels).step_by(BLOCK) {
        let end = (start + BLOCK).min(pixels);
        let block = &mut target[start * width..end * width];
        for (c, plane) in planes.chunks_exact(pixels).enumerate() {
            let to = block.iter_mut().skip(c).step_by(width);
            to.zip(&plane[start..end]).for_each(|(to, &x)| *to = x);
        }
    }
}
