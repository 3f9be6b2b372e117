//! Copies of images with their margins.

use std::borrow::Cow;

use super::super::Real;
use super::plan::Layout;

/// The planes of one group of one image as `layout` has them.
///
/// `buffer` was made by [`buffer`] for the same layout; its margins are zeros and stay so.
#[inline(always)]
pub(super) fn padded<'a, T: Real>(
    layout: &Layout,
    planes: &'a [T],
    buffer: &'a mut [T],
) -> &'a [T] {
    if layout.is_plain() {
        return planes;
    }
    let [height, width] = layout.size;
    for (source, target) in
        planes.chunks_exact(height * width).zip(buffer.chunks_exact_mut(layout.plane()))
    {
        for (row, line) in target.chunks_exact_mut(layout.pitch()).enumerate() {
            let y = row.cast_signed() - layout.margin[0];
            if y < 0 || y >= height.cast_signed() || row % layout.row_step >= layout.row_phases {
                continue;
            }
            let from = &source[y.unsigned_abs() * width..][..width];
            for (phase, columns) in line.chunks_exact_mut(layout.columns).enumerate() {
                copy(layout, phase, from, columns);
            }
        }
    }
    buffer
}

/// Every `phases`-th number of a row.
#[inline(always)]
fn copy<T: Real>(layout: &Layout, phase: usize, from: &[T], columns: &mut [T]) {
    let step = layout.step.cast_signed();
    // The first column that is not in the margin: the least q with q·step + phase ≥ margin.
    let margin = layout.margin[1] - phase.cast_signed();
    let first = (margin + step - 1).div_euclid(step).max(0);
    let source = (first * step - margin).unsigned_abs();
    let first = first.unsigned_abs();
    if first >= columns.len() || source >= from.len() {
        return;
    }
    let (columns, from) = (&mut columns[first..], &from[source..]);
    match layout.step {
        1 => {
            let count = columns.len().min(from.len());
            columns[..count].copy_from_slice(&from[..count]);
        }
        // A literal step, for the compiler to make shuffles of.
        2 => columns.iter_mut().zip(from.iter().step_by(2)).for_each(|(to, &x)| *to = x),
        step => columns.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &x)| *to = x),
    }
}

/// Room for the planes of one group of one image.
pub(super) fn buffer<T: Real>(layout: &Layout, channels: usize) -> Vec<T> {
    if layout.is_plain() { Vec::new() } else { vec![T::ZERO; channels * layout.plane()] }
}

/// The bias of a tile's channels, zeros where there is none.
pub(super) fn biases<T: Real>(bias: Option<&[T]>, channels: usize) -> Cow<'_, [T]> {
    bias.map_or_else(|| Cow::Owned(vec![T::ZERO; channels]), Cow::Borrowed)
}
