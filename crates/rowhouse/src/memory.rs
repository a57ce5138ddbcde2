//! Memory of the process.

/// Returns what a start has freed to the system: the assembly of routes and documents takes some 7 MB for a moment, which
/// glibc would keep for as long as the process runs. To be called once, since it locks the allocator.
pub(crate) fn return_freed() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the one call of libc without a safe wrapper")]
    // SAFETY: takes no pointer, and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
