use super::*;
use crate::graph::Graph;
use crate::parameter::{Initial, Parameter};
use crate::random::{Purpose, Stream};
use crate::team::Team;

const RATE: f64 = 0.05;
const DECAY: f64 = 0.1;
const MUON: Rule = Rule::Muon(Muon { momentum: 0.95, betas: [0.9, 0.99], epsilon: 1e-8 });
const LION: Rule = Rule::Lion(Lion { betas: [0.9, 0.99] });

/// A model's parameters, and for each the moments that an optimiser kept: none for a frozen one.
struct State {
    names: Vec<String>,
    parameters: Vec<Vec<f64>>,
    moments: Vec<Vec<Vec<f64>>>,
}

fn model<T: Scalar>() -> Graph<T> {
    let mut graph = Graph::new();
    let normal = Initial::Normal { std: 1.0 };
    let all = [
        Parameter::matrix("table", [5, 3], normal),
        Parameter::matrix("wide", [4, 37], normal).hidden(1),
        Parameter::vector("bias", 7, normal).hidden(1),
        Parameter::matrix("tall", [19, 4], normal).hidden(1),
        Parameter::matrix("kept", [3, 3], normal).hidden(1).frozen(true),
        Parameter::matrix("square", [5, 5], normal).hidden(1),
        Parameter::matrix("head", [150, 40], normal),
        Parameter::matrix("joined", [6, 24], normal).hidden(3),
    ];
    for parameter in all {
        graph.parameter(parameter);
    }
    graph
}

/// The gradient of number k of parameter i at a step.
fn draw(step: u64, i: usize, k: usize) -> f64 {
    Stream::new(step, Purpose::Order, i as u32).normals(k as u64)[0]
}

/// Takes some steps of a rule with the gradients that `gradient` says.
fn run<T: Scalar>(
    rule: Rule,
    workers: usize,
    steps: u64,
    gradient: impl Fn(u64, usize, usize) -> f64,
) -> State {
    run_with::<T>((rule, 0.0, true), workers, steps, gradient)
}

/// As [`run`], with a largest norm of the gradient, and weight decay on vectors or not.
fn run_with<T: Scalar>(
    (rule, clip, decays_vectors): (Rule, f64, bool),
    workers: usize,
    steps: u64,
    gradient: impl Fn(u64, usize, usize) -> f64,
) -> State {
    let graph = model::<T>();
    let mut parameters = Parameters::initial(&graph, 1);
    let mut gradients = Gradients::zeros(&parameters);
    let optimizer = Optimizer::new(rule, RATE, DECAY, &parameters).clipped(clip);
    let mut optimizer = optimizer.decaying_vectors(decays_vectors);
    assert_eq!(optimizer.moments().len(), rule.moments());
    let mut team = Team::new(workers);
    // However busy the machine is, none is given up.
    team.set_patience(std::time::Duration::from_secs(60));
    let trainable = parameters.layout.trainable;
    for step in 0..steps {
        for (i, parameter) in graph.parameters().iter().enumerate() {
            if parameter.trainable {
                for (k, g) in gradients.values_mut(i).iter_mut().enumerate() {
                    *g = T::from_f64(gradient(step, i, k));
                }
            }
        }
        let values = parameters.values.as_mut_slice().as_mut_ptr();
        let gradients = gradients.values.as_mut_slice().as_mut_ptr();
        let update = optimizer.begin(values, gradients, workers);
        // SAFETY: the buffers are those of the layout, and this is the only use of them.
        team.run(|worker| unsafe { update.run(Isa::detect(), worker, trainable) });
    }
    let numbers = |values: &[T]| values.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
    let mut moments: Vec<Vec<Vec<f64>>> = vec![Vec::new(); graph.parameters().len()];
    for moment in optimizer.moments() {
        for (parameter, values) in moment.iter() {
            let i = graph.parameters().iter().position(|p| p.name == parameter.name).unwrap();
            moments[i].push(numbers(values));
        }
    }
    State {
        names: parameters.iter().map(|(p, _)| p.name.clone()).collect(),
        parameters: parameters.iter().map(|(_, values)| numbers(values)).collect(),
        moments,
    }
}

fn initial() -> Vec<Vec<f64>> {
    run::<f64>(MUON, 1, 0, draw).parameters
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    let rules = [MUON, LION, Rule::Sgd(Sgd { momentum: 0.9 }), Rule::Sgd(Sgd { momentum: 0.0 })];
    for (rule, clip) in rules.into_iter().flat_map(|rule| [(rule, 0.0), (rule, 2.0)]) {
        let options = (rule, clip, clip == 0.0);
        let [one, two, three] = [1, 2, 3].map(|workers| run_with::<f32>(options, workers, 4, draw));
        assert!(one.parameters == two.parameters && one.moments == two.moments, "{options:?}");
        assert!(one.parameters == three.parameters && one.moments == three.moments, "{options:?}");
        assert_eq!(one.parameters[4], run::<f32>(rule, 1, 0, draw).parameters[4], "it is frozen");
    }
}

/// A gradient longer than the limit is scaled to it, a shorter one is left as it is; its norm is
/// that of all trainable parameters together.
#[test]
fn the_whole_gradient_is_clipped() {
    let sgd = Rule::Sgd(Sgd { momentum: 0.0 });
    let trained: Vec<usize> = (0..initial().len()).filter(|i| *i != 4).collect();
    let squares = trained.iter().flat_map(|&i| (0..initial()[i].len()).map(move |k| draw(0, i, k)));
    let norm = squares.map(|g| g * g).sum::<f64>().sqrt();
    for (limit, factor) in [(2.0, 2.0 / (norm + 1e-6)), (2.0 * norm, 1.0)] {
        let state = run_with::<f64>((sgd, limit, true), 2, 1, draw);
        for &i in &trained {
            for (k, (found, p)) in state.parameters[i].iter().zip(&initial()[i]).enumerate() {
                let expected = p - RATE * (factor * draw(0, i, k) + DECAY * p);
                assert!((found - expected).abs() < 1e-14, "{limit}: {}[{k}]", state.names[i]);
            }
        }
    }
}

/// PyTorch's recurrence: `b ← μ b + g + λ p`, `p ← p − rate · b`.
#[test]
fn momentum_adds_up() {
    let (momentum, steps) = (0.9, 7);
    let state = run::<f64>(Rule::Sgd(Sgd { momentum }), 1, steps, draw);
    for (k, (found, p)) in state.parameters[2].iter().zip(&initial()[2]).enumerate() {
        let (mut p, mut buffer) = (*p, 0.0);
        for step in 0..steps {
            buffer = momentum * buffer + draw(step, 2, k) + DECAY * p;
            p -= RATE * buffer;
        }
        assert!((found - p).abs() < 1e-13);
        assert!((state.moments[2][0][k] - buffer).abs() < 1e-13);
    }
}

#[test]
fn without_momentum_nothing_is_kept() {
    let state = run::<f64>(Rule::Sgd(Sgd { momentum: 0.0 }), 1, 1, draw);
    for (k, (found, p)) in state.parameters[1].iter().zip(&initial()[1]).enumerate() {
        assert_eq!(*found, p - RATE * (draw(0, 1, k) + DECAY * p));
    }
    assert!(state.moments.iter().all(Vec::is_empty));
}

/// Every number moves by the rate, or not at all where it never had a gradient; which way is
/// decided by `β₁ m + (1 − β₁) g`.
#[test]
fn lion_steps_by_sign() {
    let steps = 6;
    let gradient = |step: u64, i: usize, k: usize| if k == 2 { 0.0 } else { draw(step, i, k) };
    let state = run::<f64>(LION, 1, steps, gradient);
    let (mut turned, before) = (0, initial());
    for (k, (found, start)) in state.parameters[0].iter().zip(&before[0]).enumerate() {
        let (mut p, mut m) = (*start, 0.0);
        for step in 0..steps {
            let g = gradient(step, 0, k);
            let direction: f64 = 0.9 * m + 0.1 * g;
            turned += usize::from(direction * g < 0.0);
            let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
            p = p * (1.0 - RATE * DECAY) - RATE * sign;
            m = 0.99 * m + 0.01 * g;
        }
        assert!((found - p).abs() < 1e-14, "{k}: {found} instead of {p}");
        assert!((state.moments[0][0][k] - m).abs() < 1e-15);
        if k == 2 {
            assert!((p - start * (1.0 - RATE * DECAY).powi(steps as i32)).abs() < 1e-14);
        }
    }
    assert!(turned > 0, "the mean never decided against the gradient");
}

/// `a b` of two matrices in rows.
fn times(a: &[f64], b: &[f64], inner: usize) -> Vec<f64> {
    let (rows, columns) = (a.len() / inner, b.len() / inner);
    let mut out = vec![0.0; rows * columns];
    for (at, out) in out.iter_mut().enumerate() {
        let (row, column) = (at / columns, at % columns);
        *out = (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]).sum();
    }
    out
}

/// Muon as its authors write it, without transposing tall matrices; and what it does to singular
/// values: all within 0.3 of 1.
#[test]
fn muon_equals_the_definition() {
    let steps = 3;
    let state = run::<f64>(MUON, 2, steps, draw);
    // The last is three maps side by side.
    let maps = [(1, 37, 0), (3, 4, 0), (5, 5, 0), (7, 24, 0), (7, 24, 8), (7, 24, 16)];
    for (i, stride, first) in maps {
        let columns = if i == 7 { 8 } else { stride };
        let rows = initial()[i].len() / stride;
        let place = |at: usize| at / columns * stride + first + at % columns;
        let own =
            |all: &[f64]| -> Vec<f64> { (0..rows * columns).map(|at| all[place(at)]).collect() };
        let mut p = own(&initial()[i]);
        let mut buffer = vec![0.0; rows * columns];
        for step in 0..steps {
            let g: Vec<f64> = (0..rows * columns).map(|at| draw(step, i, place(at))).collect();
            buffer.iter_mut().zip(&g).for_each(|(b, g)| *b = 0.95 * *b + g);
            let mut x: Vec<f64> = buffer.iter().zip(&g).map(|(b, g)| g + 0.95 * b).collect();
            let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            x.iter_mut().for_each(|x| *x /= norm);
            for _ in 0..5 {
                let transposed: Vec<f64> =
                    (0..rows * columns).map(|at| x[at % rows * columns + at / rows]).collect();
                let gram = times(&x, &transposed, columns);
                let (once, twice) = (times(&gram, &x, rows), times(&gram, &gram, rows));
                let twice = times(&twice, &x, rows);
                for ((x, once), twice) in x.iter_mut().zip(once).zip(twice) {
                    *x = 3.4445 * *x - 4.775 * once + 2.0315 * twice;
                }
            }
            // ‖X‖² is the sum of the squares of the singular values.
            let mean = x.iter().map(|x| x * x).sum::<f64>() / rows.min(columns) as f64;
            assert!((0.49..1.69).contains(&mean), "{mean}");
            let scale = RATE * 0.2 * (rows.max(columns) as f64).sqrt();
            for (p, x) in p.iter_mut().zip(&x) {
                *p = *p * (1.0 - RATE * DECAY) - scale * x;
            }
        }
        let found = own(&state.parameters[i]);
        let far = found.iter().zip(&p).map(|(a, b)| (a - b).abs());
        let far = far.fold(0.0, f64::max);
        assert!(far < 1e-10, "{}: {far}", state.names[i]);
        let kept = own(&state.moments[i][0]);
        let far = kept.iter().zip(&buffer).map(|(a, b)| (a - b).abs());
        assert!(far.fold(0.0, f64::max) < 1e-14);
        assert!(state.moments[i][1].iter().all(|x| *x == 0.0), "there is no second moment");
    }
}

/// All but hidden matrices get AdamW's update, to the bit; a matrix without a gradient only decays.
#[test]
fn muon_leaves_the_rest_to_adamw() {
    let gradient = |step: u64, i: usize, k: usize| if i == 5 { 0.0 } else { draw(step, i, k) };
    let muon = run::<f32>(MUON, 2, 3, gradient);
    let adamw =
        run::<f32>(Rule::AdamW(AdamW { betas: [0.9, 0.99], epsilon: 1e-8 }), 1, 3, gradient);
    for i in [0, 2, 4, 6] {
        assert_eq!(muon.parameters[i], adamw.parameters[i], "{}", muon.names[i]);
        assert_eq!(muon.moments[i], adamw.moments[i]);
    }
    assert_ne!(muon.parameters[1], adamw.parameters[1]);
    let left = (1.0 - RATE * DECAY).powi(3);
    for (found, p) in muon.parameters[5].iter().zip(&initial()[5]) {
        assert!((found - p * left).abs() < 1e-6);
    }
}

/// As with two parameter groups: matrices decay, vectors (biases and gains) do not.
#[test]
fn vectors_may_be_spared_weight_decay() {
    for rule in [MUON, LION, Rule::Sgd(Sgd { momentum: 0.0 })] {
        let [all, spared] =
            [true, false].map(|decays| run_with::<f64>((rule, 0.0, decays), 2, 1, draw));
        for (i, start) in initial().iter().enumerate() {
            let vector = i == 2;
            for ((all, spared), p) in all.parameters[i].iter().zip(&spared.parameters[i]).zip(start)
            {
                let left = if vector { RATE * DECAY * p } else { 0.0 };
                assert!(
                    (spared - all - left).abs() < 1e-14,
                    "{rule:?}: {}",
                    model::<f64>().parameters()[i].name
                );
            }
        }
    }
}
