//! The lowering of a plan: pass by pass, operation by operation.

use std::ops::Range;

use super::kernel::{
    AdamW, BeginStep, Clear, EndStep, KeepOutput, ProductF32, RowSums, WeightGradientF32,
};
use super::launch::{Area, Launch, Put, Region, Size, Span, Store, Target};
use super::merge::Piece;
use super::stores::Stores;
use super::{Lowered, NotLowered, output_record, record};
use crate::graph::Graph;
use crate::handle::Columns;
use crate::place::{NodePlan, Place};
use crate::plan::Plan;
use crate::program::Mode;
use crate::scalar::Scalar;

/// One operation that is lowered: the places of its operands on the device, and the launches so far.
///
/// Its methods are those of the [`Context`](crate::operation::Context) of a run.
pub(crate) struct Lowering<'a> {
    pub(crate) plan: &'a NodePlan,
    pub(crate) lanes: usize,
    pub(crate) training: bool,
    views: &'a [Columns],
    fused: &'a [Option<Store>],
    indices: &'a [usize],
    weights: &'a [usize],
    pieces: &'a mut Vec<Piece>,
    constants: &'a mut Constants,
}

/// The constants of a program, equal ones once.
#[derive(Default)]
struct Constants {
    bits: Vec<u32>,
    ranges: Vec<Range<usize>>,
}

impl Constants {
    fn place(&mut self, bits: &[u32]) -> Area {
        let known = self.ranges.iter().find(|range| self.bits[range.start..range.end] == *bits);
        let range = known.cloned().unwrap_or_else(|| {
            let start = self.bits.len();
            self.bits.extend(bits);
            self.ranges.push(start..self.bits.len());
            start..self.bits.len()
        });
        Area::row(Region::Constants, range.start, range.len())
    }
}

impl Lowering<'_> {
    fn arena(place: Place) -> Area {
        Area { region: Region::Arena, place }
    }

    /// The positions of input `i` that it reads.
    pub(crate) fn input_positions(&self, i: usize) -> Range<usize> {
        self.plan.inputs[i].positions.clone()
    }

    /// The positions of the output.
    pub(crate) fn output_positions(&self) -> Range<usize> {
        self.plan.output.positions.clone()
    }

    /// Input `i`.
    pub(crate) fn input(&self, i: usize) -> Area {
        Self::arena(self.plan.inputs[i].value)
    }

    /// The output, to be overwritten.
    pub(crate) fn output(&self) -> Put {
        Put::over(Self::arena(self.plan.output.value))
    }

    /// The memory that the operation keeps for its backward pass.
    pub(crate) fn saved(&self) -> Area {
        Self::arena(self.plan.saved)
    }

    /// Parameter `i` of the operation.
    pub(crate) fn parameter(&self, i: usize) -> Area {
        Area { region: Region::Parameters, place: self.plan.parameters[i].value }
    }

    /// The gradient of the output.
    pub(crate) fn d_output(&self) -> Area {
        let gradient = self.plan.output.gradient;
        let gradient =
            gradient.expect("an operation runs backward only if its output has a gradient");
        Self::arena(gradient.place)
    }

    /// The destination of the gradient of input `i`; `None` if it is not needed.
    pub(crate) fn d_input(&self, i: usize) -> Option<Put> {
        let gradient = self.plan.inputs[i].gradient?;
        Some(Put { area: Self::arena(gradient.place), add: gradient.accumulate })
    }

    /// The destination of the gradient of parameter `i`; `None` if it is frozen.
    pub(crate) fn d_parameter(&self, i: usize) -> Option<Target> {
        let gradient = self.plan.parameters[i].gradient?;
        let stored = if gradient.accumulate { Store::Add } else { Store::Write };
        let store = self.fused[self.views[i].parameter].unwrap_or(stored);
        Some(Target { place: gradient.place, store })
    }

    fn record(&self, start: usize, positions: Range<usize>) -> Area {
        let (first, len) = (positions.start * self.lanes, positions.len() * self.lanes);
        Area::row(Region::Record, start + first, len)
    }

    /// An index input, `[positions · lanes]`: the given positions.
    pub(crate) fn indices(&self, input: usize, positions: Range<usize>) -> Area {
        self.record(self.indices[input], positions)
    }

    /// A weight input, `[positions · lanes]`: the given positions.
    pub(crate) fn weights(&self, input: usize, positions: Range<usize>) -> Area {
        self.record(self.weights[input], positions)
    }

    /// Constants, as bits.
    pub(crate) fn constant(&mut self, bits: &[u32]) -> Area {
        self.constants.place(bits)
    }

    /// The threshold and the stream of dropout: 0 in inference.
    pub(crate) fn dropout(&self, threshold: u32, stream: u32) -> [Size; 2] {
        let threshold = if self.training { threshold } else { 0 };
        [Size(threshold as usize), Size(stream as usize)]
    }

    /// Appends a launch.
    pub(crate) fn push(&mut self, launch: impl Into<Launch>) {
        self.pieces.push(Piece::Launch(launch.into()));
    }

    /// Appends a launch that draws random numbers, from the seeds in the record.
    pub(crate) fn push_with_noise(&mut self, launch: impl Into<Launch>) {
        let mut launch = launch.into();
        launch.reads.push(record::header());
        self.push(launch);
    }

    /// Appends a product.
    pub(crate) fn product(&mut self, product: ProductF32) {
        self.pieces.push(Piece::Product(product));
    }

    /// Appends the gradient of a weight: `left · rightᵀ`.
    pub(crate) fn weight_gradient(&mut self, left: Area, right: Area, weight: Target) {
        self.pieces.push(Piece::WeightGradient(WeightGradientF32 {
            left,
            right: [Some(right), None, None],
            weight,
            rows: Size(left.place.rows),
            columns: Size(right.place.rows),
            k: Size(left.place.columns),
            r_rows: Size(right.place.rows),
        }));
    }

    /// Appends the gradient of a bias: the sum of each row of `x`.
    pub(crate) fn row_sums(&mut self, x: Area, bias: Target) {
        let Place { rows, columns, .. } = x.place;
        self.pieces.push(Piece::RowSums(RowSums {
            x: [Some(x), None, None],
            bias,
            rows: Size(rows),
            columns: Size(columns),
            x_rows: Size(rows),
        }));
    }
}

/// The launches of a step; the constants are added to those of `lowered`.
///
/// # Errors
/// If an operation is not available on a device.
pub(super) fn pieces<T: Scalar>(
    lowered: &mut Lowered,
    graph: &Graph<T>,
    plan: &Plan,
    mode: Mode,
    stores: &Stores,
) -> Result<Vec<Piece>, NotLowered> {
    let training = mode == Mode::Training;
    let mut constants = Constants::default();
    let mut pieces = Vec::new();
    let length = Size(lowered.record);
    let counter = Area::row(Region::Counter, 0, 1);
    let whole = |region, words: Size| Area::row(region, 0, words.0);
    pieces.push(Piece::Launch(
        BeginStep {
            record: Put::over(whole(Region::Record, length)),
            table: whole(Region::Table, length),
            counter,
            length,
        }
        .into(),
    ));
    let mut lower = |node: &NodePlan, backward: bool, pieces: &mut Vec<Piece>| {
        let operation = &graph.nodes[node.node].operation;
        let mut at = Lowering {
            plan: node,
            lanes: plan.lanes,
            training,
            views: &graph.nodes[node.node].parameters,
            fused: &stores.fused,
            indices: &lowered.indices,
            weights: &lowered.weights,
            pieces,
            constants: &mut constants,
        };
        match backward {
            false => operation.lower_forward(&mut at),
            true => operation.lower_backward(&mut at),
        }
    };
    for node in &plan.nodes {
        if !node.runs_backward {
            clear(Region::Arena, &node.clear, &mut pieces);
        }
        lower(node, false, &mut pieces)?;
    }
    if training {
        clear(Region::Gradients, &plan.cleared, &mut pieces);
        for node in plan.nodes.iter().rev().filter(|node| node.runs_backward) {
            clear(Region::Arena, &node.clear, &mut pieces);
            lower(node, true, &mut pieces)?;
        }
        for (range, store) in &stores.later {
            let place = Place::row(range.start, range.len());
            let gradient = Area { region: Region::Gradients, place };
            let weight = Target { place, store: *store };
            let update = AdamW { weight, gradient, count: Size(range.len()) };
            pieces.push(Piece::Launch(update.into()));
        }
    }
    let outputs = output_record(&plan.outputs).0;
    for (value, output) in plan.outputs.iter().zip(outputs) {
        let mut launch = Launch::from(KeepOutput {
            value: Area { region: Region::Arena, place: *value },
            table: Put::over(whole(Region::Outputs, Size(lowered.outputs))),
            counter,
            rows: Size(value.rows),
            columns: Size(value.columns),
            first: Size(output.start),
            length: Size(lowered.outputs),
        });
        // It writes its own part of the record.
        let Place { start, rows, columns, stride } = output;
        launch.writes = vec![Span { region: Region::Outputs, start, rows, columns, stride }];
        pieces.push(Piece::Launch(launch));
    }
    pieces.push(Piece::Launch(EndStep { counter: Put::over(counter) }.into()));
    lowered.constants = constants.bits;
    Ok(pieces)
}

/// Appends launches that zero these ranges.
fn clear(region: Region, ranges: &[Range<usize>], pieces: &mut Vec<Piece>) {
    for range in ranges {
        let values = Put::over(Area::row(region, range.start, range.len()));
        pieces.push(Piece::Launch(Clear { values, count: Size(range.len()) }.into()));
    }
}
