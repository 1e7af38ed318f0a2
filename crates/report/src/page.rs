//! The self-contained HTML report.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::figure::Figure;
use crate::plot::theme;
use crate::report::{Experiment, Report, Section};
use crate::summary::{Claim, FigureFiles};
use crate::write::files_of;
use crate::{ReportError, raster, text};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// The page, complete in one file.
pub(crate) fn html(report: &Report) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Tags that stand on lines of their own leave no lines behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    // The name's ending turns escaping on.
    environment.add_template("page.html", TEMPLATE)?;
    let page = environment.get_template("page.html")?;
    Ok(page.render(Serde(Page::of(report)))?)
}

/// Where the numbers over seeds of an experiment lie, relative to the page.
pub(crate) fn seed_table_path(experiment: &str) -> String {
    format!("tables/{experiment}-seeds.csv")
}

/// What the template reads. Only [`Value::from_safe_string`] escapes escaping.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    style: Value,
    source: String,
    scale: &'a str,
    seeds: usize,
    time: String,
    machine: &'a str,
    sections: Vec<SectionView<'a>>,
}

#[derive(Serialize)]
struct SectionView<'a> {
    name: &'a str,
    heading: &'a str,
    finding: &'a str,
    figures: Vec<FigureView<'a>>,
    claims: Vec<ClaimView<'a>>,
    experiments: Vec<ExperimentView<'a>>,
}

#[derive(Serialize)]
struct FigureView<'a> {
    number: usize,
    title: &'a str,
    caption: &'a str,
    blocks: Vec<Value>,
    files: FigureFiles,
}

#[derive(Serialize)]
struct ClaimView<'a> {
    id: &'a str,
    claim: &'a str,
    source: &'a str,
    measured: String,
    wanted: String,
    holds: bool,
}

#[derive(Serialize)]
struct ExperimentView<'a> {
    name: &'a str,
    label: &'a str,
    hash: &'a str,
    spec: &'a str,
    time: String,
    machine: &'a str,
    measures: &'a [String],
    rows: Vec<RowView<'a>>,
    means: Vec<String>,
    table: String,
}

#[derive(Serialize)]
struct RowView<'a> {
    seed: u64,
    status: &'a str,
    values: Vec<String>,
}

impl<'a> Page<'a> {
    fn of(report: &'a Report) -> Self {
        let mut number = 0;
        let commit = match report.commit.as_str() {
            "" => String::new(),
            commit => format!(" ({commit})"),
        };
        Self {
            title: &report.title,
            style: Value::from_safe_string(style()),
            source: format!("retrodict {}{commit}", report.version),
            scale: &report.scale,
            seeds: report.seeds,
            time: text::duration(report.wall_seconds),
            machine: &report.machine,
            sections: report
                .sections
                .iter()
                .map(|section| SectionView::of(section, &mut number))
                .collect(),
        }
    }
}

impl<'a> SectionView<'a> {
    fn of(section: &'a Section, number: &mut usize) -> Self {
        let mut figure = |figure: &'a Figure| {
            *number += 1;
            FigureView::of(figure, *number)
        };
        Self {
            name: &section.name,
            heading: &section.heading,
            finding: &section.finding,
            figures: section.figures.iter().map(&mut figure).collect(),
            claims: section.claims.iter().map(ClaimView::of).collect(),
            experiments: section.experiments.iter().map(ExperimentView::of).collect(),
        }
    }
}

impl<'a> FigureView<'a> {
    fn of(figure: &'a Figure, number: usize) -> Self {
        Self {
            number,
            title: &figure.title,
            caption: &figure.caption,
            blocks: figure.inline_blocks().map(Value::from_safe_string).collect(),
            files: files_of(figure),
        }
    }
}

impl<'a> ClaimView<'a> {
    fn of(claim: &'a Claim) -> Self {
        Self {
            id: &claim.id,
            claim: &claim.claim,
            source: &claim.source,
            measured: text::mean_and_spread(&claim.values),
            wanted: format!("{} {}", claim.comparator.sign(), text::level(claim.threshold)),
            holds: claim.holds,
        }
    }
}

impl<'a> ExperimentView<'a> {
    fn of(experiment: &'a Experiment) -> Self {
        let columns: Vec<Vec<f64>> =
            (0..experiment.measures.len()).map(|measure| experiment.column(measure)).collect();
        let rows = experiment.rows.iter().enumerate().map(|(i, row)| RowView {
            seed: row.seed,
            status: &row.status,
            values: columns.iter().map(|c| text::number(c[i])).collect(),
        });
        Self {
            name: &experiment.name,
            label: &experiment.label,
            hash: &experiment.hash,
            spec: &experiment.spec_toml,
            time: text::duration(experiment.wall_seconds),
            machine: &experiment.machine,
            measures: &experiment.measures,
            rows: rows.collect(),
            means: columns.iter().map(|c| text::mean_and_spread(c)).collect(),
            table: seed_table_path(&experiment.name),
        }
    }
}

/// The style sheet with its fonts, and with the figures' colours on a dark page.
fn style() -> String {
    let face = |weight: u32, font: &[u8]| {
        format!(
            "@font-face{{font-family:Inter;font-weight:{weight};\
             src:url(data:font/otf;base64,{}) format('opentype')}}\n",
            STANDARD.encode(font)
        )
    };
    format!(
        "{}{}{STYLE}\n@media screen and (prefers-color-scheme:dark){{{}}}\n",
        face(400, raster::INTER_REGULAR),
        face(600, raster::INTER_SEMIBOLD),
        theme::dark_css()
    )
}
