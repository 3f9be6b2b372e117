//! The gradient with respect to the weights.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::aligned::Aligned;
use super::super::{Real, lanes, vectorised, vectorised_closure};
use super::Geometry;
use super::correlation::{IMAGES, PIXELS, Span, registers, spans};
use super::padded::{buffer, padded};
use super::plan::Plan;
use super::tile::{self, Rows, cut};
use super::transpose::to_pixels;

/// Below this many pixels in a row the rows are put side by side first.
const NARROW: usize = 16;

/// Bytes of rows that are put side by side.
const BESIDE: usize = 128 * 1024;

/// Spans that are computed from one copy of the images.
const SPANS: usize = 8;

/// Bytes of all partial sums together, and the most of them for one number.
const PARTIAL: usize = 32 * 1024 * 1024;
const PARTS: usize = 16;

/// The gradient with respect to the weights, of the gradient `g` with respect to the output.
///
/// Images are added in parts that depend on the sizes alone, and parts in their order, so that the
/// sum is the same bit for bit on any number of threads.
pub(crate) fn weight_gradient<T: Real>(geometry: &Geometry, x: &[T], g: &[T]) -> Vec<T> {
    let plan = Plan::forward(geometry);
    let taps = plan.from * plan.parts[0].taps.len();
    let mut gradient = vec![T::ZERO; plan.groups * plan.to * taps];
    if gradient.is_empty() || plan.images == 0 || plan.pixels == 0 {
        return gradient;
    }
    let registers = registers::<T>();
    let spans = spans(registers, plan.to);
    let parts = (PARTIAL / size_of_val(&gradient[..])).clamp(1, PARTS).min(plan.images);
    let images = plan.images.div_ceil(parts);
    let parts = plan.images.div_ceil(images);

    let layout = &plan.layout;
    let offsets: Vec<usize> = (0..plan.from)
        .flat_map(|c| plan.parts[0].taps.iter().map(move |&(_, at)| c * layout.plane() + at))
        .collect();
    let sets: Vec<&[Span]> = spans.chunks(SPANS).collect();
    let work = |i: usize| {
        let (group, spans, part) =
            (i / parts / sets.len(), sets[i / parts % sets.len()], i % parts);
        let images = part * images..((part + 1) * images).min(plan.images);
        vectorised(Work { plan: &plan, offsets: &offsets, x, g, group, spans, images })
    };
    let count = plan.groups * sets.len() * parts;
    let partial: Vec<Vec<Aligned<T>>> = (0..count).into_par_iter().map(work).collect();

    let mut rest = &mut gradient[..];
    let mut rows = Vec::new();
    for i in 0..plan.groups * sets.len() {
        let channels = sets[i % sets.len()].iter().map(|span| span.count).sum::<usize>();
        let (own, others) = rest.split_at_mut(channels * taps);
        rest = others;
        rows.push((sets[i % sets.len()], own));
    }
    rows.into_par_iter().zip(partial.into_par_iter().chunks(parts)).for_each(
        |((spans, rows), partial)| {
            let mut rows = rows;
            for (s, span) in spans.iter().enumerate() {
                let (own, others) = rows.split_at_mut(span.count * taps);
                rows = others;
                let parts: Vec<&[T]> = partial.iter().map(|sums| sums[s].as_slice()).collect();
                let width = span.vectors * registers.lanes;
                vectorised_closure(
                    #[inline(always)]
                    || add_parts(&parts, width, taps, own),
                );
            }
        },
    );
    gradient
}

/// Adds parts `[tap][width]` in their order, into rows of `taps` numbers, one for each channel.
#[inline(always)]
fn add_parts<T: Real>(parts: &[&[T]], width: usize, taps: usize, rows: &mut [T]) {
    const BLOCK: usize = 16;
    let mut sums = vec![T::ZERO; BLOCK * width];
    for start in (0..taps).step_by(BLOCK) {
        let count = BLOCK.min(taps - start);
        sums.fill(T::ZERO);
        for part in parts {
            let part = &part[start * width..][..count * width];
            sums.iter_mut().zip(part).for_each(|(sum, &x)| *sum += x);
        }
        for (c, row) in rows.chunks_exact_mut(taps).enumerate() {
            let sums = sums.iter().skip(c).step_by(width);
            row[start..][..count].iter_mut().zip(sums).for_each(|(to, &x)| *to = x);
        }
    }
}

/// The sums of some images for some spans of one group.
struct Work<'a, T> {
    plan: &'a Plan,
    offsets: &'a [usize],
    x: &'a [T],
    g: &'a [T],
    group: usize,
    spans: &'a [Span],
    images: std::ops::Range<usize>,
}

impl<T: Real> WithSimd for Work<'_, T> {
    type Output = Vec<Aligned<T>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Aligned<T>> {
        let Self { plan, offsets, x, g, group, spans, images } = self;
        let width = |span: &Span| span.vectors * lanes::<T, S>();
        let mut sums: Vec<_> =
            spans.iter().map(|span| Aligned::zeros(offsets.len() * width(span))).collect();
        let mut pixels: Vec<Aligned<T>> = Vec::new();
        let part = &plan.parts[0];
        let [rows, columns] = part.grid;
        let tiles = [1, 2].map(|v| cut(registers::<T>(), v, offsets.len(), false));

        // Small images are taken several at a time.
        let layout = &plan.layout;
        let plain = layout.is_plain();
        let size = plan.from * layout.plane();
        let fit = (IMAGES / (size * size_of::<T>())).min(PIXELS / plan.pixels);
        let at_once = fit.clamp(1, images.len());
        let mut room: Vec<T> = buffer(layout, plan.from * at_once);
        pixels.extend(spans.iter().map(|span| Aligned::zeros(at_once * plan.pixels * width(span))));
        let narrow = columns < NARROW && rows > 1;
        let mut beside = Beside::new(narrow, at_once * plan.pixels);

        let planes = [plan.from * layout.size[0] * layout.size[1], plan.to * plan.pixels];
        // Where images are used as they lie, the next one begins after all groups.
        let step = if plain { plan.groups * planes[0] } else { size };
        let mut first = images.start;
        while first < images.end {
            let count = at_once.min(images.end - first);
            for i in 0..count {
                let place = (first + i) * plan.groups + group;
                if !plain {
                    let x = &x[place * planes[0]..][..planes[0]];
                    padded(layout, x, &mut room[i * size..][..size]);
                }
                for (span, pixels) in spans.iter().zip(&mut pixels) {
                    let g = &g[place * planes[1] + span.first * plan.pixels..];
                    let target = &mut pixels.as_mut_slice()[i * plan.pixels * width(span)..];
                    to_pixels(&g[..span.count * plan.pixels], plan.pixels, width(span), target);
                }
            }
            let start = (first * plan.groups + group) * planes[0];
            let taken = if plain { &x[start..] } else { &room[..] };
            let grid = [count, rows, columns];
            let pitch = [step, part.pitch];
            let all = Rows { gradient: &[], images: taken, grid, pitch };
            for (span, (pixels, sums)) in spans.iter().zip(pixels.iter().zip(&mut sums)) {
                let rows = Rows { gradient: pixels.as_slice(), ..all };
                let tiles = &tiles[span.vectors - 1];
                let sums = sums.as_mut_slice();
                match (narrow, span.vectors) {
                    (false, 1) => wide::<T, S, 1>(simd, tiles, offsets, rows, sums),
                    (false, _) => wide::<T, S, 2>(simd, tiles, offsets, rows, sums),
                    (true, _) => {}
                }
            }
            if narrow {
                for block in beside.blocks(offsets.len()) {
                    let tiles = [1, 2].map(|v| cut(registers::<T>(), v, block.len(), false));
                    let length = beside.fill(&offsets[block.clone()], all);
                    for (span, (pixels, sums)) in spans.iter().zip(pixels.iter().zip(&mut sums)) {
                        let gradient = pixels.as_slice();
                        let sums = &mut sums.as_mut_slice()[block.start * width(span)..];
                        let tiles = &tiles[span.vectors - 1];
                        if span.vectors == 1 {
                            beside.add::<S, 1>(simd, tiles, length, gradient, sums);
                        } else {
                            beside.add::<S, 2>(simd, tiles, length, gradient, sums);
                        }
                    }
                }
            }
            first += count;
        }
        sums
    }
}

/// Adds the products of all pixels, some rows at a time.
#[inline(always)]
fn wide<T: Real, S: Simd, const V: usize>(
    simd: S,
    tiles: &[(usize, usize)],
    offsets: &[usize],
    all: Rows<'_, T>,
    sums: &mut [T],
) {
    let width = V * lanes::<T, S>();
    let [count, rows, columns] = all.grid;
    let at_once = if count > 1 { rows } else { (PIXELS / columns).clamp(1, rows) };
    for y in (0..rows).step_by(at_once) {
        let rows = Rows {
            gradient: &all.gradient[y * columns * width..],
            images: &all.images[y * all.pitch[1]..],
            grid: [count, at_once.min(rows - y), columns],
            ..all
        };
        for &(tap, taps) in tiles {
            let sums = &mut sums[tap * width..][..taps * width];
            tile::accumulate::<T, S, V>(simd, &offsets[tap..][..taps], rows, sums);
        }
    }
}

/// What each tap reads, side by side: `[tap][image, row, column]`.
struct Beside<T> {
    numbers: Vec<T>,
    /// Taps for which there is room.
    taps: usize,
}

impl<T: Real> Beside<T> {
    fn new(used: bool, pixels: usize) -> Self {
        let taps = (BESIDE / (pixels * size_of::<T>())).max(1).next_multiple_of(12);
        Self { numbers: if used { vec![T::ZERO; taps * pixels] } else { Vec::new() }, taps }
    }

    fn blocks(&self, taps: usize) -> impl Iterator<Item = std::ops::Range<usize>> + use<T> {
        let step = self.taps;
        (0..taps).step_by(step).map(move |start| start..(start + step).min(taps))
    }

    /// Reads for each tap, and returns how many numbers one has.
    #[inline(always)]
    fn fill(&mut self, offsets: &[usize], rows: Rows<'_, T>) -> usize {
        let [count, height, columns] = rows.grid;
        // The usual widths by name, for the compiler to make single moves of.
        match columns {
            4 => self.fill_rows(offsets, rows, 4),
            7 => self.fill_rows(offsets, rows, 7),
            8 => self.fill_rows(offsets, rows, 8),
            _ => self.fill_rows(offsets, rows, columns),
        }
        count * height * columns
    }

    #[inline(always)]
    fn fill_rows(&mut self, offsets: &[usize], rows: Rows<'_, T>, columns: usize) {
        let [count, height, _columns] = rows.grid;
        let lines = self.numbers.chunks_exact_mut(count * height * columns);
        for (&offset, lines) in offsets.iter().zip(lines) {
            let mut lines = lines.chunks_exact_mut(columns);
            for image in 0..count {
                let image = &rows.images[offset + image * rows.pitch[0]..];
                for (y, line) in (0..height).zip(&mut lines) {
                    line.copy_from_slice(&image[y * rows.pitch[1]..][..columns]);
                }
            }
        }
    }

    /// Adds the products with all pixels.
    #[inline(always)]
    fn add<S: Simd, const V: usize>(
        &self,
        simd: S,
        tiles: &[(usize, usize)],
        length: usize,
        gradient: &[T],
        sums: &mut [T],
    ) {
        let width = V * lanes::<T, S>();
        let images = &self.numbers[..];
        let rows = Rows { gradient, images, grid: [1, 1, length], pitch: [0, 0] };
        for &(first, taps) in tiles {
            let sums = &mut sums[first * width..][..taps * width];
            let mut offsets = [0; 12];
            (0..taps).for_each(|i| offsets[i] = (first + i) * length);
            tile::accumulate::<T, S, V>(simd, &offsets[..taps], rows, sums);
        }
    }
}
