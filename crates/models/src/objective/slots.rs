//! The inputs of a program, seen from one sentence of a batch.

use retrodict_engine::{Graph, Indices, Program, Scalar, Weights};

/// The tokens that a loss wants, and how much each prediction counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetSet {
    pub(crate) tokens: Indices,
    pub(crate) weights: Weights,
}

impl TargetSet {
    /// For each of so many positions.
    pub(crate) fn add<T: Scalar>(graph: &mut Graph<T>, positions: usize) -> TargetSet {
        TargetSet { tokens: graph.indices(positions), weights: graph.weights(positions) }
    }

    /// Asks for nothing.
    pub(crate) fn clear<T: Scalar>(&self, program: &mut Program<T>) {
        program.indices_mut(self.tokens).fill(0);
        program.weights_mut(self.weights).fill(T::ZERO);
    }

    /// Asks one sentence's prediction at a position.
    pub(crate) fn ask<T: Scalar>(
        &self,
        program: &mut Program<T>,
        [position, lane]: [usize; 2],
        token: u32,
        weight: f64,
    ) {
        let at = position * program.lanes() + lane;
        program.indices_mut(self.tokens)[at] = token;
        program.weights_mut(self.weights)[at] = T::from_f64(weight);
    }
}

/// Where one sentence is written.
pub(crate) struct Slots<'p, T> {
    pub(crate) program: &'p mut Program<T>,
    pub(crate) tokens: Indices,
    pub(crate) padding_mask: Option<Weights>,
    pub(crate) targets: TargetSet,
    /// Which predictions count for the score, `[positions, lanes]`.
    pub(crate) counted: &'p mut [bool],
    pub(crate) lane: usize,
}

impl<T: Scalar> Slots<'_, T> {
    /// A token goes in at a position.
    pub(crate) fn read(&mut self, position: usize, token: u32) {
        let at = position * self.program.lanes() + self.lane;
        self.program.indices_mut(self.tokens)[at] = token;
        if let Some(padding_mask) = self.padding_mask {
            self.program.weights_mut(padding_mask)[at] = T::ONE;
        }
    }

    /// A position is asked for a token. `counts`: whether it belongs to the answer.
    pub(crate) fn ask(&mut self, position: usize, token: u32, weight: f64, counts: bool) {
        self.targets.ask(self.program, [position, self.lane], token, weight);
        let at = position * self.program.lanes() + self.lane;
        self.counted[at] = counts;
    }
}
