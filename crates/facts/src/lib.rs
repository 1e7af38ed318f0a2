//! The facts there are to learn: vocabularies, sentences, splits.
