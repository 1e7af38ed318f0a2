//! The content of figures, read back from their SVG.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use retrodict_report::{
    Accuracies, Axes, EffectiveWeights, Figure, LossCurves, Nll, Panel, Series, SeriesKind, Way,
    WeightPanel, accuracies, effective_weights, lines, loss_curves,
};
use roxmltree::{Document, Node};

fn curves(train: Vec<Vec<f64>>, held_out: Vec<Vec<f64>>) -> LossCurves {
    let epochs = train.iter().chain(&held_out).map(Vec::len).max().unwrap_or(0);
    LossCurves {
        variant: "free head".into(),
        epochs: (1..=epochs).map(|e| e as f64).collect(),
        first_token: Nll { train, held_out, uniform: 802f64.ln(), uniform_label: "ln 802".into() },
        whole: None,
        questions: 60,
    }
}

fn panel(rows: usize, columns: usize, values: &[f32]) -> WeightPanel {
    WeightPanel {
        group: "g".into(),
        title: "train, x → y".into(),
        row_label: "given entity".into(),
        column_label: "logit of candidate".into(),
        rows,
        columns,
        values: values.to_vec(),
        margin: Some(1.0),
    }
}

fn heatmaps(panels: Vec<WeightPanel>) -> Figure {
    let variants = [EffectiveWeights { variant: "free head".into(), panels, frames: vec![] }];
    effective_weights("fig2", "t", 2, &variants)
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn class<'a>(svg: &'a Document<'a>, tag: &str, class: &str) -> Vec<Node<'a, 'a>> {
    svg.descendants().filter(|n| n.is(tag) && n.attribute("class") == Some(class)).collect()
}

/// The name of an element, whatever its namespace.
trait LocalName {
    fn is(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn is(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// From heights back to values, learned from the grid lines of the y axis and their labels.
fn y_values<'a>(svg: &'a Document<'a>) -> impl Fn(f64) -> f64 + use<> {
    let grid: Vec<f64> =
        class(svg, "line", "stroke-grid").iter().map(|l| number(*l, "y1")).collect();
    let labels: Vec<f64> = svg
        .descendants()
        .filter(|n| n.is("text") && n.attribute("text-anchor") == Some("end"))
        .filter_map(|n| n.text()?.trim().replace('−', "-").parse().ok())
        .collect();
    assert_eq!(grid.len(), labels.len());
    let last = grid.len() - 1;
    let slope = (labels[last] - labels[0]) / (grid[last] - grid[0]);
    let (at, value) = (grid[0], labels[0]);
    move |y| value + (y - at) * slope
}

fn points(list: &str) -> Vec<(f64, f64)> {
    let pair = |p: &str| {
        let (x, y) = p.split_once(',').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    list.trim_start_matches('M').trim_end_matches('Z').split(' ').map(pair).collect()
}

/// Positions are written to 1/100 of a unit, of which the axis has about 20 to a nat.
fn assert_near(measured: f64, expected: f64) {
    assert!((measured - expected).abs() < 1e-3, "{measured} instead of {expected}");
}

#[test]
fn the_uniform_line_stands_at_its_value() {
    let figure = loss_curves("fig1", "t", &[curves(vec![vec![6.0, 1.0]], vec![vec![6.0, 9.0]])]);
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    let value = y_values(&svg);
    let dashed = svg.descendants().find(|n| n.has_attribute("stroke-dasharray")).unwrap();
    assert_eq!(dashed.attribute("y1"), dashed.attribute("y2"));
    assert_near(value(number(dashed, "y1")), 802f64.ln());
    let label = "uniform guessing, ln 802 = 6.69";
    assert!(svg.descendants().any(|n| n.text().is_some_and(|t| t.trim() == label)));
}

#[test]
fn the_line_is_the_mean_and_the_band_one_standard_deviation() {
    let runs = [[5.0, 3.0], [6.0, 4.0], [9.0, 4.5]];
    let figure =
        loss_curves("fig1", "t", &[curves(vec![vec![1.0, 1.0]; 3], runs.map(Vec::from).to_vec())]);
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    let value = y_values(&svg);
    // Means 20/3 and 23/6; squares about them 26/3 and 7/6, over n − 1 = 2.
    let means = [20.0 / 3.0, 23.0 / 6.0];
    let spreads = [(13f64 / 3.0).sqrt(), (7f64 / 12.0).sqrt()];

    let lines = class(&svg, "polyline", "stroke-held-out");
    let line = points(lines[0].attribute("points").unwrap());
    let bands = class(&svg, "path", "fill-held-out");
    let band = points(bands[0].attribute("d").unwrap());
    assert_eq!((lines.len(), line.len(), bands.len(), band.len()), (1, 2, 1, 4));
    for i in 0..2 {
        assert_near(value(line[i].1), means[i]);
        assert_near(value(band[i].1), means[i] + spreads[i]);
        assert_near(value(band[3 - i].1), means[i] - spreads[i]);
        assert_eq!(band[i].0, line[i].0);
        assert_eq!(band[3 - i].0, line[i].0);
    }
}

#[test]
fn entities_of_several_tokens_show_the_first_token_and_thinner_the_whole() {
    let mut several = curves(vec![vec![6.0, 1.0]], vec![vec![6.0, 9.0]]);
    several.whole = Some(Nll {
        train: vec![vec![12.0, 2.0]],
        held_out: vec![vec![12.0, 18.0]],
        uniform: 2.0 * 802f64.ln(),
        uniform_label: "2 ln 802".into(),
    });
    several.questions = 4;
    let figure = loss_curves("fig11", "t", &[several]);
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    let lines = class(&svg, "polyline", "stroke-held-out");
    let widths: Vec<f64> = lines.iter().map(|line| number(*line, "stroke-width")).collect();
    assert!(widths.len() == 2 && widths[0] > 2.0 * widths[1], "{widths:?}");
    for label in ["held-out, whole entity", "2 ln 802 = 13.4", "ln 802 = 6.69"] {
        assert!(text.contains(label), "{label}");
    }
    assert!(text.contains("1\u{a0}seed, 4\u{a0}questions each"), "few questions are named");
    let splits: Vec<&str> = figure.table.rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(splits.len(), 8);
    assert_eq!(figure.table.rows[7][1], "held-out, whole entity");
}

/// The axis reaches as far as the bands do, and the table has what they show.
#[test]
fn the_bands_of_lines_are_drawn_whole_and_told() {
    let series = |label: &str, bands: &[(f64, f64)]| Series {
        label: label.into(),
        points: vec![(1.0, 0.5), (2.0, 1.0)],
        bands: bands.to_vec(),
        kind: SeriesKind::Line,
    };
    let axes = Axes { x: "x".into(), y: "y".into(), x_log: false, y_log: false };
    let both = vec![series("wide", &[(-1.5, 2.5), (-2.0, 4.0)]), series("plain", &[])];
    let figure = lines("n", "t", &axes, &[Panel { title: "p".into(), series: both }]);
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    let value = y_values(&svg);
    let band = points(class(&svg, "path", "fill-series-1")[0].attribute("d").unwrap());
    let edges: Vec<f64> = band.iter().map(|point| value(point.1)).collect();
    for (edge, expected) in edges.iter().zip([2.5, 4.0, -2.0, -1.5]) {
        assert!((edge - expected).abs() < 0.02, "{edges:?}");
    }
    let rows: Vec<String> = figure.table.rows.iter().map(|row| row.join(",")).collect();
    assert_eq!(
        rows,
        ["p,wide,1,0.5,-1.5,2.5", "p,wide,2,1,-2,4", "p,plain,1,0.5,,", "p,plain,2,1,,"]
    );
}

/// One right answer of many makes a long number.
#[test]
fn the_numbers_beside_accuracies_are_not_cut_off() {
    let mut values = vec![0.0; 9];
    values.push(0.02);
    let ways = vec![Way { name: "directly".into(), values }];
    let figure = accuracies("n", "t", &[Accuracies { variant: "v".into(), ways }]);
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    let width = number(svg.root_element(), "width");
    let mut texts = svg.descendants().filter(|n| n.is("text"));
    let beside = texts.find(|n| n.text().is_some_and(|t| t.contains('±'))).unwrap();
    // An advance of 0.56 em a character, as room is kept for it.
    let length = beside.text().unwrap().trim().chars().count() as f64;
    // Groups move what they hold: translate(x y).
    let moved = |n: Node<'_, '_>| -> Option<f64> {
        let rest = n.attribute("transform")?.strip_prefix("translate(")?;
        rest.split([' ', ',', ')']).next()?.parse().ok()
    };
    let start = number(beside, "x") + beside.ancestors().filter_map(moved).sum::<f64>();
    let end = start + 0.56 * number(beside, "font-size") * length;
    assert!(end <= width, "{:?} ends at {end} of {width}", beside.text());
}

#[test]
fn one_seed_has_no_band() {
    let figure = loss_curves("fig1", "t", &[curves(vec![vec![6.0, 1.0]], vec![vec![6.0, 9.0]])]);
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    assert_eq!(svg.descendants().filter(|n| n.is("path")).count(), 0);
    assert_eq!(figure.table.rows[0][3..6], ["6", "", "1"]);
}

#[test]
fn runs_of_different_lengths_are_averaged_where_they_are() {
    let nan = f64::NAN;
    let train = vec![vec![4.0, nan, 2.0, 1.0], vec![6.0, nan]];
    let figure = loss_curves("fig1", "t", &[curves(train, vec![vec![], vec![nan; 4]])]);
    let rows: Vec<_> = figure.table.rows.iter().map(|r| r[1..6].join(",")).collect();
    assert_eq!(rows[0], format!("train,1,5,{},2", 2f64.sqrt()));
    assert_eq!(rows[1..4], ["train,2,,,0", "train,3,2,,1", "train,4,1,,1"]);
    assert!(rows[4..].iter().all(|r| r.ends_with(",,,0")), "{rows:?}");
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    // The gap breaks the line: the lone first point, then the third and fourth.
    let lines = class(&svg, "polyline", "stroke-train");
    assert_eq!(lines.len(), 2);
    assert_eq!(points(lines[1].attribute("points").unwrap()).len(), 2);
    assert!(!text.contains("NaN"));
}

#[test]
fn nothing_to_draw_is_drawn_as_nothing() {
    for figure in [
        loss_curves("fig1", "t", &[]),
        loss_curves("fig1", "t", &[curves(vec![], vec![])]),
        loss_curves("fig1", "t", &[curves(vec![vec![f64::INFINITY]], vec![vec![f64::NAN]])]),
        heatmaps(vec![]),
        heatmaps(vec![panel(0, 0, &[]), panel(0, 3, &[]), panel(2, 0, &[])]),
        heatmaps(vec![panel(2, 2, &[f32::NAN; 4]), panel(2, 2, &[1.0])]),
    ] {
        let svg = figure.to_svg();
        Document::parse(&svg).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let png = retrodict_report::png(&svg, 1.0).unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    }
}

/// The cells of every embedded heatmap: side in pixels, and the colour at the middle of each cell.
fn cells(figure: &Figure, size: usize) -> Vec<Vec<[u8; 3]>> {
    let text = figure.to_svg();
    let svg = Document::parse(&text).unwrap();
    svg.descendants()
        .filter(|n| n.is("image"))
        .filter_map(|image| {
            let data = image.attribute("href")?.strip_prefix("data:image/png;base64,")?;
            let bytes = STANDARD.decode(data).unwrap();
            let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
            decoder.set_transformations(png::Transformations::EXPAND);
            let mut reader = decoder.read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            // The colour bar's strip is one pixel wide.
            let side = info.width as usize;
            let cell = side / size;
            (side > 1).then(|| {
                assert_eq!(cell * size, side);
                (0..size * size)
                    .map(|i| {
                        let (row, column) = (i / size, i % size);
                        let at = (row * cell + cell / 2) * side + column * cell + cell / 2;
                        [pixels[3 * at], pixels[3 * at + 1], pixels[3 * at + 2]]
                    })
                    .collect()
            })
        })
        .collect()
}

fn viridis(t: f64) -> [u8; 3] {
    let color = colorous::VIRIDIS.eval_continuous(t);
    [color.r, color.g, color.b]
}

#[test]
fn all_panels_share_one_colour_scale() {
    let first = panel(2, 2, &[-2.0, 0.0, f32::NAN, 3.0]);
    let second = panel(2, 2, &[8.0, 3.0, f32::INFINITY, f32::NEG_INFINITY]);
    let cells = cells(&heatmaps(vec![first, second]), 2);
    assert_eq!(cells.len(), 2);
    let (low, middle, high) = (viridis(0.0), viridis(0.5), viridis(1.0));
    assert_eq!((cells[0][0], cells[1][0]), (low, high));
    assert_eq!((cells[0][3], cells[1][1]), (middle, middle));
    assert_eq!(cells[0][2], [0xbd; 3], "missing");
    assert_eq!((cells[1][2], cells[1][3]), (high, low));
}

#[test]
fn a_row_is_a_row() {
    let values: Vec<f32> = (0..9).map(|i| if i == 5 { 1.0 } else { 0.0 }).collect();
    let figure = heatmaps(vec![panel(3, 3, &values)]);
    let cells = &cells(&figure, 3)[0];
    let bright: Vec<usize> = (0..9).filter(|i| cells[*i] == viridis(1.0)).collect();
    assert_eq!(bright, [5]);
    assert_eq!(figure.table.rows[5], ["free head", "g", "1", "2", "1"]);
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "</text><script>alert(1)</script> & \"quoted\" \u{7}\u{0}";
    let mut curves = curves(vec![vec![1.0]], vec![vec![2.0]]);
    curves.variant = hostile.into();
    curves.first_token.uniform_label = hostile.into();
    let mut weights = panel(1, 1, &[1.0]);
    weights.title = hostile.into();
    weights.row_label = hostile.into();
    for text in [loss_curves("fig1", hostile, &[curves]).to_svg(), heatmaps(vec![weights]).to_svg()]
    {
        let svg = Document::parse(&text).unwrap();
        assert!(!svg.descendants().any(|n| n.is("script")));
        let shown = "</text><script>alert(1)</script> & \"quoted\" ";
        assert!(svg.descendants().any(|n| n.text().is_some_and(|t| t.contains(shown))), "{text}");
    }
}

#[test]
fn the_png_is_the_svg_at_twice_its_size() {
    let svg =
        loss_curves("fig1", "t", &[curves(vec![vec![6.0, 1.0]], vec![vec![6.0, 9.0]])]).to_svg();
    let document = Document::parse(&svg).unwrap();
    let root = document.root_element();
    let png = retrodict_report::png(&svg, 2.0).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(f64::from(info.width), 2.0 * number(root, "width"));
    assert_eq!(f64::from(info.height), 2.0 * number(root, "height"));
    let count = |color: [u8; 3]| pixels.chunks(4).filter(|p| p[..3] == color).count();
    let all = pixels.len() / 4;
    assert!(count([255; 3]) > all / 2, "mostly paper");
    // A line as wide as the panel, drawn at least two pixels thick.
    assert!(count([0x00, 0x72, 0xb2]) > 200, "the training curve");
    assert!(count([0xd5, 0x5e, 0x00]) > 200, "the held-out curve");
    assert!(count([0x1f, 0x23, 0x28]) > 20, "the title: text is drawn without system fonts");
}

#[test]
fn every_sign_of_a_label_has_a_glyph() {
    let ink = |text: &str| {
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'>\
             <text x='5' y='30' font-family='Inter' font-size='24'>{text}</text></svg>"
        );
        let png = retrodict_report::png(&svg, 1.0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    };
    let missing = ink("\u{5d0}");
    for sign in "→←⇒⇔⇝−±≤≥≈×·εΘ∇∈⊥–✓✗".chars() {
        assert_ne!(ink(&sign.to_string()), missing, "{sign}");
    }
}
