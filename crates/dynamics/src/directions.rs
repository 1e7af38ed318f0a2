//! Whether the two directions of a fact share a representation: by similarity, and by a linear
//! probe (as in arXiv 2604.04943, which finds two entries where a remedy works).
//!
//! The representations are those behind the two questions of a fact, x → and y ←. All are taken
//! less their mean over the questions of the same relation.

use retrodict_facts::{Dataset, Query, Role, Token};
use serde::{Deserialize, Serialize};

use crate::controls::pairs;
use crate::mean;

/// The ridge of the probe, as a fraction of the mean square of a coordinate.
const RIDGE: f64 = 0.01;

/// The two directions of held-out facts; `None` where there are too few, or not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Directions {
    /// Mean cosine of the two representations of a fact, less that of two facts: 1 is one
    /// representation for both directions, 0 no more in common than two facts have.
    pub direction_similarity: Option<f64>,
    /// Facts whose unseen direction is the nearest, by cosine, to what a linear map makes of the
    /// seen one. The map is fitted on the pairs trained in both directions.
    pub direction_probe_top1: Option<f64>,
    /// Accuracy of a guess: the mean of 1/n.
    pub direction_probe_chance: Option<f64>,
}

/// Measures a model. `represent` returns the representations of contexts of one length.
pub fn directions(
    dataset: &Dataset,
    mut represent: impl FnMut(&[Vec<Token>]) -> Vec<Vec<f64>>,
) -> Directions {
    let queries = |role| dataset.group_of(role).map_or(&[][..], |group| &group.queries);
    let both = || queries(Role::Forward).iter().zip(queries(Role::Backward));
    let trained: Vec<_> = both().chain(both().map(|(x_to_y, y_to_x)| (y_to_x, x_to_y))).collect();
    let held_out: Vec<_> = pairs(dataset).collect();
    let mut relations: Vec<Token> = held_out.iter().map(|(seen, _)| seen.relation).collect();
    relations.sort_unstable();
    relations.dedup();

    let (mut similarities, mut found, mut chances) = (Vec::new(), Vec::new(), Vec::new());
    for relation in relations {
        let of = |facts: &[(&Query, &Query)]| -> Vec<(Vec<Token>, Vec<Token>)> {
            let of = facts.iter().filter(|(first, _)| first.relation == relation);
            of.map(|(a, b)| (a.question().context, b.question().context)).collect()
        };
        let mut sides = |facts: Vec<(Vec<Token>, Vec<Token>)>| {
            let (from, to): (Vec<_>, Vec<_>) = facts.into_iter().unzip();
            match from.len() {
                0 | 1 => [Vec::new(), Vec::new()],
                _ => [from, to].map(|contexts| centred(represent(&contexts))),
            }
        };
        let [seen, unseen] = sides(of(&held_out));
        let n = seen.len();
        for (i, a) in seen.iter().enumerate() {
            let other = mean((0..n).filter(|j| *j != i).map(|j| cosine(a, &unseen[j])));
            similarities.extend(other.map(|other| cosine(a, &unseen[i]) - other));
        }
        let [from, to] = sides(of(&trained));
        if let Some(map) = ridge(&from, &to) {
            for (i, a) in seen.iter().enumerate() {
                let read = apply(&map, a);
                let own = cosine(&read, &unseen[i]);
                let before = (0..n).filter(|j| *j != i && cosine(&read, &unseen[*j]) >= own);
                found.push(f64::from(before.count() == 0));
                chances.push(1.0 / n as f64);
            }
        }
    }
    Directions {
        direction_similarity: mean(similarities.into_iter()),
        direction_probe_top1: mean(found.into_iter()),
        direction_probe_chance: mean(chances.into_iter()),
    }
}

/// Vectors less their mean.
fn centred(mut vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = vectors.len() as f64;
    let size = vectors.first().map_or(0, Vec::len);
    for coordinate in 0..size {
        let mean = vectors.iter().map(|vector| vector[coordinate]).sum::<f64>() / n;
        vectors.iter_mut().for_each(|vector| vector[coordinate] -= mean);
    }
    vectors
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// 0 with a zero vector.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

/// The linear map of ridge regression from each vector to its partner, `[input][output]`; `None` of
/// nothing or of zeros. It solves (XᵀX + λ) M = XᵀY by Cholesky's factorisation.
fn ridge(from: &[Vec<f64>], to: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let size = from.first()?.len();
    let column = |of: &[Vec<f64>], at: usize| of.iter().map(|v| v[at]).collect::<Vec<f64>>();
    let inputs: Vec<_> = (0..size).map(|i| column(from, i)).collect();
    let outputs: Vec<_> = (0..to.first()?.len()).map(|j| column(to, j)).collect();
    let squares = inputs.iter().map(|input| dot(input, input)).sum::<f64>() / size as f64;
    if !(squares > 0.0 && squares.is_finite()) {
        return None;
    }
    let mut lower = vec![vec![0.0; size]; size];
    for i in 0..size {
        for j in 0..=i {
            let ridge = if i == j { RIDGE * squares } else { 0.0 };
            let rest = dot(&inputs[i], &inputs[j]) + ridge - dot(&lower[i][..j], &lower[j][..j]);
            lower[i][j] = if i == j { rest.sqrt() } else { rest / lower[j][j] };
        }
    }
    let mut map = vec![vec![0.0; outputs.len()]; size];
    for (k, output) in outputs.iter().enumerate() {
        let mut solved = vec![0.0; size];
        for i in 0..size {
            let known = dot(&lower[i][..i], &solved[..i]);
            solved[i] = (dot(&inputs[i], output) - known) / lower[i][i];
        }
        for i in (0..size).rev() {
            let known: f64 = (i + 1..size).map(|j| lower[j][i] * solved[j]).sum();
            solved[i] = (solved[i] - known) / lower[i][i];
        }
        map.iter_mut().zip(solved).for_each(|(row, value)| row[k] = value);
    }
    Some(map)
}

fn apply(map: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    let outputs = map.first().map_or(0, Vec::len);
    (0..outputs).map(|k| vector.iter().zip(map).map(|(x, row)| x * row[k]).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_facts::{DataKind as _, ReversalConfig};

    /// A number between −1 and 1 that looks random.
    fn number(a: usize, b: usize) -> f64 {
        let bits = (a * 7919 + b * 104_729 + 13).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = bits ^ (bits >> 32);
        (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Representations of 8 dimensions that know each question's fact by `code(fact, backward)`.
    fn measured(code: impl Fn(usize, bool) -> Vec<f64>) -> Directions {
        let dataset = ReversalConfig { vocab_size: 200, entity_length: 1, train_fraction: 0.7 };
        let dataset = dataset.generate(2).unwrap();
        let (forward, seen) = (dataset.group_of(Role::Forward), dataset.group_of(Role::Seen));
        let facts: Vec<_> = [forward, seen].iter().flat_map(|g| &g.unwrap().queries).collect();
        directions(&dataset, |contexts| {
            let of = |context: &Vec<Token>| {
                let asks = |q: &&Query| q.source[0] == context[0] || q.answer[0] == context[0];
                code(facts.iter().position(asks).unwrap(), context[1] == 1)
            };
            contexts.iter().map(of).collect()
        })
    }

    fn vector(fact: usize, side: usize) -> Vec<f64> {
        (0..8).map(|k| number(fact * 2 + side, k)).collect()
    }

    #[test]
    fn one_entry_two_linearly_related_entries_and_two_of_their_own() {
        let one = measured(|fact, _| vector(fact, 0));
        assert!(one.direction_similarity.unwrap() > 0.95, "{one:?}");
        assert_eq!(one.direction_probe_top1, Some(1.0));

        // Backward, coordinates change places: nothing alike, but linear.
        let linear = measured(|fact, backward| {
            let mut code = vector(fact, 0);
            if backward {
                code.rotate_left(3);
            }
            code
        });
        assert!(linear.direction_similarity.unwrap().abs() < 0.3, "{linear:?}");
        let chance = linear.direction_probe_chance.unwrap();
        assert!(linear.direction_probe_top1.unwrap() > 5.0 * chance, "{linear:?}");

        let two = measured(|fact, backward| vector(fact, usize::from(backward)));
        assert!(two.direction_similarity.unwrap().abs() < 0.3, "{two:?}");
        assert!(two.direction_probe_top1.unwrap() < 0.3, "{two:?}");
        assert!(two.direction_probe_chance.unwrap() < 0.2, "{two:?}");
    }

    #[test]
    fn nothing_trained_both_ways_has_no_probe_and_nothing_held_out_no_value() {
        let config = |train_fraction| ReversalConfig { train_fraction, ..Default::default() };
        let represent = |contexts: &[Vec<Token>]| vec![vec![0.0, 0.0]; contexts.len()];
        let none = directions(&config(0.0).generate(1).unwrap(), represent);
        assert_eq!((none.direction_similarity, none.direction_probe_top1), (Some(0.0), None));
        let all = directions(&config(1.0).generate(1).unwrap(), represent);
        assert_eq!(all, Directions::default());
    }
}
