//! Compiling a graph for one size of batch: which positions are computed, where each value lies.
//!
//! Three passes. *Liveness of positions*, from the outputs backwards: a position that nobody reads
//! is not computed. *Lifetimes*: a value lives from the operation that makes it to the last one,
//! forward or backward, that reads it. *Placement*: values whose lifetimes do not overlap share
//! memory in one arena, placed first-fit, the largest first.

use std::collections::HashSet;
use std::ops::Range;

use crate::graph::{Graph, View};
use crate::operation::Extents;
use crate::parameters::Layout;
use crate::program::ProductPrecision;
use crate::scalar::Scalar;

/// The batch is padded to a multiple of this many lanes, with copies whose loss has weight zero: no
/// kernel needs a mask, and every sum over the batch has the same order on every processor.
pub(crate) const LANE_UNIT: usize = 16;

/// Buffers begin on cache lines.
const ALIGN: usize = 16;

/// The part of a value that an operation sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) features: usize,
    pub(crate) positions: Range<usize>,
}

/// A matrix in the arena.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) positions: Range<usize>,
    pub(crate) value: Place,
    pub(crate) gradient: Option<Place>,
    /// Whether the gradient has been written before.
    pub(crate) accumulate: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ParameterPlan {
    pub(crate) start: usize,
    /// Where its gradient lies in the buffer of gradients; `None` if frozen.
    pub(crate) gradient: Option<usize>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
    pub(crate) accumulate: bool,
}

/// Everything an operation needs to know to run, resolved.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    /// Which node of the graph.
    pub(crate) node: usize,
    pub(crate) inputs: Vec<Operand>,
    pub(crate) output: Operand,
    pub(crate) parameters: Vec<ParameterPlan>,
    pub(crate) saved_start: usize,
    pub(crate) saved_shape: (usize, usize),
    /// Gradient buffers to be zeroed before it writes gradients, which a loss does in its forward
    /// pass: it writes only a part of them, and others add to the rest.
    pub(crate) clear: Vec<Range<usize>>,
    pub(crate) flops: u64,
    pub(crate) runs_backward: bool,
}

pub(crate) struct Plan {
    pub(crate) nodes: Vec<NodePlan>,
    /// Places of the graph's outputs.
    pub(crate) outputs: Vec<Place>,
    /// Parts of the buffer of gradients that are zeroed before the backward pass.
    pub(crate) cleared: Vec<Range<usize>>,
    pub(crate) arena: usize,
    pub(crate) scratch: usize,
    pub(crate) lanes: usize,
}

/// A buffer that wants a place: alive during `first..=last`.
struct Request {
    len: usize,
    first: usize,
    last: usize,
    start: usize,
}

/// Collects requests; a request is known by its number.
struct Requests(Vec<Request>);

impl Requests {
    fn add(&mut self, len: usize, time: usize) -> usize {
        self.0.push(Request { len, first: time, last: time, start: 0 });
        self.0.len() - 1
    }

    fn used(&mut self, request: usize, time: usize) {
        let r = &mut self.0[request];
        r.first = r.first.min(time);
        r.last = r.last.max(time);
    }

    /// Places all, the largest first, each at the lowest address that is free for its lifetime.
    /// Returns the size of the arena.
    fn place(&mut self) -> usize {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(self.0[i].len), self.0[i].first, i));
        let mut placed: Vec<usize> = Vec::new(); // by address
        let mut size = 0;
        for i in order {
            let len = self.0[i].len.next_multiple_of(ALIGN);
            let mut start = 0;
            for &other in &placed {
                let other = &self.0[other];
                let together = other.first <= self.0[i].last && self.0[i].first <= other.last;
                if together {
                    if start + len <= other.start {
                        break;
                    }
                    start = start.max(other.start + other.len.next_multiple_of(ALIGN));
                }
            }
            self.0[i].start = start;
            size = size.max(start + len);
            let at = placed.partition_point(|&other| self.0[other].start <= start);
            placed.insert(at, i);
        }
        size
    }
}

/// The positions of each value that some output needs; empty where none does.
fn live_positions<T: Scalar>(graph: &Graph<T>) -> Vec<Range<usize>> {
    let mut live = vec![0..0; graph.nodes.len()];
    let join = |a: &Range<usize>, b: Range<usize>| match (a.is_empty(), b.is_empty()) {
        (_, true) => a.clone(),
        (true, false) => b,
        (false, false) => a.start.min(b.start)..a.end.max(b.end),
    };
    for (value, positions) in &graph.outputs {
        live[value.0] = join(&live[value.0], positions.clone());
    }
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if live[i].is_empty() {
            continue;
        }
        for (k, input) in node.inputs.iter().enumerate() {
            let needed = node.operation.positions_needed(k, live[i].clone());
            live[input.0] = join(&live[input.0], needed);
        }
    }
    live
}

/// The values whose gradient some loss wants: those that lead to one.
fn leads_to_a_loss<T: Scalar>(graph: &Graph<T>, live: &[Range<usize>]) -> Vec<bool> {
    let mut leads = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        leads[i] |= node.operation.is_loss();
        if live[i].is_empty() || !leads[i] {
            continue;
        }
        for (k, input) in node.inputs.iter().enumerate() {
            leads[input.0] |= !node.operation.positions_needed(k, live[i].clone()).is_empty();
        }
    }
    leads
}

/// Whether the gradient of each parameter is to be zeroed first, and then only added to: where the
/// views of it that are written are not its columns, each once.
fn cleared<T: Scalar>(graph: &Graph<T>, wants_gradient: &[bool]) -> Vec<bool> {
    let written = graph.nodes.iter().zip(wants_gradient).filter(|(_, wants)| **wants);
    let written: Vec<View> = written.flat_map(|(node, _)| node.parameters.clone()).collect();
    let parameters = graph.parameters.iter().enumerate();
    parameters
        .map(|(i, parameter)| {
            let views = written.iter().filter(|view| view.parameter == i);
            let mut spans: Vec<_> = views.map(|view| (view.first, view.columns)).collect();
            spans.sort_unstable();
            spans.dedup();
            let end = spans
                .into_iter()
                .try_fold(0, |end, (first, columns)| (first == end).then_some(first + columns));
            parameter.trainable && end != Some(parameter.columns)
        })
        .collect()
}

/// Compiles a graph; `training` also plans the backward pass.
pub(crate) fn plan<T: Scalar>(
    graph: &Graph<T>,
    layout: &Layout,
    batch: usize,
    training: bool,
    precision: ProductPrecision,
) -> Plan {
    let lanes = batch.next_multiple_of(LANE_UNIT);
    let live = live_positions(graph);
    let count = graph.nodes.len();
    let backward_time = |node: usize| 2 * count - 1 - node;
    let end = 2 * count;
    let trainable = |view: &View| graph.parameters[view.parameter].trainable;

    // Which values have a gradient.
    let mut wants_gradient = vec![false; count];
    if training {
        let leads = leads_to_a_loss(graph, &live);
        for (i, node) in graph.nodes.iter().enumerate() {
            wants_gradient[i] = !live[i].is_empty()
                && leads[i]
                && (node.parameters.iter().any(trainable)
                    || node.inputs.iter().any(|v| wants_gradient[v.0]));
        }
    }

    let mut requests = Requests(Vec::new());
    let size = |i: usize| graph.nodes[i].shape.features * live[i].len() * lanes;
    let extents_of = |i: usize| -> Vec<Extent> {
        let node = &graph.nodes[i];
        let inputs = node.inputs.iter().enumerate();
        inputs
            .map(|(k, v)| Extent {
                features: graph.nodes[v.0].shape.features,
                positions: node.operation.positions_needed(k, live[i].clone()),
            })
            .collect()
    };

    // Values and what operations save.
    let mut values = vec![usize::MAX; count];
    let mut saved = vec![(usize::MAX, (0, 0)); count];
    let mut scratch = 0;
    for (i, node) in graph.nodes.iter().enumerate() {
        if live[i].is_empty() {
            continue;
        }
        values[i] = requests.add(size(i), i);
        let inputs = extents_of(i);
        let output = Extent { features: node.shape.features, positions: live[i].clone() };
        let extents = Extents { inputs: &inputs, output, lanes, precision };
        let shape = node.operation.saved(&extents);
        saved[i] = (requests.add(shape.0 * shape.1, i), shape);
        scratch = scratch.max(node.operation.scratch(&extents).next_multiple_of(ALIGN));
        if wants_gradient[i] {
            requests.used(saved[i].0, backward_time(i));
        }
        for (k, input) in node.inputs.iter().enumerate() {
            if inputs[k].positions.is_empty() {
                continue;
            }
            requests.used(values[input.0], i);
            if wants_gradient[i] && node.operation.reads_input(k) {
                requests.used(values[input.0], backward_time(i));
            }
        }
    }
    for (value, _) in &graph.outputs {
        requests.used(values[value.0], end);
    }

    // Gradients, in the order in which a step writes them: losses theirs in the forward pass, one
    // after the other, and then all other operations in the backward pass.
    let mut gradients = vec![usize::MAX; count];
    let mut accumulate: Vec<Vec<bool>> = vec![Vec::new(); count];
    let mut clear: Vec<Vec<usize>> = vec![Vec::new(); count];
    let cleared = cleared(graph, &wants_gradient);
    let mut parameter_writes = HashSet::new();
    let mut parameter_accumulate: Vec<Vec<bool>> = vec![Vec::new(); count];
    let early = |i: usize| graph.nodes[i].operation.writes_gradients_early();
    let losses = (0..count).filter(|i| early(*i));
    let others = (0..count).rev().filter(|i| !early(*i));
    for i in losses.chain(others).filter(|i| wants_gradient[*i]) {
        let node = &graph.nodes[i];
        let time = if early(i) { i } else { backward_time(i) };
        if gradients[i] != usize::MAX {
            requests.used(gradients[i], backward_time(i));
        }
        for (k, input) in node.inputs.iter().enumerate() {
            let extent = node.operation.positions_needed(k, live[i].clone());
            if !wants_gradient[input.0] || extent.is_empty() {
                accumulate[i].push(false);
                continue;
            }
            let first = gradients[input.0] == usize::MAX;
            let whole = extent == live[input.0];
            if first && k == 0 && node.operation.passes_gradient() && extent == live[i] && whole {
                gradients[input.0] = gradients[i];
            } else if first {
                gradients[input.0] = requests.add(size(input.0), time);
                if !whole {
                    clear[i].push(input.0);
                }
            }
            requests.used(gradients[input.0], time);
            requests.used(gradients[input.0], backward_time(input.0));
            accumulate[i].push(!first || !whole);
        }
        for view in &node.parameters {
            let before = !parameter_writes.insert(*view);
            parameter_accumulate[i].push(before || cleared[view.parameter]);
        }
    }

    let arena = requests.place();
    let place = |request: usize, node: usize, positions: &Range<usize>| {
        let (rows, stride) = (graph.nodes[node].shape.features, live[node].len() * lanes);
        if positions.is_empty() {
            return Place { start: 0, rows, columns: 0, stride };
        }
        let start = requests.0[request].start + (positions.start - live[node].start) * lanes;
        Place { start, rows, columns: positions.len() * lanes, stride }
    };
    let gradient_place = |node: usize, positions: &Range<usize>| {
        let wanted = gradients[node] != usize::MAX && !positions.is_empty();
        wanted.then(|| place(gradients[node], node, positions))
    };
    let mut nodes = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if live[i].is_empty() {
            continue;
        }
        let extents = extents_of(i);
        let inputs = node
            .inputs
            .iter()
            .zip(&extents)
            .enumerate()
            .map(|(k, (v, extent))| Operand {
                positions: extent.positions.clone(),
                value: place(values[v.0], v.0, &extent.positions),
                gradient: gradient_place(v.0, &extent.positions),
                accumulate: accumulate[i].get(k).copied().unwrap_or(false),
            })
            .collect();
        let parameters = node
            .parameters
            .iter()
            .enumerate()
            .map(|(k, view)| {
                let parameter = &graph.parameters[view.parameter];
                let start = layout.starts[view.parameter] + view.first;
                ParameterPlan {
                    start,
                    gradient: parameter.trainable.then_some(start),
                    rows: parameter.rows,
                    columns: view.columns,
                    stride: parameter.columns,
                    accumulate: parameter_accumulate[i].get(k).copied().unwrap_or(false),
                }
            })
            .collect();
        let output = Extent { features: node.shape.features, positions: live[i].clone() };
        let extents = Extents { inputs: &extents, output: output.clone(), lanes, precision };
        let flops = node.operation.flops(&extents);
        nodes.push(NodePlan {
            node: i,
            inputs,
            output: Operand {
                positions: live[i].clone(),
                value: place(values[i], i, &live[i]),
                gradient: gradient_place(i, &live[i]),
                accumulate: false,
            },
            parameters,
            saved_start: requests.0[saved[i].0].start,
            saved_shape: saved[i].1,
            clear: clear[i]
                .iter()
                .map(|&v| {
                    let start = requests.0[gradients[v]].start;
                    start..start + size(v)
                })
                .collect(),
            flops,
            runs_backward: wants_gradient[i] && !early(i),
        });
    }
    let outputs = graph
        .outputs
        .iter()
        .map(|(value, positions)| place(values[value.0], value.0, positions))
        .collect();
    // A program for inference has no gradients to clear.
    let cleared = cleared.into_iter().enumerate().filter(|(_, cleared)| *cleared && training);
    let cleared = cleared.map(|(i, _)| layout.range(i)).collect();
    Plan { nodes, outputs, cleared, arena, scratch, lanes }
}
