//! The measures that interventions are compared by, and the table as CSV: one line an intervention,
//! every number in full.

use retrodict_lab::Measure;
use retrodict_lab::measures::Unit;

use super::result::ComparisonResult;
use super::row::{Measured, Row};
use super::verdict::Difference;
use crate::tables::{Table, cell};
use crate::text;

/// A measure that interventions are compared by.
pub(super) struct Column {
    /// Its key in JSON, and its column in the CSV file.
    pub(super) id: &'static str,
    pub(super) measure: &'static Measure,
    /// The heading in the page's table; empty leaves it out there.
    pub(super) heading: &'static str,
    /// Its name in an intervention's own section of the page, without the unit.
    name: &'static str,
}

/// The id of the column that ranks interventions, discounted by side effects.
pub(super) const REVERSE_ACCURACY: &str = "reverse_accuracy";
/// The id of the column that ranks those of one accuracy and one rank.
pub(super) const REVERSE_NLL: &str = "reverse_nll";
/// The id of the column that ranks those that answer alike.
pub(super) const RANK_HELD_OUT: &str = "rank_held_out";
/// The id of the rate of blind swaps.
pub(super) const BLIND_SWAP_RATE: &str = "blind_swap_rate";
/// The id of the trained facts without a reverse.
pub(super) const CONTROL_ACCURACY: &str = "control_accuracy";
/// The id of the trained side of the same facts.
pub(super) const FORWARD_ACCURACY: &str = "forward_accuracy";

/// The measures of a comparison, one entry each: JSON, CSV and page read them here.
pub(super) const COLUMNS: [Column; 14] = [
    Column {
        id: REVERSE_ACCURACY,
        measure: Measure::named("held_out_top1"),
        heading: "Reverse accuracy",
        name: "Reverse accuracy",
    },
    Column {
        id: RANK_HELD_OUT,
        measure: Measure::named("rank_held_out"),
        heading: "Rank, held-out",
        name: "Rank among the held-out answers (0.5 is chance)",
    },
    Column {
        id: "rank_type",
        measure: Measure::named("rank_type"),
        heading: "Rank, type",
        name: "Rank in the type (0.5 is chance)",
    },
    Column {
        id: "reverse_among_candidates",
        measure: Measure::named("top1_among_held_out"),
        heading: "First among candidates",
        name: "Right answer first among candidates",
    },
    Column {
        id: FORWARD_ACCURACY,
        measure: Measure::named("forward_top1"),
        heading: "Forward accuracy",
        name: "Forward accuracy",
    },
    Column {
        id: CONTROL_ACCURACY,
        measure: Measure::named("control_top1"),
        heading: "Control accuracy",
        name: "Control accuracy",
    },
    Column {
        id: BLIND_SWAP_RATE,
        measure: Measure::named("blind_swap_rate"),
        heading: "Blind swaps",
        name: "Blind swaps",
    },
    Column {
        id: "echo_rate",
        measure: Measure::named("echo_rate"),
        heading: "Echoes",
        name: "Answered with the question's own entity",
    },
    Column {
        id: "spurious_rate",
        measure: Measure::named("spurious_rate"),
        heading: "Spurious answers",
        name: "Spurious answers: the partner, where no sentence answers",
    },
    Column {
        id: "one_way_accuracy",
        measure: Measure::named("one_way_top1"),
        heading: "Relation said one way",
        name: "Reverse accuracy of the relation said one way",
    },
    Column {
        id: "direction_similarity",
        measure: Measure::named("direction_similarity"),
        heading: "Similarity of directions",
        name: "Similarity of the two directions (1 is one representation)",
    },
    Column {
        id: "direction_probe",
        measure: Measure::named("direction_probe_top1"),
        heading: "",
        name: "Reverse read from the seen direction by a linear probe",
    },
    Column {
        id: REVERSE_NLL,
        measure: Measure::named("held_out_nll"),
        heading: "Reverse NLL",
        name: "Reverse NLL",
    },
    Column {
        id: "train_nll",
        measure: Measure::named("train_nll"),
        heading: "",
        name: "Training NLL",
    },
];

impl Column {
    /// The name with the unit, where it has one.
    pub(super) fn name_with_unit(&self) -> String {
        match self.measure.unit {
            Unit::Nats => format!("{} (nats)", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Whether it is the fraction of questions that are answered in some way.
    pub(super) fn is_rate(&self) -> bool {
        self.measure.unit == Unit::Fraction && !self.id.starts_with("rank")
    }

    /// Mean and interval as the page shows them.
    pub(super) fn shown(&self, measured: &Measured) -> String {
        let interval = measured.low.zip(measured.high);
        match self.measure.unit {
            Unit::Fraction => text::share_and_interval(measured.mean, interval),
            _ => text::mean_and_interval(measured.mean, interval),
        }
    }
}

/// All tasks below each other.
pub(super) fn table(result: &ComparisonResult) -> Table {
    let mut table = Table::new(&[
        "task",
        "rank",
        "id",
        "name",
        "family",
        "verdict",
        "seeds",
        "seeds_asked",
        "discounted_accuracy",
        "p_accuracy_corrected",
        "p_rank_corrected",
    ]);
    for Column { id: name, .. } in COLUMNS {
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
        row.words(),
        row.seeds.to_string(),
        row.seeds_asked.to_string(),
    ];
    let p = |difference: Option<Difference>| difference.map(|of| of.p_corrected);
    let judged = [row.discounted_accuracy, p(row.accuracy_difference), p(row.rank_difference)];
    cells.extend(judged.map(number));
    for Column { id, .. } in COLUMNS {
        let measured = row.measured(id);
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
