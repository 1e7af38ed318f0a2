//! The three-minute lesson: one page that trains a small model in the browser and shows where the
//! reversal curse comes from. It needs no server and no network: the model, `retrodict-lesson-model`
//! compiled to WebAssembly, lies in the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The model, compiled by `build-wasm`.
pub const MODULE: &[u8] = include_bytes!("../lesson.wasm");

const TEMPLATE: &str = include_str!("../page/index.html");
const STYLE: &str = include_str!("../page/page.css");
/// One script, in the order of use: a browser loads no modules from disk.
const SCRIPTS: [&str; 6] = [
    include_str!("../page/dom.js"),
    include_str!("../page/words.js"),
    include_str!("../page/draw.js"),
    include_str!("../page/model.js"),
    include_str!("../page/training.js"),
    include_str!("../page/steps.js"),
];

/// The page, complete in one file.
pub fn page() -> String {
    let script = format!("\"use strict\";\n{{\n{}}}\n", SCRIPTS.concat());
    // Whatever else came to stand in the page would be neither applied nor run.
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {} 'wasm-unsafe-eval'; img-src data:; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(&script)
    );
    let module = STANDARD.encode(MODULE);
    let parts = [("policy", &*policy), ("style", STYLE), ("module", &module), ("script", &script)];
    let mut page = TEMPLATE.to_owned();
    for (name, text) in parts {
        page = page.replacen(&format!("{{{{{name}}}}}"), text, 1);
    }
    page
}
