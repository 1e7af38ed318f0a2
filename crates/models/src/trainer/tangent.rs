//! The tangents of a decoder: gradients of ln p of the last entity of sentences, dropout off, and
//! their inner products, the empirical neural tangent kernel (Jacot et al., 2018). Definitions and
//! derivations are in `docs/theory/transfer.md`.

use retrodict_engine::{Gradients, Noise, Parameter, Parameters, Scalar, Team, matmul};

use super::device::Machine;
use super::{Compiled, Trainer};
use crate::objective::{LossOn, Objective};

/// The gradients ∇ ln p of some sentences, by part of the model. With a preconditioner P every row
/// is √P ∇ ln p, so that inner products of rows are ⟨∇, P ∇⟩.
pub struct Tangents {
    log_probabilities: Vec<f64>,
    parts: Vec<Part>,
}

/// The parameters of one part of the model, concatenated.
struct Part {
    name: String,
    /// Numbers in a row.
    size: usize,
    /// `[sentences, size]`.
    rows: Vec<f64>,
    /// √P, `[size]`; empty where P is the identity.
    root: Vec<f64>,
}

impl<T: Scalar> Trainer<T> {
    /// The tangents of sentences at the present parameters. `preconditioned`: with the optimiser's
    /// present divisor, frozen.
    pub fn tangents(&self, sentences: &[Vec<u32>], preconditioned: bool) -> Tangents {
        let network = self.network.without_dropout();
        let objective =
            Objective { loss_on: LossOn::LastEntity, pack: 1, ..self.objective.clone() };
        let mut team = Team::new(1);
        let mut compiled =
            Compiled::<T>::for_training(&network, &objective, 1, self.precision, Machine::Here(1));
        let mut gradients = Gradients::zeros(&self.parameters);
        let mut parts = parts(&self.parameters, sentences.len());
        if let Some(scale) = self.optimizer.preconditioner().filter(|_| preconditioned) {
            each_part(&mut parts, scale.iter(), |part, values| {
                part.root.extend(values.iter().map(|p| p.to_f64().sqrt()));
            });
        }
        // The loss is −ln p, divided by the tokens of the entity.
        let sign = -(objective.entity_length as f64);
        let mut scores = Vec::with_capacity(sentences.len());
        for sentence in sentences {
            compiled.ask(&objective, std::iter::once(sentence.as_slice()));
            let noise = Noise { seed: 0, step: 0 };
            compiled.program.gradients(&self.parameters, &mut gradients, noise, &mut team);
            compiled.score(&mut scores);
            each_part(&mut parts, gradients.iter(), |part, values| {
                let at = part.rows.len() % part.size;
                let root = part.root.get(at..).unwrap_or_default().iter().chain(ones());
                let row = values.iter().zip(root).map(|(g, root)| sign * g.to_f64() * root);
                part.rows.extend(row);
            });
        }
        Tangents { log_probabilities: scores.iter().map(|score| -score.nll).collect(), parts }
    }
}

impl Tangents {
    /// ln p of each sentence's last entity.
    pub fn log_probabilities(&self) -> &[f64] {
        &self.log_probabilities
    }

    /// The parts of the model, from the input to the output: `embeddings` (with the head, where it
    /// is tied), `block 0`, …, `final norm`, `head`.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// The inner products of all tangents with the first `columns` of them,
    /// `[part][sentence × columns + column]`. Their sum over parts is that of the whole model.
    ///
    /// # Panics
    /// If there are fewer than `columns`.
    pub fn inner_products(&self, columns: usize) -> Vec<Vec<f64>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let of = |part: &Part| {
            let first = &part.rows[..columns * part.size];
            let size = [part.rows.len() / part.size, part.size, columns];
            let mut products = vec![0.0; size[0] * columns];
            matmul(threads, size, &part.rows, first, [1, part.size], &mut products);
            products
        };
        self.parts.iter().map(of).collect()
    }

    /// ⟨∇ ln p, v⟩ for each sentence, v in the order of [`Gradients::iter`]: the first-order change
    /// of ln p when the parameters move along v. Frozen parameters in v are ignored.
    pub fn along<'v, T: Scalar>(
        &self,
        vector: impl Iterator<Item = (&'v Parameter, &'v [T])>,
    ) -> Vec<f64> {
        self.apply(vector, |value, root| value / root)
    }

    /// ⟨∇ ln p, P v⟩, as [`along`](Tangents::along).
    pub fn along_preconditioned<'v, T: Scalar>(
        &self,
        vector: impl Iterator<Item = (&'v Parameter, &'v [T])>,
    ) -> Vec<f64> {
        self.apply(vector, |value, root| value * root)
    }

    fn apply<'v, T: Scalar>(
        &self,
        vector: impl Iterator<Item = (&'v Parameter, &'v [T])>,
        weigh: impl Fn(f64, f64) -> f64,
    ) -> Vec<f64> {
        let mut flat: Vec<Vec<f64>> = vec![Vec::new(); self.parts.len()];
        for (parameter, values) in vector.filter(|(parameter, _)| parameter.trainable) {
            let name = part_of(&parameter.name);
            let parts = self.parts.iter().zip(&mut flat);
            for (_, flat) in parts.filter(|(part, _)| part.name == name) {
                flat.extend(values.iter().map(|value| value.to_f64()));
            }
        }
        let mut out = vec![0.0; self.log_probabilities.len()];
        for (part, mut flat) in self.parts.iter().zip(flat) {
            for (value, root) in flat.iter_mut().zip(part.root.iter().chain(ones())) {
                *value = weigh(*value, *root);
            }
            for (out, row) in out.iter_mut().zip(part.rows.chunks_exact(part.size)) {
                *out += row.iter().zip(&flat).map(|(a, b)| a * b).sum::<f64>();
            }
        }
        out
    }
}

fn ones<'a>() -> impl Iterator<Item = &'a f64> {
    std::iter::repeat(&1.0)
}

/// The parts with trainable parameters, empty.
fn parts<T: Scalar>(parameters: &Parameters<T>, sentences: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (parameter, _) in parameters.iter().filter(|(parameter, _)| parameter.trainable) {
        let (name, size) = (part_of(&parameter.name), parameter.rows * parameter.columns);
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.size += size,
            None => parts.push(Part { name, size, rows: Vec::new(), root: Vec::new() }),
        }
    }
    for part in &mut parts {
        part.rows.reserve_exact(sentences * part.size);
    }
    parts
}

/// Calls `work` with each parameter's numbers and the part that it belongs to.
fn each_part<'a, T: Scalar + 'a>(
    parts: &mut [Part],
    values: impl Iterator<Item = (&'a Parameter, &'a [T])>,
    mut work: impl FnMut(&mut Part, &[T]),
) {
    for (parameter, values) in values {
        let name = part_of(&parameter.name);
        if let Some(part) = parts.iter_mut().find(|part| part.name == name) {
            work(part, values);
        }
    }
}

/// The part of a model that a parameter belongs to, by the parameter's name.
fn part_of(name: &str) -> String {
    let mut steps = name.split('.').skip_while(|step| *step == "transformer");
    match (steps.next(), steps.next()) {
        (Some("h"), Some(block)) => format!("block {block}"),
        (Some("ln_f"), _) => "final norm".to_owned(),
        (Some("lm_head"), _) => "head".to_owned(),
        _ => "embeddings".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use retrodict_engine::{Adam, AdamW, Rule, Sgd};

    use super::*;
    use crate::decoder::{Decoder, DecoderSettings};
    use crate::lr_schedule::LrSchedule;
    use crate::trainer::TrainerOptions;

    const SGD: Rule = Rule::Sgd(Sgd { momentum: 0.0 });

    fn trainer(rule: Rule, change: impl FnOnce(&mut Decoder)) -> Trainer<f64> {
        let mut decoder = Decoder {
            vocab: 9,
            positions: 5,
            settings: DecoderSettings {
                layers: 2,
                heads: 2,
                dim: 8,
                dropout: 0.0,
                ..DecoderSettings::default()
            },
        };
        change(&mut decoder);
        let (rate, weight_decay) = (0.03, 0.0);
        let (init_seed, noise_seed, threads) = (5, 5, 1);
        let schedule = LrSchedule::default();
        let options = TrainerOptions {
            rule,
            rate,
            weight_decay,
            decay_norms: true,
            clip: 0.0,
            init_seed,
            noise_seed,
            threads,
            schedule,
        };
        let objective = Objective::next_token(5, 2, LossOn::LastEntity);
        Trainer::new(&decoder, objective, &options)
    }

    fn sentences() -> Vec<Vec<u32>> {
        vec![vec![2, 3, 0, 4, 5], vec![4, 5, 1, 2, 3], vec![6, 7, 0, 8, 2], vec![8, 2, 1, 6, 7]]
    }

    fn log_probabilities(trainer: &mut Trainer<f64>) -> Vec<f64> {
        trainer.evaluate(&sentences()).iter().map(|score| -score.nll).collect()
    }

    /// One step of this rule on one sentence, at a small rate, changes ln p of each sentence as the
    /// transfer predicts, with the divisor of that step, to first order.
    fn assert_first_order(rule: Rule, change: impl Fn(&mut Decoder)) {
        for teacher in 0..sentences().len() {
            let taught = &sentences()[teacher..=teacher];
            let misses = [1e-4, 1e-5].map(|rate| {
                let mut trainer = trainer(rule, &change);
                for _ in 0..10 {
                    trainer.step(sentences()[..2].iter().map(Vec::as_slice));
                }
                let old: Vec<Vec<f64>> =
                    trainer.parameters().iter().map(|(_, values)| values.to_vec()).collect();
                let before = log_probabilities(&mut trainer);
                // The loss is −ln p over the two tokens of the entity.
                trainer.optimizer_mut().rate = 2.0 * rate;
                trainer.step(taught.iter().map(Vec::as_slice));
                let after = log_probabilities(&mut trainer);
                for (at, values) in old.iter().enumerate() {
                    trainer.parameters_mut().values_mut(at).copy_from_slice(values);
                }
                let tangents = trainer.tangents(&sentences(), true);
                assert_eq!(tangents.log_probabilities(), before);
                let parts = tangents.inner_products(4);
                let gradient = trainer.gradients(taught.iter().map(Vec::as_slice));
                let along = tangents.along_preconditioned(gradient.iter());
                let transfer = |asked: usize| -> f64 {
                    parts.iter().map(|part| part[asked * 4 + teacher]).sum()
                };
                let largest = (0..4).map(|asked| transfer(asked).abs()).fold(0.0, f64::max);
                let miss = |asked: usize| {
                    let off = (transfer(asked) + 2.0 * along[asked]).abs();
                    assert!(off < 1e-10 * largest, "two ways to the same");
                    let measured = (after[asked] - before[asked]) / rate;
                    (measured - transfer(asked)).abs() / largest
                };
                (0..4).map(miss).fold(0.0, f64::max)
            });
            // First order: a tenth of the rate leaves a tenth of the error.
            assert!(misses[1] < 2e-2 && misses[1] < 0.15 * misses[0], "{teacher}: {misses:?}");
        }
    }

    #[test]
    fn the_transfer_foretells_a_step_of_gradient_descent() {
        assert_first_order(SGD, |_| ());
        assert_first_order(SGD, |decoder| decoder.settings.tie_head = true);
        assert_first_order(SGD, |decoder| decoder.settings.freeze_embeddings = true);
    }

    #[test]
    fn the_transfer_foretells_a_preconditioned_step() {
        let rule = Rule::AdamW(AdamW { betas: [0.0, 0.99], epsilon: 1e-2 });
        assert_first_order(rule, |_| ());
        assert_first_order(rule, |decoder| decoder.settings.tie_head = true);
    }

    #[test]
    fn parts_are_those_of_the_model() {
        let names = |change: fn(&mut Decoder)| -> Vec<String> {
            let tangents = trainer(SGD, change).tangents(&sentences()[..1], false);
            tangents.parts().map(str::to_owned).collect()
        };
        let whole = ["embeddings", "block 0", "block 1", "final norm", "head"];
        assert_eq!(names(|_| ()), whole);
        assert_eq!(names(|decoder| decoder.settings.tie_head = true), whole[..4]);
        assert_eq!(names(|decoder| decoder.settings.freeze_embeddings = true), whole[1..]);
    }

    #[test]
    fn dropout_is_off() {
        let of = |dropout| {
            let trainer = trainer(SGD, |decoder| decoder.settings.dropout = dropout);
            trainer.tangents(&sentences(), false).inner_products(4)
        };
        assert_eq!(of(0.5), of(0.0));
    }

    #[test]
    fn along_and_along_preconditioned_differ_by_what_is_divided_by() {
        let mut trainer = trainer(Rule::Adam(Adam { betas: [0.5, 0.9], epsilon: 1e-3 }), |_| ());
        trainer.step(sentences().iter().map(Vec::as_slice));
        let [plain, scaled] = [false, true].map(|p| trainer.tangents(&sentences(), p));
        let moment = trainer.optimizer().moments()[0].iter();
        let close = |a: Vec<f64>, b: Vec<f64>| {
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs()), "{a:?} {b:?}");
        };
        close(scaled.along(moment), plain.along(trainer.optimizer().moments()[0].iter()));
        let mut moved = trainer.optimizer().preconditioner().unwrap();
        let count = moved.iter().count();
        for (at, (_, m)) in trainer.optimizer().moments()[0].iter().enumerate() {
            moved.values_mut(at).iter_mut().zip(m).for_each(|(p, m)| *p *= m);
        }
        assert!(count > 20, "nothing is frozen, so numbers are those of the graph");
        let moment = trainer.optimizer().moments()[0].iter();
        close(scaled.along_preconditioned(moment), plain.along(moved.iter()));
    }
}
