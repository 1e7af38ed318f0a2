//! The lesson from its first step to its last in Chromium and in Firefox, from a file. Skipped where
//! a browser is missing, unless `RETRODICT_REQUIRE_BROWSER=1`; `RETRODICT_SCREENSHOTS=DIR` keeps
//! pictures of every step.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "../../report/tests/browser/devtools.rs"]
#[allow(dead_code)] // the page of the report is driven by other parts of it
mod devtools;
#[path = "browser/marionette.rs"]
mod marionette;

use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use devtools::Browser;
use marionette::Firefox;
use serde_json::{Value, json};

/// The longest that a model may take to train. Of the trainings of a lesson the fastest counts: beside
/// other work, a browser may be long in compiling the module for speed.
const SECONDS: f64 = 20.0;
/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(180);

/// A browser that shows the lesson.
trait Page {
    fn eval(&mut self, expression: &str) -> Value;
    fn right_arrow(&mut self);
    /// Keeps pictures of the window under this name, where they are wanted.
    fn keep(&mut self, name: &str);
}

impl Page for Browser {
    fn eval(&mut self, expression: &str) -> Value {
        Browser::eval(self, expression)
    }

    fn right_arrow(&mut self) {
        self.press("ArrowRight", 39);
    }

    fn keep(&mut self, name: &str) {
        let Some(folder) = env::var_os("RETRODICT_SCREENSHOTS") else { return };
        for (width, height, mobile) in [(1400, 900, false), (390, 844, true)] {
            self.resize(width, height, mobile);
            for scheme in ["light", "dark"] {
                let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
                self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
                thread::sleep(Duration::from_millis(300));
                let file = format!("{name}-{width}-{scheme}.png");
                let whole = self.picture((!mobile).then_some([0.0, 0.0, 1400.0, 900.0]));
                fs::write(Path::new(&folder).join(file), whole).unwrap();
            }
        }
        self.call("Emulation.setEmulatedMedia", json!({ "features": [] }));
        self.resize(1400, 900, false);
    }
}

impl Page for Firefox {
    fn eval(&mut self, expression: &str) -> Value {
        Firefox::eval(self, expression)
    }

    fn right_arrow(&mut self) {
        self.press('\u{e014}');
    }

    fn keep(&mut self, name: &str) {
        let Some(folder) = env::var_os("RETRODICT_SCREENSHOTS") else { return };
        let file = Path::new(&folder).join(format!("firefox-{name}.png"));
        fs::write(file, self.picture()).unwrap();
    }
}

/// Waits until an expression is true in the page.
#[track_caller]
fn until(page: &mut impl Page, expression: &str) {
    let begun = Instant::now();
    while page.eval(&format!("Boolean({expression})")) != json!(true) {
        if begun.elapsed() > PATIENCE {
            let text = page.eval("document.body.innerText");
            panic!("never true: {expression}\nthe page says:\n{}", text.as_str().unwrap_or("?"));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn text(page: &mut impl Page, id: &str) -> String {
    let found = page.eval(&format!("document.getElementById('{id}').textContent"));
    found.as_str().unwrap().to_owned()
}

#[track_caller]
fn says(page: &mut impl Page, id: &str, part: &str) {
    let text = text(page, id);
    assert!(text.contains(part), "{id}: {text}\nwithout: {part}");
}

fn step(page: &mut impl Page, nth: usize) {
    until(
        page,
        &format!(
            "document.activeElement.id === 'h{nth}' && !document.activeElement.closest('[hidden]')"
        ),
    );
}

/// Starts training with a button, and waits for its end; returns its seconds.
fn trained(page: &mut impl Page, button: &str) -> f64 {
    page.eval("delete document.documentElement.dataset.seconds");
    page.eval(&format!("document.getElementById('{button}').click()"));
    until(page, "document.documentElement.dataset.seconds");
    page.eval("Number(document.documentElement.dataset.seconds)").as_f64().unwrap()
}

fn choose(page: &mut impl Page, name: &str, value: &str) {
    page.eval(&format!("document.querySelector('input[name={name}][value=\"{value}\"]').click()"));
}

/// All five steps; returns the seconds of training.
fn lesson(page: &mut impl Page) -> Vec<f64> {
    let mut seconds = Vec::new();
    page.keep("1");
    page.right_arrow();
    step(page, 2);
    until(page, "document.getElementById('world').textContent");
    says(page, "world", "40 children, A1 to A40");
    says(page, "world", "Of 28 pairs the model reads both sentences, of 12 only one");
    page.keep("2-before");
    // The next button trains where nothing is trained yet.
    assert_eq!(text(page, "next"), "Train →");
    page.eval("delete document.documentElement.dataset.seconds");
    page.eval("document.getElementById('next').click()");
    until(page, "/Epoch 1\\d\\d/.test(document.getElementById('curve-words').textContent)");
    page.keep("2-while-training");
    until(page, "document.documentElement.dataset.seconds");
    seconds.push(page.eval("Number(document.documentElement.dataset.seconds)").as_f64().unwrap());
    says(page, "curve-words", "asked as taught: 12 right. Turned round: 0 right.");
    page.keep("2");
    page.right_arrow();
    step(page, 3);
    says(page, "turned-words", "answers all 12 such questions; turned round, none of 12");
    says(page, "turned-words", "That is the reversal curse.");
    let right = "document.querySelectorAll('#answers-taught li')[0].classList.contains('right')";
    assert_eq!(page.eval(right), json!(true));
    let place = page.eval("document.querySelector('#answers-reversed .right').value");
    assert!(place.as_u64() > Some(1), "{place}");
    page.keep("3");
    page.right_arrow();
    step(page, 4);
    until(page, "document.getElementById('frame').value === document.getElementById('frame').max");
    says(page, "weights-words", "The weights grew on one side only.");
    page.keep("4");
    page.eval("document.getElementById('frame').value = 0");
    page.eval("document.getElementById('frame').dispatchEvent(new Event('input'))");
    says(page, "weights-words", "not learnt yet");
    page.right_arrow();
    step(page, 5);
    seconds.push(trained(page, "help"));
    says(page, "help-words", "Turned round, all 12 are right; before, none of 12. It helps.");
    page.keep("5");
    choose(page, "remedy", "2");
    seconds.push(trained(page, "help"));
    says(page, "help-words", "It helps.");
    says(page, "command", "--set 'data.recipes=[\"identities-typed\"]'");
    assert_eq!(page.eval("document.querySelectorAll('#runs tbody tr').length"), json!(3));

    // Other settings: the sentences follow the numbers.
    page.eval("location.hash = 'step-2'");
    step(page, 2);
    choose(page, "head", "tied");
    page.eval("location.hash = 'step-3'");
    step(page, 3);
    until(page, "/not trained yet/.test(document.querySelector('main').innerText)");
    page.eval("location.hash = 'step-2'");
    step(page, 2);
    seconds.push(trained(page, "train"));
    page.eval("location.hash = 'step-4'");
    step(page, 4);
    until(page, "document.getElementById('frame').value === document.getElementById('frame').max");
    says(page, "weights-words", "The weights grew more on one side than on the other.");
    says(page, "leak", "share one table");
    page.keep("4-tied");
    for pairs in [0, 4] {
        page.eval("location.hash = 'step-2'");
        step(page, 2);
        page.eval(&format!("document.getElementById('pairs').value = {pairs}"));
        page.eval("document.getElementById('pairs').dispatchEvent(new Event('input'))");
        until(page, "!document.getElementById('train').disabled");
        choose(page, "head", "free");
        seconds.push(trained(page, "train"));
        page.eval("location.hash = 'step-4'");
        step(page, 4);
        until(
            page,
            "document.getElementById('frame').value === document.getElementById('frame').max",
        );
        page.keep(if pairs == 0 { "4-few" } else { "4-many" });
    }
    let fetched = page.eval("performance.getEntriesByType('resource').map(entry => entry.name)");
    assert_eq!(fetched, json!([]));
    let fastest = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(fastest < SECONDS, "{seconds:?} seconds");
    seconds
}

/// The page in a file, and its address.
fn written(folder: &Path) -> String {
    let file = folder.join("lesson.html");
    let page = retrodict_lesson::page();
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    fs::write(&file, page).unwrap();
    format!("file://{}", file.display())
}

fn skip(browser: &str) {
    let required = env::var("RETRODICT_REQUIRE_BROWSER").is_ok_and(|v| v == "1");
    assert!(!required, "RETRODICT_REQUIRE_BROWSER=1, but {browser} is not installed");
    eprintln!("skipped: {browser} is not installed");
}

#[test]
fn the_lesson_in_chromium() {
    let Some(program) = devtools::installed() else { return skip("Chromium") };
    let folder = tempfile::tempdir().unwrap();
    let url = written(folder.path());
    let mut browser = Browser::start(&program, &folder.path().join("profile"));
    browser.resize(1400, 900, false);
    browser.open(&url);
    let seconds = lesson(&mut browser);
    eprintln!("Chromium trained in {seconds:?} seconds");

    // No part is wider than a phone, and a swipe leads on.
    browser.resize(390, 844, true);
    for nth in 1..=5 {
        browser.eval(&format!("location.hash = 'step-{nth}'"));
        until(
            &mut browser,
            &format!("!document.querySelector('main > section:nth-child({nth})').hidden"),
        );
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(wide.as_u64() <= Some(390), "step {nth}: {wide} of 390 pixels");
    }
    browser.eval("location.hash = 'step-1'");
    until(&mut browser, "!document.querySelector('main > section').hidden");
    browser.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    for (kind, x) in [("touchStart", Some(330.0)), ("touchMove", Some(80.0)), ("touchEnd", None)] {
        let points: Vec<Value> = x.iter().map(|x| json!({ "x": x, "y": 300.0 })).collect();
        browser.call("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points }));
    }
    step(&mut browser, 2);

    for event in &browser.events {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Log.entryAdded" => panic!("{params}"),
            "Network.requestWillBeSent" => {
                let address = params["request"]["url"].as_str().unwrap();
                let own = address.starts_with(&url) || address.starts_with("data:");
                assert!(own, "{address}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_lesson_in_firefox() {
    let Some(program) = marionette::installed() else { return skip("Firefox") };
    let folder = tempfile::tempdir().unwrap();
    let url = written(folder.path());
    let mut firefox = Firefox::start(&program, &folder.path().join("profile"));
    firefox.resize(1400, 985);
    firefox.open(&url);
    let seconds = lesson(&mut firefox);
    eprintln!("Firefox trained in {seconds:?} seconds");
}
