//! The drawing layer: small parts that figures are composed of.
//!
//! A part draws itself into a [`Drawing`], a sized group of SVG elements; [`grid`] lays drawings
//! out beside each other. Colours are [`theme`] roles, so that a page can restyle a figure that it
//! holds inline (dark mode) while the file on disk stands alone.
//!
//! Why not a plotting crate: `plotters` knows neither direct labels nor embedded images, and
//! measures text with system fonts; `kuva` draws a heatmap as one rectangle a cell with a colour
//! bar for every panel. What is left (ticks, a path, a band) is shorter than bending them.
//! Element trees and escaping are the crate `svg`'s, colour scales `colorous`'s.

pub mod apart;
pub mod axes;
pub mod canvas;
pub mod colorbar;
pub mod curves;
pub mod drawing;
pub mod film;
pub mod grid;
pub mod heatmap;
pub mod level;
pub mod marker;
pub mod multiples;
pub mod scale;
pub mod theme;

pub use canvas::{Canvas, PartWidth};
pub use drawing::Drawing;
