//! A table of runs as Parquet, for pandas, polars and DuckDB.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::{Column, Listing};
use crate::cell::Cell;

/// The listing as the bytes of a Parquet file: measures are doubles, seed, epoch and step whole
/// numbers; a key of the spec has the type of its values, and is text where they differ. Every
/// column may be empty.
///
/// # Errors
/// A message of the writer, such as that of a row that is not as wide as the header.
pub fn to_parquet(listing: &Listing) -> Result<Vec<u8>, String> {
    encode(listing).map_err(|error| error.to_string())
}

fn encode(listing: &Listing) -> ParquetResult<Vec<u8>> {
    let kinds: Vec<Kind> = (0..listing.columns.len()).map(|at| Kind::of(listing, at)).collect();
    let fields = listing.columns.iter().zip(&kinds).map(|(column, kind)| {
        let field = Type::primitive_type_builder(column.name(), kind.physical())
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type((*kind == Kind::Text).then_some(LogicalType::String));
        field.build().map(Arc::new)
    });
    let fields = fields.collect::<ParquetResult<Vec<_>>>()?;
    let schema = Arc::new(Type::group_type_builder("runs").with_fields(fields).build()?);
    let created = concat!("retrodict ", env!("CARGO_PKG_VERSION")).to_owned();
    let properties = Arc::new(WriterProperties::builder().set_created_by(created).build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    let mut group = file.next_row_group()?;
    for (at, kind) in kinds.iter().enumerate() {
        let cells = || listing.rows.iter().filter_map(move |row| row.get(at));
        match kind {
            Kind::Integer => put::<Int64Type>(&mut group, cells(), |cell| match cell {
                Cell::Integer(integer) => Some(*integer),
                _ => None,
            })?,
            Kind::Number => put::<DoubleType>(&mut group, cells(), Cell::number)?,
            Kind::Boolean => put::<BoolType>(&mut group, cells(), |cell| match cell {
                Cell::Boolean(boolean) => Some(*boolean),
                _ => None,
            })?,
            Kind::Text => put::<ByteArrayType>(&mut group, cells(), |cell| match cell {
                Cell::Missing => None,
                cell => Some(ByteArray::from(cell.to_string().into_bytes())),
            })?,
        }
    }
    group.close()?;
    file.into_inner()
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Number,
    Boolean,
    Text,
}

impl Kind {
    fn of(listing: &Listing, at: usize) -> Kind {
        match listing.columns[at] {
            Column::Measure(_) => return Kind::Number,
            Column::Seed | Column::Epoch | Column::Step => return Kind::Integer,
            _ => {}
        }
        let all = |is: fn(&Cell) -> bool| {
            let mut cells = listing.rows.iter().filter_map(|row| row.get(at));
            cells.all(|cell| *cell == Cell::Missing || is(cell))
        };
        if all(|cell| matches!(cell, Cell::Integer(_))) {
            Kind::Integer
        } else if all(|cell| cell.number().is_some()) {
            Kind::Number
        } else if all(|cell| matches!(cell, Cell::Boolean(_))) {
            Kind::Boolean
        } else {
            Kind::Text
        }
    }

    fn physical(self) -> Physical {
        match self {
            Kind::Integer => Physical::INT64,
            Kind::Number => Physical::DOUBLE,
            Kind::Boolean => Physical::BOOLEAN,
            Kind::Text => Physical::BYTE_ARRAY,
        }
    }
}

fn put<'c, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: impl Iterator<Item = &'c Cell>,
    value: fn(&Cell) -> Option<T::T>,
) -> ParquetResult<()> {
    let values: Vec<Option<T::T>> = cells.map(value).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<T::T> = values.into_iter().flatten().collect();
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<T>().write_batch(&present, Some(&levels), None)?;
    column.close()
}
