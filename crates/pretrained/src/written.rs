//! The output of each part of a model into the residual stream, and the norm and head that read
//! their sum: the terms of direct logit attribution (Elhage et al., 2021).

use retrodict_engine::{Graph, Orientation};
use retrodict_models::{LastNorm, Part, Site, Written};

use crate::architecture::OutputMap;
use crate::inside::{TokenQuestion, features, last_of, longest, write};
use crate::runner::BATCH;
use crate::{Model, PretrainedError};

impl Model {
    /// Calls `take` with the number of each question and the parts, each with what it adds to the
    /// residual stream at the last token, in the order of the stream: their sum is the stream that
    /// the last norm reads. `go` is called after every batch, until it returns false.
    ///
    /// # Errors
    /// [`PretrainedError::Stopped`].
    pub fn written(
        &mut self,
        questions: &[TokenQuestion],
        mut take: impl FnMut(usize, &[Written]),
        mut go: impl FnMut() -> bool,
    ) -> Result<(), PretrainedError> {
        let numbers: Vec<usize> = (0..questions.len()).collect();
        for batch in numbers.chunks(BATCH) {
            let of: Vec<&TokenQuestion> = batch.iter().map(|at| &questions[*at]).collect();
            let mut graph = Graph::new();
            let (tokens, last) = (graph.indices(longest(&of)), graph.indices(1));
            let mut written = Vec::new();
            let architecture = self.architecture().clone();
            architecture.stream_with_hook(&mut graph, tokens.into(), &mut |_, site, value| {
                if matches!(site, Site::Embeddings | Site::Mixed(_) | Site::Mlp(_)) {
                    written.push((site, value));
                }
                value
            });
            // A program needs all parameters of the model.
            architecture.head_table(&mut graph);
            let mut sites = Vec::new();
            for (site, value) in written {
                let value = graph.pick(value, last);
                graph.output(value, 0..1);
                sites.push(site);
            }
            let program = self.answered(&graph, |program| {
                write(program, tokens, &of, |of, at| of.tokens.get(at).copied().unwrap_or(0));
                write(program, last, &of, |of, _| last_of(of));
            });
            for (lane, number) in batch.iter().enumerate() {
                let mut parts = Vec::new();
                for (at, site) in sites.iter().enumerate() {
                    let values = features(&program.output(at), lane);
                    match site {
                        Site::Mixed(block) => self.split(*block, &values, &mut parts),
                        Site::Mlp(block) => parts.push((Part::Mlp(*block), values)),
                        _ => parts.push((Part::Embeddings, values)),
                    }
                }
                take(*number, &parts);
            }
            if !go() {
                return Err(PretrainedError::Stopped);
            }
        }
        Ok(())
    }

    /// The contribution of each head of a block, from the features that it has mixed, and that of the
    /// bias, which belongs to no head.
    fn split(&self, block: usize, mixed: &[f64], parts: &mut Vec<(Part, Vec<f64>)>) {
        let OutputMap { heads, weight, orientation, bias } = self.architecture().output_map(block);
        let (weight, dim) = (self.numbers(&weight), self.architecture().width());
        let (inputs, width) = (mixed.len(), mixed.len() / heads);
        for head in 0..heads {
            let own = head * width..(head + 1) * width;
            let added = (0..dim).map(|out| {
                let at = |feature: usize| match orientation {
                    Orientation::InputsFirst => feature * dim + out,
                    Orientation::OutputsFirst => out * inputs + feature,
                };
                own.clone()
                    .map(|feature| mixed[feature] * f64::from(weight[at(feature)]))
                    .sum::<f64>()
            });
            parts.push((Part::Head { block, head }, added.collect()));
        }
        if let Some(bias) = bias {
            let bias = self.numbers(&bias).iter().map(|x| f64::from(*x));
            parts.push((Part::MixerBias(block), bias.collect()));
        }
    }

    /// The norm before the head.
    pub fn last_norm(&self) -> LastNorm {
        let (name, epsilon, centred) = self.architecture().last_norm();
        let of = |what: &str| -> Vec<f64> {
            self.numbers(&format!("{name}.{what}")).iter().map(|x| f64::from(*x)).collect()
        };
        let gain = of("weight");
        let bias = if centred { of("bias") } else { vec![0.0; gain.len()] };
        LastNorm { gain, bias, epsilon: Some(epsilon), centred }
    }

    /// The row of the head that gives a token's logit.
    ///
    /// # Panics
    /// If the model has no such token.
    pub fn head_row(&self, token: u32) -> Vec<f64> {
        let (width, name) = (self.architecture().width(), self.architecture().head_name());
        let row = &self.numbers(name)[token as usize * width..][..width];
        row.iter().map(|x| f64::from(*x)).collect()
    }

    /// The numbers of a parameter.
    ///
    /// # Panics
    /// If the architecture has none of that name.
    fn numbers(&self, name: &str) -> &[f32] {
        let found = self.runner.parameters.iter().find(|(p, _)| p.name == name);
        found.unwrap_or_else(|| panic!("the architecture has no {name}")).1
    }
}
