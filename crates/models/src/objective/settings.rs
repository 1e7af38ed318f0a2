//! The objective, as keys of a spec.

use retrodict_engine::LossFunction;
use retrodict_settings::{Condition, NOT_NEGATIVE, POSITIVE, keywords, settings};

use super::{Masking, Penalties, Reading, Term};

/// The token after the next: the distance of `objective.ahead`.
const AHEAD: usize = 2;

keywords! {
    /// How sentences are read.
    pub enum ReadingName {
        /// From left to right.
        NextToken = "next-token",
        /// All at once, some tokens masked, at every rate.
        Masked = "masked",
        /// From left to right, in a new order each time.
        Permuted = "permuted",
    }
}

settings! {
    /// The objective. Strengths weight a term beside the loss on sentences; 0 is none.
    pub struct ObjectiveSettings in "objective" {
        /// How sentences are read: from left to right, with masked tokens (and the bidirectional
        /// mixer), or in random orders.
        pub reading: ReadingName = ReadingName::NextToken, (), later;
        /// How training sentences are masked: tokens one by one, whole entities, or as masked
        /// diffusion, whose loss weighs a sentence by 1 / masking rate.
        pub masking: Masking = Masking::Tokens, (), later,
            when(Condition::is("objective.reading", &["masked"]));
        /// The loss of one prediction.
        pub loss: LossFunction;
        /// Strength of predicting the token after the next, with a head of its own.
        pub ahead: f64 = 0.0, NOT_NEGATIVE, later;
        /// Strength of the contrastive term, which draws a context near to its answer in the hidden
        /// space.
        pub contrastive: f64 = 0.0, NOT_NEGATIVE, later;
        /// Temperature of the contrastive term.
        pub temperature: f64 = 0.1, POSITIVE,
            when(Condition::positive("objective.contrastive"));
        /// Whether joint-embedding prediction replaces the loss on sentences: a context is drawn
        /// near to its answer in the hidden space, away from the other tokens of the batch, and
        /// its answer is the token whose representation alone is most similar.
        pub joint_embedding: bool = false, (), later,
            when(Condition::is_not("model.tie_head", "true"));
        /// Strength of the symmetry of logits, logit(y | x) = logit(x | y), over random pairs.
        pub symmetry: f64 = 0.0, NOT_NEGATIVE, later;
        /// Whether these logits are taken with the relation token in the context, or after the
        /// entity alone.
        pub symmetry_in_context: bool = true, (),
            when(Condition::positive("objective.symmetry"));
        /// Penalties on parameters.
        pub penalties: Penalties;
    }
}

impl ObjectiveSettings {
    /// The reading, for a vocabulary of so many tokens without the mask.
    pub fn reading(&self, vocab: usize) -> Reading {
        match self.reading {
            ReadingName::NextToken => Reading::NextToken,
            ReadingName::Masked => Reading::Masked { mask: vocab as u32, masking: self.masking },
            ReadingName::Permuted => Reading::Permuted,
        }
    }

    /// The terms besides the loss on sentences, except the symmetry, whose pairs a data set gives.
    pub fn terms(&self) -> Vec<Term> {
        let ahead = Term::Ahead { distance: AHEAD, strength: self.ahead };
        let (strength, temperature) = (self.contrastive, self.temperature);
        let contrastive = Term::Contrastive { strength, temperature };
        let on_sentences = [ahead, contrastive].into_iter().filter(|term| term.strength() > 0.0);
        let joint_embedding = self.joint_embedding.then_some(Term::JointEmbedding);
        on_sentences.chain(joint_embedding).chain(self.penalties.terms()).collect()
    }

    /// Whether any term is added to the loss on sentences.
    pub fn has_terms(&self) -> bool {
        self.symmetry > 0.0 || !self.terms().is_empty()
    }
}
