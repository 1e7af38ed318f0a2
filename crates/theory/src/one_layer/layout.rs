//! Which numbers stand for Y and Z.
//!
//! Two tokens that no training sentence ends in, in a row that began at zero, get the same update at
//! every step: they share a column, whose multiplicity counts in every sum. With `contextual`
//! attention this goes for each row by itself (a row is moved by its own sentences alone), with
//! `all` for all rows together. Where all rows are updated at once (GD, flow), rows whose targets
//! are equally frequent stay equal, and share their numbers too.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use retrodict_lab::memory;

use super::{Context, Dynamics, OneLayerConfig, OneLayerError, Sentence};

/// Vectors of the integrator, the velocity and the weights.
const FLOW_COPIES: usize = 18;

/// Where the numbers of a model stand.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    context: Context,
    rows: BTreeMap<u32, Row>,
    /// Where Z[query, key] stands.
    attention: BTreeMap<(u32, u32), usize>,
    /// Of the training sentences, in order.
    pub(super) places: Vec<Place>,
    /// The training sentences that make up the velocity of every number that is kept.
    pub(super) moving: Vec<usize>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Row {
    start: usize,
    columns: Rc<Columns>,
}

/// The columns of a row.
#[derive(Debug, PartialEq)]
enum Columns {
    /// One for each token.
    All(usize),
    /// One for each of these tokens, in rising order, and one for all others, so many of them.
    Shared(Vec<u32>, usize),
}

/// Where the numbers of one sentence stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where the source's row begins.
    pub(super) source: usize,
    /// Where the relation's row begins; the source's where it is not attended to.
    pub(super) relation: usize,
    /// Numbers in a row.
    pub(super) width: usize,
    /// The target's column.
    pub(super) target: usize,
    /// How many tokens share the target's column.
    pub(super) target_copies: usize,
    /// How many tokens share the last column.
    pub(super) last_copies: usize,
    /// Z[r, source] and Z[r, r], where both are attended to.
    pub(super) attention: Option<[usize; 2]>,
}

impl Columns {
    fn width(&self) -> usize {
        match self {
            Columns::All(vocab) => *vocab,
            Columns::Shared(own, others) => own.len() + usize::from(*others > 0),
        }
    }

    fn of(&self, token: u32) -> usize {
        match self {
            Columns::All(_) => token as usize,
            Columns::Shared(own, _) => own.binary_search(&token).unwrap_or(own.len()),
        }
    }

    fn copies(&self, column: usize) -> usize {
        match self {
            Columns::Shared(own, others) if column == own.len() => *others,
            _ => 1,
        }
    }
}

impl Layout {
    pub(super) fn new(
        config: &OneLayerConfig,
        vocab: usize,
        train: &[Sentence],
        held_out: &[Sentence],
    ) -> Result<Layout, OneLayerError> {
        let contextual = config.context == Context::Contextual;
        // How often each target follows each source.
        let mut follows: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
        for sentence in train.iter().chain(held_out) {
            follows.entry(sentence.source).or_default();
            if !contextual {
                follows.entry(sentence.relation).or_default();
            }
        }
        for sentence in train {
            if let Some(targets) = follows.get_mut(&sentence.source) {
                *targets.entry(sentence.target).or_insert(0) += 1;
            }
        }
        let shared = |own: Vec<u32>| {
            let others = vocab - own.len();
            Rc::new(Columns::Shared(own, others))
        };
        let anywhere: BTreeSet<u32> = train.iter().map(|sentence| sentence.target).collect();
        let everywhere = match config.init > 0.0 {
            true => Rc::new(Columns::All(vocab)),
            false => shared(anywhere.into_iter().collect()),
        };
        let alone = contextual && config.init == 0.0;
        let merged = alone && config.dynamics != Dynamics::Sgd;

        let mut rows = BTreeMap::new();
        let mut equal: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut moving_sources = BTreeSet::new();
        let mut len = 0_usize;
        for (&source, targets) in &follows {
            let columns = match alone {
                true => shared(targets.keys().copied().collect()),
                false => Rc::clone(&everywhere),
            };
            let mut start = len;
            if merged {
                start = *equal.entry(targets.values().copied().collect()).or_insert(len);
            }
            if start == len {
                len = len.saturating_add(columns.width());
                moving_sources.insert(source);
            }
            rows.insert(source, Row { start, columns });
        }
        let copies = match config.dynamics {
            Dynamics::Sgd => 1,
            Dynamics::Gd => 2,
            Dynamics::Flow => FLOW_COPIES,
        };
        let what =
            format!("a model of {} rows of {} decoder weights", rows.len(), everywhere.width());
        let remedy = "lower --vocab-size, or take --init 0 and contextual attention";
        memory::check(&what, memory::product(&[len, copies, size_of::<f64>()]), remedy)?;

        let mut attention = BTreeMap::new();
        if !contextual {
            for &Sentence { source, relation, .. } in train.iter().chain(held_out) {
                for entry in [(relation, source), (relation, relation)] {
                    attention.entry(entry).or_insert_with(|| {
                        len += 1;
                        len - 1
                    });
                }
            }
        }
        let mut layout = Layout {
            context: config.context,
            rows,
            attention,
            places: Vec::new(),
            moving: Vec::new(),
            len,
        };
        layout.places = train.iter().map(|sentence| layout.place(sentence)).collect();
        let moves = |&at: &usize| moving_sources.contains(&train[at].source);
        layout.moving = (0..train.len()).filter(moves).collect();
        Ok(layout)
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Numbers in the widest row.
    pub(super) fn widest(&self) -> usize {
        self.rows.values().map(|row| row.columns.width()).max().unwrap_or(0)
    }

    pub(super) fn place(&self, sentence: &Sentence) -> Place {
        let row = &self.rows[&sentence.source];
        let (relation, attention) = match self.context {
            Context::Contextual => (row.start, None),
            Context::All => {
                let query = sentence.relation;
                let at = |key| self.attention[&(query, key)];
                (self.rows[&query].start, Some([at(sentence.source), at(query)]))
            }
        };
        let width = row.columns.width();
        let target = row.columns.of(sentence.target);
        Place {
            source: row.start,
            relation,
            width,
            target,
            target_copies: row.columns.copies(target),
            last_copies: row.columns.copies(width - 1),
            attention,
        }
    }

    pub(super) fn row<'a>(&'a self, source: u32, weights: &'a [f64]) -> DecoderRow<'a> {
        let Row { start, columns } = &self.rows[&source];
        DecoderRow { columns, values: &weights[*start..][..columns.width()] }
    }

    /// Where each token's row begins.
    pub(super) fn row_starts(&self) -> impl Iterator<Item = (u32, usize)> {
        self.rows.iter().map(|(&token, row)| (token, row.start))
    }

    /// Where each entry (query, key) of Z stands.
    pub(super) fn attention_entries(&self) -> impl Iterator<Item = (&(u32, u32), &usize)> {
        self.attention.iter()
    }
}

/// A row of Y.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecoderRow<'a> {
    columns: &'a Columns,
    values: &'a [f64],
}

/// Tokens to sum over.
#[derive(Clone, Debug)]
pub(super) struct TokenSet {
    tokens: BTreeSet<u32>,
    member: Vec<bool>,
}

impl FromIterator<u32> for TokenSet {
    fn from_iter<I: IntoIterator<Item = u32>>(tokens: I) -> TokenSet {
        let tokens: BTreeSet<u32> = tokens.into_iter().collect();
        let mut member = vec![false; tokens.last().map_or(0, |&last| last as usize + 1)];
        tokens.iter().for_each(|&token| member[token as usize] = true);
        TokenSet { tokens, member }
    }
}

impl TokenSet {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    fn has(&self, token: u32) -> bool {
        self.member.get(token as usize).copied().unwrap_or(false)
    }
}

impl DecoderRow<'_> {
    /// Y[source, token].
    pub(super) fn weight(&self, token: u32) -> f64 {
        self.values[self.columns.of(token)]
    }

    /// Σ of Y[source, token] over a set of tokens below M.
    pub(super) fn sum(&self, set: &TokenSet) -> f64 {
        match self.columns {
            Columns::All(_) => set.tokens.iter().map(|&token| self.weight(token)).sum(),
            Columns::Shared(own, _) => {
                let inside = own.iter().zip(self.values).filter(|(token, _)| set.has(**token));
                let (sum, count) =
                    inside.fold((0.0, 0), |(sum, n), (_, value)| (sum + value, n + 1));
                let others = set.len() - count;
                if others == 0 { sum } else { sum + others as f64 * self.values[own.len()] }
            }
        }
    }
}
