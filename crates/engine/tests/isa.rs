//! AVX-512 and AVX2 fuse the same multiply-adds in the same order: they give the same bits.

use retrodict_engine::{
    AdamW, Gradients, Graph, Initial, Isa, Mode, Noise, Optimizer, Orientation, Parameter,
    Parameters, ProductPrecision, Program, Rule, Scalar, Team,
};

/// Five steps of a small model with every kind of kernel in it; gives the parameters.
fn train<T: Scalar>(isa: Isa) -> Vec<f64> {
    let mut graph = Graph::<T>::new();
    let (tokens, targets) = (graph.indices(2), graph.indices(2));
    let weights = graph.weights(2);
    let normal = Initial::Normal { std: 0.3 };
    let table = graph.parameter(Parameter::matrix("table", [37, 20], normal));
    let gain = graph.parameter(Parameter::vector("gain", 20, normal));
    let bias = graph.parameter(Parameter::vector("bias", 20, normal));
    let x = graph.embedding(tokens, table, None);
    let h = graph.layer_norm(x, gain, bias, 1e-5);
    let qkv = ["q", "k", "v"].map(|name| {
        let w = graph.parameter(Parameter::matrix(name, [20, 20], normal));
        graph.linear_whole(h, w, Orientation::InputsFirst, None)
    });
    let h = graph.attention(qkv, 4, 0.1);
    let h = graph.gelu(h);
    let h = graph.residual(x, h, 0.1);
    let logits = graph.linear_whole(h, table, Orientation::OutputsFirst, None);
    let loss = graph.cross_entropy(logits, targets, weights, 1..2);
    graph.output(loss, 0..1);

    let mut team = Team::new(1);
    let precision = ProductPrecision::Full;
    let mut program = Program::compile_for(&graph, 32, Mode::Training, precision, 1, isa);
    for (i, token) in program.indices_mut(tokens).iter_mut().enumerate() {
        *token = (i * 7 % 37) as u32;
    }
    for (i, target) in program.indices_mut(targets).iter_mut().enumerate() {
        *target = (i * 11 % 37) as u32;
    }
    program.weights_mut(weights).fill(T::from_f64(1.0 / 32.0));
    let mut parameters = Parameters::initial(&graph, 1);
    let mut gradients = Gradients::zeros(&parameters);
    let rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });
    let mut optimizer = Optimizer::new(rule, 0.01, 0.01, &parameters);
    for step in 0..5 {
        let noise = Noise { seed: 2, step };
        program.step(&mut parameters, &mut gradients, &mut optimizer, noise, &mut team);
    }
    parameters.iter().flat_map(|(_, values)| values.iter().map(|x| x.to_f64())).collect()
}

#[test]
fn the_fused_instruction_sets_give_the_same_bits_and_the_portable_one_nearly() {
    let available = Isa::available();
    let portable = [train::<f32>(Isa::PORTABLE), train::<f64>(Isa::PORTABLE)];
    let fused: Vec<_> = available
        .iter()
        .filter(|isa| **isa != Isa::PORTABLE)
        .map(|isa| [train::<f32>(*isa), train::<f64>(*isa)])
        .collect();
    for numbers in &fused {
        assert!(*numbers == fused[0], "two instruction sets differ");
        for (ours, plain) in numbers.iter().zip(&portable) {
            let far = ours.iter().zip(plain).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 1e-2, "{far} from the portable path");
        }
    }
}
