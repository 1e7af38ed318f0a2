//! Draws of embeddings and initial weights.
//!
//! m embeddings span at most m dimensions, and neither Gaussian embeddings nor Gaussian weights
//! prefer a basis. So they are drawn in the basis that Gram and Schmidt's method gives: entity i has
//! standard normal coordinates in the directions of the entities before it, and its own coordinate
//! is the length of what is left in d − i dimensions, a chi variable (Bartlett's decomposition of a
//! Wishart matrix; Bartlett, 1933). The distribution is exact, and a draw costs the same for every d.

use std::f64::consts::FRAC_1_SQRT_2;

use retrodict_engine::{Purpose, Stream};

use super::BilinearConfig;

impl BilinearConfig {
    /// Numbers in a row of the embeddings and of the weights in their basis.
    pub(super) fn rank(&self) -> usize {
        self.entities.min(self.dim)
    }

    /// Gaussian embeddings, `[entity, rank]`.
    pub(super) fn draw_embeddings(&self) -> Vec<f64> {
        let rank = self.rank();
        let scale = (self.dim as f64).sqrt().recip();
        let (normals, lengths) = (self.stream(0), self.stream(2));
        let mut embeddings = vec![0.0; self.entities * rank];
        for (entity, row) in embeddings.chunks_exact_mut(rank).enumerate() {
            let first = (entity * rank.div_ceil(2)) as u64;
            fill_normal(normals, first, scale, &mut row[..entity.min(rank)]);
            if entity < rank {
                row[entity] = scale * draw_chi(lengths, entity as u64, self.dim - entity);
            }
        }
        embeddings
    }

    /// The initial weights Θ in the basis of the embeddings, `[rank, rank]`.
    pub(super) fn draw_weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.rank().pow(2)];
        fill_normal(self.stream(1), 0, self.init, &mut weights);
        weights
    }

    /// Draws of different dimensions are independent.
    fn stream(&self, number: u32) -> Stream {
        let key = u64::from(self.seed) | (self.dim as u64) << 32;
        Stream::new(key, Purpose::Initialisation, number)
    }
}

fn fill_normal(stream: Stream, first: u64, scale: f64, out: &mut [f64]) {
    for (pair, index) in out.chunks_mut(2).zip(first..) {
        for (out, normal) in pair.iter_mut().zip(stream.normals(index)) {
            *out = scale * normal;
        }
    }
}

/// The length of a standard normal vector of `dimensions`, at least 1. Twice a gamma variable of
/// shape `dimensions`/2 is its square, drawn by the rejection method of Marsaglia and Tsang (2000,
/// *ACM Trans. Math. Software* 26), which accepts at least 95 % of its proposals.
fn draw_chi(stream: Stream, index: u64, dimensions: usize) -> f64 {
    /// Blocks of random words for one draw; rejected 2³² times is never.
    const ATTEMPTS: u64 = 1 << 32;
    let first = index * ATTEMPTS;
    if dimensions == 1 {
        return stream.normals(first)[0].abs();
    }
    let offset = dimensions as f64 / 2.0 - 1.0 / 3.0;
    let scale = 1.0 / (9.0 * offset).sqrt();
    for attempt in (0..ATTEMPTS).step_by(2) {
        let [normal, other] = stream.normals(first + attempt);
        let cube = (1.0 + scale * normal).powi(3);
        // An independent number, uniform in (0, 1).
        let uniform = 0.5 * libm::erfc(other * FRAC_1_SQRT_2);
        let bound = 0.5 * normal * normal + offset * (1.0 - cube + cube.ln());
        if cube > 0.0 && uniform.ln() < bound {
            return (2.0 * offset * cube).sqrt();
        }
    }
    unreachable!("a proposal is accepted with a probability of 95 %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Threads, times_transposed};

    #[test]
    fn lengths_have_the_moments_of_chi() {
        for dimensions in [1, 2, 3, 10, 1_000_000] {
            let draws = 40_000;
            let stream = Stream::new(dimensions as u64, Purpose::Initialisation, 0);
            let square = |index| draw_chi(stream, index, dimensions).powi(2);
            let squares: Vec<f64> = (0..draws).map(square).collect();
            let (n, k) = (draws as f64, dimensions as f64);
            let mean = squares.iter().sum::<f64>() / n;
            let central = |power: i32| squares.iter().map(|s| (s - k).powi(power)).sum::<f64>() / n;
            // Mean k, variance 2k, third central moment 8k; each within five standard errors.
            assert!((mean - k).abs() < 5.0 * (2.0 * k / n).sqrt(), "{dimensions}: {mean}");
            let kurtosis = 3.0 + 12.0 / k;
            let spread = 2.0 * k * ((kurtosis - 1.0) / n).sqrt();
            assert!((central(2) - 2.0 * k).abs() < 5.0 * spread, "{dimensions}: {}", central(2));
            let spread = (8.0 * k * k * k * 40.0 * (1.0 + 50.0 / k)).sqrt() / n.sqrt();
            assert!((central(3) - 8.0 * k).abs() < 5.0 * spread, "{dimensions}: {}", central(3));
        }
    }

    /// The inner products of vectors drawn coordinate by coordinate have these moments.
    #[test]
    fn inner_products_are_those_of_gaussian_vectors() {
        for (entities, dim) in [(4, 3), (4, 4), (4, 50)] {
            let draws = 20_000;
            let mut sums = [[0.0; 3]; 16];
            for seed in 0..draws {
                let config = BilinearConfig { entities, dim, seed, ..BilinearConfig::default() };
                let embeddings = config.draw_embeddings();
                let products =
                    times_transposed(&embeddings, &embeddings, config.rank(), Threads::One);
                for (sums, product) in sums.iter_mut().zip(&products) {
                    for (sum, power) in sums.iter_mut().zip(1..) {
                        *sum += product.powi(power) / f64::from(draws);
                    }
                }
            }
            let d = dim as f64;
            for (at, [first, second, _]) in sums.into_iter().enumerate() {
                let own = at / 4 == at % 4;
                let (mean, square) = if own { (1.0, 1.0 + 2.0 / d) } else { (0.0, 1.0 / d) };
                let slack = 8.0 / f64::from(draws).sqrt() / d.sqrt();
                assert!((first - mean).abs() < slack, "{dim} {at}: {first}");
                assert!((second - square).abs() < 4.0 * slack, "{dim} {at}: {second}");
            }
        }
    }
}
