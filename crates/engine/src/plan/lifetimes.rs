//! Lifetimes: each buffer lives from the operation that writes it to the last one, forward or
//! backward, that reads it.
//!
//! Time counts operations: node `i` of `n` runs forward at time `i` and backward at `2 n − 1 − i`.

use std::collections::HashSet;

use super::{ALIGN, Planner};
use crate::extent::numbers;
use crate::handle::Columns;
use crate::scalar::Scalar;

impl<T: Scalar> Planner<'_, T> {
    fn backward_time(&self, node: usize) -> usize {
        2 * self.drafts.len() - 1 - node
    }

    /// Elements of a node's value.
    fn size(&self, node: usize) -> usize {
        let features = self.graph.nodes[node].shape.features;
        numbers(&[features, self.drafts[node].live.len(), self.lanes])
    }

    /// Buffers for values and for memory kept for the backward pass.
    pub(super) fn add_values(&mut self) {
        let graph = self.graph;
        for (i, node) in graph.nodes.iter().enumerate() {
            if !self.drafts[i].is_live() {
                continue;
            }
            // First the size of the value: those of saved and scratch memory are sums of products of
            // the sizes of values.
            self.drafts[i].value = Some(self.slots.add(self.size(i), i));
            let extents = self.extents(i);
            let (shape, scratch) =
                (node.operation.saved(&extents), node.operation.scratch(&extents));
            self.scratch = self.scratch.max(numbers(&[scratch]).next_multiple_of(ALIGN));
            let saved = self.slots.add(numbers(&[shape.0, shape.1]), i);
            self.drafts[i].saved = Some((saved, shape));
            let backward = self.drafts[i].has_gradient.then(|| self.backward_time(i));
            if let Some(time) = backward {
                self.slots.use_at(saved, time);
            }
            for (k, input) in node.inputs.iter().enumerate() {
                if self.drafts[i].inputs[k].positions.is_empty() {
                    continue;
                }
                let value = self.drafts[*input].value();
                self.slots.use_at(value, i);
                if let Some(time) = backward.filter(|_| node.operation.reads_input(k)) {
                    self.slots.use_at(value, time);
                }
            }
        }
        for (value, _) in &graph.outputs {
            self.slots.use_at(self.drafts[*value].value(), 2 * self.drafts.len());
        }
    }

    /// Buffers for gradients, in the order in which a step writes them: losses write theirs in the
    /// forward pass, and then all other operations in the backward pass. The first write overwrites
    /// and the others accumulate.
    pub(super) fn add_gradients(&mut self, cleared: &[bool]) {
        let graph = self.graph;
        let (losses, others): (Vec<usize>, Vec<usize>) = (0..self.drafts.len())
            .filter(|&i| self.drafts[i].has_gradient)
            .partition(|&i| graph.nodes[i].operation.writes_gradients_early());
        let losses = losses.into_iter().map(|i| (i, i));
        let times = losses.chain(others.into_iter().rev().map(|i| (i, self.backward_time(i))));
        let mut written = HashSet::new();
        for (i, time) in times.collect::<Vec<_>>() {
            let node = &graph.nodes[i];
            if let Some(gradient) = self.drafts[i].gradient {
                self.slots.use_at(gradient, self.backward_time(i));
            }
            for k in 0..node.inputs.len() {
                let accumulates = self.add_input_gradient(i, k, time);
                self.drafts[i].input_accumulates.push(accumulates);
            }
            for view in &node.parameters {
                let accumulates = !written.insert(*view) || cleared[view.parameter];
                self.drafts[i].parameter_accumulates.push(accumulates);
            }
        }
    }

    /// Assigns the buffer in which node `i` writes the gradient of its input `k`. Returns whether
    /// it adds to an earlier write.
    fn add_input_gradient(&mut self, i: usize, k: usize, time: usize) -> bool {
        let operation = &self.graph.nodes[i].operation;
        let input = self.graph.nodes[i].inputs[k];
        let (writer, draft) = (&self.drafts[i], &self.drafts[input]);
        let positions = &writer.inputs[k].positions;
        if !draft.has_gradient || positions.is_empty() {
            return false;
        }
        let whole = *positions == draft.live;
        let (before, own) = (draft.gradient, writer.gradient);
        // A gradient that shares memory with the output's must not be written again.
        let once = self.graph.nodes[i].inputs.iter().filter(|other| **other == input).count() == 1;
        let passes = k == 0 && once && operation.passes_gradient();
        let passed = own.filter(|_| passes && *positions == writer.live);
        let gradient = match (before, passed) {
            (Some(gradient), _) => gradient,
            (None, Some(own)) if whole => own,
            (None, _) => {
                let gradient = self.slots.add(self.size(input), time);
                if !whole {
                    self.drafts[i].cleared.push(gradient);
                }
                gradient
            }
        };
        self.slots.use_at(gradient, time);
        self.slots.use_at(gradient, self.backward_time(input));
        self.drafts[input].gradient = Some(gradient);
        before.is_some() || !whole
    }

    /// Whether the gradient of each parameter is zeroed before the backward pass and then only
    /// added to: unless the written views cover each of its columns exactly once.
    pub(super) fn find_cleared_parameters(&self) -> Vec<bool> {
        let written = self.graph.nodes.iter().zip(&self.drafts);
        let written = written.filter(|(_, draft)| draft.has_gradient);
        let written: Vec<Columns> = written.flat_map(|(node, _)| node.parameters.clone()).collect();
        let parameters = self.graph.parameters.iter().enumerate();
        parameters
            .map(|(i, parameter)| {
                let views = written.iter().filter(|view| view.parameter == i);
                let mut spans: Vec<_> = views.map(|view| (view.first, view.count)).collect();
                spans.sort_unstable();
                spans.dedup();
                let end = spans
                    .into_iter()
                    .try_fold(0, |end, (first, count)| (first == end).then_some(first + count));
                parameter.trainable && end != Some(parameter.columns)
            })
            .collect()
    }
}
