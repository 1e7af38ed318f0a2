//! A graph compiled for one size of batch: a step allocates nothing, looks nothing up and calls
//! straight into the operations.

use std::ops::Range;
use std::sync::Arc;

use crate::extent::numbers;
use crate::graph::Graph;
use crate::handle::{GraphId, Indices, Weights};
use crate::isa::Isa;
use crate::lower::{output_record, write_header};
use crate::matrix::{Buffer, Matrix, filled};
use crate::operation::{Context, Memory, Operation};
use crate::optim::{Optimizer, Rule};
use crate::parameters::{Gradients, ParameterLayout, Parameters};
use crate::place::NodePlan;
use crate::plan::{Plan, plan};
use crate::precision::ProductPrecision;
use crate::profile::{Clock, Direction, Profile};
use crate::random::Noise;
use crate::scalar::Scalar;
use crate::team::{Team, Worker};
use crate::workspace::Workspace;

/// The purpose of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forward and backward; dropout is on.
    Training,
    /// Forward only; dropout is off.
    Inference,
}

/// A compiled graph with its memory.
pub struct Program<T> {
    graph: GraphId,
    operations: Vec<Arc<dyn Operation<T>>>,
    layout: Arc<ParameterLayout>,
    plan: Plan,
    mode: Mode,
    isa: Isa,
    precision: ProductPrecision,
    batch: usize,
    arena: Buffer<T>,
    scratch: Buffer<T>,
    workers: usize,
    indices: Vec<Vec<u32>>,
    weights: Vec<Vec<T>>,
    clock: Option<Clock>,
}

/// An output, read after a run: `[features, positions, lanes]`.
pub struct Output<'a, T> {
    matrix: Matrix<'a, T>,
    lanes: usize,
}

impl<'a, T: Scalar> Output<'a, T> {
    /// The number of features.
    pub fn features(&self) -> usize {
        self.matrix.rows
    }

    /// The number of positions.
    pub fn positions(&self) -> usize {
        self.matrix.columns / self.lanes
    }

    /// A feature at a position, for the whole batch and the padding lanes after it.
    pub fn lanes(&self, feature: usize, position: usize) -> &'a [T] {
        assert!(position < self.positions(), "{} positions, not {position}", self.positions());
        &self.matrix.row(feature)[position * self.lanes..(position + 1) * self.lanes]
    }
}

impl<T: Scalar> Program<T> {
    /// Compiles `graph` for `batch` examples and a team of `workers`, for the processor's best
    /// instruction set.
    ///
    /// # Panics
    /// As [`compile_for`](Program::compile_for).
    pub fn compile(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
        workers: usize,
    ) -> Program<T> {
        Program::compile_for(graph, batch, mode, precision, workers, Isa::detect())
    }

    /// Compiles for a given instruction set.
    ///
    /// # Panics
    /// If `batch` or `workers` is 0, or the program is too large: one of its buffers would have more
    /// numbers than any memory holds, or this machine has no memory for it.
    pub fn compile_for(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
        workers: usize,
        isa: Isa,
    ) -> Program<T> {
        assert!(workers > 0, "a team has at least one worker");
        let mut program = Program::planned(graph, workers, (batch, mode, precision, isa));
        let mut memory = Workspace::default();
        memory.grow(&program.plan, workers);
        program.exchange(&mut memory);
        program
    }

    /// Plans as [`compile`](Program::compile) does, for runs elsewhere: it holds the inputs and the
    /// outputs, and no memory to run in. [`Lowered::new`](crate::lower::Lowered::new) has the
    /// launches.
    ///
    /// # Panics
    /// As [`compile`](Program::compile).
    pub fn for_device(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
    ) -> Program<T> {
        let mut program = Program::planned(graph, 0, (batch, mode, precision, Isa::detect()));
        let (outputs, length) = output_record(&program.plan.outputs);
        program.plan.outputs = outputs;
        program.arena = Buffer::zeros(length);
        program
    }

    /// Compiles without memory, for runs [in a workspace](Program::within).
    ///
    /// # Panics
    /// As [`compile`](Program::compile), but for its memory.
    pub fn without_memory(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
        workers: usize,
    ) -> Program<T> {
        assert!(workers > 0, "a team has at least one worker");
        Program::planned(graph, workers, (batch, mode, precision, Isa::detect()))
    }

    /// Runs in the memory of a workspace, which grows where it must. Outputs are lost at the end of
    /// `work`.
    ///
    /// # Panics
    /// If there is no memory.
    pub fn within<R>(
        &mut self,
        workspace: &mut Workspace<T>,
        work: impl FnOnce(&mut Program<T>) -> R,
    ) -> R {
        workspace.grow(&self.plan, self.workers);
        self.exchange(workspace);
        let result = work(self);
        self.exchange(workspace);
        result
    }

    fn exchange(&mut self, memory: &mut Workspace<T>) {
        std::mem::swap(&mut self.arena, &mut memory.arena);
        std::mem::swap(&mut self.scratch, &mut memory.scratch);
    }

    /// Without memory, for a team of `workers`.
    fn planned(
        graph: &Graph<T>,
        workers: usize,
        (batch, mode, precision, isa): (usize, Mode, ProductPrecision, Isa),
    ) -> Program<T> {
        assert!(batch > 0, "a batch has at least one sentence");
        let layout = Arc::new(ParameterLayout::new(&graph.parameters));
        let plan = plan(graph, &layout, batch, mode == Mode::Training, precision);
        let lanes = plan.lanes;
        Program {
            graph: graph.id,
            operations: graph.nodes.iter().map(|node| Arc::clone(&node.operation)).collect(),
            layout,
            mode,
            isa,
            precision,
            batch,
            arena: Buffer::zeros(0),
            scratch: Buffer::zeros(0),
            workers,
            indices: graph.indices.iter().map(|p| filled(numbers(&[*p, lanes]), 0)).collect(),
            weights: graph.weights.iter().map(|p| filled(numbers(&[*p, lanes]), T::ZERO)).collect(),
            plan,
            clock: None,
        }
    }

    /// The bytes that [`compile`](Program::compile) would allocate for activations, their gradients
    /// and scratch. Allocates none of them.
    pub fn planned_bytes(
        graph: &Graph<T>,
        batch: usize,
        mode: Mode,
        precision: ProductPrecision,
        workers: usize,
    ) -> usize {
        let layout = ParameterLayout::new(&graph.parameters);
        let plan = plan(graph, &layout, batch, mode == Mode::Training, precision);
        let scratch = plan.scratch.saturating_mul(workers);
        plan.arena.saturating_add(scratch).saturating_mul(T::BYTES)
    }

    /// Examples in a batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Workers of the team that it was compiled for.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Examples in a batch, with the padding. A padding lane must hold valid indices, such as a
    /// copy of the first example, and weight zero.
    pub fn lanes(&self) -> usize {
        self.plan.lanes
    }

    /// Bytes of memory for activations, their gradients and scratch.
    pub fn bytes(&self) -> usize {
        (self.plan.arena + self.plan.scratch * self.workers) * T::BYTES
    }

    /// Multiplications and additions of a run.
    pub fn flops(&self) -> u64 {
        let forward: u64 = self.plan.nodes.iter().map(|node| node.flops).sum();
        if self.mode == Mode::Training { 3 * forward } else { forward }
    }

    /// Measures the time of each operation from now on, at a small cost per step.
    pub fn keep_profile(&mut self) {
        self.clock = Some(Clock::new(self.plan.nodes.len()));
    }

    /// The times measured since [`keep_profile`](Program::keep_profile), with an optimiser of this
    /// rule.
    pub fn profile(&self, rule: Rule) -> Option<Profile> {
        let names: Vec<_> = self.operations.iter().map(|operation| operation.name()).collect();
        let (nodes, trainable) = (&self.plan.nodes, self.layout.trainable);
        let clock = self.clock.as_ref()?;
        Some(clock.read(nodes, &names, T::BYTES, trainable, rule.moments()))
    }

    /// The instruction set that it was compiled for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The numbers of an index input, `[positions, lanes]`, to be set before a run.
    ///
    /// # Panics
    /// If it is of another graph.
    pub fn indices_mut(&mut self, input: Indices) -> &mut [u32] {
        &mut self.indices[input.index_in(self.graph)]
    }

    /// The numbers of a weight input, `[positions, lanes]`, to be set before a run.
    ///
    /// # Panics
    /// If it is of another graph.
    pub fn weights_mut(&mut self, input: Weights) -> &mut [T] {
        &mut self.weights[input.index_in(self.graph)]
    }

    /// Appends the record of a step that is made [elsewhere](Program::for_device): the seeds, the
    /// rates of the optimiser, whose step is counted, and the present inputs.
    ///
    /// # Panics
    /// If the optimiser is of another model.
    pub fn record(&self, noise: Noise, optimizer: Option<&mut Optimizer<T>>, out: &mut Vec<u32>) {
        let rates = optimizer.and_then(|optimizer| {
            assert!(optimizer.layout().is(&self.layout), "the optimiser is of another model");
            optimizer.begin_elsewhere()
        });
        write_header(noise, rates, out);
        out.extend(self.indices.iter().flatten());
        let bits = |weight: &T| (weight.to_f64() as f32).to_bits();
        out.extend(self.weights.iter().flatten().map(bits));
    }

    /// Takes the outputs of a run [elsewhere](Program::for_device): those of the graph in their
    /// order, row by row.
    ///
    /// # Panics
    /// If there are more or fewer, or the program was compiled to run here.
    pub fn load_outputs(&mut self, outputs: &[T]) {
        assert_eq!(self.workers, 0, "the program has its own outputs");
        self.arena.as_mut_slice().copy_from_slice(outputs);
    }

    /// The graph's output number `i`, as the last run left it.
    pub fn output(&self, i: usize) -> Output<'_, T> {
        let place = &self.plan.outputs[i];
        let length = (place.rows - 1) * place.stride + place.columns;
        let start = &self.arena.as_slice()[place.start..place.start + length];
        // SAFETY: the plan puts outputs into the arena and keeps them to the end of a run; the
        // arena, of which this is the output's part, is borrowed for as long as the matrix.
        let matrix =
            unsafe { Matrix::new(start.as_ptr(), place.rows, place.columns, place.stride) };
        Output { matrix, lanes: self.plan.lanes }
    }

    /// Computes the outputs.
    ///
    /// # Panics
    /// If the parameters are of another model, or the team does not have the workers that the
    /// program was compiled for.
    pub fn forward(&mut self, parameters: &Parameters<T>, noise: Noise, team: &mut Team) {
        let values = parameters.values.as_slice().as_ptr().cast_mut();
        // SAFETY: the numbers are those of the layout, and borrowed; without an optimiser they are
        // only read.
        unsafe { self.execute(&parameters.layout, values, None, None, noise, team) };
    }

    /// Computes the outputs and the gradients of the loss.
    ///
    /// # Panics
    /// As [`forward`](Program::forward), or if the gradients are of another model, or the program
    /// was compiled for inference.
    pub fn gradients(
        &mut self,
        parameters: &Parameters<T>,
        gradients: &mut Gradients<T>,
        noise: Noise,
        team: &mut Team,
    ) {
        self.differentiate(parameters, (gradients, false), noise, team);
    }

    /// As [`gradients`](Program::gradients), but adds to the gradients that are there: those of the
    /// other parts of a batch.
    ///
    /// # Panics
    /// As that.
    pub fn add_gradients(
        &mut self,
        parameters: &Parameters<T>,
        gradients: &mut Gradients<T>,
        noise: Noise,
        team: &mut Team,
    ) {
        self.differentiate(parameters, (gradients, true), noise, team);
    }

    /// Computes the gradients, or with true adds them to those that are there.
    fn differentiate(
        &mut self,
        parameters: &Parameters<T>,
        gradients: (&mut Gradients<T>, bool),
        noise: Noise,
        team: &mut Team,
    ) {
        let values = parameters.values.as_slice().as_ptr().cast_mut();
        // SAFETY: as in the forward pass.
        unsafe { self.execute(&parameters.layout, values, Some(gradients), None, noise, team) };
    }

    /// One training step: outputs, gradients, and the update of the parameters. Returns whether
    /// all workers stayed to the end, as [`Team::run`].
    ///
    /// # Panics
    /// As [`gradients`](Program::gradients), or if the optimiser is of another model.
    pub fn step(
        &mut self,
        parameters: &mut Parameters<T>,
        gradients: &mut Gradients<T>,
        optimizer: &mut Optimizer<T>,
        noise: Noise,
        team: &mut Team,
    ) -> bool {
        let values = parameters.values.as_mut_slice().as_mut_ptr();
        let layout = Arc::clone(&parameters.layout);
        // SAFETY: the numbers are those of the layout, and borrowed mutably.
        unsafe {
            self.execute(&layout, values, Some((gradients, false)), Some(optimizer), noise, team)
        }
    }

    /// # Safety
    /// `parameters` must point to the numbers of `layout`, which nobody else writes meanwhile; with
    /// an optimiser nobody else reads them either, and they can be written.
    unsafe fn execute(
        &mut self,
        layout: &Arc<ParameterLayout>,
        parameters: *mut T,
        gradients: Option<(&mut Gradients<T>, bool)>,
        optimizer: Option<&mut Optimizer<T>>,
        noise: Noise,
        team: &mut Team,
    ) -> bool {
        assert!(layout.is(&self.layout), "the parameters are of another model");
        // From now on they are seen to fit at a glance.
        self.layout = Arc::clone(layout);
        assert!(self.workers > 0, "the program was compiled for a device");
        assert_eq!(team.workers(), self.workers, "the program was compiled for another team");
        let backward = gradients.is_some();
        assert!(
            !backward || self.mode == Mode::Training,
            "a program compiled for inference has no backward pass"
        );
        let room = self.arena.as_slice().len() >= self.plan.arena
            && self.scratch.as_slice().len() >= self.plan.scratch * self.workers;
        assert!(room, "the program has no memory: it runs in a workspace");
        let adds = matches!(gradients, Some((_, true)));
        let gradients = match gradients {
            Some((gradients, _)) => {
                assert!(gradients.layout.is(layout), "the gradients are of another model");
                gradients.values.as_mut_slice().as_mut_ptr()
            }
            None => std::ptr::null_mut(),
        };
        let memory = Memory {
            arena: self.arena.as_mut_slice().as_mut_ptr(),
            parameters,
            gradients,
            scratch: self.scratch.as_mut_slice().as_mut_ptr(),
            scratch_len: self.plan.scratch,
            adds,
            indices: &self.indices,
            weights: &self.weights,
        };
        let update = optimizer.map(|optimizer| {
            assert!(optimizer.layout().is(layout), "the optimiser is of another model");
            optimizer.begin(parameters, gradients, self.workers)
        });
        let (plan, operations) = (&self.plan, &self.operations);
        let memory = &memory;
        let (isa, precision) = (self.isa, self.precision);
        let (lanes, training) = (plan.lanes, self.mode == Mode::Training);
        let clock = self.clock.as_ref();
        team.run(|worker: &Worker<'_>| {
            let mut lap = clock.filter(|_| worker.index() == 0).map(Clock::start);
            let context = |node| Context {
                plan: node,
                memory,
                worker,
                isa,
                precision,
                noise,
                lanes,
                training,
            };
            for (at, node) in plan.nodes.iter().enumerate() {
                // A loss that writes its gradients in the forward pass.
                if !node.runs_backward && !clear(node, memory, worker) {
                    return;
                }
                operations[node.node].forward(&context(node));
                if !worker.barrier() {
                    return;
                }
                if let Some(lap) = &mut lap {
                    lap.node(at, Direction::Forward);
                }
            }
            let cleared = if adds { &[][..] } else { &plan.cleared };
            if !backward || !clear_ranges(cleared, memory.gradients, worker) {
                return;
            }
            let backwards = plan.nodes.iter().enumerate().rev();
            for (at, node) in backwards.filter(|(_, node)| node.runs_backward) {
                if !clear(node, memory, worker) {
                    return;
                }
                operations[node.node].backward(&context(node));
                if !worker.barrier() {
                    return;
                }
                if let Some(lap) = &mut lap {
                    lap.node(at, Direction::Backward);
                }
            }
            if let Some(update) = &update {
                // SAFETY: parameters, gradients and moments have this layout by the assertions; the
                // backward pass ended at a barrier; the workers are those of the program.
                unsafe { update.run(isa, worker, layout.trainable) }
                if let Some(lap) = &mut lap {
                    lap.update();
                }
            }
        })
    }
}

/// Zeroes the gradient buffers that a node writes only in part. Returns whether this worker
/// continues.
fn clear<T: Scalar>(node: &NodePlan, memory: &Memory<'_, T>, worker: &Worker<'_>) -> bool {
    clear_ranges(&node.clear, memory.arena, worker)
}

/// Zeroes ranges of this buffer. Returns whether this worker continues, as
/// [`barrier`](Worker::barrier).
fn clear_ranges<T: Scalar>(ranges: &[Range<usize>], buffer: *mut T, worker: &Worker<'_>) -> bool {
    if ranges.is_empty() {
        return true;
    }
    for range in ranges {
        let share = worker.share(range.len(), 64);
        // SAFETY: the plan put the range into the buffer (of this run, where it is that of
        // gradients); shares are disjoint, and a barrier comes before and after.
        unsafe { buffer.add(range.start + share.start).write_bytes(0, share.len()) }
    }
    worker.barrier()
}
