//! Low-rank adapters of linear maps (LoRA; Hu et al., 2022): `W x + scale · B (A x)`, where the
//! weight `W` is frozen.

use std::ops::Range;

use crate::graph::Graph;
use crate::handle::{Value, View};
use crate::ops::Orientation;
use crate::parameter::{Initial, Parameter};
use crate::scalar::Scalar;

/// The size of all adapters of a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowRank {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// The factor of their product.
    pub scale: f64,
}

/// The adapter of some columns of a weight. Parameters are given by their index in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// The weight.
    pub weight: usize,
    /// The columns of the weight.
    pub columns: Range<usize>,
    /// How the weight lies in memory.
    pub orientation: Orientation,
    /// A, `[rank, inputs]`: normal draws at first, with a variance of one third over the inputs.
    pub down: usize,
    /// B, `[outputs, rank]`: 0 at first.
    pub up: usize,
}

impl<T: Scalar> Graph<T> {
    /// Gives an adapter to every linear map between [hidden](Parameter::hidden) features that is
    /// added from now on. All other parameters are frozen, and 0 at first: they come from elsewhere.
    pub fn adapt(&mut self, low_rank: LowRank) {
        self.low_rank = Some(low_rank);
    }

    /// All adapters.
    pub fn adapters(&self) -> &[Adapter] {
        &self.adapters
    }

    /// The output `y` of a linear map of `x` with that of its adapter, where it has one.
    pub(crate) fn adapted(
        &mut self,
        x: Value,
        y: Value,
        weight: View,
        orientation: Orientation,
    ) -> Value {
        let (columns, parameter) = self.viewed(weight);
        let Some(LowRank { rank, scale }) = self.low_rank.filter(|_| parameter.hidden_maps > 0)
        else {
            return y;
        };
        let weight = columns.parameter;
        let columns = columns.first..columns.first + columns.count;
        let name = match columns.len() == parameter.columns {
            true => parameter.name.clone(),
            false => format!("{}.{}", parameter.name, columns.start),
        };
        let (inputs, outputs) = (self.features(x), self.features(y));
        let normal = Initial::Normal { std: (3.0 * inputs as f64).sqrt().recip() };
        // Their own parameters are trained.
        self.low_rank = None;
        let down = Parameter::matrix(format!("{name}.lora_A"), [rank, inputs], normal);
        let zero = Initial::Constant(0.0);
        let up = Parameter::matrix(format!("{name}.lora_B"), [outputs, rank], zero);
        let [down, up] = [down, up].map(|parameter| self.parameter(parameter));
        let low = self.linear_whole(x, down, Orientation::OutputsFirst, None);
        let low = self.scale(low, scale);
        let high = self.linear_whole(low, up, Orientation::OutputsFirst, None);
        self.low_rank = Some(LowRank { rank, scale });
        let [down, up] = [down, up].map(|parameter| parameter.index_in(self.id));
        let adapter = Adapter { weight, columns, orientation, down, up };
        if !self.adapters.contains(&adapter) {
            self.adapters.push(adapter);
        }
        self.residual(y, high, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_gradients, with_head, with_stem};

    #[test]
    fn gradient() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 6, 2);
        graph.adapt(LowRank { rank: 2, scale: 1.5 });
        let normal = Initial::Normal { std: 1.0 };
        let joined = graph.parameter(Parameter::matrix("joined", [6, 10], normal).hidden(2));
        let parts = [0..5, 5..10].map(|columns| {
            let view = graph.columns(joined, columns);
            graph.linear(x, view, Orientation::InputsFirst, None)
        });
        let sum = graph.residual(parts[0], parts[1], 0.0);
        let other = graph.parameter(Parameter::matrix("other", [4, 5], normal).hidden(1));
        let bias = graph.parameter(Parameter::vector("bias", 4, Initial::Constant(0.0)));
        let y = graph.linear_whole(sum, other, Orientation::OutputsFirst, Some(bias));
        with_head(&mut graph, y, 4, 0..2);
        let trained: Vec<_> = graph.trainable().map(|(_, p)| p.name.as_str()).collect();
        let adapters = ["joined.0", "joined.5", "other"];
        let adapters = adapters.iter().flat_map(|of| ["A", "B"].map(|l| format!("{of}.lora_{l}")));
        let stem = ["stem", "places"].map(str::to_owned).into_iter();
        assert_eq!(trained, stem.chain(adapters).collect::<Vec<_>>());
        assert_eq!(graph.adapters().len(), 3);
        assert_gradients(&graph, 18);
    }
}
