//! The formats of training text that fine-tuning libraries read, one JSON object a line.

use serde_json::{Value, json};

use crate::Sentence;

/// A format of training text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"text"}`: language modelling in TRL, `completion` in axolotl.
    Text,
    /// `{"prompt", "completion"}`: TRL's loss on the completion alone.
    PromptCompletion,
    /// `{"messages": [{"role", "content"}, …]}`: TRL, axolotl's `chat_template`, LLaMA-Factory's
    /// `sharegpt` with those tags.
    Chat,
    /// `{"instruction", "input", "output"}`: LLaMA-Factory, axolotl's `alpaca`.
    Alpaca,
}

impl Format {
    /// A sentence as a line of the format. But for text, it is cut before its last name.
    pub fn value(self, sentence: &Sentence) -> Value {
        let (prompt, completion) = sentence.cut();
        let answer = completion.trim_start();
        match self {
            Self::Text => json!({ "text": sentence.text() }),
            Self::PromptCompletion => json!({ "prompt": prompt, "completion": completion }),
            Self::Chat => json!({ "messages": [
                { "role": "user", "content": prompt },
                { "role": "assistant", "content": answer },
            ] }),
            Self::Alpaca => json!({ "instruction": prompt, "input": "", "output": answer }),
        }
    }
}
