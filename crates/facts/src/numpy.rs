//! NumPy's legacy generator, `numpy.random.RandomState`, draw for draw.
//!
//! NumPy has frozen this stream (NEP 19), so the data can be drawn again anywhere. Only the calls that
//! the data sets make are here.

use rand_mt::Mt;

/// `numpy.random.RandomState(seed)`: MT19937 with the reference seeding of one 32-bit number.
#[derive(Debug)]
pub struct RandomState {
    twister: Mt,
}

impl RandomState {
    /// `RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        Self { twister: Mt::new(seed) }
    }

    /// A uniform number in `0..=max`, by masked rejection: 32 bits are drawn, cut to as many as `max`
    /// has, and drawn again while they exceed it. With `max` 0 nothing is drawn.
    fn interval(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        let mask = u32::MAX >> max.leading_zeros();
        loop {
            let value = self.twister.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// `randint(high)`: a uniform number below `high`, which is at least 1.
    pub fn randint(&mut self, high: u32) -> u32 {
        self.interval(high - 1)
    }

    /// `shuffle(items)`, from the back. NumPy makes the same draws for the elements of a vector, the
    /// rows of a matrix and the items of a list.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        // Drawn in blocks, ahead of the swaps: millions of items do not fit in the cache, and swaps
        // that wait for no draw overlap their loads (7 times as fast for the 8 million entities of
        // three tokens among 200).
        let mut chosen = [0; 64];
        let mut end = items.len();
        while end > 1 {
            let start = end.saturating_sub(chosen.len()).max(1);
            for (last, chosen) in (start..end).rev().zip(&mut chosen) {
                *chosen = self.interval(last as u32);
            }
            for (last, &chosen) in (start..end).rev().zip(&chosen) {
                items.swap(last, chosen as usize);
            }
            end = start;
        }
    }

    /// `permutation(n)`: the numbers below `n`, shuffled.
    pub(crate) fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..n).collect();
        self.shuffle(&mut numbers);
        numbers
    }

    /// `choice(n, size, replace=False)`: the head of a whole permutation. `size` is at most `n`.
    pub(crate) fn choice(&mut self, n: u32, size: u32) -> Vec<u32> {
        let mut numbers = self.permutation(n);
        numbers.truncate(size as usize);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::RandomState;

    // Expected values: NumPy 2.4.6, `r = numpy.random.RandomState(seed)`.

    #[test]
    fn permutations_are_those_of_numpy() {
        // r.permutation(10)
        let cases = [
            (0, [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]),
            (1234, [7, 2, 9, 1, 0, 8, 4, 5, 6, 3]),
            (u32::MAX, [6, 9, 5, 1, 8, 0, 7, 4, 2, 3]),
        ];
        for (seed, expected) in cases {
            assert_eq!(RandomState::new(seed).permutation(10), expected, "seed {seed}");
        }
    }

    #[test]
    fn one_stream_serves_all_draws_as_in_numpy() {
        // r.choice(7, 3, replace=False), r.permutation(1), [r.randint(n) for n in
        // (1, 2, 3, 100, 2**31, 2)], r.shuffle(a := list(range(5))), a
        let mut random = RandomState::new(42);
        assert_eq!(random.choice(7, 3), [0, 1, 5]);
        assert_eq!(random.permutation(1), [0]);
        let drawn = [1, 2, 3, 100, 1 << 31, 2].map(|high| random.randint(high));
        assert_eq!(drawn, [0, 0, 0, 82, 429389014, 0]);
        let mut items = [0, 1, 2, 3, 4];
        random.shuffle(&mut items);
        assert_eq!(items, [4, 1, 0, 3, 2]);
    }
}
