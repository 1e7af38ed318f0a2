//! All operations, losses and penalties in one model.

mod common;

use common::{Example, LOSSES, WEIGHTED, model};
use retrodict_engine::check::{assert_gradients_of, total, weighted};
use retrodict_engine::{Isa, Lion, Muon, Rule, Scalar, Sgd};

const MUON: Rule = Rule::Muon(Muon { momentum: 0.95, betas: [0.9, 0.95], epsilon: 1e-8 });
const LION: Rule = Rule::Lion(Lion { betas: [0.9, 0.99] });
const RULES: [Rule; 3] = [MUON, LION, Rule::Sgd(Sgd { momentum: 0.9 })];

#[test]
#[cfg_attr(miri, ignore = "too slow; the next test makes the same passes")]
fn the_gradient_is_that_of_the_sum_of_all_losses() {
    assert_gradients_of(&model::<f64>().graph, 5, |program, weights| {
        let scored = [0..3, 1..2, 0..2].into_iter().enumerate();
        let first = scored
            .map(|(i, scored)| weighted(program, i, 2, &weights[..scored.end * program.lanes()]));
        first.sum::<f64>() + (WEIGHTED..LOSSES).map(|i| total(program, i)).sum::<f64>()
    });
}

fn train<T: Scalar>(isa: Isa, workers: usize, rule: Rule) -> Example<T> {
    let mut example = Example::<T>::new(isa, workers, rule);
    (0..if cfg!(miri) { 1 } else { 5 }).for_each(|_| example.step());
    example
}

/// Miri checks one step of two workers with it, for Stacked Borrows and data races.
#[test]
fn any_number_of_workers_gives_the_same_bits() {
    let (rules, numbers) = if cfg!(miri) { (&RULES[..1], 2..3) } else { (&RULES[..], 1..4) };
    for rule in rules {
        let train = |workers| train::<f32>(Isa::detect(), workers, *rule).numbers();
        let trained: Vec<Vec<f64>> = numbers.clone().map(train).collect();
        assert!(trained.iter().all(|numbers| *numbers == trained[0]), "{rule:?}");
    }
}

#[test]
fn the_fused_instruction_sets_give_the_same_bits() {
    let fused: Vec<Isa> =
        Isa::available().into_iter().filter(|isa| *isa != Isa::PORTABLE).collect();
    for rule in RULES {
        for pair in fused.windows(2) {
            let [one, other] = [0, 1].map(|i| train::<f32>(pair[i], 1, rule).numbers());
            assert!(one == other, "{rule:?} on {} and {}", pair[0], pair[1]);
        }
    }
}

/// In f32, with every optimiser, training lowers the sum of all losses.
#[test]
#[cfg_attr(miri, ignore = "too slow")]
fn every_rule_lowers_the_losses() {
    for rule in RULES {
        let mut example = Example::<f32>::new(Isa::detect(), 2, rule);
        example.step();
        let before = example.loss();
        (0..60).for_each(|_| example.step());
        let after = example.loss();
        assert!(after < 0.8 * before, "{rule:?}: from {before} to {after}");
    }
}
