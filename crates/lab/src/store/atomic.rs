//! Atomic files and folders: each is written under a temporary name next to its own, synced, and
//! renamed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::error::StoreError;

/// Separates a name from the id of the process that writes it.
const MARK: &str = ".tmp-";

/// Writes `bytes` to `path`; readers see the old file or the new one. On failure the old one stays
/// and nothing is left behind.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = temporary_beside(path);
    let written = write_synced(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path).map_err(StoreError::io("write", path)));
    if written.is_err() {
        // Report the first error.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder_of(path)
}

/// Makes the file `path` with its content, if nothing is there: says whether it did. Of several
/// processes one succeeds.
pub(super) fn create_once(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let temporary = temporary_beside(path);
    let fill = File::create_new(&temporary).and_then(|mut file| file.write_all(bytes));
    let written = fill.map_err(StoreError::io("write", path)).and_then(|()| {
        match fs::hard_link(&temporary, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // The file system has no hard links: the content may come a moment after the name.
            Err(_) => match File::create_new(path).and_then(|mut file| file.write_all(bytes)) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(StoreError::io("write", path)(error)),
            },
        }
    });
    // Report the first error.
    let _ = fs::remove_file(&temporary);
    written
}

/// Makes the folder `path`; `fill` writes its files into a temporary folder. An existing folder is
/// replaced. On failure the old one stays and nothing is left behind.
pub fn write_folder(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let temporary = temporary_beside(path);
    let filled = fs::create_dir(&temporary)
        .map_err(StoreError::io("create", &temporary))
        .and_then(|()| fill(&temporary))
        .and_then(|()| sync_folder(&temporary))
        .and_then(|()| replace_folder(&temporary, path));
    if filled.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    filled?;
    sync_folder_of(path)
}

/// Writes and syncs a file under its own name, for use inside [`write_folder`].
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    File::create_new(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(StoreError::io("write", path))
}

/// Whether anything can be written into `folder`: makes a file and removes it.
pub fn try_writing(folder: &Path) -> Result<(), StoreError> {
    let trial = temporary_beside(&folder.join("trial"));
    let written = File::create_new(&trial).and_then(|mut file| file.write_all(b"retrodict"));
    // A full disk takes the file, not its content.
    let removed = fs::remove_file(&trial);
    written.and(removed).map_err(StoreError::io("write into", folder))
}

/// Whether a file or folder of this name is a temporary one of a killed process.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.contains(MARK)
}

/// Removes temporary files of killed processes from `folder`. The caller holds the lock of its run.
pub fn sweep(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(StoreError::io("read", folder))? {
        let entry = entry.map_err(StoreError::io("read", folder))?;
        if !entry.file_name().to_str().is_some_and(is_temporary) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .map_err(StoreError::io("remove", &path))?;
    }
    Ok(())
}

/// The time at which a file beside `path` is written now, by the clock of the file system: that of
/// a server may differ from this machine's.
pub(super) fn time_of_writing_beside(path: &Path) -> Result<SystemTime, StoreError> {
    let trial = temporary_beside(path);
    let time = File::create_new(&trial).and_then(|mut file| {
        file.write_all(b"now")?;
        file.metadata()?.modified()
    });
    // Report the first error.
    let _ = fs::remove_file(&trial);
    time.map_err(StoreError::io("write into", path))
}

/// Removes temporary files that killed processes left in `folder` more than an hour ago: younger
/// ones may belong to a process that still writes, on this machine or another. Does what it can.
pub fn sweep_old(folder: &Path) {
    const OLD: Duration = Duration::from_secs(3600);
    let Ok(entries) = fs::read_dir(folder) else { return };
    let left: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_temporary))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .collect();
    if left.is_empty() {
        return;
    }
    let Ok(now) = time_of_writing_beside(&folder.join("now")) else { return };
    for entry in left {
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| now.duration_since(written).ok());
        if age.is_some_and(|age| age > OLD) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn replace_folder(new: &Path, path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return fs::rename(new, path).map_err(StoreError::io("write", path));
    }
    // A folder cannot be renamed onto a non-empty one: move the old one away first.
    let old = temporary_beside(path);
    fs::rename(path, &old).map_err(StoreError::io("replace", path))?;
    if let Err(error) = fs::rename(new, path) {
        let _ = fs::rename(&old, path);
        return Err(StoreError::io("write", path)(error));
    }
    fs::remove_dir_all(&old).map_err(StoreError::io("remove", &old))
}

pub(super) fn temporary_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (process, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    path.with_file_name(format!(".{name}{MARK}{process}-{count}"))
}

/// Makes a new name in the folder of `path` survive a crash of the machine.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    // The parent of a bare name is the empty path.
    path.parent().map_or(Ok(()), |folder| {
        sync_folder(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    })
}

/// A rename is on disk once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(StoreError::io("sync", folder))
}

/// Folders cannot be opened as files here.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_temporary_files_are_swept_and_young_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, age: u64| {
            let file = File::create_new(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        file(".fig1.svg.tmp-77-0", 4000);
        file(".fig2.svg.tmp-77-1", 60);
        file("fig3.svg", 4000);
        sweep_old(folder.path());
        assert_eq!(names(folder.path()), [".fig2.svg.tmp-77-1", "fig3.svg"]);
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_write_that_fails_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        // A folder at the path: the rename fails after all bytes were written.
        let path = folder.path().join("a.json");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "old").unwrap();
        let error = write(&path, b"new").unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("a.json: "), "{error}");
        assert_eq!(names(folder.path()), ["a.json"]);
        assert_eq!(names(&path), ["inside"]);
        assert!(write(&folder.path().join("none/b.json"), b"new").is_err());
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step-1");
        let fill_with = |text: &'static str| {
            move |inside: &Path| write_synced(&inside.join("state.json"), text.as_bytes())
        };
        write_folder(&path, fill_with("one")).unwrap();
        write_folder(&path, |inside| {
            fill_with("half")(inside)?;
            Err(StoreError::damaged(inside, "the power went"))
        })
        .unwrap_err();
        assert_eq!(fs::read(path.join("state.json")).unwrap(), b"one");
        write_folder(&path, fill_with("two")).unwrap();
        assert_eq!(fs::read(path.join("state.json")).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["step-1"]);
    }

    #[test]
    fn a_sweep_takes_what_a_killed_process_left_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join(".step-12.tmp-77-0")).unwrap();
        fs::write(path.join(".step-12.tmp-77-0/half"), "x").unwrap();
        fs::write(path.join(".metrics.parquet.tmp-77-1"), "x").unwrap();
        fs::write(path.join(".gitignore"), "x").unwrap();
        fs::write(path.join("mine.tmp-1"), "x").unwrap();
        sweep(path).unwrap();
        assert_eq!(names(path), [".gitignore", "mine.tmp-1"]);
    }
}
