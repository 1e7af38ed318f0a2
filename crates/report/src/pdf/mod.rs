//! SVG to PDF: the tree from which the PNG is drawn.
//!
//! It covers the elements of figures: filled and stroked paths, opacity, dashes, indexed PNG
//! images, and text, whose fonts are embedded.

mod text;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{LineCapStyle, LineJoinStyle, Predictor};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, TextStr};
use resvg::tiny_skia::{PathSegment, Transform};
use resvg::usvg::{FillRule, Group, Image, ImageKind, LineCap, LineJoin, Node, Paint, Path, Tree};

use crate::{ReportError, raster};
use text::Fonts;

/// Points to a user unit, which is a CSS pixel.
const POINT: f32 = 0.75;
/// Opacities are told apart to hundredths.
const OPAQUE: u8 = 100;

/// Draws an SVG document as a PDF of one page; equal documents give equal bytes.
///
/// # Errors
/// [`ReportError::Raster`] if the document is not SVG, or contains an unsupported element.
pub fn pdf(svg: &str, title: &str) -> Result<Vec<u8>, ReportError> {
    of_tree(&raster::tree(svg, &raster::fonts())?, title)
}

/// The same of a document that has been read.
///
/// # Errors
/// As [`pdf`].
pub(crate) fn of_tree(tree: &Tree, title: &str) -> Result<Vec<u8>, ReportError> {
    let (width, height) = (tree.size().width() * POINT, tree.size().height() * POINT);
    let mut page = Page {
        content: Content::new(),
        images: Vec::new(),
        opacities: Vec::new(),
        fonts: Fonts::default(),
    };
    // PDF counts upwards from the foot of the page.
    let ground = Transform::from_row(POINT, 0.0, 0.0, -POINT, 0.0, height);
    page.group(tree, tree.root(), ground)?;
    page.finish(title, width, height)
}

struct Page {
    content: Content,
    images: Vec<Picture>,
    opacities: Vec<u8>,
    fonts: Fonts,
}

/// A PNG with a palette: its compressed rows stand in a PDF as they are.
struct Picture {
    width: i32,
    height: i32,
    palette: Vec<u8>,
    rows: Vec<u8>,
}

impl Page {
    fn group(
        &mut self,
        tree: &Tree,
        group: &Group,
        transform: Transform,
    ) -> Result<(), ReportError> {
        let transform = transform.pre_concat(group.transform());
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(tree, group, transform)?,
                Node::Path(path) => self.path(path, transform)?,
                Node::Text(text) => self.text(tree, text, transform)?,
                Node::Image(image) => self.image(image, transform)?,
            }
        }
        Ok(())
    }

    fn path(&mut self, path: &Path, transform: Transform) -> Result<(), ReportError> {
        self.content.save_state();
        self.content.transform(matrix(transform));
        if let Some(fill) = path.fill() {
            let [r, g, b] = rgb(fill.paint())?;
            self.opacity(fill.opacity().get());
            self.content.set_fill_rgb(r, g, b);
            self.outline(path);
            match fill.rule() {
                FillRule::NonZero => self.content.fill_nonzero(),
                FillRule::EvenOdd => self.content.fill_even_odd(),
            };
        }
        if let Some(stroke) = path.stroke() {
            let [r, g, b] = rgb(stroke.paint())?;
            self.opacity(stroke.opacity().get());
            self.content.set_stroke_rgb(r, g, b);
            self.content.set_line_width(stroke.width().get());
            self.content.set_line_cap(match stroke.linecap() {
                LineCap::Butt => LineCapStyle::ButtCap,
                LineCap::Round => LineCapStyle::RoundCap,
                LineCap::Square => LineCapStyle::ProjectingSquareCap,
            });
            self.content.set_line_join(match stroke.linejoin() {
                LineJoin::Round => LineJoinStyle::RoundJoin,
                LineJoin::Bevel => LineJoinStyle::BevelJoin,
                LineJoin::Miter | LineJoin::MiterClip => LineJoinStyle::MiterJoin,
            });
            let dashes = stroke.dasharray().unwrap_or_default();
            self.content.set_dash_pattern(dashes.iter().copied(), stroke.dashoffset());
            self.outline(path);
            self.content.stroke();
        }
        self.content.restore_state();
        Ok(())
    }

    fn outline(&mut self, path: &Path) {
        let mut at = (0.0, 0.0);
        for segment in path.data().segments() {
            match segment {
                PathSegment::MoveTo(p) => {
                    self.content.move_to(p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::LineTo(p) => {
                    self.content.line_to(p.x, p.y);
                    at = (p.x, p.y);
                }
                // PDF knows cubic curves only.
                PathSegment::QuadTo(c, p) => {
                    let near = |from: f32, control: f32| from + (control - from) * (2.0 / 3.0);
                    let (x1, y1) = (near(at.0, c.x), near(at.1, c.y));
                    let (x2, y2) = (near(p.x, c.x), near(p.y, c.y));
                    self.content.cubic_to(x1, y1, x2, y2, p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::CubicTo(a, b, p) => {
                    self.content.cubic_to(a.x, a.y, b.x, b.y, p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::Close => {
                    self.content.close_path();
                }
            }
        }
    }

    fn opacity(&mut self, opacity: f32) {
        let percent = (opacity * f32::from(OPAQUE)).round() as u8;
        if percent == OPAQUE {
            return;
        }
        if !self.opacities.contains(&percent) {
            self.opacities.push(percent);
        }
        self.content.set_parameters(Name(format!("O{percent}").as_bytes()));
    }

    fn image(&mut self, image: &Image, transform: Transform) -> Result<(), ReportError> {
        let ImageKind::PNG(bytes) = image.kind() else { return Err(foreign("a picture not PNG")) };
        let picture = Picture::read(bytes)?;
        self.content.save_state();
        let (width, height) = (image.size().width(), image.size().height());
        // A picture fills the unit square, its foot at 0.
        let unit = Transform::from_row(width, 0.0, 0.0, -height, 0.0, height);
        self.content.transform(matrix(transform.pre_concat(unit)));
        self.content.x_object(Name(format!("I{}", self.images.len()).as_bytes()));
        self.content.restore_state();
        self.images.push(picture);
        Ok(())
    }

    fn finish(self, title: &str, width: f32, height: f32) -> Result<Vec<u8>, ReportError> {
        let [catalog, tree, page, content, info] = [1, 2, 3, 4, 5].map(Ref::new);
        let picture = |i: usize| Ref::new(6 + i as i32);
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids([page]).count(1);
        pdf.document_info(info).title(TextStr(title));
        let mut sheet = pdf.page(page);
        sheet.parent(tree).media_box(Rect::new(0.0, 0.0, width, height)).contents(content);
        let mut resources = sheet.resources();
        let mut objects = resources.x_objects();
        for i in 0..self.images.len() {
            objects.pair(Name(format!("I{i}").as_bytes()), picture(i));
        }
        objects.finish();
        let mut fonts = resources.fonts();
        let first_font = 6 + self.images.len() as i32;
        for (name, reference) in self.fonts.names(first_font) {
            fonts.pair(Name(name.as_bytes()), reference);
        }
        fonts.finish();
        let mut states = resources.ext_g_states();
        for percent in &self.opacities {
            let share = f32::from(*percent) / f32::from(OPAQUE);
            let name = format!("O{percent}");
            let mut state = states
                .insert(Name(name.as_bytes()))
                .start::<pdf_writer::writers::ExtGraphicsState<'_>>();
            state.non_stroking_alpha(share).stroking_alpha(share);
        }
        states.finish();
        resources.finish();
        sheet.finish();
        self.fonts.write(&mut pdf, first_font);
        let drawn = zipped(&self.content.finish());
        pdf.stream(content, &drawn).filter(Filter::FlateDecode);
        for (i, image) in self.images.iter().enumerate() {
            let mut object = pdf.image_xobject(picture(i), &image.rows);
            object.filter(Filter::FlateDecode);
            object
                .decode_parms()
                .predictor(Predictor::PngOptimum)
                .colors(1)
                .bits_per_component(8)
                .columns(image.width);
            object.width(image.width).height(image.height).bits_per_component(8);
            let last = (image.palette.len() / 3).saturating_sub(1) as i32;
            object.color_space().indexed(Name(b"DeviceRGB"), last, &image.palette);
            object.interpolate(false);
        }
        Ok(pdf.finish())
    }
}

impl Picture {
    fn read(bytes: &[u8]) -> Result<Self, ReportError> {
        let reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .map_err(|error| foreign(&error.to_string()))?;
        let info = reader.info();
        let indexed = info.color_type == png::ColorType::Indexed
            && info.bit_depth == png::BitDepth::Eight
            && !info.interlaced;
        let (Some(palette), true) = (&info.palette, indexed) else {
            return Err(foreign("a PNG without a palette of eight bits"));
        };
        // After the signature, each chunk is its length, its name, its data and a checksum.
        let mut rows = Vec::new();
        let mut rest = bytes.get(8..).unwrap_or_default();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (Some(name), Some(data)) = (after.get(..4), after.get(4..4 + length)) else {
                break;
            };
            if name == b"IDAT" {
                rows.extend_from_slice(data);
            }
            rest = after.get(8 + length..).unwrap_or_default();
        }
        let (width, height) = (info.width as i32, info.height as i32);
        Ok(Self { width, height, palette: palette.to_vec(), rows })
    }
}

fn foreign(what: &str) -> ReportError {
    ReportError::Raster(format!("a figure's PDF cannot hold {what}"))
}

fn rgb(paint: &Paint) -> Result<[f32; 3], ReportError> {
    match paint {
        Paint::Color(c) => Ok([c.red, c.green, c.blue].map(|part| f32::from(part) / 255.0)),
        _ => Err(foreign("a gradient")),
    }
}

fn matrix(t: Transform) -> [f32; 6] {
    [t.sx, t.ky, t.kx, t.sy, t.tx, t.ty]
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"200\" height=\"40\" \
                   font-family=\"Inter\"><text x=\"5\" y=\"15\">held-out A ⇝ C</text>\
                   <text transform=\"translate(9 30) rotate(-90)\" font-weight=\"600\">nats</text></svg>";
        let bytes = pdf(svg, "a title").unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // Both weights and the font of signs, each with a table of its characters.
        for (part, count) in [("/Subtype /Type0", 3), ("/CIDFontType0C", 2), ("begincmap", 3)] {
            assert_eq!(text.matches(part).count(), count, "{part}");
        }
        for sign in ['h', 'A', '⇝', 'C', 's'] {
            assert!(text.contains(&format!("> <{:04X}>", u32::from(sign))), "{sign}");
        }
        assert_eq!(bytes, pdf(svg, "a title").unwrap());
    }
}
