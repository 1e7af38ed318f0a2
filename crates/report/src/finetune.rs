//! The files of a fine-tuning study: a page, pictures, and the numbers as JSON and CSV.

use std::path::{Path, PathBuf};

use minijinja::Value;
use retrodict_finetune::{Compare, Compared, Difference, Estimate, Prediction, Row, Summary};
use serde::Serialize;

use crate::figure::{Answered, Figure, Named, RecipeRow, recipes, scatter};
use crate::page::{Frame, filled};
use crate::summary::FigureFiles;
use crate::tables::{Table, cell};
use crate::write::Files;
use crate::{ReportError, Style, text};

const TEMPLATE: &str = include_str!("page/finetune.html");
const STYLE: &str = include_str!("page/finetune.css");

/// Writes `index.html`, `recipes.{svg,png,pdf}`, `results.csv`, `results.json`, and where there are
/// small models to compare with `small-by-….{svg,png,pdf}`, into `out`. Returns the path of the
/// page.
///
/// # Errors
/// [`ReportError`] if a part cannot be drawn or written.
pub fn write_finetune(out: &Path, summary: &Summary) -> Result<PathBuf, ReportError> {
    let files = Files { dir: out, style: &Style::default() };
    let answered = |of: &Estimate| Answered {
        mean: of.mean,
        interval: of.interval.map(|[low, high]| (low, high)),
    };
    let row = |row: &Row| RecipeRow {
        label: named(&row.condition),
        exact: [&row.forward, &row.reverse].map(answered),
        level: [&row.forward_level, &row.reverse_level].map(answered),
    };
    let rows: Vec<RecipeRow> = summary.rows.iter().map(row).collect();
    let title = "Facts that the model says, and ranks, by recipe";
    let mut figures = vec![recipes("recipes", title, &rows, summary.chance)];
    figures.extend(summary.predictions.iter().map(prediction));
    for figure in &figures {
        files.figure(figure, &FigureFiles::in_folder("", &figure.name, &figure.title))?;
    }
    files.put("results.csv", &table(summary).to_csv()?)?;
    let mut json = serde_json::to_vec_pretty(summary)?;
    json.push(b'\n');
    files.put("results.json", &json)?;
    files.put("index.html", html(summary, &figures)?.as_bytes())
}

fn named(condition: &str) -> String {
    match condition {
        "before" => "before training".to_owned(),
        other => other.replace(',', ", "),
    }
}

/// The conditions in small models and in the large one.
fn prediction(prediction: &Prediction) -> Figure {
    let point = |of: &Compared| Named { label: named(&of.condition), at: (of.small, of.large) };
    let points: Vec<Named> = prediction.conditions.iter().map(point).collect();
    let words = prediction.measure.words();
    let axes = (format!("{words} in small models"), format!("{words} in this model"));
    let (name, title) = match prediction.measure {
        Compare::Level => ("small-by-level", "Recipes in small models and in this one, by level"),
        Compare::LogProbability => (
            "small-by-log-probability",
            "Recipes in small models and in this one, by log probability",
        ),
    };
    let mut figure = scatter(name, title, (&axes.0, &axes.1), &points);
    figure.caption = format!("{} Each point is the mean over seeds.", prediction.sentence());
    figure
}

/// The estimates of a row, by the names of their columns.
fn estimates(row: &Row) -> [(&'static str, &Estimate); 10] {
    [
        ("forward", &row.forward),
        ("forward_held", &row.forward_held),
        ("reverse", &row.reverse),
        ("reverse_held", &row.reverse_held),
        ("forward_level", &row.forward_level),
        ("reverse_level", &row.reverse_level),
        ("asymmetry", &row.asymmetry),
        ("reverse_first", &row.reverse_first),
        ("reverse_log_probability", &row.reverse_log_probability),
        ("perplexity", &row.perplexity),
    ]
}

fn table(summary: &Summary) -> Table {
    let mut table =
        Table::new(&["condition", "seeds", "tokens", "tokens_ratio", "steps", "seconds"]);
    for (name, _) in summary.rows.first().iter().flat_map(|row| estimates(row)) {
        let columns = [name.to_owned(), format!("{name}_low"), format!("{name}_high")];
        table.header.extend(columns);
    }
    for name in ["reverse_difference", "level_difference"] {
        let ends = ["", "_low", "_high", "_p"];
        table.header.extend(ends.map(|end| format!("{name}{end}")));
    }
    let optional = |value: Option<f64>| value.map_or_else(String::new, cell);
    let row = |row: &Row| {
        let mut cells = vec![
            row.condition.clone(),
            row.seeds.len().to_string(),
            cell(row.tokens),
            optional(row.tokens_ratio),
            cell(row.steps),
            cell(row.seconds),
        ];
        for (_, of) in estimates(row) {
            let ends = of.interval;
            cells.extend([of.mean, ends.map(|i| i[0]), ends.map(|i| i[1])].map(optional));
        }
        for of in [row.reverse_difference, row.level_difference] {
            let get = |value: fn(Difference) -> f64| optional(of.map(value));
            cells.extend([
                get(|of| of.mean),
                get(|of| of.interval[0]),
                get(|of| of.interval[1]),
                get(|of| of.p),
            ]);
        }
        cells
    };
    table.rows = summary.rows.iter().map(row).collect();
    table
}

#[derive(Serialize)]
struct Page {
    frame: Frame,
    program: String,
    model: String,
    file: String,
    facts: usize,
    settings: String,
    chance: String,
    tables: Vec<PageTable>,
    figures: Vec<PageFigure>,
}

#[derive(Serialize)]
struct PageTable {
    id: &'static str,
    title: &'static str,
    rows: Vec<PageRow>,
}

#[derive(Serialize)]
struct PageRow {
    name: String,
    /// Headings with texts.
    cells: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct PageFigure {
    name: String,
    title: String,
    caption: String,
    blocks: Vec<Value>,
    narrow: Vec<Value>,
}

fn shown(of: &Estimate) -> String {
    text::share_and_interval(of.mean, of.interval.map(|[low, high]| (low, high)))
}

/// The cells of the first table: exact answers.
fn answers(row: &Row) -> Vec<(&'static str, String)> {
    let difference = row.reverse_difference.map_or(text::NONE.into(), |of| {
        let [low, high] = of.interval;
        text::share_and_interval(Some(of.mean), Some((low, high)))
    });
    vec![
        ("Seeds", row.seeds.len().to_string()),
        ("Forward", shown(&row.forward)),
        ("Reverse", shown(&row.reverse)),
        ("Difference from none", difference),
        ("Forward, held phrasings", shown(&row.forward_held)),
        ("Reverse, held phrasings", shown(&row.reverse_held)),
    ]
}

/// The cells of the second table: ranks, perplexity, and the cost of training.
fn levels(row: &Row) -> Vec<(&'static str, String)> {
    let trained = |text: String| if row.steps > 0.0 { text } else { text::NONE.to_owned() };
    let ratio = row.tokens_ratio.map_or(text::NONE.into(), |ratio| format!("{ratio:.2} ×"));
    vec![
        ("Forward level", shown(&row.forward_level)),
        ("Reverse level", shown(&row.reverse_level)),
        ("Perplexity", row.perplexity.mean.map_or(text::NONE.into(), |of| format!("{of:.1}"))),
        ("Tokens of an epoch", trained(format!("{:.0}", row.tokens))),
        ("Over none", trained(ratio)),
        ("Steps", trained(format!("{:.0}", row.steps))),
        ("Seconds a seed", format!("{:.0}", row.seconds)),
    ]
}

fn html(summary: &Summary, figures: &[Figure]) -> Result<String, ReportError> {
    let commit = retrodict_lab::COMMIT.map_or_else(String::new, |commit| format!(" ({commit})"));
    let key = &summary.key;
    let adapters =
        key.lora.map_or("all weights".to_owned(), |rank| format!("adapters of rank {rank}"));
    let figure = |figure: &Figure| PageFigure {
        name: figure.name.clone(),
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        blocks: figure.inline_blocks().map(Value::from_safe_string).collect(),
        narrow: figure.inline_narrow().map(Value::from_safe_string).collect(),
    };
    let rows = |cells: fn(&Row) -> Vec<(&'static str, String)>| -> Vec<PageRow> {
        let row = |row: &Row| PageRow { name: named(&row.condition), cells: cells(row) };
        summary.rows.iter().map(row).collect()
    };
    let tables = vec![
        PageTable { id: "answers", title: "Exact answers", rows: rows(answers) },
        PageTable { id: "levels", title: "Ranks and cost", rows: rows(levels) },
    ];
    // The page is sent round: the name of the file, not its place on this machine.
    let model = Path::new(&summary.model).file_name();
    let model = model.map_or(summary.model.clone(), |name| name.to_string_lossy().into_owned());
    filled(
        TEMPLATE,
        Page {
            frame: Frame::of(STYLE),
            program: format!("retrodict {}{commit}", summary.version),
            model,
            file: summary.facts_file.clone(),
            facts: summary.fact_count,
            settings: format!(
                "{} epochs of batches of {}, rate {}, {adapters}",
                key.epochs, key.batch, key.lr
            ),
            chance: text::number(summary.chance),
            tables,
            figures: figures.iter().map(figure).collect(),
        },
    )
}
