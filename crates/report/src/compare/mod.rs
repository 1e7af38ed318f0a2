//! Interventions compared: what each does to the reversal curse, over seeds, beside what it costs.
//!
//! A comparison is data: a TOML file with tasks, each a baseline and the spec keys that its
//! interventions change. The program's own lie under `compare/` of this crate; nothing here knows
//! any intervention by name. Runs go through the store as all others do, and the table, the
//! pictures and the page are drawn from it alone.

mod columns;
mod error;
mod file;
mod kept;
mod page;
mod plan;
mod read;
mod result;
mod row;
mod select;
mod verdict;
mod write;

pub use error::CompareError;
pub use file::{Comparison, Expect, Family, Intervention, Task};
pub use kept::keep;
pub(crate) use kept::kept;
pub(crate) use plan::experiment_name;
pub use plan::{Planned, plan};
pub use result::{ComparisonResult, TaskResult, json};
pub use row::{Measured, Row};
pub use select::{Selected, select, shipped};
pub use verdict::{By, Published, Verdict};
pub use write::{Compared, write_comparisons};
