//! The graph of a model: operations on values whose shapes are known when it is built.

use std::ops::Range;
use std::sync::Arc;

use crate::operation::{Compiled, Operation};
use crate::parameter::{Parameter, ParameterId, View};
use crate::scalar::Scalar;

/// The output of an operation: `[features, positions, batch]` numbers, the batch contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub(crate) usize);

/// An input of whole numbers, set before each run: `[positions, batch]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indices(pub(crate) usize);

/// An input of real numbers, set before each run: `[positions, batch]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights(pub(crate) usize);

/// `[features, positions]`; the batch is set when the graph is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) features: usize,
    pub(crate) positions: usize,
}

pub(crate) struct Node<T> {
    pub(crate) operation: Arc<dyn Operation<T>>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) parameters: Vec<View>,
    pub(crate) shape: Shape,
}

/// Operations in the order in which they were added, in which they can also run.
pub struct Graph<T> {
    pub(crate) nodes: Vec<Node<T>>,
    pub(crate) parameters: Vec<Parameter>,
    /// Positions of each index input.
    pub(crate) indices: Vec<usize>,
    /// Positions of each weight input.
    pub(crate) weights: Vec<usize>,
    /// The values that the caller reads after a run, with their positions.
    pub(crate) outputs: Vec<(Value, Range<usize>)>,
}

impl<T: Scalar> Default for Graph<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Scalar> Graph<T> {
    /// A graph without operations.
    pub fn new() -> Self {
        Graph {
            nodes: Vec::new(),
            parameters: Vec::new(),
            indices: Vec::new(),
            weights: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Adds a parameter, or finds the one of that name: a model that is applied twice in one graph
    /// shares its weights. Graphs with equal parameters, in the same order, share their
    /// [`Parameters`](crate::Parameters).
    ///
    /// # Panics
    /// If there is another parameter of that name.
    pub fn parameter(&mut self, parameter: Parameter) -> ParameterId {
        if let Some(known) = self.parameters.iter().position(|p| p.name == parameter.name) {
            let same = self.parameters[known] == parameter;
            assert!(same, "two different parameters are named {}", parameter.name);
            return ParameterId(known);
        }
        self.parameters.push(parameter);
        ParameterId(self.parameters.len() - 1)
    }

    /// All parameters, in the order in which they were added.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// A whole parameter, as the operand of an operation.
    pub fn whole(&self, parameter: ParameterId) -> View {
        self.columns(parameter, 0..self.parameters[parameter.0].columns)
    }

    /// Some columns of a parameter, as the operand of an operation.
    ///
    /// # Panics
    /// If the parameter has fewer columns.
    pub fn columns(&self, parameter: ParameterId, columns: Range<usize>) -> View {
        let p = &self.parameters[parameter.0];
        assert!(columns.end <= p.columns, "{} has {} columns, not {columns:?}", p.name, p.columns);
        View { parameter: parameter.0, first: columns.start, columns: columns.len() }
    }

    /// An input of whole numbers, `[positions, batch]`.
    pub fn indices(&mut self, positions: usize) -> Indices {
        self.indices.push(positions);
        Indices(self.indices.len() - 1)
    }

    /// An input of real numbers, `[positions, batch]`.
    pub fn weights(&mut self, positions: usize) -> Weights {
        self.weights.push(positions);
        Weights(self.weights.len() - 1)
    }

    /// Marks some positions of a value as read after a run. Values that no output needs are not
    /// computed.
    pub fn output(&mut self, value: Value, positions: Range<usize>) {
        assert!(positions.end <= self.shape(value).positions, "no such positions: {positions:?}");
        self.outputs.push((value, positions));
    }

    /// The number of positions of a value.
    pub fn positions(&self, value: Value) -> usize {
        self.shape(value).positions
    }

    /// The number of features of a value.
    pub fn features(&self, value: Value) -> usize {
        self.shape(value).features
    }

    /// The parameters that the optimiser may change.
    pub fn trainable(&self) -> impl Iterator<Item = (ParameterId, &Parameter)> {
        let all = self.parameters.iter().enumerate();
        all.filter(|(_, p)| p.trainable).map(|(i, p)| (ParameterId(i), p))
    }

    pub(crate) fn shape(&self, value: Value) -> Shape {
        self.nodes[value.0].shape
    }

    pub(crate) fn rows(&self, view: View) -> usize {
        self.parameters[view.parameter].rows
    }

    pub(crate) fn push(
        &mut self,
        operation: impl Compiled,
        inputs: Vec<Value>,
        parameters: Vec<View>,
        shape: Shape,
    ) -> Value {
        self.nodes.push(Node { operation: operation.shared(), inputs, parameters, shape });
        Value(self.nodes.len() - 1)
    }

    /// The random stream of the next operation: its index.
    pub(crate) fn next_stream(&self) -> u32 {
        self.nodes.len() as u32
    }
}
