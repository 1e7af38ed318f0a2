//! The record of a step: what the host decides about it, in 4-byte words.
//!
//! The first [`HEADER`] words are the seeds of dropout and the rates of the optimiser; the inputs
//! follow, each `[positions, lanes]`.

use super::launch::{Area, Region, Span};
use crate::optim::StepRates;
use crate::random::Noise;

/// Words before the inputs.
pub const HEADER: usize = 16;

/// The word of each entry of the header.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Entry {
    /// The dropout seed, low half.
    SeedLow,
    /// The dropout seed, high half.
    SeedHigh,
    /// The step, low half.
    StepLow,
    /// The step, high half.
    StepHigh,
    /// `1 − rate · weight decay`, an f32 as all that follow.
    Shrink,
    /// `rate / (1 − β₁ᵗ)`.
    CorrectedRate,
    /// `1 / √(1 − β₂ᵗ)`.
    SecondCorrection,
    /// β₁.
    Beta1,
    /// `1 − β₁`.
    LessBeta1,
    /// β₂.
    Beta2,
    /// `1 − β₂`.
    LessBeta2,
    /// ε.
    Epsilon,
}

/// The header's words in the record.
pub(super) fn header() -> Span {
    Area::row(Region::Record, 0, HEADER).span()
}

/// Appends the header of a step; without an update its rates are 0.
pub(crate) fn write_header(noise: Noise, rates: Option<StepRates>, out: &mut Vec<u32>) {
    let mut words = [0; HEADER];
    let halves = |x: u64| [x as u32, (x >> 32) as u32];
    words[Entry::SeedLow as usize..][..2].copy_from_slice(&halves(noise.seed));
    words[Entry::StepLow as usize..][..2].copy_from_slice(&halves(noise.step));
    if let Some(rates) = rates {
        let StepRates { shrink, corrected_rate, second_correction, betas, epsilon } = rates;
        // Rounded where the processor's update rounds them.
        let entries = [
            (Entry::Shrink, shrink),
            (Entry::CorrectedRate, corrected_rate),
            (Entry::SecondCorrection, 1.0 / second_correction),
            (Entry::Beta1, betas[0]),
            (Entry::LessBeta1, 1.0 - betas[0]),
            (Entry::Beta2, betas[1]),
            (Entry::LessBeta2, 1.0 - betas[1]),
            (Entry::Epsilon, epsilon),
        ];
        for (entry, number) in entries {
            words[entry as usize] = (number as f32).to_bits();
        }
    }
    out.extend(words);
}

#[cfg(test)]
mod tests {
    use super::{Entry, HEADER};
    use crate::graph::Graph;
    use crate::handle::{Indices, Weights};
    use crate::lower::Lowered;
    use crate::parameter::{Initial, Parameter};
    use crate::{AdamW, Gradients, Mode, Noise, Optimizer, Parameters, ProductPrecision};
    use crate::{Program, Rule, Team};

    fn graph() -> (Graph<f32>, Indices, Weights) {
        let mut graph = Graph::new();
        let (tokens, targets, weights) = (graph.indices(1), graph.indices(2), graph.weights(2));
        let normal = Initial::Normal { std: 1.0 };
        let table = graph.parameter(Parameter::matrix("table", [5, 5], normal));
        let logits = graph.embedding(targets, table, None);
        let shown = graph.embedding(tokens, table, None);
        let loss = graph.cross_entropy(logits, targets, weights, 0..2);
        graph.output(loss, 1..2);
        graph.output(shown, 0..1);
        (graph, tokens, weights)
    }

    fn optimizer(parameters: &Parameters<f32>) -> Optimizer<f32> {
        let rule = Rule::AdamW(AdamW { betas: [0.87, 0.993], epsilon: 3e-7 });
        Optimizer::new(rule, 0.003, 0.07, parameters)
    }

    #[test]
    fn a_record_has_the_seeds_and_the_inputs_in_their_order() {
        let (graph, tokens, weights) = graph();
        let (mode, precision) = (Mode::Training, ProductPrecision::Full);
        let mut program = Program::for_device(&graph, 3, mode, precision);
        program.indices_mut(tokens)[2] = 4;
        program.weights_mut(weights)[17] = 0.5;
        let noise = Noise { seed: 7 << 32 | 5, step: 3 << 32 | 2 };
        let mut record = vec![1];
        program.record(noise, None, &mut record);
        let lowered = Lowered::new(&graph, 3, mode, precision, None).unwrap();
        assert_eq!(lowered.record, record.len() - 1);
        assert_eq!(lowered.indices, [HEADER, HEADER + 16]);
        assert_eq!(lowered.weights, [HEADER + 3 * 16]);
        let mut expected = vec![0; 1 + HEADER + 5 * 16];
        expected[0] = 1;
        expected[1..5].copy_from_slice(&[5, 7, 2, 3]);
        expected[1 + HEADER + 2] = 4;
        expected[1 + HEADER + 3 * 16 + 17] = 0.5_f32.to_bits();
        assert_eq!(record, expected);
    }

    #[test]
    fn the_rates_of_a_record_make_the_update_of_the_processor() {
        let (graph, ..) = graph();
        let program = Program::for_device(&graph, 1, Mode::Training, ProductPrecision::Full);
        let mut parameters = Parameters::initial(&graph, 1);
        let mut gradients = Gradients::zeros(&parameters);
        let [mut here, mut elsewhere] = [0, 1].map(|_| optimizer(&parameters));
        let mut numbers: Vec<f32> = parameters.iter().flat_map(|(_, x)| x.to_vec()).collect();
        let mut moments = vec![[0.0_f32; 2]; numbers.len()];
        for step in 0..5 {
            for (i, gradient) in gradients.values_mut(0).iter_mut().enumerate() {
                *gradient = ((i * 7 + step * 3) % 11) as f32 / 3.0 - 1.5;
            }
            let slopes = gradients.values_mut(0).to_vec();
            here.apply(&mut parameters, &mut gradients, &mut Team::new(1));
            let mut record = Vec::new();
            program.record(Noise { seed: 0, step: 0 }, Some(&mut elsewhere), &mut record);
            let of = |entry: Entry| f32::from_bits(record[entry as usize]);
            for ((x, g), [m, v]) in numbers.iter_mut().zip(slopes).zip(&mut moments) {
                *m = *m * of(Entry::Beta1) + g * of(Entry::LessBeta1);
                *v = *v * of(Entry::Beta2) + g * g * of(Entry::LessBeta2);
                let root = v.sqrt() * of(Entry::SecondCorrection) + of(Entry::Epsilon);
                *x = *x * of(Entry::Shrink) - of(Entry::CorrectedRate) * *m / root;
            }
            let expected: Vec<f32> = parameters.iter().flat_map(|(_, x)| x.to_vec()).collect();
            assert_eq!(numbers, expected);
            assert_eq!(here.steps(), elsewhere.steps());
        }
    }

    #[test]
    fn outputs_come_from_elsewhere() {
        let (graph, ..) = graph();
        let mut program = Program::for_device(&graph, 2, Mode::Inference, ProductPrecision::Full);
        let outputs: Vec<f32> = (0..(3 + 5) * 16).map(|i| i as f32).collect();
        program.load_outputs(&outputs);
        assert_eq!(program.output(0).lanes(2, 0), &outputs[2 * 16..3 * 16]);
        assert_eq!(program.output(1).lanes(4, 0), &outputs[7 * 16..]);
    }

    #[test]
    #[should_panic(expected = "the program was compiled for a device")]
    fn a_program_for_a_device_does_not_run_here() {
        let (graph, ..) = graph();
        let mut program = Program::for_device(&graph, 2, Mode::Inference, ProductPrecision::Full);
        let parameters = Parameters::initial(&graph, 1);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
    }
}
