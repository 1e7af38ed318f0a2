//! Penalties on parameters: losses that do not depend on data.

mod antisymmetric;
mod nuclear;
mod spectral;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{ParameterId, Value};
use crate::isa::for_every_isa;
use crate::kernels::Orthogonal;
use crate::matrix::{GradientTarget, Matrix};
use crate::operation::{Context, Operation, compiled};
use crate::ops::put;
use crate::parameter::Parameter;
use crate::rows::inner_product;
use crate::scalar::Scalar;

/// The quantity of one or two parameters that is kept small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Penalty {
    /// `‖P‖²`, the sum of the squares.
    Square(ParameterId),
    /// `‖P − Q‖²`.
    Difference(ParameterId, ParameterId),
    /// `‖P − Pᵀ‖²`, of a square matrix.
    Antisymmetric(ParameterId),
    /// The nuclear norm: the sum of the singular values. Its gradient is the polar factor `U Vᵀ`.
    Nuclear(ParameterId),
    /// The spectral norm: the largest singular value. Its gradient is `u vᵀ`, of the singular
    /// vectors that belong to it; where it is shared, some such pair.
    Spectral(ParameterId),
}

struct Penalise {
    penalty: Penalty,
    strength: f64,
    rows: usize,
    columns: usize,
}

impl<T: Scalar> Graph<T> {
    /// `strength` times the penalty: the sum of the output, `[1, 1]`, which lane 0 holds. Like
    /// every loss it counts only if it is an [output](Graph::output).
    ///
    /// # Panics
    /// If two parameters have different shapes, or a matrix that is to be symmetric is not square.
    pub fn penalty(&mut self, penalty: Penalty, strength: f64) -> Value {
        let (Penalty::Square(p)
        | Penalty::Difference(p, _)
        | Penalty::Antisymmetric(p)
        | Penalty::Nuclear(p)
        | Penalty::Spectral(p)) = penalty;
        let mut views = vec![self.whole(p)];
        let &Parameter { ref name, rows, columns, .. } = self.definition(p);
        match penalty {
            Penalty::Difference(_, q) => {
                let other = self.definition(q);
                let fits = (other.rows, other.columns) == (rows, columns);
                assert!(fits, "{name} and {} have different shapes", other.name);
                views.push(self.whole(q));
            }
            Penalty::Antisymmetric(_) => {
                assert_eq!(rows, columns, "{name} is not square");
            }
            Penalty::Square(_) | Penalty::Nuclear(_) | Penalty::Spectral(_) => {}
        }
        let shape = Shape { features: 1, positions: 1 };
        self.push(Penalise { penalty, strength, rows, columns }, vec![], views, shape)
    }
}

impl Penalise {
    fn orthogonal(&self) -> Orthogonal {
        Orthogonal::new(self.rows, self.columns)
    }
}

compiled!(Penalise);

impl<T: Scalar> Operation<T> for Penalise {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn is_loss(&self) -> bool {
        true
    }

    /// The parts of the gradient that are expensive to compute.
    fn saved(&self, _: &Extents<'_>) -> (usize, usize) {
        match self.penalty {
            Penalty::Nuclear(_) => (1, self.orthogonal().numbers()),
            Penalty::Spectral(_) => (1, self.rows + self.columns),
            _ => (0, 0),
        }
    }

    fn scratch(&self, _: &Extents<'_>) -> usize {
        match self.penalty {
            Penalty::Nuclear(_) => self.orthogonal().scratch(),
            Penalty::Spectral(_) => self.columns,
            _ => 0,
        }
    }

    /// About as many iterations as a random matrix takes.
    fn flops(&self, _: &Extents<'_>) -> u64 {
        let (rows, columns) = (self.rows as u64, self.columns as u64);
        match self.penalty {
            Penalty::Square(_) => 2 * rows * columns,
            Penalty::Difference(..) | Penalty::Antisymmetric(_) => 3 * rows * columns,
            Penalty::Nuclear(_) => 20 * 4 * rows * columns * rows.min(columns),
            Penalty::Spectral(_) => 100 * 4 * rows * columns,
        }
    }

    /// One number for all: one worker computes it.
    fn forward(&self, at: &Context<'_, T>) {
        if at.worker.share(1, 1).is_empty() {
            return;
        }
        let (p, mut saved) = (at.parameter(0), at.saved());
        let mut value = T::ZERO;
        match self.penalty {
            Penalty::Square(_) => inner_product(at.isa, p.all(), p.all(), &mut value),
            Penalty::Difference(..) => {
                square_of_difference(at.isa, p.all(), at.parameter(1).all(), &mut value);
            }
            Penalty::Antisymmetric(_) => antisymmetric::square(at.isa, p, &mut value),
            Penalty::Nuclear(_) => {
                let (shape, x) = (self.orthogonal(), saved.row_mut(0));
                value = nuclear::norm(at.isa, shape, p, x, at.scratch());
            }
            Penalty::Spectral(_) => {
                value = spectral::norm(at.isa, p, saved.row_mut(0), at.scratch());
            }
        }
        let mut output = at.output();
        let out = output.row_mut(0);
        out.fill(T::ZERO);
        out[0] = T::from_f64(self.strength) * value;
    }

    fn backward(&self, at: &Context<'_, T>) {
        let strength = T::from_f64(self.strength);
        let p = at.parameter(0);
        let rows = at.worker.share(self.rows, 1);
        if let Some(target) = at.d_parameter(0) {
            let rows = rows.clone();
            match self.penalty {
                Penalty::Square(_) => add_rows(at.isa, strength + strength, p, target, rows),
                Penalty::Difference(..) => {
                    let twice = strength + strength;
                    add_differences(at.isa, twice, p, at.parameter(1), target, rows);
                }
                Penalty::Antisymmetric(_) => {
                    antisymmetric::gradient(at.isa, strength, p, target, rows);
                }
                Penalty::Nuclear(_) => {
                    let (shape, x) = (self.orthogonal(), at.kept().row(0));
                    nuclear::gradient(strength, shape, x, target, rows);
                }
                Penalty::Spectral(_) => {
                    spectral::gradient(at.isa, strength, at.kept().row(0), target, rows);
                }
            }
        }
        if let Penalty::Difference(..) = self.penalty
            && let Some(target) = at.d_parameter(1)
        {
            add_differences(at.isa, strength + strength, at.parameter(1), p, target, rows);
        }
    }
}

for_every_isa! {
    fn square_of_difference<T>(p: &[T], q: &[T], square: &mut T) {
        const LANES: usize = 16;
        let ((p, p_rest), (q, q_rest)) = (p.as_chunks::<LANES>(), q.as_chunks::<LANES>());
        let mut sums = [T::ZERO; LANES];
        for (p, q) in p.iter().zip(q) {
            for l in 0..LANES {
                let apart = p[l] - q[l];
                sums[l] = apart.fused::<FUSED>(apart, sums[l]);
            }
        }
        let rest = p_rest.iter().zip(q_rest).map(|(p, q)| (*p - *q) * (*p - *q));
        *square = sums.iter().copied().chain(rest).sum();
    }

    /// Adds `scale · P` to the gradient, for some rows.
    fn add_rows<T>(scale: T, p: Matrix<'_, T>, target: GradientTarget<'_, T>, rows: std::ops::Range<usize>) {
        let GradientTarget { matrix: mut d, accumulate } = target;
        for r in rows {
            for (d, p) in d.row_mut(r).iter_mut().zip(p.row(r)) {
                put(d, scale * *p, accumulate);
            }
        }
    }

    /// Adds `scale · (P − Q)` to the gradient of P, for some rows.
    fn add_differences<T>(
        scale: T, p: Matrix<'_, T>, q: Matrix<'_, T>, target: GradientTarget<'_, T>,
        rows: std::ops::Range<usize>,
    ) {
        let GradientTarget { matrix: mut d, accumulate } = target;
        for r in rows {
            for ((d, p), q) in d.row_mut(r).iter_mut().zip(p.row(r)).zip(q.row(r)) {
                put(d, scale * (*p - *q), accumulate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Penalty::{self, Antisymmetric, Difference, Nuclear, Spectral, Square};
    use crate::check::{assert_gradients_of, total, weighted, with_head, with_stem};
    use crate::graph::Graph;
    use crate::handle::ParameterId;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};
    use crate::{Gradients, Mode, Noise, Parameters, ProductPrecision, Program, Team};

    fn matrices(graph: &mut Graph<f64>, shape: [usize; 2]) -> [ParameterId; 2] {
        let normal = Initial::Normal { std: 1.0 };
        ["p", "q"].map(|name| graph.parameter(Parameter::matrix(name, shape, normal)))
    }

    #[test]
    fn gradient() {
        for (rows, columns) in [(1, 1), (1, 5), (4, 4), (3, 20), (9, 2), (17, 17)] {
            for kind in 0..5 {
                let mut graph = Graph::<f64>::new();
                let [p, q] = matrices(&mut graph, [rows, columns]);
                let all = [Square(p), Difference(p, q), Nuclear(p), Spectral(p), Antisymmetric(p)];
                if kind == 4 && rows != columns {
                    continue;
                }
                let loss = graph.penalty(all[kind], 0.3);
                graph.output(loss, 0..1);
                assert_gradients_of(&graph, 2, |program, _| total(program, 0));
            }
        }
    }

    /// For a parameter that others use by columns, and that is penalised twice.
    #[test]
    fn gradient_beside_a_loss() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 2);
        let [p, q] = matrices(&mut graph, [4, 8]);
        let mut h = x;
        for w in [graph.columns(p, 0..4), graph.columns(p, 4..8), graph.columns(q, 2..6)] {
            h = graph.linear(h, w, Orientation::InputsFirst, None);
        }
        with_head(&mut graph, h, 4, 1..2);
        for penalty in [Difference(p, q), Square(p)] {
            let loss = graph.penalty(penalty, 0.2);
            graph.output(loss, 0..1);
        }
        assert_gradients_of(&graph, 5, |program, weights| {
            weighted(program, 0, 0, weights) + total(program, 1) + total(program, 2)
        });
    }

    /// The value and the gradient of P, with Q = 0, twice the penalty, by three workers.
    fn of(penalty: impl Fn(ParameterId, ParameterId) -> Penalty, p: [f64; 4]) -> (f64, [f64; 4]) {
        let mut graph = Graph::<f64>::new();
        let [first, second] = matrices(&mut graph, [2, 2]);
        let loss = graph.penalty(penalty(first, second), 2.0);
        graph.output(loss, 0..1);
        let mut team = Team::new(3);
        let mut program = Program::compile(&graph, 1, Mode::Training, ProductPrecision::Full, 3);
        let mut parameters = Parameters::zeros(&graph);
        parameters.values_mut(0).copy_from_slice(&p);
        let mut gradients = Gradients::zeros(&parameters);
        // The gradient of an earlier step must be overwritten.
        gradients.values_mut(0).fill(7.0);
        gradients.values_mut(1).fill(7.0);
        let noise = Noise { seed: 0, step: 0 };
        program.gradients(&parameters, &mut gradients, noise, &mut team);
        let mut found = [0.0; 4];
        found.copy_from_slice(gradients.values_mut(0));
        // Only the difference depends on Q.
        let of_second = gradients.values_mut(1).to_vec();
        let expected = match penalty(first, second) {
            Difference(..) => found.map(|d| -d).to_vec(),
            _ => vec![0.0; 4],
        };
        assert_eq!(of_second, expected);
        (program.output(0).lanes(0, 0)[0], found)
    }

    #[test]
    fn closed_forms() {
        let p = [3.0, 1.0, -1.0, 4.0];
        assert_eq!(of(|p, _| Square(p), p), (54.0, p.map(|x| 4.0 * x)));
        assert_eq!(of(Difference, p), (54.0, p.map(|x| 4.0 * x)));
        assert_eq!(of(|p, _| Antisymmetric(p), p), (16.0, [0.0, 16.0, -16.0, 0.0]));
        let near = |(value, gradient): (f64, [f64; 4]), right: f64, slopes: [f64; 4]| {
            let far = gradient.iter().zip(&slopes).any(|(a, b)| (a - b).abs() > 1e-10);
            assert!((value - right).abs() < 1e-10 && !far, "{value}, {gradient:?}");
        };
        // diag(3, −4): 7 and 4; the polar factor is diag(1, −1).
        let diagonal = [3.0, 0.0, 0.0, -4.0];
        near(of(|p, _| Nuclear(p), diagonal), 14.0, [2.0, 0.0, 0.0, -2.0]);
        near(of(|p, _| Spectral(p), diagonal), 8.0, [0.0, 0.0, 0.0, -2.0]);
        // (1, 2)ᵀ (3, 4) has the one singular value 5√5.
        let single = [3.0, 4.0, 6.0, 8.0];
        let unit = single.map(|x| 2.0 * x / 125f64.sqrt());
        near(of(|p, _| Spectral(p), single), 2.0 * 125f64.sqrt(), unit);
        let (value, _) = of(|p, _| Nuclear(p), single);
        assert!((value - 2.0 * 125f64.sqrt()).abs() < 1e-10);
        for penalty in [Nuclear, Spectral] {
            assert_eq!(of(|p, _| penalty(p), [0.0; 4]), (0.0, [0.0; 4]));
        }
    }
}
