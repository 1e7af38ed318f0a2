//! Terms added to the loss on sentences.

use retrodict_engine::{
    Graph, Indices, Initial, LossFunction, Orientation, Parameter, ParameterId, Program, Scalar,
    Stream, Value, Weights, below,
};

use super::{LossOn, Objective, PenaltyOn, ResolvedExample, TargetSet};
use crate::network::{INITIAL_STD, Inputs, Network};

/// A term of the loss with its weight.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A separate head predicts the token `distance` places ahead, as in multi-token prediction
    /// (Gloeckle et al., 2024, arXiv 2404.19737).
    Ahead {
        /// 2 is the token after the next.
        distance: usize,
        /// Its weight beside the next token's.
        strength: f64,
    },
    /// A contrastive joint-embedding prediction: the prediction from a sentence's context is drawn
    /// near, by cosine, to the representation of its answer alone, and away from the other answers
    /// of the batch (arXiv 2504.01928; InfoNCE of van den Oord et al., 2018).
    Contrastive {
        /// Its weight beside the loss on sentences.
        strength: f64,
        /// The temperature: cosines are divided by it.
        temperature: f64,
    },
    /// Joint-embedding prediction (arXiv 2504.01928): the representation of the answer is
    /// predicted, by inner products, among those of all tokens in the batch. The representation of
    /// a token is the network's own on the token alone.
    JointEmbedding,
    /// The squared difference of the logit of y after x and of x after y, over pairs of entities
    /// drawn in each step, partners or not.
    Symmetry {
        /// Its weight.
        strength: f64,
        /// The entities from which pairs are drawn.
        pairs: Pairs,
    },
    /// A penalty on parameters alone.
    Penalty {
        /// Its weight.
        strength: f64,
        /// The penalty.
        on: PenaltyOn,
    },
}

/// Entities on both sides of a relation.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    /// Entities x.
    pub left: Vec<u32>,
    /// Entities y.
    pub right: Vec<u32>,
    /// The relation tokens of x → y and y → x in the contexts; `None` for the logits after the
    /// entity alone, the paper's effective weights.
    pub relations: Option<[u32; 2]>,
}

/// A term in a compiled graph.
pub(crate) enum BuiltTerm {
    Ahead { distance: usize, strength: f64, loss_on: LossOn, targets: TargetSet },
    Contrastive { strength: f64, answers: Inputs, targets: TargetSet },
    JointEmbedding { tokens: Vec<Indices>, weights: Weights },
    Symmetry { sides: [Side; 2], chosen: TargetSet },
    Penalty,
}

/// One of the two contexts of a symmetry.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    inputs: Inputs,
    entity: Indices,
}

impl Term {
    /// Its weight beside the loss on sentences.
    pub fn strength(&self) -> f64 {
        match *self {
            Term::Ahead { strength, .. }
            | Term::Contrastive { strength, .. }
            | Term::Symmetry { strength, .. }
            | Term::Penalty { strength, .. } => strength,
            Term::JointEmbedding => 1.0,
        }
    }

    /// Adds the parameters that only this term has.
    pub(crate) fn parameters<T: Scalar>(&self, graph: &mut Graph<T>, hidden: Value, vocab: usize) {
        match self {
            Term::Ahead { distance, .. } => {
                ahead_head(graph, hidden, vocab, *distance);
            }
            Term::Contrastive { .. } => {
                predictor(graph, hidden);
            }
            Term::JointEmbedding | Term::Symmetry { .. } | Term::Penalty { .. } => {}
        }
    }

    /// Adds the term to the graph of a training step. `hidden` is the head's input for the
    /// sentences.
    pub(crate) fn build<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        network: &Network,
        objective: &Objective,
        hidden: Value,
    ) -> BuiltTerm {
        let positions = objective.positions();
        match self {
            &Term::Ahead { distance, strength } => {
                let head = ahead_head(graph, hidden, network.vocab(), distance);
                let logits = graph.linear_whole(hidden, head, Orientation::OutputsFirst, None);
                let targets = TargetSet::add(graph, positions);
                let (tokens, weights) = (targets.tokens, targets.weights);
                let asked = 0..positions + 1 - distance;
                let kind = LossFunction::CrossEntropy;
                let loss = graph.loss(kind, logits, tokens, weights, asked.clone());
                graph.output(loss, asked);
                BuiltTerm::Ahead { distance, strength, loss_on: objective.loss_on, targets }
            }
            &Term::Contrastive { strength, temperature } => {
                let predictor = predictor(graph, hidden);
                let context = graph.select(hidden, &[objective.scored().start]);
                let predicted =
                    graph.linear_whole(context, predictor, Orientation::InputsFirst, None);
                let answers = network.inputs(graph, 1);
                let seen = network.hidden(graph, answers);
                let targets = TargetSet::add(graph, 1);
                let loss = graph.contrastive(predicted, seen, targets.weights, temperature);
                graph.output(loss, 0..1);
                BuiltTerm::Contrastive { strength, answers, targets }
            }
            Term::JointEmbedding => {
                let predicted = graph.select(hidden, &[objective.scored().start]);
                let alone: Vec<Inputs> =
                    (0..objective.sentence_length).map(|_| network.inputs(graph, 1)).collect();
                let seen: Vec<Value> =
                    alone.iter().map(|inputs| network.hidden(graph, *inputs)).collect();
                let tokens: Vec<Indices> = alone.iter().map(|inputs| inputs.tokens).collect();
                let weights = graph.weights(1);
                let loss = graph.in_batch_prediction(predicted, &seen, &tokens, weights);
                graph.output(loss, 0..1);
                BuiltTerm::JointEmbedding { tokens, weights }
            }
            Term::Symmetry { strength, pairs } => {
                let length = if pairs.relations.is_some() { 2 } else { 1 };
                let length = length + usize::from(objective.reading.prompt().is_some());
                let sides = [(); 2].map(|()| {
                    let inputs = network.inputs(graph, length);
                    let logits = network.logits(graph, inputs);
                    let logits = graph.select(logits, &[length - 1]);
                    (logits, Side { inputs, entity: graph.indices(1) })
                });
                let chosen = TargetSet::add(graph, 1);
                let [(a, left), (b, right)] = sides;
                let loss = graph.symmetry_penalty(
                    [a, b],
                    [left.entity, right.entity],
                    chosen.weights,
                    *strength,
                );
                graph.output(loss, 0..1);
                BuiltTerm::Symmetry { sides: [left, right], chosen }
            }
            Term::Penalty { strength, on } => {
                for penalty in on.penalties(graph) {
                    let value = graph.penalty(penalty, *strength);
                    graph.output(value, 0..1);
                }
                BuiltTerm::Penalty
            }
        }
    }

    /// Writes the inputs that do not depend on the sentences of the batch.
    pub(crate) fn draw<T: Scalar>(
        &self,
        built: &BuiltTerm,
        prompt: Option<u32>,
        program: &mut Program<T>,
        stream: Stream,
    ) {
        let (Term::Symmetry { pairs, .. }, BuiltTerm::Symmetry { sides, chosen }) = (self, built)
        else {
            return;
        };
        let (batch, lanes) = (program.batch(), program.lanes());
        for lane in 0..lanes {
            // Padding repeats the first pair, and has no weight.
            let words = stream.words(if lane < batch { lane } else { 0 } as u64);
            let drawn = [(&pairs.left, words[0]), (&pairs.right, words[1])]
                .map(|(from, word)| from[below(from.len(), [word, 0])]);
            for (at, side) in sides.iter().enumerate() {
                program.indices_mut(side.entity)[lane] = drawn[at];
                let relation = pairs.relations.map(|relations| relations[at]);
                let context = [Some(drawn[at]), relation, prompt].into_iter().flatten();
                for (position, token) in context.enumerate() {
                    program.indices_mut(side.inputs.tokens)[position * lanes + lane] = token;
                    if let Some(padding_mask) = side.inputs.padding_mask {
                        program.weights_mut(padding_mask)[position * lanes + lane] = T::ONE;
                    }
                }
            }
            let weight = if lane < batch { T::ONE } else { T::ZERO };
            program.weights_mut(chosen.weights)[lane] = weight;
        }
    }
}

impl BuiltTerm {
    /// Clears what the last batch wrote.
    pub(crate) fn clear<T: Scalar>(&self, program: &mut Program<T>) {
        match self {
            BuiltTerm::Ahead { targets, .. } => targets.clear(program),
            BuiltTerm::Contrastive { targets, answers, .. } => {
                targets.clear(program);
                program.indices_mut(answers.tokens).fill(0);
                if let Some(padding_mask) = answers.padding_mask {
                    program.weights_mut(padding_mask).fill(T::ONE);
                }
            }
            BuiltTerm::JointEmbedding { tokens, weights } => {
                tokens.iter().for_each(|tokens| program.indices_mut(*tokens).fill(0));
                program.weights_mut(*weights).fill(T::ZERO);
            }
            BuiltTerm::Symmetry { .. } | BuiltTerm::Penalty => {}
        }
    }

    /// Writes the inputs that depend on one sentence of the batch.
    pub(crate) fn write_example<T: Scalar>(
        &self,
        example: ResolvedExample<'_>,
        program: &mut Program<T>,
        lane: usize,
    ) {
        let ResolvedExample { tokens, answer, weight } = example;
        match self {
            &BuiltTerm::Ahead { distance, strength, loss_on, targets } => {
                let first = match loss_on {
                    LossOn::LastEntity => tokens.len() - answer,
                    LossOn::Sequence => 1,
                };
                let asked = first.max(distance)..tokens.len();
                let share = strength * weight / asked.len().max(1) as f64;
                for at in asked {
                    targets.ask(program, [at - distance, lane], tokens[at], share);
                }
            }
            &BuiltTerm::Contrastive { strength, answers, targets } => {
                let token = tokens[tokens.len() - answer];
                program.indices_mut(answers.tokens)[lane] = token;
                targets.ask(program, [0, lane], token, strength * weight);
            }
            BuiltTerm::JointEmbedding { tokens: alone, weights } => {
                for (input, token) in alone.iter().zip(tokens) {
                    program.indices_mut(*input)[lane] = *token;
                }
                program.weights_mut(*weights)[lane] = T::from_f64(weight);
            }
            BuiltTerm::Symmetry { .. } | BuiltTerm::Penalty => {}
        }
    }
}

fn ahead_head<T: Scalar>(
    graph: &mut Graph<T>,
    hidden: Value,
    vocab: usize,
    distance: usize,
) -> ParameterId {
    let normal = Initial::Normal { std: INITIAL_STD };
    let shape = [vocab, graph.features(hidden)];
    graph.parameter(Parameter::matrix(format!("ahead.{distance}.weight"), shape, normal))
}

fn predictor<T: Scalar>(graph: &mut Graph<T>, hidden: Value) -> ParameterId {
    let features = graph.features(hidden);
    let normal = Initial::Normal { std: 1.0 / (features as f64).sqrt() };
    graph.parameter(Parameter::matrix("contrastive.predictor.weight", [features; 2], normal))
}
