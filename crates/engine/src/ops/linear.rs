//! The linear layer: a matrix product with a bias.

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{ParameterId, Value, View};
use crate::isa::for_every_isa;
use crate::kernels::{InnerProducts, Product, Start, rounding_scratch, totals, transpose};
use crate::lanes::LANE_UNIT;
use crate::lower::{Area, Lowering, NotLowered, Put, Size, kernel};
use crate::matrix::{GradientTarget, Matrix};
use crate::operation::{Context, Operation, compiled};
use crate::ops::{SUM_LANES, WIDE, lanes, put};
use crate::parameter::Parameter;
use crate::precision::ProductPrecision;
use crate::scalar::Scalar;

/// How a weight lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// `[inputs, outputs]`, as GPT-2's layers have it.
    InputsFirst,
    /// `[outputs, inputs]`, as output heads and token tables have it.
    OutputsFirst,
}

/// Rows per unit of work: whole bands of the kernel.
pub(super) const ROW_UNIT: usize = 12;

struct Linear {
    orientation: Orientation,
    bias: bool,
}

impl<T: Scalar> Graph<T> {
    /// `y = W x + b` at every position: `[outputs, positions]` from `[inputs, positions]`; with an
    /// adapter, where the graph [gives](Graph::adapt) it one.
    ///
    /// # Panics
    /// If the weight or the bias does not have that shape.
    pub fn linear(
        &mut self,
        x: Value,
        weight: View,
        orientation: Orientation,
        bias: Option<View>,
    ) -> Value {
        let from = self.shape(x);
        let (columns, Parameter { name, rows, .. }) = self.viewed(weight);
        let (inputs, outputs) = match orientation {
            Orientation::InputsFirst => (*rows, columns.count),
            Orientation::OutputsFirst => (columns.count, *rows),
        };
        assert_eq!(inputs, from.features, "{name} takes {inputs} features");
        if let Some((columns, bias)) = bias.map(|bias| self.viewed(bias)) {
            let shape = [bias.rows, columns.count];
            assert_eq!(shape, [1, outputs], "the bias of {name} has rows and columns {shape:?}");
        }
        let views = [weight].into_iter().chain(bias).collect();
        let shape = Shape { features: outputs, positions: from.positions };
        let y = self.push(Linear { orientation, bias: bias.is_some() }, vec![x], views, shape);
        self.adapted(x, y, weight, orientation)
    }

    /// `y = W x + b` with whole parameters.
    ///
    /// # Panics
    /// As [`Graph::linear`].
    pub fn linear_whole(
        &mut self,
        x: Value,
        weight: ParameterId,
        orientation: Orientation,
        bias: Option<ParameterId>,
    ) -> Value {
        self.linear(x, self.whole(weight), orientation, bias.map(|b| self.whole(b)))
    }
}

impl Linear {
    /// Steps in memory from one output to the next and from one input to the next, in a weight
    /// whose rows are `stride` apart.
    fn steps(&self, stride: usize) -> (usize, usize) {
        match self.orientation {
            Orientation::InputsFirst => (1, stride),
            Orientation::OutputsFirst => (stride, 1),
        }
    }

    /// The weight of this output and input.
    fn first_of<T>(&self, weight: &Matrix<'_, T>, output: usize, input: usize) -> *const T {
        match self.orientation {
            Orientation::InputsFirst => weight.at(input, output),
            Orientation::OutputsFirst => weight.at(output, input),
        }
    }

    /// The two sides whose rows' inner products are the gradient of the weight: that of its rows
    /// and that of its columns.
    fn sides<'a, T>(&self, x: Matrix<'a, T>, dy: Matrix<'a, T>) -> [Matrix<'a, T>; 2] {
        match self.orientation {
            Orientation::InputsFirst => [x, dy],
            Orientation::OutputsFirst => [dy, x],
        }
    }

    /// Whether the gradient of the weight is taken by [`inner_products`], rather than by
    /// [`weight_gradient`](Linear::weight_gradient).
    fn takes_inner_products<T: Scalar>(&self, at: &Context<'_, T>) -> bool {
        let [left, right] = self.sides(at.input(0), at.d_output());
        at.precision == ProductPrecision::Full
            && InnerProducts::<T>::pay(left.rows, right.rows, left.columns)
    }

    /// The gradient of the weight as a product whose right-hand side is transposed first: the
    /// operand that runs along the weight's columns.
    fn weight_gradient<T: Scalar>(
        &self,
        at: &Context<'_, T>,
        target: GradientTarget<'_, T>,
        scratch: &mut [T],
    ) {
        let [left, right] = self.sides(at.input(0), at.d_output());
        let GradientTarget { matrix: mut dw, accumulate } = target;
        // Split the longer side: each worker then transposes little beyond its own part.
        let (rows, columns) = match self.orientation {
            Orientation::InputsFirst => (0..left.rows, at.worker.share(right.rows, LANE_UNIT)),
            Orientation::OutputsFirst => (at.worker.share(left.rows, ROW_UNIT), 0..right.rows),
        };
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        let width = odd_lanes(columns.len());
        let (transposed, scratch) = scratch.split_at_mut(width * right.columns);
        let from = &right.all()[columns.start * right.stride..];
        transpose(at.isa, from, right.stride, columns.len(), right.columns, transposed, width);
        let product = Product {
            a: left.at(rows.start, 0),
            a_row: left.stride,
            a_k: 1,
            b: transposed.as_ptr(),
            b_row: width,
            c: dw.at_mut(rows.start, columns.start),
            c_row: dw.stride,
            rows: rows.len(),
            columns: columns.len(),
            k: left.columns,
            start: if accumulate { Start::Accumulate } else { Start::Zero },
        };
        // SAFETY: the graph has checked the shapes: the sides have so many rows and columns, and the
        // gradient these rows and columns, which are this worker's. Rows of `transposed` are whole
        // lanes, `right.columns` of them.
        unsafe { at.multiply(&product, scratch) }
        // With dy transposed, the gradient of the bias is a sum of its rows.
        if self.sums_transposed()
            && let Some(GradientTarget { matrix: mut db, accumulate }) = at.d_parameter(1)
        {
            sum_rows(at.isa, transposed, width, db.part_mut(0, columns), accumulate);
        }
    }

    /// Whether the gradient of the bias is taken along with that of the weight.
    fn sums_transposed(&self) -> bool {
        self.bias && self.orientation == Orientation::InputsFirst
    }
}

compiled!(Linear);

impl<T: Scalar> Operation<T> for Linear {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    fn scratch(&self, extents: &Extents<'_>) -> usize {
        let (inputs, outputs) = (extents.inputs[0].features, extents.output.features);
        let transposed = odd_lanes(match self.orientation {
            Orientation::InputsFirst => outputs,
            Orientation::OutputsFirst => inputs,
        });
        let columns = extents.columns();
        let rounding = match extents.precision {
            ProductPrecision::Full => 0,
            ProductPrecision::Bf16 => rounding_scratch(columns, inputs.max(outputs))
                .max(rounding_scratch(transposed, columns)),
        };
        transposed * columns + rounding
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        2 * (extents.inputs[0].features * extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, weight, mut y) = (at.input(0), at.parameter(0), at.output());
        let rows = at.worker.share(y.rows, ROW_UNIT);
        if rows.is_empty() {
            return;
        }
        let (per_output, per_input) = self.steps(weight.stride);
        let start = if self.bias {
            Start::Bias(at.parameter(1).row(0)[rows.start..].as_ptr())
        } else {
            Start::Zero
        };
        let product = Product {
            a: self.first_of(&weight, rows.start, 0),
            a_row: per_output,
            a_k: per_input,
            b: x.as_ptr(),
            b_row: x.stride,
            c: y.at_mut(rows.start, 0),
            c_row: y.stride,
            rows: rows.len(),
            columns: x.columns,
            k: x.rows,
            start,
        };
        // SAFETY: the graph has checked the shapes of weight, bias and output, of which these rows
        // are this worker's; the columns of x are whole lanes.
        unsafe { at.multiply(&product, at.scratch()) }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        let scratch = at.scratch();
        if let Some(GradientTarget { matrix: mut dx, accumulate }) = at.d_input(0) {
            let rows = at.worker.share(dx.rows, ROW_UNIT);
            if !rows.is_empty() {
                let weight = at.parameter(0);
                let (per_output, per_input) = self.steps(weight.stride);
                let product = Product {
                    a: self.first_of(&weight, 0, rows.start),
                    a_row: per_input,
                    a_k: per_output,
                    b: dy.as_ptr(),
                    b_row: dy.stride,
                    c: dx.at_mut(rows.start, 0),
                    c_row: dx.stride,
                    rows: rows.len(),
                    columns: dy.columns,
                    k: dy.rows,
                    start: if accumulate { Start::Accumulate } else { Start::Zero },
                };
                // SAFETY: as in the forward pass.
                unsafe { at.multiply(&product, scratch) }
            }
        }
        let mut bias_is_done = !self.bias;
        if let Some(target) = at.d_parameter(0) {
            if self.takes_inner_products(at) {
                inner_products(at, self.sides(at.input(0), dy), target);
            } else {
                self.weight_gradient(at, target, scratch);
                bias_is_done |= self.sums_transposed();
            }
        }
        if !bias_is_done && let Some(target) = at.d_parameter(1) {
            bias_gradient(at, dy, target);
        }
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (a, y) = (at.parameter(0), at.output());
        let (a_row, a_k) = self.steps(a.place.stride);
        let bias = self.bias.then(|| at.parameter(1));
        at.product(product(a, [a_row, a_k], at.input(0), y, bias));
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (x, dy) = (at.input(0), at.d_output());
        if let Some(dx) = at.d_input(0) {
            let a = at.parameter(0);
            let (a_k, a_row) = self.steps(a.place.stride);
            at.product(product(a, [a_row, a_k], dy, dx, None));
        }
        if let Some(weight) = at.d_parameter(0) {
            let (left, right) = match self.orientation {
                Orientation::InputsFirst => (x, dy),
                Orientation::OutputsFirst => (dy, x),
            };
            at.weight_gradient(left, right, weight);
        }
        if self.bias
            && let Some(bias) = at.d_parameter(1)
        {
            at.row_sums(dy, bias);
        }
        Ok(())
    }
}

/// `c = a b + bias`, where `steps` lead from one row of `a` to the next and from one of its terms to
/// the next.
fn product(a: Area, steps: [usize; 2], b: Area, c: Put, bias: Option<Area>) -> kernel::ProductF32 {
    let [a_row, a_k] = steps.map(Size);
    kernel::ProductF32 {
        a,
        a_row,
        a_k,
        b: [Some(b), None, None],
        c: [Some(c), None, None],
        bias,
        rows: c.area.place.rows.into(),
        columns: b.place.columns.into(),
        k: b.place.rows.into(),
        b_rows: b.place.rows.into(),
        c_rows: c.area.place.rows.into(),
    }
}

/// The stride between rows of so many numbers: an odd number of whole lanes. An even one would map
/// many rows to the same cache sets.
pub(super) fn odd_lanes(features: usize) -> usize {
    (features.div_ceil(LANE_UNIT) | 1) * LANE_UNIT
}

/// The gradient of a narrow weight: the inner products of the rows of both sides.
fn inner_products<T: Scalar>(
    at: &Context<'_, T>,
    [left, right]: [Matrix<'_, T>; 2],
    target: GradientTarget<'_, T>,
) {
    let GradientTarget { matrix: mut dw, accumulate } = target;
    let rows = at.worker.share(left.rows, ROW_UNIT);
    if rows.is_empty() {
        return;
    }
    let products = InnerProducts {
        a: left.at(rows.start, 0),
        a_row: left.stride,
        b: right.as_ptr(),
        b_row: right.stride,
        c: dw.at_mut(rows.start, 0),
        c_row: dw.stride,
        rows: rows.len(),
        columns: right.rows,
        k: left.columns,
        accumulate,
    };
    // SAFETY: the graph has checked the shapes: the gradient has a row for each of the left side and
    // a column for each of the right, and these rows are this worker's. Columns are whole lanes.
    unsafe { products.run(at.isa) }
}

/// The gradient of the bias: the sum of each row of dy.
pub(super) fn bias_gradient<T: Scalar>(
    at: &Context<'_, T>,
    dy: Matrix<'_, T>,
    target: GradientTarget<'_, T>,
) {
    let GradientTarget { matrix: mut db, accumulate } = target;
    let mut sums = [[T::ZERO; SUM_LANES]; LANE_UNIT];
    let outputs = at.worker.share(dy.rows, LANE_UNIT);
    for first in outputs.clone().step_by(LANE_UNIT) {
        let rows = first..outputs.end.min(first + LANE_UNIT);
        let sums = &mut sums[..rows.len()];
        lane_sums(at.isa, dy, first, sums);
        totals(at.isa, sums, db.part_mut(0, rows), accumulate);
    }
}

for_every_isa! {
    /// The sum of the rows of a matrix with rows of `width`, in ascending order, for as many
    /// columns as `out` has.
    fn sum_rows<T>(rows: &[T], width: usize, out: &mut [T], accumulate: bool) {
        let mut first = 0;
        while first < out.len() {
            first += match width - first {
                WIDE.. => sum_lanes::<T, WIDE>(rows, width, first, out, accumulate),
                32..WIDE => sum_lanes::<T, 32>(rows, width, first, out, accumulate),
                _ => sum_lanes::<T, SUM_LANES>(rows, width, first, out, accumulate),
            };
        }
    }

    /// The sums of the rows from `first` on, one per lane.
    fn lane_sums<T>(rows: Matrix<'_, T>, first: usize, sums: &mut [[T; SUM_LANES]]) {
        for (i, sums) in sums.iter_mut().enumerate() {
            let mut lanes = [T::ZERO; SUM_LANES];
            for numbers in rows.row(first + i).as_chunks::<SUM_LANES>().0 {
                for l in 0..SUM_LANES {
                    lanes[l] += numbers[l];
                }
            }
            *sums = lanes;
        }
    }
}

/// The sums of `W` columns from `first` on, of which `out` may end early. Returns `W`.
#[inline(always)]
fn sum_lanes<T: Scalar, const W: usize>(
    rows: &[T],
    width: usize,
    first: usize,
    out: &mut [T],
    accumulate: bool,
) -> usize {
    let mut sums = [T::ZERO; W];
    for row in rows.chunks_exact(width) {
        let row = lanes::<T, W>(row, first);
        for l in 0..W {
            sums[l] += row[l];
        }
    }
    for (out, sum) in out[first..].iter_mut().zip(sums) {
        put(out, sum, accumulate);
    }
    W
}

#[cfg(test)]
mod tests {
    use super::Orientation;
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};

    #[test]
    fn gradient() {
        let normal = Initial::Normal { std: 0.5 };
        for (inputs, outputs, positions, batch) in [(3, 1, 1, 1), (5, 20, 2, 16), (17, 9, 3, 18)] {
            for orientation in [Orientation::InputsFirst, Orientation::OutputsFirst] {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, inputs, positions);
                let shape = match orientation {
                    Orientation::InputsFirst => [inputs, outputs],
                    Orientation::OutputsFirst => [outputs, inputs],
                };
                let w = graph.parameter(Parameter::matrix("w", shape, normal));
                let b = graph.parameter(Parameter::vector("b", outputs, normal));
                let y = graph.linear_whole(x, w, orientation, Some(b));
                with_head(&mut graph, y, 4, 0..positions);
                assert_gradients(&graph, batch);
            }
        }
    }

    #[test]
    fn gradient_of_views_and_of_a_weight_used_twice() {
        let normal = Initial::Normal { std: 0.5 };
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 2);
        let w = graph.parameter(Parameter::matrix("w", [4, 8], normal));
        let b = graph.parameter(Parameter::vector("b", 8, normal));
        let mut y = x;
        for part in [0..4, 4..8, 0..4] {
            let (weight, bias) = (graph.columns(w, part.clone()), graph.columns(b, part));
            y = graph.linear(y, weight, Orientation::InputsFirst, Some(bias));
        }
        with_head(&mut graph, y, 3, 1..2);
        assert_gradients(&graph, 5);
    }
}
