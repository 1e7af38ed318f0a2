//! One figure of the paper: its drawings, its finding, its numbers.

use retrodict_lab::store::{MetricsRow, Store};
use retrodict_lab::{
    Experiment, Measure, effective_weight_epochs, effective_weights_at, probe,
    random_mean_absolute_cosine,
};

use super::over::over;
use super::{Stored, claims, machine_name, opening};
use crate::figure::{
    Accuracies, Cosines, EffectiveWeights, Figure, LossCurves, Nll, Way, WeightFrame, WeightPanel,
    accuracies, cosines, effective_weights, loss_curves,
};
use crate::finding::{self, HeadResult, SettingResult, reversal_finding};
use crate::paper::{Drawing, DrawingKind, PaperFigure, Scale, Variant};
use crate::{ReportError, Section, SeedRow, report};

/// The most probes of which the frames of a heatmap's film are chosen.
const MOST_PROBES: usize = 100;

/// The section of a figure.
pub(super) fn section(
    store: &Store,
    figure: &PaperFigure,
    scale: Scale,
    found: &[(&Variant, &Stored)],
) -> Result<Section, ReportError> {
    let figures = figure
        .drawings
        .iter()
        .filter_map(|drawing| draw(store, figure, drawing, found).transpose())
        .collect::<Result<_, _>>()?;
    let found: Vec<_> = found.iter().filter(|(variant, _)| !variant.film).copied().collect();
    let stored: Vec<&Stored> = found.iter().map(|(_, stored)| *stored).collect();
    let experiments = found
        .iter()
        .map(|(variant, stored)| {
            table_of(stored, format!("{}-{}", figure.name, variant.id), variant.label.clone())
        })
        .collect();
    let failures = opening::failures(figure, &found);
    let claims = claims::claims(figure, scale, &found);
    // What it says is seen rests on the claims.
    let see = match claims::all_measured(figure, scale, &claims) {
        true => figure.see.clone(),
        false => String::new(),
    };
    Ok(Section {
        name: figure.name.clone(),
        part: figure.part(),
        heading: figure.title.clone(),
        source: figure.source.clone(),
        see,
        finding: failures.unwrap_or_else(|| finding(&stored)),
        figures,
        claims,
        experiments,
    })
}

/// `None` if none of its variants was run, or none has the data.
fn draw(
    store: &Store,
    figure: &PaperFigure,
    drawing: &Drawing,
    found: &[(&Variant, &Stored)],
) -> Result<Option<Figure>, ReportError> {
    let name = drawing.name.as_ref().unwrap_or(&figure.name);
    let title = drawing.title.as_ref().unwrap_or(&figure.title);
    let films = drawing.kind == DrawingKind::EffectiveWeights;
    let films = films && found.iter().any(|(variant, _)| variant.film);
    let of = || {
        let wanted = drawing.variants.as_ref();
        let has = move |variant: &Variant| PaperFigure::has(wanted, &variant.id);
        found.iter().filter(move |(variant, _)| has(variant) && variant.film == films)
    };
    if of().next().is_none() {
        return Ok(None);
    }
    Ok(match drawing.kind {
        DrawingKind::LossCurves => {
            let curves: Vec<_> = of().map(|(v, stored)| curves(stored, &v.label)).collect();
            Some(loss_curves(name, title, &curves))
        }
        DrawingKind::EffectiveWeights => {
            let weights = of()
                .filter_map(|(v, stored)| weights(store, stored, &v.label).transpose())
                .collect::<Result<Vec<_>, _>>()?;
            weights_figure(name, title, &weights)
        }
        DrawingKind::Cosines => {
            let all: Vec<_> = of().filter_map(|(v, s)| cosines_of(s, &v.label)).collect();
            (!all.is_empty()).then(|| cosines(name, title, &all))
        }
        DrawingKind::Accuracies => {
            let ways = |stored: &Stored| -> Vec<Way> {
                let way = |way: &crate::paper::Way| Way {
                    name: way.name.clone(),
                    values: stored.values(way.measure),
                };
                drawing.ways.iter().map(way).collect()
            };
            let all: Vec<_> = of()
                .map(|(v, stored)| Accuracies { variant: v.label.clone(), ways: ways(stored) })
                .collect();
            Some(accuracies(name, title, &all))
        }
        DrawingKind::Over => drawing.over.as_ref().and_then(|axes| over(name, title, axes, found)),
    })
}

/// NLL over epochs, of the first token and, where there are more, of the whole entity.
pub(super) fn curves(stored: &Stored, label: &str) -> LossCurves {
    let longest = stored.curves.iter().max_by_key(|rows| rows.len());
    let series = |measure: &str| {
        let of = |row: &MetricsRow| row.get(measure).unwrap_or(f64::NAN);
        stored.curves.iter().map(|rows| rows.iter().map(of).collect()).collect()
    };
    let experiment = &stored.experiment;
    let whole = Nll {
        train: series("train_nll"),
        held_out: series("held_out_nll"),
        uniform: experiment.guessing_nll(),
        uniform_label: experiment.guessing_label(),
    };
    let (first_token, whole) = match experiment.objective.entity_length {
        1 => (whole, None),
        _ => {
            let first = Nll {
                train: series("train_first_token_nll"),
                held_out: series("held_out_first_token_nll"),
                uniform: stored.uniform(Measure::named("held_out_first_token_nll")),
                uniform_label: format!("ln {}", experiment.network.vocab()),
            };
            (first, Some(whole))
        }
    };
    LossCurves {
        variant: label.into(),
        epochs: longest.into_iter().flatten().map(|row| row.epoch as f64).collect(),
        first_token,
        whole,
        // Every seed holds out as many.
        questions: stored.runs.first().map_or(0, |run| run.held_out),
    }
}

/// Two by two for pairs, two by three for chains; `None` if there are none.
pub(super) fn weights_figure(
    name: &str,
    title: &str,
    weights: &[EffectiveWeights],
) -> Option<Figure> {
    let columns = weights.first()?.panels.len().div_ceil(2);
    Some(effective_weights(name, title, columns, weights))
}

/// The effective weights of the first seed over training: entities differ between seeds, a mean
/// would show none.
pub(super) fn weights(
    store: &Store,
    stored: &Stored,
    label: &str,
) -> Result<Option<EffectiveWeights>, ReportError> {
    let Some(run) = stored.runs.first() else { return Ok(None) };
    let mut epochs = effective_weight_epochs(&stored.experiment, store, run.seed)?;
    while epochs.len() > MOST_PROBES {
        // Keep the last one.
        let keep = |at: &usize| (epochs.len() - 1 - at).is_multiple_of(2);
        epochs = (0..epochs.len()).filter(keep).map(|at| epochs[at]).collect();
    }
    let weights = effective_weights_at(&stored.experiment, store, run.seed, &epochs)?;
    let mut frames: Vec<WeightFrame> = epochs
        .into_iter()
        .zip(&weights)
        .map(|(epoch, weights)| WeightFrame { epoch, panels: panels(weights) })
        .collect();
    let Some(last) = frames.last() else { return Ok(None) };
    let (variant, last) = (format!("{label}, seed {}", run.seed), last.panels.clone());
    if last.is_empty() {
        return Ok(None);
    }
    if frames.len() == 1 {
        frames.clear();
    }
    Ok(Some(EffectiveWeights { variant, panels: last, frames }))
}

fn panels(weights: &probe::EffectiveWeights) -> Vec<WeightPanel> {
    let panel = |group: &probe::GroupWeights| {
        let matrix = &group.single_token;
        WeightPanel {
            group: group.role.id().into(),
            title: group.role.name().into(),
            row_label: "given entity".into(),
            column_label: "candidate".into(),
            rows: matrix.size(),
            columns: matrix.size(),
            values: matrix.values().to_vec(),
            margin: matrix.margin(),
        }
    };
    weights.groups.iter().map(panel).collect()
}

/// The embeddings of the first seed, and their mean |cosine| in every seed.
fn cosines_of(stored: &Stored, label: &str) -> Option<Cosines> {
    let run = stored.runs.first()?;
    let found = run.embedding_cosines.as_ref()?;
    Some(Cosines {
        variant: format!("{label}, seed {} of {}", run.seed, stored.runs.len()),
        size: found.tokens.len(),
        values: found.values(),
        mean_absolute: stored.values(Measure::named("embedding_cosine_mean_absolute")),
        random: random_mean_absolute_cosine(stored.experiment.spec.model.decoder()?.dim),
    })
}

/// The finding, from the numbers.
pub(super) fn finding(all: &[&Stored]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let of_head = |stored: &Stored| HeadResult {
        train_nll: stored.values(Measure::named("train_nll")),
        held_out_nll: stored.values(Measure::named("held_out_nll")),
        held_out_top1: stored.values(Measure::named("held_out_top1")),
        asymmetry: stored.values(Measure::named("asymmetry")),
        rank_held_out: stored.values(Measure::named("rank_held_out")),
    };
    let pair = all.len() <= 2 && all.iter().all(|s| s.free_headed() == first.free_headed());
    let reversal = first.experiment.spec.data.kind.word() == "reversal";
    if pair && reversal && !first.tied() {
        let tied = all.get(1).map(|stored| of_head(stored));
        let (level, label) = (first.experiment.guessing_nll(), first.experiment.guessing_label());
        return reversal_finding(&of_head(first), tied.as_ref(), level, &label);
    }
    let setting = |stored: &&Stored| SettingResult {
        train_nll: stored.values(Measure::named("train_nll")),
        held_out: stored.values(Measure::named("held_out_nll_over_uniform")),
        top1: stored.values(Measure::named("held_out_top1")),
    };
    finding::over_settings(&all.iter().map(setting).collect::<Vec<_>>())
}

/// The numbers over seeds.
pub(super) fn table_of(stored: &Stored, name: String, label: String) -> report::Experiment {
    let shown: Vec<(&Measure, Vec<f64>)> =
        Measure::of_page(stored.experiment.objective.entity_length)
            .map(|measure| (measure, stored.values(measure)))
            .filter(|(_, values)| values.iter().any(|value| !value.is_nan()))
            .collect();
    let rows = stored.runs.iter().enumerate().map(|(i, run)| SeedRow {
        seed: run.seed,
        status: "complete".into(),
        values: shown.iter().map(|(_, values)| values[i]).collect(),
    });
    let experiment: &Experiment = &stored.experiment;
    report::Experiment {
        name,
        label,
        hash: experiment.hash.to_string(),
        spec_toml: experiment.spec.to_toml(),
        measures: shown.iter().map(|(measure, _)| measure.heading_with_unit()).collect(),
        rows: rows.collect(),
        wall_seconds: stored.wall_seconds(),
        machine: stored.machine.as_ref().map(machine_name).unwrap_or_default(),
    }
}
