//! Figures, tables and the self-contained HTML report.
//!
//! Plain data in, files out: [`figure`] draws, [`write()`] puts figures (SVG, PNG and PDF), tables
//! (CSV), `summary.json` and `index.html` into a directory. The page needs no network: figures,
//! styles and fonts are inside it.
//!
//! ```
//! use retrodict_report::{LossCurves, Nll, loss_curves};
//!
//! let figure = loss_curves(
//!     "fig1",
//!     "Reversal: loss curves",
//!     &[LossCurves {
//!         variant: "free head".into(),
//!         epochs: vec![1.0, 2.0, 3.0],
//!         first_token: Nll {
//!             train: vec![vec![6.7, 3.1, 0.2]],
//!             held_out: vec![vec![6.7, 6.6, 8.9]],
//!             uniform: 802f64.ln(),
//!             uniform_label: "ln 802".into(),
//!         },
//!         whole: None,
//!         questions: 60,
//!     }],
//! );
//! assert!(figure.to_svg().contains("uniform guessing, ln 802 = 6.69"));
//! ```

mod audit;
pub mod compare;
mod error;
pub mod figure;
mod finding;
mod finetune;
mod locate;
mod map;
mod missing;
mod page;
pub mod paper;
mod pdf;
pub mod plot;
mod raster;
mod redraw;
mod report;
mod stored;
pub mod style;
mod summary;
mod tables;
mod text;
mod theory;
mod transfer;
mod write;

pub use audit::write_audit;
pub use compare::{CompareError, write_comparisons};
pub use error::ReportError;
pub use figure::{
    Accuracies, Axes, Cosines, EffectiveWeights, Figure, LossCurves, Map, Nll, Panel, Series,
    SeriesKind, Way, WeightFrame, WeightPanel, accuracies, cosines, effective_weights, lines,
    loss_curves,
};
pub use finding::{HeadResult, reversal_finding};
pub use finetune::write_finetune;
pub use locate::{write_locate, write_model_locate};
pub use map::write_map;
pub use paper::{PaperError, PaperFigure, SEEDS, Scale, Variant, Wanted, experiments, figures};
pub use pdf::pdf;
pub use raster::png;
pub use redraw::Redraw;
pub use report::{
    Experiment, NamedTable, Opening, OpeningLinks, Part, Report, Section, SeedRow, Trained,
};
pub use stored::{Reproduction, from_store};
pub use style::{Style, StyleError};
pub use summary::{Claim, Comparator, Of};
pub use tables::Table;
pub use text::whole_seconds;
pub use theory::TheoryFigure;
pub use transfer::write_transfer;
pub use write::write;
