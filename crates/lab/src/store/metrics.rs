//! `metrics.parquet`: one row per epoch, readable by pandas, polars and DuckDB.

use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use sha2::{Digest as _, Sha256};

use super::{atomic, error::StoreError, read::read, stamp::Stamp};
use crate::measures::{EPOCH_MEASURES, Measure, Value, When};

/// The measures of an epoch: a value for each entry of [`MEASURES`](crate::measures::MEASURES)
/// that is measured after every epoch. NLL is in nats, capped at 115.13.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricsRow {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Steps taken when it ended.
    pub step: u64,
    /// In the order of [`Measure::of_epochs`].
    pub(crate) values: [Option<f64>; EPOCH_MEASURES],
}

impl MetricsRow {
    /// A row without any measure.
    pub fn empty(epoch: u64, step: u64) -> MetricsRow {
        MetricsRow { epoch, step, values: [None; EPOCH_MEASURES] }
    }

    /// The same row with the measure `id` set.
    ///
    /// # Panics
    /// If no measure of an epoch has that id.
    #[must_use]
    pub fn with(mut self, id: &str, value: impl Into<Option<f64>>) -> MetricsRow {
        self.values[place(id)] = value.into();
        self
    }

    /// Sets the measure `id` where it is missing.
    pub(crate) fn fill(&mut self, id: &str, value: Option<f64>) {
        let slot = &mut self.values[place(id)];
        *slot = slot.or(value);
    }

    /// Removes the measures that an epoch between two probes lacks, in a run whose entities have
    /// `tokens` tokens.
    pub(crate) fn without_probes(&mut self, tokens: usize) {
        for (slot, measure) in self.values.iter_mut().zip(Measure::of_epochs()) {
            if matches!(measure.value, Value::Epoch { when, .. } if when.skips(tokens)) {
                *slot = None;
            }
        }
    }

    /// The measure `id`; `None` where it does not apply.
    ///
    /// # Panics
    /// If no measure of an epoch has that id.
    pub fn get(&self, id: &str) -> Option<f64> {
        self.values[place(id)]
    }

    /// `train_nll`, which every epoch has, in nats.
    pub fn train_nll(&self) -> f64 {
        self.get("train_nll").unwrap_or(f64::NAN)
    }

    /// `held_out_nll`, in nats; `None` without held-out sentences.
    pub fn held_out_nll(&self) -> Option<f64> {
        self.get("held_out_nll")
    }
}

/// The index of a measure among those of an epoch.
fn place(id: &str) -> usize {
    let found = Measure::of_epochs().position(|measure| measure.id == id);
    found.unwrap_or_else(|| panic!("no measure of an epoch is called `{id}`"))
}

/// The columns of measures: name, whether every row has a value.
fn columns() -> impl Iterator<Item = (&'static str, bool)> {
    Measure::of_epochs().map(|m| (m.id, matches!(m.value, Value::Epoch { when: When::Always, .. })))
}

fn schema() -> String {
    let mut text = "message metrics { required int64 epoch; required int64 step;".to_owned();
    for (name, required) in columns() {
        let repetition = if required { "required" } else { "optional" };
        let _ = write!(text, " {repetition} double {name};");
    }
    text + " }"
}

/// The offset of the seal: a SHA-256 of all later bytes, between the magic bytes and the first
/// column, which every reader of the format skips. Without it most damage to a number would go
/// unnoticed, and the decoder's own checks miss some other damage.
const SEAL: Range<usize> = 4..36;

/// The key of the [`Stamp`] in the file's metadata.
const STAMP: &str = "retrodict";

/// Rows decoded at a time, which bounds memory whatever number of rows a damaged file claims.
const ROWS_AT_ONCE: usize = 4096;

/// The content of a metrics file.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Its stamp; `None` in files of early versions.
    pub stamp: Option<Stamp>,
    /// Its rows.
    pub rows: Vec<MetricsRow>,
}

/// Writes `rows` to `path` atomically.
pub fn write_metrics(path: &Path, stamp: &Stamp, rows: &[MetricsRow]) -> Result<(), StoreError> {
    atomic::write(path, &metrics_bytes(path, stamp, rows)?)
}

/// The bytes of such a file; `path` is their destination.
pub(super) fn metrics_bytes(
    path: &Path,
    stamp: &Stamp,
    rows: &[MetricsRow],
) -> Result<Vec<u8>, StoreError> {
    encode(stamp, rows).map_err(|error| StoreError::unwritable(path, error))
}

/// The content of a file that [`write_metrics`] wrote, of at most `most` rows. Unknown columns are
/// ignored; any damage is an error that names the file.
pub fn read_metrics(path: &Path, most: u64) -> Result<Metrics, StoreError> {
    metrics_in(path, read(path)?, most)
}

/// The content of `bytes`, which were read from `path`.
pub(super) fn metrics_in(path: &Path, bytes: Vec<u8>, most: u64) -> Result<Metrics, StoreError> {
    decode(bytes, most).map_err(|what| StoreError::damaged(path, what))
}

fn decode(bytes: Vec<u8>, most: u64) -> Result<Metrics, String> {
    let sealed = bytes.get(SEAL.end..).map(Sha256::digest);
    if !bytes.starts_with(b"PAR1") || sealed.is_none_or(|seal| seal[..] != bytes[SEAL]) {
        return Err("its content is not what was written".to_owned());
    }
    // A seal can be forged, and the crate's decoders panic on some bytes.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes, most)))
        .map_err(|_| "its pages cannot be decoded".to_owned())?
        .map_err(|error| error.to_string())
}

fn encode(stamp: &Stamp, rows: &[MetricsRow]) -> ParquetResult<Vec<u8>> {
    let stamp = serde_json::to_string(stamp).map_err(|e| general(e.to_string()))?;
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![KeyValue::new(STAMP.to_owned(), stamp)]))
        .set_created_by(concat!("retrodict ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let schema = Arc::new(parse_message_type(&schema())?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    file.write_all(&[0; SEAL.end - SEAL.start])?;
    let mut group = file.next_row_group()?;
    put_integers(&mut group, rows, |row| row.epoch)?;
    put_integers(&mut group, rows, |row| row.step)?;
    for at in 0..EPOCH_MEASURES {
        put_numbers(&mut group, rows, |row| row.values[at])?;
    }
    group.close()?;
    let mut bytes = file.into_inner()?;
    let seal = Sha256::digest(&bytes[SEAL.end..]);
    bytes[SEAL].copy_from_slice(&seal);
    Ok(bytes)
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn put_integers(
    group: &mut Group<'_>,
    rows: &[MetricsRow],
    value: fn(&MetricsRow) -> u64,
) -> ParquetResult<()> {
    let values = rows
        .iter()
        .map(|row| i64::try_from(value(row)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ParquetError::General(error.to_string()))?;
    put::<Int64Type>(group, &values, None)
}

fn put_numbers(
    group: &mut Group<'_>,
    rows: &[MetricsRow],
    value: impl Fn(&MetricsRow) -> Option<f64>,
) -> ParquetResult<()> {
    let present: Vec<_> = rows.iter().filter_map(&value).collect();
    // Read only where the schema says optional.
    let levels: Vec<_> = rows.iter().map(|row| i16::from(value(row).is_some())).collect();
    put::<DoubleType>(group, &present, Some(&levels))
}

fn put<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> ParquetResult<()> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".into()));
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

fn decode_unguarded(bytes: Vec<u8>, most: u64) -> ParquetResult<Metrics> {
    let file = SerializedFileReader::new(Bytes::from(bytes))?;
    // A small file can claim, and hold, billions of equal rows.
    let counts = file.metadata().row_groups().iter().map(|group| group.num_rows());
    let claimed = counts.fold(0u64, |sum, n| sum.saturating_add(u64::try_from(n).unwrap_or(most)));
    if claimed > most {
        return Err(general(format!("it has {claimed} rows, and its spec {most} epochs")));
    }
    let metadata = file.metadata().file_metadata().key_value_metadata();
    let mut stamps = metadata.into_iter().flatten().filter(|pair| pair.key == STAMP);
    let stamp = stamps.next().and_then(|pair| pair.value.as_deref()).map(serde_json::from_str);
    let stamp = stamp.transpose().map_err(|error| general(format!("its stamp: {error}")))?;
    let mut rows = Vec::new();
    for index in 0..file.num_row_groups() {
        let group = Columns(file.get_row_group(index)?);
        let (epochs, steps) = (group.integers("epoch")?, group.integers("step")?);
        let count = epochs.len();
        let rectangular = |name: &str, length: usize| match length == count {
            true => Ok(()),
            false => {
                Err(general(format!("column `epoch` has {count} rows and `{name}` has {length}")))
            }
        };
        rectangular("step", steps.len())?;
        let first = rows.len();
        let numbered = epochs.into_iter().zip(steps);
        rows.extend(numbered.map(|(epoch, step)| MetricsRow::empty(epoch, step)));
        for (at, (name, required)) in columns().enumerate() {
            if !required && !group.has(name) {
                continue; // written before there was this measure
            }
            let values = group.numbers(name)?;
            rectangular(name, values.len())?;
            if required && values.contains(&None) {
                return Err(general(format!("column `{name}` has empty rows")));
            }
            for (row, value) in rows[first..].iter_mut().zip(values) {
                row.values[at] = value;
            }
        }
    }
    Ok(Metrics { stamp, rows })
}

/// The columns of a row group, by name.
struct Columns<'a>(Box<dyn RowGroupReader + 'a>);

impl Columns<'_> {
    fn integers(&self, name: &str) -> ParquetResult<Vec<u64>> {
        self.column::<Int64Type>(name)?
            .into_iter()
            .map(|value| value.and_then(|value| u64::try_from(value).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| general(format!("column `{name}` holds no count")))
    }

    fn has(&self, name: &str) -> bool {
        let columns = self.0.metadata().columns();
        columns.iter().any(|column| column.column_path().string() == name)
    }

    fn numbers(&self, name: &str) -> ParquetResult<Vec<Option<f64>>> {
        self.column::<DoubleType>(name)
    }

    /// All values of a column, `None` where it is empty.
    fn column<T: DataType>(&self, name: &str) -> ParquetResult<Vec<Option<T::T>>> {
        let metadata = self.0.metadata();
        let index = metadata
            .columns()
            .iter()
            .position(|column| column.column_path().string() == name)
            .ok_or_else(|| general(format!("there is no column `{name}`")))?;
        let column = metadata.column(index).column_descr();
        if column.physical_type() != T::get_physical_type()
            || column.max_rep_level() > 0
            || column.max_def_level() > 1
        {
            return Err(general(format!("column `{name}` has another type")));
        }
        let optional = column.max_def_level() == 1;
        let reader: ColumnReader = self.0.get_column_reader(index)?;
        let mut reader: ColumnReaderImpl<T> = get_typed_column_reader(reader);
        let (mut all, mut levels, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let most = usize::try_from(self.0.metadata().num_rows()).unwrap_or(0);
        loop {
            if all.len() > most {
                return Err(general(format!("column `{name}` has more rows than its group")));
            }
            levels.clear();
            values.clear();
            let (records, _, _) =
                reader.read_records(ROWS_AT_ONCE, Some(&mut levels), None, &mut values)?;
            if records == 0 {
                return Ok(all);
            }
            let mut values = values.drain(..);
            match optional {
                true => all.extend(levels.iter().map(|level| {
                    let present = *level == 1;
                    present.then(|| values.next()).flatten()
                })),
                false => all.extend(values.map(Some)),
            }
        }
    }
}

fn general(what: String) -> ParquetError {
    ParquetError::General(what)
}
