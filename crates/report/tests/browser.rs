//! The page as a browser shows it. Skipped where none is installed, unless
//! `RETRODICT_REQUIRE_BROWSER=1`; `RETRODICT_SCREENSHOTS=DIR` keeps pictures to look at.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "browser/devtools.rs"]
#[allow(dead_code)] // other tests print
mod devtools;
#[allow(dead_code)] // its `main`
#[path = "../examples/preview.rs"]
mod preview;

use std::env;
use std::fs;
use std::path::PathBuf;

use devtools::Browser;
use serde_json::{Value, json};

/// The page of made-up numbers, opened; none where no browser is.
fn opened() -> Option<(Browser, String, tempfile::TempDir)> {
    let Some(program) = devtools::installed() else {
        let required = env::var("RETRODICT_REQUIRE_BROWSER").is_ok_and(|v| v == "1");
        assert!(!required, "RETRODICT_REQUIRE_BROWSER=1, but no browser is installed");
        eprintln!("skipped: no Chromium or Chrome on the path, none named by RETRODICT_BROWSER");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let page = retrodict_report::write(&dir.path().join("out"), &preview::report()).unwrap();
    let url = format!("file://{}", page.display());
    let mut browser = Browser::start(&program, &dir.path().join("profile"));
    browser.resize(1280, 900, false);
    browser.open(&url);
    Some((browser, url, dir))
}

/// Where the first window of a film lies on the whole page, in CSS pixels. (The rectangle of its
/// element is that of the whole film.)
fn first_window(browser: &mut Browser) -> [f64; 4] {
    let rect = browser.eval(
        "(() => { const w = document.querySelector('[data-window]'); \
         const m = w.parentNode.getScreenCTM(); const at = name => w[name].baseVal.value; \
         return [m.e + m.a * at('x') + scrollX, m.f + m.d * at('y') + scrollY, \
                 m.a * at('width'), m.d * at('height')]; })()",
    );
    serde_json::from_value(rect).unwrap()
}

fn keep(browser: &mut Browser, name: &str, clip: Option<[f64; 4]>) {
    if let Some(folder) = env::var_os("RETRODICT_SCREENSHOTS") {
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), browser.picture(clip)).unwrap();
    }
}

/// A picture of a part of the page at rest: fonts loaded, images decoded, and the same twice in a
/// row. The first one after a change may show what a busy browser has not drawn yet.
fn at_rest(browser: &mut Browser, clip: [f64; 4]) -> Vec<u8> {
    browser.eval(
        "(async () => { await document.fonts.ready; \
         for (const i of document.querySelectorAll('svg image')) { \
           const copy = new Image(); copy.src = i.href.baseVal; await copy.decode(); } \
         await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); })()",
    );
    let mut before = browser.picture(Some(clip));
    for _ in 0..20 {
        let now = browser.picture(Some(clip));
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the page never comes to rest");
}

/// All requests and errors of the page since it was opened.
fn requests_and_complaints(browser: &Browser, url: &str) -> Vec<String> {
    let mut found = Vec::new();
    for event in &browser.events {
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let asked = event["params"]["request"]["url"].as_str().unwrap_or_default();
                if asked != url && !asked.starts_with("data:") {
                    found.push(asked.to_owned());
                }
            }
            "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => {
                found.push(event["params"].to_string());
            }
            _ => {}
        }
    }
    found
}

const WINDOWS: &str =
    "[...document.querySelectorAll('[data-window]')].map(w => w.getAttribute('viewBox'))";

#[test]
fn the_page_is_whole_and_silent() {
    let Some((mut browser, url, _dir)) = opened() else { return };
    let broken = browser.eval(
        "(async () => { const bad = []; \
         document.querySelectorAll('img').forEach(i => i.loading = 'eager'); \
         const all = [...document.images].map(i => i.src) \
           .concat([...document.querySelectorAll('svg image')].map(i => i.href.baseVal)); \
         for (const src of all) { const i = new Image(); i.src = src; \
           try { await i.decode(); } catch { bad.push(src.slice(0, 80)); } } \
         return [all.length, bad]; })()",
    );
    assert!(broken[0].as_u64() > Some(20), "{broken}");
    assert_eq!(broken[1], json!([]));
    let font = browser.eval("document.fonts.ready.then(() => document.fonts.check('16px Inter'))");
    assert_eq!(font, json!(true));
    // The links of the index and of the claims lead somewhere.
    let lost = browser.eval(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href')) \
         .filter(h => !document.getElementById(h.slice(1)))",
    );
    assert_eq!(lost, json!([]));
    for (name, width, mobile) in
        [("desktop", 1280, false), ("phone", 390, true), ("small", 320, true)]
    {
        browser.resize(width, 844, mobile);
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64() <= Some(u64::from(width)), "{name}: {wide} of {width} pixels");
        // One layout of a figure is shown, not both.
        let shown = browser.eval(
            "[...document.querySelectorAll('figure:has(.blocks)')].every(f => \
             [...f.querySelectorAll('.blocks')].filter(b => b.offsetHeight > 0).length === 1)",
        );
        assert_eq!(shown, json!(true), "{name}");
        keep(&mut browser, name, None);
    }
    browser.resize(1280, 900, false);
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark);
    let ground = browser.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, json!("rgb(21, 24, 28)"));
    let title = "getComputedStyle(document.querySelector('svg text.fill-ink')).fill";
    assert_eq!(browser.eval(title), json!("rgb(232, 234, 237)"), "figures are restyled");
    keep(&mut browser, "dark", None);
    assert_eq!(requests_and_complaints(&browser, &url), [""; 0]);
}

/// Keeps what moves while the page loads, and when it first shows something.
const WATCH: &str = "window.moved = []; \
     new PerformanceObserver(list => { for (const shift of list.getEntries()) \
       window.moved.push([shift.value, shift.sources.map(s => s.node && (s.node.id || s.node.nodeName))]); \
     }).observe({ type: 'layout-shift', buffered: true });";

#[test]
fn the_page_shows_at_once_and_nothing_moves() {
    let Some((mut browser, url, _dir)) = opened() else { return };
    browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }));
    for (width, height, mobile) in [(1400, 900, false), (390, 844, true)] {
        browser.resize(width, height, mobile);
        let mut earliest = f64::INFINITY;
        // Other tests run at the same time: only a page that is never fast enough is a slow one.
        for load in 0..20 {
            browser.open("about:blank?");
            browser.open(&url);
            let seen = browser.eval(
                "(async () => { await document.fonts.ready; \
                 await new Promise(done => setTimeout(done, 200)); \
                 return [moved, performance.getEntriesByName('first-contentful-paint') \
                   .map(paint => paint.startTime)]; })()",
            );
            assert_eq!(seen[0], json!([]), "at {width} pixels");
            earliest = earliest.min(seen[1][0].as_f64().unwrap());
            if load >= 4 && earliest < 500.0 {
                break;
            }
        }
        assert!(earliest < 500.0, "first paint after {earliest} milliseconds at {width} pixels");
    }
}

#[test]
fn training_is_scrubbed_by_key_touch_and_button() {
    let Some((mut browser, url, _dir)) = opened() else { return };
    let last: Vec<String> = serde_json::from_value(browser.eval(WINDOWS)).unwrap();
    assert_eq!(last.len(), 12, "one variant of four panels in the opening, then two");
    assert!(last.iter().all(|v| v == "0 660 60 60"), "the last of 12 frames: {last:?}");
    let clip = first_window(&mut browser);
    let end = at_rest(&mut browser, clip);

    browser.eval("document.querySelector('.scrub input').focus({ preventScroll: true })");
    browser.press("ArrowLeft", 37);
    assert_eq!(browser.eval("document.querySelector('.scrub output').textContent"), json!("144"));
    assert_eq!(browser.eval(WINDOWS)[3], json!("0 600 60 60"));
    browser.press("Home", 36);
    assert_eq!(browser.eval(WINDOWS)[0], json!("0 0 60 60"));
    let note = "document.querySelector('[data-forms]').textContent";
    assert_eq!(browser.eval(note), json!("margin 0.0"));
    let start = at_rest(&mut browser, clip);
    assert!(start != end, "other pixels");
    keep(&mut browser, "first-frame", None);
    browser.press("End", 35);
    assert_eq!(browser.eval(note), json!("margin 12.2"));
    assert!(at_rest(&mut browser, clip) == end, "and the same again");

    browser.resize(390, 844, true);
    browser.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    browser.eval(
        "document.querySelector('.scrub').scrollIntoView({ behavior: 'instant', block: 'center' })",
    );
    let at = browser.eval(
        "(() => { const r = document.querySelector('.scrub input').getBoundingClientRect(); \
         return [r.x + r.width / 2, r.y + r.height / 2, r.height]; })()",
    );
    let [x, y, height]: [f64; 3] = serde_json::from_value(at).unwrap();
    assert!(height >= 40.0, "high enough for a thumb: {height}");
    browser.tap(x, y);
    let frame = browser.eval("Number(document.querySelector('.scrub input').value)");
    assert!((4..=7).contains(&frame.as_i64().unwrap()), "the middle of 12: {frame}");
    browser.resize(1280, 900, false);

    let played = "new Promise(done => { \
         document.querySelector('.scrub input').value = 9; \
         document.querySelector('.scrub button').click(); \
         const wait = () => document.querySelector('.scrub button').textContent === 'Play' \
           ? done(document.querySelector('.scrub output').textContent) : setTimeout(wait, 50); \
         wait(); })";
    assert_eq!(browser.eval(played), json!("152"), "it stops at the end");
    let still = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser.call("Emulation.setEmulatedMedia", still);
    let button = "getComputedStyle(document.querySelector('.scrub button')).display";
    assert_eq!(browser.eval(button), json!("none"));
    assert_eq!(requests_and_complaints(&browser, &url), [""; 0]);
}

/// The page is sent alone: its files come out of it.
#[test]
fn downloads_work_without_the_folder() {
    let Some((mut browser, url, _dir)) = opened() else { return };
    let sizes = browser.eval(
        "(async () => { const found = {}; \
         for (const end of ['svg', 'png', 'pdf', 'csv']) { \
           const link = [...document.querySelectorAll('figcaption a[download]')] \
             .find(a => a.getAttribute('href').endsWith(end)); \
           let kept; const make = URL.createObjectURL; \
           URL.createObjectURL = blob => { kept = blob; return 'blob:none'; }; \
           link.addEventListener('click', e => { if (link.href.startsWith('blob:')) e.preventDefault(); }); \
           link.click(); \
           addEventListener('unhandledrejection', e => { found[end] = String(e.reason); }); for (let i = 0; !kept && i < 100; i++) await new Promise(done => setTimeout(done, 50)); \
           URL.createObjectURL = make; if (!kept) continue; \
           const head = new Uint8Array(await kept.slice(0, 4).arrayBuffer()); \
           found[end] = [kept.size, String.fromCharCode(...head), link.download]; } \
         return found; })()",
    );
    for (end, head) in [("svg", "<?xm"), ("png", "\u{89}PNG"), ("pdf", "%PDF"), ("csv", "vari")] {
        let [size, found, name] = [0, 1, 2].map(|at| sizes[end][at].clone());
        assert!(size.as_u64() > Some(1000), "{end}: {sizes}");
        assert_eq!((found, name), (json!(head), json!(format!("fig1.{end}"))));
    }
    assert_eq!(requests_and_complaints(&browser, &url), [""; 0]);
}

#[test]
fn a_spec_is_copied_and_the_page_does_without_its_script() {
    let Some((mut browser, url, _dir)) = opened() else { return };
    // With and without the clipboard that a browser may refuse.
    for refused in [false, true] {
        let copied = browser.eval(&format!(
            "(async () => {{ let text = ''; \
             if ({refused}) navigator.clipboard.writeText = () => Promise.reject(); \
             else navigator.clipboard.writeText = async t => {{ text = t; }}; \
             document.addEventListener('copy', () => {{ text = getSelection().toString(); }}); \
             document.querySelector('details').open = true; \
             const button = document.querySelector('.copy'); button.click(); \
             await new Promise(done => setTimeout(done, 100)); \
             return [text.trim(), document.querySelector('.spec pre').textContent.trim(), \
                     button.textContent]; }})()"
        ));
        assert_eq!(copied[0], copied[1], "refused: {refused}");
        assert_eq!(copied[2], json!("Copied"));
    }
    keep(&mut browser, "open-spec", None);
    browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.open(&url);
    let windows: Vec<Value> = serde_json::from_value(browser.eval(WINDOWS)).unwrap();
    assert!(windows.iter().all(|v| v == "0 660 60 60"), "the end of training");
    for tool in [".scrub", ".copy"] {
        let shown = format!("getComputedStyle(document.querySelector('{tool}')).display");
        assert_eq!(browser.eval(&shown), json!("none"), "no tool that does nothing");
    }
    assert_eq!(requests_and_complaints(&browser, &url), [""; 0]);
}
