//! A packed run: one record of a segment. It holds what a folder would hold, compressed, after a
//! header with everything that a listing shows.
//!
//! ```text
//! u32 length of the header · u32 length of the measures · u64 length of the body
//! header (JSON) · measures (f64 each) · SHA-256 of all before
//! body: the files, deflated · SHA-256 of the body
//! ```
//!
//! Numbers are little-endian. The two digests let a listing read headers alone.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::manifest::{Kept, Status};

/// The files of a run by their names in its folder, such as `metrics.parquet`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Bytes before the header: three lengths.
pub(super) const PREFIX: usize = 16;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// The longest header and body that are read: damaged lengths must not allocate more.
const MOST_HEADER: usize = 1 << 20;
const MOST_BODY: u64 = 1 << 32;
/// The most bytes of all files of a run: a small body can claim, and hold, billions of equal bytes.
/// Runs with more have folders.
const MOST_FILES: u64 = 1 << 28;

/// A measure that a run does not have: a quiet NaN that no arithmetic makes.
pub(super) const MISSING: u64 = 0x7ff8_dead_0000_0000;

/// The properties of a packed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// The experiment's name.
    pub(crate) experiment: String,
    /// The spec's hash, 16 hexadecimal digits.
    pub(crate) hash: String,
    /// The run's seed.
    pub(crate) seed: u64,
    /// How it ended.
    pub(crate) status: Status,
    /// The files that were kept.
    #[serde(default, skip_serializing_if = "Kept::is_all")]
    pub(crate) kept: Kept,
    /// Why it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// The last epoch and its step; none if no epoch was finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<(u64, u64)>,
    /// The keys of its spec that differ from the segment's, in TOML; `None` for a key that does not
    /// apply.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) changes: BTreeMap<String, Option<String>>,
}

/// The header of a record with its measures, in the order of the segment's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    pub(crate) header: Header,
    pub(crate) measures: Vec<Option<f64>>,
}

/// The lengths of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    header: usize,
    measures: usize,
    body: u64,
}

impl Lengths {
    /// Of the first bytes of a record.
    ///
    /// # Errors
    /// A message if no record can have such lengths.
    pub(super) fn of(prefix: [u8; PREFIX]) -> Result<Lengths, String> {
        let [a, b, c, d, e, f, g, h, rest @ ..] = prefix;
        let lengths = Lengths {
            header: u32::from_le_bytes([a, b, c, d]) as usize,
            measures: u32::from_le_bytes([e, f, g, h]) as usize,
            body: u64::from_le_bytes(rest),
        };
        let possible = (1..=MOST_HEADER).contains(&lengths.header)
            && lengths.measures <= MOST_HEADER
            && lengths.measures.is_multiple_of(size_of::<f64>())
            && (1..=MOST_BODY).contains(&lengths.body);
        possible.then_some(lengths).ok_or_else(|| "a record has impossible lengths".to_owned())
    }

    /// Bytes up to the body.
    pub(super) fn head(&self) -> usize {
        PREFIX + self.header + self.measures + DIGEST
    }

    /// Bytes of the whole record.
    pub(super) fn whole(&self) -> u64 {
        self.head() as u64 + self.body + DIGEST as u64
    }
}

impl Summary {
    /// The first bytes of the record, up to a body of so many bytes.
    fn head(&self, body: usize) -> Result<Vec<u8>, String> {
        let header = serde_json::to_vec(&self.header).map_err(|error| error.to_string())?;
        let measures = self.measures.iter();
        let measures: Vec<u8> =
            measures.flat_map(|value| value.map_or(MISSING, f64::to_bits).to_le_bytes()).collect();
        let length = |length: usize| {
            u32::try_from(length).map_err(|_| "the header of a record is too long".to_owned())
        };
        let mut bytes = Vec::with_capacity(PREFIX + header.len() + measures.len() + DIGEST);
        bytes.extend(length(header.len())?.to_le_bytes());
        bytes.extend(length(measures.len())?.to_le_bytes());
        bytes.extend((body as u64).to_le_bytes());
        bytes.extend(header);
        bytes.extend(measures);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        Ok(bytes)
    }

    /// The summary in the first bytes of a record.
    ///
    /// # Errors
    /// A message if they are damaged.
    pub(super) fn read(bytes: &[u8], lengths: Lengths) -> Result<Summary, String> {
        let damaged = || "the header of a record is not what was written".to_owned();
        let (content, digest) = bytes.split_last_chunk::<DIGEST>().ok_or_else(damaged)?;
        if bytes.len() != lengths.head() || Sha256::digest(content)[..] != digest[..] {
            return Err(damaged());
        }
        Summary::of_verified(bytes, lengths)
    }

    /// The same of bytes that a digest over many records has verified.
    ///
    /// # Errors
    /// A message if they are no summary.
    pub(super) fn of_verified(bytes: &[u8], lengths: Lengths) -> Result<Summary, String> {
        let end = PREFIX + lengths.header + lengths.measures;
        let (header, measures) = bytes[PREFIX..end].split_at(lengths.header);
        let header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
        let (measures, _) = measures.as_chunks::<{ size_of::<f64>() }>();
        let value = |bits: u64| (bits != MISSING).then(|| f64::from_bits(bits));
        let measures = measures.iter().map(|bytes| value(u64::from_le_bytes(*bytes))).collect();
        Ok(Summary { header, measures })
    }

    /// The whole record.
    ///
    /// # Errors
    /// A message if it cannot be written.
    pub(super) fn record(&self, files: &Files) -> Result<Vec<u8>, String> {
        let body = deflate(files).map_err(|error| error.to_string())?;
        self.record_of(&body)
    }

    /// The whole record, of a body that another record had.
    pub(super) fn record_of(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = self.head(body.len())?;
        bytes.extend_from_slice(body);
        bytes.extend(Sha256::digest(body));
        Ok(bytes)
    }
}

/// The body of a whole record, still compressed.
///
/// # Errors
/// A message if it is damaged.
pub(super) fn body_of(record: &[u8], lengths: Lengths) -> Result<&[u8], String> {
    let damaged = || "the files of a record are not what was written".to_owned();
    let (body, digest) = record
        .get(lengths.head()..)
        .and_then(|rest| rest.split_last_chunk::<DIGEST>())
        .ok_or_else(damaged)?;
    if Sha256::digest(body)[..] != digest[..] {
        return Err(damaged());
    }
    Ok(body)
}

/// The files in a body.
pub(super) fn inflate(body: &[u8]) -> Result<Files, String> {
    let mut bytes = Vec::new();
    let limit = MOST_FILES + 1;
    let read = DeflateDecoder::new(body).take(limit).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 == limit {
        return Err("the files of a record are too long".to_owned());
    }
    let damaged = || "the list of files of a record is damaged".to_owned();
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
    let list: Vec<(String, usize)> =
        serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
    let mut rest = &bytes[end + 1..];
    let mut files = Files::new();
    for (name, length) in list {
        let (file, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
        files.insert(name, file.to_vec());
        rest = after;
    }
    if rest.is_empty() { Ok(files) } else { Err(damaged()) }
}

/// The list of files as one line of JSON, then the files, deflated.
fn deflate(files: &Files) -> std::io::Result<Vec<u8>> {
    let list: Vec<(&String, usize)> = files.iter().map(|(name, file)| (name, file.len())).collect();
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(4));
    serde_json::to_writer(&mut encoder, &list)?;
    encoder.write_all(b"\n")?;
    for file in files.values() {
        encoder.write_all(file)?;
    }
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let header = Header {
            experiment: "a".to_owned(),
            hash: "0123456789abcdef".to_owned(),
            seed: 7,
            status: Status::Complete,
            kept: Kept::Metrics,
            message: None,
            last: Some((3, 12)),
            changes: BTreeMap::from([("model.layers".to_owned(), Some("2".to_owned()))]),
        };
        Summary { header, measures: vec![Some(0.1), None, Some(f64::NAN), Some(-0.0)] }
    }

    #[test]
    fn a_record_reads_back_and_every_damage_is_found() {
        let files = Files::from([
            ("metrics.parquet".to_owned(), vec![1, 2, 3]),
            ("spec.toml".to_owned(), b"name = \"a\"\n".to_vec()),
            ("empty".to_owned(), Vec::new()),
        ]);
        let summary = summary();
        let record = summary.record(&files).unwrap();
        let read = |record: &[u8]| -> Result<(Summary, Files), String> {
            let lengths = Lengths::of(*record.first_chunk().unwrap())?;
            if lengths.whole() != record.len() as u64 {
                return Err("cut".to_owned());
            }
            let summary = Summary::read(&record[..lengths.head()], lengths)?;
            Ok((summary, inflate(body_of(record, lengths)?)?))
        };
        let (own, own_files) = read(&record).unwrap();
        assert_eq!((&own.header, &own_files), (&summary.header, &files));
        let bits = |s: &Summary| s.measures.iter().map(|m| m.map(f64::to_bits)).collect::<Vec<_>>();
        assert_eq!(bits(&own), bits(&summary));
        for at in 0..record.len() {
            let mut bytes = record.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(read(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn hostile_bodies_are_refused() {
        let deflated = |text: &[u8]| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        for text in [
            &b""[..],
            b"[]",
            b"[[\"a\", 9999999999999]]\nabc",
            b"[[\"a\", 2]]\nabc",
            b"{}\n",
            b"[[\"a\"]]\n",
        ] {
            assert!(inflate(&deflated(text)).is_err(), "{text:?}");
        }
        assert!(inflate(b"not deflate").is_err());
        // A quarter of a megabyte that would be 300 MB.
        let bomb = inflate(&deflated(&vec![0; 300 << 20])).unwrap_err();
        assert_eq!(bomb, "the files of a record are too long");
    }
}
