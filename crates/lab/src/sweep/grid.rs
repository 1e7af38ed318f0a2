//! A grid: axes, zipped axes and rows, whose product or sample is a list of points.

use retrodict_settings::{Place, Problem, SpecError, Value};

use super::axis::{Axis, Values};
use super::sample::Sampling;
use crate::expression::Expression;

/// A key with its value at a point.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A part of a grid that varies by itself.
#[derive(Debug, Clone)]
pub(super) enum Factor {
    /// One of these at a time; several keys of one choice are zipped axes, or a row.
    Choices(Vec<Vec<Assigned>>),
    /// A key with any value between two bounds.
    Between(Axis),
}

/// A grid of points.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    /// Factors of the product, the last one fastest.
    pub(super) product: Vec<Factor>,
    /// Factors that are sampled together.
    pub(super) sampled: Vec<Factor>,
    /// How they are sampled; `None` where there is no such factor.
    pub(super) sampling: Option<Sampling>,
    /// The conditions of axes.
    pub(super) conditions: Vec<(String, Expression)>,
}

impl Factor {
    /// An axis of its own.
    pub(super) fn of_axis(axis: Axis) -> Factor {
        match &axis.values {
            Values::List(list) => Factor::Choices(
                list.iter()
                    .map(|value| {
                        let (key, place) = (axis.key.clone(), axis.place.clone());
                        vec![Assigned { key, value: value.clone(), place }]
                    })
                    .collect(),
            ),
            Values::Between { .. } => Factor::Between(axis),
        }
    }

    /// Axes that advance together.
    ///
    /// # Errors
    /// [`SpecError`] where their lengths differ, or one has no list.
    pub(super) fn zip(axes: &[Axis]) -> Result<Factor, SpecError> {
        let lists = axes.iter().map(Axis::list).collect::<Result<Vec<_>, _>>()?;
        if let Some(at) = lists.iter().position(|list| list.len() != lists[0].len()) {
            let (first, other) = (&axes[0], &axes[at]);
            let problem = format!(
                "`{}` has {} values and `{}`, with which it is zipped, has {}; zipped axes have \
                 as many",
                other.key,
                lists[at].len(),
                first.key,
                lists[0].len()
            );
            return Err(SpecError::new(other.place.at.clone(), Problem::Other(problem)));
        }
        let row = |at: usize| {
            axes.iter()
                .zip(&lists)
                .map(|(axis, list)| Assigned {
                    key: axis.key.clone(),
                    value: list[at].clone(),
                    place: axis.place.clone(),
                })
                .collect()
        };
        Ok(Factor::Choices((0..lists.first().map_or(0, |list| list.len())).map(row).collect()))
    }

    pub(super) fn keys(&self) -> Vec<&String> {
        match self {
            Factor::Choices(choices) => choices.iter().flatten().map(|a| &a.key).collect(),
            Factor::Between(axis) => vec![&axis.key],
        }
    }

    /// The number of choices; of values between two bounds there is no number.
    fn count(&self) -> usize {
        match self {
            Factor::Choices(choices) => choices.len(),
            Factor::Between(_) => 1,
        }
    }

    /// The choice at `unit`, from 0 to below 1.
    fn sample(&self, unit: f64) -> Vec<Assigned> {
        match self {
            Factor::Choices(choices) => {
                choices[((unit * choices.len() as f64) as usize).min(choices.len() - 1)].clone()
            }
            Factor::Between(axis) => {
                let (key, place) = (axis.key.clone(), axis.place.clone());
                vec![Assigned { key, value: axis.values.at(unit), place }]
            }
        }
    }
}

impl Grid {
    /// Every key, in the order of its factors.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.sampled.iter().chain(&self.product).flat_map(Factor::keys)
    }

    /// The number of its points.
    pub(super) fn count(&self) -> usize {
        let samples = self.sampling.map_or(1, |sampling| sampling.samples);
        self.product.iter().map(Factor::count).fold(samples, usize::saturating_mul)
    }

    /// The point with this number: the last factor of the product varies fastest, samples slowest.
    pub(super) fn point(&self, mut number: usize) -> Vec<Assigned> {
        let mut chosen = Vec::new();
        for factor in self.product.iter().rev() {
            if let Factor::Choices(choices) = factor {
                chosen.push(&choices[number % choices.len()]);
                number /= choices.len();
            }
        }
        let mut assigned = Vec::new();
        if let Some(sampling) = self.sampling {
            for (dimension, factor) in self.sampled.iter().enumerate() {
                assigned.extend(factor.sample(sampling.at(number, dimension)));
            }
        }
        assigned.extend(chosen.into_iter().rev().flatten().cloned());
        assigned
    }

    /// Takes a key out, since an override sets it.
    pub(super) fn fix(&mut self, key: &str) {
        for factors in [&mut self.product, &mut self.sampled] {
            for factor in factors.iter_mut() {
                if let Factor::Choices(choices) = factor {
                    choices.iter_mut().for_each(|choice| choice.retain(|a| a.key != key));
                }
            }
            factors.retain(|factor| factor.keys().iter().any(|other| *other != key));
        }
        if self.sampled.is_empty() {
            self.sampling = None;
        }
        self.conditions.retain(|(other, _)| other != key);
    }
}
