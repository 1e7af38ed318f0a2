//! Text of a PDF: glyphs of its fonts, which are embedded, with the characters that they
//! stand for, so that text can be searched, copied and edited.

use std::collections::BTreeMap;

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use resvg::tiny_skia::Transform;
use resvg::usvg::{Text, Tree, fontdb, layout::PositionedGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::raw::{FontRef, TableProvider as _};
use skrifa::{GlyphId, MetadataProvider as _, Tag};

use super::{Page, foreign, matrix, rgb, zipped};
use crate::ReportError;

/// Numbers of the objects of a font.
const OBJECTS: i32 = 5;

const IDENTITY: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// A font of a figure, with its glyphs that are used.
struct Font {
    id: fontdb::ID,
    name: String,
    /// The outlines: a CFF table, or a whole TrueType font.
    outlines: Vec<u8>,
    is_cff: bool,
    /// Ascent, descent and height of capitals, and the box of all glyphs, in thousandths of an em.
    heights: [f32; 3],
    bounds: Rect,
    /// Advances of all glyphs, in thousandths of an em.
    advances: Vec<f32>,
    units_per_em: f32,
    /// The characters of each used glyph.
    used: BTreeMap<u16, String>,
}

/// The fonts of a page, in the order of their first use.
#[derive(Default)]
pub(super) struct Fonts {
    all: Vec<Font>,
}

impl Fonts {
    /// The place of a font, read from the database where it is new.
    fn place(&mut self, database: &fontdb::Database, id: fontdb::ID) -> Result<usize, ReportError> {
        if let Some(at) = self.all.iter().position(|font| font.id == id) {
            return Ok(at);
        }
        let name = database.face(id).map(|face| face.post_script_name.clone()).unwrap_or_default();
        let font = database.with_face_data(id, |data, index| Font::read(id, name, data, index));
        let font = font.flatten().ok_or_else(|| foreign("a font that cannot be read"))?;
        self.all.push(font);
        Ok(self.all.len() - 1)
    }

    /// The names and references of the fonts, whose objects begin at `first`.
    pub(super) fn names(&self, first: i32) -> impl Iterator<Item = (String, Ref)> {
        (0..self.all.len() as i32).map(move |at| (name_of(at), Ref::new(first + at * OBJECTS)))
    }

    /// Writes the fonts.
    pub(super) fn write(&self, pdf: &mut Pdf, first: i32) {
        for (at, font) in (0..).zip(&self.all) {
            font.write(pdf, first + at * OBJECTS);
        }
    }
}

fn name_of(at: i32) -> String {
    format!("F{at}")
}

impl Font {
    fn read(id: fontdb::ID, name: String, data: &[u8], index: u32) -> Option<Font> {
        let font = FontRef::from_index(data, index).ok()?;
        let metrics = font.metrics(Size::unscaled(), LocationRef::default());
        let units_per_em = f32::from(metrics.units_per_em);
        let thousandths = |units: f32| units * 1000.0 / units_per_em;
        let glyphs = font.glyph_metrics(Size::unscaled(), LocationRef::default());
        let advance = |glyph| glyphs.advance_width(GlyphId::new(glyph)).unwrap_or(0.0);
        let cff = font.table_data(Tag::new(b"CFF "));
        let head = font.head().ok()?;
        let [left, low, right, high] =
            [head.x_min(), head.y_min(), head.x_max(), head.y_max()].map(|v| thousandths(v.into()));
        Some(Font {
            id,
            name,
            outlines: cff.map_or(data, |table| table.as_bytes()).to_vec(),
            is_cff: cff.is_some(),
            heights: [
                metrics.ascent,
                metrics.descent,
                metrics.cap_height.unwrap_or(metrics.ascent),
            ]
            .map(thousandths),
            bounds: Rect::new(left, low, right, high),
            advances: (0..u32::from(metrics.glyph_count))
                .map(|g| thousandths(advance(g)))
                .collect(),
            units_per_em,
            used: BTreeMap::new(),
        })
    }

    /// Its objects: the composite font, the font of glyphs, its description, its outlines and its
    /// characters.
    fn write(&self, pdf: &mut Pdf, first: i32) {
        let [composite, glyphs, description, outlines, characters] =
            [0, 1, 2, 3, 4].map(|at| Ref::new(first + at));
        let name = Name(self.name.as_bytes());
        pdf.type0_font(composite)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(glyphs)
            .to_unicode(characters);
        let mut cid = pdf.cid_font(glyphs);
        cid.subtype(if self.is_cff { CidFontType::Type0 } else { CidFontType::Type2 });
        cid.base_font(name).system_info(IDENTITY).font_descriptor(description).default_width(0.0);
        if !self.is_cff {
            cid.cid_to_gid_map_predefined(Name(b"Identity"));
        }
        let mut widths = cid.widths();
        for glyph in self.used.keys() {
            widths.same(*glyph, *glyph, self.advance(*glyph));
        }
        widths.finish();
        cid.finish();
        let [ascent, descent, capitals] = self.heights;
        let mut descriptor = pdf.font_descriptor(description);
        descriptor.name(name).flags(FontFlags::SYMBOLIC).bbox(self.bounds).italic_angle(0.0);
        descriptor.ascent(ascent).descent(descent).cap_height(capitals).stem_v(95.0);
        match self.is_cff {
            true => descriptor.font_file3(outlines),
            false => descriptor.font_file2(outlines),
        };
        descriptor.finish();
        let zipped_outlines = zipped(&self.outlines);
        let mut stream = pdf.stream(outlines, &zipped_outlines);
        stream.filter(Filter::FlateDecode);
        match self.is_cff {
            true => stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C")),
            false => stream.pair(Name(b"Length1"), self.outlines.len() as i32),
        };
        stream.finish();
        let mut map = UnicodeCmap::new(Name(b"Custom"), IDENTITY);
        for (glyph, text) in self.used.iter().filter(|(_, text)| !text.is_empty()) {
            map.pair_with_multiple(*glyph, text.chars());
        }
        pdf.cmap(characters, &map.finish());
    }

    /// In thousandths of an em.
    fn advance(&self, glyph: u16) -> f32 {
        self.advances.get(usize::from(glyph)).copied().unwrap_or(0.0)
    }
}

/// A glyph with its matrix, whose unit is an em.
struct Placed<'a> {
    glyph: &'a PositionedGlyph,
    font: usize,
    matrix: Transform,
}

impl Page {
    /// Writes a text as glyphs: a string for each run of one font on one line.
    pub(super) fn text(
        &mut self,
        tree: &Tree,
        text: &Text,
        transform: Transform,
    ) -> Result<(), ReportError> {
        for span in text.layouted().iter().filter(|span| span.visible) {
            let Some(fill) = &span.fill else { continue };
            let [r, g, b] = rgb(fill.paint())?;
            self.content.save_state();
            self.content.transform(matrix(transform));
            self.opacity(fill.opacity().get());
            self.content.set_fill_rgb(r, g, b);
            self.content.begin_text();
            let mut run: Vec<Placed<'_>> = Vec::new();
            for glyph in &span.positioned_glyphs {
                let font = self.fonts.place(tree.fontdb(), glyph.font)?;
                let em = self.fonts.all[font].units_per_em;
                let matrix = glyph.outline_transform().pre_scale(em, em);
                let fits = |last: &Placed<'_>| {
                    let (a, b) = (last.matrix, matrix);
                    let linear = |t: Transform| (t.sx, t.ky, t.kx, t.sy);
                    // On the line of the last one.
                    let (x, y) = (b.tx - a.tx, b.ty - a.ty);
                    last.font == font
                        && linear(a) == linear(b)
                        && (x * a.ky - y * a.sx).abs() < 1e-3
                };
                if !run.last().is_none_or(fits) {
                    self.show(&run);
                    run.clear();
                }
                run.push(Placed { glyph, font, matrix });
            }
            self.show(&run);
            self.content.end_text();
            self.content.restore_state();
        }
        Ok(())
    }

    fn show(&mut self, run: &[Placed<'_>]) {
        let Some(first) = run.first() else { return };
        let font = &mut self.fonts.all[first.font];
        self.content.set_font(Name(name_of(first.font as i32).as_bytes()), 1.0);
        self.content.set_text_matrix(matrix(first.matrix));
        let (sx, ky) = (first.matrix.sx, first.matrix.ky);
        let scale = sx.hypot(ky);
        let mut shown = self.content.show_positioned();
        let mut items = shown.items();
        // Where the next glyph would stand, in ems from the first.
        let mut at = 0.0;
        for Placed { glyph, matrix, .. } in run {
            let (x, y) = (matrix.tx - first.matrix.tx, matrix.ty - first.matrix.ty);
            let wanted = (x * sx + y * ky) / (scale * scale);
            // Thousandths of an em that are too far.
            let adjust = (1000.0 * (at - wanted)).round();
            if adjust != 0.0 {
                items.adjust(adjust);
                at -= adjust / 1000.0;
            }
            // A font has no more than 65,535 glyphs.
            let id = u16::try_from(glyph.id.0).unwrap_or(0);
            items.show(Str(&id.to_be_bytes()));
            font.used.entry(id).or_insert_with(|| glyph.text.clone());
            at += font.advance(id) / 1000.0;
        }
    }
}
