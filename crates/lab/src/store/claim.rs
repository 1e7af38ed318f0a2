//! The right to write a run, for one writer at a time: a lock where the file system has locks, and
//! beside it a claim, which also holds on file systems without locks and between machines.
//!
//! A claim is a file `.claim-<n>` that can only be created once; it names its owner, and a thread
//! of this process rewrites it every few seconds. The highest number holds. A claim whose owner is
//! gone is superseded by the next number, never removed by others: an owner that comes back to life
//! finds the higher number before its next write, and ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, Once, OnceLock};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::atomic;
use super::error::StoreError;
use super::read::read_if_there;

const LOCK: &str = ".lock";
const CLAIM: &str = ".claim-";

/// The time between two signs of life.
const BEAT: Duration = Duration::from_secs(15);
/// The age of the last sign of life from which an owner on another machine counts as gone.
const STALE: Duration = Duration::from_secs(120);

/// The process that wrote a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    host: String,
    /// The start of the machine, and the namespace of process ids: within one of these, an id says
    /// whether a process lives.
    system: String,
    process: u32,
    /// Tells the process from later ones of the same id.
    started: String,
}

impl Owner {
    fn here() -> Owner {
        static HERE: OnceLock<Owner> = OnceLock::new();
        HERE.get_or_init(Owner::read).clone()
    }

    fn read() -> Owner {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Owner {
            host: text("/proc/sys/kernel/hostname"),
            system: format!("{} {}", text("/proc/sys/kernel/random/boot_id"), namespace.display()),
            process: process::id(),
            started: start_of(process::id()).unwrap_or_default(),
        }
    }

    /// Whether its process lives; `None` where this process cannot know.
    fn lives(&self, here: &Owner) -> Option<bool> {
        let known = !self.started.is_empty() && self.system == here.system;
        known.then(|| start_of(self.process).as_ref() == Some(&self.started))
    }
}

/// When the process began, in ticks since the machine's start; Linux only.
fn start_of(process: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold spaces. The start is the 22nd field.
    text.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// The right to write a run's folder. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub(super) struct Claim {
    folder: PathBuf,
    number: u64,
    _lock: File,
}

impl Claim {
    /// Claims `folder`, which exists.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process, or another part of this one, writes there.
    pub(super) fn take(folder: &Path) -> Result<Claim, StoreError> {
        let busy = |by: String| StoreError::Busy { path: folder.to_owned(), by };
        let (lock, locked) = lock(folder)?;
        if locked == Some(false) {
            return Err(busy("another process".to_owned()));
        }
        let here = Owner::here();
        let newest = numbers(folder)?.last().copied();
        if let Some(newest) = newest {
            let path = path_of(folder, newest);
            let bytes = read_if_there(&path)?;
            let owner: Option<Owner> =
                bytes.as_ref().and_then(|bytes| serde_json::from_slice(bytes).ok());
            let lives = match owner.as_ref().and_then(|owner| owner.lives(&here)) {
                // Its process may live on without the run: this one has the lock.
                Some(lives) => lives && locked.is_none(),
                None => bytes.is_some() && age(&path)? < STALE,
            };
            if lives {
                let name = |o: Owner| format!("process {} on {}", o.process, o.host);
                return Err(busy(owner.map_or_else(|| "another machine".to_owned(), name)));
            }
        }
        let number = newest.map_or(1, |newest| newest + 1);
        let path = path_of(folder, number);
        let text = serde_json::to_vec(&here).map_err(|e| StoreError::unwritable(&path, e))?;
        if !atomic::create_once(&path, &text)? {
            return Err(busy("another process, which began at the same time".to_owned()));
        }
        let claim = Claim { folder: folder.to_owned(), number, _lock: lock };
        claim.check()?;
        for older in numbers(folder)?.into_iter().filter(|&older| older < number) {
            // Another may be removing it too.
            let _ = fs::remove_file(path_of(folder, older));
        }
        beat(path);
        Ok(claim)
    }

    /// Fails if another process has taken over.
    ///
    /// # Errors
    /// [`StoreError::Busy`].
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match numbers(&self.folder)?.last() {
            Some(&newest) if newest == self.number => Ok(()),
            _ => {
                let by = "another process, which took it over from this one".to_owned();
                Err(StoreError::Busy { path: self.folder.clone(), by })
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let path = path_of(&self.folder, self.number);
        if let Ok(mut claims) = CLAIMS.lock() {
            claims.retain(|claim| *claim != path);
            // Under the lock of the thread that rewrites claims. A folder that cannot be written
            // keeps the claim, which is stale with the end of the process.
            let _ = fs::remove_file(&path);
        }
    }
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{CLAIM}{number}"))
}

/// The numbers of claims in `folder`, rising.
fn numbers(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(StoreError::io("read", folder))? {
        let name = entry.map_err(StoreError::io("read", folder))?.file_name();
        numbers
            .extend(name.to_str().and_then(|name| name.strip_prefix(CLAIM)?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Seconds since a file was written, by the clock of its file system.
fn age(path: &Path) -> Result<Duration, StoreError> {
    let now = atomic::time_of_writing_beside(path)?;
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    match written {
        Ok(written) => Ok(now.duration_since(written).unwrap_or_default()),
        // Its owner has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Duration::MAX),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// The claims of this process.
static CLAIMS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Rewrites a claim every few seconds, as long as it is held.
fn beat(path: PathBuf) {
    static STARTED: Once = Once::new();
    if let Ok(mut claims) = CLAIMS.lock() {
        claims.push(path);
    }
    STARTED.call_once(|| {
        let work = || {
            loop {
                thread::sleep(BEAT);
                let Ok(claims) = CLAIMS.lock() else { return };
                for claim in claims.iter() {
                    // One that cannot be rewritten goes stale; its owner finds out at its next
                    // write.
                    let _ = rewrite(claim);
                }
            }
        };
        // Without the thread the claim still excludes processes of this machine.
        let _ = thread::Builder::new().name("claims".to_owned()).spawn(work);
    });
}

/// Writes a claim again, without making it anew where it is gone.
fn rewrite(claim: &Path) -> io::Result<()> {
    let text = fs::read(claim)?;
    OpenOptions::new().write(true).open(claim)?.write_all(&text)
}

/// Locks a run's folder as long as the file is open: whether that worked, `None` where the file
/// system has no locks.
fn lock(folder: &Path) -> Result<(File, Option<bool>), StoreError> {
    let path = folder.join(LOCK);
    // To open a FIFO would wait for ever.
    read_if_there(&path)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok((file, Some(true))),
        Err(TryLockError::WouldBlock) => Ok((file, Some(false))),
        Err(TryLockError::Error(error)) if without_locks(&error) => Ok((file, None)),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
    }
}

/// Whether the error says that the file system has no locks.
fn without_locks(error: &io::Error) -> bool {
    /// No locks available: NFS without a lock daemon.
    const ENOLCK: i32 = 37;
    const EOPNOTSUPP: i32 = 95;
    let code = error.raw_os_error();
    let linux = cfg!(target_os = "linux") && [Some(ENOLCK), Some(EOPNOTSUPP)].contains(&code);
    // ENOLCK is 77 on macOS and the BSDs.
    let bsd = cfg!(all(unix, not(target_os = "linux"))) && code == Some(77);
    linux || bsd || error.kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn someone(process: u32, started: &str) -> Owner {
        Owner { process, started: started.to_owned(), ..Owner::here() }
    }

    fn put(folder: &Path, number: u64, owner: &Owner) {
        fs::write(path_of(folder, number), serde_json::to_vec(owner).unwrap()).unwrap();
    }

    #[test]
    fn one_writer_at_a_time_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::take(folder.path()).unwrap();
        assert!(matches!(Claim::take(folder.path()), Err(StoreError::Busy { .. })));
        first.check().unwrap();
        drop(first);
        assert_eq!(numbers(folder.path()).unwrap(), [0u64; 0]);
        Claim::take(folder.path()).unwrap();
    }

    #[test]
    fn the_claim_of_a_dead_process_is_superseded() {
        let folder = tempfile::tempdir().unwrap();
        // This process lives, but did not begin then.
        put(folder.path(), 4, &someone(process::id(), "1"));
        let claim = Claim::take(folder.path()).unwrap();
        assert_eq!((claim.number, numbers(folder.path()).unwrap()), (5, vec![5]));
    }

    #[test]
    fn the_claim_of_another_machine_holds_until_it_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let far =
            Owner { system: "far away".to_owned(), host: "far".to_owned(), ..someone(7, "1") };
        put(folder.path(), 1, &far);
        let error = Claim::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is being written by process 7 on far;"), "{error}");
        let file = File::options().write(true).open(path_of(folder.path(), 1)).unwrap();
        file.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
        let claim = Claim::take(folder.path()).unwrap();
        // The other one comes back to life, and would write.
        let back = Claim { folder: folder.path().to_owned(), number: 1, _lock: file };
        assert!(matches!(back.check(), Err(StoreError::Busy { .. })));
        claim.check().unwrap();
    }

    #[test]
    fn a_claim_is_rewritten_only_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), 1, &Owner::here());
        let path = path_of(folder.path(), 1);
        let before = fs::read(&path).unwrap();
        rewrite(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(&path).unwrap();
        assert!(rewrite(&path).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn this_process_lives() {
        let here = Owner::here();
        if !here.started.is_empty() {
            assert_eq!(here.lives(&here), Some(true));
            assert_eq!(someone(u32::MAX, "1").lives(&here), Some(false));
        }
    }
}
