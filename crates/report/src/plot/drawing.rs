//! A sized group of SVG elements, and the marks of figures.

use std::fmt::Write as _;

use svg::Node;
use svg::node::element::{
    Circle, Description, Group, Image, Line, Path, Polyline, Rectangle, SVG, Style as StyleSheet,
    Text, Title,
};

use super::theme::{Color, FONT_FAMILY, PAPER};

/// The look of an SVG file.
pub struct File<'a> {
    /// Width and height in points; a user unit is a CSS pixel, if not given.
    pub size: Option<(f64, f64)>,
    /// The list of font families.
    pub family: &'a str,
    /// Rules for the classes of colours, which outrank the colours of marks; may be empty.
    pub css: &'a str,
}

/// The position of a text relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The text starts at the point.
    Start,
    /// The text is centred on the point.
    Middle,
    /// The text ends at the point.
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// In user units.
    pub size: f64,
    /// Semi-bold instead of regular.
    pub strong: bool,
    /// Fill.
    pub color: Color,
    /// The part of the text at the point.
    pub anchor: Anchor,
    /// Rotated by 90° to the left, to be read upwards.
    pub upwards: bool,
}

impl Style {
    /// Regular, starting at its point, level.
    pub fn new(size: f64, color: Color) -> Self {
        Self { size, strong: false, color, anchor: Anchor::Start, upwards: false }
    }

    /// With another anchor.
    pub fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    /// In semi-bold.
    pub fn strong(self) -> Self {
        Self { strong: true, ..self }
    }

    /// Read upwards.
    pub fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }
}

/// A stroke.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// Its colour.
    pub color: Color,
    /// In user units.
    pub width: f64,
    /// Dashed instead of solid.
    pub dashed: bool,
}

impl Stroke {
    /// A solid stroke.
    pub fn solid(color: Color, width: f64) -> Self {
        Self { color, width, dashed: false }
    }

    /// A dashed stroke.
    pub fn dashed(color: Color, width: f64) -> Self {
        Self { color, width, dashed: true }
    }
}

/// An axis-parallel rectangle in user units; `y` grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// Right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// Lower edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// A group of marks with a size; the origin is its upper left corner.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// In user units.
    pub width: f64,
    /// In user units.
    pub height: f64,
    marks: Group,
}

impl Drawing {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, marks: Group::new() }
    }

    /// Puts another drawing into this one, its corner at (x, y).
    pub fn place(&mut self, x: f64, y: f64, part: Drawing) {
        let transform = format!("translate({} {})", px(x), px(y));
        self.marks.append(part.marks.set("transform", transform));
    }

    /// A line of text, its baseline at `y`.
    pub fn text(&mut self, x: f64, y: f64, content: &str, style: Style) {
        let mut text = Text::new(xml_text(content))
            .set("class", format!("fill-{}", style.color.name))
            .set("fill", style.color.light)
            .set("font-size", px(style.size));
        if style.upwards {
            let turn = format!("translate({} {}) rotate(-90)", px(x), px(y));
            text = text.set("transform", turn);
        } else {
            text = text.set("x", px(x)).set("y", px(y));
        }
        if style.strong {
            text = text.set("font-weight", 600);
        }
        match style.anchor {
            Anchor::Start => {}
            Anchor::Middle => text = text.set("text-anchor", "middle"),
            Anchor::End => text = text.set("text-anchor", "end"),
        }
        self.marks.append(text);
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        let line = Line::new()
            .set("x1", px(from.0))
            .set("y1", px(from.1))
            .set("x2", px(to.0))
            .set("y2", px(to.1));
        self.marks.append(stroked(line, stroke));
    }

    /// An open line through points.
    pub fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let line = Polyline::new()
            .set("points", coordinates(points))
            .set("stroke-linejoin", "round")
            .set("stroke-linecap", "round");
        self.marks.append(stroked(line, stroke));
    }

    /// A closed, filled outline.
    pub fn area(&mut self, outline: &[(f64, f64)], color: Color, opacity: f64) {
        let path = Path::new()
            .set("d", format!("M{}Z", coordinates(outline)))
            .set("class", format!("fill-{}", color.name))
            .set("fill", color.light)
            .set("fill-opacity", opacity);
        self.marks.append(path);
    }

    /// A closed outline filled with the colour of a value: the same on every background.
    pub fn filled(&mut self, outline: &[(f64, f64)], color: &str) {
        let path = Path::new()
            .set("d", format!("M{}Z", coordinates(outline)))
            .set("fill", color)
            // Without it the background shines through between neighbours.
            .set("stroke", color)
            .set("stroke-width", 0.4);
        self.marks.append(path);
    }

    /// A filled dot.
    pub fn dot(&mut self, at: (f64, f64), across: f64, color: Color, opacity: f64) {
        let mut dot = Circle::new()
            .set("cx", px(at.0))
            .set("cy", px(at.1))
            .set("r", px(across / 2.0))
            .set("class", format!("fill-{}", color.name))
            .set("fill", color.light);
        if opacity < 1.0 {
            dot = dot.set("fill-opacity", opacity);
        }
        self.marks.append(dot);
    }

    /// The outline of a rectangle.
    pub fn frame(&mut self, rect: Rect, stroke: Stroke) {
        self.marks.append(stroked(rectangle(rect), stroke));
    }

    /// A PNG, given as a `data:` URL, stretched over a rectangle.
    pub fn image(&mut self, rect: Rect, data_url: String) {
        let image = Image::new()
            .set("x", px(rect.x))
            .set("y", px(rect.y))
            .set("width", px(rect.width))
            .set("height", px(rect.height))
            .set("preserveAspectRatio", "none")
            .set("href", data_url);
        self.marks.append(image);
    }

    /// A line of text that a page's script changes with the frame, shown as its last form.
    pub fn text_frames(&mut self, x: f64, y: f64, forms: &[String], style: Style) {
        let last = forms.last().map_or("", String::as_str);
        let text = Text::new(xml_text(last))
            .set("class", format!("fill-{}", style.color.name))
            .set("fill", style.color.light)
            .set("font-size", px(style.size))
            .set("x", px(x))
            .set("y", px(y))
            .set("data-forms", xml_text(&forms.join("|")));
        self.marks.append(text);
    }

    /// A window on the last of `frames` pictures of `size` = (columns, rows) pixels, which stand
    /// below each other in one PNG, given as a `data:` URL. A page's script moves the window.
    pub fn window(&mut self, rect: Rect, size: (usize, usize), frames: usize, data_url: String) {
        let (columns, rows) = size;
        let film = Image::new()
            .set("width", columns)
            .set("height", rows * frames)
            .set("preserveAspectRatio", "none")
            .set("image-rendering", "pixelated")
            .set("href", data_url);
        let mut window = SVG::new()
            .set("x", px(rect.x))
            .set("y", px(rect.y))
            .set("width", px(rect.width))
            .set("height", px(rect.height))
            .set("viewBox", (0, frames.saturating_sub(1) * rows, columns, rows))
            .set("preserveAspectRatio", "none")
            .set("data-window", rows)
            .add(film);
        // It is inside another, whose namespace it has.
        if let Some(attributes) = window.get_attributes_mut() {
            attributes.remove("xmlns");
        }
        self.marks.append(window);
    }

    /// A whole SVG document for a file: it names its namespace and stands on white.
    pub fn to_file(&self, title: &str, description: &str, look: &File<'_>) -> String {
        let mut ground = rectangle(Rect { x: 0.0, y: 0.0, width: self.width, height: self.height });
        ground.assign("fill", PAPER.light);
        let mut before: Vec<Box<dyn Node>> = vec![ground.into()];
        if !look.css.is_empty() {
            before.insert(0, StyleSheet::new(look.css).into());
        }
        let root = self.root(title, description, before).set("font-family", look.family);
        let root = match look.size {
            None => root.set("width", px(self.width)).set("height", px(self.height)),
            Some((width, height)) => {
                let points = |length| format!("{}pt", px(length));
                root.set("width", points(width)).set("height", points(height))
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}\n")
    }

    /// An `<svg>` element to stand inside HTML, which needs no namespace: transparent.
    pub fn to_inline(&self, title: &str, description: &str) -> String {
        // The texts of all figures have one size, unless a figure does not fit the page. That size
        // follows the font size of its place: it is 1.3 CSS pixels a unit where that is 16.
        const EM: f64 = 1.3 / 16.0;
        let width = format!("{}em", px(EM * self.width));
        let mut root = self.root(title, description, Vec::new()).set("width", width);
        if let Some(attributes) = root.get_attributes_mut() {
            attributes.remove("xmlns");
        }
        root.to_string()
    }

    fn root(&self, title: &str, description: &str, before: Vec<Box<dyn Node>>) -> SVG {
        let mut root = SVG::new()
            .set("viewBox", (0, 0, px(self.width), px(self.height)))
            .set("role", "img")
            .set("font-family", FONT_FAMILY)
            .add(Title::new(xml_text(title)))
            .add(Description::new().add(svg::node::Text::new(xml_text(description))));
        before.into_iter().for_each(|node| root.append(node));
        root.add(self.marks.clone())
    }
}

fn rectangle(rect: Rect) -> Rectangle {
    Rectangle::new()
        .set("x", px(rect.x))
        .set("y", px(rect.y))
        .set("width", px(rect.width))
        .set("height", px(rect.height))
}

fn stroked<N: Node>(mut node: N, stroke: Stroke) -> N {
    node.assign("class", format!("stroke-{}", stroke.color.name));
    node.assign("stroke", stroke.color.light);
    node.assign("stroke-width", px(stroke.width));
    node.assign("fill", "none");
    if stroke.dashed {
        node.assign("stroke-dasharray", "5 4");
    }
    node
}

fn coordinates(points: &[(f64, f64)]) -> String {
    let mut text = String::with_capacity(points.len() * 14);
    for (i, (x, y)) in points.iter().enumerate() {
        let space = if i == 0 { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{space}{},{}", px(*x), px(*y));
    }
    text
}

/// Hundredths of a unit are finer than any screen or printer; `+ 0.0` turns −0 into 0.
fn px(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

/// Drops the control characters that no XML document may hold, escaped or not.
fn xml_text(content: &str) -> String {
    content.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}
