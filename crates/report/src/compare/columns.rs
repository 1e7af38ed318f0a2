//! The table as CSV: one line an intervention, every number in full.

use super::result::ComparisonResult;
use super::row::{Measured, Row};
use crate::tables::{Table, cell};

/// The measures with an interval: what the columns are called, and where they are.
type Column = (&'static str, fn(&Row) -> &Measured);

const COLUMNS: [Column; 8] = [
    ("reverse_accuracy", |row| &row.reverse_accuracy),
    ("reverse_nll", |row| &row.reverse_nll),
    ("reverse_among_candidates", |row| &row.reverse_among_candidates),
    ("forward_accuracy", |row| &row.forward_accuracy),
    ("control_accuracy", |row| &row.control_accuracy),
    ("blind_swap_rate", |row| &row.blind_swap_rate),
    ("echo_rate", |row| &row.echo_rate),
    ("train_nll", |row| &row.train_nll),
];

/// All tasks below each other.
pub(super) fn table(result: &ComparisonResult) -> Table {
    let mut table =
        Table::new(&["task", "rank", "id", "name", "family", "verdict", "seeds", "seeds_asked"]);
    for (name, _) in COLUMNS {
        table.header.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
    }
    let last = [
        "chance",
        "tokens_an_epoch",
        "extra_tokens",
        "seconds_to_reach",
        "wall_seconds",
        "expected",
        "reproduced",
        "spec_hash",
    ];
    table.header.extend(last.map(str::to_owned));
    for task in &result.tasks {
        table.rows.extend(task.rows.iter().map(|row| cells(&task.id, row)));
    }
    table
}

fn cells(task: &str, row: &Row) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(String::new, cell);
    let mut cells = vec![
        task.to_owned(),
        row.rank.to_string(),
        row.id.clone(),
        row.name.clone(),
        row.family.map_or_else(String::new, |family| family.word().to_owned()),
        row.words().to_owned(),
        row.seeds.to_string(),
        row.seeds_asked.to_string(),
    ];
    for (_, of) in COLUMNS {
        let measured = of(row);
        cells.extend([measured.mean, measured.low, measured.high].map(number));
    }
    let rest = [
        row.chance,
        row.tokens_an_epoch.mean,
        row.extra_tokens,
        row.seconds_to_reach.mean,
        row.wall_seconds.mean,
    ];
    cells.extend(rest.map(number));
    let word = |expect| match expect {
        super::Expect::Helps => "helps".to_owned(),
        super::Expect::Fails => "fails".to_owned(),
    };
    cells.push(row.published.map_or_else(String::new, |published| word(published.expect)));
    let reproduced = row.published.and_then(|published| published.reproduced);
    cells.push(reproduced.map_or_else(String::new, |reproduced| reproduced.to_string()));
    cells.push(row.spec_hash.clone());
    cells
}
