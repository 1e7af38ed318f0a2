//! Measures of the held-out facts during training: ranks, asymmetry and intransitivity.

use std::rc::Rc;

use retrodict_dynamics::{Context, Ranking, Ranks, asymmetry, intransitivity, measure};
use retrodict_engine::Scalar;
use retrodict_facts::{Dataset, Role, Step, Token};
use retrodict_models::Trainer;

/// Contexts of one length.
type Contexts = Vec<Vec<Token>>;

/// The measures of held-out facts at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knowledge {
    /// Ranks of the right answers with the relation token in the context, as in the sentences.
    pub in_context: Ranks,
    /// The same with the entity alone, as in the paper's effective weights.
    pub after_entity: Ranks,
    /// The indexes of the effective weights.
    pub indexes: Indexes,
}

/// The indexes of effective weights; `None` where it does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Indexes {
    /// In the paper's single-token context.
    pub asymmetry: Option<f64>,
    /// With the relation token in the context.
    pub asymmetry_in_context: Option<f64>,
    /// In the paper's single-token context; chains.
    pub intransitivity: Option<f64>,
}

impl Indexes {
    /// The indexes from the margins of groups; `margin` is not called for others than the groups
    /// that they need.
    pub fn of(mut margin: impl FnMut(Role, Context) -> Option<f64>) -> Indexes {
        let mut asymmetry_in =
            |context| asymmetry(margin(Role::Seen, context)?, margin(Role::Unseen, context)?);
        let [single, in_context] =
            [Context::SingleToken, Context::WithRelation].map(&mut asymmetry_in);
        let mut link = |step| margin(Role::Chain { whole: false, step }, Context::SingleToken);
        let mut chain = || {
            let [a_to_b, b_to_c, a_to_c] = Step::ALL.map(&mut link);
            intransitivity(a_to_b?, b_to_c?, a_to_c?)
        };
        Indexes { asymmetry: single, asymmetry_in_context: in_context, intransitivity: chain() }
    }
}

/// Measures the knowledge of one run's held-out facts.
pub(crate) struct Examiner {
    in_context: Ranking,
    after_entity: Ranking,
    with_indexes: bool,
    /// Whether the held-out sentences put the questions in context, in the same order.
    asked_by_sentences: bool,
    /// The step of the last measurement, and the ranks in context by question.
    last: Option<(u64, [Vec<f64>; 2])>,
    /// Whether a measurement costs a few batches, not thousands of contexts: entities have one
    /// token.
    pub(crate) cheap: bool,
}

impl Examiner {
    /// Prepares the questions of a data set. The indexes are of effective weights, which a spec may
    /// leave out.
    pub(crate) fn new(dataset: &Dataset, with_indexes: bool) -> Examiner {
        let in_context = Ranking::in_context(dataset);
        Examiner {
            asked_by_sentences: in_context.is_of_sentences(&dataset.held_out),
            in_context,
            last: None,
            after_entity: Ranking::after_entity(dataset),
            with_indexes,
            cheap: dataset.entity_length == 1,
        }
    }

    /// Measures a model. `held_out` holds the logits of the last tokens of the held-out sentences,
    /// where they are known.
    pub(crate) fn measure<T: Scalar>(
        &mut self,
        trainer: &mut Trainer<T>,
        dataset: &Dataset,
        held_out: Option<Vec<f32>>,
    ) -> Knowledge {
        // Ranks and margins share contexts.
        let mut known: Vec<(Contexts, Rc<Vec<f32>>)> = Vec::new();
        if let Some(logits) = held_out.filter(|_| self.asked_by_sentences) {
            known.push((self.in_context.contexts().to_vec(), Rc::new(logits)));
        }
        let mut logits = |contexts: &[Vec<Token>]| {
            if let Some((_, logits)) = known.iter().find(|(of, _)| of == contexts) {
                return Rc::clone(logits);
            }
            let logits = Rc::new(trainer.logits_after(contexts));
            if self.cheap {
                known.push((contexts.to_vec(), Rc::clone(&logits)));
            }
            logits
        };
        let (in_context, by_question) = self.in_context.measure_each(&mut logits);
        let knowledge = Knowledge {
            in_context,
            after_entity: self.after_entity.measure(&mut logits),
            indexes: match self.with_indexes {
                true => Indexes::of(|role, context| {
                    measure(dataset.group_of(role)?, context, &mut logits)?.margin()
                }),
                false => Indexes::default(),
            },
        };
        self.last = Some((trainer.optimizer().steps(), by_question));
        knowledge
    }

    /// The normalised ranks in context by question, as [`Ranking::measure_each`] returns them. With
    /// entities of several tokens another measurement takes seconds: the last one counts if it was
    /// of this step.
    pub(crate) fn by_question<T: Scalar>(&mut self, trainer: &mut Trainer<T>) -> [Vec<f64>; 2] {
        let step = trainer.optimizer().steps();
        match self.last.take_if(|(of, _)| *of == step) {
            Some((_, ranks)) => ranks,
            None => self.in_context.measure_each(|contexts| trainer.logits_after(contexts)).1,
        }
    }
}
