//! A report on disk; every file appears whole or not at all.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use resvg::usvg::Tree;
use retrodict_lab::store::{StoreError, atomic, read};

use crate::page::{self, PackedFile};
use crate::pdf;
use crate::raster;
use crate::report::Report;
use crate::summary::{FigureFiles, Summary};
use crate::{ReportError, Style, figure::Figure};

/// Pixels of the PNG to a user unit of the SVG: sharp on a dense screen, and in print at 3 inches.
const PNG_SCALE: f32 = 2.0;

/// Most pixels of a figure in the page's index: sharp enough on a dense screen, and light.
const THUMBNAIL: (f32, f32) = (380.0, 250.0);

/// Writes `figures/<name>.svg`, `.png` and `.pdf`, `tables/<name>.csv`, `summary.json` and last
/// `index.html` into `dir`, which is created if needed. Returns the page's path.
///
/// Existing files are replaced atomically.
///
/// # Errors
/// [`ReportError::Name`] and [`ReportError::Duplicate`] before anything is written; the others when
/// a part cannot be drawn or written, with the parts before it in place.
pub fn write(dir: &Path, report: &Report) -> Result<PathBuf, ReportError> {
    write_new(dir, report, &Style::default(), &mut Drawn::new())
}

/// Figures in place that were drawn before, by the path of the SVG.
pub(crate) type Drawn = HashMap<PathBuf, DrawnFigure>;

/// A figure whose files are in place.
pub(crate) struct DrawnFigure {
    /// Of the SVG.
    hash: u64,
    thumbnail: Vec<u8>,
    packed: Vec<PackedFile>,
}

/// The same with figures' files in a style; the page keeps its own. Pictures `drawn` before that have
/// not changed are left as they are.
pub(crate) fn write_new(
    dir: &Path,
    report: &Report,
    style: &Style,
    drawn: &mut Drawn,
) -> Result<PathBuf, ReportError> {
    check_names(report)?;
    let files = Files { dir, style };
    let (mut thumbnails, mut packed) = (Vec::new(), Packed::default());
    for figure in figures(report) {
        let names = files_of(figure);
        let svg = figure.styled(style);
        let mut hasher = DefaultHasher::new();
        svg.hash(&mut hasher);
        let (path, hash) = (dir.join(&names.svg), hasher.finish());
        if drawn.get(&path).is_none_or(|old| old.hash != hash) {
            let tree = files.figure(figure, &names)?;
            let mut own = Packed::default();
            own.add(&names.svg, svg.as_bytes())?;
            own.add(&names.pdf, &read(&dir.join(&names.pdf))?)?;
            own.add(&names.table, &figure.table.to_csv()?)?;
            // The page has no style.
            let plain = figure.to_svg();
            let tree = if plain == svg { tree } else { raster::tree(&plain, &raster::fonts())? };
            let thumbnail = raster::thumbnail(&tree, THUMBNAIL.0, THUMBNAIL.1)?;
            drawn.insert(path.clone(), DrawnFigure { hash, thumbnail, packed: own.files });
        }
        thumbnails.push(drawn[&path].thumbnail.clone());
        packed.files.extend(drawn[&path].packed.iter().cloned());
    }
    for experiment in report.sections.iter().flat_map(|s| &s.experiments) {
        let name = page::seed_table_path(&experiment.name);
        let table = experiment.table().to_csv()?;
        files.put(&name, &table)?;
        packed.add(&name, &table)?;
    }
    for named in &report.tables {
        let (name, table) = (page::table_path(&named.name), named.table.to_csv()?);
        files.put(&name, &table)?;
        packed.add(&name, &table)?;
    }
    let mut summary = serde_json::to_vec_pretty(&summary(report))?;
    summary.push(b'\n');
    files.put("summary.json", &summary)?;
    packed.add("summary.json", &summary)?;
    files.put("index.html", page::html(report, &thumbnails, &packed.files)?.as_bytes())
}

/// Copies of files for the page, which can then be sent alone.
#[derive(Default)]
struct Packed {
    files: Vec<PackedFile>,
}

impl Packed {
    /// A larger file, such as the numbers of a large heatmap, is only beside the page.
    const LARGEST: usize = 1 << 20;

    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), ReportError> {
        if content.len() > Self::LARGEST {
            return Ok(());
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        let packed = encoder.write_all(content).and_then(|()| encoder.finish());
        let io = |source| StoreError::Io { doing: "pack", path: path.into(), source };
        let content = STANDARD.encode(packed.map_err(io)?);
        self.files.push(PackedFile { path: path.to_owned(), content });
        Ok(())
    }
}

pub(crate) fn files_of(figure: &Figure) -> FigureFiles {
    FigureFiles::of(&figure.name, &figure.title)
}

fn figures(report: &Report) -> impl Iterator<Item = &Figure> {
    report.sections.iter().flat_map(|s| &s.figures)
}

fn summary(report: &Report) -> Summary<'_> {
    Summary {
        version: &report.version,
        commit: &report.commit,
        scale: &report.scale,
        seeds: report.seeds,
        wall_seconds: report.wall_seconds,
        claims: report.sections.iter().flat_map(|s| &s.claims).collect(),
        figures: figures(report).map(files_of).collect(),
    }
}

fn check_names(report: &Report) -> Result<(), ReportError> {
    let mut seen = HashSet::new();
    let mut check = |kind: &'static str, name: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            return Err(ReportError::Name(name.into()));
        }
        if !seen.insert((kind, name.to_owned())) {
            return Err(ReportError::Duplicate(name.into()));
        }
        Ok(())
    };
    for section in &report.sections {
        check("section", &section.name)?;
        for figure in &section.figures {
            check("table", &figure.name)?;
        }
        for experiment in &section.experiments {
            check("experiment", &experiment.name)?;
        }
    }
    // A table is an anchor beside the sections, and a file beside the figures' tables.
    for named in &report.tables {
        check("section", &named.name)?;
        check("table", &named.name)?;
    }
    Ok(())
}

/// A folder to write into.
pub(crate) struct Files<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) style: &'a Style,
}

impl Files<'_> {
    /// Writes a figure as SVG, PNG and PDF, and its numbers as CSV. Returns what was drawn.
    pub(crate) fn figure(&self, figure: &Figure, names: &FigureFiles) -> Result<Tree, ReportError> {
        let svg = figure.styled(self.style);
        self.put(&names.svg, svg.as_bytes())?;
        let tree = raster::tree(&svg, self.style.fonts())?;
        self.put(&names.png, &raster::draw(&tree, PNG_SCALE)?)?;
        self.put(&names.pdf, &pdf::of_tree(&tree, &figure.title)?)?;
        self.put(&names.table, &figure.table.to_csv()?)?;
        Ok(tree)
    }

    /// Writes content under a name below the folder, whole or not at all.
    pub(crate) fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, ReportError> {
        let path = self.dir.join(name);
        let folder = path.parent().unwrap_or(self.dir);
        fs::create_dir_all(folder).map_err(|source| StoreError::Io {
            doing: "create",
            path: folder.to_owned(),
            source,
        })?;
        atomic::write(&path, content)?;
        Ok(path)
    }
}
