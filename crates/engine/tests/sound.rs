//! Safe code cannot lead the engine to memory that is not its own: each of these programs once did,
//! or let one thread write what another read. What no longer compiles is shown by documentation
//! tests: of [`Optimizer`] (its rule and its moments) and of [`Isa`].

#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use retrodict_engine::check::{assert_gradients_of, total, weighted, with_stem};
use retrodict_engine::{
    AdamW, Decay, Gradients, Graph, Indices, Initial, Isa, IsaError, Lion, Mode, Muon, Noise,
    Optimizer, Orientation, Parameter, ParameterId, Parameters, ProductPrecision, Program,
    Roofline, Rule, Sees, Sgd, Team, Value, View, Weights, matmul,
};

const HALF: Initial = Initial::Constant(0.5);

/// A model that learns which of `symbols` follows which, with all its handles.
struct Model {
    graph: Graph<f32>,
    tokens: Indices,
    weights: Weights,
    table: ParameterId,
    logits: Value,
}

fn model(symbols: usize) -> Model {
    let mut graph = Graph::new();
    let (tokens, targets, weights) = (graph.indices(1), graph.indices(1), graph.weights(1));
    let table = Parameter::matrix("table", [symbols, symbols], HALF).hidden(1);
    let table = graph.parameter(table);
    let logits = graph.embedding(tokens, table, None);
    let loss = graph.cross_entropy(logits, targets, weights, 0..1);
    graph.output(loss, 0..1);
    Model { graph, tokens, weights, table, logits }
}

/// One step of the model of `symbols` with numbers, a gradient and an optimiser of models of so
/// many.
fn step(symbols: usize, [numbers, gradient, optimiser]: [usize; 3], rule: Rule) -> Optimizer<f32> {
    let [mut numbers, of_gradient, of_optimiser] =
        [numbers, gradient, optimiser].map(|n| Parameters::initial(&model(n).graph, 0));
    let mut gradient = Gradients::zeros(&of_gradient);
    let mut optimiser = Optimizer::new(rule, 0.1, 0.0, &of_optimiser);
    let (full, noise) = (ProductPrecision::Full, Noise { seed: 0, step: 0 });
    let graph = model(symbols).graph;
    let mut program = Program::compile(&graph, 2, Mode::Training, full, 1);
    program.step(&mut numbers, &mut gradient, &mut optimiser, noise, &mut Team::new(1));
    optimiser
}

const ADAM: Rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });
const MUON: Rule = Rule::Muon(Muon { momentum: 0.95, betas: [0.9, 0.95], epsilon: 1e-8 });

#[test]
fn models_of_equal_parameters_share_them() {
    step(9, [9, 9, 9], ADAM);
}

// 1. The rule of an optimiser.

/// A rule keeps its own number of moments: an optimiser of one cannot become one of another.
#[test]
fn an_optimiser_has_one_rule() {
    let lion = Rule::Lion(Lion { betas: [0.9, 0.99] });
    for rule in [MUON, lion, Rule::Sgd(Sgd { momentum: 0.0 }), ADAM] {
        let mut optimiser = step(3, [3; 3], rule);
        (optimiser.rate, optimiser.weight_decay, optimiser.clip) = (0.2, 0.3, 0.4);
        assert!(optimiser.rule() == rule && optimiser.moments().len() == rule.moments());
    }
}

// 2. Its moments.

#[test]
#[should_panic(expected = "length")]
fn moments_of_a_smaller_model() {
    let [mut large, small] =
        [40, 2].map(|n| Optimizer::new(ADAM, 0.1, 0.0, &Parameters::initial(&model(n).graph, 0)));
    let (_, numbers) = small.moments()[0].iter().next().expect("one parameter");
    large.moment_mut(0, 0).copy_from_slice(numbers);
}

// 3. A step with what belongs to another model.

#[test]
#[should_panic(expected = "the optimiser is of another model")]
fn the_optimiser_of_a_smaller_model() {
    step(40, [40, 40, 2], ADAM);
}

#[test]
#[should_panic(expected = "the optimiser is of another model")]
fn the_optimiser_of_a_larger_model() {
    step(2, [2, 2, 40], MUON);
}

#[test]
#[should_panic(expected = "the gradients are of another model")]
fn gradients_of_a_smaller_model() {
    step(40, [40, 2, 40], ADAM);
}

#[test]
#[should_panic(expected = "the parameters are of another model")]
fn parameters_of_a_smaller_model() {
    step(40, [2, 40, 40], ADAM);
}

// 4. Parts of another graph.

#[test]
#[should_panic(expected = "a view of a parameter of another graph")]
fn a_view_of_another_graph() {
    let (wide, mut narrow) = (model(40), model(2));
    let view: View = wide.graph.columns(wide.table, 38..40);
    narrow.graph.linear(narrow.logits, view, Orientation::OutputsFirst, None);
}

#[test]
#[should_panic(expected = "a parameter of another graph")]
fn a_parameter_of_another_graph() {
    let (wide, mut narrow) = (model(40), model(2));
    narrow.graph.embedding(narrow.tokens, wide.table, None);
}

#[test]
#[should_panic(expected = "a value of another graph")]
fn a_value_of_another_graph() {
    let (wide, mut narrow) = (model(40), model(2));
    narrow.graph.gelu(wide.logits);
}

#[test]
#[should_panic(expected = "a value of another graph")]
fn an_output_of_another_graph() {
    let (wide, mut narrow) = (model(40), model(2));
    narrow.graph.output(wide.logits, 0..1);
}

#[test]
fn inputs_of_another_graph() {
    let (wide, narrow) = (model(40), model(2));
    let full = ProductPrecision::Full;
    let mut program = Program::compile(&narrow.graph, 2, Mode::Inference, full, 1);
    let indices = refusal(|| program.indices_mut(wide.tokens).fill(0));
    assert_eq!(indices, "indices of another graph");
    let weights = refusal(|| program.weights_mut(wide.weights).fill(0.0));
    assert_eq!(weights, "weights of another graph");
}

/// The message with which something is refused, by a panic that a run can be ended by.
fn refusal<R>(something: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(something)).err().expect("it is refused");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
    }
}

// 5. Sizes that wrap.

#[test]
fn sizes_that_wrap() {
    const ROOT: usize = 1 << 32;
    let too_large = |message: String| {
        assert!(message.starts_with("the graph is too large"), "{message}");
    };
    let full = ProductPrecision::Full;
    // A parameter whose numbers are 0 modulo 2⁶⁴, and two that are too many together.
    let parameter =
        |shape| model(2).graph.parameter(Parameter::matrix("w", shape, Initial::Constant(0.0)));
    too_large(refusal(|| parameter([ROOT, ROOT])));
    too_large(refusal(|| {
        let mut graph = model(2).graph;
        for name in ["one", "other"] {
            graph.parameter(Parameter::matrix(name, [1 << 19, 1 << 19], Initial::Constant(0.0)));
        }
        Parameters::<f32>::zeros(&graph)
    }));
    // Values, inputs and batches.
    too_large(refusal(|| Graph::<f32>::new().indices(usize::MAX)));
    too_large(refusal(|| Graph::<f32>::new().weights(usize::MAX / 16 + 2)));
    too_large(refusal(|| {
        let mut graph = model(2).graph;
        let bias = graph.parameter(Parameter::vector("bias", 64, HALF));
        let view = graph.whole(bias);
        graph.broadcast(view, usize::MAX / 64 + 2)
    }));
    too_large(refusal(|| Program::compile(&model(2).graph, usize::MAX, Mode::Training, full, 1)));
    too_large(refusal(|| Program::compile(&model(2).graph, 1 << 36, Mode::Training, full, 1)));
    // Scratch memory of this many workers.
    too_large(refusal(|| {
        let mut graph = model(2).graph;
        let bias = graph.parameter(Parameter::vector("b", 16, HALF));
        let view = graph.whole(bias);
        let x = graph.broadcast(view, 1);
        let square = graph.parameter(Parameter::matrix("w", [16, 16], HALF));
        let y = graph.linear_whole(x, square, Orientation::InputsFirst, None);
        graph.output(y, 0..1);
        Program::compile(&graph, 1, Mode::Training, full, usize::MAX / 256 + 2)
    }));
    // Memory for a measurement, and a product that is no graph.
    let mut team = Team::new(1);
    let measured = refusal(|| Roofline::measure::<f32>(Isa::PORTABLE, &mut team, usize::MAX));
    assert!(measured.starts_with("no memory for"), "{measured}");
    // 4 · (2⁶² + 1) is 4 modulo 2⁶⁴: all slices have the sizes said, and blocks of 128 columns would
    // be written to them.
    let huge = (1 << 62) + 1;
    let message = refusal(|| matmul(1, [4, 4, huge], &[0.0; 16], &[0.0; 4], [1, 0], &mut [0.0; 4]));
    assert!(message.starts_with("a product of"), "{message}");
}

#[test]
fn positions_that_are_not_there() {
    let Model { mut graph, logits, table, .. } = model(2);
    #[expect(clippy::reversed_empty_ranges, reason = "the range is the test")]
    for range in [0..0, 1..0, 0..2, 1..2, usize::MAX..0] {
        refusal(|| graph.output(logits, range.clone()));
        refusal(|| {
            let (targets, weights) = (graph.indices(1), graph.weights(1));
            graph.cross_entropy(logits, targets, weights, range.clone())
        });
    }
    #[expect(clippy::reversed_empty_ranges, reason = "the range is the test")]
    for range in [0..0, 2..2, 1..0, 0..3, usize::MAX..0] {
        refusal(|| graph.columns(table, range.clone()));
    }
    let full = ProductPrecision::Full;
    let program = Program::compile(&graph, 2, Mode::Inference, full, 1);
    refusal(|| program.output(0).lanes(0, 1 << 60).len());
}

// 6. An instruction set that the processor lacks.

#[test]
fn a_name_gives_only_an_instruction_set_that_the_processor_has() {
    let available: Vec<String> = Isa::available().iter().map(Isa::to_string).collect();
    assert!(available.iter().any(|name| name == "portable"));
    for name in ["avx512", "avx2", "portable"] {
        match name.parse::<Isa>() {
            Ok(isa) => assert!(isa.to_string() == name && Isa::available().contains(&isa)),
            Err(error) => {
                let lacks = IsaError::Unavailable(name.to_owned(), available.join(", "));
                assert!(error == lacks && !available.iter().any(|other| other == name));
            }
        }
    }
    assert_eq!("sse9".parse::<Isa>(), Err(IsaError::Unknown("sse9".to_owned())));
}

// Operands that are one.

/// Their gradients have one buffer, which for a residual connection may also be that of the output.
#[test]
fn a_value_that_an_operation_takes_twice() {
    let dropouts = if cfg!(miri) { &[0.3][..] } else { &[0.0, 0.3] };
    for &dropout in dropouts {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 2);
        let h = graph.residual(x, x, dropout);
        let h = graph.attention([h; 3], 2, dropout);
        let h = graph.linear_attention([h; 3], 2, Sees::All, None);
        let h = graph.multiply(h, h);
        let h = graph.join(&[h, h]);
        let h = graph.select(h, &[3, 0]);
        let h = graph.residual(h, h, 0.0);
        let (targets, weights) = (graph.indices(2), graph.weights(2));
        let first = graph.select(h, &[0]);
        let alike = graph.contrastive(first, first, weights, 0.5);
        let symmetry = graph.symmetry_penalty([first; 2], [targets; 2], weights, 0.3);
        let loss = graph.cross_entropy(h, targets, weights, 0..2);
        for (loss, positions) in [(loss, 2), (alike, 1), (symmetry, 1)] {
            graph.output(loss, 0..positions);
        }
        assert_gradients_of(&graph, 3, |program, weights| {
            weighted(program, 0, 0, weights) + total(program, 1) + total(program, 2)
        });
    }
}

#[test]
fn a_parameter_that_an_operation_would_take_twice() {
    let Model { mut graph, logits, .. } = model(6);
    let gain = graph.parameter(Parameter::vector("gain", 6, HALF));
    // Two workers would add to its gradient at the same time.
    let message = refusal(|| graph.layer_norm(logits, gain, gain, 1e-5));
    assert_eq!(message, "an operation takes columns of gain twice");
    let views = [0..1, 0..6].map(|columns| graph.columns(gain, columns));
    let x = graph.broadcast(views[0], 1);
    let message = refusal(|| graph.linear(x, views[1], Orientation::InputsFirst, Some(views[1])));
    assert_eq!(message, "an operation takes columns of gain twice");
}

#[test]
#[should_panic(expected = "a value cannot be its own decay")]
fn a_scan_that_decays_by_its_own_input() {
    let Model { mut graph, logits, .. } = model(6);
    graph.scan(logits, Decay::Value(logits));
}
