//! Placement: buffers whose lifetimes do not overlap share memory.

use std::cmp::Reverse;
use std::ops::Range;

/// Buffers begin on cache lines.
pub(super) const ALIGN: usize = 16;

/// A buffer of the arena, by its index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(usize);

struct Buffer {
    len: usize,
    /// The first and the last time at which it is used.
    first: usize,
    last: usize,
    start: usize,
}

/// All buffers of the arena.
#[derive(Default)]
pub(super) struct Slots(Vec<Buffer>);

impl Slots {
    /// A buffer of `len` elements that is first used at `time`.
    pub(super) fn add(&mut self, len: usize, time: usize) -> Slot {
        self.0.push(Buffer { len, first: time, last: time, start: 0 });
        Slot(self.0.len() - 1)
    }

    /// Extends a buffer's lifetime to `time`.
    pub(super) fn use_at(&mut self, slot: Slot, time: usize) {
        let buffer = &mut self.0[slot.0];
        buffer.first = buffer.first.min(time);
        buffer.last = buffer.last.max(time);
    }

    /// The elements of a placed buffer.
    pub(super) fn range(&self, slot: Slot) -> Range<usize> {
        let buffer = &self.0[slot.0];
        buffer.start..buffer.start + buffer.len
    }

    /// Places all buffers first-fit, the largest first: each at the lowest address that is free for
    /// its whole lifetime. Returns the size of the arena.
    pub(super) fn place(&mut self) -> usize {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|&i| (Reverse(self.0[i].len), self.0[i].first, i));
        let mut placed: Vec<usize> = Vec::new(); // by address
        let mut size = 0;
        for i in order {
            let buffer = &self.0[i];
            let len = buffer.len.next_multiple_of(ALIGN);
            let mut start = 0;
            for other in placed.iter().map(|&other| &self.0[other]) {
                if other.first <= buffer.last && buffer.first <= other.last {
                    if start + len <= other.start {
                        break;
                    }
                    start = start.max(other.start + other.len.next_multiple_of(ALIGN));
                }
            }
            self.0[i].start = start;
            size = size.max(start + len);
            let at = placed.partition_point(|&other| self.0[other].start <= start);
            placed.insert(at, i);
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buffers_that_are_alive_together_are_apart() {
        let mut slots = Slots::default();
        let [a, b, c] = [(40, 0), (32, 5), (16, 2)].map(|(len, time)| slots.add(len, time));
        slots.use_at(a, 3);
        slots.use_at(c, 6);
        assert_eq!(slots.place(), 64);
        assert_eq!([a, b, c].map(|slot| slots.range(slot)), [0..40, 0..32, 48..64]);
    }
}
