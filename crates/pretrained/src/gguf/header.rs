//! The header of a GGUF file: metadata, and where its tensors are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use serde_json::{Map, Number, Value};

use crate::PretrainedError;
use crate::numbers::Kind;
use crate::tensors::{Entry, Tensors};

/// Lists within lists, at most.
const DEPTH: usize = 4;
/// Dimensions of a tensor, at most.
const DIMENSIONS: u32 = 4;
/// The multiple at which tensors begin, where the file does not say.
const ALIGNMENT: u64 = 32;

/// A header.
pub(super) struct Header {
    /// Single values of the metadata.
    pub(super) fields: Map<String, Value>,
    /// Its lists of texts.
    pub(super) texts: HashMap<String, Vec<String>>,
    /// Its lists of 32-bit numbers.
    pub(super) numbers: HashMap<String, Vec<i32>>,
    pub(super) tensors: Tensors,
}

/// Reads what is left of a file. Lengths are checked against it before memory is taken.
struct Reader<'p> {
    path: &'p Path,
    file: BufReader<File>,
    size: u64,
    at: u64,
}

/// A value of the metadata.
enum Found {
    One(Value),
    Texts(Vec<String>),
    Numbers(Vec<i32>),
    /// A list that nobody needs.
    Other,
}

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// If it is no GGUF file, or damaged.
    pub(super) fn read(path: &Path) -> Result<Self, PretrainedError> {
        let file = File::open(path).map_err(|error| PretrainedError::unreadable(path, error))?;
        let size = file.metadata().map_err(|error| PretrainedError::unreadable(path, error))?.len();
        let mut reader = Reader { path, file: BufReader::new(file), size, at: 0 };
        if size < 24 || reader.bytes::<4>()? != *b"GGUF" {
            return Err(reader.damaged("it is no GGUF file"));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            let problem = format!("it is of version {version} of GGUF; versions 2 and 3 are read");
            return Err(reader.damaged(&problem));
        }
        let (tensors, pairs) = (reader.u64()?, reader.u64()?);
        let mut header = Self {
            fields: Map::new(),
            texts: HashMap::new(),
            numbers: HashMap::new(),
            tensors: Tensors::default(),
        };
        // Each pair and each tensor has bytes of its own, so that the file's end ends the loops.
        for _ in 0..pairs {
            let key = reader.text()?;
            let kind = reader.u32()?;
            match reader.value(kind, 0)? {
                Found::One(value) => drop(header.fields.insert(key, value)),
                Found::Texts(texts) => drop(header.texts.insert(key, texts)),
                Found::Numbers(numbers) => drop(header.numbers.insert(key, numbers)),
                Found::Other => {}
            }
        }
        let mut found: Vec<(String, Entry)> = Vec::new();
        for _ in 0..tensors {
            found.push(reader.tensor()?);
        }
        let alignment = header.fields.get("general.alignment").and_then(Value::as_u64);
        let alignment = alignment.unwrap_or(ALIGNMENT);
        let data = reader.at.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        found.sort_by_key(|(_, entry)| entry.start);
        let mut last = 0;
        for (name, mut entry) in found {
            if entry.start < last {
                return Err(reader.damaged(&format!("the tensor {name} overlaps another")));
            }
            let end = entry.start.checked_add(entry.bytes);
            let within = end.and_then(|end| data.checked_add(end)).filter(|end| *end <= size);
            let (Some(end), Some(_)) = (end, within) else {
                let problem = format!("the tensor {name} lies beyond its end; it may be cut off");
                return Err(reader.damaged(&problem));
            };
            last = end;
            entry.start += data;
            header.tensors.entries.insert(name, entry);
        }
        header.tensors.files.push((path.to_owned(), reader.file.into_inner()));
        Ok(header)
    }
}

impl Reader<'_> {
    fn damaged(&self, problem: &str) -> PretrainedError {
        PretrainedError::file(self.path, problem)
    }

    /// Checks that so many bytes are left.
    fn expect(&self, bytes: u64) -> Result<(), PretrainedError> {
        if bytes <= self.size - self.at {
            return Ok(());
        }
        let (at, size) = (self.at, self.size);
        Err(self.damaged(&format!(
            "at byte {at} of {size} its header says that {bytes} bytes follow; it is damaged or cut \
             off"
        )))
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), PretrainedError> {
        self.expect(out.len() as u64)?;
        let unreadable = |error| PretrainedError::unreadable(self.path, error);
        self.file.read_exact(out).map_err(unreadable)?;
        self.at += out.len() as u64;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PretrainedError> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, PretrainedError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, PretrainedError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn text(&mut self) -> Result<String, PretrainedError> {
        let length = self.u64()?;
        self.expect(length)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        // Tokens of some vocabularies are not text; they are found by number alone.
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// A value of a kind, `depth` lists deep.
    fn value(&mut self, kind: u32, depth: usize) -> Result<Found, PretrainedError> {
        let value = match kind {
            0 => u8::from_le_bytes(self.bytes()?).into(),
            1 => i8::from_le_bytes(self.bytes()?).into(),
            2 => u16::from_le_bytes(self.bytes()?).into(),
            3 => i16::from_le_bytes(self.bytes()?).into(),
            4 => u32::from_le_bytes(self.bytes()?).into(),
            5 => i32::from_le_bytes(self.bytes()?).into(),
            6 => {
                // The decimal that was meant, such as 1e-5.
                let value = f32::from_le_bytes(self.bytes()?);
                let value = value.to_string().parse().unwrap_or(f64::from(value));
                Number::from_f64(value).map_or(Value::Null, Value::Number)
            }
            7 => (self.bytes::<1>()? != [0]).into(),
            8 => self.text()?.into(),
            9 => return self.list(depth),
            10 => u64::from_le_bytes(self.bytes()?).into(),
            11 => i64::from_le_bytes(self.bytes()?).into(),
            12 => {
                let value = f64::from_le_bytes(self.bytes()?);
                Number::from_f64(value).map_or(Value::Null, Value::Number)
            }
            _ => return Err(self.damaged(&format!("its metadata has a value of kind {kind}"))),
        };
        Ok(Found::One(value))
    }

    fn list(&mut self, depth: usize) -> Result<Found, PretrainedError> {
        if depth == DEPTH {
            return Err(self.damaged("its metadata has lists within lists without end"));
        }
        let (kind, count) = (self.u32()?, self.u64()?);
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            _ => 8,
        };
        self.expect(count.saturating_mul(least))?;
        match kind {
            8 => Ok(Found::Texts((0..count).map(|_| self.text()).collect::<Result<_, _>>()?)),
            4 | 5 => {
                let number = |_| Ok(i32::from_le_bytes(self.bytes()?));
                Ok(Found::Numbers((0..count).map(number).collect::<Result<_, PretrainedError>>()?))
            }
            _ => {
                for _ in 0..count {
                    self.value(kind, depth + 1)?;
                }
                Ok(Found::Other)
            }
        }
    }

    /// A tensor, its start counted from that of the data.
    fn tensor(&mut self) -> Result<(String, Entry), PretrainedError> {
        let name = self.text()?;
        let count = self.u32()?;
        if count > DIMENSIONS {
            return Err(self.damaged(&format!("the tensor {name} has {count} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..count {
            // More bytes than any file has, refused below.
            shape.push(usize::try_from(self.u64()?).unwrap_or(usize::MAX));
        }
        let (kind, start) = (self.u32()?, self.u64()?);
        let kind = match kind {
            0 => Kind::F32,
            1 => Kind::F16,
            2 => Kind::Q4_0,
            3 => Kind::Q4_1,
            8 => Kind::Q8_0,
            30 => Kind::Bf16,
            _ => {
                return Err(self.damaged(&format!(
                    "the tensor {name} is of kind {kind}; F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are \
                     read"
                )));
            }
        };
        let numbers = shape.iter().try_fold(1_u64, |all, size| all.checked_mul(*size as u64));
        // Blocks lie along the innermost dimension, which comes first here.
        let whole = shape.first().is_none_or(|inner| kind.bytes(*inner as u64).is_some());
        let bytes = numbers.and_then(|numbers| kind.bytes(numbers)).filter(|_| whole);
        let bytes = bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
            self.damaged(&format!("the tensor {name} cannot have the shape {shape:?}"))
        })?;
        shape.reverse();
        Ok((name, Entry { file: 0, kind, shape, start, bytes }))
    }
}
