//! The command `lowland`; see the library `lowland_cli`.

use std::process::ExitCode;

use peak_alloc::PeakAlloc;

/// The system's allocator, with the counters that `lowland bench` reads.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    lowland_cli::run(std::env::args_os())
}
