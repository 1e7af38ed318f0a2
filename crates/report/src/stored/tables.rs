//! The paper's tables, made from the specs and data sets that ran.

use std::collections::BTreeSet;

use retrodict_facts::Dataset;
use retrodict_lab::spec::{Spec, ready};

use super::Stored;
use crate::paper::{PaperError, PaperFigure, Scale, Variant};
use crate::tables::Table;
use crate::{NamedTable, ReportError};

/// Notation, hyper-parameters and configurations; none where no figure of the paper is drawn.
pub(super) fn tables(
    drawn: &[(&PaperFigure, Vec<(&Variant, &Stored)>)],
) -> Result<Vec<NamedTable>, ReportError> {
    let all: Vec<(&PaperFigure, &Variant, &Stored)> = drawn
        .iter()
        .flat_map(|(figure, found)| found.iter().map(move |(v, s)| (*figure, *v, *s)))
        .filter(|(_, variant, _)| !variant.film)
        .collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    // One a kind of data: the first that a figure shows.
    let mut kinds: Vec<&Stored> = Vec::new();
    for (_, _, stored) in &all {
        if kinds.iter().all(|other| kind(other) != kind(stored)) {
            kinds.push(stored);
        }
    }
    Ok(vec![notation(&kinds)?, hyper_parameters(&kinds)?, configurations(&all)?])
}

fn kind(stored: &Stored) -> String {
    stored.experiment.spec.data.kind.word().to_owned()
}

fn first_dataset(stored: &Stored) -> Result<(u64, Dataset), ReportError> {
    let seed = stored.runs.first().map_or(0, |run| run.seed);
    Ok((seed, stored.experiment.dataset(seed)?))
}

/// Table 1: what stands for what, each with a sentence that was trained on or held out.
fn notation(kinds: &[&Stored]) -> Result<NamedTable, ReportError> {
    let mut table = Table::new(&["data", "notation", "meaning", "example", "sentences"]);
    for stored in kinds {
        let (seed, data) = first_dataset(stored)?;
        let mut row = |notation: &str, meaning: &str, example: String, count: usize| {
            let count = if count == 0 { String::new() } else { count.to_string() };
            let cells = [&kind(stored), notation, meaning, &example, &count].map(str::to_owned);
            table.rows.push(cells.to_vec());
        };
        let relations: &[(&str, &str)] = match (data.groups.is_empty(), data.chains(true).is_some())
        {
            (true, _) => &[
                ("→", "forward relation"),
                ("←", "backward relation"),
                ("⇔", "between the two sentences of a context"),
            ],
            (_, true) => &[("→", "direct implication"), ("⇝", "indirect implication")],
            _ => &[("→", "forward relation"), ("←", "backward relation")],
        };
        for (token, (sign, meaning)) in relations.iter().enumerate() {
            row(sign, meaning, format!("token {token}"), 0);
        }
        for group in &data.groups {
            let Some(query) = group.queries.first() else { continue };
            let question = query.question();
            let sentence: Vec<String> =
                question.context.iter().chain(&question.answer).map(u32::to_string).collect();
            row(group.role.sign(), group.name(), sentence.join(" "), group.queries.len());
        }
        if data.groups.is_empty() {
            for (name, sentences) in [("trained", &data.train), ("held-out", &data.held_out)] {
                let Some(first) = sentences.first() else { continue };
                let words: Vec<String> = first.iter().map(u32::to_string).collect();
                row("x → y ⇔ y ← x", name, words.join(" "), sentences.len());
            }
        }
        row("seed", "of the examples", seed.to_string(), 0);
    }
    Ok(NamedTable {
        name: "table1".into(),
        title: "Table 1: notation".into(),
        table,
        note: "Relation tokens, and the first sentence of each kind in the data sets that ran."
            .into(),
    })
}

/// A key of a spec with its value as a table prints it.
type Setting = (String, String);

fn settings(spec: &Spec) -> Vec<Setting> {
    let lines = spec.lines().into_iter();
    let lines = lines.filter(|line| line.key != "name" && line.key != "seeds");
    lines.map(|line| (line.path(), line.value.trim_matches('"').to_owned())).collect()
}

fn value<'s>(settings: &'s [Setting], key: &str) -> &'s str {
    settings.iter().find(|(other, _)| other == key).map_or("", |(_, value)| value)
}

/// Table 2: every key of the specs, two columns a kind of data: as it ran, and the paper's.
fn hyper_parameters(kinds: &[&Stored]) -> Result<NamedTable, ReportError> {
    let mut header = vec!["key".to_owned()];
    let mut columns: Vec<Vec<Setting>> = Vec::new();
    for stored in kinds {
        let kind = kind(stored);
        columns.push(settings(&stored.experiment.spec));
        let name = format!("{kind}-{}", Scale::Paper.word());
        // Data kinds of ours have no spec of the paper.
        if let Ok(text) = ready(&name) {
            let mut paper = settings(&Spec::parse(text, &name).map_err(PaperError::from)?);
            // How often we measure and save says nothing of the paper.
            paper.retain(|(key, _)| !key.starts_with("probe.") && !key.starts_with("checkpoint."));
            columns.push(paper);
            header.extend([kind.clone(), format!("{kind} (paper)")]);
        } else {
            header.push(kind);
        }
    }
    let mut seen = BTreeSet::new();
    let keys: Vec<&String> =
        columns.iter().flatten().map(|(key, _)| key).filter(|key| seen.insert(*key)).collect();
    // A key whose values are all empty, such as a list, says nothing.
    let says = |key: &&String| {
        columns.iter().any(|column| !matches!(value(column, key), "" | "[]" | "{}"))
    };
    let rows = keys.into_iter().filter(says).map(|key| {
        let mut row = vec![key.clone()];
        row.extend(columns.iter().map(|column| value(column, key).to_owned()));
        row
    });
    Ok(NamedTable {
        name: "table2".into(),
        title: "Table 2: hyper-parameters".into(),
        table: Table { header, rows: rows.collect() },
        note: "Every key that is set in the first spec of each kind of data, as it ran, and beside \
               it as the paper's code ran; a sweep changes what its figure says. The paper's own table gives \
               a weight decay of 0.9, which its code never passed on."
            .into(),
    })
}

/// The columns of table 3 that the paper's scale has too, and their keys.
const COMPARED: [(&str, &str); 8] = [
    ("layers", "model.layers"),
    ("heads", "model.heads"),
    ("dim", "model.dim"),
    ("weight_decay", "train.weight_decay"),
    ("dropout", "model.dropout"),
    ("learning_rate", "train.lr"),
    ("batch_size", "train.batch_size"),
    ("epochs", "train.epochs"),
];

/// Table 3: every configuration that a figure shows, beside the paper's.
fn configurations(all: &[(&PaperFigure, &Variant, &Stored)]) -> Result<NamedTable, ReportError> {
    let mut header: Vec<String> = [
        "figure",
        "setting",
        "data",
        "vocabulary",
        "entity_length",
        "position",
        "embeddings",
        "head",
        "loss_on",
    ]
    .map(str::to_owned)
    .to_vec();
    header.extend(
        COMPARED.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}_paper")]),
    );
    header.extend(["seeds", "seeds_paper", "spec_hash"].map(str::to_owned));
    let mut table = Table { header, rows: Vec::new() };
    for (figure, variant, stored) in all {
        let own = settings(&stored.experiment.spec);
        let of_paper = figure.source.starts_with("paper, ")
            && variant.only.is_none_or(|only| only == Scale::Paper)
            && !stored.tied();
        let paper = match of_paper {
            true => settings(&variant.experiment(Scale::Paper, Some(1))?.spec),
            false => Vec::new(),
        };
        let word = |key: &str, yes: &str, no: &str| match value(&own, key) {
            "true" => yes.to_owned(),
            "false" => no.to_owned(),
            _ => String::new(),
        };
        let mut row = vec![
            figure.name.clone(),
            variant.label.clone(),
            kind(stored),
            stored.experiment.network.vocab().to_string(),
            stored.experiment.objective.entity_length.to_string(),
            value(&own, "model.position").to_owned(),
            word("model.freeze_embeddings", "frozen", "learned"),
            word("model.tie_head", "tied", "free"),
            value(&own, "train.loss_on").to_owned(),
        ];
        row.extend(
            COMPARED
                .iter()
                .flat_map(|(_, key)| [value(&own, key), value(&paper, key)].map(str::to_owned)),
        );
        let paper_seeds = if of_paper { PAPER_SEEDS } else { "" };
        row.extend([
            stored.runs.len().to_string(),
            paper_seeds.to_owned(),
            stored.experiment.hash.to_string()[..8].to_owned(),
        ]);
        table.rows.push(row);
    }
    Ok(NamedTable {
        name: "table3".into(),
        title: "Table 3: configurations".into(),
        table,
        note: "Every experiment of every figure, read from its spec in the store, and beside its \
               sizes those of the paper's run of the same setting, where there is one; `spec_hash` \
               is the beginning of its folder's name. The vocabulary counts the relation tokens."
            .into(),
    })
}

/// The paper's curves are means over as many.
pub(super) const PAPER_SEEDS: &str = "10";
