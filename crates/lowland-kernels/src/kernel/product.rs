//! Products of matrices.
//!
//! The right matrix is packed into panels as wide as a tile of sums,
//! `[block][panel][inner][column]`, some rows of the left one into `[panel][inner][row]`. A tile of
//! sums stays in registers while two panels are read from end to end. A panel of the right matrix
//! fits the first-level cache, the rows of the left one the second.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::aligned::Aligned;
use super::{Real, lanes, vectorised};

/// Most rows of the left matrix that are packed at a time: a multiple of the rows of every tile.
const ROWS: usize = 144;

/// Rows of the smallest piece of work, the like.
const FEW: usize = 48;

/// Bytes of a panel of the right matrix: three quarters of a small first-level cache.
const PANEL: usize = 24 * 1024;

/// Vectors beside one another in a tile.
const VECTORS: usize = 2;

/// Numbers from which on a matrix is packed by several threads.
const SHARED: usize = 32 * 1024;

/// A matrix among the numbers of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    numbers: &'a [T],
    rows: usize,
    columns: usize,
    /// From one row, and from one column, to the next. One of the two is 1.
    steps: [usize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// All numbers, rows of `columns` one after the other.
    pub(crate) fn new(numbers: &'a [T], columns: usize) -> Self {
        Self { numbers, rows: numbers.len() / columns, columns, steps: [columns, 1] }
    }

    /// `rows` of `columns` numbers that begin `step` apart.
    pub(crate) fn strided(numbers: &'a [T], rows: usize, columns: usize, step: usize) -> Self {
        Self { numbers, rows, columns, steps: [step, 1] }
    }

    pub(crate) fn transposed(self) -> Self {
        let Self { numbers, rows, columns, steps: [row, column] } = self;
        Self { numbers, rows: columns, columns: rows, steps: [column, row] }
    }
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a, T> {
    /// Nothing.
    Zero,
    /// The same numbers in each row.
    Row(&'a [T]),
}

/// The right matrix of a product.
#[derive(Debug)]
pub(crate) struct Panels<T> {
    numbers: Aligned<T>,
    rows: usize,
    columns: usize,
    /// Rows of a block.
    depth: usize,
    /// Columns of a panel.
    width: usize,
}

struct AskWidth<T>(std::marker::PhantomData<T>);

impl<T: Real> WithSimd for AskWidth<T> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        VECTORS * lanes::<T, S>()
    }
}

impl<T: Real> Panels<T> {
    pub(crate) fn new(matrix: Matrix<'_, T>) -> Self {
        let Matrix { rows, columns, .. } = matrix;
        let width = vectorised(AskWidth::<T>(std::marker::PhantomData));
        let blocks = rows.div_ceil((PANEL / (width * size_of::<T>())).max(1)).max(1);
        let depth = rows.div_ceil(blocks).max(1);
        let across = columns.div_ceil(width);
        let mut numbers = Aligned::zeros(rows * across * width);
        let mut rest = numbers.as_mut_slice();
        for start in (0..rows).step_by(depth) {
            let inner = start..(start + depth).min(rows);
            let length = inner.len() * width;
            let (block, others) = rest.split_at_mut(across * length);
            rest = others;
            let fill = |(i, panel): (usize, &mut [T])| {
                let first = i * width;
                let columns = first..(first + width).min(columns);
                pack(matrix.transposed(), columns, inner.clone(), width, panel);
            };
            if rows * columns < SHARED {
                block.chunks_exact_mut(length).enumerate().for_each(fill);
            } else {
                block.par_chunks_exact_mut(length).enumerate().for_each(fill);
            }
        }
        Self { numbers, rows, columns, depth, width }
    }

    /// The panels of the rows from `start` on.
    fn block(&self, start: usize) -> (Range<usize>, &[T]) {
        let across = self.columns.div_ceil(self.width) * self.width;
        let rows = start..(start + self.depth).min(self.rows);
        (rows.clone(), &self.numbers.as_slice()[start * across..rows.end * across])
    }
}

/// Writes rows of a matrix as `[inner][width]`: `lines` are the rows and `inner` the columns.
/// Places beyond the rows stay as they are.
#[inline(always)]
fn pack<T: Real>(
    matrix: Matrix<'_, T>,
    lines: Range<usize>,
    inner: Range<usize>,
    width: usize,
    panel: &mut [T],
) {
    let mut place = 0;
    // The most at once for which the sizes of moves are known.
    while place < lines.len() {
        let first = lines.start + place;
        let panel = &mut panel[place..];
        place += match lines.len() - place {
            16.. => pack_lines::<T, 16>(matrix, first, inner.clone(), width, panel),
            12.. => pack_lines::<T, 12>(matrix, first, inner.clone(), width, panel),
            8.. => pack_lines::<T, 8>(matrix, first, inner.clone(), width, panel),
            6.. => pack_lines::<T, 6>(matrix, first, inner.clone(), width, panel),
            4.. => pack_lines::<T, 4>(matrix, first, inner.clone(), width, panel),
            _ => pack_lines::<T, 1>(matrix, first, inner.clone(), width, panel),
        };
    }
}

/// Packs rows as `[P rows][inner][P]`.
#[inline(always)]
fn pack_tiles<T: Real, const P: usize>(
    matrix: Matrix<'_, T>,
    lines: Range<usize>,
    inner: Range<usize>,
    tiles: &mut [T],
) {
    let Matrix { numbers, steps, .. } = matrix;
    let (count, depth) = (lines.len(), inner.len());
    if steps[0] == 1 && count.is_multiple_of(P) {
        // Neighbours are read together, and go to all tiles.
        for (k, i) in inner.enumerate() {
            let (from, _) = numbers[i * steps[1] + lines.start..][..count].as_chunks::<P>();
            for (to, from) in tiles[k * P..].chunks_mut(P * depth).zip(from) {
                if let Some(to) = to.first_chunk_mut::<P>() {
                    *to = *from;
                }
            }
        }
        return;
    }
    let starts = lines.clone().step_by(P);
    for (start, tile) in starts.zip(tiles.chunks_exact_mut(P * depth)) {
        pack(matrix, start..(start + P).min(lines.end), inner.clone(), P, tile);
    }
}

/// Packs `N` rows and returns how many they are.
#[inline(always)]
fn pack_lines<T: Real, const N: usize>(
    matrix: Matrix<'_, T>,
    first: usize,
    inner: Range<usize>,
    width: usize,
    panel: &mut [T],
) -> usize {
    let Matrix { numbers, steps, .. } = matrix;
    // The last place of a panel may be shorter than its width.
    let places = panel.chunks_mut(width).filter_map(|place| place.first_chunk_mut::<N>());
    if steps[0] == 1 {
        for (i, to) in inner.zip(places) {
            if let Some(from) = numbers[i * steps[1] + first..].first_chunk::<N>() {
                *to = *from;
            }
        }
    } else {
        let length = inner.len();
        let mut rows: [&[T]; N] = [&[]; N];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = &numbers[(first + i) * steps[0] + inner.start..][..length];
        }
        for (k, to) in (0..length).zip(places) {
            for i in 0..N {
                to[i] = rows[i][k];
            }
        }
    }
    N
}

/// `a · b`, added to what it starts from.
pub(crate) fn product<T: Real>(a: Matrix<'_, T>, b: &Panels<T>, start: Start<'_, T>) -> Vec<T> {
    let mut output = vec![T::ZERO; a.rows * b.columns];
    if output.is_empty() {
        return output;
    }
    // How rows are divided changes nothing in the sums.
    let share = a.rows.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(FEW);
    let height = share.min(ROWS);
    output.par_chunks_mut(height * b.columns).enumerate().for_each(|(i, output)| {
        let range = i * height..((i + 1) * height).min(a.rows);
        vectorised(Rows { a, range, b, start, output, step: b.columns });
    });
    output
}

/// The product of some rows of the left matrix.
#[derive(Debug)]
pub(crate) struct Rows<'a, T> {
    pub(crate) a: Matrix<'a, T>,
    pub(crate) range: Range<usize>,
    pub(crate) b: &'a Panels<T>,
    pub(crate) start: Start<'a, T>,
    /// Where the rows go.
    pub(crate) output: &'a mut [T],
    /// From one of them to the next.
    pub(crate) step: usize,
}

impl<T: Real> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.multiply::<S, 12>(simd);
        } else {
            self.multiply::<S, 6>(simd);
        }
    }
}

impl<T: Real> Rows<'_, T> {
    #[inline(always)]
    fn multiply<S: Simd, const P: usize>(self, simd: S) {
        let Self { a, range: rows, b, start, output, step } = self;
        let count = rows.len();
        if b.rows == 0 {
            for row in output.chunks_mut(step).take(count) {
                begin(start, 0, &mut row[..b.columns]);
            }
            return;
        }
        let mut packed = Aligned::zeros(ROWS.min(count.next_multiple_of(P)) * b.depth);
        for first in (0..b.rows).step_by(b.depth) {
            let (inner, panels) = b.block(first);
            let depth = inner.len();
            for base in (0..count).step_by(ROWS) {
                let own = base..(base + ROWS).min(count);
                let tiles = own.clone().step_by(P).map(|row| row..(row + P).min(own.end));
                let packed = packed.as_mut_slice();
                let lines = rows.start + own.start..rows.start + own.end;
                pack_tiles::<T, P>(a, lines, inner.clone(), packed);
                let packed = &*packed;
                for (i, panel) in panels.chunks_exact(depth * b.width).enumerate() {
                    let columns = i * b.width..((i + 1) * b.width).min(b.columns);
                    for (rows_of_tile, packed) in tiles.clone().zip(packed.chunks_exact(P * depth))
                    {
                        let tile = tile::<T, S, P>(simd, packed, panel);
                        for (row, sums) in rows_of_tile.zip(&tile) {
                            let to = &mut output[row * step..][columns.clone()];
                            let sums: &[T] = bytemuck::cast_slice(sums);
                            if first == 0 {
                                begin(start, columns.start, to);
                            }
                            to.iter_mut().zip(sums).for_each(|(to, &sum)| *to += sum);
                        }
                    }
                }
            }
        }
    }
}

/// Puts what a product starts from into a part of a row that begins at `column`.
#[inline(always)]
fn begin<T: Real>(start: Start<'_, T>, column: usize, to: &mut [T]) {
    match start {
        Start::Zero => to.fill(T::ZERO),
        Start::Row(row) => to.copy_from_slice(&row[column..][..to.len()]),
    }
}

/// The products of a panel `[inner][P]` and one `[inner][vectors]`.
#[inline(always)]
fn tile<T: Real, S: Simd, const P: usize>(
    simd: S,
    a: &[T],
    b: &[T],
) -> [[T::Vector<S>; VECTORS]; P] {
    let (a, _) = a.as_chunks::<P>();
    let (b, _) = bytemuck::cast_slice::<T, T::Vector<S>>(b).as_chunks::<VECTORS>();
    let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; P];
    for (a, b) in a.iter().zip(b) {
        for p in 0..P {
            let a = T::splat(simd, a[p]);
            for v in 0..VECTORS {
                sums[p][v] = T::fused(simd, a, b[v], sums[p][v]);
            }
        }
    }
    sums
}
