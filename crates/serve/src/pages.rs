//! The files of the page, which are part of the program.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use retrodict_report::plot::heatmap::Colors;
use retrodict_report::plot::theme::{Color, GRID, HELD_OUT, INK, PAPER, SERIES, SOFT, TRAIN};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// A file of the page.
#[derive(Debug)]
pub(crate) struct File {
    /// Its address.
    pub(crate) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

impl File {
    /// The answer to a request for it.
    pub(crate) fn answer(&self) -> Response {
        ([(header::CONTENT_TYPE, self.kind)], self.text).into_response()
    }
}

macro_rules! files {
    ($($path:literal $kind:ident $name:literal)*) => {
        &[$(File { path: $path, kind: $kind, text: include_str!(concat!("../page/", $name)) }),*]
    };
}

/// All files.
pub(crate) static FILES: &[File] = files! {
    "/" HTML "index.html"
    "/page.css" CSS "page.css"
    "/main.js" JS "main.js"
    "/api.js" JS "api.js"
    "/dom.js" JS "dom.js"
    "/scale.js" JS "scale.js"
    "/chart.js" JS "chart.js"
    "/heatmap.js" JS "heatmap.js"
    "/list.js" JS "list.js"
    "/points.js" JS "points.js"
    "/view-runs.js" JS "view-runs.js"
    "/view-curves.js" JS "view-curves.js"
    "/view-explore.js" JS "view-explore.js"
    "/view-run.js" JS "view-run.js"
    "/view-compare.js" JS "view-compare.js"
};

/// The colours of figures, by role, in light and dark.
pub(crate) fn palette_css() -> impl IntoResponse {
    let roles = [INK, SOFT, GRID, PAPER, TRAIN, HELD_OUT];
    let rules = |of: fn(&Color) -> &'static str| -> String {
        let all = roles.iter().chain(&SERIES);
        all.map(|color| format!("--{}:{};", color.name, of(color))).collect()
    };
    let (light, dark) = (rules(|color| color.light), rules(|color| color.dark));
    let css = format!(
        ":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root:not([data-theme=light])\
         {{{dark}}}}}\n:root[data-theme=dark]{{{dark}}}\n"
    );
    ([(header::CONTENT_TYPE, CSS)], css)
}

/// The colours of heat maps: red, green and blue of each of 256 levels, the last for a missing
/// value.
pub(crate) fn palette_js() -> impl IntoResponse {
    let colors = Colors::SEQUENTIAL.palette();
    let text = format!(
        "// Viridis; the last is for a missing value.\nexport const colors = {colors:?};\n"
    );
    ([(header::CONTENT_TYPE, JS)], text)
}
