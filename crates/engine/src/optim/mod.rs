//! Optimisers: one fused pass over the flat buffers of parameters, gradients and moments. Each
//! optimiser is one file, which implements [`Method`], and one line in the list below. Muon also
//! updates whole matrices.

use std::ops::Range;
use std::sync::Arc;

use retrodict_settings::choice;

use self::adam::MomentEstimates;
use self::clip::Clip;
use crate::extent::numbers;
use crate::isa::Isa;
use crate::matrix::Buffer;
use crate::parameter::Parameter;
use crate::parameters::{Gradients, ParameterLayout, Parameters};
use crate::scalar::{PerScalar, Scalar};
use crate::team::Worker;

#[cfg(test)]
mod tests;

mod apply;
mod clip;

/// An optimiser: its struct holds its hyper-parameters.
trait Method: Copy {
    /// Moments per trainable parameter.
    fn moments(&self) -> usize;

    /// The weight of past steps in the next: β₁ or μ.
    fn momentum(&self) -> f64;

    /// The moment estimates of an adaptive step; `None` where the step is not proportional to the
    /// mean gradient, or the rate is the only factor.
    fn moment_estimates(&self, _step: Step) -> Option<MomentEstimates> {
        None
    }

    /// One step for some elements.
    fn update<T: Scalar>(&self, isa: Isa, step: Step, elements: Elements<'_, T>);

    /// Whether [hidden](crate::Parameter::hidden) matrices are updated as matrices.
    fn takes_matrices(&self) -> bool {
        false
    }

    /// Elements of scratch memory that the update of a matrix takes.
    fn matrix_scratch(&self, _matrix: Matrix) -> usize {
        0
    }

    /// One step for a hidden matrix.
    fn update_matrix<T: Scalar>(
        &self,
        _isa: Isa,
        _step: Step,
        _matrix: Matrix,
        _elements: Elements<'_, T>,
        _scratch: &mut [T],
    ) {
        unreachable!("only for optimisers that take matrices")
    }
}

/// Writes the enum of all optimisers, each with its module.
macro_rules! optimizers {
    ($($module:ident::$name:ident = $word:literal)+) => {
        $(
            mod $module;
            pub use $module::$name;
        )+

        choice! {
            /// The optimizer.
            #[derive(Copy)]
            pub enum Rule: "train"."optimizer" = "adamw" {
                $(
                    #[doc = stringify!($name)]
                    $name($name) = $word,
                )+
            }
        }

        /// Runs code with the optimiser's own struct.
        macro_rules! with_method {
            ($rule:expr, $method:ident => $code:expr) => {
                match $rule {
                    $(Rule::$name($method) => $code,)+
                }
            };
        }
    };
}

optimizers! {
    adamw::AdamW = "adamw"
    adam::Adam = "adam"
    sgd::Sgd = "sgd"
    lion::Lion = "lion"
    muon::Muon = "muon"
}

impl Rule {
    /// Moments per trainable parameter.
    pub fn moments(&self) -> usize {
        with_method!(self, method => method.moments())
    }

    /// The weight of past steps in the next: β₁ or μ.
    pub fn momentum(&self) -> f64 {
        with_method!(self, method => method.momentum())
    }
}

/// One step's number and rates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// From 1.
    number: u64,
    rate: f64,
    weight_decay: f64,
}

impl Step {
    /// The factor of a parameter under decoupled weight decay.
    #[inline(always)]
    fn shrink<T: Scalar>(self) -> T {
        T::from_f64(1.0 - self.rate * self.weight_decay)
    }
}

/// The numbers of a step with moment estimates and decoupled weight decay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepRates {
    /// The factor of a parameter.
    pub(crate) shrink: f64,
    /// `rate / (1 − β₁ᵗ)`.
    pub(crate) corrected_rate: f64,
    /// `√(1 − β₂ᵗ)`.
    pub(crate) second_correction: f64,
    pub(crate) betas: [f64; 2],
    pub(crate) epsilon: f64,
}

/// Some elements of the flat buffers; moments that the optimiser does not keep are empty.
struct Elements<'a, T> {
    parameters: &'a mut [T],
    gradients: &'a [T],
    moments: [&'a mut [T]; 2],
}

/// A hidden matrix in the flat buffers.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    start: usize,
    rows: usize,
    columns: usize,
    /// Maps that stand side by side in its columns.
    maps: usize,
}

impl Matrix {
    /// All trained ones, in the order of the buffer.
    fn hidden(layout: &ParameterLayout) -> Vec<Matrix> {
        let parameters = layout.parameters.iter().zip(&layout.starts);
        let hidden = parameters.filter(|(p, _)| p.hidden_maps > 0 && p.trainable && !p.vector);
        let matrix = |(p, start): (&Parameter, &usize)| Matrix {
            start: *start,
            rows: p.rows,
            columns: p.columns,
            maps: p.hidden_maps,
        };
        let mut all: Vec<_> = hidden.map(matrix).collect();
        all.sort_by_key(|matrix| matrix.start);
        all
    }

    /// Columns of one map.
    fn map_width(&self) -> usize {
        self.columns / self.maps
    }

    fn len(&self) -> usize {
        self.rows * self.columns
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.len()
    }
}

/// A range of the trainable parameters that is updated number by number.
#[derive(Clone, Debug)]
struct Span {
    range: Range<usize>,
    /// Whether weight decay acts on it.
    decays: bool,
}

impl Span {
    /// All trainable parameters but these matrices, in as few spans as possible.
    fn all(layout: &ParameterLayout, matrices: &[Matrix], decays_vectors: bool) -> Vec<Span> {
        let spared = |i: &usize| {
            let p = &layout.parameters[*i];
            !decays_vectors && p.vector && p.trainable
        };
        let spared = (0..layout.parameters.len()).filter(spared).map(|i| (layout.range(i), true));
        let matrices = matrices.iter().map(|matrix| (matrix.range(), false));
        let mut cuts: Vec<_> = matrices.chain(spared).collect();
        cuts.sort_by_key(|(range, _)| range.start);
        let (mut spans, mut end) = (Vec::new(), 0);
        for (range, spared) in cuts {
            spans.push(Span { range: end..range.start, decays: true });
            end = range.end;
            if spared {
                spans.push(Span { range, decays: false });
            }
        }
        spans.push(Span { range: end..layout.trainable, decays: true });
        spans
    }
}

/// An optimiser with its state: for one rule and one model, which cannot be changed.
///
/// ```compile_fail,E0616
/// # use retrodict_engine::*;
/// # let mut graph = Graph::<f32>::new();
/// # graph.parameter(Parameter::matrix("w", [2, 2], Initial::Constant(0.0)));
/// # let parameters = Parameters::initial(&graph, 0);
/// let mut optimizer = Optimizer::new(Rule::Sgd(Sgd { momentum: 0.0 }), 1.0, 0.0, &parameters);
/// // It has no moments for this rule.
/// optimizer.rule = Rule::Lion(Lion { betas: [0.9, 0.99] });
/// ```
///
/// ```compile_fail,E0594
/// # use retrodict_engine::*;
/// # fn replace(optimizer: &mut Optimizer<f32>, smaller: Gradients<f32>) {
/// // They may be of another model.
/// optimizer.moments()[0] = smaller;
/// # }
/// ```
pub struct Optimizer<T> {
    rule: Rule,
    /// The learning rate; may be changed between steps.
    pub rate: f64,
    /// The weight decay, of every trainable parameter or of [matrices
    /// alone](Optimizer::decaying_vectors).
    pub weight_decay: f64,
    /// The largest norm of the whole gradient: a longer one is scaled down to it. 0 for no limit.
    pub clip: f64,
    steps: u64,
    /// The layout of the moments, and of the ranges below.
    layout: Arc<ParameterLayout>,
    moments: Vec<Gradients<T>>,
    /// The matrices that are updated as matrices, and all other trainable parameters.
    matrices: Vec<Matrix>,
    others: Vec<Span>,
    /// The sums of squares of parts of the gradient; empty before the first clipped step.
    squares: Vec<f64>,
    /// Scratch memory of all workers, for matrices.
    scratch: Buffer<T>,
}

impl<T: Scalar> Optimizer<T> {
    /// A fresh one for these parameters.
    pub fn new(
        rule: Rule,
        rate: f64,
        weight_decay: f64,
        parameters: &Parameters<T>,
    ) -> Optimizer<T> {
        let moments = (0..rule.moments()).map(|_| Gradients::zeros(parameters)).collect();
        let layout = Arc::clone(&parameters.layout);
        let takes_matrices = with_method!(rule, method => method.takes_matrices());
        let matrices = if takes_matrices { Matrix::hidden(&layout) } else { Vec::new() };
        let others = Span::all(&layout, &matrices, true);
        let (scratch, squares) = (Buffer::zeros(0), Vec::new());
        let (clip, steps) = (0.0, 0);
        Optimizer {
            rule,
            rate,
            weight_decay,
            clip,
            steps,
            layout,
            moments,
            matrices,
            others,
            squares,
            scratch,
        }
    }

    /// The same with weight decay on vectors (biases, gains of norms), as is the default, or on
    /// matrices alone.
    pub fn decaying_vectors(mut self, decays: bool) -> Optimizer<T> {
        self.others = Span::all(&self.layout, &self.matrices, decays);
        self
    }

    /// The same with this [limit](Optimizer::clip) of the gradient's norm.
    pub fn clipped(self, clip: f64) -> Optimizer<T> {
        Optimizer { clip, ..self }
    }

    /// The optimiser and its hyper-parameters.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    pub(crate) fn layout(&self) -> &Arc<ParameterLayout> {
        &self.layout
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments that it keeps, first and second.
    pub fn moments(&self) -> &[Gradients<T>] {
        &self.moments
    }

    pub(crate) fn moments_mut(&mut self) -> &mut [Gradients<T>] {
        &mut self.moments
    }

    /// The numbers of one moment of parameter `i` of the graph, to be restored.
    ///
    /// # Panics
    /// If it does not keep that moment, or the parameter is frozen.
    pub fn moment_mut(&mut self, moment: usize, i: usize) -> &mut [T] {
        self.moments[moment].values_mut(i)
    }

    /// The factor of the mean gradient in a step, besides the rate, with the present moments:
    /// 1 / (√v̂ + ε). `None` where it is 1, and for Lion and Muon, whose steps are not proportional
    /// to the mean gradient.
    pub fn preconditioner(&self) -> Option<Gradients<T>> {
        let step = self.step(self.steps.max(1));
        let estimates = with_method!(self.rule, method => method.moment_estimates(step))?;
        let second = self.moments.get(1)?;
        let mut values = Buffer::zeros(second.values.as_slice().len());
        for (out, second) in values.as_mut_slice().iter_mut().zip(second.values.as_slice()) {
            *out = T::from_f64(estimates.preconditioner(second.to_f64()));
        }
        Some(Gradients { layout: Arc::clone(&second.layout), values })
    }

    fn step(&self, number: u64) -> Step {
        Step { number, rate: self.rate, weight_decay: self.weight_decay }
    }

    /// Sets the number of updates, for a restored state.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Counts a step that is made elsewhere, and returns its rates; `None` if the rule has no moment
    /// estimates.
    pub(crate) fn begin_elsewhere(&mut self) -> Option<StepRates> {
        self.steps = self.steps.saturating_add(1);
        let step = self.step(self.steps);
        let estimates = with_method!(self.rule, method => method.moment_estimates(step))?;
        Some(estimates.rates(step))
    }

    /// Counts a step and prepares it for a team of `workers`. The first call allocates their
    /// scratch memory.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub(crate) fn begin(
        &mut self,
        parameters: *mut T,
        gradients: *mut T,
        workers: usize,
    ) -> Update<'_, T> {
        self.steps = self.steps.saturating_add(1);
        let mut moments = [None; 2];
        for (slot, moment) in moments.iter_mut().zip(&mut self.moments) {
            *slot = Some(moment.values.as_mut_slice().as_mut_ptr());
        }
        let scratch = |matrix: &Matrix| with_method!(self.rule, it => it.matrix_scratch(*matrix));
        let each = self.matrices.iter().map(scratch).max().unwrap_or(0);
        // Whole cache lines for each worker.
        let each = each.next_multiple_of(64);
        let all = numbers(&[workers, each]);
        if self.scratch.as_slice().len() < all {
            self.scratch = Buffer::zeros(all);
        }
        let clip = Clip::new(self.clip, self.layout.trainable, &mut self.squares);
        Update {
            rule: self.rule,
            step: self.step(self.steps),
            clip,
            parameters,
            gradients,
            moments,
            matrices: &self.matrices,
            others: &self.others,
            scratch: self.scratch.as_mut_slice().as_mut_ptr(),
            scratch_each: each,
        }
    }
}

/// One step, ready to be shared among workers.
pub(crate) struct Update<'a, T> {
    rule: Rule,
    step: Step,
    clip: Option<Clip>,
    parameters: *mut T,
    gradients: *mut T,
    moments: [Option<*mut T>; 2],
    matrices: &'a [Matrix],
    others: &'a [Span],
    scratch: *mut T,
    scratch_each: usize,
}

// SAFETY: workers write through its pointers only in `run`, whose contract gives each its own ranges.
unsafe impl<T: Scalar> Sync for Update<'_, T> {}

impl<T: Scalar> Update<'_, T> {
    /// Updates this worker's share of the `trainable` numbers.
    ///
    /// # Safety
    /// The flat buffers must have so many, of the layout of the optimiser; nobody else may touch
    /// them meanwhile; and the worker must be one of those that the step was prepared for.
    pub(crate) unsafe fn run(&self, isa: Isa, worker: &Worker<'_>, trainable: usize) {
        // SAFETY: the caller's promise.
        unsafe { T::choose(RunShare)(self, isa, worker, trainable) }
    }

    /// As [`run`](Update::run).
    ///
    /// # Safety
    /// As that.
    unsafe fn run_share(&self, isa: Isa, worker: &Worker<'_>, trainable: usize) {
        if let Some(clip) = &self.clip {
            // SAFETY: the caller's promise.
            if !unsafe { clip.apply(isa, worker, self.gradients, trainable) } {
                return;
            }
        }
        let share = worker.share(trainable, 4096);
        for Span { range, decays } in self.others {
            let range = range.start.max(share.start)..range.end.min(share.end);
            if !range.is_empty() {
                let weight_decay = if *decays { self.step.weight_decay } else { 0.0 };
                let step = Step { weight_decay, ..self.step };
                // SAFETY: shares are disjoint, so are the spans, and no span has a matrix in it; the
                // share ends with the trainable numbers.
                let elements = unsafe { self.elements(range) };
                with_method!(self.rule, method => method.update(isa, step, elements));
            }
        }
        // One worker updates a whole matrix.
        for matrix in &self.matrices[worker.share(self.matrices.len(), 1)] {
            // SAFETY: matrices are disjoint, and each is of one worker; so is each part of the
            // scratch memory, which `begin` made long enough for all workers.
            let (elements, scratch) = unsafe {
                let start = self.scratch.add(worker.index() * self.scratch_each);
                let scratch = std::slice::from_raw_parts_mut(start, self.scratch_each);
                (self.elements(matrix.range()), scratch)
            };
            with_method!(self.rule, method => {
                method.update_matrix(isa, self.step, *matrix, elements, scratch);
            });
        }
    }

    /// A range of the flat buffers.
    ///
    /// # Safety
    /// As [`run`](Update::run); the range is this worker's alone.
    unsafe fn elements(&self, range: Range<usize>) -> Elements<'_, T> {
        // SAFETY: parameters, gradients and moments have the range, by the caller's promise.
        let part = |of: *mut T| unsafe {
            std::slice::from_raw_parts_mut(of.add(range.start), range.len())
        };
        Elements {
            parameters: part(self.parameters),
            gradients: part(self.gradients),
            moments: self.moments.map(|moment| moment.map_or(Default::default(), part)),
        }
    }
}

/// [`Update::run_share`], compiled in this crate as [operations](crate::operation::Compiled) are.
struct RunShare;

impl PerScalar for RunShare {
    type Of<T: Scalar> = unsafe fn(&Update<'_, T>, Isa, &Worker<'_>, usize);

    #[inline(never)]
    fn for_f32(self) -> Self::Of<f32> {
        // SAFETY: the caller's promise.
        |update, isa, worker, trainable| unsafe { update.run_share(isa, worker, trainable) }
    }
    #[inline(never)]
    fn for_f64(self) -> Self::Of<f64> {
        // SAFETY: the caller's promise.
        |update, isa, worker, trainable| unsafe { update.run_share(isa, worker, trainable) }
    }
}
