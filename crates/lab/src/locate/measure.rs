//! The three measurements on a trained model.

use retrodict_dynamics::locate as numbers;
use retrodict_engine::Scalar;
use retrodict_models::{NoParts, NotADecoder, Part, Patch, Site, Trainer};

use super::questions::{Asked, Pairs};
use super::{Lens, LensPoint, Patching};
use crate::measures::capped;
use crate::stats;

fn contexts(questions: &[Asked]) -> Vec<Vec<u32>> {
    questions.iter().map(|asked| asked.context.clone()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    stats::mean(&values.collect::<Vec<f64>>()).unwrap_or(f64::NAN)
}

/// The logit lens on the questions of a group.
pub(super) fn lens<T: Scalar>(
    trainer: &mut Trainer<T>,
    id: String,
    name: String,
    questions: &[Asked],
) -> Result<Lens, NotADecoder> {
    let places = trainer.lens_logits(&contexts(questions))?;
    let rivals = |asked: &Asked| asked.others.len() as f64;
    let point = |rows: Vec<Vec<f64>>| {
        let both = || rows.iter().zip(questions);
        let rank =
            |(row, asked): (&Vec<f64>, &Asked)| numbers::rank(row, asked.right, &asked.others);
        let contested = || both().filter(|(_, asked)| !asked.others.is_empty());
        let relative: Vec<f64> =
            contested().map(|(row, asked)| (rank((row, asked)) - 1.0) / rivals(asked)).collect();
        let margins: Vec<f64> = both()
            .filter_map(|(row, asked)| numbers::margin(row, asked.right, &asked.others))
            .collect();
        LensPoint {
            nll: mean(both().map(|(row, asked)| capped(numbers::nll(row, asked.right)))),
            rank: mean(both().map(rank)),
            relative_rank: stats::mean(&relative),
            margin: stats::mean(&margins),
        }
    };
    Ok(Lens {
        id,
        name,
        questions: questions.len(),
        candidates: mean(questions.iter().map(|asked| 1.0 + rivals(asked))),
        places: places.into_iter().map(point).collect(),
    })
}

/// One position of one place at a time.
pub(super) fn patching<T: Scalar>(
    trainer: &mut Trainer<T>,
    pairs: &Pairs,
) -> Result<Patching, NotADecoder> {
    let clean = contexts(&pairs.clean);
    let length = clean.first().map_or(0, Vec::len);
    let positions = trainer.positions_of(length);
    let margins = |rows: &[Vec<f64>]| -> Vec<f64> {
        let of = |(row, asked): (&Vec<f64>, &Asked)| {
            numbers::margin(row, asked.right, &asked.others).unwrap_or(f64::NAN)
        };
        rows.iter().zip(&pairs.clean).map(of).collect()
    };
    let sites = trainer.decoder()?.stream_sites();
    let own = |trainer: &mut Trainer<T>, contexts: &[Vec<u32>]| {
        let places = trainer.lens_logits(contexts)?;
        Ok::<_, NotADecoder>(places.last().map(|rows| margins(rows)).unwrap_or_default())
    };
    let (clean_margins, corrupted_margins) =
        (own(trainer, &clean)?, own(trainer, &pairs.corrupted)?);
    let mut share = |site: Site, position: usize| {
        let patch = Patch { site, positions: vec![position] };
        let patched = margins(&trainer.patched_logits(&clean, &pairs.corrupted, &patch)?);
        Ok::<_, NotADecoder>(numbers::recovered(&clean_margins, &corrupted_margins, &patched))
    };
    let recovered = sites
        .iter()
        .map(|site| (0..positions).map(|position| share(*site, position)).collect())
        .collect::<Result<_, _>>()?;
    Ok(Patching {
        id: pairs.id.to_owned(),
        title: pairs.title.to_owned(),
        pairs: clean.len(),
        clean_margin: mean(clean_margins.iter().copied()),
        corrupted_margin: mean(corrupted_margins.iter().copied()),
        positions: pairs.clean.first().map_or_else(Vec::new, |a| position_names(a, positions)),
        recovered,
    })
}

/// The name of each position: entity and relation, the given tokens of the answer, and the mask if
/// one follows.
fn position_names(asked: &Asked, positions: usize) -> Vec<String> {
    let (entity, length) = (asked.source, asked.context.len());
    let numbered = |what: &str, count: usize, p: usize| {
        if count == 1 { what.to_owned() } else { format!("{what} {}", p + 1) }
    };
    let name = |p: usize| match p {
        p if p < entity => numbered("entity", entity, p),
        p if p == entity => "relation".to_owned(),
        p if p < length => numbered("answer", length - entity - 1, p - entity - 1),
        _ => "mask".to_owned(),
    };
    (0..positions).map(name).collect()
}

/// The names of parts and what each adds to the margin, on average over the questions with
/// rivals; `None` where there is no such question.
pub(super) type Sums = Option<(Vec<String>, Vec<f64>)>;

/// The contributions of the parts to the margins of a group's answers.
pub(super) fn attribution<T: Scalar>(
    trainer: &mut Trainer<T>,
    questions: &[Asked],
) -> Result<Sums, NoParts> {
    let all = trainer.parts(&contexts(questions))?;
    let norm = &all.norm;
    let reader = numbers::Reader {
        gain: &norm.gain,
        bias: &norm.bias,
        epsilon: norm.epsilon,
        centred: norm.centred,
    };
    let mut sums = vec![0.0; all.parts.len() + 1];
    let mut count = 0;
    for (written, asked) in all.written.iter().zip(questions) {
        let direction = numbers::margin_direction(&all.head, asked.right, &asked.others);
        let Some(direction) = direction else { continue };
        let own = numbers::attribution(written, &reader, &direction);
        let terms = own.parts.iter().chain([&own.bias]);
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        count += 1;
    }
    sums.iter_mut().for_each(|sum| *sum /= f64::from(count));
    let names = all.parts.iter().map(name).chain(["norm bias".to_owned()]);
    Ok((count > 0).then(|| (names.collect(), sums)))
}

fn name(part: &Part) -> String {
    match part {
        Part::Embeddings => "embeddings".to_owned(),
        Part::Head { block, head } => format!("block {} head {}", block + 1, head + 1),
        Part::MixerBias(block) => format!("block {} bias", block + 1),
        Part::Mlp(block) => format!("block {} MLP", block + 1),
    }
}
