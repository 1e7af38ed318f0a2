//! `metrics.parquet`: one row an epoch, readable by pandas, polars and DuckDB.

use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use sha2::{Digest as _, Sha256};

use super::{atomic, error::StoreError};

/// What an epoch gave. NLL is in nats, capped at 115.13 by whoever computes it
/// (paper, section 5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricsRow {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Steps taken when it ended.
    pub step: u64,
    /// Mean over the epoch's batches of each batch's mean NLL, in training mode.
    pub train_nll: f64,
    /// The same for the first token of the last entity.
    pub train_first_token_nll: f64,
    /// Mean NLL of the held-out sentences after the epoch; `None` without any.
    pub held_out_nll: Option<f64>,
    /// The same for the first token of the last entity.
    pub held_out_first_token_nll: Option<f64>,
    /// Fraction of the held-out sentences whose last entity ranks first, every
    /// token of it.
    pub held_out_top1: Option<f64>,
    /// Seconds of training so far.
    pub seconds: f64,
}

const SCHEMA: &str = "message metrics {
    required int64 epoch;
    required int64 step;
    required double train_nll;
    required double train_first_token_nll;
    optional double held_out_nll;
    optional double held_out_first_token_nll;
    optional double held_out_top1;
    required double seconds;
}";

/// Where the seal lies: a SHA-256 of all that follows it, between the magic
/// bytes and the first column, where every reader of the format skips it.
/// Without it most damage to a number would pass, and the decoder's own guards
/// do not hold off all the rest.
const SEAL: Range<usize> = 4..36;

/// Rows decoded at a time: whatever number of rows a damaged file claims, no
/// more memory is set aside.
const ROWS_AT_ONCE: usize = 4096;

/// Writes `rows` to `path` as one whole file.
pub fn write_metrics(path: &Path, rows: &[MetricsRow]) -> Result<(), StoreError> {
    let bytes = encode(rows).map_err(|error| StoreError::unwritable(path, error))?;
    atomic::write(path, &bytes)
}

/// The rows of a file that [`write_metrics`] wrote. Columns that it does not
/// know are passed over; any damage is an error that names the file.
pub fn read_metrics(path: &Path) -> Result<Vec<MetricsRow>, StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
    decode(bytes).map_err(|what| StoreError::damaged(path, what))
}

fn decode(bytes: Vec<u8>) -> Result<Vec<MetricsRow>, String> {
    let sealed = bytes.get(SEAL.end..).map(Sha256::digest);
    if !bytes.starts_with(b"PAR1") || sealed.is_none_or(|seal| seal[..] != bytes[SEAL]) {
        return Err("its content is not what was written".to_owned());
    }
    // A seal can be forged, and the crate's decoders panic on some bytes.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes)))
        .map_err(|_| "its pages cannot be decoded".to_owned())?
        .map_err(|error| error.to_string())
}

fn encode(rows: &[MetricsRow]) -> ParquetResult<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("retrodict ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    file.write_all(&[0; SEAL.end - SEAL.start])?;
    let mut group = file.next_row_group()?;
    put_integers(&mut group, rows, |row| row.epoch)?;
    put_integers(&mut group, rows, |row| row.step)?;
    put_numbers(&mut group, rows, |row| Some(row.train_nll))?;
    put_numbers(&mut group, rows, |row| Some(row.train_first_token_nll))?;
    put_numbers(&mut group, rows, |row| row.held_out_nll)?;
    put_numbers(&mut group, rows, |row| row.held_out_first_token_nll)?;
    put_numbers(&mut group, rows, |row| row.held_out_top1)?;
    put_numbers(&mut group, rows, |row| Some(row.seconds))?;
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
    value: fn(&MetricsRow) -> Option<f64>,
) -> ParquetResult<()> {
    let present: Vec<_> = rows.iter().filter_map(value).collect();
    // Looked at only where the schema says optional.
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

fn decode_unguarded(bytes: Vec<u8>) -> ParquetResult<Vec<MetricsRow>> {
    let file = SerializedFileReader::new(Bytes::from(bytes))?;
    let mut rows = Vec::new();
    for index in 0..file.num_row_groups() {
        let group = Columns(file.get_row_group(index)?);
        let (epochs, steps) = (group.integers("epoch")?, group.integers("step")?);
        let train = group.required("train_nll")?;
        let train_first = group.required("train_first_token_nll")?;
        let held_out = group.numbers("held_out_nll")?;
        let held_out_first = group.numbers("held_out_first_token_nll")?;
        let top1 = group.numbers("held_out_top1")?;
        let seconds = group.required("seconds")?;
        let count = epochs.len();
        for (name, length) in [
            ("step", steps.len()),
            ("train_nll", train.len()),
            ("train_first_token_nll", train_first.len()),
            ("held_out_nll", held_out.len()),
            ("held_out_first_token_nll", held_out_first.len()),
            ("held_out_top1", top1.len()),
            ("seconds", seconds.len()),
        ] {
            if length != count {
                return Err(general(format!(
                    "column `epoch` has {count} rows and `{name}` has {length}"
                )));
            }
        }
        rows.extend((0..count).map(|i| MetricsRow {
            epoch: epochs[i],
            step: steps[i],
            train_nll: train[i],
            train_first_token_nll: train_first[i],
            held_out_nll: held_out[i],
            held_out_first_token_nll: held_out_first[i],
            held_out_top1: top1[i],
            seconds: seconds[i],
        }));
    }
    Ok(rows)
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

    fn required(&self, name: &str) -> ParquetResult<Vec<f64>> {
        self.numbers(name)?
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| general(format!("column `{name}` has empty rows")))
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
        loop {
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
