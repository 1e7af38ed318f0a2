//! The loss of sequences of differing lengths, and its gradient.

use retrodict_engine::{
    Gradients, Graph, Indices, LowRank, Mode, Noise, Parameters, ProductPrecision, Program, Scalar,
    Team, Weights, Workspace,
};

use super::{Lora, Sequence};
use crate::Architecture;

/// Sequences of a group: one register of every kind is full.
pub(super) const LANES: usize = 16;
/// Programs that are kept, one for each shape of a group.
const KEPT: usize = 64;
pub(super) const PRECISION: ProductPrecision = ProductPrecision::Full;

/// The loss of a model, or of a model with adapters. Programs of all shapes share one memory.
pub(super) struct Losses<T> {
    architecture: Architecture,
    lora: Option<Lora>,
    mode: Mode,
    programs: Vec<Compiled<T>>,
    memory: Workspace<T>,
}

struct Compiled<T> {
    shape: [usize; 2],
    program: Program<T>,
    inputs: Inputs,
}

/// The inputs of a graph.
#[derive(Clone, Copy)]
pub(super) struct Inputs {
    tokens: Indices,
    /// The positions whose next token is trained.
    read: Indices,
    targets: Indices,
    weights: Weights,
}

/// The graph of the loss of sequences of `length` tokens before their last, of which `read` are
/// trained. Its output has the loss of each.
pub(super) fn describe<T: Scalar>(
    architecture: &Architecture,
    lora: Option<Lora>,
    [length, read]: [usize; 2],
) -> (Graph<T>, Inputs) {
    let mut graph = Graph::new();
    if let Some(lora) = lora {
        graph.adapt(LowRank { rank: lora.rank, scale: lora.scale() });
    }
    let tokens = graph.indices(length);
    let from = graph.indices(read);
    let (targets, weights) = (graph.indices(read), graph.weights(read));
    let x = architecture.stream(&mut graph, tokens);
    let x = graph.pick(x, from);
    let head = architecture.head_table(&mut graph);
    let loss = graph.linear_cross_entropy(x, head, targets, weights);
    graph.output(loss, 0..read);
    (graph, Inputs { tokens, read: from, targets, weights })
}

/// Sequences of about one length, [`LANES`] at most.
pub(super) fn groups<'s>(sequences: &[&'s Sequence]) -> Vec<Vec<&'s Sequence>> {
    let mut sorted = sequences.to_vec();
    sorted.sort_by_key(|sequence| (sequence.tokens.len(), sequence.trained()));
    // The longest first, whose memory the others find free.
    sorted.rchunks(LANES).map(<[_]>::to_vec).collect()
}

impl<T: Scalar> Losses<T> {
    pub(super) fn new(architecture: Architecture, lora: Option<Lora>, mode: Mode) -> Self {
        let (programs, memory) = (Vec::new(), Workspace::default());
        Self { architecture, lora, mode, programs, memory }
    }

    /// The sum over the trained tokens of a group of their weight times their negative log
    /// probability. `gradients` become those of `scale` times the sum; with true they add to those
    /// that are there.
    pub(super) fn run(
        &mut self,
        group: &[&Sequence],
        scale: f64,
        parameters: &Parameters<T>,
        gradients: Option<(&mut Gradients<T>, bool)>,
        team: &mut Team,
    ) -> f64 {
        let longest = |of: fn(&Sequence) -> usize| group.iter().map(|s| of(s)).max().unwrap_or(1);
        let shape = [longest(|s| s.tokens.len() - 1), longest(Sequence::trained)];
        let at = self.program(shape, team.workers());
        let Compiled { program, inputs, .. } = &mut self.programs[at];
        fill(program, *inputs, shape, group, scale);
        program.within(&mut self.memory, |program| {
            let noise = Noise { seed: 0, step: 0 };
            match gradients {
                None => program.forward(parameters, noise, team),
                Some((out, false)) => program.gradients(parameters, out, noise, team),
                Some((out, true)) => program.add_gradients(parameters, out, noise, team),
            }
            let losses = program.output(0);
            let of = |(lane, sequence): (usize, &&Sequence)| -> f64 {
                let tokens = 0..sequence.trained();
                let sum: f64 = tokens.map(|at| losses.lanes(0, at)[lane].to_f64()).sum();
                sequence.weight * sum
            };
            group.iter().enumerate().map(of).sum()
        })
    }

    /// The index of the program of a shape, compiled on first use.
    fn program(&mut self, shape: [usize; 2], workers: usize) -> usize {
        if let Some(at) = self.programs.iter().position(|kept| kept.shape == shape) {
            return at;
        }
        if self.programs.len() == KEPT {
            self.programs.remove(0);
        }
        let (graph, inputs) = describe(&self.architecture, self.lora, shape);
        let program = Program::without_memory(&graph, LANES, self.mode, PRECISION, workers);
        self.programs.push(Compiled { shape, program, inputs });
        self.programs.len() - 1
    }
}

/// Writes a group to the inputs of a program. Sequences are padded at their end, which a causal model
/// does not see; what is not trained has weight 0, and so have lanes without a sequence.
fn fill<T: Scalar>(
    program: &mut Program<T>,
    inputs: Inputs,
    [length, read]: [usize; 2],
    group: &[&Sequence],
    scale: f64,
) {
    let lanes = program.lanes();
    for lane in 0..lanes {
        let Sequence { tokens, first, weight } = group[if lane < group.len() { lane } else { 0 }];
        let input = program.indices_mut(inputs.tokens);
        for at in 0..length {
            input[at * lanes + lane] = tokens.get(at).copied().unwrap_or(0);
        }
        for at in 0..read {
            let (position, place) = (first - 1 + at, at * lanes + lane);
            let target = tokens.get(position + 1);
            let trained = target.is_some() && lane < group.len();
            program.indices_mut(inputs.read)[place] = if trained { position as u32 } else { 0 };
            program.indices_mut(inputs.targets)[place] = target.copied().unwrap_or(0);
            let weight = if trained { weight * scale } else { 0.0 };
            program.weights_mut(inputs.weights)[place] = T::from_f64(weight);
        }
    }
}
