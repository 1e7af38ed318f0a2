//! Interventions compared: the effect of each on the reversal curse, over seeds, and its costs.
//!
//! A comparison is data: a TOML file with tasks, each a baseline and the spec keys that its
//! interventions change. The program's own lie under `compare/` of this crate; nothing here knows
//! any intervention by name. Runs go through the store as all others do, and the table, the
//! pictures and the page are drawn from it alone.

mod columns;
mod error;
mod file;
mod judge;
mod kept;
mod page;
mod plan;
mod published;
mod read;
mod result;
mod row;
mod select;
mod side_effects;
mod verdict;
mod write;

/// A comparison to begin with, with a comment on every field.
pub const EXAMPLE: &str = include_str!("../../compare/example.toml");

pub use error::CompareError;
pub use file::{Comparison, Expect, Family, Intervention, Task};
pub use kept::keep;
pub(crate) use kept::kept;
pub(crate) use plan::experiment_name;
pub use plan::{Planned, plan};
pub use published::Published;
pub use result::{ComparisonResult, TaskResult, json};
pub use row::{Measured, Row};
pub use select::{Selected, select, shipped};
pub use side_effects::{Effect, SideEffect};
pub use verdict::{Difference, Verdict};
pub use write::{Compared, write_comparisons};
