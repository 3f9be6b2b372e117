//! How many bytes the program holds, where its allocator is `PeakAlloc`.

use peak_alloc::PeakAlloc;

/// Whether the program's allocator counts.
pub(crate) fn is_counted() -> bool {
    // Whatever ran before this has allocated something.
    PeakAlloc.peak_usage() > 0
}

/// The bytes that the program holds now.
pub(crate) fn held() -> usize {
    PeakAlloc.current_usage()
}

/// The most bytes that the program holds at once while `work` runs, and what `work` gives.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    PeakAlloc.reset_peak_usage();
    let result = work();
    (result, PeakAlloc.peak_usage())
}
