//! From SVG to PNG. No fonts of the system are read: the same bytes on every machine.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::ReportError;

pub(crate) const INTER_REGULAR: &[u8] = include_bytes!("../assets/fonts/Inter-Regular-subset.otf");
pub(crate) const INTER_SEMIBOLD: &[u8] =
    include_bytes!("../assets/fonts/Inter-SemiBold-subset.otf");
/// The few signs Inter lacks, such as ⇝; taken for single glyphs only.
const SYMBOLS: &[u8] = include_bytes!("../assets/fonts/DejaVuSans-symbols.ttf");

/// Draws an SVG document as a PNG of `scale` pixels to the user unit.
///
/// # Errors
/// [`ReportError::Raster`] if the document is not SVG, or too large for memory.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, ReportError> {
    draw(&tree(svg, &fonts())?, scale)
}

/// Draws an SVG document as a small PNG that fits into `width` × `height` pixels.
///
/// # Errors
/// As [`png`].
pub(crate) fn thumbnail(tree: &Tree, width: f32, height: f32) -> Result<Vec<u8>, ReportError> {
    let (w, h) = (tree.size().width(), tree.size().height());
    draw(tree, (width / w).min(height / h).min(1.0))
}

/// An SVG document, its text laid out with the given fonts.
pub(crate) fn tree(svg: &str, fonts: &Arc<fontdb::Database>) -> Result<Tree, ReportError> {
    let fontdb = Arc::clone(fonts);
    let options = Options { fontdb, font_family: "Inter".into(), ..Options::default() };
    Tree::from_str(svg, &options).map_err(|e| ReportError::Raster(e.to_string()))
}

/// Draws a document as a PNG of `scale` pixels to the CSS pixel.
///
/// # Errors
/// As [`png`].
pub(crate) fn draw(tree: &Tree, scale: f32) -> Result<Vec<u8>, ReportError> {
    let size = tree
        .size()
        .to_int_size()
        .scale_by(scale)
        .ok_or_else(|| ReportError::Raster(format!("cannot be scaled by {scale}")))?;
    let mut pixmap = Pixmap::new(size.width(), size.height()).ok_or_else(|| {
        let (width, height) = (size.width(), size.height());
        ReportError::Raster(format!("{width} × {height} pixels are too many"))
    })?;
    resvg::render(tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|e| ReportError::Raster(e.to_string()))
}

/// The bundled fonts.
pub(crate) fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut fonts = fontdb::Database::new();
        load_fonts(&mut fonts);
        Arc::new(fonts)
    };
    Arc::clone(FONTS.get_or_init(load))
}

/// Adds the bundled fonts.
pub(crate) fn load_fonts(fonts: &mut fontdb::Database) {
    for data in [INTER_REGULAR, INTER_SEMIBOLD, SYMBOLS] {
        fonts.load_font_data(data.to_vec());
    }
}
