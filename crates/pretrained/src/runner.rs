//! Batches of contexts of differing lengths through a program.

mod continued;

use std::time::Duration;

use retrodict_engine::{Graph, Indices, Mode, Noise, Parameters, ProductPrecision, Program, Team};

use crate::architecture::Architecture;
use crate::context::Context;

/// Contexts of a batch: one register of every kind is full.
pub(crate) const BATCH: usize = 16;
/// Lengths are rounded up to a multiple of this, so that few programs are compiled.
const LENGTH_UNIT: usize = 4;
/// Positions that are read in a context at once: all logits of a batch are in memory together.
const READ: usize = 8;

/// How long workers wait for one that has lost its core: a batch takes seconds, which one worker alone
/// would double.
const PATIENCE: Duration = Duration::from_millis(200);

/// A team for batches that take seconds.
pub(crate) fn team(threads: usize) -> Team {
    let mut team = Team::new(threads);
    team.set_patience(PATIENCE);
    team
}

/// A model with its weights, ready to run.
pub(crate) struct Runner {
    pub(crate) architecture: Architecture,
    pub(crate) parameters: Parameters<f32>,
    team: Team,
    program: Option<Kept>,
}

/// The program of the last batch.
struct Kept {
    shape: [usize; 2],
    program: Program<f32>,
    tokens: Indices,
    read: Indices,
}

/// The logits at one position of a context, as a column of the program's output.
pub(crate) struct Logits<'a> {
    program: &'a Program<f32>,
    read: usize,
    lane: usize,
}

impl Logits<'_> {
    /// All, by token.
    pub(crate) fn iter(&self) -> impl Iterator<Item = f32> + Clone {
        (0..self.program.output(0).features() as u32).map(|token| self.of(token))
    }

    /// That of a token.
    pub(crate) fn of(&self, token: u32) -> f32 {
        self.program.output(0).lanes(token as usize, self.read)[self.lane]
    }
}

/// The graph of a model that reads `read` positions of contexts of `length`, with its inputs.
pub(crate) fn describe(
    architecture: &Architecture,
    length: usize,
    read: usize,
) -> (Graph<f32>, Indices, Indices) {
    let mut graph = Graph::new();
    let tokens = graph.indices(length);
    let from = graph.indices(read);
    let x = architecture.stream(&mut graph, tokens);
    let x = graph.pick(x, from);
    let logits = architecture.head(&mut graph, x);
    graph.output(logits, 0..read);
    (graph, tokens, from)
}

impl Runner {
    pub(crate) fn new(
        architecture: Architecture,
        parameters: Parameters<f32>,
        threads: usize,
    ) -> Self {
        Self { architecture, parameters, team: team(threads), program: None }
    }

    /// The threads that it runs on.
    pub(crate) fn threads(&self) -> usize {
        self.team.workers()
    }

    /// Frees the memory of batches. Returns the threads that it runs on.
    pub(crate) fn release(&mut self) -> usize {
        self.program = None;
        self.threads()
    }

    /// The model and its weights.
    pub(crate) fn model(&mut self) -> (&Architecture, &mut Parameters<f32>) {
        (&self.architecture, &mut self.parameters)
    }

    /// Calls `take` with the number of each context, each of its positions, and the logits there;
    /// `go` after every batch with the contexts done and all, until it returns false. Returns whether
    /// all were done.
    ///
    /// Contexts of about one length share a batch. The shorter ones are padded at their end, which a
    /// causal model does not see.
    pub(crate) fn run(
        &mut self,
        contexts: &[Context],
        mut take: impl FnMut(usize, usize, &Logits<'_>),
        mut go: impl FnMut(usize, usize) -> bool,
    ) -> bool {
        let context = self.architecture.context();
        // A context with many positions is run once for each few of them.
        let mut parts: Vec<([usize; 2], usize, &[usize])> = Vec::new();
        for (number, of) in contexts.iter().enumerate() {
            for positions in of.positions.chunks(READ) {
                let needed = positions.last().map_or(0, |last| last + 1);
                let length = needed.next_multiple_of(LENGTH_UNIT).min(context);
                parts.push(([length, positions.len().next_power_of_two()], number, positions));
            }
        }
        // The longest first, whose memory the others find free.
        parts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut done = 0;
        for same in parts.chunk_by(|a, b| a.0 == b.0) {
            for batch in same.chunks(BATCH) {
                let shape = batch[0].0;
                let workers = self.team.workers();
                let Kept { program, tokens, read, .. } =
                    kept(&mut self.program, &self.architecture, shape, workers);
                let lanes = program.lanes();
                // Lanes that are not needed hold copies of the first context.
                for lane in 0..lanes {
                    let (_, number, positions) = batch[if lane < batch.len() { lane } else { 0 }];
                    let sentence = &contexts[number].tokens;
                    let input = program.indices_mut(*tokens);
                    for at in 0..shape[0] {
                        input[at * lanes + lane] = sentence.get(at).copied().unwrap_or(0);
                    }
                    let input = program.indices_mut(*read);
                    for at in 0..shape[1] {
                        let position = positions[at.min(positions.len() - 1)];
                        input[at * lanes + lane] = position as u32;
                    }
                }
                program.forward(&self.parameters, Noise { seed: 0, step: 0 }, &mut self.team);
                for (lane, (_, number, positions)) in batch.iter().enumerate() {
                    for (read, position) in positions.iter().enumerate() {
                        take(*number, *position, &Logits { program, read, lane });
                    }
                }
                done += batch.len();
                if !go(done, parts.len()) {
                    return false;
                }
            }
        }
        true
    }
}

/// The program for batches of this shape: the last one, or a new one in its place.
fn kept<'p>(
    program: &'p mut Option<Kept>,
    architecture: &Architecture,
    shape: [usize; 2],
    workers: usize,
) -> &'p mut Kept {
    if program.as_ref().is_some_and(|kept| kept.shape != shape) {
        *program = None;
    }
    program.get_or_insert_with(|| {
        let (graph, tokens, read) = describe(architecture, shape[0], shape[1]);
        let precision = ProductPrecision::Full;
        let program = Program::compile(&graph, BATCH, Mode::Inference, precision, workers);
        Kept { shape, program, tokens, read }
    })
}
