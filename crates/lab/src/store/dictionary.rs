//! `docs/store.md`: the dictionary of everything that a run writes.

use std::fmt::Write as _;

use retrodict_dynamics::Answers;

use crate::measures::{Better, MEASURES, Measure, Value, When};

/// The files of a run's folder.
const FILES: &[[&str; 2]] = &[
    ["`spec.toml`", "The whole spec, every default filled in."],
    ["`manifest.json`", "The program, the machine, times, and how the run ended."],
    ["`metrics.parquet`", "One row an epoch."],
    ["`answers.json`", "How the trained model answers; complete runs only."],
    ["`probes/<name>/epoch-<n>.safetensors`", "Matrices measured after epoch n (six digits)."],
    [
        "`checkpoints/step-<n>/`",
        "`config.json`, `model.safetensors`, `optimizer.safetensors` and `state.json` after n steps.",
    ],
    ["`COMPLETE`", "Written last: a run without it is not complete."],
];

/// The tensors of probes: probe, tensor, shape, type, content.
const PROBES: &[[&str; 5]] = &[
    [
        "`effective_weights`",
        "`<group>`",
        "`[queries, queries]`",
        "f32",
        "The logit of each candidate (column) after each source entity (row) alone, as in the paper.",
    ],
    [
        "`effective_weights`",
        "`<group>.in_context`",
        "`[queries, queries]`",
        "f32",
        "The same after the source entity and the relation token.",
    ],
    [
        "`effective_weights`",
        "`<group>.rows`",
        "`[queries]`",
        "f64",
        "Token ids of the rows of both matrices: the source entities.",
    ],
    [
        "`effective_weights`",
        "`<group>.columns`",
        "`[queries]`",
        "f64",
        "Token ids of the columns of both matrices: the right answers, in the order of the rows.",
    ],
    [
        "`embedding_cosines`",
        "`embeddings`",
        "`[tokens, dim]`",
        "f32",
        "Embeddings of the entity tokens, and after them of the relation tokens. Early versions \
         have instead `cosines`, `[tokens, tokens]`, of at most 100 entity tokens.",
    ],
    [
        "`embedding_cosines`",
        "`tokens`",
        "`[tokens]`",
        "f64",
        "Token ids of the rows of `embeddings`.",
    ],
    [
        "`embedding_cosines`",
        "`mean_absolute_off_diagonal`",
        "`[]`",
        "f64",
        "The mean of |cosine| over all pairs of entity tokens; NaN where there is none.",
    ],
];

/// The fields of `manifest.json`.
const MANIFEST: &[[&str; 2]] = &[
    ["version", "The version of the program."],
    ["commit", "The commit it was built from, abbreviated; null if not known."],
    ["experiment", "The name of the spec."],
    ["spec_hash", "The hash of everything in the spec that decides the numbers."],
    [
        "parts",
        "Where more than one program or instruction set made the run: the step from which each did.",
    ],
    ["precision", "`f32`, `bf16` or `f64`."],
    ["seeds", "The seeds of the run's streams of random numbers, derived from the run's seed."],
    ["machine", "Processor, cores, instruction set, operating system."],
    ["start", "When the run was started, UTC."],
    ["end", "When it ended, UTC; null while it runs."],
    ["wall_seconds", "Seconds of training, over all parts of a resumed run."],
    ["ms_per_step", "Milliseconds a training step took on average; null before any."],
    ["status", "`running`, `complete`, `diverged`, `failed` or `interrupted`."],
    ["last_step", "Steps taken."],
    ["message", "Why the run is not complete; null if it is."],
    ["seal", "SHA-256 of the text before it."],
];

/// The documentation of a field of `answers.json`.
fn of_answer(field: &str) -> Option<&'static str> {
    match field {
        "chance" => Some("The accuracy of a guess among the candidates: the mean of 1/n."),
        "chance_of_type" => Some("The same among all entities of the type."),
        measure => Some(Measure::find(measure).ok()?.doc),
    }
}

fn table<const N: usize>(text: &mut String, header: [&str; N], rows: &[[String; N]]) {
    let _ = writeln!(text, "| {} |\n|{}", header.join(" | "), "---|".repeat(N));
    for row in rows {
        let cells = row.each_ref().map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

fn owned<const N: usize>(rows: &[[&str; N]]) -> Vec<[String; N]> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

fn named(rows: &[[&str; 2]]) -> Vec<[String; 2]> {
    rows.iter().map(|[name, doc]| [format!("`{name}`"), (*doc).to_owned()]).collect()
}

/// The text of `docs/store.md`.
pub fn dictionary() -> String {
    let mut text = "# The run store\n\nGenerated from the program: `UPDATE_DOCS=1 cargo test -p \
        retrodict-lab --test docs` rewrites it.\n\nEvery run has a folder of its own, \
        `OUT/runs/<experiment>/<spec hash>/seed-<n>/`. Every file appears whole or not at all. Each but \
        `spec.toml` says which run it belongs to (spec hash, seed, precision) and which program \
        wrote it (version, commit, instruction set), and holds a SHA-256 of its content: \
        `metrics.parquet` and probes under `retrodict` in their metadata, `answers.json` under \
        `run` and `seal`, checkpoints in `state.json`. Files of early versions do not.\n\n"
        .to_owned();
    table(&mut text, ["file", "content"], &owned(FILES));

    text.push_str(
        "## Packed runs\n\nThe runs of a sweep have no folders. Each process appends them to a \
        segment of its own, `OUT/segments/<time>-<host>-<process>-<n>.runs`: one line of JSON (the \
        keys of the first run's spec, the ids of the measures) with its SHA-256, then one record a \
        run. A record is three little-endian lengths (u32 of the header, u32 of the measures, u64 \
        of the body), the header (JSON: experiment, hash, seed, status, last epoch and step, the \
        keys that differ from the first line's), the measures as f64 (0x7ff8dead00000000 is a \
        missing one), the SHA-256 of all that, the body (raw deflate: one line of JSON with the \
        names and lengths of the files, then the files of the table above), and the SHA-256 of the \
        body. Of several records of a run the complete one counts, or else the last. A segment \
        whose process has ended has an index, `.heads`: everything of every record but the body, \
        and a SHA-256. `retrodict store export` writes packed runs as folders.\n\n",
    );
    text.push_str(
        "## Columns of `metrics.parquet`\n\nAfter a seal in the first bytes that readers \
        of Parquet skip. Optional columns are empty where they do not apply; a file of an earlier \
        version may lack them.\n\n",
    );
    let mut rows = vec![
        ["`epoch`", "int64", "count", "The epoch, counted from 1."].map(str::to_owned),
        ["`step`", "int64", "count", "Steps taken when it ended."].map(str::to_owned),
    ];
    for measure in Measure::of_epochs() {
        let required = matches!(measure.value, Value::Epoch { when: When::Always, .. });
        let kind = if required { "double" } else { "double, optional" };
        rows.push([
            format!("`{}`", measure.id),
            kind.to_owned(),
            measure.unit.word().to_owned(),
            measure.doc.to_owned(),
        ]);
    }
    table(&mut text, ["column", "type", "unit", "content"], &rows);

    text.push_str(
        "## Tensors of probes\n\nA group is a set of queries of the data set, such as \
        `held_out_unseen`. Files of earlier versions lack `.rows` and `.columns`; the other \
        tensors are the same bytes, so a digest over them still matches.\n\n",
    );
    table(&mut text, ["probe", "tensor", "shape", "type", "content"], &owned(PROBES));

    text.push_str("## Fields of `answers.json`\n\nNull where a data set has no such question.\n\n");
    let answers = serde_json::to_value(Answers::default()).unwrap_or_default();
    let fields = answers.as_object().into_iter().flat_map(|fields| fields.keys());
    let fields: Vec<[String; 2]> = fields
        .map(|field| [format!("`{field}`"), of_answer(field).unwrap_or_default().to_owned()])
        .collect();
    table(&mut text, ["field", "content"], &fields);
    text.push_str(
        "`by_question` has the outcomes of single questions, in one order for all runs on a data \
        set, under the measure that is their mean: `held_out_nll`, `held_out_top1`, \
        `rank_held_out`, `rank_type`, `forward_top1`, `control_top1`, `blind_swap_rate`, \
        `spurious_rate` and `one_way_top1`, where there are such questions. Files of earlier \
        versions lack some or all.\n\n",
    );

    text.push_str("## Fields of `manifest.json`\n\n");
    table(&mut text, ["field", "content"], &named(MANIFEST));

    text.push_str(
        "## Measures\n\nThe ids of `run --json` and of claims. Those of an epoch are the \
        last epoch's.\n\n",
    );
    let rows: Vec<[String; 5]> = MEASURES
        .iter()
        .map(|measure| {
            let better = match measure.better {
                Better::Higher => "higher",
                Better::Lower => "lower",
                Better::Neither => "–",
            };
            let when = match measure.value {
                Value::Epoch { .. } => "epoch",
                Value::Run(_) => "end of run",
            };
            let cells = [measure.unit.word(), better, when, measure.doc].map(str::to_owned);
            let [unit, better, when, doc] = cells;
            [format!("`{}`", measure.id), unit, better, when, doc]
        })
        .collect();
    table(&mut text, ["measure", "unit", "better", "measured", "content"], &rows);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_answers_is_undocumented() {
        let answers = serde_json::to_value(Answers::default()).unwrap();
        for field in answers.as_object().unwrap().keys() {
            assert!(of_answer(field).is_some(), "{field}");
        }
    }
}
