//! Lowering: a compiled plan as a list of launches of a device's kernels, plain data.
//!
//! The engine does not know a device. An operation says how it lowers, or that it does not;
//! another crate compiles the kernels and runs the launches.

mod declarations;
mod device;
mod edges;
pub(crate) mod kernel;
mod launch;
mod lowering;
mod merge;
mod record;
mod stores;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};

pub use self::declarations::declarations;
pub use self::device::{
    Device, DeviceError, KernelTime, OnDevice, Timing, flat, read_state, write_state,
};
pub use self::kernel::Kernel;
pub use self::launch::{Launch, NOWHERE, REGION_SHIFT, Region, Span};
pub use self::record::{Entry, HEADER};
pub(crate) use self::{
    launch::{Area, Put, Size},
    lowering::Lowering,
    record::write_header,
};

use self::edges::edges;
use self::lowering::pieces;
use self::merge::{Piece, merged};
use self::stores::Stores;
use crate::graph::Graph;
use crate::optim::Rule;
use crate::parameters::ParameterLayout;
use crate::place::Place;
use crate::plan::plan;
use crate::precision::ProductPrecision;
use crate::program::Mode;
use crate::scalar::Scalar;

/// Something that a device cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLowered(String);

impl NotLowered {
    /// The refusal of the operation `name`.
    pub fn new(name: impl Into<String>) -> NotLowered {
        NotLowered(name.into())
    }
}

impl Display for NotLowered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not available on a GPU", self.0)
    }
}

impl std::error::Error for NotLowered {}

/// The update of a training step.
#[derive(Clone, Copy, Debug)]
pub struct UpdateRule {
    /// The optimiser.
    pub rule: Rule,
    /// Whether weight decay acts on vectors too.
    pub decays_vectors: bool,
    /// The largest norm of the gradient; 0 for no limit.
    pub clip: f64,
}

/// One step of a program for a device. Equal ones can share a launch, each for its own seeds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lowered {
    /// The launches, in an order in which they can run.
    pub launches: Vec<Launch>,
    /// For each launch, the earlier ones that it must wait for, as few as possible.
    pub edges: Vec<Vec<usize>>,
    /// Words of the arena.
    pub arena: usize,
    /// Words of the record of a step: the [header](HEADER), then all index inputs and all weight
    /// inputs, each `[positions, lanes]`.
    pub record: usize,
    /// Where each index input begins in the record.
    pub indices: Vec<usize>,
    /// Where each weight input begins in the record.
    pub weights: Vec<usize>,
    /// Words of the outputs of a step: all outputs of the graph, row by row.
    pub outputs: usize,
    /// The bits of the constants.
    pub constants: Vec<u32>,
    /// Words of the parameters.
    pub parameters: usize,
    /// Words of the gradients and of each moment: the trainable parameters come first.
    pub trainable: usize,
    /// Examples in a batch, with the padding.
    pub lanes: usize,
}

impl Lowered {
    /// Lowers the step of a program that is [compiled](crate::Program::compile) with these
    /// arguments: the same plan, and the same layout of parameters. Without an `update`, training
    /// leaves the gradients in their buffer.
    ///
    /// # Errors
    /// If an operation, the optimiser or the scalar is not available on a GPU.
    ///
    /// # Panics
    /// As [`Program::compile`](crate::Program::compile).
    pub fn new<T: Scalar>(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
        update: Option<UpdateRule>,
    ) -> Result<Lowered, NotLowered> {
        let mut lowered = Lowered::of_pieces(graph, batch, mode, precision, update, merged)?;
        lowered.edges = edges(&lowered.launches);
        Ok(lowered)
    }

    /// Without edges; `merge` makes fewer pieces of all.
    fn of_pieces<T: Scalar>(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
        update: Option<UpdateRule>,
        merge: impl FnOnce(Vec<Piece>, ProductPrecision) -> Vec<Piece>,
    ) -> Result<Lowered, NotLowered> {
        assert!(batch > 0, "a batch has at least one sentence");
        if T::BYTES != 4 {
            return Err(NotLowered::new("f64"));
        }
        if let Some(update) = update {
            update.check()?;
        }
        let layout = ParameterLayout::new(&graph.parameters);
        let plan = plan(graph, &layout, batch, mode == Mode::Training, precision);
        let mut end = HEADER;
        let mut begin = |positions: &usize| {
            let start = end;
            end += positions * plan.lanes;
            start
        };
        let indices: Vec<usize> = graph.indices.iter().map(&mut begin).collect();
        let weights: Vec<usize> = graph.weights.iter().map(&mut begin).collect();
        let mut lowered = Lowered {
            launches: Vec::new(),
            edges: Vec::new(),
            arena: plan.arena,
            record: end,
            indices,
            weights,
            outputs: output_record(&plan.outputs).1,
            constants: Vec::new(),
            parameters: layout.len,
            trainable: layout.trainable,
            lanes: plan.lanes,
        };
        let stores = Stores::new(graph, &layout, &plan, update.filter(|_| mode == Mode::Training));
        let pieces = pieces(&mut lowered, graph, &plan, mode, &stores)?;
        let pieces = merge(pieces, precision).into_iter();
        lowered.launches = pieces.map(|piece| piece.launch(precision)).collect();
        Ok(lowered)
    }

    /// Words of a region, for one seed; of the tables of records and outputs, for one step.
    pub fn words(&self, region: Region) -> usize {
        match region {
            Region::Record | Region::Table => self.record,
            Region::Arena => self.arena,
            Region::Parameters => self.parameters,
            Region::Gradients | Region::FirstMoments | Region::SecondMoments => self.trainable,
            Region::Outputs => self.outputs,
            Region::Counter => 1,
            Region::Constants => self.constants.len(),
        }
    }

    /// Whether a launch reads or writes the region.
    pub fn uses(&self, region: Region) -> bool {
        let spans = self.launches.iter().flat_map(|l| l.reads.iter().chain(&l.writes));
        spans.into_iter().any(|span| span.region == region)
    }
}

impl UpdateRule {
    fn check(&self) -> Result<(), NotLowered> {
        match self.rule {
            Rule::AdamW(_) => {}
            other => return Err(NotLowered::new(format!("the optimizer {}", other.word()))),
        }
        if self.clip > 0.0 {
            return Err(NotLowered::new("gradient clipping"));
        }
        Ok(())
    }
}

/// The places of outputs in a record of all of them, row by row, and its length.
pub(crate) fn output_record(outputs: &[Place]) -> (Vec<Place>, usize) {
    let mut end = 0;
    let places = outputs.iter().map(|output| {
        let place = Place { start: end, stride: output.columns, ..*output };
        end += place.len();
        place
    });
    (places.collect(), end)
}
