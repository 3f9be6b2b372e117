//! Settings of the C library's allocator for programs that train on the CPU.
//!
//! A training step allocates and frees the same large buffers again and again. By default glibc
//! gets each large one from the system and returns it when it is freed, so that the kernel fills
//! every page with zeros once a step. [`keep_freed_memory`] has glibc keep them: a step of a vision
//! transformer takes a fifth less time (`docs/src/speed.md`). The most memory that a process holds
//! stays about the same, but it holds it longer.
//!
//! This is a crate of its own because the function of C that does it, `mallopt`, can only be called
//! as `unsafe`, which the rest of the workspace forbids.

/// Has the allocator keep memory that is freed for what is allocated next. Call it first in `main`.
///
/// Returns whether the allocator took the settings. Without glibc there is nothing to set, and the
/// result is false. Whoever sets `MALLOC_MMAP_THRESHOLD_` in the environment has decided otherwise:
/// then nothing is set either.
#[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_MMAP_THRESHOLD_").is_none() {
        return glibc();
    }
    false
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "`mallopt` is a function of C")]
fn glibc() -> bool {
    use libc::{M_MMAP_THRESHOLD, M_TOP_PAD, M_TRIM_THRESHOLD};

    const MIB: i32 = 1 << 20;
    // SAFETY: `mallopt` takes two numbers by value and locks the allocator while it changes its
    // settings; it may be called at any time, and refuses values that it does not allow by
    // returning 0.
    let set = |setting, value| unsafe { libc::mallopt(setting, value) == 1 };
    // Old versions allow no more than 32 MiB for the first.
    let threshold = set(M_MMAP_THRESHOLD, 1024 * MIB) || set(M_MMAP_THRESHOLD, 32 * MIB);
    threshold & set(M_TRIM_THRESHOLD, i32::MAX) & set(M_TOP_PAD, 256 * MIB)
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    #[test]
    fn glibc_takes_the_settings() {
        assert!(super::glibc());
    }
}
