//! Where a model computes an answer: what its head would read of the residual stream at each place,
//! and what becomes of an answer when a position of another text's stream is put in.
//!
//! Places are numbered: 0 before the first block, then after each block.

use retrodict_engine::{Graph, Indices, Mode, Noise, ProductPrecision, Program};

use crate::architecture::place;
use crate::runner::{BATCH, team};
use crate::{Model, PretrainedError};

/// A question as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenQuestion {
    /// The tokens before the answer.
    pub tokens: Vec<u32>,
    /// The position of the last token of the entity that is asked about.
    pub entity: usize,
    /// The first token of the right answer.
    pub right: u32,
    /// The first tokens of other answers, without that of the right one.
    pub others: Vec<u32>,
}

/// The position of a [`TokenQuestion`] at which streams are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchPosition {
    /// The last token of the entity.
    Entity,
    /// The last token of the question.
    Last,
}

impl PatchPosition {
    fn of(self, question: &TokenQuestion) -> usize {
        match self {
            Self::Entity => question.entity,
            Self::Last => question.tokens.len() - 1,
        }
    }
}

impl Model {
    /// A question as tokens: `entity_end` is the byte of the prompt where the entity that is asked
    /// about ends.
    ///
    /// # Errors
    /// [`PretrainedError::Text`] for a text without tokens, or longer than the model's context.
    pub fn question(
        &self,
        prompt: &str,
        entity_end: usize,
        answer: &str,
        others: &[&str],
    ) -> Result<TokenQuestion, PretrainedError> {
        let (mut tokens, first) = self.tokens.of_both(prompt, answer)?;
        let right = tokens[first];
        tokens.truncate(first);
        self.check_length(prompt, first)?;
        let (_, ends) = self.tokens.encoded(&format!("{prompt}{answer}"))?;
        let entity = ends[..first].iter().position(|end| *end >= entity_end).unwrap_or(first - 1);
        let mut first_tokens = Vec::new();
        for other in others {
            let (tokens, first) = self.tokens.of_both(prompt, other)?;
            first_tokens.push(tokens[first]);
        }
        first_tokens.sort_unstable();
        first_tokens.dedup();
        first_tokens.retain(|token| *token != right);
        Ok(TokenQuestion { tokens, entity, right, others: first_tokens })
    }

    /// The logit lens (nostalgebraist, 2020): calls `take` with the number of each question, each
    /// place, and the logits after the question if the last norm and the head read the residual
    /// stream there. Those of the last place are the model's own. `go` is called after every batch,
    /// until it returns false.
    ///
    /// # Errors
    /// [`PretrainedError::Stopped`].
    pub fn lens(
        &mut self,
        questions: &[TokenQuestion],
        mut take: impl FnMut(usize, usize, &[f64]),
        mut go: impl FnMut() -> bool,
    ) -> Result<(), PretrainedError> {
        let places = self.architecture().layers() + 1;
        let numbers: Vec<usize> = (0..questions.len()).collect();
        for batch in numbers.chunks(BATCH) {
            let of: Vec<&TokenQuestion> = batch.iter().map(|at| &questions[*at]).collect();
            let shape = longest(&of);
            let architecture = self.architecture().clone();
            let mut graph = Graph::new();
            let (tokens, last) = (graph.indices(shape), graph.indices(1));
            let mut streams = Vec::new();
            architecture.stream_with_hook(&mut graph, tokens.into(), &mut |_, site, value| {
                if place(site).is_some() {
                    streams.push(value);
                }
                value
            });
            for stream in streams {
                let stream = graph.pick(stream, last);
                let read = architecture.read(&mut graph, stream);
                let logits = architecture.head(&mut graph, read);
                graph.output(logits, 0..1);
            }
            let program = self.answered(&graph, |program| {
                write(program, tokens, &of, |of, at| of.tokens.get(at).copied().unwrap_or(0));
                write(program, last, &of, |of, _| last_of(of));
            });
            for place in 0..places {
                let out = program.output(place);
                for (lane, number) in batch.iter().enumerate() {
                    take(*number, place, &features(&out, lane));
                }
            }
            if !go() {
                return Err(PretrainedError::Stopped);
            }
        }
        Ok(())
    }

    /// Activation patching (Vig et al., 2020; Meng et al., 2022): calls `take` with the number of
    /// each pair and the logits after its second question, run with what the first one has in the
    /// residual stream at the place `at` and a position. `go` is called after every batch, until it
    /// returns false.
    ///
    /// # Errors
    /// [`PretrainedError::Stopped`].
    pub fn patched(
        &mut self,
        pairs: &[(&TokenQuestion, &TokenQuestion)],
        at: usize,
        position: PatchPosition,
        mut take: impl FnMut(usize, &[f64]),
        mut go: impl FnMut() -> bool,
    ) -> Result<(), PretrainedError> {
        for (number, batch) in pairs.chunks(BATCH).enumerate() {
            let (clean, corrupted): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
            let lengths = [longest(&clean), longest(&corrupted)];
            let architecture = self.architecture().clone();
            let mut graph = Graph::new();
            let [clean_tokens, own_tokens] = lengths.map(|length| graph.indices(length));
            let (from, last) = (graph.indices(1), graph.indices(1));
            // Position p of the patched stream is position `chosen[p]` of the corrupted one with the
            // clean one behind it.
            let chosen = graph.indices(lengths[1]);
            let mut taken = None;
            let patched = |site| place(site) == Some(at);
            architecture.stream_with_hook(
                &mut graph,
                clean_tokens.into(),
                &mut |graph, site, value| {
                    if patched(site) {
                        taken = Some(graph.pick(value, from));
                    }
                    value
                },
            );
            let hidden = architecture.stream_with_hook(
                &mut graph,
                own_tokens.into(),
                &mut |graph, site, own| match taken {
                    Some(taken) if patched(site) => {
                        let both = graph.join(&[own, taken]);
                        graph.pick(both, chosen)
                    }
                    _ => own,
                },
            );
            let hidden = graph.pick(hidden, last);
            let out = architecture.head(&mut graph, hidden);
            graph.output(out, 0..1);
            let program = self.answered(&graph, |program| {
                let token = |of: &TokenQuestion, at: usize| of.tokens.get(at).copied().unwrap_or(0);
                write(program, clean_tokens, &clean, token);
                write(program, own_tokens, &corrupted, token);
                write(program, from, &clean, |of, _| position.of(of) as u32);
                write(program, last, &corrupted, |of, _| last_of(of));
                let behind = lengths[1];
                write(program, chosen, &corrupted, |of, at| {
                    (if at == position.of(of) { behind } else { at }) as u32
                });
            });
            let out = program.output(0);
            for lane in 0..batch.len() {
                take(number * BATCH + lane, &features(&out, lane));
            }
            if !go() {
                return Err(PretrainedError::Stopped);
            }
        }
        Ok(())
    }

    /// Compiles a graph for a batch, and runs it on the inputs that `fill` writes.
    pub(crate) fn answered(
        &mut self,
        graph: &Graph<f32>,
        fill: impl FnOnce(&mut Program<f32>),
    ) -> Program<f32> {
        let threads = self.runner.release();
        let full = ProductPrecision::Full;
        let mut program = Program::compile(graph, BATCH, Mode::Inference, full, threads);
        fill(&mut program);
        let noise = Noise { seed: 0, step: 0 };
        program.forward(&self.runner.parameters, noise, &mut team(threads));
        program
    }
}

/// Tokens of the longest question.
pub(crate) fn longest(questions: &[&TokenQuestion]) -> usize {
    questions.iter().map(|of| of.tokens.len()).max().unwrap_or(1)
}

/// The position of a question's last token.
pub(crate) fn last_of(question: &TokenQuestion) -> u32 {
    question.tokens.len() as u32 - 1
}

/// Writes an input, `of` a question at a position; lanes without a question have the first one's.
pub(crate) fn write(
    program: &mut Program<f32>,
    input: Indices,
    questions: &[&TokenQuestion],
    of: impl Fn(&TokenQuestion, usize) -> u32,
) {
    let lanes = program.lanes();
    for (place, value) in program.indices_mut(input).iter_mut().enumerate() {
        let question = questions.get(place % lanes).unwrap_or(&questions[0]);
        *value = of(question, place / lanes);
    }
}

/// The features of an output of one position, for a question.
pub(crate) fn features(out: &retrodict_engine::Output<'_, f32>, lane: usize) -> Vec<f64> {
    (0..out.features()).map(|feature| f64::from(out.lanes(feature, 0)[lane])).collect()
}
