//! Figures in a style: width, text size and colours of their files.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "../examples/preview.rs"]
#[allow(dead_code)] // the example's own `main`
mod preview;

use std::path::Path;

use retrodict_report::{
    Accuracies, EffectiveWeights, Figure, LossCurves, Nll, Style, Way, WeightPanel, accuracies,
    effective_weights, loss_curves,
};
use roxmltree::Document;

fn style(text: &str) -> Style {
    Style::parse(text, "style.toml", Path::new("")).unwrap()
}

fn curves(variant: &str, epochs: usize) -> LossCurves {
    let run = |from: f64, to: f64| {
        (0..epochs).map(|e| from + (to - from) * e as f64 / epochs as f64).collect::<Vec<_>>()
    };
    LossCurves {
        variant: variant.into(),
        epochs: (1..=epochs).map(|e| e as f64).collect(),
        first_token: Nll {
            train: vec![run(6.0, 0.0); 2],
            held_out: vec![run(6.0, 9.0); 2],
            uniform: 6.7,
            uniform_label: "ln 802".into(),
        },
        whole: None,
        questions: 60,
    }
}

fn strip(variants: usize) -> Figure {
    let way = |name: &str| Way { name: name.into(), values: vec![0.25, 0.75] };
    let variants: Vec<Accuracies> = (0..variants)
        .map(|at| {
            let ways = if at == 0 { vec![way("first")] } else { vec![way("first"), way("second")] };
            Accuracies { variant: format!("variant {at}"), ways }
        })
        .collect();
    accuracies("strip", "Strip", &variants)
}

fn heatmaps() -> Figure {
    let panel = |title: &str| WeightPanel {
        group: title.into(),
        title: title.into(),
        row_label: "given entity".into(),
        column_label: "candidate".into(),
        rows: 2,
        columns: 2,
        values: vec![0.0, 1.0, 2.0, 3.0],
        margin: Some(1.0),
    };
    let titles = ["trained, either direction", "held-out, unseen direction"];
    let panels: Vec<WeightPanel> = titles.iter().cycle().take(4).map(|t| panel(t)).collect();
    let variant = |name: &str| EffectiveWeights {
        variant: name.into(),
        panels: panels.clone(),
        frames: vec![],
    };
    effective_weights("weights", "Weights", 2, &[variant("free head"), variant("tied head")])
}

fn all() -> Vec<Figure> {
    let few = [curves("free head", 30), curves("tied head", 30)];
    let many: Vec<LossCurves> = (0..8).map(|at| curves(&format!("setting {at}"), 30)).collect();
    let mut all = vec![
        loss_curves("few", "Few", &few),
        loss_curves("many", "Many", &many),
        heatmaps(),
        strip(40),
    ];
    all.extend(preview::report().sections.into_iter().flat_map(|section| section.figures));
    all
}

/// The attribute of the root, in points.
fn points(svg: &Document<'_>, name: &str) -> f64 {
    let length = svg.root_element().attribute(name).unwrap();
    length
        .strip_suffix("pt")
        .map_or_else(|| 0.75 * length.parse::<f64>().unwrap(), |l| l.parse().unwrap())
}

#[test]
fn a_file_is_as_wide_as_its_style_says_with_text_of_one_size() {
    for (width, size) in [(397.0, 8.0), (234.0, 7.0), (600.0, 9.0)] {
        let style = style(&format!("width = {width}\nfont_size = {size}"));
        for figure in all() {
            let text = figure.styled(&style);
            let svg = Document::parse(&text).unwrap();
            let name = &figure.name;
            assert_eq!(points(&svg, "width"), width, "{name}");
            let unit = svg.root_element().attribute("viewBox").unwrap().split(' ').nth(2).unwrap();
            let point = width / unit.parse::<f64>().unwrap();
            let labels = svg.descendants().filter_map(|n| n.attribute("font-size"));
            let sizes: Vec<f64> = labels.map(|l| point * l.parse::<f64>().unwrap()).collect();
            assert!(!sizes.is_empty(), "{name}");
            // Labels, titles and tick labels, to a hundredth of a point.
            let right = [11.0, 12.0, 13.0].map(|part| size * part / 12.0);
            for found in sizes {
                assert!(right.iter().any(|r| (r - found).abs() < 0.01), "{name}: {found} pt");
            }
        }
    }
}

#[test]
fn without_a_style_a_file_is_as_it_was() {
    for figure in all() {
        assert_eq!(figure.styled(&style("")), figure.to_svg());
    }
}

#[test]
fn colours_and_fonts_are_those_of_the_style() {
    let figure = loss_curves("few", "Few", &[curves("free head", 30)]);
    let plain = figure.to_svg();
    let styled = figure.styled(&style("[colors]\ntrain = \"#ff00ff\""));
    let count = |svg: &str| {
        let png = retrodict_report::png(svg, 1.0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        pixels[..info.buffer_size()].chunks(4).filter(|p| p[..3] == [0xff, 0, 0xff]).count()
    };
    assert_eq!(count(&plain), 0);
    assert!(count(&styled) > 100);
    let greys = heatmaps().styled(&style("[colors]\nsequential = \"greys\""));
    assert_ne!(greys, heatmaps().to_svg());

    let folder = tempfile::tempdir().unwrap();
    let font = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts/DejaVuSans-symbols.ttf");
    std::fs::copy(font, folder.path().join("other.ttf")).unwrap();
    std::fs::write(folder.path().join("s.toml"), "font = \"other.ttf\"").unwrap();
    let other = Style::load(&folder.path().join("s.toml")).unwrap();
    let text = figure.styled(&other);
    let svg = Document::parse(&text).unwrap();
    let family = svg.root_element().attribute("font-family").unwrap();
    assert!(family.starts_with("'DejaVu Sans', Inter"), "{family}");
}

#[test]
fn a_strip_taller_than_a_page_is_folded_into_columns() {
    let height = |figure: &Figure, style: &Style| {
        points(&Document::parse(&figure.styled(style)).unwrap(), "height")
    };
    // A page has 648 points.
    assert!(height(&strip(40), &style("")) < 1000.0);
    assert!(height(&strip(20), &style("width = 500\nfont_size = 9")) < 648.0);
    // A way has its colour in every column.
    let text = strip(40).to_svg();
    let svg = Document::parse(&text).unwrap();
    for (way, class, variants) in [("first", "fill-series-1", 40), ("second", "fill-series-2", 39)]
    {
        let labels = svg
            .descendants()
            .filter(|n| n.is_element() && n.text().is_some_and(|t| t.trim() == way))
            .count();
        let dots = svg.descendants().filter(|n| {
            n.tag_name().name() == "circle"
                && n.attribute("class") == Some(class)
                && n.attribute("r") == Some("4.5")
        });
        // Its name once, in the legend, with a dot beside those of the means.
        assert_eq!((labels, dots.count()), (1, 1 + variants), "{way}");
    }
}

#[test]
fn a_short_run_has_an_axis_of_its_own() {
    let ticks = |variants: &[LossCurves]| {
        let figure = loss_curves("n", "t", variants);
        let text = figure.to_svg();
        let svg = Document::parse(&text).unwrap();
        let texts: Vec<String> = svg
            .descendants()
            .filter(|n| n.attribute("text-anchor") == Some("middle"))
            .filter_map(|n| Some(n.text()?.trim().to_owned()))
            .collect();
        (texts, figure.caption)
    };
    let long: Vec<LossCurves> = (0..4).map(|at| curves(&format!("long {at}"), 500)).collect();
    let (same, caption) = ticks(&long);
    assert!(!same.contains(&"20".to_owned()) && !caption.contains("axis of epochs"));
    for others in [1, 4] {
        let mut with_short = long[..others].to_vec();
        with_short.insert(0, curves("short", 20));
        let (own, caption) = ticks(&with_short);
        assert!(own.contains(&"20".to_owned()) && own.contains(&"400".to_owned()), "{own:?}");
        assert!(caption.contains("A short run has an axis of epochs of its own."));
    }
}
