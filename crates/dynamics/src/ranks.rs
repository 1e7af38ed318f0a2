//! The rank of the right answer at three levels: among the answers to held-out questions, among all
//! entities of its type, and in the whole vocabulary.
//!
//! The levels tell two failures apart. A model without a trace of a pair ranks the partner at chance
//! at every level; a model with a trace ranks it early among the candidates, even where other
//! answers are before it in the vocabulary.

use std::collections::{BTreeMap, BTreeSet};

use retrodict_facts::{Dataset, Entity, EntityType, Query, Question, Token};

use crate::{Logits, mean};

/// The ranks of the right answers to the held-out questions; `None` where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ranks {
    /// Among the entities of the answer's type that are answers to held-out questions.
    pub held_out: Standing,
    /// Among all entities of the answer's type.
    pub of_type: Standing,
    /// In the whole vocabulary; over the tokens of the answer, each after the true ones before it.
    pub vocabulary: Standing,
}

/// The standing of right answers among their competitors. Questions without a competitor are left
/// out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// The mean normalised rank, (rank − 1)/(competitors): 0 is first, 1 is last, 0.5 is chance.
    /// Ties share their mean rank.
    pub rank: Option<f64>,
    /// The fraction of questions whose right answer ranks before every competitor.
    pub top1: Option<f64>,
}

/// The number of candidates of a question, the right answer included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CandidateCount {
    /// The mean.
    pub mean: Option<f64>,
    /// The accuracy of a guess: the mean of 1/n.
    pub chance: Option<f64>,
}

/// The held-out questions of a data set with the candidates for their answers.
#[derive(Debug, Clone)]
pub struct Ranking {
    contexts: Vec<Vec<Token>>,
    /// The candidates of each question, and the place of the right one among them.
    right: Vec<(usize, usize)>,
    candidates: Vec<Candidates>,
    answer_length: usize,
}

/// The entities of one type.
#[derive(Debug, Clone)]
struct Candidates {
    /// Those that answer held-out questions come first.
    entities: Vec<Entity>,
    held_out: usize,
}

/// How often other candidates rank before the right one and level with it, by question.
struct Counts {
    before: Vec<u32>,
    equal: Vec<u32>,
}

impl Ranking {
    /// The held-out questions as the sentences put them, the relation after the entity. Empty where
    /// nothing is held out.
    pub fn in_context(dataset: &Dataset) -> Ranking {
        Ranking::new(dataset, &dataset.held_out_questions())
    }

    /// The held-out questions with the entity alone in the context. Empty where questions are not
    /// about one entity, as in the *icl* data.
    pub fn after_entity(dataset: &Dataset) -> Ranking {
        let alone = |query: &Query| Question { context: query.source.clone(), ..query.question() };
        let queries = dataset.held_out_group().map_or(&[][..], |group| &group.queries);
        Ranking::new(dataset, &queries.iter().map(alone).collect::<Vec<_>>())
    }

    fn new(dataset: &Dataset, questions: &[Question]) -> Ranking {
        let mut asked: BTreeMap<EntityType, BTreeSet<&Entity>> = BTreeMap::new();
        for question in questions {
            asked.entry(question.answer_type).or_default().insert(&question.answer);
        }
        let all = dataset.entities();
        let types: Vec<EntityType> = asked.keys().copied().collect();
        let candidates: Vec<Candidates> = asked
            .into_iter()
            .map(|(of, answers)| {
                let others = all.get(&of).into_iter().flatten();
                let others = others.filter(|entity| !answers.contains(entity)).cloned();
                let held_out = answers.len();
                let entities = answers.iter().map(|&entity| entity.clone()).chain(others);
                Candidates { entities: entities.collect(), held_out }
            })
            .collect();
        let right = questions.iter().filter_map(|question| {
            let list = types.iter().position(|of| *of == question.answer_type)?;
            let of_list = &candidates[list].entities;
            Some((list, of_list.iter().position(|entity| *entity == question.answer)?))
        });
        Ranking {
            contexts: questions.iter().map(|question| question.context.clone()).collect(),
            right: right.collect(),
            answer_length: questions.first().map_or(0, |question| question.answer.len()),
            candidates,
        }
    }

    /// Whether there is nothing to rank.
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }

    /// The candidates of a question among the held-out answers.
    pub fn held_out_candidates(&self) -> CandidateCount {
        self.count(|candidates| candidates.held_out)
    }

    /// The candidates of a question among the entities of the type.
    pub fn candidates_of_type(&self) -> CandidateCount {
        self.count(|candidates| candidates.entities.len())
    }

    fn count(&self, of: fn(&Candidates) -> usize) -> CandidateCount {
        // Questions are counted first, so that sixty with sixty candidates give 1/60 to the last
        // bit, and a result at chance can be recognised.
        let mut questions: BTreeMap<usize, usize> = BTreeMap::new();
        for (list, _) in &self.right {
            *questions.entry(of(&self.candidates[*list])).or_default() += 1;
        }
        questions.remove(&1);
        let all = questions.values().sum::<usize>() as f64;
        let sum = |of: fn(f64) -> f64| {
            questions.iter().map(|(n, count)| *count as f64 * of(*n as f64)).sum::<f64>()
        };
        let some = |sum: f64| (all > 0.0).then(|| sum / all);
        CandidateCount { mean: some(sum(|n| n)), chance: some(sum(|n| 1.0 / n)) }
    }

    /// The contexts of the questions.
    pub fn contexts(&self) -> &[Vec<Token>] {
        &self.contexts
    }

    /// Whether these questions, in their order, are sentences without their last token.
    pub fn is_of_sentences(&self, sentences: &[Vec<Token>]) -> bool {
        let before_last = sentences.iter().map(|s| s.split_last().map_or(&[][..], |(_, of)| of));
        self.answer_length == 1 && self.contexts.iter().map(Vec::as_slice).eq(before_last)
    }

    /// Measures a model. `logits` returns the logits `[vocabulary][context]` of the token after each
    /// context; the contexts of one call have one length.
    ///
    /// # Panics
    /// If `logits` returns other than a number of rows of one logit per context, or no row of some
    /// candidate's token.
    pub fn measure<L: Logits>(&self, logits: impl FnMut(&[Vec<Token>]) -> L) -> Ranks {
        self.measure_each(logits).0
    }

    /// The same, and the normalised rank of the right answer to each question that has a competitor:
    /// among the held-out answers, and among all entities of the type.
    pub fn measure_each<L: Logits>(
        &self,
        mut logits: impl FnMut(&[Vec<Token>]) -> L,
    ) -> (Ranks, [Vec<f64>; 2]) {
        if self.is_empty() {
            return Default::default();
        }
        let table = logits(&self.contexts);
        let [held_out, of_type] = self.among_candidates((*table).as_ref(), &mut logits);
        let ranks = Ranks {
            held_out: standing(held_out.iter().copied()),
            of_type: standing(of_type.iter().copied()),
            vocabulary: self.in_vocabulary(table, &mut logits),
        };
        let of_questions = |level: Vec<(f64, bool)>| level.into_iter().map(|(rank, _)| rank);
        (ranks, [held_out, of_type].map(|level| of_questions(level).collect()))
    }

    /// The normalised ranks by question, and whether the right answer is the first. `table` has the
    /// logits after the questions.
    fn among_candidates<L: Logits>(
        &self,
        table: &[f32],
        logits: &mut impl FnMut(&[Vec<Token>]) -> L,
    ) -> [Vec<(f64, bool)>; 2] {
        let lists: Vec<[Counts; 2]> = match self.answer_length {
            1 => self.candidates.iter().map(|list| self.by_logit(list, table)).collect(),
            _ => {
                let list = |list| self.by_probability(list, table, logits);
                (0..self.candidates.len()).map(list).collect()
            }
        };
        let level = |level: usize, size: fn(&Candidates) -> usize| {
            let of = |question: usize| {
                let list = self.right[question].0;
                lists[list][level].standing(question, size(&self.candidates[list]))
            };
            (0..self.contexts.len()).filter_map(of).collect()
        };
        [level(0, |list| list.held_out), level(1, |list| list.entities.len())]
    }

    /// The right answer to a question.
    fn answer(&self, question: usize) -> &Entity {
        let (list, place) = self.right[question];
        &self.candidates[list].entities[place]
    }

    /// Counts among the held-out answers and among all candidates, by the logit of their one token.
    fn by_logit(&self, list: &Candidates, table: &[f32]) -> [Counts; 2] {
        let questions = self.contexts.len();
        let row = |entity: &Entity| &table[entity[0] as usize * questions..][..questions];
        let right: Vec<f32> = (0..questions)
            .map(|question| table[self.answer(question)[0] as usize * questions + question])
            .collect();
        let (held_out, _) = list.entities.split_at(list.held_out);
        [held_out, &list.entities].map(|entities| count(&right, entities.iter().map(row)))
    }

    /// The same by the probability of all tokens.
    fn by_probability<L: Logits>(
        &self,
        list: usize,
        first: &[f32],
        logits: &mut impl FnMut(&[Vec<Token>]) -> L,
    ) -> [Counts; 2] {
        let (questions, of_list) = (self.contexts.len(), list);
        let list = &self.candidates[list];
        let mut scores = vec![0.0; list.entities.len() * questions];
        for place in 0..self.answer_length {
            let mut by_prefix: BTreeMap<&[Token], Vec<usize>> = BTreeMap::new();
            for (at, entity) in list.entities.iter().enumerate() {
                by_prefix.entry(&entity[..place]).or_default().push(at);
            }
            for (prefix, entities) in by_prefix {
                let after: Vec<_> = self.contexts.iter().map(|c| [c, prefix].concat()).collect();
                let later = (place > 0).then(|| logits(&after));
                let table = later.as_ref().map_or(first, |table| (**table).as_ref());
                let log_sum = log_sums(table, questions);
                for at in entities {
                    let row = &table[list.entities[at][place] as usize * questions..];
                    let scores = &mut scores[at * questions..][..questions];
                    for ((score, logit), log_sum) in scores.iter_mut().zip(row).zip(&log_sum) {
                        *score += f64::from(*logit) - log_sum;
                    }
                }
            }
        }
        let right = self.right.iter().enumerate().map(|(question, (list, place))| {
            // Questions about another type have counts that nobody reads.
            if *list == of_list { scores[place * questions + question] } else { 0.0 }
        });
        let right: Vec<f64> = right.collect();
        [list.held_out, list.entities.len()]
            .map(|entities| count(&right, scores.chunks_exact(questions).take(entities)))
    }

    /// The ranks of the tokens of the right answers, each after the true ones before it.
    fn in_vocabulary<L: Logits>(
        &self,
        first: L,
        logits: &mut impl FnMut(&[Vec<Token>]) -> L,
    ) -> Standing {
        let questions = self.contexts.len();
        let mut sums = vec![(0.0, true); questions];
        let mut first = Some(first);
        for place in 0..self.answer_length {
            let after = |(question, context): (usize, &Vec<Token>)| {
                [context, &self.answer(question)[..place]].concat()
            };
            let table = first.take().unwrap_or_else(|| {
                logits(&self.contexts.iter().enumerate().map(after).collect::<Vec<_>>())
            });
            let table: &[f32] = (*table).as_ref();
            let right: Vec<f32> = (0..questions)
                .map(|question| table[self.answer(question)[place] as usize * questions + question])
                .collect();
            let counts = count(&right, table.chunks_exact(questions));
            for (question, (rank, first)) in sums.iter_mut().enumerate() {
                let of_token = counts.standing(question, table.len() / questions);
                let (of_token, is_first) = of_token.unwrap_or((0.0, true));
                *rank += of_token / self.answer_length as f64;
                *first &= is_first;
            }
        }
        standing(sums.into_iter())
    }
}

impl Counts {
    /// The normalised rank of the right answer to a question among `size` candidates, and whether it
    /// is the first; `None` without a competitor.
    fn standing(&self, question: usize, size: usize) -> Option<(f64, bool)> {
        let (before, equal) = (self.before[question], self.equal[question]);
        let rank = (f64::from(before) + f64::from(equal) / 2.0) / (size as f64 - 1.0);
        (size > 1).then_some((rank, before + equal == 0))
    }
}

/// Counts `rows`, scores of candidates by question, that rank before `right` or level with it. The
/// right answer itself is among the candidates. A NaN ranks last.
fn count<'s, X: PartialOrd + Copy + 's>(
    right: &[X],
    rows: impl Iterator<Item = &'s [X]>,
) -> Counts {
    let mut before = vec![0; right.len()];
    let mut equal = vec![0; right.len()];
    for row in rows {
        for (((own, other), before), equal) in
            right.iter().zip(row).zip(&mut before).zip(&mut equal)
        {
            // Branch-free, so that it vectorises; false for a NaN.
            *before += u32::from(!own.ge(other));
            *equal += u32::from(own == other);
        }
    }
    for ((own, before), equal) in right.iter().zip(&mut before).zip(&mut equal) {
        #[expect(clippy::eq_op, reason = "a NaN differs from itself")]
        let itself = if own == own { equal } else { before };
        *itself = itself.saturating_sub(1);
    }
    Counts { before, equal }
}

fn standing(of: impl Iterator<Item = (f64, bool)> + Clone) -> Standing {
    Standing {
        rank: mean(of.clone().map(|(rank, _)| rank)),
        top1: mean(of.map(|(_, first)| f64::from(first))),
    }
}

/// ln Σ exp over the vocabulary, by question.
fn log_sums(table: &[f32], questions: usize) -> Vec<f64> {
    let mut largest = vec![f64::NEG_INFINITY; questions];
    for row in table.chunks_exact(questions) {
        for (largest, logit) in largest.iter_mut().zip(row) {
            *largest = largest.max(f64::from(*logit));
        }
    }
    let mut sums = vec![0.0; questions];
    for row in table.chunks_exact(questions) {
        for ((sum, largest), logit) in sums.iter_mut().zip(&largest).zip(row) {
            *sum += libm::exp(f64::from(*logit) - largest);
        }
    }
    sums.iter().zip(&largest).map(|(sum, largest)| libm::log(*sum) + largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_facts::{
        ChainConfig, DataKind as _, HoldOut, IclConfig, RelatedConfig, ReversalConfig,
    };

    fn close(found: Option<f64>, right: f64) -> bool {
        (found.unwrap() - right).abs() < 1e-12
    }

    /// The logit of a token after a context, without any order.
    fn scattered(context: &[Token], token: Token) -> f32 {
        let mix = |s: u64, t: u64| (s ^ t).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let state = context.iter().fold(1, |s, &t| mix(s, u64::from(t) + 7));
        let state = mix(mix(state, u64::from(token)), 5);
        (state >> 40) as f32 / 2_f32.powi(22)
    }

    fn table(contexts: &[Vec<Token>], vocab: usize) -> Vec<f32> {
        let row = |token| contexts.iter().map(move |context| scattered(context, token));
        (0..vocab as Token).flat_map(row).collect()
    }

    /// Every candidate's probability multiplied out, one context at a time.
    #[test]
    fn ranks_are_those_of_all_candidates_written_out() {
        let reversal = |vocab_size, entity_length| {
            ReversalConfig { vocab_size, entity_length, train_fraction: 0.7 }.generate(6).unwrap()
        };
        let unseen = IclConfig {
            entities: 12,
            attributes: 4,
            hold_out: HoldOut::Entities,
            ..IclConfig::default()
        };
        let related =
            RelatedConfig { tokens: 30, train: 5, held_out: 9, ..RelatedConfig::default() };
        for dataset in [
            reversal(60, 1),
            reversal(40, 2),
            reversal(20, 3),
            related.generate(6).unwrap(),
            unseen.generate(6).unwrap(),
        ] {
            let vocab = dataset.vocab as Token;
            let softmax = |context: &[Token], token: Token| {
                let exp = |token| f64::from(scattered(context, token)).exp();
                exp(token) / (0..vocab).map(exp).sum::<f64>()
            };
            let probability = |context: &[Token], entity: &[Token]| {
                let mut context = context.to_vec();
                let mut product = 1.0;
                for &token in entity {
                    product *= softmax(&context, token);
                    context.push(token);
                }
                product
            };
            let questions = dataset.held_out_questions();
            let all = dataset.entities();
            let mut expected = [[0.0; 4]; 3];
            for question in &questions {
                let right = probability(&question.context, &question.answer);
                let asked: BTreeSet<_> = questions
                    .iter()
                    .filter(|other| other.answer_type == question.answer_type)
                    .map(|other| other.answer.clone())
                    .collect();
                for (level, rivals) in [&asked, &all[&question.answer_type]].iter().enumerate() {
                    if rivals.len() < 2 {
                        continue;
                    }
                    let better = rivals
                        .iter()
                        .filter(|rival| probability(&question.context, rival) > right)
                        .count();
                    expected[level][3] += 1.0;
                    expected[level][0] += better as f64 / (rivals.len() - 1) as f64;
                    expected[level][1] += f64::from(better == 0);
                    expected[level][2] += 1.0 / rivals.len() as f64;
                }
                let mut context = question.context.clone();
                let mut first = true;
                for &token in &question.answer {
                    let own = scattered(&context, token);
                    let better = (0..vocab).filter(|t| scattered(&context, *t) > own).count();
                    let share = better as f64 / f64::from(vocab - 1);
                    expected[2][0] += share / question.answer.len() as f64;
                    first &= better == 0;
                    context.push(token);
                }
                expected[2][1] += f64::from(first);
                expected[2][3] += 1.0;
            }
            let ranking = Ranking::in_context(&dataset);
            let found = ranking.measure(|contexts| table(contexts, dataset.vocab));
            for (level, found) in
                [found.held_out, found.of_type, found.vocabulary].into_iter().enumerate()
            {
                let [rank, top1, _, n] = expected[level];
                assert!(close(found.rank, rank / n), "{level} {found:?}");
                assert!(close(found.top1, top1 / n), "{level} {found:?}");
                assert!(rank > 0.0, "some are not the first");
            }
            let (_, by_question) = ranking.measure_each(|contexts| table(contexts, dataset.vocab));
            for (ranks, found) in by_question.into_iter().zip([found.held_out, found.of_type]) {
                assert_eq!(mean(ranks.into_iter()), found.rank);
            }
            assert!(close(ranking.held_out_candidates().chance, expected[0][2] / expected[0][3]));
            assert!(close(ranking.candidates_of_type().chance, expected[1][2] / expected[1][3]));
        }
    }

    #[test]
    fn levels_of_the_reversal_data_are_the_held_out_and_all_of_the_type() {
        let dataset = ReversalConfig::default().generate(1).unwrap();
        let (context, alone) = (Ranking::in_context(&dataset), Ranking::after_entity(&dataset));
        assert_eq!(context.candidates_of_type().mean, Some(200.0));
        assert_eq!(context.candidates_of_type().chance, Some(1.0 / 200.0), "exactly");
        assert_eq!(context.held_out_candidates(), alone.held_out_candidates());
        assert!(context.contexts.iter().all(|c| c.len() == 2));
        assert!(alone.contexts.iter().all(|c| c.len() == 1));
    }

    #[test]
    fn equals_share_their_mean_rank_and_none_is_first() {
        let dataset = ChainConfig::default().generate(1).unwrap();
        let ranking = Ranking::in_context(&dataset);
        let flat = ranking.measure(|contexts| vec![0.25; dataset.vocab * contexts.len()]);
        for standing in [flat.held_out, flat.of_type, flat.vocabulary] {
            assert!(close(standing.rank, 0.5), "{flat:?}");
            assert_eq!(standing.top1, Some(0.0));
        }
        assert_eq!(ranking.held_out_candidates().mean, Some(60.0));
        assert_eq!(ranking.held_out_candidates().chance, Some(1.0 / 60.0), "exactly");
        let nan = ranking.measure(|contexts| vec![f32::NAN; dataset.vocab * contexts.len()]);
        for standing in [nan.held_out, nan.of_type, nan.vocabulary] {
            assert!(close(standing.rank, 1.0), "{nan:?}");
        }
    }

    #[test]
    fn nothing_is_ranked_where_nothing_is_held_out() {
        let whole = ChainConfig { train_fraction: 1.0, ..ChainConfig::default() };
        let ranking = Ranking::in_context(&whole.generate(1).unwrap());
        assert_eq!(ranking.measure(|_| -> Vec<f32> { panic!("asked") }), Ranks::default());
        let icl = IclConfig::default().generate(1).unwrap();
        assert!(!Ranking::in_context(&icl).is_empty() && Ranking::after_entity(&icl).is_empty());
    }
}
