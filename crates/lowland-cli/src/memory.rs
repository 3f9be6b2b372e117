//! How many bytes the program holds.

use peak_alloc::PeakAlloc;

/// The system's allocator, with two counters.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The bytes that the program holds now.
pub fn held() -> usize {
    ALLOCATOR.current_usage()
}

/// The most bytes that the program holds at once while `work` runs, and what `work` gives.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage())
}
