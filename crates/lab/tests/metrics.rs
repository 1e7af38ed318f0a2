//! `metrics.parquet`: rows read back to the bit, and all damage is found.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::fs;
use std::path::Path;

use retrodict_lab::Measure;
use retrodict_lab::spec::{Precision, SpecHash};
use retrodict_lab::store::{MetricsRow, Stamp, StoreError, read_metrics, write_metrics};

fn stamp() -> Stamp {
    Stamp::here(SpecHash(0xab), 3, Precision::F32)
}

fn row(epoch: u64) -> MetricsRow {
    MetricsRow::empty(epoch, epoch * 6)
        .with("train_nll", 1.0 / 3.0)
        .with("train_first_token_nll", 5e-324)
        .with("held_out_nll", 115.129_254_649_702_28)
        .with("held_out_first_token_nll", -0.0)
        .with("held_out_top1", 0.0)
        .with("seconds", 0.1 + 0.2)
}

fn of_epoch(mut row: MetricsRow, epoch: u64) -> MetricsRow {
    row.epoch = epoch;
    row
}

/// Every number as its bits: `==` would hide NaN and the sign of 0.
fn bits(rows: &[MetricsRow]) -> Vec<(u64, u64, Vec<Option<u64>>)> {
    let values =
        |row: &MetricsRow| Measure::of_epochs().map(|m| row.get(m.id).map(f64::to_bits)).collect();
    rows.iter().map(|row| (row.epoch, row.step, values(row))).collect()
}

#[track_caller]
fn assert_round_trip(path: &Path, rows: &[MetricsRow]) {
    write_metrics(path, &stamp(), rows).unwrap();
    let read = read_metrics(path, rows.len() as u64).unwrap();
    assert_eq!(bits(&read.rows), bits(rows));
    assert_eq!(read.stamp, Some(stamp()));
}

#[test]
fn rows_read_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.parquet");
    let mut odd = row(3);
    odd = odd.with("train_nll", f64::NAN);
    odd = odd.with("held_out_nll", f64::INFINITY);
    odd = odd.with("held_out_first_token_nll", f64::NEG_INFINITY);
    odd.step = i64::MAX as u64;
    let mut none = row(4);
    none = none.with("held_out_nll", None);
    none = none.with("held_out_first_token_nll", None);
    none = none.with("held_out_top1", None);
    assert_round_trip(&path, &[]);
    assert_round_trip(&path, &[none]);
    assert_round_trip(&path, &[row(1), none, odd, row(2), none]);
    // More than one batch of the reader, and more than one page.
    let many: Vec<_> =
        (0..30_000).map(|i| if i % 3 == 0 { of_epoch(none, i) } else { row(i) }).collect();
    assert_round_trip(&path, &many);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = folder.path().join(name);
        write_metrics(&path, &stamp(), &[row(1), row(2)]).unwrap();
        fs::read(path).unwrap()
    };
    assert_eq!(bytes("a"), bytes("b"));
}

#[test]
fn a_step_past_what_the_format_holds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.parquet");
    let past = MetricsRow::empty(1, u64::MAX).with("train_nll", 1.0);
    let error = write_metrics(&path, &stamp(), &[past]).unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_file_cut_anywhere_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.parquet");
    write_metrics(&path, &stamp(), &[row(1), row(2)]).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = read_metrics(&path, 2).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{length}: {error}");
        assert!(error.to_string().contains("metrics.parquet is damaged: "), "{error}");
    }
}

#[test]
fn a_flipped_bit_in_any_byte_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.parquet");
    write_metrics(&path, &stamp(), &[row(1), row(2)]).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let error = read_metrics(&path, 2).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
    }
}

/// Equal rows take next to no space: a file of a few kilobytes may hold a hundred million.
#[test]
fn more_rows_than_epochs_are_refused_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.parquet");
    let rows = vec![row(1); 5_000];
    write_metrics(&path, &stamp(), &rows).unwrap();
    let error = read_metrics(&path, 4_999).unwrap_err().to_string();
    assert!(error.contains("it has 5000 rows, and its spec 4999 epochs"), "{error}");
    assert_eq!(read_metrics(&path, 5_000).unwrap().rows.len(), 5_000);
}
