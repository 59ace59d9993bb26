//! How much memory the program has used at most.

/// The most bytes of memory that this process has held at once (its peak resident set); 0 on systems that do not say so
/// in `/proc`.
pub fn peak_host_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| high_water_mark(&status)).unwrap_or(0)
}

/// The line `VmHWM:   123456 kB` of a process's status.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(
            high_water_mark("Name:\ttiller\nVmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(high_water_mark("Name:\ttiller\n"), None);
        assert_eq!(high_water_mark("VmHWM:\tmany kB\n"), None);
    }
}
