//! The data of the page's template. Only [`Value::from_safe_string`] is not escaped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::Value;
use serde::Serialize;

use super::{Frame, seed_table_path, table_path};
use crate::figure::Figure;
use crate::paper::Scale;
use crate::plot::film;
use crate::report::{Experiment, NamedTable, Opening, Part, Report, Section, Trained};
use crate::summary::{Claim, FigureFiles, Of};
use crate::text;
use crate::write::files_of;

#[derive(Serialize)]
pub(super) struct Page<'a> {
    title: &'a str,
    frame: Frame,
    source: String,
    scale: &'a str,
    seeds: usize,
    time: String,
    machine: &'a str,
    opening: Option<OpeningView<'a>>,
    /// Whether the runs are smaller than the paper's.
    smaller: bool,
    /// The paper's claims that do not hold here.
    refuted: Vec<ClaimRow<'a>>,
    /// The paper's claims, and ours; a list without claims is left out.
    claims: Vec<ClaimList<'a>>,
    most_cells: usize,
    parts: Vec<PartView<'a>>,
    tables: Vec<TableView<'a>>,
    comparisons: &'a [String],
    /// Files of this page, packed for its download links.
    files: &'a [PackedFile],
}

/// A file that the page carries, so that it can be sent alone.
#[derive(Clone, Serialize)]
pub(crate) struct PackedFile {
    /// Its path relative to the page, which is the link's.
    pub(crate) path: String,
    /// Deflated, in Base64.
    pub(crate) content: String,
}

#[derive(Serialize)]
struct OpeningView<'a> {
    trained: Vec<TrainedView<'a>>,
    finding: &'a str,
    failures: &'a str,
    curves: Vec<Value>,
    film: Option<FilmView>,
    curves_in: SectionLink<'a>,
    film_in: SectionLink<'a>,
    failures_in: SectionLink<'a>,
}

/// A link to a section; without a name there is none.
#[derive(Serialize)]
struct SectionLink<'a> {
    name: &'a str,
    words: String,
}

impl<'a> SectionLink<'a> {
    fn to(name: &'a str) -> Self {
        let words = match number_in_paper(name) {
            "" => "More".to_owned(),
            number => format!("Figure {number}"),
        };
        Self { name, words }
    }
}

#[derive(Serialize)]
struct TrainedView<'a> {
    quantity: &'a str,
    here: &'a str,
    paper: &'a str,
}

#[derive(Serialize)]
struct FilmView {
    blocks: Vec<Value>,
    frames: String,
    last_frame: usize,
    last_epoch: u64,
}

/// Sections under one heading of the contents.
#[derive(Serialize)]
struct PartView<'a> {
    name: &'static str,
    heading: &'static str,
    sections: Vec<SectionView<'a>>,
}

#[derive(Serialize)]
struct SectionView<'a> {
    name: &'a str,
    heading: &'a str,
    source: &'a str,
    /// The point to see in the figures; empty where there are none, or a claim of the section does not
    /// hold.
    see: &'a str,
    finding: &'a str,
    figures: Vec<FigureView<'a>>,
    claims: Vec<ClaimView<'a>>,
    held: usize,
    measures: Vec<&'a str>,
    experiments: Vec<ExperimentView<'a>>,
}

/// Claims of one origin over all sections.
#[derive(Serialize)]
struct ClaimList<'a> {
    name: &'static str,
    heading: &'static str,
    rows: Vec<ClaimRow<'a>>,
    held: usize,
}

/// A claim and the section that has its figure.
#[derive(Serialize)]
struct ClaimRow<'a> {
    #[serde(skip)]
    of: Of,
    claim: ClaimView<'a>,
    section: &'a str,
    heading: &'a str,
}

#[derive(Serialize)]
struct FigureView<'a> {
    /// Its number in the paper, from its name; empty if it has none.
    number: &'a str,
    title: &'a str,
    caption: &'a str,
    blocks: Vec<Value>,
    narrow: Vec<Value>,
    /// The epochs of its film, separated by spaces; empty without a film.
    frames: String,
    last_frame: usize,
    last_epoch: u64,
    thumbnail: String,
    files: FigureFiles,
}

#[derive(Serialize)]
struct ClaimView<'a> {
    id: &'a str,
    claim: &'a str,
    source: &'a str,
    refuted_by: &'a str,
    measured: String,
    threshold: String,
    /// In words: reproduced, of a claim of the paper.
    result: &'static str,
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
    /// One per measure of the section.
    section_means: Vec<String>,
    table: String,
}

#[derive(Serialize)]
struct RowView<'a> {
    seed: u64,
    status: &'a str,
    values: Vec<String>,
}

#[derive(Serialize)]
struct TableView<'a> {
    name: &'a str,
    title: &'a str,
    note: &'a str,
    header: Vec<String>,
    rows: &'a [Vec<String>],
    file: String,
}

impl<'a> Page<'a> {
    pub(super) fn of(
        report: &'a Report,
        thumbnails: &'a [Vec<u8>],
        files: &'a [PackedFile],
    ) -> Self {
        let commit = match report.commit.as_str() {
            "" => String::new(),
            commit => format!(" ({commit})"),
        };
        let mut thumbnails = thumbnails.iter();
        let mut parts: Vec<PartView<'a>> = Vec::new();
        for section in &report.sections {
            let view = SectionView::of(section, &mut thumbnails);
            let (name, heading) = heading_of(section.part);
            match parts.last_mut().filter(|part| part.name == name) {
                Some(part) => part.sections.push(view),
                None => parts.push(PartView { name, heading, sections: vec![view] }),
            }
        }
        let refuted = |row: &ClaimRow<'_>| row.of == Of::Paper && !row.claim.holds;
        Self {
            title: &report.title,
            frame: Frame::of(""),
            source: format!("retrodict {}{commit}", report.version),
            scale: &report.scale,
            seeds: report.seeds,
            time: text::duration(report.wall_seconds),
            machine: &report.machine,
            opening: report.opening.as_ref().map(OpeningView::of),
            smaller: report.scale == Scale::Quick.word(),
            refuted: rows(report).filter(refuted).collect(),
            claims: claim_lists(report),
            most_cells: film::MOST_CELLS,
            parts,
            tables: report.tables.iter().map(TableView::of).collect(),
            comparisons: &report.comparisons,
            files,
        }
    }
}

fn heading_of(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::Paper => ("paper", "The paper's figures"),
        Part::Ours => ("ours", "Our figures"),
        Part::Own => ("own", "Own experiments"),
        Part::Theory => ("theory", "Theory"),
    }
}

impl<'a> OpeningView<'a> {
    fn of(opening: &'a Opening) -> Self {
        let row =
            |Trained { quantity, here, paper }: &'a Trained| TrainedView { quantity, here, paper };
        Self {
            trained: opening.trained.iter().map(row).collect(),
            finding: &opening.finding,
            failures: &opening.failures,
            curves: opening.curves.inline_blocks().map(Value::from_safe_string).collect(),
            film: opening.film.as_ref().map(FilmView::of),
            curves_in: SectionLink::to(&opening.more.curves),
            film_in: SectionLink::to(&opening.more.film),
            failures_in: SectionLink::to(&opening.more.failures),
        }
    }
}

impl FilmView {
    fn of(figure: &Figure) -> Self {
        let frames: Vec<String> = figure.frames().iter().map(u64::to_string).collect();
        Self {
            blocks: figure.inline_blocks().map(Value::from_safe_string).collect(),
            last_frame: frames.len().saturating_sub(1),
            last_epoch: figure.frames().last().copied().unwrap_or(0),
            frames: frames.join(" "),
        }
    }
}

impl<'a> SectionView<'a> {
    fn of(section: &'a Section, thumbnails: &mut impl Iterator<Item = &'a Vec<u8>>) -> Self {
        let mut measures: Vec<&str> = Vec::new();
        for measure in section.experiments.iter().flat_map(|e| &e.measures) {
            if !measures.contains(&measure.as_str()) {
                measures.push(measure);
            }
        }
        // In this order: a figure that is left out takes no thumbnail.
        let figures = section.figures.iter().zip(thumbnails);
        Self {
            name: &section.name,
            heading: &section.heading,
            source: &section.source,
            see: match section.claims.iter().all(|claim| claim.holds) {
                true if !section.figures.is_empty() => &section.see,
                _ => "",
            },
            finding: &section.finding,
            figures: figures.map(|(f, png)| FigureView::of(f, png)).collect(),
            claims: section.claims.iter().map(ClaimView::of).collect(),
            held: section.claims.iter().filter(|claim| claim.holds).count(),
            experiments: section
                .experiments
                .iter()
                .map(|experiment| ExperimentView::of(experiment, &measures))
                .collect(),
            measures,
        }
    }
}

impl<'a> FigureView<'a> {
    fn of(figure: &'a Figure, thumbnail: &[u8]) -> Self {
        let frames: Vec<String> = figure.frames().iter().map(u64::to_string).collect();
        Self {
            number: number_in_paper(&figure.name),
            title: &figure.title,
            caption: &figure.caption,
            blocks: figure.inline_blocks().map(Value::from_safe_string).collect(),
            narrow: figure.inline_narrow().map(Value::from_safe_string).collect(),
            last_frame: frames.len().saturating_sub(1),
            last_epoch: figure.frames().last().copied().unwrap_or(0),
            frames: frames.join(" "),
            thumbnail: format!("data:image/png;base64,{}", STANDARD.encode(thumbnail)),
            files: files_of(figure),
        }
    }
}

fn rows(report: &Report) -> impl Iterator<Item = ClaimRow<'_>> {
    report.sections.iter().flat_map(|section| {
        section.claims.iter().map(|claim| ClaimRow {
            of: claim.of,
            claim: ClaimView::of(claim),
            section: &section.name,
            heading: &section.heading,
        })
    })
}

fn claim_lists(report: &Report) -> Vec<ClaimList<'_>> {
    let of = |of: Of, name, heading| {
        let rows: Vec<_> = rows(report).filter(|row| row.of == of).collect();
        let held = rows.iter().filter(|row| row.claim.holds).count();
        ClaimList { name, heading, rows, held }
    };
    let lists = [
        of(Of::Paper, "claims", "Claims of the paper, at its metric"),
        of(Of::Ours, "findings", "Our claims"),
    ];
    lists.into_iter().filter(|list| !list.rows.is_empty()).collect()
}

/// `14` of `fig14-heads`.
fn number_in_paper(name: &str) -> &str {
    let rest = name.strip_prefix("fig").unwrap_or_default();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    &rest[..end]
}

impl<'a> ClaimView<'a> {
    fn of(claim: &'a Claim) -> Self {
        Self {
            id: &claim.id,
            claim: &claim.claim,
            source: &claim.source,
            refuted_by: &claim.refuted_by,
            measured: text::mean_and_spread(&claim.values),
            result: match (claim.of, claim.holds) {
                (Of::Paper, true) => "✓ reproduced",
                (Of::Paper, false) => "✗ not reproduced",
                (Of::Ours, true) => "✓ holds",
                (Of::Ours, false) => "✗ does not hold",
            },
            threshold: format!("{}\u{a0}{}", claim.comparator.sign(), text::level(claim.threshold)),
            holds: claim.holds,
        }
    }
}

impl<'a> ExperimentView<'a> {
    fn of(experiment: &'a Experiment, section: &[&str]) -> Self {
        let columns: Vec<Vec<f64>> =
            (0..experiment.measures.len()).map(|measure| experiment.column(measure)).collect();
        let rows = experiment.rows.iter().enumerate().map(|(i, row)| RowView {
            seed: row.seed,
            status: &row.status,
            values: columns.iter().map(|c| text::number(c[i])).collect(),
        });
        let means: Vec<String> = columns.iter().map(|c| text::mean_and_spread(c)).collect();
        let mean = |measure: &&str| {
            let at = experiment.measures.iter().position(|own| own == measure);
            at.map_or(text::NONE.into(), |at| means[at].clone())
        };
        Self {
            name: &experiment.name,
            label: &experiment.label,
            hash: &experiment.hash,
            spec: &experiment.spec_toml,
            time: text::duration(experiment.wall_seconds),
            machine: &experiment.machine,
            measures: &experiment.measures,
            rows: rows.collect(),
            section_means: section.iter().map(mean).collect(),
            means,
            table: seed_table_path(&experiment.name),
        }
    }
}

impl<'a> TableView<'a> {
    fn of(named: &'a NamedTable) -> Self {
        Self {
            name: &named.name,
            title: &named.title,
            note: &named.note,
            // Headings are in snake_case for readers of the file.
            header: named.table.header.iter().map(|h| h.replace('_', " ")).collect(),
            rows: &named.table.rows,
            file: table_path(&named.name),
        }
    }
}
