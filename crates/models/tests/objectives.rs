//! Readings, weights, sentences of several lengths, and the terms that are added to the loss.

use retrodict_engine::{AdamW, Lion, Muon, Rule, Scalar, Sgd};
use retrodict_models::{
    Decoder, DecoderSettings, Design, Example, LossOn, LrSchedule, Masking, Mixer, Network,
    Objective, Pairs, PenaltyOn, Reading, Term, Trainer, TrainerOptions,
};

const SGD: Rule = Rule::Sgd(Sgd { momentum: 0.0 });
const VOCAB: usize = 12;
/// The last token of the vocabulary.
const MASK: u32 = 11;

fn trainer<T: Scalar>(
    mixer: Mixer,
    objective: Objective,
    rule: Rule,
    threads: usize,
) -> Trainer<T> {
    scheduled(mixer, objective, rule, threads, LrSchedule::default())
}

fn scheduled<T: Scalar>(
    mixer: Mixer,
    objective: Objective,
    rule: Rule,
    threads: usize,
    schedule: LrSchedule,
) -> Trainer<T> {
    let decoder = Decoder {
        vocab: VOCAB,
        positions: 5,
        settings: DecoderSettings {
            layers: 2,
            heads: 2,
            dim: 8,
            dropout: 0.0,
            design: Design { mixer, ..Design::default() },
            ..DecoderSettings::default()
        },
    };
    let options = TrainerOptions {
        rule,
        rate: 0.01,
        weight_decay: 0.0,
        decay_norms: true,
        clip: 0.0,
        init_seed: 3,
        noise_seed: 4,
        threads,
        schedule,
    };
    Trainer::new(Network::from(decoder), objective, &options)
}

fn gradient(trainer: &mut Trainer<f64>, examples: &[Example<'_>]) -> Vec<f64> {
    let gradients = trainer.gradients(examples.iter().copied());
    gradients.iter().flat_map(|(_, values)| values.to_vec()).collect()
}

fn example(tokens: &[u32], answer: usize, weight: f64) -> Example<'_> {
    Example { tokens, answer: Some(answer), weight }
}

/// Short sentences are padded behind their end. Nothing of the padding, nor of what a longer
/// sentence left there before, may reach the loss; and a sentence counts as much as its weight.
#[test]
fn a_batch_is_the_weighted_mean_of_its_sentences() {
    let readings = [
        (Mixer::Attention, Reading::NextToken),
        (Mixer::Gru, Reading::NextToken),
        (Mixer::LinearRecurrent, Reading::NextToken),
    ];
    for (mixer, reading) in readings {
        for loss_on in [LossOn::LastEntity, LossOn::Sequence] {
            let objective =
                Objective { shortest_context: 2, reading, ..Objective::next_token(5, 1, loss_on) };
            let examples = [
                example(&[2, 0, 3], 1, 1.0),
                example(&[4, 1, 5, 6, 7], 2, 6.0),
                example(&[8, 0, 9, 2], 2, 0.5),
            ];
            let mut trainer = trainer::<f64>(mixer, objective, SGD, 1);
            let single = examples.map(|example| gradient(&mut trainer, &[example]));
            for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
                let together = gradient(&mut trainer, &order.map(|at| examples[at]));
                for (i, sum) in together.iter().enumerate() {
                    let mean = single.iter().map(|gradient| gradient[i]).sum::<f64>() / 3.0;
                    assert!((sum - mean).abs() < 1e-12 * (1.0 + mean.abs()), "{mixer:?}: {i}");
                }
            }
        }
    }
}

/// A bidirectional model must not see behind a short sentence's end.
#[test]
fn a_question_is_answered_the_same_beside_longer_ones() {
    let objective = Objective {
        shortest_context: 2,
        reading: Reading::Masked { mask: MASK, masking: Masking::Tokens },
        ..Objective::next_token(5, 1, LossOn::LastEntity)
    };
    let mut trainer = trainer::<f64>(Mixer::Bidirectional, objective, SGD, 1);
    let (short, long) = (vec![2, 0, 3], vec![4, 1, 5, 6, 7]);
    let alone = trainer.evaluate(std::slice::from_ref(&short))[0];
    trainer.evaluate(&[long.clone(), long.clone()]);
    let beside = trainer.evaluate(&[long, short])[1];
    assert!((alone.nll - beside.nll).abs() < 1e-13, "{alone:?} {beside:?}");
}

/// The logits that scoring leaves behind are those of a pass for them alone, to the last bit.
#[test]
fn scoring_also_gives_the_logits_of_the_answers() {
    let readings = [
        (Mixer::Attention, Reading::NextToken),
        (Mixer::Gru, Reading::Permuted),
        (Mixer::Bidirectional, Reading::Masked { mask: MASK, masking: Masking::Tokens }),
    ];
    let sentences: Vec<Vec<u32>> = (0..70).map(|n| vec![n % 10, n % 2, (3 * n) % 11]).collect();
    let contexts: Vec<Vec<u32>> = sentences.iter().map(|s| s[..2].to_vec()).collect();
    for (mixer, reading) in readings {
        let objective = Objective {
            shortest_context: 1,
            reading,
            ..Objective::next_token(3, 1, LossOn::LastEntity)
        };
        let mut trainer = trainer::<f32>(mixer, objective, SGD, 1);
        let expected = trainer.logits_after(&contexts);
        let scores = trainer.evaluate(&sentences).to_vec();
        let (found, logits) = trainer.evaluate_with_logits(&sentences);
        assert_eq!(found, scores);
        assert_eq!(logits, Some(expected), "{mixer:?}");
        let (found, logits) = trainer.evaluate_with_logits(&contexts[..1]);
        assert_eq!((found.len(), logits), (1, None), "too short");
    }
}

/// Each packed sentence is predicted from all tokens before it in its context.
#[test]
fn packed_sentences_see_those_before_them() {
    let [a, b, c] = [&[2, 0, 3][..], &[4, 5], &[6, 1, 7]];
    let both = [a, b].concat();
    let shortest_context = 1;
    let packed =
        Objective { pack: 2, shortest_context, ..Objective::next_token(3, 1, LossOn::LastEntity) };
    let plain = Objective { shortest_context, ..Objective::next_token(6, 1, LossOn::LastEntity) };
    let [mut packed, mut plain] =
        [packed, plain].map(|objective| trainer::<f64>(Mixer::Attention, objective, SGD, 1));
    let in_two_rows = [a, b, c].map(Example::from);
    let one_by_one = [a, &both, c].map(Example::from);
    let [found, expected] =
        [gradient(&mut packed, &in_two_rows), gradient(&mut plain, &one_by_one)];
    let far = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far < 1e-15, "{far}");
    let found = packed.step(in_two_rows.into_iter());
    for (found, expected) in found.iter().zip(plain.step(one_by_one.into_iter())) {
        assert!((found.nll - expected.nll).abs() < 1e-14, "{found:?}, not {expected:?}");
    }
    // An evaluation reads each by itself.
    let alone = packed.evaluate(&[a.to_vec()])[0];
    let beside = packed.evaluate(&[c.to_vec(), a.to_vec()])[1];
    assert!((alone.nll - beside.nll).abs() < 1e-14);
}

/// What a masked position is asked for is what it hides: the score of a sentence whose last token
/// is known by heart after training on it with any mask.
#[test]
fn masked_reading_learns_every_factorisation() {
    let objective = Objective {
        reading: Reading::Masked { mask: MASK, masking: Masking::Tokens },
        ..Objective::next_token(3, 1, LossOn::LastEntity)
    };
    let rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });
    let mut trainer = trainer::<f32>(Mixer::Bidirectional, objective, rule, 1);
    let facts = [[2, 0, 3], [4, 0, 5], [6, 0, 7], [8, 0, 9]];
    for _ in 0..600 {
        trainer.step(facts.iter().map(|fact| Example::from(fact.as_slice())));
    }
    // Asked by the end, as in training, and by the beginning, with the order reversed in time.
    let forward: Vec<Vec<u32>> = facts.iter().map(|fact| fact.to_vec()).collect();
    assert!(trainer.evaluate(&forward).iter().all(|score| score.top1), "y of x 0");
    let prompts: Vec<Vec<u32>> = facts.iter().map(|fact| vec![fact[0], 0]).collect();
    for (row, fact) in trainer.next_token_logits(&prompts).iter().zip(facts) {
        let best = (0..VOCAB).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        assert_eq!(best as u32, fact[2], "the prompt's last position is asked");
    }
}

/// Joint-embedding prediction: only the representations are trained, on whichever tokens the loss
/// is, and a logit is the inner product of prediction and representation.
#[test]
fn joint_embedding_prediction_reads_answers_by_representations() {
    let facts = [[2, 0, 3], [4, 0, 5], [6, 0, 7], [8, 0, 9]];
    for loss_on in [LossOn::LastEntity, LossOn::Sequence] {
        let objective = Objective {
            joint_embedding: true,
            terms: vec![Term::JointEmbedding],
            ..Objective::next_token(3, 1, loss_on)
        };
        let rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });
        let mut trainer = trainer::<f64>(Mixer::Attention, objective, rule, 1);
        for _ in 0..200 {
            trainer.step(facts.iter().map(|fact| Example::from(fact.as_slice())));
        }
        let sentences: Vec<Vec<u32>> = facts.iter().map(|fact| fact.to_vec()).collect();
        assert!(trainer.evaluate(&sentences).iter().all(|score| score.top1), "{loss_on:?}");

        let head = |trainer: &Trainer<f64>| {
            trainer.parameters().iter().position(|(p, _)| p.name == "lm_head.weight").unwrap()
        };
        let at = head(&trainer);
        let examples = facts.each_ref().map(|fact| Example::from(fact.as_slice()));
        let gradients = trainer.gradients(examples.into_iter());
        let of_head = gradients.iter().nth(at).unwrap().1;
        assert!(of_head.iter().all(|gradient| *gradient == 0.0), "the head is not trained");

        // Whoever writes parameters finds the head made anew.
        trainer.parameters_mut().values_mut(at).fill(0.0);
        let prompts: Vec<Vec<u32>> = facts.iter().map(|fact| fact[..2].to_vec()).collect();
        let logits = trainer.next_token_logits(&prompts);
        let tokens: Vec<Vec<u32>> = (0..VOCAB as u32).map(|token| vec![token]).collect();
        let [predicted, alone] =
            [&prompts, &tokens].map(|contexts| trainer.representations(contexts));
        for (row, predicted) in logits.iter().zip(&predicted) {
            for (logit, alone) in row.iter().zip(&alone) {
                let product: f64 = predicted.iter().zip(alone).map(|(a, b)| a * b).sum();
                assert!((f64::from(*logit) - product).abs() < 1e-5, "{logit}, not {product}");
            }
        }
    }
}

/// The same step draws the same masks, whatever was done before; another step draws others.
#[test]
fn masks_depend_on_the_step_alone() {
    for (mixer, reading) in [
        (Mixer::Bidirectional, Reading::Masked { mask: MASK, masking: Masking::Tokens }),
        (Mixer::Attention, Reading::Permuted),
    ] {
        let objective = Objective { reading, ..Objective::next_token(3, 1, LossOn::LastEntity) };
        let mut trainer = trainer::<f64>(mixer, objective, SGD, 1);
        let sentences: Vec<Vec<u32>> = (2..10).map(|x| vec![x, 0, 11 - x]).collect();
        let examples: Vec<Example<'_>> =
            sentences.iter().map(|tokens| Example::from(tokens.as_slice())).collect();
        let first = gradient(&mut trainer, &examples);
        trainer.evaluate(&sentences);
        assert_eq!(gradient(&mut trainer, &examples), first);
        trainer.optimizer_mut().set_steps(1);
        assert_ne!(gradient(&mut trainer, &examples), first);
    }
}

/// Every term at once, on any number of threads: the same bits.
#[test]
fn terms_give_the_same_bits_on_any_number_of_threads() {
    let rules = [
        Rule::Muon(Muon { momentum: 0.95, betas: [0.9, 0.999], epsilon: 1e-8 }),
        Rule::Lion(Lion { betas: [0.9, 0.99] }),
        Rule::Sgd(Sgd { momentum: 0.9 }),
    ];
    for rule in rules {
        let after = |threads: usize| -> Vec<u32> {
            let mut trainer = trainer::<f32>(Mixer::Attention, with_all_terms(), rule, threads);
            let sentences: Vec<Vec<u32>> = (2..11).map(|x| vec![x, x % 2, 12 - x]).collect();
            for _ in 0..5 {
                trainer.step(sentences.iter().map(|tokens| Example::from(tokens.as_slice())));
            }
            let values = trainer.parameters().iter().flat_map(|(_, values)| values.to_vec());
            values.map(f32::to_bits).collect()
        };
        let one = after(1);
        assert!([2, 3, 8].into_iter().all(|threads| after(threads) == one), "{rule:?}");
    }
}

fn with_all_terms() -> Objective {
    let pairs = Pairs { left: vec![2, 4, 6], right: vec![3, 5, 7], relations: Some([0, 1]) };
    Objective {
        terms: vec![
            Term::Ahead { distance: 2, strength: 0.5 },
            Term::Contrastive { strength: 0.5, temperature: 0.2 },
            Term::JointEmbedding,
            Term::Symmetry { strength: 0.1, pairs },
            Term::Penalty { strength: 0.01, on: PenaltyOn::Squares },
            Term::Penalty { strength: 0.01, on: PenaltyOn::HeadFromEmbeddings },
            Term::Penalty { strength: 0.01, on: PenaltyOn::Asymmetry },
            Term::Penalty { strength: 0.01, on: PenaltyOn::NuclearNorm },
            Term::Penalty { strength: 0.01, on: PenaltyOn::SpectralNorm },
        ],
        ..Objective::next_token(3, 1, LossOn::LastEntity)
    }
}

/// The mean over pairs of the squared difference that a symmetry is about.
fn asymmetry(trainer: &mut Trainer<f64>, pairs: &Pairs) -> f64 {
    let context = |entity: u32, side: usize| -> Vec<u32> {
        [Some(entity), pairs.relations.map(|r| r[side])].into_iter().flatten().collect()
    };
    let left: Vec<Vec<u32>> = pairs.left.iter().map(|&x| context(x, 0)).collect();
    let right: Vec<Vec<u32>> = pairs.right.iter().map(|&y| context(y, 1)).collect();
    let (a, b) = (trainer.next_token_logits(&left), trainer.next_token_logits(&right));
    let mut sum = 0.0;
    for (i, x) in pairs.left.iter().enumerate() {
        for (j, y) in pairs.right.iter().enumerate() {
            sum += f64::from(a[i][*y as usize] - b[j][*x as usize]).powi(2);
        }
    }
    sum / (pairs.left.len() * pairs.right.len()) as f64
}

/// The penalty is on the logits that the model is asked for, of all pairs, not of partners alone.
#[test]
fn a_symmetry_makes_logits_equal_both_ways() {
    let facts = [[2, 0, 3], [4, 0, 5], [6, 0, 7]];
    for relations in [Some([0, 1]), None] {
        let pairs = Pairs { left: vec![2, 4, 6], right: vec![3, 5, 7], relations };
        let [without, with] = [0.0, 1.0].map(|strength| {
            let terms = match strength > 0.0 {
                true => vec![Term::Symmetry { strength, pairs: pairs.clone() }],
                false => Vec::new(),
            };
            let objective = Objective { terms, ..Objective::next_token(3, 1, LossOn::LastEntity) };
            let rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });
            let mut trainer = trainer::<f64>(Mixer::Attention, objective, rule, 1);
            for _ in 0..200 {
                trainer.step(facts.iter().map(|fact| Example::from(fact.as_slice())));
            }
            asymmetry(&mut trainer, &pairs)
        });
        assert!(with < 0.05 * without, "{relations:?}: {with} and {without}");
    }
}

/// A rate that declines to nothing leaves the parameters where they are.
#[test]
fn a_schedule_scales_the_rate_of_a_step() {
    let sentences = [vec![2, 0, 3], vec![4, 1, 5]];
    let moved = |schedule: LrSchedule, step: u64| -> f64 {
        let objective = Objective::next_token(3, 1, LossOn::LastEntity);
        let mut trainer = scheduled::<f64>(Mixer::Attention, objective, SGD, 1, schedule);
        let values = |trainer: &Trainer<f64>| -> Vec<f64> {
            trainer.parameters().iter().flat_map(|(_, values)| values.to_vec()).collect()
        };
        trainer.optimizer_mut().set_steps(step);
        let before = values(&trainer);
        trainer.step(sentences.iter().map(|tokens| Example::from(tokens.as_slice())));
        assert_eq!(trainer.optimizer().rate, 0.01, "the rate itself stays");
        let after = values(&trainer);
        before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum()
    };
    let linear = LrSchedule { warmup: 1, steps: 5, decay: retrodict_models::LrDecay::Linear };
    let whole = moved(LrSchedule::default(), 0);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * b;
    assert!(close(moved(linear, 0), 0.5 * whole), "warming up");
    assert!(close(moved(linear, 3), 0.5 * whole), "half way down");
    assert_eq!(moved(linear, 5), 0.0);
}

/// A model that knows nothing guesses uniformly: however many tokens a sentence hides or counts,
/// its training NLL is that of an entity.
#[test]
fn the_training_nll_is_of_one_entity_however_many_tokens_are_hidden() {
    let facts = [[2, 0, 3, 5], [4, 0, 5, 7], [6, 0, 7, 9], [8, 0, 9, 3]];
    let readings = [
        (Mixer::Bidirectional, Reading::Masked { mask: MASK, masking: Masking::Tokens }),
        (Mixer::Bidirectional, Reading::Masked { mask: MASK, masking: Masking::Entities }),
        (Mixer::Attention, Reading::Permuted),
    ];
    for (mixer, reading) in readings {
        let objective = Objective { reading, ..Objective::next_token(4, 2, LossOn::Sequence) };
        let mut trainer = trainer::<f64>(mixer, objective, SGD, 1);
        let guess = 2.0 * (VOCAB as f64).ln();
        for score in trainer.step(facts.iter().map(|fact| Example::from(fact.as_slice()))) {
            assert!((score.nll / guess - 1.0).abs() < 0.1, "{reading:?}: {score:?}, not {guess}");
        }
    }
}
