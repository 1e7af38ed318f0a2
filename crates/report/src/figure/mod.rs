//! The paper's figures, composed of the parts in [`crate::plot`].

mod accuracies;
mod asymmetry;
mod bars;
mod cosines;
mod effective_weights;
mod forward_reverse;
mod gains;
mod lines;
mod loss_curves;
mod map;
mod matrix;
mod recipes;
mod scatter;

pub use accuracies::{Accuracies, Way, accuracies};
pub use asymmetry::{FactDot, asymmetry};
pub use bars::{BarPanel, bars};
pub use cosines::{Cosines, cosines};
pub use effective_weights::{EffectiveWeights, WeightFrame, WeightPanel, effective_weights};
pub use forward_reverse::{Answered, Dot, forward_reverse};
pub use gains::{Gain, GainRow, gains};
pub use lines::{Axes, Panel, PanelRow, Series, SeriesKind, lines, lines_in_rows};
pub use loss_curves::{LossCurves, Nll, loss_curves};
pub use map::{Map, map};
pub(crate) use matrix::short;
pub use matrix::{MatrixPanel, matrices};
pub use recipes::{RecipeRow, recipes};
pub use scatter::{Named, scatter};

use std::fmt;
use std::sync::Arc;

use crate::Style;
use crate::plot::{Canvas, Drawing};
use crate::tables::Table;

/// A drawn figure: one block per variant (such as free head, tied head), or small multiples.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Stem of its files: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// A short title.
    pub title: String,
    /// The caption: its content, and the point to see.
    pub caption: String,
    /// Alternative text.
    pub alt: String,
    /// The numbers drawn.
    pub table: Table,
    /// For a page; they can stand below each other.
    blocks: Vec<Drawing>,
    /// For a narrow page, if `blocks` are too wide.
    narrow: Vec<Drawing>,
    /// The epochs of the film in `blocks`, ascending; see [`WeightFrame`].
    frames: Vec<u64>,
    /// For a file.
    whole: Whole,
}

/// Draws a figure for a file.
#[derive(Clone)]
struct Whole(Arc<dyn Fn(&Canvas) -> Drawing + Send + Sync>);

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole")
    }
}

/// The gap between blocks side by side, in user units.
const BLOCK_GAP: (f64, f64) = (28.0, 24.0);
/// A figure's words and numbers, to which a drawing is added.
struct Text {
    name: String,
    title: String,
    caption: String,
    alt: String,
    table: Table,
}

impl Figure {
    /// Of blocks for a page, and of a drawing of all for a file.
    fn of_blocks(
        text: Text,
        blocks: Vec<Drawing>,
        whole: impl Fn(&Canvas) -> Drawing + Send + Sync + 'static,
    ) -> Self {
        let Text { name, title, caption, alt, table } = text;
        let (narrow, frames, whole) = (Vec::new(), Vec::new(), Whole(Arc::new(whole)));
        Self { name, title, caption, alt, table, blocks, narrow, frames, whole }
    }

    /// Of one drawing for file and page, and of one with the same content for a narrow page.
    fn of_whole(
        text: Text,
        narrow: Drawing,
        whole: impl Fn(&Canvas) -> Drawing + Send + Sync + 'static,
    ) -> Self {
        let wide = whole(&Canvas { page: f64::INFINITY, ..Canvas::default() });
        Self { narrow: vec![narrow], ..Self::of_blocks(text, vec![wide], whole) }
    }

    /// The figure as an SVG file: its variants side by side, on white.
    pub fn to_svg(&self) -> String {
        self.styled(&Style::default())
    }

    /// The same in a style.
    pub fn styled(&self, style: &Style) -> String {
        style.file((self.whole.0)(&style.canvas()), &self.title, &self.alt)
    }

    /// The figure's parts as `<svg>` elements for HTML, each complete in itself, so that a narrow
    /// page can set them below each other.
    pub(crate) fn inline_blocks(&self) -> impl Iterator<Item = String> {
        self.blocks.iter().map(|block| block.to_inline(&self.title, &self.alt))
    }

    /// The same for a narrow page; none where [`Self::inline_blocks`] serve both.
    pub(crate) fn inline_narrow(&self) -> impl Iterator<Item = String> {
        self.narrow.iter().map(|block| block.to_inline(&self.title, &self.alt))
    }

    /// The epochs of the film in the inline form, ascending.
    pub(crate) fn frames(&self) -> &[u64] {
        &self.frames
    }
}
