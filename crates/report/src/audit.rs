//! The files of an audit: a page, a picture, and the numbers as JSON and CSV.

use std::path::{Path, PathBuf};

use minijinja::Value;
use retrodict_audit::{AuditResult, FactResult, Known, RelationResult, Verdict};
use serde::Serialize;

use crate::figure::{FactDot, Figure, asymmetry};
use crate::page::{Frame, filled};
use crate::summary::FigureFiles;
use crate::tables::{Table, cell};
use crate::write::Files;
use crate::{ReportError, Style, text};

const TEMPLATE: &str = include_str!("page/audit.html");
/// The picture stays as large as it is drawn, on a wide page too.
const STYLE: &str = ".blocks > div { max-width: 36rem; }";

/// Writes `index.html`, `asymmetry.{svg,png,pdf}`, `audit.csv` and `audit.json` into `out`. Returns
/// the path of the page.
///
/// # Errors
/// [`ReportError`] if a part cannot be drawn or written.
pub fn write_audit(out: &Path, result: &AuditResult) -> Result<PathBuf, ReportError> {
    let files = Files { dir: out, style: &Style::default() };
    let dot = |fact: &FactResult| {
        Some(FactDot {
            relation: fact.relation.clone(),
            label: format!("{} → {}", fact.subject, fact.object),
            forward: fact.forward.gain?,
            reverse: fact.reverse.gain?,
        })
    };
    let dots: Vec<FactDot> = result.facts.iter().filter_map(dot).collect();
    let title = "What is known forward, and in reverse";
    let figure = asymmetry("asymmetry", title, &dots);
    files.figure(&figure, &FigureFiles::in_folder("", &figure.name, title))?;
    files.put("audit.csv", &table(result).to_csv()?)?;
    let mut json = serde_json::to_vec_pretty(result)?;
    json.push(b'\n');
    files.put("audit.json", &json)?;
    files.put("index.html", html(result, &figure)?.as_bytes())
}

/// Whether the model was asked to answer in its own words.
fn in_own_words(result: &AuditResult) -> bool {
    result.all.forward_exact.is_some() || result.all.reverse_exact.is_some()
}

fn table(result: &AuditResult) -> Table {
    let mut header = ["line", "relation", "subject", "object", "group"].map(str::to_owned).to_vec();
    for direction in ["forward", "reverse"] {
        header.extend(
            ["log_probability", "per_token", "gain", "rank", "raw_rank", "candidates", "level"]
                .iter()
                .chain(in_own_words(result).then_some(&"exact"))
                .map(|column| format!("{direction}_{column}")),
        );
    }
    let optional = |value: Option<f64>| value.map_or_else(String::new, cell);
    let known = |known: &Known| {
        [
            cell(known.log_probability),
            cell(known.per_token),
            optional(known.gain),
            optional(known.rank),
            cell(known.raw_rank),
            known.candidates.to_string(),
            optional(known.level),
        ]
        .into_iter()
        .chain(in_own_words(result).then(|| optional(known.exact)))
    };
    let row = |fact: &FactResult| {
        let FactResult { line, relation, subject, object, group, forward, reverse } = fact;
        let names = [line.to_string(), relation.clone(), subject.clone(), object.clone()];
        let group = [group.clone().unwrap_or_default()];
        names.into_iter().chain(group).chain(known(forward)).chain(known(reverse)).collect()
    };
    Table { header, rows: result.facts.iter().map(row).collect() }
}

#[derive(Serialize)]
struct Page {
    frame: Frame,
    program: String,
    model: String,
    file: String,
    facts: usize,
    verdict: &'static str,
    in_own_words: bool,
    rows: Vec<Row>,
    calibration: String,
    title: String,
    caption: String,
    blocks: Vec<Value>,
    narrow: Vec<Value>,
}

/// The facts of one relation, or all.
#[derive(Serialize)]
struct Row {
    name: String,
    facts: usize,
    forward: String,
    reverse: String,
    asymmetry: String,
    interval: String,
    p: String,
    forward_top1: String,
    reverse_top1: String,
    forward_exact: String,
    reverse_exact: String,
    verdict: &'static str,
}

impl Row {
    fn of(result: &RelationResult) -> Self {
        let number = |value: Option<f64>| value.map_or(text::NONE.into(), |v| format!("{v:.2}"));
        let share = |value: Option<f64>| value.map_or(text::NONE.into(), text::percent);
        let interval = result.asymmetry_interval;
        Self {
            name: if result.relation.is_empty() { "all".into() } else { result.relation.clone() },
            facts: result.facts,
            forward: number(result.forward_level),
            reverse: number(result.reverse_level),
            asymmetry: number(result.asymmetry),
            interval: interval
                .map_or(text::NONE.into(), |[low, high]| format!("{low:.2} to {high:.2}")),
            p: result.p.map_or(text::NONE.into(), p_value),
            forward_top1: share(result.forward_top1),
            reverse_top1: share(result.reverse_top1),
            forward_exact: share(result.forward_exact),
            reverse_exact: share(result.reverse_exact),
            verdict: match result.verdict {
                Verdict::Curse => "curse",
                Verdict::ReverseBetter => "better in reverse",
                Verdict::NoneShown => "none shown",
                Verdict::NotKnown => "not known",
            },
        }
    }
}

/// A p-value with two digits that count.
fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

fn html(result: &AuditResult, figure: &Figure) -> Result<String, ReportError> {
    let calibration = match result.false_curses {
        Some(share) => format!(
            "Calibration: of 200 permutations of the facts, which no model can know, {} have an \
             asymmetry that would be taken for a curse.",
            text::percent(share)
        ),
        None => "Calibration: none, because only some candidates were scored or no facts can be \
                 permuted."
            .to_owned(),
    };
    let rows = std::iter::once(&result.all);
    // One relation is all.
    let relations = result.relations.iter().filter(|_| result.relations.len() > 1);
    let commit = retrodict_lab::COMMIT.map_or_else(String::new, |commit| format!(" ({commit})"));
    let blocks: Vec<Value> = figure.inline_blocks().map(Value::from_safe_string).collect();
    filled(
        TEMPLATE,
        Page {
            frame: Frame::of(STYLE),
            program: format!("retrodict {}{commit}", result.version),
            model: result.model.clone(),
            file: result.facts_file.clone(),
            facts: result.facts.len(),
            verdict: result.all.verdict.sentence(),
            in_own_words: in_own_words(result),
            rows: rows.chain(relations).map(Row::of).collect(),
            calibration,
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            blocks,
            narrow: figure.inline_narrow().map(Value::from_safe_string).collect(),
        },
    )
}
