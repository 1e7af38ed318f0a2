//! The files of transfer between facts in a language model.

use std::path::{Path, PathBuf};

use retrodict_finetune::{KindGains, Mean, TransferSummary};

use crate::figure::{GainRow, gains};
use crate::summary::FigureFiles;
use crate::write::Files;
use crate::{ReportError, Style};

/// Writes `transfer.{svg,png,pdf,csv,json}` into `out`. Returns the path of the picture.
///
/// # Errors
/// [`ReportError`] if a part cannot be drawn or written.
pub fn write_transfer(out: &Path, summary: &TransferSummary) -> Result<PathBuf, ReportError> {
    let files = Files { dir: out, style: &Style::default() };
    let gain = |of: &Mean| (of.mean, of.interval);
    let row = |of: &KindGains| GainRow {
        label: of.name.to_owned(),
        gains: [&of.gain].into_iter().chain(&of.by_part).map(gain).collect(),
    };
    let rows: Vec<GainRow> = summary.kinds.iter().map(row).collect();
    let title = "One step on a fact: what it adds to other questions";
    let figure = gains("transfer", title, &summary.parts, &rows);
    files.figure(&figure, &FigureFiles::in_folder("", &figure.name, &figure.title))?;
    let mut json = serde_json::to_vec_pretty(summary)?;
    json.push(b'\n');
    files.put("transfer.json", &json)?;
    Ok(out.join("transfer.png"))
}
