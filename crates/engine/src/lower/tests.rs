//! The launches of a small decoder.

use std::collections::BTreeSet;

use super::kernel::Kernel;
use super::launch::{Launch, Region, Span, Store};
use super::{Lowered, UpdateRule};
use crate::graph::Graph;
use crate::handle::{ParameterId, Value};
use crate::ops::{Activation, LabelSmoothing, LossFunction, Orientation, Sees};
use crate::optim::{AdamW, Rule, Sgd};
use crate::parameter::{Initial, Parameter};
use crate::precision::ProductPrecision;
use crate::program::Mode;
use crate::scalar::Scalar;

const BATCH: usize = 20;
const UPDATE: UpdateRule = UpdateRule {
    rule: Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 }),
    decays_vectors: false,
    clip: 0.0,
};

/// The decoder of a test.
#[derive(Clone, Copy)]
struct Decoder {
    vocabulary: usize,
    features: usize,
    heads: usize,
    positions: usize,
    dropout: f64,
    tied: bool,
    /// Both layers have the same weights.
    shared: bool,
    rotary: bool,
    masked: bool,
    /// The loss is of the positions from here on.
    scored: usize,
}

const PLAIN: Decoder = Decoder {
    vocabulary: 11,
    features: 8,
    heads: 2,
    positions: 3,
    dropout: 0.1,
    tied: false,
    shared: false,
    rotary: false,
    masked: false,
    scored: 0,
};

impl Decoder {
    fn graph<T: Scalar>(self) -> Graph<T> {
        let mut graph = Graph::new();
        let (d, positions) = (self.features, self.positions);
        let normal = Initial::Normal { std: 1.0 };
        let tokens = graph.indices(positions);
        let targets = graph.indices(positions);
        let mask = self.masked.then(|| graph.weights(positions));
        let weights = graph.weights(positions);
        let table = graph.parameter(Parameter::matrix("table", [self.vocabulary, d], normal));
        let places = graph.parameter(Parameter::matrix("places", [positions, d], normal));
        graph.parameter(Parameter::matrix("idle", [3, d], normal));
        graph.parameter(Parameter::matrix("frozen", [3, d], normal).frozen(true));
        let x = graph.embedding(tokens, table, Some(places));
        let mut x = graph.dropout(x, self.dropout);
        for layer in 0..2 {
            let name = |part: &str| match self.shared {
                true => part.to_string(),
                false => format!("{layer}.{part}"),
            };
            let h = norm(&mut graph, x, &name("norm1"));
            let [w, b] = map(&mut graph, &name("qkv"), [d, 3 * d]);
            let [q, k, v] = [0, 1, 2].map(|i| {
                let part = i * d..(i + 1) * d;
                let (w, b) = (graph.columns(w, part.clone()), graph.columns(b, part));
                graph.linear(h, w, Orientation::InputsFirst, Some(b))
            });
            let [q, k] = match self.rotary {
                true => [q, k].map(|x| graph.rotary(x, self.heads, d / self.heads, 10_000.0)),
                false => [q, k],
            };
            let h = graph.attention_over([q, k, v], self.heads, Sees::Past, mask, self.dropout);
            let h = linear(&mut graph, h, &name("out"), [d, d]);
            x = graph.residual(x, h, self.dropout);
            let h = norm(&mut graph, x, &name("norm2"));
            let h = linear(&mut graph, h, &name("up"), [d, 4 * d]);
            let h = graph.gelu(h);
            let h = linear(&mut graph, h, &name("down"), [4 * d, d]);
            x = graph.residual(x, h, self.dropout);
        }
        let x = norm(&mut graph, x, "norm");
        let head = match self.tied {
            true => table,
            false => graph.parameter(Parameter::matrix("head", [self.vocabulary, d], normal)),
        };
        let logits = graph.linear_whole(x, head, Orientation::OutputsFirst, None);
        let loss = graph.cross_entropy(logits, targets, weights, self.scored..positions);
        graph.output(loss, 0..positions - self.scored);
        graph
    }

    fn lowered(self, precision: ProductPrecision) -> Lowered {
        let lowered =
            Lowered::new(&self.graph::<f32>(), BATCH, Mode::Training, precision, Some(UPDATE));
        lowered.unwrap()
    }

    /// Without merging.
    fn unmerged(self) -> Lowered {
        let (graph, precision) = (self.graph::<f32>(), ProductPrecision::Bf16);
        let update = Some(UPDATE);
        Lowered::of_pieces(&graph, BATCH, Mode::Training, precision, update, |p, _| p).unwrap()
    }

    /// All kinds of it.
    fn all() -> Vec<Decoder> {
        let mut all = Vec::new();
        for [tied, shared, rotary, masked, late] in
            (0..32).map(|bits| std::array::from_fn(|i| bits >> i & 1 == 1))
        {
            for dropout in [0.0, 0.1] {
                let scored = if late { 2 } else { 0 };
                all.push(Decoder { tied, shared, rotary, masked, scored, dropout, ..PLAIN });
            }
        }
        all
    }
}

fn norm<T: Scalar>(graph: &mut Graph<T>, x: Value, name: &str) -> Value {
    let columns = graph.features(x);
    let [gain, bias] = [("gain", 1.0), ("bias", 0.0)].map(|(part, value)| {
        let vector = Parameter::vector(format!("{name}.{part}"), columns, Initial::Constant(value));
        graph.parameter(vector)
    });
    graph.layer_norm(x, gain, bias, 1e-5)
}

fn map<T: Scalar>(graph: &mut Graph<T>, name: &str, size: [usize; 2]) -> [ParameterId; 2] {
    let weight = Parameter::matrix(format!("{name}.w"), size, Initial::Normal { std: 0.1 });
    let bias = Parameter::vector(format!("{name}.b"), size[1], Initial::Constant(0.0));
    [weight, bias].map(|parameter| graph.parameter(parameter))
}

fn linear<T: Scalar>(graph: &mut Graph<T>, x: Value, name: &str, size: [usize; 2]) -> Value {
    let [w, b] = map(graph, name, size);
    graph.linear_whole(x, w, Orientation::InputsFirst, Some(b))
}

/// The words of spans of one region.
fn words(spans: &[Span], region: Region) -> BTreeSet<usize> {
    let rows = spans
        .iter()
        .filter(|span| span.region == region)
        .flat_map(|span| (0..span.rows).map(|row| (span.start + row * span.stride, span.columns)));
    rows.flat_map(|(start, columns)| start..start + columns).collect()
}

/// The words of the argument of that name.
fn argument<'a>(launch: &'a Launch, name: &str) -> Option<&'a [u64]> {
    let fields = launch.kernel.fields();
    let at = fields.iter().position(|(_, field)| *field == name)?;
    let start: usize = fields[..at].iter().map(|(kind, _)| width(kind)).sum();
    Some(&launch.words[start..start + width(fields[at].0)])
}

/// Words of an argument of that type.
fn width(kind: &str) -> usize {
    match kind {
        "Matrix" => 2,
        "Put" | "Target" => 3,
        "Matrices" => 6,
        "Puts" => 9,
        "i64" | "double" => 1,
        other => panic!("no argument has the type {other}"),
    }
}

#[test]
fn the_step_of_a_decoder_has_these_launches() {
    use Kernel::*;
    let forward = [
        LayerNorm,
        ProductBf16,
        Attention,
        ProductBf16,
        Residual,
        LayerNorm,
        ProductBf16,
        Gelu,
        ProductBf16,
        Residual,
    ];
    // Weights are updated where their gradients are computed; the gradient of a residual
    // connection's stream is that of its output, in the same memory.
    let linear = [ProductBf16, WeightGradientBf16, RowSums];
    let mut backward = vec![Dropout];
    backward.extend(linear);
    backward.push(Multiply);
    backward.extend(linear);
    backward.extend([LayerNormGradient, LayerNormParameters, Dropout]);
    backward.extend(linear);
    backward.push(AttentionGradient);
    backward.extend(linear);
    backward.extend([LayerNormGradient, LayerNormParameters]);
    let mut expected = vec![BeginStep, Embedding, Dropout];
    expected.extend([forward, forward].concat());
    expected.extend([LayerNorm, ProductBf16, CrossEntropy]);
    // The parameter without a use.
    expected.push(Clear);
    expected.extend([ProductBf16, WeightGradientBf16, LayerNormGradient, LayerNormParameters]);
    expected.extend([backward.clone(), backward].concat());
    expected.extend([Dropout, EmbeddingGradient, PositionGradient, AdamW, KeepOutput, EndStep]);
    let found: Vec<Kernel> =
        PLAIN.lowered(ProductPrecision::Bf16).launches.iter().map(|l| l.kernel).collect();
    assert_eq!(found, expected);
    let full = PLAIN.lowered(ProductPrecision::Full);
    let in_f32 = |kernel| match kernel {
        ProductBf16 => ProductF32,
        WeightGradientBf16 => WeightGradientF32,
        other => other,
    };
    let expected: Vec<Kernel> = expected.into_iter().map(in_f32).collect();
    assert_eq!(full.launches.iter().map(|l| l.kernel).collect::<Vec<_>>(), expected);
}

#[test]
fn inference_has_no_dropout_and_writes_no_parameter() {
    let graph = Decoder { rotary: true, ..PLAIN }.graph::<f32>();
    let precision = ProductPrecision::Full;
    let lowered = Lowered::new(&graph, BATCH, Mode::Inference, precision, Some(UPDATE)).unwrap();
    for launch in &lowered.launches {
        assert!(matches!(argument(launch, "threshold"), None | Some([0])), "{launch:?}");
        let regions = launch.writes.iter().map(|span| span.region);
        let own = [Region::Record, Region::Arena, Region::Outputs, Region::Counter];
        assert!(regions.into_iter().all(|region| own.contains(&region)), "{launch:?}");
    }
    // The turns of the two layers are the same numbers.
    assert_eq!(lowered.constants.len(), 2 * 2 * PLAIN.positions);
    assert!(lowered.uses(Region::Constants) && !lowered.uses(Region::FirstMoments));
}

#[test]
fn each_trainable_number_is_updated_once_and_not_read_afterwards() {
    for decoder in Decoder::all() {
        let graph = decoder.graph::<f32>();
        let layout = crate::parameters::ParameterLayout::new(&graph.parameters);
        for lowered in [decoder.lowered(ProductPrecision::Bf16), decoder.unmerged()] {
            let mut updates = vec![0; lowered.parameters];
            let mut spared = BTreeSet::new();
            let mut updated: Vec<Span> = Vec::new();
            for launch in &lowered.launches {
                let stale =
                    launch.reads.iter().filter(|read| updated.iter().any(|u| u.overlaps(read)));
                assert_eq!(stale.count(), 0, "{launch:?}");
                for word in words(&launch.writes, Region::Parameters) {
                    updates[word] += 1;
                }
                for (_, name) in launch.kernel.fields().iter().filter(|(kind, _)| *kind == "Target")
                {
                    let target = argument(launch, name).unwrap();
                    if target[2] == Store::StepWithoutDecay as u64 {
                        let count = argument(launch, "count").map_or(1, |count| count[0]);
                        spared.extend(target[0]..target[0] + count);
                    }
                }
                let of_parameters = |span: &&Span| span.region == Region::Parameters;
                updated.extend(launch.writes.iter().filter(of_parameters));
            }
            for (i, parameter) in graph.parameters.iter().enumerate() {
                let expected = usize::from(parameter.trainable);
                let name = &parameter.name;
                assert!(updates[layout.range(i)].iter().all(|n| *n == expected), "{name}");
                let first = layout.range(i).start as u64;
                assert_eq!(spared.contains(&first), parameter.vector, "weight decay of {name}");
            }
        }
    }
}

#[test]
fn launches_stay_within_their_regions() {
    for decoder in Decoder::all() {
        for lowered in [decoder.lowered(ProductPrecision::Full), decoder.unmerged()] {
            for launch in &lowered.launches {
                for span in launch.reads.iter().chain(&launch.writes) {
                    assert!(span.end() <= lowered.words(span.region), "{launch:?}");
                }
                let fields = launch.kernel.fields();
                let expected: usize = fields.iter().map(|(kind, _)| width(kind)).sum();
                assert_eq!(launch.words.len(), expected);
                assert!(launch.bytes() > 0 && launch.grid.iter().all(|blocks| *blocks > 0));
            }
        }
    }
}

#[test]
fn a_launch_waits_for_all_that_it_depends_on_and_for_no_more() {
    for decoder in [PLAIN, Decoder { tied: true, rotary: true, scored: 2, ..PLAIN }] {
        let Lowered { launches, edges, .. } = decoder.lowered(ProductPrecision::Bf16);
        let mut before: Vec<BTreeSet<usize>> = Vec::new();
        for (at, edges) in edges.iter().enumerate() {
            let mut all = BTreeSet::new();
            for edge in edges {
                assert!(*edge < at && launches[at].depends_on(&launches[*edge]));
                let implied = edges.iter().any(|other| before[*other].contains(edge));
                assert!(!implied, "{at} waits for {edge} twice");
                all.insert(*edge);
                all.extend(&before[*edge]);
            }
            for earlier in 0..at {
                let waits = all.contains(&earlier);
                assert!(waits || !launches[at].depends_on(&launches[earlier]), "{at}, {earlier}");
            }
            before.push(all);
        }
        let last = launches.len() - 1;
        let reads_counter = |l: &Launch| l.reads.iter().any(|span| span.region == Region::Counter);
        for (at, _) in launches.iter().enumerate().filter(|(_, launch)| reads_counter(launch)) {
            assert!(before[last].contains(&at), "the step is counted at its end");
        }
    }
}

#[test]
fn merged_launches_read_and_write_what_the_single_ones_do() {
    for decoder in Decoder::all() {
        let [merged, single] = [decoder.lowered(ProductPrecision::Bf16), decoder.unmerged()];
        // Queries, keys and values: forward, and the gradients of input, weight and bias. A layer
        // of which one position is needed has fewer queries than keys.
        let saved = if decoder.scored == 0 { 2 * 2 * 4 } else { 2 * 4 + 4 };
        assert_eq!(merged.launches.len() + saved, single.launches.len());
        for region in [Region::Arena, Region::Parameters, Region::Gradients, Region::SecondMoments]
        {
            let all = |lowered: &Lowered, of: fn(&Launch) -> &Vec<Span>| {
                let spans: Vec<Span> = lowered.launches.iter().flat_map(of).copied().collect();
                words(&spans, region)
            };
            let written = |lowered: &Lowered| all(lowered, |launch| &launch.writes);
            let read = |lowered: &Lowered| all(lowered, |launch| &launch.reads);
            assert_eq!(written(&merged), written(&single));
            assert_eq!(read(&merged), read(&single));
        }
        let flops = |lowered: &Lowered| lowered.launches.iter().map(|l| l.flops).sum::<u64>();
        assert_eq!(flops(&merged), flops(&single));
    }
}

#[test]
fn spans_overlap_where_they_share_a_word() {
    let number = |at: usize, below: usize| (at * 7919 + at / 13) % below;
    for at in 0..4000 {
        let stride = 1 + number(at, 7);
        let span = |at| {
            let [start, rows] = [number(at, 30), 1 + number(at + 3, 4)];
            let columns = 1 + number(at + 5, stride);
            Span { region: Region::Arena, start, rows, columns, stride }
        };
        let [one, two] = [span(at), span(at + 911)];
        let share = !words(&[one], Region::Arena).is_disjoint(&words(&[two], Region::Arena));
        assert_eq!(one.overlaps(&two), share, "{one:?} {two:?}");
        assert_eq!(two.overlaps(&one), share);
        let other = Span { stride: stride + 1, ..two };
        let share = !words(&[one], Region::Arena).is_disjoint(&words(&[other], Region::Arena));
        assert!(!share || one.overlaps(&other));
    }
}

#[test]
fn what_is_not_available_is_named() {
    let refusal = |graph: &Graph<f32>, update| {
        let mode = Mode::Training;
        let lowered = Lowered::new(graph, BATCH, mode, ProductPrecision::Full, Some(update));
        lowered.unwrap_err().to_string()
    };
    let graph = PLAIN.graph::<f32>();
    let sgd = Rule::Sgd(Sgd { momentum: 0.9 });
    let found = refusal(&graph, UpdateRule { rule: sgd, ..UPDATE });
    assert_eq!(found, "the optimizer sgd is not available on a GPU");
    let found = refusal(&graph, UpdateRule { clip: 1.0, ..UPDATE });
    assert_eq!(found, "gradient clipping is not available on a GPU");
    let precision = ProductPrecision::Full;
    let found = Lowered::new(&PLAIN.graph::<f64>(), BATCH, Mode::Inference, precision, None);
    assert_eq!(found.unwrap_err().to_string(), "f64 is not available on a GPU");

    let with = |build: &dyn Fn(&mut Graph<f32>, Value) -> Value, loss: LossFunction| {
        let mut graph = Graph::<f32>::new();
        let tokens = graph.indices(2);
        let weights = graph.weights(2);
        let table = Parameter::matrix("table", [5, 5], Initial::Constant(0.5));
        let table = graph.parameter(table);
        let x = graph.embedding(tokens, table, None);
        let x = build(&mut graph, x);
        let loss = graph.loss(loss, x, tokens, weights, 0..2);
        graph.output(loss, 0..2);
        refusal(&graph, UPDATE)
    };
    let plain = LossFunction::CrossEntropy;
    let found = with(&|graph, x| graph.activation(x, Activation::Relu), plain);
    assert_eq!(found, "Relu is not available on a GPU");
    let found = with(&|graph, x| graph.select(x, &[1, 0]), plain);
    assert_eq!(found, "the gradient of Select is not available on a GPU");
    let found = with(&|graph, x| graph.attention([x, x, x], 1, 0.0), plain);
    assert!(found.starts_with("Attention whose"), "{found}");
    let smoothing = LossFunction::LabelSmoothing(LabelSmoothing { loss_parameter: 0.1 });
    assert_eq!(with(&|_, x| x, smoothing), "LabelSmoothing is not available on a GPU");
}

#[test]
fn equal_programs_lower_to_equal_launches() {
    let [one, two] = [PLAIN, PLAIN].map(|d| d.lowered(ProductPrecision::Bf16));
    assert!(one == two);
    assert!(one != Decoder { dropout: 0.2, ..PLAIN }.lowered(ProductPrecision::Bf16));
}
