//! Texts to train on, as tokens.

use crate::{Model, PretrainedError};

/// A text to train on.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingText {
    /// The text.
    pub text: String,
    /// The byte where its trained part begins: a token that ends after it is trained. With 0, all
    /// tokens but the first are.
    pub from: usize,
    /// The weight of each of its tokens in the mean loss.
    pub weight: f64,
}

/// A whole text, with weight 1.
impl From<&str> for TrainingText {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), from: 0, weight: 1.0 }
    }
}

/// The tokens of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The tokens, two at least.
    pub tokens: Vec<u32>,
    /// The number of the first trained token, 1 at least: all after it are trained too.
    pub first: usize,
    /// The weight of each trained token.
    pub weight: f64,
}

impl Sequence {
    /// The number of trained tokens.
    pub fn trained(&self) -> usize {
        self.tokens.len() - self.first
    }
}

impl Model {
    /// The tokens of texts.
    ///
    /// # Errors
    /// If there is no text, or one cannot be trained on.
    pub(super) fn sequences(
        &self,
        texts: &[TrainingText],
    ) -> Result<Vec<Sequence>, PretrainedError> {
        if texts.is_empty() {
            return Err(PretrainedError::Text("there is no text".to_owned()));
        }
        texts.iter().map(|text| self.sequence(text)).collect()
    }

    fn sequence(&self, of: &TrainingText) -> Result<Sequence, PretrainedError> {
        let TrainingText { text, from, weight } = of;
        let refuse = |problem: String| {
            let short: String = text.chars().take(80).collect();
            Err(PretrainedError::Text(format!("the text that begins “{short}” {problem}")))
        };
        if !(*weight > 0.0 && weight.is_finite()) {
            return refuse(format!("has the weight {weight}, but must have one above 0"));
        }
        let (tokens, ends) = self.tokens.encoded(text)?;
        // The last token is predicted from those before it.
        self.check_length(text, tokens.len().saturating_sub(1))?;
        let first = ends.iter().position(|end| end > from).unwrap_or(tokens.len()).max(1);
        if first >= tokens.len() {
            return refuse(match from {
                0 => "has a single token, and the first token of a text is not trained".to_owned(),
                from => format!("has no token to train on after its byte {from}"),
            });
        }
        Ok(Sequence { tokens, first, weight: *weight })
    }
}
