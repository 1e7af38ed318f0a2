//! Liveness: the positions of each value that are computed, and the values that have gradients.

use std::ops::Range;

use super::Planner;
use crate::extent::Extent;
use crate::scalar::Scalar;

impl<T: Scalar> Planner<'_, T> {
    /// From the outputs backwards: the positions of each value that some output needs, and whether
    /// the value leads to a loss.
    pub(super) fn find_live_positions(&mut self) {
        let graph = self.graph;
        for (value, positions) in &graph.outputs {
            widen(&mut self.drafts[*value].live, positions);
        }
        for (i, node) in graph.nodes.iter().enumerate().rev() {
            let draft = &mut self.drafts[i];
            draft.leads_to_loss |= node.operation.is_loss();
            let (live, leads_to_loss) = (draft.live.clone(), draft.leads_to_loss);
            if live.is_empty() {
                continue;
            }
            for (k, input) in node.inputs.iter().enumerate() {
                let positions = node.operation.positions_needed(k, live.clone());
                let shape = graph.nodes[*input].shape;
                assert!(positions.is_empty() || positions.end <= shape.positions);
                widen(&mut self.drafts[*input].live, &positions);
                self.drafts[*input].leads_to_loss |= leads_to_loss && !positions.is_empty();
                let features = shape.features;
                self.drafts[i].inputs.push(Extent { features, positions });
            }
        }
    }

    /// From the inputs onwards: a value has a gradient if it leads to a loss and depends on a
    /// trainable parameter.
    pub(super) fn find_gradients(&mut self) {
        let graph = self.graph;
        for (i, node) in graph.nodes.iter().enumerate() {
            let trainable =
                node.parameters.iter().any(|view| graph.parameters[view.parameter].trainable)
                    || node.inputs.iter().any(|input| self.drafts[*input].has_gradient);
            let draft = &mut self.drafts[i];
            draft.has_gradient = draft.is_live() && draft.leads_to_loss && trainable;
        }
    }
}

/// Widens a range of positions so that it holds others too.
fn widen(range: &mut Range<usize>, others: &Range<usize>) {
    if range.start >= range.end {
        *range = others.clone();
    } else if !others.is_empty() {
        *range = range.start.min(others.start)..range.end.max(others.end);
    }
}
