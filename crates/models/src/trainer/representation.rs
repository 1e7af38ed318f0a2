//! Representations: the input of the output head at the last position. Joint-embedding prediction
//! reads its answers by them.

use retrodict_engine::Scalar;

use super::Trainer;
use crate::decoder::HEAD;

impl<T: Scalar> Trainer<T> {
    /// The representation of each context, `[context][dimension]`, without dropout. Behind a
    /// context that ends in a question, it is that from which the answer is predicted.
    ///
    /// # Panics
    /// If the contexts differ in length, or are longer than the table of positions.
    pub fn representations(&mut self, contexts: &[Vec<u32>]) -> Vec<Vec<f64>> {
        let network = self.network.clone();
        let values = self.look([contexts], |graph, [inputs]| vec![network.hidden(graph, inputs)]);
        values.into_iter().next().unwrap_or_default()
    }

    /// With joint-embedding prediction, makes the output head the table of the representations of
    /// all tokens, each alone: a logit is then the inner product of prediction and representation.
    pub(super) fn refresh_head(&mut self) {
        if self.head_is_fresh || !self.objective.joint_embedding {
            return;
        }
        let tokens: Vec<Vec<u32>> = (0..self.network.vocab() as u32).map(|v| vec![v]).collect();
        let table = self.representations(&tokens);
        let head = self.parameters.iter().position(|(p, _)| p.name == HEAD);
        let head = self.parameters.values_mut(head.expect("joint embedding has a head of its own"));
        for (slot, number) in head.iter_mut().zip(table.iter().flatten()) {
            *slot = T::from_f64(*number);
        }
        self.head_is_fresh = true;
    }
}
