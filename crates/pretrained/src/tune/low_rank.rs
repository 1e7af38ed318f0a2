//! Adapters of a model's linear maps, and their sum with its weights.

use std::collections::HashMap;

use retrodict_engine::{Adapter, Orientation, Parameters, Scalar};

use super::losses::describe;
use crate::Architecture;

/// Low-rank adapters of all linear maps between hidden features (LoRA; Hu et al., 2022): queries,
/// keys, values, the output map of attention, and the MLP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    /// The rank of each.
    pub rank: usize,
    /// `alpha / rank` is the factor of an adapter's output.
    pub alpha: f64,
}

impl Lora {
    /// The factor of an adapter's output.
    pub(super) fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// The parameters of a model with adapters: new adapters, which change nothing yet, and a copy of the
/// weights.
pub(super) fn adapted<T: Scalar>(
    architecture: &Architecture,
    lora: Lora,
    weights: &Parameters<T>,
    seed: u64,
) -> Parameters<T> {
    let (graph, _) = describe::<T>(architecture, Some(lora), [1, 1]);
    let mut all = Parameters::initial(&graph, seed);
    let named: HashMap<&str, &[T]> = weights.iter().map(|(p, x)| (p.name.as_str(), x)).collect();
    for (at, parameter) in graph.parameters().iter().enumerate() {
        if let Some(values) = named.get(parameter.name.as_str()) {
            all.values_mut(at).copy_from_slice(values);
        }
    }
    all
}

/// Adds the adapters of `all` to the weights.
pub(super) fn merge<T: Scalar>(
    architecture: &Architecture,
    lora: Lora,
    all: &Parameters<T>,
    weights: &mut Parameters<T>,
) {
    let (graph, _) = describe::<T>(architecture, Some(lora), [1, 1]);
    let scale = T::from_f64(lora.scale());
    let all: Vec<&[T]> = all.iter().map(|(_, values)| values).collect();
    let places = weights.iter().enumerate().map(|(at, (p, _))| (p.name.clone(), (at, p.columns)));
    let places: HashMap<String, (usize, usize)> = places.collect();
    for Adapter { weight, columns, orientation, down, up } in graph.adapters() {
        let (place, width) = places[&graph.parameters()[*weight].name];
        // The rows of the weight are outputs, with B's numbers and A's rows; or they are inputs, with
        // A's numbers and B's columns.
        let inputs = all[*down].len() / lora.rank;
        let (down, up) = (transposed(all[*down], inputs), all[*up]);
        let [of_rows, of_columns] = match orientation {
            Orientation::OutputsFirst => [up, &down],
            Orientation::InputsFirst => [&down, up],
        };
        let rows = weights.values_mut(place).chunks_exact_mut(width);
        for (row, left) in rows.zip(of_rows.chunks_exact(lora.rank)) {
            let pairs = row[columns.clone()].iter_mut().zip(of_columns.chunks_exact(lora.rank));
            for (weight, right) in pairs {
                let sum: T = left.iter().zip(right).map(|(left, right)| *left * *right).sum();
                *weight += scale * sum;
            }
        }
    }
}

/// A matrix with rows of `columns` numbers, transposed.
fn transposed<T: Scalar>(matrix: &[T], columns: usize) -> Vec<T> {
    (0..columns).flat_map(|at| matrix[at..].iter().step_by(columns).copied()).collect()
}
