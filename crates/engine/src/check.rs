//! Gradients compared with finite differences, in `f64`.

use std::ops::Range;

use crate::graph::Graph;
use crate::handle::{Indices, Value, Weights};
use crate::ops::Orientation;
use crate::parameter::{Initial, Parameter};
use crate::precision::ProductPrecision;
use crate::program::{Mode, Program};
use crate::random::{Noise, Purpose, Stream};
use crate::{Gradients, Parameters, Team};

/// The largest difference allowed, relative to the larger of 1 and the gradient.
const TOLERANCE: f64 = 1e-7;
/// The step of the central difference: its error is about step² and ε/step.
const STEP: f64 = 1e-5;
/// Numbers tried in each parameter.
const TRIED: usize = 40;

/// Compares the gradient of the loss, for random parameters, tokens and weights, with central
/// differences in every parameter (in forty of its numbers, spread evenly, where it has more).
///
/// The graph's output 0 must be a [`Graph::cross_entropy`] over the last positions of its last
/// weight input; those before it are masks, of zeros and ones. Every table and vocabulary must have
/// at least three rows: indices are drawn below 3.
///
/// # Panics
/// If they differ.
pub fn assert_gradients(graph: &Graph<f64>, batch: usize) {
    assert_gradients_of(graph, batch, |program, weights| weighted(program, 0, 0, weights));
}

/// The sum over feature `feature` of output `output`, each number times its weight: the last
/// positions of `weights`.
pub fn weighted(program: &Program<f64>, output: usize, feature: usize, weights: &[f64]) -> f64 {
    let out = program.output(output);
    let first = weights.len() - out.positions() * program.lanes();
    let terms = (0..out.positions()).flat_map(|p| out.lanes(feature, p));
    terms.zip(&weights[first..]).map(|(term, w)| term * w).sum()
}

/// The sum over feature 0 of output `output`.
pub fn total(program: &Program<f64>, output: usize) -> f64 {
    let out = program.output(output);
    (0..out.positions()).flat_map(|p| out.lanes(0, p)).sum()
}

/// As [`assert_gradients`], for the `loss` of the outputs and the last weight input (empty
/// where there is none).
///
/// # Panics
/// If they differ.
pub fn assert_gradients_of(
    graph: &Graph<f64>,
    batch: usize,
    loss: impl Fn(&Program<f64>, &[f64]) -> f64,
) {
    use ProductPrecision::Full;
    // Miri interprets every number of every lane.
    let batch = if cfg!(miri) { batch.min(2) } else { batch };
    let mut team = Team::new(2);
    let mut program = Program::compile(graph, batch, Mode::Training, Full, team.workers());
    let stream = Stream::new(99, Purpose::Order, 0);
    let lanes = program.lanes();
    let positions: Vec<usize> = graph.indices.clone();
    for (i, positions) in positions.into_iter().enumerate() {
        let input = program.indices_mut(Indices::new(graph.id, i));
        assert_eq!(input.len(), positions * lanes);
        for (at, index) in input.iter_mut().enumerate() {
            let lane = if at % lanes < batch { at } else { at - at % lanes };
            *index = stream.words((i * 100_000 + lane) as u64)[0] % 3;
        }
    }
    let mut weights: Vec<f64> = Vec::new();
    for (i, positions) in graph.weights.iter().enumerate() {
        let last = i + 1 == graph.weights.len();
        let draw = |at: usize| match last {
            true => 0.3 + (at % 5) as f64,
            false => f64::from(stream.words((i * 100_000 + at) as u64)[1] % 2),
        };
        let numbers =
            (0..positions * lanes).map(|at| if at % lanes < batch { draw(at) } else { 0.0 });
        weights = numbers.collect();
        program.weights_mut(Weights::new(graph.id, i)).copy_from_slice(&weights);
    }

    let mut parameters = Parameters::initial(graph, 4);
    for i in 0..graph.parameters.len() {
        // Away from the initial values, where biases are zero and gains one.
        for (k, x) in parameters.values_mut(i).iter_mut().enumerate() {
            *x += 0.3 * Stream::new(5, Purpose::Initialisation, i as u32).normals(k as u64)[0];
        }
    }
    let mut gradients = Gradients::zeros(&parameters);
    let noise = Noise { seed: 11, step: 3 };
    program.gradients(&parameters, &mut gradients, noise, &mut team);
    let found: Vec<(String, Vec<f64>)> =
        gradients.iter().map(|(p, g)| (p.name.clone(), g.to_vec())).collect();
    let mut loss = |parameters: &Parameters<f64>| -> f64 {
        program.forward(parameters, noise, &mut team);
        loss(&program, &weights)
    };
    if cfg!(miri) {
        // Miri is here to see one pass of each kind; the differences would take it hours.
        assert!(loss(&parameters).is_finite());
        return;
    }
    let trainable: Vec<usize> =
        (0..graph.parameters.len()).filter(|&i| graph.parameters[i].trainable).collect();
    for ((name, found), i) in found.into_iter().zip(trainable) {
        for k in (0..found.len()).step_by(found.len().div_ceil(TRIED)) {
            let value = parameters.values_mut(i)[k];
            parameters.values_mut(i)[k] = value + STEP;
            let above = loss(&parameters);
            parameters.values_mut(i)[k] = value - STEP;
            let below = loss(&parameters);
            parameters.values_mut(i)[k] = value;
            let expected = (above - below) / (2.0 * STEP);
            let error = (found[k] - expected).abs() / expected.abs().max(1.0);
            assert!(error < TOLERANCE, "{name}[{k}]: {} instead of {expected}", found[k]);
        }
    }
}

/// Adds an embedding with a random table of three tokens: `[features, positions]`.
pub fn with_stem(graph: &mut Graph<f64>, features: usize, positions: usize) -> Value {
    let tokens = graph.indices(positions);
    let normal = Initial::Normal { std: 1.0 };
    let table = graph.parameter(Parameter::matrix("stem", [3, features], normal));
    let places = graph.parameter(Parameter::matrix("places", [positions, features], normal));
    graph.embedding(tokens, table, Some(places))
}

/// Adds a random head of `vocabulary` outputs and the loss over the `scored` positions.
pub fn with_head(graph: &mut Graph<f64>, x: Value, vocabulary: usize, scored: Range<usize>) {
    let shape = graph.shape(x);
    let normal = Initial::Normal { std: 0.7 };
    let head = Parameter::matrix("head", [vocabulary, shape.features], normal);
    let head = graph.parameter(head);
    let logits = graph.linear_whole(x, head, Orientation::OutputsFirst, None);
    let targets = graph.indices(shape.positions);
    let weights = graph.weights(shape.positions);
    let loss = graph.cross_entropy(logits, targets, weights, scored.clone());
    graph.output(loss, 0..scored.len());
}
