//! The innermost loops: a tile of sums that stays in registers.

use pulp::Simd;

use super::super::Real;

/// How many places along a row a tile may have.
const WIDTHS: [usize; 6] = [12, 8, 6, 4, 2, 1];

/// Places of a row for whose end the best tiles are sought.
const LONG: usize = 64;

/// A register file: vectors that a tile may fill, and numbers in each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub(super) count: usize,
    pub(super) lanes: usize,
}

/// Cuts `length` places in a row into tiles `(first place, places)` for tiles of `vectors` vectors.
///
/// Where `overlap` is allowed the last tiles may repeat places, which is cheaper than small tiles.
pub(super) fn cut(
    registers: Registers,
    vectors: usize,
    length: usize,
    overlap: bool,
) -> Vec<(usize, usize)> {
    let fits = |&&width: &&usize| width * vectors + vectors < registers.count;
    // A step in half cycles: two multiplications a cycle, two loads a cycle, and at least the four
    // cycles that a sum takes until the next can be added to it; and a little for the tile itself.
    let cost = |width: usize| 16 * (width * vectors).max(width + vectors).max(8) + 8;
    // A long row begins with tiles of the width that costs least for each place.
    let widths = WIDTHS.iter().filter(fits);
    let wide = widths.min_by_key(|&&width| cost(width) * 1000 / width).copied().unwrap_or(1);
    let head = length.saturating_sub(LONG) / wide * wide;
    let mut tiles: Vec<_> = (0..head).step_by(wide).map(|first| (first, wide)).collect();
    let length = length - head;
    // best[n]: the least cost of the first n places, and the width of the last tile of those.
    let mut best = vec![(0, 0)];
    for n in 1..=length {
        let choices = WIDTHS.iter().filter(fits).filter(|&&width| width <= length);
        let choices = choices.filter(|&&width| overlap || width <= n);
        let costs = choices.map(|&width| (best[n.saturating_sub(width)].0 + cost(width), width));
        // One place always fits.
        best.push(costs.min().unwrap_or((0, 1)));
    }
    let mut end = length;
    while end > 0 {
        let width = best[end].1;
        // A tile that begins before the row does is moved to its start.
        let first = end.saturating_sub(width);
        tiles.push((head + first, width));
        end = first;
    }
    tiles.sort_unstable();
    tiles
}

/// What a tile of a correlation reads.
#[derive(Clone, Copy)]
pub(super) struct Taps<'a, T> {
    /// `[tap][vectors]`.
    pub(super) weights: &'a [T],
    /// Where each tap reads for the first place.
    pub(super) offsets: &'a [usize],
    /// The padded image from the tile's first place on.
    pub(super) image: &'a [T],
}

/// Adds to `sums` `[place][vectors]`, for `width` neighbouring places, the taps' products; or puts
/// them there if `first`.
#[inline(always)]
pub(super) fn correlate<T: Real, S: Simd, const V: usize>(
    simd: S,
    width: usize,
    taps: Taps<'_, T>,
    first: bool,
    sums: &mut [T],
) {
    match width {
        12 => correlate_places::<T, S, 12, V>(simd, taps, first, sums),
        8 => correlate_places::<T, S, 8, V>(simd, taps, first, sums),
        6 => correlate_places::<T, S, 6, V>(simd, taps, first, sums),
        4 => correlate_places::<T, S, 4, V>(simd, taps, first, sums),
        2 => correlate_places::<T, S, 2, V>(simd, taps, first, sums),
        _ => correlate_places::<T, S, 1, V>(simd, taps, first, sums),
    }
}

#[inline(always)]
fn correlate_places<T: Real, S: Simd, const P: usize, const V: usize>(
    simd: S,
    taps: Taps<'_, T>,
    first: bool,
    sums: &mut [T],
) {
    let (sums, _) = bytemuck::cast_slice_mut::<T, T::Vector<S>>(sums).as_chunks_mut::<V>();
    let mut tile = [[T::splat(simd, T::ZERO); V]; P];
    if !first {
        tile.copy_from_slice(&sums[..P]);
    }
    let (weights, _) = bytemuck::cast_slice::<T, T::Vector<S>>(taps.weights).as_chunks::<V>();
    for (w, &offset) in weights.iter().zip(taps.offsets) {
        let x = &taps.image[offset..][..P];
        for p in 0..P {
            let x = T::splat(simd, x[p]);
            for v in 0..V {
                tile[p][v] = T::fused(simd, x, w[v], tile[p][v]);
            }
        }
    }
    sums[..P].copy_from_slice(&tile);
}

/// What a tile of a weight gradient reads.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    /// The gradient of the output, `[image][pixel][vectors]`.
    pub(super) gradient: &'a [T],
    /// The padded images from the first pixel on.
    pub(super) images: &'a [T],
    /// Images, rows of each, and pixels in a row.
    pub(super) grid: [usize; 3],
    /// From one image, and from one row, to the next among the images.
    pub(super) pitch: [usize; 2],
}

/// Adds to `sums` `[tap][vectors]`, for the taps that read at `offsets`, the products with all
/// pixels.
#[inline(always)]
pub(super) fn accumulate<T: Real, S: Simd, const V: usize>(
    simd: S,
    offsets: &[usize],
    rows: Rows<'_, T>,
    sums: &mut [T],
) {
    match offsets.len() {
        12 => accumulate_taps::<T, S, 12, V>(simd, offsets, rows, sums),
        8 => accumulate_taps::<T, S, 8, V>(simd, offsets, rows, sums),
        6 => accumulate_taps::<T, S, 6, V>(simd, offsets, rows, sums),
        4 => accumulate_taps::<T, S, 4, V>(simd, offsets, rows, sums),
        2 => accumulate_taps::<T, S, 2, V>(simd, offsets, rows, sums),
        _ => accumulate_taps::<T, S, 1, V>(simd, offsets, rows, sums),
    }
}

#[inline(always)]
fn accumulate_taps<T: Real, S: Simd, const P: usize, const V: usize>(
    simd: S,
    offsets: &[usize],
    rows: Rows<'_, T>,
    sums: &mut [T],
) {
    let (sums, _) = bytemuck::cast_slice_mut::<T, T::Vector<S>>(sums).as_chunks_mut::<V>();
    let mut tile = [[T::splat(simd, T::ZERO); V]; P];
    tile.copy_from_slice(&sums[..P]);
    let [images, height, width] = rows.grid;
    let (gradient, _) = bytemuck::cast_slice::<T, T::Vector<S>>(rows.gradient).as_chunks::<V>();
    for row in 0..images * height {
        let start = row / height * rows.pitch[0] + row % height * rows.pitch[1];
        let gradient = &gradient[row * width..][..width];
        let mut lines: [&[T]; P] = [&[]; P];
        for p in 0..P {
            lines[p] = &rows.images[offsets[p] + start..][..width];
        }
        for x in 0..width {
            let g = gradient[x];
            for p in 0..P {
                let value = T::splat(simd, lines[p][x]);
                for v in 0..V {
                    tile[p][v] = T::fused(simd, value, g[v], tile[p][v]);
                }
            }
        }
    }
    sums[..P].copy_from_slice(&tile);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_row_in_order() {
        for count in [16, 32] {
            for (vectors, length) in (1..3).flat_map(|v| (0..70).map(move |n| (v, n))) {
                let registers = Registers { count, lanes: 8 };
                for overlap in [false, true] {
                    let mut covered = 0;
                    for (first, width) in cut(registers, vectors, length, overlap) {
                        assert!(first <= covered && (overlap || first == covered));
                        assert!(first + width <= length && width * vectors < count);
                        covered = first + width;
                    }
                    assert_eq!(covered, length);
                }
            }
        }
    }
}
