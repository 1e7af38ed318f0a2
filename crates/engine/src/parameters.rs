//! The parameters of a model, in one flat buffer: the trainable ones first, then the frozen ones.

use std::sync::Arc;

use crate::extent::numbers;
use crate::graph::Graph;
use crate::matrix::Buffer;
use crate::parameter::{Initial, Parameter};
use crate::random::{Purpose, Stream};
use crate::scalar::Scalar;

/// Parameters begin on cache lines.
const ALIGN: usize = 16;

/// The layout of the parameters in the flat buffers.
#[derive(Debug, PartialEq)]
pub(crate) struct ParameterLayout {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) starts: Vec<usize>,
    /// The length of the trainable part.
    pub(crate) trainable: usize,
    pub(crate) len: usize,
}

impl ParameterLayout {
    /// # Panics
    /// If there are too many numbers.
    pub(crate) fn new(parameters: &[Parameter]) -> ParameterLayout {
        let mut starts = vec![0; parameters.len()];
        let mut len = 0;
        let mut trainable = 0;
        for pass in [true, false] {
            for (start, p) in starts.iter_mut().zip(parameters) {
                if p.trainable == pass {
                    *start = len;
                    len = numbers(&[len + numbers(&[p.rows, p.columns])]).next_multiple_of(ALIGN);
                }
            }
            if pass {
                trainable = len;
            }
        }
        ParameterLayout { parameters: parameters.to_vec(), starts, trainable, len }
    }

    /// Whether it is the same as another. Buffers of one model share a layout, which is cheap to
    /// see.
    pub(crate) fn is(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || **self == **other
    }

    /// Whether nothing but padding lies between one parameter's end and another's start.
    pub(crate) fn follows(&self, end: usize, start: usize) -> bool {
        end.next_multiple_of(ALIGN) == start
    }

    /// The numbers of parameter `i` in the buffer of parameters and, if it is trainable, in that of
    /// gradients.
    pub(crate) fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.starts[i]..self.starts[i] + self.parameters[i].rows * self.parameters[i].columns
    }
}

/// The numbers of a model. Programs compiled from graphs with the same parameters share them.
pub struct Parameters<T> {
    pub(crate) layout: Arc<ParameterLayout>,
    pub(crate) values: Buffer<T>,
}

/// One number for each trainable parameter: a gradient, a moment.
pub struct Gradients<T> {
    pub(crate) layout: Arc<ParameterLayout>,
    pub(crate) values: Buffer<T>,
}

impl<T: Scalar> Parameters<T> {
    /// All zero.
    pub fn zeros(graph: &Graph<T>) -> Parameters<T> {
        let layout = Arc::new(ParameterLayout::new(&graph.parameters));
        Parameters { values: Buffer::zeros(layout.len), layout }
    }

    /// The initial values of each parameter. A draw depends only on the seed, the index of the
    /// parameter in the graph and the index in the parameter; precision only changes its rounding.
    pub fn initial(graph: &Graph<T>, seed: u64) -> Parameters<T> {
        let mut all = Parameters::zeros(graph);
        for i in 0..graph.parameters.len() {
            let values = &mut all.values.as_mut_slice()[all.layout.range(i)];
            match all.layout.parameters[i].initial {
                Initial::Constant(c) => values.fill(T::from_f64(c)),
                Initial::Columns { first, count, value } => {
                    for row in values.chunks_exact_mut(all.layout.parameters[i].columns) {
                        row[first..first + count].fill(T::from_f64(value));
                    }
                }
                Initial::Normal { std } => {
                    let stream = Stream::new(seed, Purpose::Initialisation, i as u32);
                    for (pair, out) in values.chunks_mut(2).enumerate() {
                        let draws = stream.normals(pair as u64);
                        for (out, draw) in out.iter_mut().zip(draws) {
                            *out = T::from_f64(std * draw);
                        }
                    }
                }
            }
        }
        all
    }

    /// Every parameter with its numbers, row-major, in the order of the graph.
    pub fn iter(&self) -> impl Iterator<Item = (&Parameter, &[T])> {
        let all = self.layout.parameters.iter().enumerate();
        all.map(|(i, p)| (p, &self.values.as_slice()[self.layout.range(i)]))
    }

    /// The numbers of parameter `i` of the graph, mutably.
    pub fn values_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.values.as_mut_slice()[self.layout.range(i)]
    }

    /// The number of all values, without padding.
    pub fn count(&self) -> usize {
        self.layout.parameters.iter().map(|p| p.rows * p.columns).sum()
    }
}

impl<T: Scalar> Gradients<T> {
    /// All zero.
    pub fn zeros(parameters: &Parameters<T>) -> Gradients<T> {
        let layout = Arc::clone(&parameters.layout);
        Gradients { values: Buffer::zeros(layout.trainable), layout }
    }

    /// Every trainable parameter with its numbers, row-major, in the order of the graph.
    pub fn iter(&self) -> impl Iterator<Item = (&Parameter, &[T])> {
        let trainable = |i: &usize| self.layout.parameters[*i].trainable;
        let all = (0..self.layout.parameters.len()).filter(trainable);
        all.map(|i| (&self.layout.parameters[i], &self.values.as_slice()[self.layout.range(i)]))
    }

    /// The numbers of parameter `i` of the graph, mutably.
    ///
    /// # Panics
    /// If it is frozen.
    pub fn values_mut(&mut self, i: usize) -> &mut [T] {
        assert!(self.layout.parameters[i].trainable, "a frozen parameter has no gradient");
        &mut self.values.as_mut_slice()[self.layout.range(i)]
    }
}
