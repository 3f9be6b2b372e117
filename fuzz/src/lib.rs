//! What all targets share: a limit on memory by the length of the input.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory that any input may ask for: 8 MiB.
const ALLOWANCE: usize = 8 << 20;

/// Runs `read`, which may ask for `factor` bytes for each of `length`, beside a fixed allowance.
///
/// # Panics
/// Where it asked for more.
pub fn in_proportion<T>(length: usize, factor: usize, read: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let read = read();
    let asked = MEMORY.peak_usage().saturating_sub(before);
    assert!(asked <= ALLOWANCE + factor * length, "{asked} bytes of memory for {length} of input");
    read
}
