//! What a browser's processes have used, and what the rest of the machine did meanwhile: from Linux's `/proc`. Elsewhere
//! nothing is known, and nothing is claimed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// `/proc` counts in these, whatever the kernel's own ticks are (`man 5 proc`, `man 7 time`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The processes of one browser that is watched, also those that have ended since.
#[derive(Debug)]
pub struct Family {
    root: u32,
    members: BTreeMap<u32, Member>,
    alive: BTreeSet<u32>,
}

#[derive(Debug, Clone)]
struct Member {
    role: Role,
    /// The most that was resident at any one time.
    peak_bytes: u64,
    cpu_seconds: f64,
}

/// What Chromium has a process for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A page's scripts, workers and WebAssembly.
    Renderer,
    /// All pages' WebGPU: buffers, shaders, and with a software GPU their execution.
    Gpu,
    Other,
}

impl Family {
    pub fn of(root: u32) -> Self {
        Self { root, members: BTreeMap::new(), alive: BTreeSet::new() }
    }

    /// Looks again.
    pub fn look(&mut self) {
        self.alive = descendants(self.root, &parents());
        for &pid in &self.alive {
            let Some(seen) = member(pid) else { continue };
            let kept = self.members.entry(pid).or_insert_with(|| seen.clone());
            // A process has its role only once it has replaced the program of the one that it was forked from.
            kept.role = if seen.role == Role::Other { kept.role } else { seen.role };
            kept.peak_bytes = kept.peak_bytes.max(seen.peak_bytes);
            kept.cpu_seconds = kept.cpu_seconds.max(seen.cpu_seconds);
        }
    }

    /// The most of any one process in this role.
    pub fn peak_bytes(&self, role: Role) -> Option<u64> {
        self.largest(role).map(|(_, member)| member.peak_bytes)
    }

    /// Whether the process that had most memory in this role is gone.
    pub fn has_lost(&self, role: Role) -> bool {
        self.largest(role).is_some_and(|(pid, _)| !self.alive.contains(pid))
    }

    pub fn cpu_seconds(&self) -> f64 {
        self.members.values().map(|member| member.cpu_seconds).sum()
    }

    fn largest(&self, role: Role) -> Option<(&u32, &Member)> {
        self.members.iter().filter(|(_, member)| member.role == role).max_by_key(|(_, member)| member.peak_bytes)
    }
}

/// Seconds of all cores that were not idle since the machine started.
pub fn machine_cpu_seconds() -> Option<f64> {
    busy_seconds(&fs::read_to_string("/proc/stat").ok()?)
}

/// The processor's name.
pub fn processor() -> Option<String> {
    let about = fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, name) = about.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(name.trim().to_owned())
}

/// Of this process and of its children that have ended.
pub fn own_cpu_seconds() -> f64 {
    member(std::process::id()).map_or(0.0, |member| member.cpu_seconds)
}

/// `cpu user nice system idle iowait irq softirq steal ...`
fn busy_seconds(stat: &str) -> Option<f64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = line.split_whitespace().map_while(|number| number.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6].iter().map(|&at| ticks.get(at).copied()).sum::<Option<f64>>()?;
    Some(busy / TICKS_PER_SECOND)
}

fn parents() -> BTreeMap<u32, u32> {
    let Ok(folder) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(pid)?.parent))).collect()
}

/// `root` and all below it.
fn descendants(root: u32, parents: &BTreeMap<u32, u32>) -> BTreeSet<u32> {
    let mut family = BTreeSet::new();
    if parents.contains_key(&root) {
        family.insert(root);
    }
    // Process ids need not grow from parent to child, so one round is not enough.
    loop {
        let before = family.len();
        family.extend(
            parents.iter().filter(|(_, parent)| family.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if family.len() == before {
            return family;
        }
    }
}

fn member(pid: u32) -> Option<Member> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(Member {
        role: role(&String::from_utf8_lossy(&words)),
        peak_bytes: peak_bytes(&status).unwrap_or(0),
        cpu_seconds: Stat::read(pid)?.cpu_seconds,
    })
}

/// Chromium separates the words by spaces or by zeros, depending on who started the process.
fn role(command_line: &str) -> Role {
    match command_line.split(['\0', ' ']).find_map(|word| word.strip_prefix("--type=")) {
        Some("renderer") => Role::Renderer,
        Some("gpu-process") => Role::Gpu,
        _ => Role::Other,
    }
}

fn peak_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

struct Stat {
    parent: u32,
    cpu_seconds: f64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `pid (name) state parent ...`; the name may hold spaces and brackets.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // User and system time, of it and of its children that have ended: fields 14 to 17 of the whole line.
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<f64>().ok()).sum::<Option<f64>>()?;
        Some(Self { parent: fields.get(1)?.parse().ok()?, cpu_seconds: ticks / TICKS_PER_SECOND })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_a_bracket_does_not_move_the_fields() {
        let stat = Stat::parse("17 (a) b) S 4 1 1 0 -1 0 9 9 9 9 150 50 20 30 20 0 5").unwrap();
        assert_eq!((stat.parent, stat.cpu_seconds), (4, 2.5));
    }

    #[test]
    fn a_role_is_read_from_the_command_line() {
        assert_eq!(role("/usr/lib/chromium\0--type=renderer\0--lang=en"), Role::Renderer);
        assert_eq!(role("/usr/lib/chromium --type=gpu-process --x"), Role::Gpu);
        assert_eq!(role("/usr/lib/chromium\0--mistype=renderer"), Role::Other);
    }

    #[test]
    fn the_peak_is_the_high_water_mark() {
        assert_eq!(peak_bytes("VmPeak:\t 9 kB\nVmHWM:\t   12 kB\nVmRSS:\t 3 kB\n"), Some(12 << 10));
        assert_eq!(peak_bytes("Name:\tkthread\n"), None);
    }

    #[test]
    fn waiting_for_a_disk_and_stolen_time_are_not_work() {
        assert_eq!(busy_seconds("cpu  100 200 300 4000 5000 6 7 8000 0 0\ncpu0 1 1 1 1"), Some(6.13));
        assert_eq!(busy_seconds("cpu  1 2"), None);
    }

    #[test]
    fn a_family_is_found_whatever_the_order_of_its_numbers() {
        let parents = BTreeMap::from([(5, 1), (3, 5), (2, 3), (9, 1), (1, 0)]);
        assert_eq!(descendants(5, &parents), BTreeSet::from([2, 3, 5]));
        assert_eq!(descendants(8, &parents), BTreeSet::new());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_in_its_own_family_and_uses_memory() {
        let mut family = Family::of(std::process::id());
        family.look();
        assert!(family.peak_bytes(Role::Other).unwrap() > 1 << 20);
        assert!(!family.has_lost(Role::Other));
    }
}
