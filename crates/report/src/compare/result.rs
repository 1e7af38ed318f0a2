//! The results of comparisons as data, for scripts and for the page.

use serde::Serialize;
use serde_json::{Value, json};

use super::file::Response;
use super::row::Row;
use super::{side_effects, verdict};

/// The results of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonResult {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The seeds of every intervention.
    pub seeds: Vec<u64>,
    /// Those of its tasks that were asked for.
    pub tasks: Vec<TaskResult>,
}

/// The results of a task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskResult {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The question or the finding.
    pub claim: String,
    /// The number that the task is drawn over, if any.
    #[serde(skip)]
    pub response: Option<Response>,
    /// The baseline and its interventions, the best first.
    pub rows: Vec<Row>,
}

impl ComparisonResult {
    /// Published directions of effect: how many came out as published, of how many that can be
    /// told.
    pub fn reproduced(&self) -> (usize, usize) {
        let rows = self.tasks.iter().flat_map(|task| &task.rows);
        let told = rows.filter_map(|row| row.published?.reproduced);
        told.fold((0, 0), |(held, all), reproduced| (held + usize::from(reproduced), all + 1))
    }
}

/// `summary.json`, and what `compare --json` prints.
pub fn json(results: &[&ComparisonResult]) -> Value {
    let (mut held, mut all) = (0, 0);
    for (own, of) in results.iter().map(|result| result.reproduced()) {
        (held, all) = (held + own, all + of);
    }
    let claims: Vec<Value> = results.iter().flat_map(|result| claims(result)).collect();
    json!({
        "version": retrodict_lab::VERSION,
        "commit": retrodict_lab::COMMIT.unwrap_or_default(),
        "interval": {
            "level": retrodict_lab::bootstrap::LEVEL,
            "method": "hierarchical percentile bootstrap over seeds and questions, paired with \
                       the baseline; exact binomial where all or none are right; over seeds alone \
                       where a run has no outcomes of questions",
            "correction": "Holm, over all rows that are drawn together",
        },
        "thresholds": {
            "significant": verdict::SIGNIFICANT,
            "chance_rank": verdict::CHANCE_RANK,
            "answers_whole": verdict::WHOLE,
            "blind_swaps_above": side_effects::BLIND_SWAPS,
            "forward_and_control_below": side_effects::KEPT,
        },
        "claims": claims,
        "reproduced": held,
        "told": all,
        "comparisons": results,
    })
}

/// Each published direction of effect with what was measured.
fn claims(result: &ComparisonResult) -> Vec<Value> {
    let of_task = |task: &TaskResult| {
        let claim = |row: &Row| {
            let (published, words) = (row.published?, row.intervention.as_ref()?);
            Some(json!({
                "id": format!("{}.{}.{}", result.name, task.id, row.id),
                "claim": format!("{}: {}", row.name, published.words()),
                "source": words.source,
                "value": row.reverse_accuracy().mean,
                "values": row.reverse_accuracy().values,
                "verdict": row.verdict,
                "holds": published.reproduced,
            }))
        };
        task.rows.iter().filter_map(claim).collect::<Vec<_>>()
    };
    result.tasks.iter().flat_map(of_task).collect()
}
