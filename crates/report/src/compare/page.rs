//! The page of comparisons: the values of its template. Only [`Value::from_safe_string`] escapes
//! escaping.

use minijinja::Value;
use serde::Serialize;

use super::columns::COLUMNS;
use super::published::Published;
use super::result::{ComparisonResult, TaskResult};
use super::row::{Measured, Row};
use super::verdict::Verdict;
use super::{file, side_effects, verdict};
use crate::figure::Figure;
use crate::page::{Frame, filled};
use crate::{ReportError, text};

const TEMPLATE: &str = include_str!("../page/compare.html");
const STYLE: &str = include_str!("../page/compare.css");

/// The page, complete in one file; `figures` are one a task, in their order. `report` is whether
/// the page of the store is above it.
pub(super) fn html(
    results: &[ComparisonResult],
    figures: &[Figure],
    report: bool,
) -> Result<String, ReportError> {
    let mut figures = figures.iter();
    let tasks = results.iter().flat_map(|result| result.tasks.iter().map(move |t| (result, t)));
    let tasks = tasks.zip(figures.by_ref()).map(|((r, t), f)| TaskView::of(r, t, f)).collect();
    let commit = match retrodict_lab::COMMIT {
        Some(commit) => format!(" ({commit})"),
        None => String::new(),
    };
    let (mut reproduced, mut told) = (0, 0);
    for (own, all) in results.iter().map(ComparisonResult::reproduced) {
        (reproduced, told) = (reproduced + own, told + all);
    }
    filled(
        TEMPLATE,
        Page {
            frame: Frame::of(STYLE),
            program: format!("retrodict {}{commit}", retrodict_lab::VERSION),
            files: results.iter().map(|r| FileView { name: &r.name, title: &r.title }).collect(),
            report,
            reproduced,
            told,
            claims: results.iter().flat_map(claims).collect(),
            tasks,
            compared: results.iter().flat_map(|r| &r.tasks).map(|t| t.rows.len() - 1).sum(),
            significant: verdict::SIGNIFICANT,
            whole: verdict::WHOLE,
            blind_swaps: text::percent(side_effects::BLIND_SWAPS),
            kept: text::percent(side_effects::KEPT),
        },
    )
}

#[derive(Serialize)]
struct Page<'a> {
    frame: Frame,
    program: String,
    files: Vec<FileView<'a>>,
    /// Whether the page of the store is above this one.
    report: bool,
    /// Published directions of effect that came out, of those that can be told.
    reproduced: usize,
    told: usize,
    claims: Vec<ClaimView<'a>>,
    tasks: Vec<TaskView<'a>>,
    /// Interventions on the page, for which verdicts are corrected.
    compared: usize,
    significant: f64,
    whole: f64,
    blind_swaps: String,
    kept: String,
}

/// A published direction of effect.
#[derive(Serialize)]
struct ClaimView<'a> {
    anchor: String,
    task: &'a str,
    name: &'a str,
    source: &'a str,
    published: String,
    measured: String,
    class: &'static str,
    result: &'static str,
}

#[derive(Serialize)]
struct FileView<'a> {
    name: &'a str,
    title: &'a str,
}

#[derive(Serialize)]
struct TaskView<'a> {
    anchor: String,
    title: &'a str,
    claim: &'a str,
    finding: String,
    seeds: usize,
    wide: Vec<Value>,
    narrow: Vec<Value>,
    caption: &'a str,
    figure: &'a str,
    /// Of the columns that apply to any row.
    headings: Vec<&'static str>,
    rows: Vec<RowView<'a>>,
    baseline: &'a str,
    baseline_hash: &'a str,
}

#[derive(Serialize)]
struct RowView<'a> {
    anchor: String,
    rank: usize,
    name: &'a str,
    family: &'static str,
    is_baseline: bool,
    sign: &'static str,
    verdict: String,
    /// The verdict with its reach.
    sentence: String,
    /// `held`, `failed` or nothing: the colour of the verdict.
    class: &'static str,
    seeds: String,
    /// One a heading of the task.
    cells: Vec<String>,
    idea: &'a str,
    source: &'a str,
    formula: &'a str,
    spec: &'a str,
    hash: &'a str,
    /// Every measure that applies, with what it is called.
    measured: Vec<(String, String)>,
    published: String,
    published_class: &'static str,
    published_short: &'static str,
}

fn claims(result: &ComparisonResult) -> Vec<ClaimView<'_>> {
    let rows = result.tasks.iter().flat_map(|task| task.rows.iter().map(move |row| (task, row)));
    rows.filter_map(|(task, row)| ClaimView::of(result, task, row)).collect()
}

impl<'a> ClaimView<'a> {
    /// `None` where nothing is published.
    fn of(result: &ComparisonResult, task: &'a TaskResult, row: &'a Row) -> Option<Self> {
        let published = row.published?;
        let (result_words, class) = match published.reproduced {
            Some(true) => ("✓ reproduced", "held"),
            Some(false) => ("✗ not seen at this setting", "failed"),
            None => ("open", ""),
        };
        Some(Self {
            anchor: row_anchor(&task_anchor(result, task), row),
            task: &task.title,
            name: &row.name,
            source: row.intervention.as_ref().map_or("", |words| &words.source),
            published: published.words(),
            measured: COLUMNS[0].shown(row.reverse_accuracy()),
            class,
            result: result_words,
        })
    }
}

/// The anchor of a task. Its parts have no dots, so that no two tasks or rows share one; the
/// template's own anchors end in a colon and a word.
fn task_anchor(result: &ComparisonResult, task: &TaskResult) -> String {
    format!("{}.{}", result.name, task.id)
}

/// The anchor of a row below its task's.
fn row_anchor(task: &str, row: &Row) -> String {
    format!("{task}.{}", row.id)
}

type Cost = (&'static str, &'static str, fn(&Row) -> String);

/// The costs of an intervention: a heading in the table (empty leaves it out there), the name in
/// the intervention's own section, the cell.
const COSTS: [Cost; 3] = [
    ("Extra tokens", "Extra training tokens an epoch", extra_tokens),
    ("Time to reach", "Training time to 95 % of its reverse accuracy", |r| {
        duration(&r.seconds_to_reach)
    }),
    ("", "Whole run", |r| duration(&r.wall_seconds)),
];

/// A measure or a cost of an intervention.
struct Shown {
    /// Empty where the table does not show it.
    heading: &'static str,
    name: String,
    cell: String,
}

/// The measures, then the costs.
fn shown(row: &Row) -> Vec<Shown> {
    let measures = COLUMNS.iter().map(|column| Shown {
        heading: column.heading,
        name: column.name_with_unit(),
        cell: column.shown(row.measured(column.id)),
    });
    let costs = COSTS.iter().map(|&(heading, name, cell)| Shown {
        heading,
        name: name.to_owned(),
        cell: cell(row),
    });
    measures.chain(costs).collect()
}

impl<'a> TaskView<'a> {
    fn of(result: &'a ComparisonResult, task: &'a TaskResult, figure: &'a Figure) -> Self {
        // A column that applies to no row is left out.
        let all: Vec<Vec<Shown>> = task.rows.iter().map(shown).collect();
        let applies = |shown: &Shown| !shown.heading.is_empty() && shown.cell != text::NONE;
        let columns: Vec<usize> = (0..COLUMNS.len() + COSTS.len())
            .filter(|&at| all.iter().any(|row| applies(&row[at])))
            .collect();
        let anchor = task_anchor(result, task);
        let baseline = task.rows.iter().find(|row| row.verdict == Verdict::Baseline);
        Self {
            title: &task.title,
            claim: &task.claim,
            finding: finding(task),
            seeds: result.seeds.len(),
            wide: figure.inline_blocks().map(Value::from_safe_string).collect(),
            narrow: figure.inline_narrow().map(Value::from_safe_string).collect(),
            caption: &figure.caption,
            figure: &figure.name,
            headings: columns.iter().filter_map(|&at| Some(all.first()?[at].heading)).collect(),
            rows: (task.rows.iter().zip(all))
                .map(|(row, shown)| RowView::of(&anchor, row, shown, &columns))
                .collect(),
            baseline: baseline.map_or("", |row| &row.spec),
            baseline_hash: baseline.map_or("", |row| &row.spec_hash),
            anchor,
        }
    }
}

impl<'a> RowView<'a> {
    fn of(task: &str, row: &'a Row, shown: Vec<Shown>, columns: &[usize]) -> Self {
        let (sign, class) = match row.verdict {
            Verdict::Baseline => ("", ""),
            Verdict::Answers if row.side_effects.is_empty() => ("✓ ", "held"),
            Verdict::Worse => ("✗ ", "failed"),
            Verdict::Open => ("? ", ""),
            _ => ("– ", ""),
        };
        let words = row.intervention.as_ref();
        let (published, published_class, published_short) =
            row.published.map(published).unwrap_or_default();
        Self {
            anchor: row_anchor(task, row),
            rank: row.rank,
            name: &row.name,
            family: row.family.map_or("", file::Family::word),
            is_baseline: row.verdict == Verdict::Baseline,
            sign,
            verdict: row.words(),
            sentence: row.sentence(),
            class,
            seeds: match row.seeds == row.seeds_asked {
                true => row.seeds.to_string(),
                false => format!("{} of {}", row.seeds, row.seeds_asked),
            },
            cells: columns.iter().map(|&at| shown[at].cell.clone()).collect(),
            idea: words.map_or("", |words| &words.idea),
            source: words.map_or("", |words| &words.source),
            formula: words.map_or("", |words| words.formula.trim()),
            spec: &row.spec,
            hash: &row.spec_hash,
            measured: (shown.into_iter().filter(|shown| shown.cell != text::NONE))
                .map(|shown| (shown.name, shown.cell))
                .collect(),
            published,
            published_class,
            published_short,
        }
    }
}

/// A count of the verdicts.
fn finding(task: &TaskResult) -> String {
    let count = |verdict| task.rows.iter().filter(|row| row.verdict == verdict).count();
    let tried = task.rows.iter().filter(|row| row.verdict != Verdict::Baseline).count();
    let answers = task.rows.iter().filter(|row| row.verdict == Verdict::Answers);
    let with_side_effects = answers.filter(|row| !row.side_effects.is_empty()).count();
    let mut text = format!(
        "Of {tried} interventions, {} answer more reverses than the baseline and a guess",
        count(Verdict::Answers)
    );
    if with_side_effects > 0 {
        text.push_str(&format!(" ({with_side_effects} of them with side effects)"));
    }
    for (verdict, words) in [
        (Verdict::Knows, "know the reverse and do not answer it"),
        (Verdict::Guesses, "guess within the type"),
        (Verdict::AsBaseline, "do no better than the baseline"),
        (Verdict::NoTrace, "show no trace of the reverse"),
        (Verdict::Worse, "answer less"),
        (Verdict::Open, "are open, since a verdict needs every seed, two at least"),
    ] {
        match count(verdict) {
            0 => {}
            some => text.push_str(&format!("; {some} {words}")),
        }
    }
    text.push('.');
    text
}

/// In a sentence, its colour, and in two words.
fn published(published: Published) -> (String, &'static str, &'static str) {
    let (outcome, class, short) = match published.reproduced {
        Some(true) => ("seen at this setting", "held", "✓ as published"),
        Some(false) => ("not seen at this setting", "failed", "✗ not seen at this setting"),
        None => ("open", "", ""),
    };
    (format!("Published: {}; {outcome}.", published.words()), class, short)
}

fn duration(measured: &Measured) -> String {
    measured.mean.map_or(text::NONE.into(), text::duration)
}

fn extra_tokens(row: &Row) -> String {
    let Some((extra, own)) = row.extra_tokens.zip(row.tokens_an_epoch.mean) else {
        return text::NONE.into();
    };
    let base = own - extra;
    if extra == 0.0 {
        return "0".into();
    }
    let sign = if extra > 0.0 { "+" } else { "−" };
    let share = if base > 0.0 { extra.abs() / base } else { f64::NAN };
    format!("{sign}{:.0} ({sign}{})", extra.abs(), text::percent(share))
}
