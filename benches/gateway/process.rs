//! What the kernel knows about a process: CPU time and memory, read from `/proc`.

use std::fs;
use std::time::Duration;

/// CPU time the processes have used so far, user and system, all threads. The kernel reports it in 1/100 s.
pub(crate) fn cpu(pids: &[u32]) -> Duration {
    let ticks: u64 = pids.iter().map(|pid| ticks(*pid).unwrap_or(0)).sum();
    Duration::from_millis(ticks * 10)
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name in brackets may hold spaces; utime and stime are the 12th and 13th word behind it (proc(5))
    let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(words.next()?.parse::<u64>().ok()? + words.next()?.parse::<u64>().ok()?)
}

/// Resident memory of the processes together, in KiB. Pages that they share count once for each.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status(*pid, "VmRSS:").unwrap_or(0)).sum()
}

/// The most that was resident since the start or the last [`forget_peak`], in KiB.
pub(crate) fn peak(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status(*pid, "VmHWM:").unwrap_or(0)).sum()
}

/// Lets [`peak`] start anew; where the kernel refuses, the peak stays that of the whole life.
pub(crate) fn forget_peak(pids: &[u32]) {
    for pid in pids {
        drop(fs::write(format!("/proc/{pid}/clear_refs"), "5"));
    }
}

fn status(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// A process and its children: nginx's master and workers.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent: u32 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
        (parent == pid).then_some(child)
    });
    std::iter::once(pid).chain(children).collect()
}
