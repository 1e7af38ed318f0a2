//! The graph of a model: operations on values whose shapes are known when it is built.

use std::ops::Range;
use std::sync::Arc;

use crate::adapter::{Adapter, LowRank};
use crate::extent::numbers;
use crate::handle::{Columns, GraphId, Indices, ParameterId, Value, View, Weights};
use crate::lanes::LANE_UNIT;
use crate::operation::{Compiled, Operation};
use crate::parameter::{Initial, Parameter};
use crate::scalar::Scalar;

/// `[features, positions]`; the batch is set when the graph is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) features: usize,
    pub(crate) positions: usize,
}

pub(crate) struct Node<T> {
    pub(crate) operation: Arc<dyn Operation<T>>,
    /// The nodes of the inputs, all before this one.
    pub(crate) inputs: Vec<usize>,
    /// Columns of parameters, none of them twice.
    pub(crate) parameters: Vec<Columns>,
    pub(crate) shape: Shape,
}

/// Operations in the order in which they were added, in which they can also run.
pub struct Graph<T> {
    pub(crate) id: GraphId,
    pub(crate) nodes: Vec<Node<T>>,
    pub(crate) parameters: Vec<Parameter>,
    /// Positions of each index input.
    pub(crate) indices: Vec<usize>,
    /// Positions of each weight input.
    pub(crate) weights: Vec<usize>,
    /// The nodes that the caller reads after a run, with their positions.
    pub(crate) outputs: Vec<(usize, Range<usize>)>,
    /// The size of the adapters of linear maps that are added, which then are frozen.
    pub(crate) low_rank: Option<LowRank>,
    pub(crate) adapters: Vec<Adapter>,
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
            id: GraphId::new(),
            nodes: Vec::new(),
            parameters: Vec::new(),
            indices: Vec::new(),
            weights: Vec::new(),
            outputs: Vec::new(),
            low_rank: None,
            adapters: Vec::new(),
        }
    }

    /// Adds a parameter, or finds the one of that name: a model that is applied twice in one graph
    /// shares its weights. Graphs with equal parameters, in the same order, share their
    /// [`Parameters`](crate::Parameters).
    ///
    /// # Panics
    /// If there is another parameter of that name, or it is not [valid](Parameter::validate).
    pub fn parameter(&mut self, parameter: Parameter) -> ParameterId {
        parameter.validate();
        let parameter = match self.low_rank {
            None => parameter,
            Some(_) => Parameter { initial: Initial::Constant(0.0), ..parameter.frozen(true) },
        };
        let known = self.parameters.iter().position(|p| p.name == parameter.name);
        let index = known.unwrap_or(self.parameters.len());
        match known {
            Some(index) => {
                let same = self.parameters[index] == parameter;
                assert!(same, "two different parameters are named {}", parameter.name);
            }
            None => self.parameters.push(parameter),
        }
        ParameterId::new(self.id, index)
    }

    /// All parameters, in the order in which they were added.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// A whole parameter, as the operand of an operation.
    ///
    /// # Panics
    /// If it is of another graph, as every method that takes part of a graph.
    pub fn whole(&self, parameter: ParameterId) -> View {
        self.columns(parameter, 0..self.definition(parameter).columns)
    }

    /// Some columns of a parameter, as the operand of an operation.
    ///
    /// # Panics
    /// If there are none, or the parameter has fewer.
    pub fn columns(&self, parameter: ParameterId, columns: Range<usize>) -> View {
        let p = self.definition(parameter);
        let given = !columns.is_empty() && columns.end <= p.columns;
        assert!(given, "{} has {} columns, not {columns:?}", p.name, p.columns);
        let (first, count) = (columns.start, columns.len());
        let parameter = parameter.index_in(self.id);
        View::new(self.id, Columns { parameter, first, count })
    }

    /// An input of whole numbers, `[positions, batch]`.
    ///
    /// # Panics
    /// If so many positions fit into no buffer.
    pub fn indices(&mut self, positions: usize) -> Indices {
        numbers(&[positions, LANE_UNIT]);
        self.indices.push(positions);
        Indices::new(self.id, self.indices.len() - 1)
    }

    /// An input of real numbers, `[positions, batch]`.
    ///
    /// # Panics
    /// As [`indices`](Graph::indices).
    pub fn weights(&mut self, positions: usize) -> Weights {
        numbers(&[positions, LANE_UNIT]);
        self.weights.push(positions);
        Weights::new(self.id, self.weights.len() - 1)
    }

    /// Marks some positions of a value as read after a run. Values that no output needs are not
    /// computed.
    ///
    /// # Panics
    /// If there are none, or the value has fewer.
    pub fn output(&mut self, value: Value, positions: Range<usize>) {
        let given = !positions.is_empty() && positions.end <= self.shape(value).positions;
        assert!(given, "no such positions: {positions:?}");
        self.outputs.push((value.index_in(self.id), positions));
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
        all.filter(|(_, p)| p.trainable).map(|(i, p)| (ParameterId::new(self.id, i), p))
    }

    pub(crate) fn shape(&self, value: Value) -> Shape {
        self.nodes[value.index_in(self.id)].shape
    }

    /// A parameter's name, shape and kind.
    pub(crate) fn definition(&self, parameter: ParameterId) -> &Parameter {
        &self.parameters[parameter.index_in(self.id)]
    }

    /// A view's columns, with the parameter that has them.
    pub(crate) fn viewed(&self, view: View) -> (Columns, &Parameter) {
        let columns = view.columns_in(self.id);
        (columns, &self.parameters[columns.parameter])
    }

    /// The index of an index input, and its positions.
    pub(crate) fn index_input(&self, input: Indices) -> (usize, usize) {
        let index = input.index_in(self.id);
        (index, self.indices[index])
    }

    /// The index of a weight input, and its positions.
    pub(crate) fn weight_input(&self, input: Weights) -> (usize, usize) {
        let index = input.index_in(self.id);
        (index, self.weights[index])
    }

    /// Adds an operation on values and columns of parameters of this graph.
    ///
    /// # Panics
    /// If one is of another graph, a column is given twice (workers would write its gradient at the
    /// same time), or the output has no numbers or too many.
    pub(crate) fn push(
        &mut self,
        operation: impl Compiled,
        inputs: Vec<Value>,
        parameters: Vec<View>,
        shape: Shape,
    ) -> Value {
        let inputs = inputs.into_iter().map(|input| input.index_in(self.id)).collect();
        let parameters: Vec<Columns> =
            parameters.into_iter().map(|view| view.columns_in(self.id)).collect();
        for (i, columns) in parameters.iter().enumerate() {
            let twice = parameters[..i].iter().any(|other| other.overlap(columns));
            let name = &self.parameters[columns.parameter].name;
            assert!(!twice, "an operation takes columns of {name} twice");
        }
        let size = numbers(&[shape.features, shape.positions, LANE_UNIT]);
        assert!(size > 0, "a value has at least one feature and one position");
        self.nodes.push(Node { operation: operation.shared(), inputs, parameters, shape });
        Value::new(self.id, self.nodes.len() - 1)
    }

    /// The random stream of the next operation: its index.
    pub(crate) fn next_stream(&self) -> u32 {
        self.nodes.len() as u32
    }
}
