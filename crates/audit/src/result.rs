//! The result of an audit: how well each fact is known in each direction, and a verdict.

use retrodict_corpus::{Direction, FactFile};
use retrodict_facts::RandomState;
use retrodict_lab::bootstrap::{Interval, interval_of_mean};
use serde::Serialize;

use crate::statistics::{mean, p_of_sign_flips};
use crate::{Asked, AuditError, Generated, Plan, Scores};

/// p-values below this are significant.
const SIGNIFICANT: f64 = 0.05;
/// Sign flips of a p-value.
pub(crate) const DRAWS: u32 = 10_000;
/// Permutations of the facts that calibrate the verdict.
const PERMUTATIONS: u32 = 200;
/// Sign flips of a p-value of a permutation.
const DRAWS_OF_PERMUTATION: u32 = 1000;
/// The seed of all draws.
pub(crate) const SEED: u32 = 2024;

/// How well a model knows a fact in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Known {
    /// The log probability of the right answer in nats, the mean over phrasings.
    pub log_probability: f64,
    /// The log probability per token.
    pub per_token: f64,
    /// The log probability minus its mean after the questions about other entities, which removes
    /// how likely the answer is by itself: the log-odds against permuted pairs. `None` without other
    /// entities.
    pub gain: Option<f64>,
    /// The rank of the right answer among the candidates by gain, other right answers left out: 1
    /// first; halves for ties.
    pub rank: Option<f64>,
    /// The same by log probability.
    pub raw_rank: f64,
    /// The number of candidates of these ranks.
    pub candidates: usize,
    /// The rank by gain from 1, first, over 0.5, as by chance, to 0, last. `None` of one candidate.
    pub level: Option<f64>,
    /// The share of phrasings after which the model's own words begin with a right answer. `None`
    /// where it was not asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<f64>,
}

/// A fact, known in either direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactResult {
    /// Its line in the file.
    pub line: usize,
    /// Its relation.
    pub relation: String,
    /// Its subject.
    pub subject: String,
    /// Its object.
    pub object: String,
    /// Its group, if it has one.
    pub group: Option<String>,
    /// The object after the subject.
    pub forward: Known,
    /// The subject after the object.
    pub reverse: Known,
}

/// The verdict that the levels give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The facts are known forward, and less in reverse.
    Curse,
    /// The facts are known better in reverse.
    ReverseBetter,
    /// The facts are known forward, and no difference to the reverse is shown.
    NoneShown,
    /// The facts are not known forward, so nothing follows about the reverse.
    NotKnown,
}

impl Verdict {
    /// The verdict in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Curse => {
                "The curse shows: the model knows these facts forward, and less in reverse."
            }
            Self::ReverseBetter => "The model knows these facts better in reverse than forward.",
            Self::NoneShown => "No curse is shown: the two directions do not differ beyond chance.",
            Self::NotKnown => {
                "The model does not know these facts forward, so that nothing can be said of the \
                 reverse."
            }
        }
    }
}

/// The facts of one relation, or all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RelationResult {
    /// The relation; empty for all facts.
    pub relation: String,
    /// The facts with a level in both directions.
    pub facts: usize,
    /// The mean level forward.
    pub forward_level: Option<f64>,
    /// The mean level in reverse.
    pub reverse_level: Option<f64>,
    /// The share of facts whose right answer is the most likely candidate, forward.
    pub forward_top1: Option<f64>,
    /// The same in reverse.
    pub reverse_top1: Option<f64>,
    /// The mean share of phrasings after which the model's own words begin with a right answer,
    /// forward. `None` where it was not asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_exact: Option<f64>,
    /// The same in reverse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse_exact: Option<f64>,
    /// The mean of the forward level minus the reverse one: the recall asymmetry.
    pub asymmetry: Option<f64>,
    /// Its 95 % interval over facts, or over their groups: a percentile bootstrap.
    pub asymmetry_interval: Option<[f64; 2]>,
    /// The two-sided p-value of no asymmetry, by sign flips of the differences.
    pub p: Option<f64>,
    /// The two-sided p-value of a forward level of chance.
    pub p_forward: Option<f64>,
    /// The mean difference of the gains, in nats.
    pub gain_asymmetry: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditResult {
    /// The version of the program.
    pub version: &'static str,
    /// The model, as its server or file is called.
    pub model: String,
    /// The file of facts.
    pub facts_file: String,
    /// The SHA-256 of that file.
    pub facts_sha256: String,
    /// All facts together.
    pub all: RelationResult,
    /// Each relation.
    pub relations: Vec<RelationResult>,
    /// The share of 200 permutations of the facts, which the model cannot know, of which the verdict
    /// would be a curse. `None` where candidates were drawn, or facts cannot be permuted.
    pub false_curses: Option<f64>,
    /// Every fact.
    pub facts: Vec<FactResult>,
}

/// The statistics of complete scores, and of what the model says in its own words.
///
/// # Errors
/// [`AuditError::Missing`] if a score is missing.
pub fn audit(
    facts: &FactFile,
    plan: &Plan,
    scores: &Scores,
    generated: &Generated,
    model: &str,
) -> Result<AuditResult, AuditError> {
    let requests = plan.requests();
    let missing = scores.missing(&requests);
    if let Some(first) = missing.first() {
        let (prompt, answer) = (first.prompt.clone(), first.answer.clone());
        return Err(AuditError::Missing {
            missing: missing.len(),
            all: requests.len(),
            prompt,
            answer,
        });
    }
    let matrices: Vec<Matrix<'_>> =
        plan.asked.iter().map(|asked| Matrix::of(asked, scores)).collect();
    let of = |relation: &str, direction| {
        matrices.iter().find(|m| m.asked.relation == relation && m.asked.direction == direction)
    };
    let mut results = Vec::new();
    for fact in &facts.facts {
        let [Some(forward), Some(reverse)] = Direction::ALL.map(|d| of(&fact.relation, d)) else {
            continue;
        };
        let [forward, reverse] = [(forward, Direction::Forward), (reverse, Direction::Reverse)]
            .map(|(matrix, d)| matrix.known_of(fact.source(d), fact.answer(d), generated));
        let (Some(forward), Some(reverse)) = (forward, reverse) else { continue };
        results.push(FactResult {
            line: fact.line,
            relation: fact.relation.clone(),
            subject: fact.subject.clone(),
            object: fact.object.clone(),
            group: fact.group.clone(),
            forward,
            reverse,
        });
    }
    let mut random = RandomState::new(SEED);
    let all: Vec<&FactResult> = results.iter().collect();
    let whole = summed("", &all, &mut random);
    let relations = facts.relations().into_iter().map(|relation| {
        let of: Vec<&FactResult> = results.iter().filter(|f| f.relation == relation).collect();
        summed(relation, &of, &mut random)
    });
    let relations = relations.collect();
    let false_curses = false_curses(&results, &matrices, &mut random);
    Ok(AuditResult {
        version: retrodict_lab::VERSION,
        model: model.to_owned(),
        facts_file: facts.name.clone(),
        facts_sha256: facts.digest.clone(),
        all: whole,
        relations,
        false_curses,
        facts: results,
    })
}

/// The log probabilities of candidates after questions, means over phrasings.
struct Matrix<'p> {
    asked: &'p Asked,
    /// By source and candidate; NaN where none was scored.
    log_probabilities: Vec<Vec<f64>>,
    /// The same per token.
    per_token: Vec<Vec<f64>>,
    /// The log probability minus that of the candidate after other questions; NaN if there are none.
    gains: Vec<Vec<f64>>,
}

impl<'p> Matrix<'p> {
    fn of(asked: &'p Asked, scores: &Scores) -> Self {
        let empty = vec![vec![f64::NAN; asked.candidates.len()]; asked.sources.len()];
        let (mut log_probabilities, mut per_token) = (empty.clone(), empty.clone());
        let phrasings = asked.phrasings() as f64;
        for (source, scored) in asked.scored.iter().enumerate() {
            for &candidate in scored {
                let (mut sum, mut tokens) = (0.0, 0.0);
                for phrasing in 0..asked.phrasings() {
                    let score = scores.get(&asked.request(phrasing, source, candidate));
                    sum += score.map_or(f64::NAN, |score| score.log_probability);
                    tokens += score.map_or(f64::NAN, |score| score.tokens as f64);
                }
                log_probabilities[source][candidate] = sum / phrasings;
                per_token[source][candidate] = sum / tokens;
            }
        }
        let mut gains = empty;
        for candidate in 0..asked.candidates.len() {
            // The prior: after questions to which it is wrong.
            let wrong =
                (0..asked.sources.len()).filter(|at| !asked.right[*at].contains(&candidate));
            let after: Vec<(usize, f64)> = wrong
                .map(|at| (at, log_probabilities[at][candidate]))
                .filter(|(_, value)| !value.is_nan())
                .collect();
            let (sum, count) = (after.iter().map(|(_, v)| v).sum::<f64>(), after.len() as f64);
            for source in 0..asked.sources.len() {
                let value = log_probabilities[source][candidate];
                // A question does not count towards its own prior.
                let own = after.iter().any(|(at, _)| *at == source);
                let (sum, count) = if own { (sum - value, count - 1.0) } else { (sum, count) };
                if count > 0.0 {
                    gains[source][candidate] = value - sum / count;
                }
            }
        }
        Self { asked, log_probabilities, per_token, gains }
    }

    fn known_of(&self, source: &str, answer: &str, generated: &Generated) -> Option<Known> {
        let source = self.asked.sources.iter().position(|name| name == source)?;
        let answer = self.asked.candidates.iter().position(|name| name == answer)?;
        let exact = generated.exact(self.asked, source);
        Some(Known { exact, ..self.known(source, answer) })
    }

    /// How well an answer is known, right or not.
    fn known(&self, source: usize, answer: usize) -> Known {
        let right = &self.asked.right[source];
        let rank = |values: &[f64]| -> Option<(f64, usize)> {
            let own = values[answer];
            let mut rank = 1.0;
            let mut candidates = 1;
            for (at, value) in values.iter().enumerate() {
                if at == answer || value.is_nan() || right.contains(&at) {
                    continue;
                }
                candidates += 1;
                rank += match value.total_cmp(&own) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
            (!own.is_nan()).then_some((rank, candidates))
        };
        let by_gain = rank(&self.gains[source]);
        let (raw_rank, candidates) = rank(&self.log_probabilities[source]).unwrap_or((f64::NAN, 1));
        let level = by_gain.filter(|(_, candidates)| *candidates > 1);
        let gain = self.gains[source][answer];
        Known {
            log_probability: self.log_probabilities[source][answer],
            per_token: self.per_token[source][answer],
            gain: (!gain.is_nan()).then_some(gain),
            rank: by_gain.map(|(rank, _)| rank),
            raw_rank,
            candidates,
            level: level.map(|(rank, count)| 1.0 - (rank - 1.0) / (count as f64 - 1.0)),
            exact: None,
        }
    }
}

/// Means of a value over facts of one group; a fact without a group is its own.
fn by_group(facts: &[&FactResult], value: impl Fn(&FactResult) -> Option<f64>) -> Vec<f64> {
    let mut groups: Vec<(Option<&str>, Vec<f64>)> = Vec::new();
    for fact in facts {
        let Some(value) = value(fact) else { continue };
        let name = fact.group.as_deref();
        match groups.iter_mut().find(|(other, _)| name.is_some() && *other == name) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups.into_iter().filter_map(|(_, values)| mean(&values)).collect()
}

fn level_difference(fact: &FactResult) -> Option<f64> {
    Some(fact.forward.level? - fact.reverse.level?)
}

fn summed(relation: &str, facts: &[&FactResult], random: &mut RandomState) -> RelationResult {
    let values = |of: &dyn Fn(&FactResult) -> Option<f64>| -> Vec<f64> {
        facts.iter().filter_map(|fact| of(fact)).collect()
    };
    let differences = by_group(facts, level_difference);
    let forward = by_group(facts, |fact| Some(fact.forward.level? - 0.5));
    let p = p_of_sign_flips(&differences, DRAWS, random);
    let p_forward = p_of_sign_flips(&forward, DRAWS, random);
    let asymmetry = mean(&differences);
    let interval = interval_of_mean(&differences);
    RelationResult {
        relation: relation.to_owned(),
        facts: values(&level_difference).len(),
        forward_level: mean(&values(&|fact| fact.forward.level)),
        reverse_level: mean(&values(&|fact| fact.reverse.level)),
        forward_top1: mean(&values(&|fact| {
            Some(f64::from(u8::from(fact.forward.raw_rank == 1.0)))
        })),
        reverse_top1: mean(&values(&|fact| {
            Some(f64::from(u8::from(fact.reverse.raw_rank == 1.0)))
        })),
        forward_exact: mean(&values(&|fact| fact.forward.exact)),
        reverse_exact: mean(&values(&|fact| fact.reverse.exact)),
        asymmetry,
        asymmetry_interval: interval.map(|Interval { low, high }| [low, high]),
        p,
        p_forward,
        gain_asymmetry: mean(&values(&|fact| Some(fact.forward.gain? - fact.reverse.gain?))),
        verdict: verdict(mean(&forward), p_forward, asymmetry, p),
    }
}

fn verdict(
    forward: Option<f64>,
    p_forward: Option<f64>,
    asymmetry: Option<f64>,
    p: Option<f64>,
) -> Verdict {
    let shown = |p: Option<f64>| p.is_some_and(|p| p < SIGNIFICANT);
    match asymmetry {
        Some(difference) if shown(p) && difference < 0.0 => Verdict::ReverseBetter,
        _ if !(shown(p_forward) && forward.is_some_and(|level| level > 0.0)) => Verdict::NotKnown,
        Some(difference) if shown(p) && difference > 0.0 => Verdict::Curse,
        _ => Verdict::NoneShown,
    }
}

/// The share of permutations with a verdict of a curse. A permutation gives every subject the object
/// of another fact of the relation, in both directions alike; pairs that are facts are left out.
///
/// The share counts differences that alone would be judged a curse. It does not ask for a forward
/// direction above chance, which no permutation has.
fn false_curses(
    facts: &[FactResult],
    matrices: &[Matrix<'_>],
    random: &mut RandomState,
) -> Option<f64> {
    if !matrices.iter().all(|matrix| matrix.asked.is_whole()) {
        return None;
    }
    let mut curses = 0;
    for _ in 0..PERMUTATIONS {
        let mut differences = Vec::new();
        for pair in matrices.chunks(2) {
            let [forward, reverse] = pair else { return None };
            let of = facts.iter().filter(|fact| fact.relation == forward.asked.relation);
            let place = |names: &[String], name: &str| names.iter().position(|other| other == name);
            // Forward sources are reverse candidates in the same order, and the other way about.
            let pairs: Vec<(usize, usize)> = of
                .filter_map(|fact| {
                    let subject = place(&forward.asked.sources, &fact.subject)?;
                    Some((subject, place(&forward.asked.candidates, &fact.object)?))
                })
                .collect();
            let mut objects: Vec<usize> = pairs.iter().map(|(_, object)| *object).collect();
            random.shuffle(&mut objects);
            for ((subject, _), object) in pairs.iter().zip(objects) {
                if forward.asked.right[*subject].contains(&object) {
                    continue;
                }
                let levels = [forward.known(*subject, object), reverse.known(object, *subject)];
                if let [Some(one), Some(other)] = levels.map(|known| known.level) {
                    differences.push(one - other);
                }
            }
        }
        let p = p_of_sign_flips(&differences, DRAWS_OF_PERMUTATION, random)?;
        curses += u32::from(p < SIGNIFICANT && mean(&differences)? > 0.0);
    }
    Some(f64::from(curses) / f64::from(PERMUTATIONS))
}
