//! Embedding: a row of one table for each token, plus a row of another for each position.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Indices, ParameterId, Value};
use crate::isa::for_every_isa;
use crate::lanes::LANE_UNIT;
use crate::lower::{Lowering, NotLowered, kernel};
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::{put, sum};
use crate::scalar::Scalar;

struct Embedding {
    tokens: usize,
}

impl<T: Scalar> Graph<T> {
    /// `y[·, p, b] = table[tokens[p, b], ·] + positions[p, ·]`:
    /// `[columns of the tables, positions]` from a table `[tokens, columns]` and, where given, one
    /// `[positions, columns]`.
    ///
    /// # Panics
    /// If the tables have different numbers of columns, or the second fewer rows than there are
    /// positions.
    pub fn embedding(
        &mut self,
        tokens: Indices,
        table: ParameterId,
        positions: Option<ParameterId>,
    ) -> Value {
        let (tokens, count) = self.index_input(tokens);
        let features = self.definition(table).columns;
        let mut views = vec![self.whole(table)];
        if let Some(id) = positions {
            let p = self.definition(id);
            assert_eq!(p.columns, features, "{} does not fit the token table", p.name);
            assert!(p.rows >= count, "{} has {} rows for {count} positions", p.name, p.rows);
            views.push(self.whole(id));
        }
        let shape = Shape { features, positions: count };
        self.push(Embedding { tokens }, vec![], views, shape)
    }
}

compiled!(Embedding);

impl<T: Scalar> Operation<T> for Embedding {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let positions = at.output_positions();
        let tokens = at.indices(self.tokens, positions.clone());
        let features = at.worker.share(at.plan.output.value.rows, 1);
        gather(at.isa, at.parameter(0), tokens, at.output(), features.clone());
        if at.plan.parameters.len() > 1 {
            add_positions(at.isa, at.parameter(1), positions, at.lanes, at.output(), features);
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let positions = at.output_positions();
        let features = at.worker.share(at.plan.output.value.rows, 1);
        if let Some(target) = at.d_parameter(0) {
            let tokens = at.indices(self.tokens, positions.clone());
            scatter(at.isa, at.d_output(), tokens, target, features.clone());
        }
        if at.plan.parameters.len() > 1
            && let Some(target) = at.d_parameter(1)
        {
            sum_positions(at.isa, at.d_output(), positions, at.lanes, target, features);
        }
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (y, positions) = (at.output(), at.output_positions());
        at.push(kernel::Embedding {
            tokens: at.indices(self.tokens, positions.clone()),
            table: at.parameter(0),
            places: (at.plan.parameters.len() > 1).then(|| at.parameter(1)),
            y,
            features: y.area.place.rows.into(),
            columns: y.area.place.columns.into(),
            lanes: at.lanes.into(),
            first_position: positions.start.into(),
        });
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (dy, positions) = (at.d_output(), at.output_positions());
        if let Some(table) = at.d_parameter(0) {
            at.push(kernel::EmbeddingGradient {
                tokens: at.indices(self.tokens, positions.clone()),
                dy,
                table,
                rows: table.place.rows.into(),
                features: dy.place.rows.into(),
                columns: dy.place.columns.into(),
            });
        }
        if at.plan.parameters.len() > 1
            && let Some(table) = at.d_parameter(1)
        {
            at.push(kernel::PositionGradient {
                dy,
                table,
                rows: table.place.rows.into(),
                features: dy.place.rows.into(),
                lanes: at.lanes.into(),
                first_position: positions.start.into(),
                positions: positions.len().into(),
            });
        }
        Ok(())
    }
}

for_every_isa! {
    fn gather<T>(
        table: Matrix<'_, T>, tokens: &[u32], out: MatrixMut<'_, T>, features: Range<usize>,
    ) {
        let mut out = out;
        for (block, tokens) in tokens.chunks(LANE_UNIT).enumerate() {
            let first = block * LANE_UNIT;
            let mut rows: [&[T]; LANE_UNIT] = [&[]; LANE_UNIT];
            for (row, token) in rows.iter_mut().zip(tokens) {
                *row = table.row(*token as usize);
            }
            for f in features.clone() {
                for (out, row) in out.part_mut(f, first..first + LANE_UNIT).iter_mut().zip(&rows) {
                    *out = row[f];
                }
            }
        }
    }

    fn add_positions<T>(
        table: Matrix<'_, T>, positions: Range<usize>, lanes: usize, out: MatrixMut<'_, T>,
        features: Range<usize>,
    ) {
        let mut out = out;
        for (i, position) in positions.enumerate() {
            let row = table.row(position);
            for f in features.clone() {
                for out in out.part_mut(f, i * lanes..(i + 1) * lanes) {
                    *out += row[f];
                }
            }
        }
    }

    /// Adds each column of the gradient to its token's row, in the order of the columns.
    fn scatter<T>(
        d_out: Matrix<'_, T>, tokens: &[u32], target: GradientTarget<'_, T>, features: Range<usize>,
    ) {
        let GradientTarget { matrix: mut table, accumulate } = target;
        if !accumulate {
            for row in 0..table.rows {
                table.part_mut(row, features.clone()).fill(T::ZERO);
            }
        }
        for (block, tokens) in tokens.chunks(LANE_UNIT).enumerate() {
            let first = block * LANE_UNIT;
            for f in features.clone() {
                let d = &d_out.row(f)[first..first + LANE_UNIT];
                for (token, d) in tokens.iter().zip(d) {
                    table.part_mut(*token as usize, f..f + 1)[0] += *d;
                }
            }
        }
    }

    fn sum_positions<T>(
        d_out: Matrix<'_, T>, positions: Range<usize>, lanes: usize, target: GradientTarget<'_, T>,
        features: Range<usize>,
    ) {
        let GradientTarget { matrix: mut table, accumulate } = target;
        for position in 0..table.rows {
            let used = positions.contains(&position).then(|| position - positions.start);
            for f in features.clone() {
                let term = match used {
                    Some(i) => sum(&d_out.row(f)[i * lanes..(i + 1) * lanes]),
                    None => T::ZERO,
                };
                put(&mut table.part_mut(position, f..f + 1)[0], term, accumulate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};

    #[test]
    fn gradient() {
        for (positions, rows, dim, batch) in [(1, 1, 3, 2), (2, 2, 5, 16), (3, 7, 4, 19)] {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(positions);
            let normal = Initial::Normal { std: 1.0 };
            let table = graph.parameter(Parameter::matrix("table", [6, dim], normal));
            let places = graph.parameter(Parameter::matrix("places", [rows, dim], normal));
            let x = graph.embedding(tokens, table, Some(places));
            with_head(&mut graph, x, 6, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
