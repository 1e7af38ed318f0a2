//! Where a language model computes the answers to questions about facts: a logit lens after each
//! block, activation patches between questions, and what each part adds to an answer.

mod attributed;

use std::collections::HashMap;

use retrodict_corpus::{Direction, Fact, FactFile, Question, Templates, Trained, questions};
use retrodict_dynamics::locate as numbers;
use retrodict_lab::locate::{GroupAttribution, Lens, LensPoint, Located, Patching, places};
use retrodict_models::{LastNorm, Written};

use self::attributed::{Attributed, attributed};
use crate::{FinetuneError, LearnerError};

/// Pairs of questions that a patch is tried on, at most.
const MOST_PAIRS: usize = 16;

/// A question as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenQuestion {
    /// The tokens before the answer.
    pub tokens: Vec<u32>,
    /// The position of the last token of the entity that is asked about.
    pub entity: usize,
    /// The first token of the right answer.
    pub right: u32,
    /// The first tokens of other answers, without that of the right one.
    pub others: Vec<u32>,
}

/// The position at which the streams of two questions are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchPosition {
    /// The last token of the entity that is asked about.
    Entity,
    /// The last token of the question.
    Last,
}

impl PatchPosition {
    const ALL: [Self; 2] = [Self::Entity, Self::Last];

    fn name(self) -> &'static str {
        match self {
            Self::Entity => "end of the entity",
            Self::Last => "last token",
        }
    }
}

/// A language model whose residual stream can be read and replaced. Its places are numbered: 0
/// before the first block, then after each block. `take` gets the logits of the whole vocabulary;
/// `go` returns false to stop.
pub trait Inside {
    /// The number of blocks.
    fn blocks(&self) -> usize;

    /// A question as tokens; `entity_end` is the byte of the prompt where the entity ends.
    ///
    /// # Errors
    /// [`LearnerError::Failed`] for a text that the model cannot take.
    fn question(
        &self,
        prompt: &str,
        entity_end: usize,
        answer: &str,
        others: &[&str],
    ) -> Result<TokenQuestion, LearnerError>;

    /// The logits after each question as the head reads them at each place.
    ///
    /// # Errors
    /// [`LearnerError::Stopped`].
    fn lens(
        &mut self,
        questions: &[TokenQuestion],
        take: &mut dyn FnMut(usize, usize, &[f64]),
        go: &mut dyn FnMut() -> bool,
    ) -> Result<(), LearnerError>;

    /// The logits after the second question of each pair, with the first one's stream at a place
    /// and position.
    ///
    /// # Errors
    /// [`LearnerError::Stopped`].
    fn patched(
        &mut self,
        pairs: &[(&TokenQuestion, &TokenQuestion)],
        place: usize,
        position: PatchPosition,
        take: &mut dyn FnMut(usize, &[f64]),
        go: &mut dyn FnMut() -> bool,
    ) -> Result<(), LearnerError>;

    /// The parts with what each adds to the stream at the last token of each question, `[feature]`;
    /// they sum to the stream that the last norm reads.
    ///
    /// # Errors
    /// [`LearnerError::Stopped`].
    fn written(
        &mut self,
        questions: &[TokenQuestion],
        take: &mut dyn FnMut(usize, &[Written]),
        go: &mut dyn FnMut() -> bool,
    ) -> Result<(), LearnerError>;

    /// The norm before the head.
    fn last_norm(&self) -> LastNorm;

    /// The row of the head that gives a token's logit, `[feature]`.
    fn head_row(&self, token: u32) -> Vec<f64>;
}

/// Questions of one direction.
struct Group<'q> {
    id: &'static str,
    name: &'static str,
    pairs: &'static str,
    asked: Vec<(&'q Question, TokenQuestion)>,
}

/// Looks into a model with the first phrasing of every fact, in the direction that is stated and in
/// the other. `progress` is called with the work done and all, until it returns false.
///
/// # Errors
/// [`FinetuneError::Learner`] for a text that the model cannot take, and a stop.
pub fn locate(
    facts: &FactFile,
    templates: &Templates,
    model: &mut impl Inside,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<Located, FinetuneError> {
    let split = facts.split(0.0, 0);
    let all = questions(facts, templates, &split, 0);
    let first: Vec<&Question> = all.iter().filter(|of| of.phrasing == 0).collect();
    let stated: HashMap<usize, Direction> =
        facts.facts.iter().zip(&split).map(|(fact, split)| (fact.line, stated(*split))).collect();
    let by_line: HashMap<usize, &Fact> = facts.facts.iter().map(|fact| (fact.line, fact)).collect();
    let group = |id, name, pairs, is_stated: bool| -> Result<Group<'_>, LearnerError> {
        let of = first.iter().filter(|q| (stated[&q.line] == q.direction) == is_stated);
        let asked = of.map(|q| Ok((*q, as_tokens(model, q, by_line[&q.line], &first)?)));
        Ok(Group { id, name, pairs, asked: asked.collect::<Result<_, LearnerError>>()? })
    };
    let groups = [
        group("stated", "as stated", "a stated question into another", true)?,
        group("held_out_reverse", "in reverse", "a reverse question into another", false)?,
    ];
    let place_names = places(model.blocks());
    let work = groups.len() * (2 + PatchPosition::ALL.len() * place_names.len());
    let mut done = 0;
    let mut located = Located { places: place_names, ..Located::default() };
    for group in &groups {
        let lens = lens(model, group, located.places.len(), &mut || progress(done, work))?;
        located.lens.push(lens);
        done += 1;
        let asked: Vec<TokenQuestion> = group.asked.iter().map(|(_, of)| of.clone()).collect();
        let parts = attributed(model, &asked, &mut || progress(done, work))?;
        done += 1;
        if let Some(Attributed { names, sums, heads }) = parts {
            located.parts = names;
            located.attribution.push(GroupAttribution {
                id: group.id.to_owned(),
                name: group.name.to_owned(),
                questions: asked.iter().filter(|of| !of.others.is_empty()).count(),
                margin: sums.iter().sum(),
                parts: sums,
                heads,
            });
        }
    }
    for group in &groups {
        let pairs = pairs(&group.asked);
        if pairs.is_empty() {
            located.warnings.push(format!("no patches {}: no two questions differ", group.name));
            continue;
        }
        let mut step = |finished: bool| {
            done += usize::from(finished);
            progress(done, work)
        };
        located.patching.push(patching(model, group, &pairs, located.places.len(), &mut step)?);
    }
    Ok(located)
}

fn stated(split: Trained) -> Direction {
    match split {
        Trained::Only(direction) => direction,
        Trained::Both => Direction::Forward,
    }
}

fn as_tokens(
    model: &impl Inside,
    question: &Question,
    fact: &Fact,
    all: &[&Question],
) -> Result<TokenQuestion, LearnerError> {
    let entity = match question.direction {
        Direction::Forward => &fact.subject,
        Direction::Reverse => &fact.object,
    };
    let end = question.prompt.rfind(entity).map_or(question.prompt.len(), |at| at + entity.len());
    let key = |of: &Question| (of.relation.clone(), of.direction);
    let is_wrong = |of: &&&Question| {
        key(of) == key(question) && !question.answers.iter().any(|right| *right == of.answers[0])
    };
    let others: Vec<&str> = all.iter().filter(is_wrong).map(|of| of.answer.as_str()).collect();
    model.question(&question.prompt, end, &question.answer, &others)
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let count = values.clone().count();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

/// The tokens of a question, as indices of logits.
fn indices(question: &TokenQuestion) -> (usize, Vec<usize>) {
    (question.right as usize, question.others.iter().map(|token| *token as usize).collect())
}

fn margin(logits: &[f64], question: &TokenQuestion) -> f64 {
    let (right, others) = indices(question);
    numbers::margin(logits, right, &others).unwrap_or(f64::NAN)
}

fn lens(
    model: &mut impl Inside,
    group: &Group<'_>,
    places: usize,
    go: &mut dyn FnMut() -> bool,
) -> Result<Lens, LearnerError> {
    let asked: Vec<TokenQuestion> = group.asked.iter().map(|(_, of)| of.clone()).collect();
    let mut found: Vec<Vec<[f64; 3]>> = vec![Vec::new(); places];
    let mut take = |number: usize, place: usize, logits: &[f64]| {
        let (right, others) = indices(&asked[number]);
        let rank = numbers::rank(logits, right, &others);
        let of = [numbers::nll(logits, right), rank, margin(logits, &asked[number])];
        found[place].push(of);
    };
    model.lens(&asked, &mut take, go)?;
    let rivals = asked.iter().map(|of| of.others.len() as f64);
    let point = |values: Vec<[f64; 3]>| {
        let contested = values.iter().zip(&asked).filter(|(_, of)| !of.others.is_empty());
        let relative =
            contested.clone().map(|([_, rank, _], of)| (rank - 1.0) / of.others.len() as f64);
        LensPoint {
            nll: mean(values.iter().map(|[nll, ..]| *nll)).unwrap_or(f64::NAN),
            rank: mean(values.iter().map(|[_, rank, _]| *rank)).unwrap_or(f64::NAN),
            relative_rank: mean(relative),
            margin: mean(contested.map(|([.., margin], _)| *margin)),
        }
    };
    Ok(Lens {
        id: group.id.to_owned(),
        name: group.name.to_owned(),
        questions: asked.len(),
        candidates: 1.0 + mean(rivals).unwrap_or(0.0),
        places: found.into_iter().map(point).collect(),
    })
}

/// Each question with the next one of its relation whose answer is another.
fn pairs<'g>(
    asked: &'g [(&Question, TokenQuestion)],
) -> Vec<(&'g TokenQuestion, &'g TokenQuestion)> {
    let mut pairs = Vec::new();
    for (at, (question, clean)) in asked.iter().enumerate() {
        let next = asked[at + 1..].iter().chain(&asked[..at]).find(|(other, tokens)| {
            other.relation == question.relation
                && other.direction == question.direction
                && tokens.right != clean.right
        });
        if let Some((_, corrupted)) = next.filter(|_| !clean.others.is_empty()) {
            pairs.push((clean, corrupted));
        }
    }
    pairs.truncate(MOST_PAIRS);
    pairs
}

fn patching(
    model: &mut impl Inside,
    group: &Group<'_>,
    pairs: &[(&TokenQuestion, &TokenQuestion)],
    places: usize,
    go: &mut dyn FnMut(bool) -> bool,
) -> Result<Patching, LearnerError> {
    // Without a patch: the last place, the last position, of the corrupted question itself.
    let mut margins =
        |of: &[(&TokenQuestion, &TokenQuestion)], place, position, go: &mut dyn FnMut() -> bool| {
            let mut found = vec![f64::NAN; pairs.len()];
            let mut take = |number: usize, logits: &[f64]| {
                found[number] = margin(logits, pairs[number].0);
            };
            model.patched(of, place, position, &mut take, go).map(|()| found)
        };
    let own: Vec<_> = pairs.iter().map(|(_, corrupted)| (*corrupted, *corrupted)).collect();
    let cleans: Vec<_> = pairs.iter().map(|(clean, _)| (*clean, *clean)).collect();
    let corrupted = margins(&own, places - 1, PatchPosition::Last, &mut || go(false))?;
    let clean = margins(&cleans, places - 1, PatchPosition::Last, &mut || go(false))?;
    let mut recovered = Vec::with_capacity(places);
    for place in 0..places {
        let mut row = Vec::new();
        for position in PatchPosition::ALL {
            let patched = margins(pairs, place, position, &mut || go(false))?;
            row.push(numbers::recovered(&clean, &corrupted, &patched));
            if !go(true) {
                return Err(LearnerError::Stopped);
            }
        }
        recovered.push(row);
    }
    let average = |of: &[f64]| mean(of.iter().copied()).unwrap_or(f64::NAN);
    Ok(Patching {
        id: group.id.to_owned(),
        title: group.pairs.to_owned(),
        pairs: pairs.len(),
        clean_margin: average(&clean),
        corrupted_margin: average(&corrupted),
        positions: PatchPosition::ALL.map(|of| of.name().to_owned()).to_vec(),
        recovered,
    })
}
