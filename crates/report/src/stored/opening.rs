//! The first screen of the page, of the figures whose files have the key `opening`: loss curves, the
//! film of weights, and what they do not show.

use retrodict_lab::store::Store;
use retrodict_lab::{Experiment, Measure, stats};

use super::{Stored, draw};
use crate::figure::{WeightPanel, effective_weights, loss_curves};
use crate::paper::{OpeningPart, PaperFigure, Scale, Variant};
use crate::report::{Opening, OpeningLinks, Trained};
use crate::{ReportError, finding, text};

/// A figure with its variants that are in the store.
type Drawn<'a> = (&'a PaperFigure, Vec<(&'a Variant, &'a Stored)>);

/// A mean training NLL below this counts as learned, in nats.
const LEARNED: f64 = 0.1;

/// Of models with a free head; `None` where the figure of the curves is not drawn.
pub(super) fn opening(store: &Store, drawn: &[Drawn<'_>]) -> Result<Option<Opening>, ReportError> {
    let of = |part| drawn.iter().find(|(figure, _)| figure.opening.as_ref() == Some(&part));
    let curves_of = of(OpeningPart::Curves);
    let free = curves_of.and_then(|(_, found)| found.iter().find(|(_, stored)| !stored.tied()));
    let Some((variant, stored)) = free else { return Ok(None) };
    let curves = draw::curves(stored, "trained sentences and held-out reversals");
    let filmed = of(OpeningPart::Film);
    let film = filmed.and_then(|(_, found)| {
        found.iter().find(|(variant, stored)| variant.film && !stored.tied())
    });
    let film = film.map_or(*stored, |(_, film)| *film);
    let weights = draw::weights(store, film, "effective weights of held-out pairs")?;
    let film = weights.map(|mut weights| {
        // The direction that was trained, and its reverse.
        let held_out = |panel: &WeightPanel| panel.group.starts_with("held_out");
        weights.panels.retain(held_out);
        weights.frames.iter_mut().for_each(|frame| frame.panels.retain(held_out));
        effective_weights("opening-weights", "Effective weights", 2, &[weights])
    });
    let told = drawn.iter().find_map(|drawn| Some((drawn, failures(drawn.0, &drawn.1)?)));
    let name = |drawn: Option<&Drawn<'_>>| drawn.map_or(String::new(), |(f, _)| f.name.clone());
    Ok(Some(Opening {
        more: OpeningLinks {
            curves: name(curves_of),
            film: name(filmed),
            failures: name(told.as_ref().map(|(drawn, _)| *drawn)),
        },
        trained: trained(stored, &variant.experiment(Scale::Paper, Some(1))?)?,
        finding: draw::finding(&[stored]),
        failures: told.as_ref().map(|(_, sentence)| sentence.clone()).unwrap_or_default(),
        curves: loss_curves("opening-curves", "The reversal curse", &[curves]),
        film,
    }))
}

/// Sizes of the models, here and in the paper.
fn trained(stored: &Stored, paper: &Experiment) -> Result<Vec<Trained>, ReportError> {
    let mut rows = Vec::new();
    let mut row = |quantity: &str, here: String, paper: String| {
        rows.push(Trained { quantity: quantity.into(), here, paper });
    };
    let here = &stored.experiment;
    if let (Some(own), Some(of_paper)) = (here.spec.model.decoder(), paper.spec.model.decoder()) {
        row("layers", own.layers.to_string(), of_paper.layers.to_string());
        row("dimension", own.dim.to_string(), of_paper.dim.to_string());
        row("heads", own.heads.to_string(), of_paper.heads.to_string());
    }
    let seed = stored.runs.first().map_or(0, |run| run.seed);
    let sizes = |experiment: &Experiment| -> Result<[String; 3], ReportError> {
        let data = experiment.dataset(seed)?;
        let counts = [experiment.network.vocab(), data.train.len(), data.held_out.len()];
        Ok(counts.map(|count| count.to_string()))
    };
    let names = ["vocabulary", "sentences", "held out"];
    for ((name, own), of_paper) in names.into_iter().zip(sizes(here)?).zip(sizes(paper)?) {
        row(name, own, of_paper);
    }
    row("epochs", here.spec.train.epochs.to_string(), paper.spec.train.epochs.to_string());
    row("learning rate", here.spec.train.lr.to_string(), paper.spec.train.lr.to_string());
    row("seeds", stored.runs.len().to_string(), super::tables::PAPER_SEEDS.to_owned());
    Ok(rows)
}

/// No trace of the pair, or a trace that is outranked: what the settings of one head show.
struct Head {
    settings: usize,
    above_uniform: usize,
    rank: Vec<f64>,
    top1: Vec<f64>,
}

impl Head {
    /// Of the settings of a sweep that learned their training sentences, each by its mean over
    /// seeds; `None` where there are none.
    fn of(stored: &[&Stored]) -> Option<Head> {
        let mean = |stored: &Stored, id| {
            stats::mean(&stored.values(Measure::named(id))).unwrap_or(f64::NAN)
        };
        let mut head = Head { settings: 0, above_uniform: 0, rank: vec![], top1: vec![] };
        for stored in stored.iter().filter(|s| mean(s, "train_eval_nll") < LEARNED) {
            head.settings += 1;
            head.above_uniform += usize::from(mean(stored, "held_out_nll_over_uniform") >= 1.0);
            head.rank.push(mean(stored, "rank_held_out"));
            head.top1.push(mean(stored, "held_out_top1"));
        }
        (head.settings > 0).then_some(head)
    }

    fn sentence(&self, name: &str) -> String {
        /// Ranks of 60 questions of one seed that are at chance stay within three standard errors.
        const CHANCE: f64 = 0.39;
        const FIRST: f64 = 0.1;
        const MOSTLY: f64 = 0.5;
        let least = self.rank.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.rank.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let answered = self.top1.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let trace = match (least, most) {
            (least, _) if least >= CHANCE => ": no trace of the pair",
            (_, most) if most <= FIRST && answered < MOSTLY => {
                ": a trace is there, and most often another answer outranks it"
            }
            (_, most) if most <= FIRST => ": a trace is there",
            _ => "",
        };
        let settings = if self.settings == 1 { "setting" } else { "settings" };
        format!(
            "With a {name} its mean is {}{trace}; the answer comes first in the vocabulary in {}, and \
             the NLL is at or above guessing in {} of {} {settings}.",
            finding::span(&self.rank, |rank| format!("{rank:.2}")),
            finding::span(&self.top1, text::percent),
            self.above_uniform,
            self.settings,
        )
    }
}

/// The two failures, from the sweep that a figure names; `None` without one, or without both heads.
pub(super) fn failures(figure: &PaperFigure, found: &[(&Variant, &Stored)]) -> Option<String> {
    let Some(OpeningPart::Failures(sweep)) = &figure.opening else { return None };
    let of = |tied: bool| -> Vec<&Stored> {
        let swept = found.iter().filter(|(variant, stored)| {
            stored.tied() == tied && variant.places.iter().any(|place| place.sweep == *sweep)
        });
        swept.map(|(_, stored)| *stored).collect()
    };
    let (free, tied) = (Head::of(&of(false))?, Head::of(&of(true))?);
    // Settings that are drawn and not counted are said to be so.
    let (learned, all) = (free.settings + tied.settings, of(false).len() + of(true).len());
    let counted = match learned == all {
        true => String::new(),
        false => format!(
            " Counted are the {learned} of {all} settings that learned their training sentences \
             (mean NLL below {LEARNED})."
        ),
    };
    Some(format!(
        "NLL and top-1 accuracy do not tell whether a model knows anything of the reverse; the rank \
         of the right answer among the held-out ones does (0 is first, 0.5 chance). {} {}{counted}",
        free.sentence("free head"),
        tied.sentence("tied head")
    ))
}
