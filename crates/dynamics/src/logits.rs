//! Tables of logits.

use std::ops::Deref;

/// Logits `[vocabulary][context]` of the token after each context: a `Vec<f32>`, or one that several
/// measures share, such as an `Rc<Vec<f32>>`.
pub trait Logits: Deref<Target: AsRef<[f32]>> {}

impl<L: Deref<Target: AsRef<[f32]>>> Logits for L {}
