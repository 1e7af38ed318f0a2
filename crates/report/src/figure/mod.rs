//! The paper's figures, composed of the parts in [`crate::plot`].

mod effective_weights;
mod loss_curves;

pub use effective_weights::{EffectiveWeights, WeightPanel, effective_weights};
pub use loss_curves::{LossCurves, loss_curves};

use crate::plot::{Drawing, grid};
use crate::tables::Table;

/// A figure, drawn: one block a variant (such as free head, tied head).
#[derive(Clone, Debug)]
pub struct Figure {
    /// Stem of its files: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// A short title.
    pub title: String,
    /// What is drawn, and what to see in it.
    pub caption: String,
    /// What it shows, in words, for those who cannot see it.
    pub alt: String,
    /// The numbers drawn.
    pub table: Table,
    blocks: Vec<Drawing>,
    whole: Drawing,
}

/// Between blocks that stand side by side, in user units.
const BLOCK_GAP: f64 = 28.0;
/// Around a figure in its file, in user units.
const MARGIN: f64 = 14.0;

impl Figure {
    /// The figure as an SVG file: its variants side by side, on white.
    pub fn to_svg(&self) -> String {
        self.whole.to_file(&self.title, &self.alt)
    }

    /// The figure's variants as `<svg>` elements for HTML, each complete in itself, so that a
    /// narrow page can set them below each other.
    pub(crate) fn inline_blocks(&self) -> impl Iterator<Item = String> {
        self.blocks.iter().map(|block| block.to_inline(&self.title, &self.alt))
    }
}

/// The file's form of a figure whose variants are `blocks`.
fn side_by_side(blocks: Vec<Drawing>) -> Drawing {
    let columns = blocks.len();
    grid::margin(grid::arrange(blocks, columns, (BLOCK_GAP, 0.0)), MARGIN)
}
