//! Room that starts at the edge of a cache line.

use super::Real;

const LINE: usize = 64;

/// Numbers from the start of a cache line on, so that no vector lies across two of them.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    numbers: Vec<T>,
    start: usize,
    length: usize,
}

impl<T: Real> Aligned<T> {
    /// Zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let spare = LINE / size_of::<T>();
        let numbers = vec![T::ZERO; length + spare];
        // The offset of a vector's own memory is never the "impossible" one; without alignment all
        // works, slower.
        let start = numbers.as_ptr().align_offset(LINE).min(spare);
        Self { numbers, start, length }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.numbers[self.start..][..self.length]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.numbers[self.start..][..self.length]
    }
}
