//! The metrics of runs as files of other tools: TensorBoard's event files, and CSV with the columns
//! that trackio's `import_csv` takes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::measures::Measure;
use crate::name::folder;
use crate::store::{MetricsRow, RunDir, StoreError, atomic};

/// The files to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `<experiment>/<spec hash>/seed-<n>/events.out.tfevents.<start>.retrodict`: a scalar for each
    /// measure of an epoch, at its step.
    Tensorboard,
    /// `<experiment>/<spec hash>/seed-<n>.csv`: `step`, `timestamp`, `epoch` and a column for each
    /// measure of an epoch, empty where it was not measured.
    Csv,
}

/// Writes the metrics of runs below `to`. Runs without metrics are left out. Returns how many were
/// written.
///
/// # Errors
/// [`StoreError`] if a run cannot be read or a file cannot be written; those before it are whole.
pub fn export(runs: &[RunDir], to: &Path, format: Format) -> Result<usize, StoreError> {
    let mut count = 0;
    for run in runs.iter().filter(|run| run.has_metrics()) {
        let rows = run.read_metrics(u64::MAX)?;
        let start = match run.has_manifest() {
            true => humantime::parse_rfc3339(&run.read_manifest()?.start).unwrap_or(UNIX_EPOCH),
            // A run of an early version.
            false => UNIX_EPOCH,
        };
        let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        let folder = to.join(folder(&run.experiment)).join(run.hash.to_string());
        let seed = format!("seed-{}", run.seed);
        let (path, bytes) = match format {
            Format::Tensorboard => {
                let name = format!("events.out.tfevents.{}.retrodict", start.as_secs());
                (folder.join(seed).join(name), events(&rows, start))
            }
            Format::Csv => (folder.join(format!("{seed}.csv")), csv(&rows, start).into_bytes()),
        };
        let above = path.with_file_name("");
        fs::create_dir_all(&above).map_err(StoreError::io("create", &above))?;
        atomic::write(&path, &bytes)?;
        count += 1;
    }
    Ok(count)
}

/// The time of a row, since 1970.
fn time(row: &MetricsRow, start: Duration) -> Duration {
    let seconds = row.get("seconds").unwrap_or(0.0);
    start + Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The measures of an epoch but its time.
fn measures() -> impl Iterator<Item = &'static Measure> {
    Measure::of_epochs().filter(|measure| measure.id != "seconds")
}

fn csv(rows: &[MetricsRow], start: Duration) -> String {
    let mut text = "step,timestamp,epoch".to_owned();
    measures().for_each(|measure| text.extend([",", measure.id]));
    for row in rows {
        let time = humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + time(row, start));
        let _ = write!(text, "\n{},{time},{}", row.step, row.epoch);
        for measure in measures() {
            text.push(',');
            if let Some(value) = row.get(measure.id).filter(|value| value.is_finite()) {
                let _ = write!(text, "{value}");
            }
        }
    }
    text.push('\n');
    text
}

/// The events of a run, in the format of `tensorflow/core/util/event.proto`, as records of
/// `tensorflow/core/lib/io/record_writer.h`.
fn events(rows: &[MetricsRow], start: Duration) -> Vec<u8> {
    let mut file = Vec::new();
    let version = Message::default().double(1, start.as_secs_f64()).bytes(3, b"brain.Event:2");
    record(&mut file, &version.0);
    for row in rows {
        let mut summary = Message::default();
        for measure in measures() {
            if let Some(value) = row.get(measure.id) {
                let value =
                    Message::default().bytes(1, measure.id.as_bytes()).float(2, value as f32);
                summary = summary.bytes(1, &value.0);
            }
        }
        let event = Message::default()
            .double(1, time(row, start).as_secs_f64())
            .integer(2, row.step)
            .bytes(5, &summary.0);
        record(&mut file, &event.0);
    }
    file
}

/// A message of protocol buffers: fields one after the other.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn tag(&mut self, field: u8, kind: u8) {
        // Fields up to 15 take one byte.
        self.0.push(field << 3 | kind);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(mut self, field: u8, value: u64) -> Message {
        self.tag(field, 0);
        self.varint(value);
        self
    }

    fn double(mut self, field: u8, value: f64) -> Message {
        self.tag(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u8, value: &[u8]) -> Message {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn float(mut self, field: u8, value: f32) -> Message {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }
}

/// A record: its length, its bytes, and a masked CRC-32C of each.
fn record(file: &mut Vec<u8>, bytes: &[u8]) {
    let masked = |bytes: &[u8]| {
        let crc = crc32c::crc32c(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length));
    file.extend_from_slice(bytes);
    file.extend(masked(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are those of TensorBoard's own writer for the same events (tensorboard 2.21.0).
    #[test]
    fn events_are_those_of_tensorboard() {
        let row = MetricsRow::empty(1, 300).with("train_nll", 0.5).with("seconds", 2.0);
        let bytes = events(&[row], Duration::from_secs(1_700_000_000));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    const GOLDEN: &str = "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d\
        200000000000000029eda9500900008040fc54d94110ac022a120a100a09747261696e5f6e6c6c15\
        0000003f991e8cc7";

    #[test]
    fn a_csv_has_the_columns_that_trackio_reads() {
        let rows = [MetricsRow::empty(1, 6).with("train_nll", 0.1).with("seconds", 1.5)];
        let text = csv(&rows, Duration::from_secs(86_400));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("step,timestamp,epoch,train_nll,"), "{text}");
        assert!(lines[1].starts_with("6,1970-01-02T00:00:01.500000Z,1,0.1,"), "{text}");
        let columns = |line: &str| line.split(',').count();
        assert_eq!((lines.len(), columns(lines[0])), (2, columns(lines[1])));
    }
}
