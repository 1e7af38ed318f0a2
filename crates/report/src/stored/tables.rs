//! The paper's tables, made from the specs and data sets that ran.

use std::collections::BTreeSet;

use retrodict_facts::Dataset;

use super::Stored;
use crate::paper::{PaperFigure, Variant};
use crate::tables::Table;
use crate::{NamedTable, ReportError};

/// Notation, hyper-parameters and configurations; none where no figure of the paper is drawn.
pub(super) fn tables(
    drawn: &[(&PaperFigure, Vec<(&Variant, &Stored)>)],
) -> Result<Vec<NamedTable>, ReportError> {
    let all: Vec<(&PaperFigure, &Variant, &Stored)> = drawn
        .iter()
        .flat_map(|(figure, found)| found.iter().map(move |(v, s)| (*figure, *v, *s)))
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
    Ok(vec![notation(&kinds)?, hyper_parameters(&kinds), configurations(&all)])
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
        let chain = data.groups.len() > 4;
        let relations: &[(&str, &str)] = match (data.groups.is_empty(), chain) {
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
            row(sign(group.id()), group.name(), sentence.join(" "), group.queries.len());
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

/// The paper's signs for a group of questions.
fn sign(group: &str) -> &'static str {
    match group {
        "train_forward" | "held_out_seen" => "A_i → B_i",
        "train_backward" | "held_out_unseen" => "B_i ← A_i",
        "train_a_to_b" | "held_out_a_to_b" => "A_i → B_i",
        "train_b_to_c" | "held_out_b_to_c" => "B_i → C_i",
        "train_a_to_c" | "held_out_a_to_c" => "A_i ⇝ C_i",
        _ => "",
    }
}

/// Table 2: every key of the specs, one column a kind of data.
fn hyper_parameters(kinds: &[&Stored]) -> NamedTable {
    let keys_of = |stored: &Stored| -> Vec<(String, String)> {
        let lines = stored.experiment.spec.lines().into_iter();
        let lines = lines.filter(|line| line.key != "name" && line.key != "seeds");
        lines.map(|line| (line.path(), line.value.trim_matches('"').to_owned())).collect()
    };
    let columns: Vec<Vec<(String, String)>> = kinds.iter().map(|stored| keys_of(stored)).collect();
    let mut header = vec!["key".to_owned()];
    header.extend(kinds.iter().map(|stored| kind(stored)));
    let mut seen = BTreeSet::new();
    let keys: Vec<&String> =
        columns.iter().flatten().map(|(key, _)| key).filter(|key| seen.insert(*key)).collect();
    let cell = |column: &[(String, String)], key: &str| {
        let found = column.iter().find(|(other, _)| other == key);
        found.map_or_else(String::new, |(_, value)| value.clone())
    };
    let rows = keys.into_iter().map(|key| {
        let mut row = vec![key.clone()];
        row.extend(columns.iter().map(|column| cell(column, key)));
        row
    });
    NamedTable {
        name: "table2".into(),
        title: "Table 2: hyper-parameters".into(),
        table: Table { header, rows: rows.collect() },
        note: "Every key of the first spec of each kind of data, as it ran; a sweep changes what \
               its figure says."
            .into(),
    }
}

/// Table 3: every configuration that a figure shows.
fn configurations(all: &[(&PaperFigure, &Variant, &Stored)]) -> NamedTable {
    let mut table = Table::new(&[
        "figure",
        "setting",
        "data",
        "vocabulary",
        "entity_length",
        "layers",
        "heads",
        "dim",
        "position",
        "embeddings",
        "head",
        "loss_on",
        "weight_decay",
        "dropout",
        "learning_rate",
        "epochs",
        "seeds",
        "spec_hash",
    ]);
    for (figure, variant, stored) in all {
        let lines = stored.experiment.spec.lines();
        let value = |key: &str| {
            let line = lines.iter().find(|line| line.path() == key);
            line.map_or_else(String::new, |line| line.value.trim_matches('"').to_owned())
        };
        let word = |key: &str, yes: &str, no: &str| match value(key).as_str() {
            "true" => yes.to_owned(),
            "false" => no.to_owned(),
            _ => String::new(),
        };
        table.rows.push(vec![
            figure.name.clone(),
            variant.label.clone(),
            kind(stored),
            stored.experiment.network.vocab().to_string(),
            stored.experiment.objective.entity_length.to_string(),
            value("model.layers"),
            value("model.heads"),
            value("model.dim"),
            value("model.position"),
            word("model.freeze_embeddings", "frozen", "learned"),
            word("model.tie_head", "tied", "free"),
            value("train.loss_on"),
            value("train.weight_decay"),
            value("model.dropout"),
            value("train.lr"),
            value("train.epochs"),
            stored.runs.len().to_string(),
            stored.experiment.hash.to_string()[..8].to_owned(),
        ]);
    }
    NamedTable {
        name: "table3".into(),
        title: "Table 3: configurations".into(),
        table,
        note: "Every experiment of every figure, read from its spec in the store; `spec_hash` is \
               the beginning of its folder's name. The vocabulary counts the relation tokens."
            .into(),
    }
}
