//! Counter-based random numbers: Philox 4×32-10 (Salmon et al., *Parallel random numbers: as easy
//! as 1, 2, 3*, SC 2011).
//!
//! A draw is a pure function of (seed, purpose, stream, step, index): it does not depend on
//! threads, on the order of calls, or on where a run was resumed.

use crate::isa::for_every_isa;

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Draws per block of counters, so that the rounds vectorise.
const LANES: usize = 16;

/// Dropout decisions per block of counters: 16 bits each.
pub(crate) const DROPOUT_BLOCK: usize = LANES * 8;

/// The purpose of a draw: draws for different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// The initial values of the parameters; the stream is the parameter.
    Initialisation = 1,
    /// The choice of dropped activations; the stream is the operation.
    Dropout = 2,
    /// The order of the examples in an epoch; the stream is the epoch.
    Order = 3,
    /// The choice of held-out facts; the stream is the choice's number.
    HeldOut = 4,
    /// The masked tokens or the order of an example; the stream is the step.
    Reading = 5,
    /// The pairs of a penalty; the stream is the step.
    Pairs = 6,
    /// The values of a bootstrap resample; the stream is the resample.
    Resample = 7,
}

#[inline(always)]
fn philox<const N: usize>(mut counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..ROUNDS {
        let mut next = [[0; N]; 4];
        for lane in 0..N {
            let low = u64::from(MULTIPLIERS[0]) * u64::from(counter[0][lane]);
            let high = u64::from(MULTIPLIERS[1]) * u64::from(counter[2][lane]);
            next[0][lane] = (high >> 32) as u32 ^ counter[1][lane] ^ key[0];
            next[1][lane] = high as u32;
            next[2][lane] = (low >> 32) as u32 ^ counter[3][lane] ^ key[1];
            next[3][lane] = low as u32;
        }
        counter = next;
        key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
    }
    counter
}

/// An endless sequence of draws that can be read at any index.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: [u32; 2],
    purpose: u32,
    stream: u32,
}

impl Stream {
    /// The sequence `stream` for a purpose under a seed.
    pub fn new(seed: u64, purpose: Purpose, stream: u32) -> Stream {
        Stream { key: [seed as u32, (seed >> 32) as u32], purpose: purpose as u32, stream }
    }

    /// Four words of 32 random bits.
    pub fn words(&self, index: u64) -> [u32; 4] {
        let counter = [[index as u32], [(index >> 32) as u32], [self.stream], [self.purpose]];
        philox(counter, self.key).map(|[word]| word)
    }

    /// A number below `count`, every one with the same chance.
    pub fn below(&self, count: usize, index: u64) -> usize {
        let [high, low, ..] = self.words(index);
        below(count, [high, low])
    }

    /// Two independent draws from N(0, 1), by Box and Muller's method.
    pub fn normals(&self, index: u64) -> [f64; 2] {
        let [a, b, c, d] = self.words(index);
        let unit = |high: u32, low: u32| {
            ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 / (1u64 << 53) as f64
        };
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - unit(a, b))).sqrt();
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * unit(c, d));
        [radius * cos, radius * sin]
    }

    /// Shuffles items (Fisher and Yates).
    pub fn shuffle<I>(&self, items: &mut [I]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1, last as u64));
        }
    }
}

/// A number below `count` from 64 random bits: `high` and `low` are the words of a fraction of it.
pub fn below(count: usize, [high, low]: [u32; 2]) -> usize {
    let bits = u64::from(high) << 32 | u64::from(low);
    ((u128::from(bits) * count as u128) >> 64) as usize
}

/// The inputs of dropout's random draws in a step.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// The run's dropout seed.
    pub seed: u64,
    /// The training step.
    pub step: u64,
}

/// The dropout probability in 65536ths: a decision takes 16 bits.
pub(crate) fn dropout_threshold(p: f64) -> u32 {
    (p * 65536.0).round() as u32
}

for_every_isa! {
    /// Writes dropout's factors for the elements from `first` on, a multiple of [`DROPOUT_BLOCK`]:
    /// 0 with probability `threshold`/65536, else the scale that keeps the mean.
    pub(crate) fn dropout_factors<T>(
        noise: Noise, stream: u32, threshold: u32, first: usize, out: &mut [T],
    ) {
        let kept = T::from_f64(65536.0 / (65536.0 - f64::from(threshold)));
        let key = [noise.seed as u32, (noise.seed >> 32) as u32];
        // The step replaces a plain stream's high index word; streams are few.
        let fixed = [noise.step as u32, stream ^ ((noise.step >> 32) as u32) << 16, Purpose::Dropout as u32];
        let mut counter0 = (first / DROPOUT_BLOCK * LANES) as u32;
        for out in out.chunks_mut(DROPOUT_BLOCK) {
            let mut counter = [[0; LANES], [fixed[0]; LANES], [fixed[1]; LANES], [fixed[2]; LANES]];
            for (lane, counter) in counter[0].iter_mut().enumerate() {
                *counter = counter0.wrapping_add(lane as u32);
            }
            counter0 = counter0.wrapping_add(LANES as u32);
            let words = philox(counter, key);
            for (i, out) in out.chunks_mut(LANES).enumerate() {
                let (words, shift) = (&words[i / 2], 16 * (i as u32 % 2));
                for (out, word) in out.iter_mut().zip(words) {
                    *out = if (word >> shift) & 0xFFFF < threshold { T::ZERO } else { kept };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn philox_gives_the_published_answers() {
        // The known answers of the authors' Random123.
        let ask = |counter: [u32; 4], key| philox(counter.map(|c| [c]), key).map(|[w]| w);
        assert_eq!(ask([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            ask([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            ask([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let stream = Stream::new(7, Purpose::Initialisation, 3);
        let draws: Vec<f64> = (0..100_000).flat_map(|i| stream.normals(i)).collect();
        let moment = |p| draws.iter().map(|x: &f64| x.powi(p)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.02);
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.1);
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_uniform() {
        let mut first = [0usize; 5];
        for epoch in 0..20_000 {
            let mut items = [0, 1, 2, 3, 4];
            Stream::new(1, Purpose::Order, epoch).shuffle(&mut items);
            first[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert!(first.iter().all(|&n| (3700..4300).contains(&n)), "{first:?}");
    }

    #[test]
    fn dropout_keeps_the_mean_and_does_not_depend_on_where_it_starts_or_on_the_processor() {
        let noise = Noise { seed: 5, step: 12 };
        let mut whole = vec![0f32; 64 * DROPOUT_BLOCK];
        dropout_factors(Isa::PORTABLE, noise, 2, dropout_threshold(0.1), 0, &mut whole);
        let dropped = whole.iter().filter(|&&x| x == 0.0).count() as f64 / whole.len() as f64;
        assert!((dropped - 0.1).abs() < 0.01, "{dropped}");
        let mean = whole.iter().sum::<f32>() / whole.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        for isa in Isa::available() {
            let mut part = vec![0f32; 3 * DROPOUT_BLOCK];
            let first = 7 * DROPOUT_BLOCK;
            dropout_factors(isa, noise, 2, dropout_threshold(0.1), first, &mut part);
            assert_eq!(part, whole[first..first + part.len()]);
        }
        let mut other = vec![0f32; whole.len()];
        let later = Noise { step: 13, ..noise };
        dropout_factors(Isa::PORTABLE, later, 2, dropout_threshold(0.1), 0, &mut other);
        assert_ne!(whole, other);
    }
}
