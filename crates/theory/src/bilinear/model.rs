//! The bilinear model (paper, section 3): the logit of y after x is u_xᵀ Θ u_y, with fixed random
//! embeddings u and one trainable matrix Θ.
//!
//! Training never needs Θ itself. The gradient is −UᵀRU, where R `[source, entity]` holds for each
//! trained source the error of its prediction, so that the logits Λ = U Θ Uᵀ move by
//!
//! dΛ/dt = G R G,  G = U Uᵀ.
//!
//! The dimension enters through G alone; and only rows of Λ that some
//! loss reads are kept: those of trained sources, then those of held-out ones. Derivations are in
//! `docs/theory/bilinear.md`.

use super::loss::{residual, row_loss};
use super::{BilinearConfig, BilinearError, Direction, Directions, Embeddings};
use crate::matrix::{Threads, for_each_row, product, product_into, times_transposed};

/// A bilinear model that is about to be trained.
#[derive(Clone, Debug)]
pub(super) struct Bilinear {
    /// m.
    pub(super) entities: usize,
    /// The source of each row of logits; those with a trained direction come first.
    pub(super) sources: Vec<usize>,
    /// The targets of each trained row, one for each trained direction.
    pub(super) targets: Vec<Vec<usize>>,
    pub(super) trained: Vec<Entry>,
    pub(super) held_out: Vec<Entry>,
    pub(super) gram: Gram,
    /// The logits before training, `[row, entity]`.
    pub(super) initial: Vec<f64>,
}

/// Where the logit of a direction stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// The inner products of the embeddings.
#[derive(Clone, Debug)]
pub(super) enum Gram {
    /// Of orthonormal ones: nothing to multiply by.
    Identity,
    /// Of any others.
    Dense {
        /// `[entity, entity]`.
        all: Vec<f64>,
        /// Of the rows' sources with the trained ones: `[row, trained row]`.
        sources: Vec<f64>,
    },
}

/// Mean negative log probabilities, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Losses {
    /// Over the trained directions: L.
    pub train: f64,
    /// Over the held-out ones: the reversal loss; `None` where none is held out.
    pub reversal: Option<f64>,
}

/// A moment of training at which the training loss has come down to a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    /// The training loss.
    pub level: f64,
    /// When.
    pub time: f64,
    /// The losses then.
    pub losses: Losses,
}

/// The output of a simulation that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// Times at which the logits are wanted: positive, ascending. The last is the end.
    pub times: &'a [f64],
    /// Training losses, descending, whose first crossing is wanted.
    pub levels: &'a [f64],
}

/// Receives a time and the logits then, `[row, entity]` as [`Bilinear::losses`] takes them.
pub(super) type Sink<'a> = dyn FnMut(f64, &[f64]) + 'a;

impl Bilinear {
    /// Draws a model.
    ///
    /// # Errors
    /// [`BilinearError::Setting`] where a direction names an entity that is not there.
    pub(super) fn new(
        config: &BilinearConfig,
        directions: &Directions,
    ) -> Result<Self, BilinearError> {
        let mut model = Self::untrained(config.entities, directions)?;
        let rank = config.rank();
        let drawn_weights = (config.init > 0.0).then(|| config.draw_weights());
        match config.embeddings {
            Embeddings::Gaussian => {
                let embeddings = config.draw_embeddings();
                model.set_gram(&embeddings, rank);
                if let Some(weights) = drawn_weights {
                    model.set_initial(&embeddings, &weights, rank);
                }
            }
            // In the basis of the embeddings, logits are entries of Θ.
            Embeddings::Orthonormal => {
                if let Some(weights) = drawn_weights {
                    let row = |&source: &usize| &weights[source * rank..][..rank];
                    model.initial = model.sources.iter().flat_map(row).copied().collect();
                }
            }
        }
        Ok(model)
    }

    /// A model with given embeddings `[entity, dim]` and initial weights Θ `[dim, dim]`.
    ///
    /// # Errors
    /// [`BilinearError::Setting`] where a direction names an entity that is not there.
    ///
    /// # Panics
    /// Unless the embeddings fill whole rows and the weights are square.
    #[cfg(test)]
    pub(super) fn with_embeddings(
        embeddings: &[f64],
        weights: &[f64],
        directions: &Directions,
    ) -> Result<Self, BilinearError> {
        let dim = weights.len().isqrt();
        assert!(dim > 0 && dim * dim == weights.len() && embeddings.len().is_multiple_of(dim));
        let mut model = Self::untrained(embeddings.len() / dim, directions)?;
        model.set_gram(embeddings, dim);
        model.set_initial(embeddings, weights, dim);
        Ok(model)
    }

    /// A model with orthonormal embeddings and Θ = 0.
    fn untrained(entities: usize, directions: &Directions) -> Result<Self, BilinearError> {
        directions.check(entities)?;
        let mut row_of = vec![None; entities];
        let mut sources = Vec::new();
        let mut targets = Vec::new();
        let mut enter = |direction: &Direction, trained: bool| {
            let row = *row_of[direction.source].get_or_insert_with(|| {
                sources.push(direction.source);
                sources.len() - 1
            });
            if trained {
                targets.resize(sources.len(), Vec::new());
                targets[row].push(direction.target);
            }
            Entry { row, column: direction.target }
        };
        let trained = directions.trained.iter().map(|d| enter(d, true)).collect();
        let held_out = directions.held_out.iter().map(|d| enter(d, false)).collect();
        let initial = vec![0.0; sources.len() * entities];
        Ok(Self { entities, sources, targets, trained, held_out, gram: Gram::Identity, initial })
    }

    fn set_gram(&mut self, embeddings: &[f64], dim: usize) {
        let threads = Threads::for_entities(self.entities);
        let all = times_transposed(embeddings, embeddings, dim, threads);
        let trained = &self.sources[..self.targets.len()];
        let pairs = self.sources.iter().flat_map(|a| trained.iter().map(move |b| (a, b)));
        let sources = pairs.map(|(a, b)| all[a * self.entities + b]).collect();
        self.gram = Gram::Dense { all, sources };
    }

    /// The logits U Θ Uᵀ of the sources, from embeddings `[entity, dim]` and Θ `[dim, dim]`.
    fn set_initial(&mut self, embeddings: &[f64], weights: &[f64], dim: usize) {
        let threads = Threads::for_entities(self.entities);
        let row = |&source: &usize| &embeddings[source * dim..][..dim];
        let sources: Vec<f64> = self.sources.iter().flat_map(row).copied().collect();
        let half = product(&sources, weights, dim, dim, threads);
        self.initial = times_transposed(&half, embeddings, dim, threads);
    }

    /// |D|, the number of trained directions.
    pub(super) fn trained_directions(&self) -> usize {
        self.trained.len()
    }

    /// Both losses at some logits `[row, entity]`, accurate to the last digits however small.
    pub(super) fn losses(&self, logits: &[f64]) -> Losses {
        let mean = |entries: &[Entry]| {
            let loss = |entry: &Entry| row_loss(self.row(logits, entry.row), entry.column);
            entries.iter().map(loss).sum::<f64>() / entries.len() as f64
        };
        let reversal = (!self.held_out.is_empty()).then(|| mean(&self.held_out));
        Losses { train: mean(&self.trained), reversal }
    }

    /// The logits of each direction's target and of the others' targets, a row for each direction:
    /// the effective weights of these directions. `None` if one has a source whose logits are not
    /// kept.
    pub(super) fn effective_weights(&self, logits: &[f64], of: &[Direction]) -> Option<Vec<f64>> {
        let mut weights = Vec::with_capacity(of.len() * of.len());
        for direction in of {
            let row = self.sources.iter().position(|&source| source == direction.source)?;
            let row = self.row(logits, row);
            weights.extend(of.iter().map(|direction| row[direction.target]));
        }
        Some(weights)
    }

    /// dΛ/dt under gradient flow, `[row, entity]`, and the training loss.
    pub(super) fn velocity(&self, logits: &[f64], threads: Threads, out: &mut [f64]) -> f64 {
        let trained = self.targets.len() * self.entities;
        match &self.gram {
            Gram::Identity => {
                let (moving, still) = out.split_at_mut(trained);
                still.fill(0.0);
                self.residuals(logits, threads, moving)
            }
            Gram::Dense { all, sources } => {
                let mut residuals = vec![0.0; trained];
                let loss = self.residuals(logits, threads, &mut residuals);
                let moved = product(&residuals, all, self.entities, self.entities, threads);
                product_into(sources, &moved, self.targets.len(), self.entities, threads, out);
                loss
            }
        }
    }

    /// R: the residuals of the trained rows, `[trained row, entity]`, and the training loss.
    fn residuals(&self, logits: &[f64], threads: Threads, out: &mut [f64]) -> f64 {
        let mut losses = vec![0.0; self.targets.len()];
        let one = |row: usize, out: &mut [f64], loss: &mut f64| {
            *loss = residual(self.row(logits, row), &self.targets[row], self.trained.len(), out);
        };
        for_each_row(out, &mut losses, self.entities, threads, one);
        losses.iter().sum::<f64>() / self.trained.len() as f64
    }

    pub(super) fn row<'a>(&self, logits: &'a [f64], row: usize) -> &'a [f64] {
        &logits[row * self.entities..][..self.entities]
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
