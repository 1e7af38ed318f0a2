//! Memory that programs share.

use crate::extent::numbers;
use crate::matrix::Buffer;
use crate::plan::Plan;
use crate::scalar::Scalar;

/// Memory for the values of programs that run [one after another](crate::Program::within).
pub struct Workspace<T> {
    pub(crate) arena: Buffer<T>,
    pub(crate) scratch: Buffer<T>,
}

impl<T: Scalar> Default for Workspace<T> {
    fn default() -> Self {
        Workspace { arena: Buffer::zeros(0), scratch: Buffer::zeros(0) }
    }
}

impl<T: Scalar> Workspace<T> {
    /// Makes room for a plan and `workers`.
    pub(crate) fn grow(&mut self, plan: &Plan, workers: usize) {
        let lengths = [plan.arena, numbers(&[plan.scratch, workers])];
        for (buffer, length) in [&mut self.arena, &mut self.scratch].into_iter().zip(lengths) {
            if buffer.as_slice().len() < length {
                // The old memory is free before the new one is taken.
                *buffer = Buffer::zeros(0);
                *buffer = Buffer::zeros(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{with_head, with_stem};
    use crate::{
        Gradients, Graph, Indices, Mode, Noise, Parameters, ProductPrecision, Program, Team,
        Weights,
    };

    /// The gradients of two parts of a batch, by programs of one memory, add up to those of the
    /// batch.
    #[test]
    fn gradients_of_parts_add_up() {
        let (positions, full) = (2, ProductPrecision::Full);
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 5, positions);
        // Columns that no operation takes: their gradient is zeroed first.
        let wide = crate::Parameter::matrix("wide", [5, 9], crate::Initial::Normal { std: 1.0 });
        let wide = graph.parameter(wide);
        let view = graph.columns(wide, 2..7);
        let x = graph.linear(x, view, crate::Orientation::InputsFirst, None);
        with_head(&mut graph, x, 4, 0..positions);
        let parameters = Parameters::initial(&graph, 3);
        let (mut team, noise) = (Team::new(2), Noise { seed: 0, step: 0 });
        let mut memory = Workspace::default();
        let mut run =
            |examples: &[u32], adds: bool, gradients: &mut Gradients<f64>, memory: &mut _| {
                let mut program =
                    Program::without_memory(&graph, examples.len(), Mode::Training, full, 2);
                let lanes = program.lanes();
                for place in 0..positions * lanes {
                    let lane = place % lanes;
                    let example = examples.get(lane).copied();
                    let index = example.unwrap_or(examples[0]) % 3;
                    program.indices_mut(Indices::new(graph.id, 0))[place] = index;
                    program.indices_mut(Indices::new(graph.id, 1))[place] = (index + 1) % 3;
                    let weight = if example.is_some() { 1.0 } else { 0.0 };
                    program.weights_mut(Weights::new(graph.id, 0))[place] = weight;
                }
                program.within(memory, |program| match adds {
                    false => program.gradients(&parameters, gradients, noise, &mut team),
                    true => program.add_gradients(&parameters, gradients, noise, &mut team),
                });
            };
        let mut whole = Gradients::zeros(&parameters);
        let mut parts = Gradients::zeros(&parameters);
        parts.values.as_mut_slice().fill(f64::NAN);
        let examples: Vec<u32> = (0..23).collect();
        run(&examples[..20], false, &mut parts, &mut memory);
        run(&examples[20..], true, &mut parts, &mut memory);
        run(&examples, false, &mut whole, &mut memory);
        for ((p, whole), (_, parts)) in whole.iter().zip(parts.iter()) {
            for (whole, parts) in whole.iter().zip(parts) {
                assert!((whole - parts).abs() < 1e-12, "{}: {parts}, not {whole}", p.name);
            }
        }
    }
}
