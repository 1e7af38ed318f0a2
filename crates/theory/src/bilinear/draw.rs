//! Drawing embeddings and initial weights.

use retrodict_engine::{Purpose, Stream};

use super::BilinearConfig;
use crate::matrix::{Threads, product, times_transposed};

/// Rows of initial weights that are in memory at once.
const WEIGHT_ROWS: usize = 64;

impl BilinearConfig {
    /// `[entity, dim]`.
    pub(super) fn draw_embeddings(&self) -> Vec<f64> {
        let mut embeddings = vec![0.0; self.entities * self.dim];
        let scale = (self.dim as f64).sqrt().recip();
        fill_normal(self.stream(0), 0, scale, &mut embeddings);
        embeddings
    }

    /// The rows of `sources` of U Θ Uᵀ for a drawn Θ, of which a few rows are held at a time.
    pub(super) fn draw_initial_logits(&self, embeddings: &[f64], sources: &[usize]) -> Vec<f64> {
        let threads = Threads::for_entities(self.entities);
        let mut logits = vec![0.0; sources.len() * self.entities];
        for first in (0..self.dim).step_by(WEIGHT_ROWS) {
            let rows = WEIGHT_ROWS.min(self.dim - first);
            let weights = self.draw_weights(first, rows);
            // Θ Uᵀ `[rows, entity]`, then the columns of U that belong to these rows.
            let right = times_transposed(&weights, embeddings, self.dim, threads);
            let columns = |&source: &usize| &embeddings[source * self.dim + first..][..rows];
            let left: Vec<f64> = sources.iter().flat_map(columns).copied().collect();
            let part = product(&left, &right, rows, self.entities, threads);
            logits.iter_mut().zip(part).for_each(|(logit, part)| *logit += part);
        }
        logits
    }

    /// The same for orthonormal embeddings. Θ is as likely in one basis as in another, so theirs
    /// is taken: the logits are its entries.
    pub(super) fn draw_orthonormal_logits(&self, sources: &[usize]) -> Vec<f64> {
        let row = |&source: &usize| {
            let mut row = self.draw_weights(source, 1);
            row.truncate(self.entities);
            row
        };
        sources.iter().flat_map(row).collect()
    }

    /// Rows of Θ, `[rows, dim]`.
    fn draw_weights(&self, first: usize, rows: usize) -> Vec<f64> {
        let mut weights = vec![0.0; rows * self.dim];
        for (row, weights) in weights.chunks_exact_mut(self.dim).enumerate() {
            // Each row begins at a draw of its own, so that it does not depend on `first`.
            let draw = ((first + row) * self.dim.div_ceil(2)) as u64;
            fill_normal(self.stream(1), draw, self.init, weights);
        }
        weights
    }

    fn stream(&self, number: u32) -> Stream {
        Stream::new(self.seed.into(), Purpose::Initialisation, number)
    }
}

fn fill_normal(stream: Stream, first: u64, scale: f64, out: &mut [f64]) {
    for (pair, index) in out.chunks_mut(2).zip(first..) {
        for (out, normal) in pair.iter_mut().zip(stream.normals(index)) {
            *out = scale * normal;
        }
    }
}
