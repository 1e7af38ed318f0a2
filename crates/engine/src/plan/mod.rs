//! Compiles a graph for one batch size: chooses the positions to compute and the place of each
//! value.
//!
//! The passes fill in one [`Draft`] per node: [`liveness`] of positions and the values that have
//! gradients, [`lifetimes`] of values and gradients, [`placement`] of both in one arena. Then every
//! operation gets its places.

mod lifetimes;
mod liveness;
mod placement;

use std::ops::Range;

use self::placement::{ALIGN, Slot, Slots};
use crate::extent::{Extent, Extents, numbers};
use crate::graph::Graph;
use crate::lanes::LANE_UNIT;
use crate::parameters::ParameterLayout;
use crate::place::{GradientPlace, NodePlan, Operand, ParameterOperand, Place};
use crate::precision::ProductPrecision;
use crate::scalar::Scalar;

/// A compiled graph.
pub(crate) struct Plan {
    /// The operations that run, in their order.
    pub(crate) nodes: Vec<NodePlan>,
    /// Places of the graph's outputs in the arena.
    pub(crate) outputs: Vec<Place>,
    /// Parts of the buffer of gradients that are zeroed before the backward pass.
    pub(crate) cleared: Vec<Range<usize>>,
    /// Elements of the arena.
    pub(crate) arena: usize,
    /// Elements of each worker's scratch memory.
    pub(crate) scratch: usize,
    pub(crate) lanes: usize,
}

/// Compiles a graph; `training` also plans the backward pass.
///
/// # Panics
/// If a buffer would have too many numbers.
pub(crate) fn plan<T: Scalar>(
    graph: &Graph<T>,
    layout: &ParameterLayout,
    batch: usize,
    training: bool,
    precision: ProductPrecision,
) -> Plan {
    let lanes = numbers(&[batch]).next_multiple_of(LANE_UNIT);
    let drafts = graph.nodes.iter().map(|_| Draft::default()).collect();
    let mut planner =
        Planner { graph, lanes, precision, drafts, slots: Slots::default(), scratch: 0 };
    planner.find_live_positions();
    let mut cleared = vec![false; graph.parameters.len()];
    if training {
        planner.find_gradients();
        cleared = planner.find_cleared_parameters();
    }
    planner.add_values();
    planner.add_gradients(&cleared);
    let arena = numbers(&[planner.slots.place()]);
    let live = (0..graph.nodes.len()).filter(|&i| planner.drafts[i].is_live());
    let outputs = graph.outputs.iter();
    let cleared = cleared.into_iter().enumerate().filter(|(_, cleared)| *cleared);
    Plan {
        nodes: live.map(|i| planner.node_plan(i, layout)).collect(),
        outputs: outputs
            .map(|(value, positions)| {
                planner.place(planner.drafts[*value].value(), *value, positions)
            })
            .collect(),
        cleared: cleared.map(|(i, _)| layout.range(i)).collect(),
        arena,
        scratch: planner.scratch,
        lanes,
    }
}

/// The state that the passes share.
struct Planner<'g, T> {
    graph: &'g Graph<T>,
    lanes: usize,
    precision: ProductPrecision,
    drafts: Vec<Draft>,
    slots: Slots,
    /// Elements of scratch memory that the most demanding operation takes.
    scratch: usize,
}

/// The plan of one node so far.
#[derive(Default)]
struct Draft {
    /// The computed positions; empty if no output needs the node.
    live: Range<usize>,
    /// The parts of the inputs that are read.
    inputs: Vec<Extent>,
    leads_to_loss: bool,
    has_gradient: bool,
    value: Option<Slot>,
    /// Memory kept for the backward pass, with its shape.
    saved: Option<(Slot, (usize, usize))>,
    gradient: Option<Slot>,
    /// For each input and each parameter: whether its gradient adds to an earlier write.
    input_accumulates: Vec<bool>,
    parameter_accumulates: Vec<bool>,
    /// Gradients to be zeroed before the node writes to them.
    cleared: Vec<Slot>,
}

impl Draft {
    fn is_live(&self) -> bool {
        !self.live.is_empty()
    }

    fn value(&self) -> Slot {
        self.value.expect("what is read is live, and comes before its reader")
    }
}

impl<T: Scalar> Planner<'_, T> {
    /// The sizes of a live node.
    fn extents(&self, node: usize) -> Extents<'_> {
        let draft = &self.drafts[node];
        let features = self.graph.nodes[node].shape.features;
        let output = Extent { features, positions: draft.live.clone() };
        Extents { inputs: &draft.inputs, output, lanes: self.lanes, precision: self.precision }
    }

    /// Some positions of a node's value or gradient in `slot`.
    fn place(&self, slot: Slot, node: usize, positions: &Range<usize>) -> Place {
        let (rows, live) = (self.graph.nodes[node].shape.features, &self.drafts[node].live);
        let columns = positions.len() * self.lanes;
        let before = positions.start.saturating_sub(live.start) * self.lanes;
        Place {
            start: self.slots.range(slot).start + before,
            rows,
            columns,
            stride: live.len() * self.lanes,
        }
    }

    /// Some positions of a node as an operand.
    fn operand(&self, node: usize, positions: &Range<usize>, accumulate: bool) -> Operand {
        let (draft, positions) = (&self.drafts[node], positions.clone());
        if positions.is_empty() {
            let rows = self.graph.nodes[node].shape.features;
            let value = Place { start: 0, rows, columns: 0, stride: draft.live.len() * self.lanes };
            return Operand { positions, value, gradient: None };
        }
        let gradient = draft.gradient.map(|slot| self.place(slot, node, &positions));
        let gradient = gradient.map(|place| GradientPlace { place, accumulate });
        Operand { value: self.place(draft.value(), node, &positions), gradient, positions }
    }

    /// A live node with the places of all its operands.
    fn node_plan(&self, i: usize, layout: &ParameterLayout) -> NodePlan {
        let (node, draft) = (&self.graph.nodes[i], &self.drafts[i]);
        let is_set = |flags: &[bool], k: usize| flags.get(k).is_some_and(|flag| *flag);
        let inputs = node.inputs.iter().zip(&draft.inputs).enumerate();
        let parameters = node.parameters.iter().enumerate();
        let (saved, (rows, columns)) = draft.saved.expect("a live node has its memory");
        NodePlan {
            node: i,
            inputs: inputs
                .map(|(k, (input, extent))| {
                    let accumulate = is_set(&draft.input_accumulates, k);
                    self.operand(*input, &extent.positions, accumulate)
                })
                .collect(),
            output: self.operand(i, &draft.live, false),
            parameters: parameters
                .map(|(k, view)| {
                    let parameter = &self.graph.parameters[view.parameter];
                    let value = Place {
                        start: layout.starts[view.parameter] + view.first,
                        rows: parameter.rows,
                        columns: view.count,
                        stride: parameter.columns,
                    };
                    let accumulate = is_set(&draft.parameter_accumulates, k);
                    let gradient = GradientPlace { place: value, accumulate };
                    ParameterOperand { value, gradient: parameter.trainable.then_some(gradient) }
                })
                .collect(),
            saved: Place { start: self.slots.range(saved).start, rows, columns, stride: columns },
            clear: draft.cleared.iter().map(|slot| self.slots.range(*slot)).collect(),
            flops: node.operation.flops(&self.extents(i)),
            runs_backward: draft.has_gradient && !node.operation.writes_gradients_early(),
        }
    }
}
