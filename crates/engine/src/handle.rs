//! Handles: the parts of a graph, by index.
//!
//! A handle carries the identity of its graph, and gives its index only to that graph and its
//! programs: an index into another graph would be in bounds by chance, and of another shape.

use std::sync::atomic::{AtomicU64, Ordering};

/// The identity of a graph: no two graphs of a process share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GraphId(u64);

impl GraphId {
    /// Another than all before.
    pub(crate) fn new() -> GraphId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        GraphId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Declares handles, each with its noun.
macro_rules! handles {
    ($($(#[$meta:meta])* $name:ident = $noun:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            graph: GraphId,
            index: usize,
        }

        impl $name {
            /// Part number `index` of a graph.
            pub(crate) fn new(graph: GraphId, index: usize) -> $name {
                $name { graph, index }
            }

            /// The index.
            ///
            /// # Panics
            /// If it is of another graph.
            pub(crate) fn index_in(self, graph: GraphId) -> usize {
                assert!(self.graph == graph, concat!($noun, " of another graph"));
                self.index
            }
        }
    )+};
}

handles! {
    /// The output of an operation: `[features, positions, batch]` numbers, the batch contiguous.
    Value = "a value";
    /// An input of whole numbers, set before each run: `[positions, batch]`.
    Indices = "indices";
    /// An input of real numbers, set before each run: `[positions, batch]`.
    Weights = "weights";
    /// A trainable or frozen matrix.
    ParameterId = "a parameter";
}

/// Some columns of a parameter, all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    graph: GraphId,
    columns: Columns,
}

/// The columns of a [`View`], in its own graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Columns {
    pub(crate) parameter: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl View {
    /// Columns of a parameter of this graph.
    pub(crate) fn new(graph: GraphId, columns: Columns) -> View {
        View { graph, columns }
    }

    /// The columns.
    ///
    /// # Panics
    /// If they are of another graph.
    pub(crate) fn columns_in(self, graph: GraphId) -> Columns {
        assert!(self.graph == graph, "a view of a parameter of another graph");
        self.columns
    }
}

impl Columns {
    /// Whether the two have a column in common.
    pub(crate) fn overlap(&self, other: &Columns) -> bool {
        let end = |columns: &Columns| columns.first + columns.count;
        self.parameter == other.parameter && self.first < end(other) && other.first < end(self)
    }
}
