//! The pairs of sentences whose transfer T(s, s′) = ⟨∇ ln p(s), ∇ ln p(s′)⟩ is compared, and the
//! statistics of each kind of pair. The inner products come from a model.

use retrodict_facts::{Dataset, Query, Role, Step, Token};
use serde::{Deserialize, Serialize};

/// Sentences, and the pairs of them whose transfer is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TransferPairs {
    /// The sentences, whole; the first [`targets`](TransferPairs::targets) are those that training
    /// is asked to have taught: held out, each the last of its group.
    pub sentences: Vec<Vec<Token>>,
    /// How many of them are held out.
    pub targets: usize,
    /// The kinds of pairs.
    pub kinds: Vec<TransferKind>,
}

/// Pairs (trained sentence, held-out sentence) of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TransferKind {
    /// A stable name: `self`, `reverse`, `unrelated`.
    pub id: &'static str,
    /// A name for people.
    pub name: &'static str,
    /// Numbers of sentences: on which is trained, and (below `targets`) which is asked.
    pub pairs: Vec<(usize, usize)>,
    /// The kind of unrelated pairs, with the same relation tokens, that it is compared to.
    pub against: Option<usize>,
}

/// The pairs of a data set of pairs or of chains, with at most `most` held-out sentences, the first
/// ones. `None` where nothing is held out, or sentences hold both directions.
///
/// Of pairs: a held-out B ← A on itself, its reverse A → B (trained) on it, and the reverses of
/// other held-out sentences with the same relation on it. Of chains: a held-out A ⇝ C on itself,
/// its own links A → B and B → C on it, and the links of other chains.
pub(super) fn transfer_pairs(dataset: &Dataset, most: usize) -> Option<TransferPairs> {
    let link = |step| Role::Chain { whole: false, step };
    let reverse =
        [(Role::Seen, ("reverse", "its reverse"), ("unrelated", "unrelated, same relations"))];
    let links = [
        (
            link(Step::First),
            ("first-link", "its A → B"),
            ("unrelated-first-link", "unrelated A → B"),
        ),
        (
            link(Step::Second),
            ("second-link", "its B → C"),
            ("unrelated-second-link", "unrelated B → C"),
        ),
    ];
    let asked = dataset.held_out_group().filter(|group| !group.queries.is_empty())?;
    let related: &[_] = if dataset.chains(false).is_some() { &links } else { &reverse };

    let chosen = spread(asked.queries.len(), most);
    let targets = chosen.len();
    let spoken = |query: &Query| [&query.source[..], &[query.relation], &query.answer].concat();
    let mut sentences: Vec<_> = chosen.iter().map(|&at| spoken(&asked.queries[at])).collect();
    let mut kinds = vec![TransferKind {
        id: "self",
        name: "itself",
        pairs: (0..targets).map(|at| (at, at)).collect(),
        against: None,
    }];
    for &(role, (id, name), (other_id, other_name)) in related {
        let queries: Vec<&Query> = chosen
            .iter()
            .map(|&at| dataset.group_of(role)?.queries.get(at))
            .collect::<Option<_>>()?;
        let first = sentences.len();
        sentences.extend(queries.iter().map(|query| spoken(query)));
        let own = (0..targets).map(|at| (first + at, at)).collect();
        let same = |a: usize, b: usize| a != b && queries[a].relation == queries[b].relation;
        let others = (0..targets).flat_map(|target| (0..targets).map(move |of| (of, target)));
        let others = others.filter(|&(of, target)| same(of, target));
        let others = others.map(|(of, target)| (first + of, target)).collect();
        let against = Some(kinds.len() + 1);
        kinds.push(TransferKind { id, name, pairs: own, against });
        kinds.push(TransferKind { id: other_id, name: other_name, pairs: others, against: None });
    }
    Some(TransferPairs { sentences, targets, kinds })
}

/// At most `most` numbers below `count`, evenly spread.
fn spread(count: usize, most: usize) -> Vec<usize> {
    let taken = count.min(most);
    (0..taken).map(|at| at * count / taken).collect()
}

/// The transfer of the pairs of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindTransfer {
    /// The kind.
    pub id: String,
    /// The mean of T over the pairs.
    pub transfer: f64,
    /// The mean over pairs of the ratio T(s, s′) / √(T(s, s) T(s′, s′)), from −1 to 1.
    pub ratio: f64,
    /// Its standard deviation over pairs; `None` of fewer than two.
    pub ratio_std: Option<f64>,
    /// The contribution of each part of the model to `ratio`.
    pub ratio_by_part: Vec<f64>,
    /// How it stands to unrelated sentences.
    pub excess: Option<Excess>,
}

/// Related sentences against unrelated ones, for the same held-out sentences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excess {
    /// The ratio of the related sentence minus the mean of the unrelated ones', mean over held-out
    /// sentences.
    pub difference: f64,
    /// Its standard error over held-out sentences.
    pub standard_error: Option<f64>,
    /// How often the related sentence's transfer is above an unrelated one's (a tie counts half):
    /// ½ is chance.
    pub above: f64,
}

/// Statistics of each kind. `kernel` is `[part][sentence × sentences + sentence]`: the inner
/// products of all sentences' gradients, part by part of the model. Kinds without a pair are left
/// out.
pub(super) fn transfer(pairs: &TransferPairs, kernel: &[Vec<f64>]) -> Vec<KindTransfer> {
    let count = pairs.sentences.len();
    let at = |from: usize, to: usize| from * count + to;
    let total = |from, to| kernel.iter().map(|part| part[at(from, to)]).sum::<f64>();
    let own: Vec<f64> = (0..count).map(|sentence| total(sentence, sentence)).collect();
    // A sentence without any gradient has no effect, and suffers none.
    let scale = |(from, to): (usize, usize)| match own[from] * own[to] {
        product if product > 0.0 => 1.0 / product.sqrt(),
        _ => 0.0,
    };
    let ratio = |pair: (usize, usize)| total(pair.0, pair.1) * scale(pair);
    let of_kind = |kind: &TransferKind| {
        let number = kind.pairs.len() as f64;
        let mean = |of: &dyn Fn((usize, usize)) -> f64| {
            kind.pairs.iter().map(|&pair| of(pair)).sum::<f64>() / number
        };
        let mean_ratio = mean(&ratio);
        let squares = mean(&|pair| (ratio(pair) - mean_ratio).powi(2));
        KindTransfer {
            id: kind.id.to_owned(),
            transfer: mean(&|(from, to)| total(from, to)),
            ratio: mean_ratio,
            ratio_std: (number > 1.0).then(|| (squares * number / (number - 1.0)).sqrt()),
            ratio_by_part: kernel
                .iter()
                .map(|part| mean(&|pair| part[at(pair.0, pair.1)] * scale(pair)))
                .collect(),
            excess: kind.against.and_then(|other| excess(kind, &pairs.kinds[other], &ratio)),
        }
    };
    pairs.kinds.iter().filter(|kind| !kind.pairs.is_empty()).map(of_kind).collect()
}

/// `None` where no held-out sentence has unrelated ones.
fn excess(
    related: &TransferKind,
    unrelated: &TransferKind,
    ratio: &dyn Fn((usize, usize)) -> f64,
) -> Option<Excess> {
    let mut differences = Vec::new();
    let mut above = 0.0;
    for &(from, to) in &related.pairs {
        let own = ratio((from, to));
        let others = unrelated.pairs.iter().filter(|(_, target)| *target == to);
        let others: Vec<f64> = others.map(|&pair| ratio(pair)).collect();
        if others.is_empty() {
            continue;
        }
        let count = others.len() as f64;
        differences.push(own - others.iter().sum::<f64>() / count);
        let wins = others.iter().map(|other| match own.total_cmp(other) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        });
        above += wins.sum::<f64>() / count;
    }
    let count = differences.len() as f64;
    if differences.is_empty() {
        return None;
    }
    let difference = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|d| (d - difference).powi(2)).sum();
    let standard_error = (count > 1.0).then(|| (squares / (count - 1.0) / count).sqrt());
    Some(Excess { difference, standard_error, above: above / count })
}

#[cfg(test)]
mod tests {
    use retrodict_facts::{ChainConfig, DataConfig, ReversalConfig};

    use super::*;

    #[test]
    fn pairs_ask_for_what_is_held_out() {
        let config = ReversalConfig { vocab_size: 60, entity_length: 1, train_fraction: 0.4 };
        let dataset = DataConfig::Reversal(config).generate(3).unwrap();
        let pairs = transfer_pairs(&dataset, 5).unwrap();
        assert_eq!((pairs.targets, pairs.sentences.len()), (5, 10));
        let [own, reverse, unrelated] = &pairs.kinds[..] else { panic!("three kinds") };
        assert_eq!(own.pairs, (0..5).map(|at| (at, at)).collect::<Vec<_>>());
        for &(from, to) in &reverse.pairs {
            let [trained, asked] = [from, to].map(|at| &pairs.sentences[at]);
            assert!(dataset.train.contains(trained) && dataset.held_out.contains(asked));
            assert_eq!([trained[0], trained[2]], [asked[2], asked[0]], "reversed");
        }
        for &(from, to) in &unrelated.pairs {
            let [trained, asked] = [from, to].map(|at| &pairs.sentences[at]);
            assert!(dataset.train.contains(trained) && dataset.held_out.contains(asked));
            assert!(trained[1] != asked[1], "the other relation");
            assert!(trained.iter().enumerate().all(|(at, t)| at == 1 || !asked.contains(t)));
        }
        assert_eq!(reverse.against, Some(2));
        assert!(transfer_pairs(&dataset, usize::MAX).unwrap().targets == dataset.held_out.len());
    }

    #[test]
    fn pairs_of_chains_are_links() {
        let config = ChainConfig { vocab_size: 90, entity_length: 1, train_fraction: 0.5 };
        let dataset = DataConfig::Chain(config).generate(3).unwrap();
        let pairs = transfer_pairs(&dataset, 6).unwrap();
        let ids: Vec<&str> = pairs.kinds.iter().map(|kind| kind.id).collect();
        let wanted =
            ["self", "first-link", "unrelated-first-link", "second-link", "unrelated-second-link"];
        assert_eq!(ids, wanted);
        for (&(first, to), &(second, same)) in
            pairs.kinds[1].pairs.iter().zip(&pairs.kinds[3].pairs)
        {
            let [ab, bc, ac] = [first, second, to].map(|at| &pairs.sentences[at]);
            assert!(to == same && ab[0] == ac[0] && ab[2] == bc[0] && bc[2] == ac[2]);
        }
        assert_eq!(pairs.kinds[2].pairs.len(), 30);
    }

    #[test]
    fn statistics_of_a_kernel_by_hand() {
        // Two held-out sentences (0, 1) and two trained ones (2, 3), gradients in two parts.
        let gradients: [[[f64; 2]; 4]; 2] = [
            [[1.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 0.0]],
            [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 3.0]],
        ];
        let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
        let kernel: Vec<Vec<f64>> = gradients
            .iter()
            .map(|rows| rows.iter().flat_map(|a| rows.map(|b| dot(*a, b))).collect())
            .collect();
        let kind = |id, pairs: &[(usize, usize)], against| TransferKind {
            id,
            name: id,
            pairs: pairs.to_vec(),
            against,
        };
        let pairs = TransferPairs {
            sentences: vec![Vec::new(); 4],
            targets: 2,
            kinds: vec![
                kind("self", &[(0, 0), (1, 1)], None),
                kind("reverse", &[(2, 0), (3, 1)], Some(2)),
                kind("unrelated", &[(3, 0), (2, 1)], None),
                kind("none", &[], None),
            ],
        };
        let found = transfer(&pairs, &kernel);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].transfer, found[0].ratio, found[0].ratio_std), (2.5, 1.0, Some(0.0)));
        // T(2, 0) = 2 is the whole of √(4 · 1); T(3, 1) = 0: they share no part.
        assert_eq!((found[1].transfer, found[1].ratio), (1.0, 0.5));
        assert_eq!(found[1].ratio_std, Some(0.5f64.sqrt()));
        assert_eq!(found[1].ratio_by_part, [0.5, 0.0]);
        let excess = found[1].excess.unwrap();
        assert_eq!((excess.difference, excess.standard_error), (0.5, Some(0.5)));
        assert_eq!(excess.above, 0.75, "one above, one tie");
        assert_eq!((found[2].ratio, found[2].excess), (0.0, None));
    }
}
