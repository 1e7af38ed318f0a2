//! Places in a decoder at which what flows through it can be seen, or exchanged.

use retrodict_engine::{Graph, Value};

/// A place in a decoder; blocks count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// The residual stream before the first block.
    Embeddings,
    /// What the mixer of a block has gathered, each head in its own features, before the output
    /// matrix if there is one.
    Mixed(usize),
    /// What the MLP of a block adds to the stream.
    Mlp(usize),
    /// The residual stream behind a block.
    Block(usize),
}

/// Is shown each value `[features, positions]` where it arises, and says what goes on from there:
/// the same value, if it only looks.
pub type Hook<'w, T> = dyn FnMut(&mut Graph<T>, Site, Value) -> Value + 'w;

/// The hook that does nothing.
pub(super) fn no_hook<T>(_: &mut Graph<T>, _: Site, value: Value) -> Value {
    value
}
