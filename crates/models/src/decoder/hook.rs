//! Sites in a decoder where a hook reads or replaces the value.

use retrodict_engine::{Graph, Value};

/// A site in a decoder. Blocks count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// The residual stream before the first block.
    Embeddings,
    /// The keys of a block's attention, behind their rotation. They may be replaced by more: those
    /// of earlier positions, before these.
    Keys(usize),
    /// The values of a block's attention, as many as its keys.
    Values(usize),
    /// The result of a block's mixer, each head in its own features, before the output matrix if
    /// there is one.
    Mixed(usize),
    /// The output of a block's MLP, which is added to the stream.
    Mlp(usize),
    /// The residual stream after a block.
    Block(usize),
}

/// Receives each value `[features, positions]` where it is computed, and returns the value that
/// replaces it: the same one if the hook only reads.
pub type Hook<'w, T> = dyn FnMut(&mut Graph<T>, Site, Value) -> Value + 'w;

/// The hook that returns every value unchanged.
pub(super) fn no_hook<T>(_: &mut Graph<T>, _: Site, value: Value) -> Value {
    value
}
