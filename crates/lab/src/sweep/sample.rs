//! Points of a sweep by chance, or by a sequence that fills the space more evenly.

use retrodict_engine::{Purpose, Stream};
use retrodict_settings::keywords;

keywords! {
    /// How points are sampled.
    pub(super) enum Method {
        /// Independent draws.
        Random = "random",
        /// The Sobol sequence, Owen-scrambled by the seed: every power of two of its first points
        /// is spread evenly over each key.
        Sobol = "sobol",
    }
}

/// The most samples: the sequence has as many points.
pub(super) const MOST_SAMPLES: u64 = 1 << 16;
/// The most keys that are sampled together: the sequence has as many dimensions.
pub(super) const MOST_DIMENSIONS: usize = sobol_burley::NUM_DIMENSIONS as usize;

/// A sample of points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampling {
    pub(super) method: Method,
    pub(super) samples: usize,
    pub(super) seed: u32,
}

impl Sampling {
    /// The coordinate of a point in one dimension, from 0 to below 1.
    pub(super) fn at(&self, point: usize, dimension: usize) -> f64 {
        match self.method {
            Method::Random => {
                let stream = Stream::new(self.seed.into(), Purpose::Sweep, dimension as u32);
                let [high, ..] = stream.words(point as u64);
                f64::from(high) / 4_294_967_296.0
            }
            Method::Sobol => {
                f64::from(sobol_burley::sample(point as u32, dimension as u32, self.seed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 64 points, each 64th of a dimension holds one.
    #[test]
    fn the_sequence_is_even_in_each_dimension() {
        for dimension in 0..8 {
            let sampling = Sampling { method: Method::Sobol, samples: 64, seed: 3 };
            let mut cells: Vec<usize> =
                (0..64).map(|point| (sampling.at(point, dimension) * 64.0) as usize).collect();
            cells.sort_unstable();
            assert!(cells.iter().copied().eq(0..64), "{dimension}: {cells:?}");
        }
    }

    #[test]
    fn a_seed_decides_the_draws() {
        for method in [Method::Random, Method::Sobol] {
            let of = |seed| {
                let sampling = Sampling { method, samples: 8, seed };
                (0..8).map(|point| sampling.at(point, 1)).collect::<Vec<_>>()
            };
            assert_eq!(of(1), of(1));
            assert_ne!(of(1), of(2));
            assert!(of(1).iter().all(|unit| (0.0..1.0).contains(unit)));
        }
    }
}
