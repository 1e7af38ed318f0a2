//! A model with every operation, loss and penalty that the decoder lacks.

use retrodict_engine::{
    Activation, Decay, Focal, Gradients, Graph, Indices, Initial, Isa, LabelSmoothing,
    LossFunction, Margin, Mode, Noise, Optimizer, Orientation, Parameter, ParameterId, Parameters,
    Penalty, ProductPrecision, Program, Rule, Scalar, Sees, Team, Value, Weights,
};

/// Tokens in the vocabulary.
pub(crate) const VOCABULARY: usize = if cfg!(miri) { 5 } else { 37 };
const WIDTH: usize = if cfg!(miri) { 4 } else { 20 };

/// Examples in a batch.
const BATCH: usize = if cfg!(miri) { 2 } else { 24 };

/// The model with its inputs.
pub(crate) struct Model<T> {
    pub(crate) graph: Graph<T>,
    tokens: [Indices; 3],
    mask: Weights,
    weights: Weights,
}

/// Output i is a loss: for the first three its weighted feature 2, for the others its sum.
pub(crate) const WEIGHTED: usize = 3;
/// The number of losses.
pub(crate) const LOSSES: usize = 11;

pub(crate) fn model<T: Scalar>() -> Model<T> {
    let mut graph = Graph::<T>::new();
    let tokens = [graph.indices(3), graph.indices(3), graph.indices(1)];
    let (mask, weights) = (graph.weights(3), graph.weights(3));
    let normal = Initial::Normal { std: 0.3 };
    let table = graph.parameter(Parameter::matrix("table", [VOCABULARY, WIDTH], normal));
    let [gain, fade] =
        ["gain", "fade"].map(|name| graph.parameter(Parameter::vector(name, WIDTH, normal)));
    let square = |graph: &mut Graph<T>, name: &str| {
        graph.parameter(Parameter::matrix(name, [WIDTH, WIDTH], normal).hidden(1))
    };
    let map = |graph: &mut Graph<T>, x: Value, w: ParameterId| {
        graph.linear_whole(x, w, Orientation::InputsFirst, None)
    };
    let x = graph.embedding(tokens[0], table, None);
    let h = graph.rms_norm(x, gain, 1e-5);
    let [q, k, v] = ["q", "k", "v"].map(|name| square(&mut graph, name));
    let qkv = [q, k, v].map(|w| map(&mut graph, h, w));
    let soft = graph.attention_over(qkv, 4, Sees::All, Some(mask), 0.1);
    let linear = graph.linear_attention(qkv, 4, Sees::Past, Some(mask));
    let gate = graph.activation(soft, Activation::Silu);
    let gated = graph.multiply(gate, linear);
    let faded = graph.scan(gated, Decay::Parameter(fade));
    let reversed = graph.select(h, &[2, 1, 0]);
    let decay = graph.activation(reversed, Activation::Sigmoid);
    let faded = graph.scan(faded, Decay::Value(decay));
    let tall = graph.parameter(Parameter::matrix("tall", [3 * WIDTH, WIDTH], normal).hidden(1));
    let wide = graph.linear_whole(faded, tall, Orientation::OutputsFirst, None);
    let wide = graph.activation(wide, Activation::Relu);
    let narrow = graph.linear_whole(wide, tall, Orientation::InputsFirst, None);
    let both = graph.join(&[narrow, x]);
    let last = graph.select(both, &[2, 5, 1, 4]);
    let logits = graph.linear_whole(last, table, Orientation::OutputsFirst, None);
    let functions = [
        (LossFunction::Focal(Focal { loss_parameter: 2.0 }), 0..3),
        (LossFunction::Margin(Margin { loss_parameter: 0.1 }), 1..2),
        (LossFunction::LabelSmoothing(LabelSmoothing { loss_parameter: 0.1 }), 0..2),
    ];
    for (function, scored) in functions {
        let loss = graph.loss(function, logits, tokens[1], weights, scored.clone());
        graph.output(loss, 0..scored.len());
    }
    let [near, far] = [0, 1].map(|p| graph.select(last, &[p]));
    let contrast = graph.contrastive(near, far, weights, 0.5);
    // Large inner products would make a loss whose rounding hides the other gradients.
    let small = graph.scale(near, 0.05);
    let in_batch = graph.in_batch_prediction(small, &[near, far], &tokens[1..], weights);
    let [said, asked] = [2, 3].map(|p| graph.select(logits, &[p]));
    let symmetry = graph.symmetry_penalty([said, asked], [tokens[1], tokens[2]], weights, 0.3);
    let mut losses = vec![contrast, in_batch, symmetry];
    let penalties = [
        Penalty::Square(tall),
        Penalty::Difference(q, k),
        Penalty::Antisymmetric(q),
        Penalty::Nuclear(tall),
        Penalty::Spectral(k),
    ];
    losses.extend(penalties.map(|penalty| graph.penalty(penalty, 0.01)));
    losses.into_iter().for_each(|loss| graph.output(loss, 0..1));
    Model { graph, tokens, mask, weights }
}

/// A model in training.
pub(crate) struct Example<T> {
    pub(crate) program: Program<T>,
    pub(crate) parameters: Parameters<T>,
    gradients: Gradients<T>,
    optimizer: Optimizer<T>,
    team: Team,
    step: u64,
}

impl<T: Scalar> Example<T> {
    pub(crate) fn new(isa: Isa, workers: usize, rule: Rule) -> Example<T> {
        let Model { graph, tokens, mask, weights } = model::<T>();
        let mut team = Team::new(workers);
        // On a busy machine too, no worker may be lost.
        team.set_patience(std::time::Duration::from_secs(60));
        let precision = ProductPrecision::Full;
        let mut program =
            Program::compile_for(&graph, BATCH, Mode::Training, precision, workers, isa);
        let lanes = program.lanes();
        for (factor, input) in [7, 11, 5].into_iter().zip(tokens) {
            for (i, token) in program.indices_mut(input).iter_mut().enumerate() {
                let lane = if i % lanes < BATCH { i } else { i - i % lanes };
                *token = (lane * factor % VOCABULARY) as u32;
            }
        }
        for (i, mask) in program.weights_mut(mask).iter_mut().enumerate() {
            *mask = if i % 5 < 3 { T::ONE } else { T::ZERO };
        }
        for (i, weight) in program.weights_mut(weights).iter_mut().enumerate() {
            *weight = T::from_f64(if i % lanes < BATCH { 1.0 / BATCH as f64 } else { 0.0 });
        }
        let parameters = Parameters::initial(&graph, 1);
        let gradients = Gradients::zeros(&parameters);
        let optimizer = Optimizer::new(rule, 0.01, 0.01, &parameters);
        Example { program, parameters, gradients, optimizer, team, step: 0 }
    }

    pub(crate) fn step(&mut self) {
        let noise = Noise { seed: 2, step: self.step };
        let Example { program, parameters, gradients, optimizer, team, .. } = self;
        program.step(parameters, gradients, optimizer, noise, team);
        self.step += 1;
    }

    /// All losses together, as the last step found them.
    pub(crate) fn loss(&self) -> f64 {
        let of = |i: usize| {
            let out = self.program.output(i);
            let (feature, scale) = if i < WEIGHTED { (2, 1.0 / BATCH as f64) } else { (0, 1.0) };
            let used = |p| out.lanes(feature, p)[..BATCH].iter().map(|x| x.to_f64() * scale);
            (0..out.positions()).flat_map(used).sum::<f64>()
        };
        (0..LOSSES).map(of).sum()
    }

    pub(crate) fn numbers(&self) -> Vec<f64> {
        self.parameters.iter().flat_map(|(_, values)| values.iter().map(|x| x.to_f64())).collect()
    }
}
