//! The memory that is free: of the machine, and of the control groups of the process.

use std::fs;
use std::path::Path;

/// The bytes that this process may still take: what the machine has free, and its control groups
/// leave. `None` where the system does not say.
pub fn free() -> Option<u64> {
    let machine = available_in(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(machine.min(left_by_groups(Path::new("/sys/fs/cgroup"), &groups)))
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// The least that the control groups leave, of either version: the process's own group and all
/// above it, as `/proc/self/cgroup` names them. In a container the names may be those of the host;
/// the root is then the process's own group.
fn left_by_groups(root: &Path, groups: &str) -> u64 {
    let mut least = u64::MAX;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (top, [limit, usage], cache) = match controllers {
            "" => (root.to_owned(), ["memory.max", "memory.current"], "file "),
            list if list.split(',').any(|name| name == "memory") => (
                root.join("memory"),
                ["memory.limit_in_bytes", "memory.usage_in_bytes"],
                "total_cache ",
            ),
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let read = |file: &str| fs::read_to_string(top.join(group).join(file)).ok();
            let number = |file| read(file)?.trim().parse::<u64>().ok();
            let (Some(limit), Some(usage)) = (number(limit), number(usage)) else { continue };
            // The cache of files is given back when it is needed.
            let stat = read("memory.stat").unwrap_or_default();
            let cache = stat.lines().find_map(|line| line.strip_prefix(cache));
            let cache = cache.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
            least = least.min(limit.saturating_sub(usage.saturating_sub(cache)));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_its_control_groups_say_what_is_free() {
        assert_eq!(available_in("MemTotal: 9 kB\nMemAvailable:      20 kB\n"), Some(20 << 10));
        assert_eq!(available_in("MemTotal: 9 kB\n"), None);
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let left = |groups: &str| left_by_groups(folder.path(), groups);
        assert_eq!(left(""), u64::MAX);
        // Version 2: the parent's limit is the lower one.
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "5\n");
        write("a/memory.max", "1000\n");
        write("a/memory.current", "600\n");
        write("a/memory.stat", "anon 300\nfile 250\n");
        assert_eq!(left("0::/a/b\n"), 650);
        // A container sees its own group at the root.
        assert_eq!(left("0::/of/the/host\n"), u64::MAX);
        write("memory.max", "100\n");
        write("memory.current", "40\n");
        assert_eq!(left("0::/of/the/host\n"), 60);
        // Version 1.
        write("memory/job/memory.limit_in_bytes", "50\n");
        write("memory/job/memory.usage_in_bytes", "20\n");
        assert_eq!(left("4:cpu:/job\n3:memory,hugetlb:/job\n"), 30);
    }
}
