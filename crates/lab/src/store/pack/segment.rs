//! One segment: a file of packed runs that grows at its end, by one process. A killed process leaves
//! an unfinished record at the end, which readers ignore.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::record::{Files, Lengths, PREFIX, Summary, body_of, inflate};
use crate::measures::MEASURES;
use crate::store::atomic;
use crate::store::error::StoreError;
use crate::store::read::open;
use crate::store::state::digest;

/// The end of a segment's name.
pub(super) const SUFFIX: &str = ".runs";

/// The end of the name of its index: the heads of its records, so that a listing reads one file from
/// its start to its end.
const HEADS: &str = ".heads";

/// The longest first line that is read.
const MOST_FIRST: u64 = 1 << 20;

/// The first line of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    /// The version of the format.
    format: u32,
    /// The ids of the measures of each record.
    pub(crate) measures: Vec<String>,
    /// The keys of the segment's spec, in TOML: records say what differs.
    pub(crate) keys: BTreeMap<String, String>,
}

const FORMAT: u32 = 1;

impl Base {
    /// The base of a segment that begins with a run of these keys.
    pub(super) fn new(keys: BTreeMap<String, String>) -> Base {
        let measures = MEASURES.iter().map(|measure| measure.id.to_owned()).collect();
        Base { format: FORMAT, measures, keys }
    }

    /// The first line: the object and its digest.
    fn line(&self) -> serde_json::Result<String> {
        let text = serde_json::to_string(self)?;
        let digest = digest(text.as_bytes());
        Ok(format!("{text}\t{digest}\n"))
    }

    fn read(line: &str) -> Result<Base, String> {
        let damaged = || "its first line is damaged".to_owned();
        let (text, digest_of) = line.trim_end().split_once('\t').ok_or_else(damaged)?;
        if digest(text.as_bytes()) != digest_of {
            return Err(damaged());
        }
        let base: Base = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match base.format {
            FORMAT => Ok(base),
            other => Err(format!("it is of format {other}, which a later version writes")),
        }
    }

    /// The keys that differ between the base and a spec of these keys.
    pub(super) fn changes(
        &self,
        keys: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Option<String>> {
        let changed = keys.iter().filter(|(key, value)| self.keys.get(*key) != Some(value));
        let gone = self.keys.keys().filter(|key| !keys.contains_key(*key));
        let changed = changed.map(|(key, value)| (key.clone(), Some(value.clone())));
        changed.chain(gone.map(|key| (key.clone(), None))).collect()
    }
}

/// A record's place, and its summary.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) summary: Summary,
    pub(crate) base: Arc<Base>,
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: Arc<Path>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Place {
    /// The files of the run.
    ///
    /// # Errors
    /// [`StoreError`] if the segment cannot be read or is damaged.
    pub(crate) fn files(&self) -> Result<Files, StoreError> {
        let (record, lengths) = self.record()?;
        body_of(&record, lengths)
            .and_then(inflate)
            .map_err(|what| StoreError::damaged(&self.segment, what))
    }

    /// The body of the record, still compressed.
    pub(super) fn body(&self) -> Result<Vec<u8>, StoreError> {
        let (record, lengths) = self.record()?;
        let body = body_of(&record, lengths);
        body.map(<[u8]>::to_vec).map_err(|what| StoreError::damaged(&self.segment, what))
    }

    fn record(&self) -> Result<(Vec<u8>, Lengths), StoreError> {
        let path = &*self.segment;
        let mut file = open(path)?;
        let mut record = vec![0; self.length as usize];
        file.seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.read_exact(&mut record))
            .map_err(StoreError::io("read", path))?;
        let prefix = record.first_chunk().copied().unwrap_or([0; PREFIX]);
        let lengths = Lengths::of(prefix).map_err(|what| StoreError::damaged(path, what))?;
        if lengths.whole() != self.length {
            return Err(StoreError::damaged(path, "a record is not what was written"));
        }
        Ok((record, lengths))
    }
}

/// How far a segment has been read.
#[derive(Debug, Clone)]
pub(super) struct Scanned {
    base: Arc<Base>,
    /// The end of the last whole record.
    pub(super) end: u64,
}

/// Reads the records of a segment from where `before` ended, or from the start; `None` for one whose
/// first line is not yet whole.
///
/// # Errors
/// [`StoreError`] if it cannot be read or is damaged.
pub(super) fn scan(
    path: &Arc<Path>,
    before: Option<&Scanned>,
    mut found: impl FnMut(Found),
) -> Result<Option<Scanned>, StoreError> {
    let io = |error| StoreError::io("read", path)(error);
    let damaged = |what: String| StoreError::damaged(path, what);
    let file = open(path)?;
    let length = file.metadata().map_err(io)?.len();
    let mut file = BufReader::with_capacity(1 << 12, file);
    let mut scanned = match before {
        Some(before) => before.clone(),
        None => {
            let mut line = String::new();
            let read = file.by_ref().take(MOST_FIRST).read_line(&mut line);
            read.map_err(|error| damaged(error.to_string()))?;
            if !line.ends_with('\n') {
                return match (line.len() as u64) < MOST_FIRST {
                    true => Ok(None),
                    false => Err(damaged("its first line has no end".to_owned())),
                };
            }
            let base = Arc::new(Base::read(&line).map_err(damaged)?);
            Scanned { base, end: line.len() as u64 }
        }
    };
    let of = |end: u64, lengths: Lengths, summary: Summary, base: &Arc<Base>| {
        let place = Place { segment: Arc::clone(path), offset: end, length: lengths.whole() };
        Found { place, summary, base: Arc::clone(base) }
    };
    if before.is_none() {
        // A missing or damaged index is no loss.
        for (lengths, summary) in read_heads(path, length, &scanned).unwrap_or_default() {
            found(of(scanned.end, lengths, summary, &scanned.base));
            scanned.end += lengths.whole();
        }
    }
    file.seek(SeekFrom::Start(scanned.end)).map_err(io)?;
    let mut head = Vec::new();
    while let Some(left) = length.checked_sub(scanned.end).filter(|left| *left >= PREFIX as u64) {
        let mut prefix = [0; PREFIX];
        file.read_exact(&mut prefix).map_err(io)?;
        let lengths = Lengths::of(prefix).map_err(damaged)?;
        if lengths.whole() > left {
            break; // unfinished
        }
        head.clear();
        head.extend(prefix);
        head.resize(lengths.head(), 0);
        file.read_exact(&mut head[PREFIX..]).map_err(io)?;
        let summary = Summary::read(&head, lengths).map_err(damaged)?;
        if summary.measures.len() != scanned.base.measures.len() {
            return Err(damaged("a record has another number of measures".to_owned()));
        }
        found(of(scanned.end, lengths, summary, &scanned.base));
        scanned.end += lengths.whole();
        file.seek_relative((lengths.whole() - lengths.head() as u64) as i64).map_err(io)?;
    }
    Ok(Some(scanned))
}

/// The heads in a segment's index; `None` where there is none that fits the segment.
fn read_heads(path: &Path, length: u64, scanned: &Scanned) -> Option<Vec<(Lengths, Summary)>> {
    let bytes = fs::read(path.with_extension(&HEADS[1..])).ok()?;
    let (content, seal) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(content)[..] != seal[..] {
        return None;
    }
    let (mut rest, mut end, mut heads) = (content, scanned.end, Vec::new());
    while !rest.is_empty() {
        let lengths = Lengths::of(*rest.first_chunk()?).ok()?;
        let (head, after) = rest.split_at_checked(lengths.head())?;
        let summary = Summary::of_verified(head, lengths).ok()?;
        end += lengths.whole();
        if end > length || summary.measures.len() != scanned.base.measures.len() {
            return None;
        }
        heads.push((lengths, summary));
        rest = after;
    }
    Some(heads)
}

/// Writes the index of a segment that has ended.
///
/// # Errors
/// [`StoreError`] if it cannot be written.
pub(super) fn write_heads(writer: &SegmentWriter) -> Result<(), StoreError> {
    let mut bytes = writer.heads.clone();
    bytes.extend(Sha256::digest(&writer.heads));
    atomic::write(&writer.path.with_extension(&HEADS[1..]), &bytes)
}

/// Whether no process writes the segment any more: it has an index, or its process is gone, or it
/// has long been idle.
pub(super) fn has_ended(path: &Path) -> bool {
    /// The age from which a segment of another machine counts as ended.
    const IDLE: Duration = Duration::from_secs(24 * 3600);
    if path.with_extension(&HEADS[1..]).is_file() {
        return true;
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let parts: Vec<&str> = stem.split('-').collect();
    if let [_, host, process, _] = parts[..]
        && *host == here()
        && Path::new("/proc/self").exists()
    {
        return !Path::new("/proc").join(process).exists();
    }
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > IDLE))
}

/// Whether an open file has no name any more.
#[cfg(unix)]
pub(super) fn is_removed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// An open file cannot be removed here.
#[cfg(not(unix))]
pub(super) fn is_removed(_file: &File) -> bool {
    false
}

/// The name of this machine, as far as it can be part of a file's name.
fn here() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    host.chars().filter(char::is_ascii_alphanumeric).take(20).collect()
}

/// Removes a segment and its index.
///
/// # Errors
/// [`StoreError`] if that fails.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    for path in [path.with_extension(&HEADS[1..]), path.to_owned()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A segment of this process, for appending.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    path: Arc<Path>,
    file: File,
    base: Arc<Base>,
    end: u64,
    heads: Vec<u8>,
}

impl SegmentWriter {
    /// A new segment in `folder` for runs like one with these keys.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub(super) fn create(folder: &Path, base: Base) -> Result<SegmentWriter, StoreError> {
        fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let (path, mut file) = new_file(folder)?;
        let line = base.line().map_err(|error| StoreError::unwritable(&path, error))?;
        file.write_all(line.as_bytes()).map_err(StoreError::io("write", &path))?;
        file.sync_all().map_err(StoreError::io("write", &path))?;
        atomic::sync_folder_of(&path)?;
        let end = line.len() as u64;
        Ok(SegmentWriter { path: path.into(), file, base: Arc::new(base), end, heads: Vec::new() })
    }

    pub(super) fn base(&self) -> &Arc<Base> {
        &self.base
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// The file, to sync it while others append.
    pub(super) fn handle(&self) -> Result<File, StoreError> {
        self.file.try_clone().map_err(StoreError::io("write", &self.path))
    }

    pub(super) fn scanned(&self) -> Scanned {
        Scanned { base: Arc::clone(&self.base), end: self.end }
    }

    /// Appends a record; it is on disk once the file is synced. On failure the segment ends where it
    /// did.
    pub(super) fn append(&mut self, summary: Summary, record: &[u8]) -> Result<Found, StoreError> {
        if let Err(error) = self.file.write_all(record) {
            // The next record must not follow half of this one.
            let _ = self.file.set_len(self.end);
            let _ = self.file.seek(SeekFrom::Start(self.end));
            return Err(StoreError::io("write", &self.path)(error));
        }
        if let Some(lengths) = record.first_chunk().and_then(|first| Lengths::of(*first).ok()) {
            self.heads.extend(record.get(..lengths.head()).unwrap_or_default());
        }
        let (segment, length) = (Arc::clone(&self.path), record.len() as u64);
        let place = Place { segment, offset: self.end, length };
        self.end += length;
        Ok(Found { place, summary, base: Arc::clone(&self.base) })
    }
}

/// A new file whose name no other process can choose: they sort by time.
fn new_file(folder: &Path) -> Result<(PathBuf, File), StoreError> {
    let host = here();
    let time = crate::store::utc_now().replace(['-', ':'], "");
    let process = std::process::id();
    for count in 0_u64.. {
        let path = folder.join(format!("{time}-{host}-{process}-{count}{SUFFIX}"));
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::io("write", &path)(error)),
        }
    }
    unreachable!("the numbers do not end")
}
