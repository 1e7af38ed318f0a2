//! Where the gradient of each parameter is stored, and the updates that no other launch makes.

use std::ops::Range;

use super::UpdateRule;
use super::launch::Store;
use crate::graph::Graph;
use crate::parameters::ParameterLayout;
use crate::plan::Plan;
use crate::scalar::Scalar;

/// The updates of all parameters.
pub(super) struct Stores {
    /// For each parameter, the update that the launches that compute its gradient make; `None` if
    /// they store the gradient.
    pub(super) fused: Vec<Option<Store>>,
    /// Ranges of the other trainable parameters, each updated from the buffer of gradients.
    pub(super) later: Vec<(Range<usize>, Store)>,
}

impl Stores {
    pub(super) fn new<T: Scalar>(
        graph: &Graph<T>,
        layout: &ParameterLayout,
        plan: &Plan,
        update: Option<UpdateRule>,
    ) -> Stores {
        let count = graph.parameters.len();
        let Some(update) = update else {
            return Stores { fused: vec![None; count], later: Vec::new() };
        };
        let step_of = |i: usize| {
            let spared = graph.parameters[i].vector && !update.decays_vectors;
            if spared { Store::StepWithoutDecay } else { Store::Step }
        };
        let trainable = |i: &usize| graph.parameters[*i].trainable;
        let once = written_once(graph, plan);
        let fused: Vec<Option<Store>> =
            (0..count).map(|i| (trainable(&i) && once[i]).then(|| step_of(i))).collect();
        let mut others: Vec<usize> =
            (0..count).filter(|i| trainable(i) && fused[*i].is_none()).collect();
        others.sort_by_key(|i| layout.starts[*i]);
        let mut later: Vec<(Range<usize>, Store)> = Vec::new();
        for i in others {
            let (range, store) = (layout.range(i), step_of(i));
            match later.last_mut() {
                // The padding between two parameters is zero, and stays so.
                Some((last, same)) if *same == store && layout.follows(last.end, range.start) => {
                    last.end = range.end;
                }
                _ => later.push((range, store)),
            }
        }
        Stores { fused, later }
    }
}

/// Whether each column of each parameter has its gradient computed by exactly one operation.
fn written_once<T: Scalar>(graph: &Graph<T>, plan: &Plan) -> Vec<bool> {
    let nodes = plan.nodes.iter().filter(|node| node.runs_backward);
    let views: Vec<_> = nodes.flat_map(|node| &graph.nodes[node.node].parameters).collect();
    let parameters = graph.parameters.iter().enumerate();
    let once = parameters.map(|(i, parameter)| {
        let views = views.iter().filter(|view| view.parameter == i);
        let mut spans: Vec<_> = views.map(|view| (view.first, view.count)).collect();
        spans.sort_unstable();
        let end = spans
            .into_iter()
            .try_fold(0, |end, (first, count)| (first == end).then_some(first + count));
        end == Some(parameter.columns)
    });
    once.collect()
}
