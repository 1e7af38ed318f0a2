//! `Figure`: a drawing that shows itself in a notebook, with its numbers.

use std::path::PathBuf;

use arrow_array::{ArrayRef, StringArray};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use retrodict_lab::effective_weights_at;
use retrodict_lab::probe::EFFECTIVE_WEIGHTS;
use retrodict_lab::store::{MetricsRow, atomic};
use retrodict_report::{
    EffectiveWeights, Figure as Drawn, LossCurves, Nll, Table as Numbers, WeightPanel,
    effective_weights, loss_curves, pdf, png,
};
use std::sync::Arc;

use crate::errors;
use crate::stored::Run;
use crate::table::{Table, floats};

/// Pixels to the user unit.
const SCALE: f32 = 2.0;

/// A figure. It shows itself in a notebook; `data` has the numbers drawn, for figures of your own.
#[pyclass(frozen, module = "retrodict")]
pub(crate) struct Figure {
    title: String,
    caption: String,
    svg: String,
    numbers: Numbers,
}

impl Figure {
    fn of(drawn: Drawn) -> Figure {
        let svg = drawn.to_svg();
        Figure { title: drawn.title, caption: drawn.caption, svg, numbers: drawn.table }
    }
}

#[pymethods]
impl Figure {
    /// Its title.
    #[getter]
    fn title(&self) -> &str {
        &self.title
    }

    /// Its content, and the point to see.
    #[getter]
    fn caption(&self) -> &str {
        &self.caption
    }

    /// The figure as SVG.
    #[getter]
    fn svg(&self) -> &str {
        &self.svg
    }

    /// The numbers drawn.
    #[getter]
    fn data(&self) -> PyResult<Table> {
        let Numbers { header, rows } = &self.numbers;
        let column = |(at, name): (usize, &String)| {
            let cells: Vec<&str> =
                rows.iter().map(|row| row.get(at).map_or("", String::as_str)).collect();
            let numbers: Option<Vec<Option<f64>>> = cells
                .iter()
                .map(|cell| if cell.is_empty() { Some(None) } else { cell.parse().ok().map(Some) })
                .collect();
            let column: ArrayRef = match numbers {
                Some(numbers) => floats(numbers.into_iter()),
                None => Arc::new(cells.into_iter().map(Some).collect::<StringArray>()),
            };
            (name.clone(), column)
        };
        Table::new(header.iter().enumerate().map(column).collect())
    }

    /// Writes the figure to a file that ends in `.svg`, `.png` or `.pdf`.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let extension = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        let bytes = py.detach(|| match extension.as_deref() {
            Some("svg") => Ok(self.svg.clone().into_bytes()),
            Some("png") => png(&self.svg, SCALE).map_err(|error| error.to_string()),
            Some("pdf") => pdf(&self.svg, &self.title).map_err(|error| error.to_string()),
            _ => Err(format!("{}: the file must end in .svg, .png or .pdf", path.display())),
        });
        let bytes = bytes.map_err(PyValueError::new_err)?;
        atomic::write(&path, &bytes).map_err(errors::store)
    }

    fn _repr_svg_(&self) -> &str {
        &self.svg
    }

    fn __repr__(&self) -> String {
        format!("<Figure {:?}>", self.title)
    }
}

/// Loss curves, a panel for each experiment.
pub(crate) fn loss_figure(runs: &[Run]) -> PyResult<Figure> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| group[0].folder.hash == run.folder.hash) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    if groups.is_empty() {
        return Err(PyValueError::new_err("there are no runs to draw"));
    }
    let several = groups.len() > 1;
    let curves = groups.iter().map(|group| curves(group, several)).collect::<PyResult<Vec<_>>>()?;
    let name = &groups[0][0].experiment.spec.name;
    Ok(Figure::of(loss_curves("loss", &format!("{name}: loss curves"), &curves)))
}

fn curves(group: &[&Run], several: bool) -> PyResult<LossCurves> {
    let experiment = &group[0].experiment;
    let rows: Vec<Vec<MetricsRow>> =
        group.iter().map(|run| run.rows().map_err(errors::store)).collect::<PyResult<_>>()?;
    let series = |measure: &str| {
        let of = |row: &MetricsRow| row.get(measure).unwrap_or(f64::NAN);
        rows.iter().map(|rows| rows.iter().map(of).collect()).collect()
    };
    let whole = Nll {
        train: series("train_nll"),
        held_out: series("held_out_nll"),
        uniform: experiment.guessing_nll(),
        uniform_label: experiment.guessing_label(),
    };
    let vocab = experiment.network.vocab();
    let (first_token, whole) = match experiment.objective.entity_length {
        1 => (whole, None),
        _ => {
            let first = Nll {
                train: series("train_first_token_nll"),
                held_out: series("held_out_first_token_nll"),
                uniform: (vocab as f64).ln(),
                uniform_label: format!("ln {vocab}"),
            };
            (first, Some(whole))
        }
    };
    let hash: String = experiment.hash.to_string().chars().take(8).collect();
    let name = &experiment.spec.name;
    let dataset = experiment.dataset(group[0].folder.seed).map_err(errors::spec)?;
    let longest = rows.iter().max_by_key(|rows| rows.len());
    Ok(LossCurves {
        variant: if several { format!("{name} {hash}") } else { name.clone() },
        epochs: longest.into_iter().flatten().map(|row| row.epoch as f64).collect(),
        first_token,
        whole,
        questions: dataset.held_out.len(),
    })
}

/// The effective weights of a run after its last epoch.
pub(crate) fn weights_figure(run: &Run) -> PyResult<Figure> {
    let seed = run.folder.seed;
    let epochs = run.folder.probes(EFFECTIVE_WEIGHTS).map_err(errors::store)?;
    let none = || PyValueError::new_err("this run has no effective weights to draw");
    let (last, _) = epochs.last().ok_or_else(none)?;
    let weights = effective_weights_at(&run.experiment, &run.store, seed, &[*last]);
    let weights = weights.map_err(errors::store)?.pop().ok_or_else(none)?;
    let panels: Vec<WeightPanel> = weights
        .groups
        .iter()
        .map(|group| {
            let matrix = &group.single_token;
            WeightPanel {
                group: group.role.id().into(),
                title: group.role.name().into(),
                row_label: "given entity".into(),
                column_label: "logit of candidate".into(),
                rows: matrix.size(),
                columns: matrix.size(),
                values: matrix.values().to_vec(),
                margin: matrix.margin(),
            }
        })
        .collect();
    if panels.is_empty() {
        return Err(none());
    }
    let name = &run.experiment.spec.name;
    let columns = panels.len().div_ceil(2);
    let variant = format!("{name}, seed {seed}, epoch {last}");
    let variants = [EffectiveWeights { variant, panels, frames: Vec::new() }];
    let title = format!("{name}: effective weights");
    Ok(Figure::of(effective_weights("weights", &title, columns, &variants)))
}
