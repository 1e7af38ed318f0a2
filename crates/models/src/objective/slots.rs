//! The inputs of a program, as seen from one sentence of a batch.

use retrodict_engine::{Graph, Indices, Program, Scalar, Weights};

/// The targets of a loss, and the weight of each prediction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetSet {
    pub(crate) tokens: Indices,
    pub(crate) weights: Weights,
}

impl TargetSet {
    /// Inputs for a number of positions.
    pub(crate) fn add<T: Scalar>(graph: &mut Graph<T>, positions: usize) -> TargetSet {
        TargetSet { tokens: graph.indices(positions), weights: graph.weights(positions) }
    }

    /// Clears all targets.
    pub(crate) fn clear<T: Scalar>(&self, program: &mut Program<T>) {
        program.indices_mut(self.tokens).fill(0);
        program.weights_mut(self.weights).fill(T::ZERO);
    }

    /// Sets one sentence's target at a position.
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

/// The inputs of one sentence.
pub(crate) struct Slots<'p, T> {
    pub(crate) program: &'p mut Program<T>,
    pub(crate) tokens: Indices,
    pub(crate) padding_mask: Option<Weights>,
    pub(crate) targets: TargetSet,
    /// Which predictions count for the score, `[positions, lanes]`.
    pub(crate) counted: &'p mut [bool],
    pub(crate) lane: usize,
    /// The position at which the sentence begins.
    pub(crate) first: usize,
}

impl<T: Scalar> Slots<'_, T> {
    /// Sets the input token of a position of the sentence.
    pub(crate) fn read(&mut self, position: usize, token: u32) {
        let at = (self.first + position) * self.program.lanes() + self.lane;
        self.program.indices_mut(self.tokens)[at] = token;
        if let Some(padding_mask) = self.padding_mask {
            self.program.weights_mut(padding_mask)[at] = T::ONE;
        }
    }

    /// Sets the target token of a position of the sentence. `counts`: whether it belongs to the answer.
    pub(crate) fn ask(&mut self, position: usize, token: u32, weight: f64, counts: bool) {
        let position = self.first + position;
        self.targets.ask(self.program, [position, self.lane], token, weight);
        let at = position * self.program.lanes() + self.lane;
        self.counted[at] = counts;
    }
}
