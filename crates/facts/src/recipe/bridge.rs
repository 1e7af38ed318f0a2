//! The identity bridge (arXiv 2602.02470, *Breaking the Reversal Curse in Autoregressive Language
//! Models via Identity Bridge*): beside A –r→ B, which counts six times as much, sentences that
//! hold no new fact.

use std::collections::HashSet;

use super::identities::identity;
use super::layout::facts;
use super::method::{Method, Need};
use super::size::SizeBefore;
use super::{Recipe, Sentence, SetBuilder};

/// `bridge-out-of-context(W)`: *the r⁻¹ of A's r is A*, `[A, r, r⁻¹, A]`, and *the name of B is B*,
/// `[B, name, B]`. The former implies B without naming it.
pub(super) const OUT_OF_CONTEXT: Bridge = Bridge::new(Form::OutOfContext);
/// `bridge-plain(W)`: *the name of A is A* and *the name of B is B*; the curse stays.
pub(super) const PLAIN: Bridge = Bridge::new(Form::Plain);
/// `bridge-without-self(W)`: [`OUT_OF_CONTEXT`] without *the name of B is B*: an ablation, which
/// shows whether the first half is enough.
pub(super) const WITHOUT_SELF: Bridge = Bridge::new(Form::WithoutSelf);

/// The weight of facts beside the identities (arXiv 2602.02470).
const FACT_WEIGHT: f64 = 6.0;

/// The form of the identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OutOfContext,
    Plain,
    WithoutSelf,
}

/// Adds the identities of every trained fact A –r→ B, each once, after multiplying the weights of
/// all sentences so far.
pub(super) struct Bridge {
    form: Form,
    /// W, the factor of the weights, above 0.
    fact_weight: f64,
}

impl Bridge {
    const fn new(form: Form) -> Self {
        Self { form, fact_weight: FACT_WEIGHT }
    }
}

impl Method for Bridge {
    fn name(&self) -> &'static str {
        match self.form {
            Form::OutOfContext => "bridge-out-of-context",
            Form::Plain => "bridge-plain",
            Form::WithoutSelf => "bridge-without-self",
        }
    }

    fn argument(&self) -> Option<String> {
        Some(self.fact_weight.to_string())
    }

    fn with_argument(&self, text: &str) -> Result<Recipe, &'static str> {
        match text.parse() {
            Ok(fact_weight) if fact_weight > 0.0 && f64::is_finite(fact_weight) => {
                Ok(Recipe::new(Self { fact_weight, ..*self }))
            }
            _ => Err("it is the weight of a fact beside an identity, a number above 0"),
        }
    }

    fn needs(&self) -> Need {
        match self.form {
            Form::Plain => Need::Triples,
            Form::OutOfContext | Form::WithoutSelf => Need::Inverses,
        }
    }

    fn new_tokens(&self) -> usize {
        usize::from(self.form != Form::WithoutSelf)
    }

    fn longest(&self, before: &SizeBefore) -> (usize, usize) {
        before.entities(2, if self.form == Form::Plain { 1 } else { 2 })
    }

    fn apply(&self, set: &mut SetBuilder) {
        for sentence in &mut set.training_set.sentences {
            sentence.weight *= self.fact_weight;
        }
        let name = (self.form != Form::WithoutSelf).then(|| set.new_token());
        let mut added = HashSet::new();
        for fact in facts(set.dataset) {
            let of_source = match self.form {
                Form::Plain => name.map(|name| identity(fact.source, name, fact.source)),
                Form::OutOfContext | Form::WithoutSelf => {
                    set.dataset.inverse(fact.relation).map(|inverse| Sentence {
                        tokens: [fact.source, &[fact.relation, inverse], fact.source].concat(),
                        answer: fact.source.len(),
                        weight: 1.0,
                    })
                }
            };
            let of_answer = name.map(|name| identity(fact.answer, name, fact.answer));
            for sentence in [of_source, of_answer].into_iter().flatten() {
                if added.insert(sentence.tokens.clone()) {
                    set.add(sentence);
                }
            }
        }
    }
}
