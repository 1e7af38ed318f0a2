//! The room that a figure is drawn for.

use super::heatmap::Colors;

/// The room that a figure is drawn for, and the colours of its heatmaps.
#[derive(Clone, Copy, Debug)]
pub struct Canvas {
    /// In user units; as wide as the figure needs, if not given.
    pub width: Option<f64>,
    /// The height of a page, in user units.
    pub page: f64,
    /// Of quantities without a middle.
    pub sequential: Colors,
    /// Of quantities with a sign.
    pub diverging: Colors,
}

/// A page of 9 inches, in user units of ¾ point.
const PAGE: f64 = 864.0;

impl Default for Canvas {
    fn default() -> Self {
        Self {
            width: None,
            page: PAGE,
            sequential: Colors::SEQUENTIAL,
            diverging: Colors::DIVERGING,
        }
    }
}

/// How wide a part of a figure can be, in user units.
#[derive(Clone, Copy, Debug)]
pub struct PartWidth {
    /// Below this it cannot be read.
    pub least: f64,
    /// Where there is no limit.
    pub natural: f64,
    /// More is of no use.
    pub most: f64,
}

impl Canvas {
    /// Arranges `count` parts, at most `columns` beside each other with `gap` between them, `besides`
    /// for what stands there once. Returns the number of columns and the width of a part.
    pub fn arrange(
        &self,
        count: usize,
        columns: usize,
        part: PartWidth,
        gap: f64,
        besides: f64,
    ) -> (usize, f64) {
        let columns = columns.clamp(1, count.max(1));
        let Some(width) = self.width else { return (columns, part.natural) };
        let room = width - besides;
        let fit = (((room + gap) / (part.least + gap)) as usize).clamp(1, columns);
        // Rows of equal length, where fewer columns make as many rows.
        let columns = if fit < columns { count.div_ceil(count.div_ceil(fit)) } else { columns };
        let each = (room - gap * (columns - 1) as f64) / columns as f64;
        (columns, each.min(part.most).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_width_in_equal_rows() {
        let part = PartWidth { least: 100.0, natural: 184.0, most: 300.0 };
        let of = |width, count| {
            Canvas { width, ..Canvas::default() }.arrange(count, 4, part, 10.0, 20.0)
        };
        assert_eq!(of(None, 7), (4, 184.0));
        assert_eq!(of(Some(480.0), 4), (4, 107.5));
        // Three fit, two make as many rows.
        assert_eq!(of(Some(400.0), 4), (2, 185.0));
        assert_eq!(of(Some(90.0), 4), (1, 70.0));
        assert_eq!(of(Some(900.0), 1), (1, 300.0));
    }
}
