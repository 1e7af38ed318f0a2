//! The page of `retrodict serve` in a real browser, on a sweep that is running.
//!
//! `RETRODICT_PICTURES=DIR` leaves pictures of every view in DIR.

#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;
#[path = "../../report/tests/browser/devtools.rs"]
#[allow(dead_code)] // the page of the report is driven by other parts of it
mod devtools;

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::Folder;
use devtools::Browser;
use serde_json::{Value, json};

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Folder, arguments: &str) -> Running {
    let mut command = folder.command(arguments);
    Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
}

/// Serves `out`; the URL that is printed.
fn serve(folder: &Folder) -> (Running, String) {
    let begun = Instant::now();
    while !folder.path().join("out/runs").is_dir() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
    let mut server = start(folder, "serve out --port 0");
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (server, line.trim().to_owned())
}

/// Waits until an expression is true in the page.
#[track_caller]
fn until(browser: &mut Browser, expression: &str) {
    let begun = Instant::now();
    while browser.eval(&format!("Boolean({expression})")) != Value::Bool(true) {
        if begun.elapsed() > Duration::from_secs(60) {
            let text = browser.eval("document.body.innerText");
            panic!("never true: {expression}\nthe page says:\n{}", text.as_str().unwrap_or("?"));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The text of the page's element.
fn text(browser: &mut Browser, selector: &str) -> String {
    let found = browser.eval(&format!("document.querySelector({selector:?})?.innerText"));
    found.as_str().unwrap_or_default().to_owned()
}

/// Takes pictures of a view: two sizes, light and dark.
fn photograph(browser: &mut Browser, name: &str) {
    let Some(folder) = env::var_os("RETRODICT_PICTURES") else { return };
    for (width, height, mobile) in [(1400, 900, false), (390, 844, true)] {
        browser.resize(width, height, mobile);
        for scheme in ["light", "dark"] {
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            browser.call("Emulation.setEmulatedMedia", json!({ "features": features }));
            thread::sleep(Duration::from_millis(700));
            let clip = [0.0, 0.0, f64::from(width), f64::from(height)];
            let picture = browser.picture(Some(clip));
            let file = Path::new(&folder).join(format!("{name}-{width}-{scheme}.png"));
            fs::write(file, picture).unwrap();
        }
    }
    browser.call("Emulation.setEmulatedMedia", json!({ "features": [] }));
    browser.resize(1400, 900, false);
}

#[test]
fn a_running_sweep_is_watched_in_a_browser() {
    let Some(program) = devtools::installed() else {
        eprintln!("skipped: there is no browser");
        return;
    };
    let folder = Folder::new();
    let sweep = "run tiny.toml --set model.layers=1,2 --set train.lr=0.001,0.003,0.01 --seeds 2 \
                 --set train.epochs=20000 --set probe.every=200 --set checkpoint.every=0 --out out \
                 --keep all";
    let mut training = start(&folder, sweep);
    let (_server, url) = serve(&folder);
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(&program, profile.path());
    browser.resize(1400, 900, false);
    browser.open(&url);

    // The list grows by itself.
    until(&mut browser, "document.querySelectorAll('.space .row').length > 0");
    until(&mut browser, "/of 12 runs/.test(document.querySelector('#progress').innerText)");
    until(&mut browser, "/ running/.test(document.querySelector('#progress').innerText)");
    assert_eq!(text(&mut browser, "#live"), "live");

    // The effective weights of a running run follow its training.
    until(
        &mut browser,
        "[...document.querySelectorAll('.space .row')].some(r => /running/.test(r.innerText))",
    );
    browser.eval(
        "[...document.querySelectorAll('.space .row')].find(r => /running/.test(r.innerText)).click()",
    );
    until(&mut browser, "document.querySelector('.matrix canvas')?.width > 8");
    until(&mut browser, "document.querySelectorAll('.run-view .curve').length >= 2");
    let last = "Number(document.querySelector('.slider input').max)";
    let before = browser.eval(last).as_f64().unwrap();
    until(&mut browser, &format!("{last} > {before}"));
    until(
        &mut browser,
        "document.querySelector('.slider input').value === document.querySelector('.slider input').max",
    );
    photograph(&mut browser, "run-while-training");
    // The keyboard moves the slider, which then stays.
    browser.eval("document.querySelector('.slider input').focus()");
    browser.press("ArrowLeft", 37);
    browser.press("ArrowLeft", 37);
    let shown = text(&mut browser, ".slider output");
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(text(&mut browser, ".slider output"), shown);
    let spec = "document.querySelector('[aria-label=spec]').innerText";
    until(&mut browser, &format!("{spec}.includes('[model]')"));

    // Curves, filtered and drawn while training continues.
    browser.eval("location.hash = '#curves?where=' + encodeURIComponent('model.layers == 1')");
    until(&mut browser, "document.querySelectorAll('.curves-view .curve').length >= 2");
    photograph(&mut browser, "curves-while-training");
    let bands = "document.querySelectorAll('.curves-view .band').length";
    until(&mut browser, &format!("{bands} >= 2"));

    assert!(training.0.wait().unwrap().success());
    browser.eval("location.hash = '#runs'");
    until(&mut browser, "/100 % of 12 runs/.test(document.querySelector('#progress').innerText)");
    until(&mut browser, "document.querySelectorAll('.space .row').length === 12");
    until(&mut browser, "!/–/.test(document.querySelector('.space').innerText)");
    photograph(&mut browser, "runs");
    check_list(&mut browser);
    check_other_views(&mut browser);
    check_quiet(&mut browser, &url);
}

/// The filter, the order and the keys of the list.
fn check_list(browser: &mut Browser) {
    let filter = |browser: &mut Browser, condition: &str| {
        browser.eval(&format!("document.querySelector('#where').value = {condition:?}"));
        browser.eval("document.querySelector('#filter').requestSubmit()");
    };
    filter(browser, "layers > 1");
    until(
        browser,
        "/did you mean `model.layers`/.test(document.querySelector('#problem').innerText)",
    );
    photograph(browser, "wrong-filter");
    filter(browser, "model.layers == 2 and train.lr < 0.005");
    until(browser, "document.querySelector('.total').innerText === '4 runs'");
    assert_eq!(text(browser, "#problem"), "");
    filter(browser, "");
    until(browser, "document.querySelector('.total').innerText === '12 runs'");
    let head = "[...document.querySelectorAll('.head button')].find(b => /held-out NLL/.test(b.innerText))";
    browser.eval(&format!("{head}.click()"));
    until(browser, "document.querySelector('[aria-sort=ascending]')");
    // The rows are asked for again.
    until(browser, "document.querySelector('.space').innerText.match(/complete/g)?.length === 12");
    thread::sleep(Duration::from_millis(500));
    browser.eval("document.querySelector('.list').focus()");
    browser.press("End", 35);
    browser.press(" ", 32);
    until(browser, "/1 selected/.test(document.querySelector('.selection').innerText)");
    browser.press("Home", 36);
    browser.press(" ", 32);
    until(browser, "/2 selected/.test(document.querySelector('.selection').innerText)");
}

fn check_other_views(browser: &mut Browser) {
    browser.eval("[...document.querySelectorAll('.selection button')].find(b => b.innerText === 'Compare').click()");
    until(browser, "document.querySelectorAll('tr.differs').length > 0");
    until(browser, "document.querySelectorAll('.matrix canvas')[1]?.width > 8");
    until(browser, "document.querySelectorAll('.compare-view .curve').length >= 4");
    assert!(text(browser, ".compare-view table").contains("≠ train.lr"));
    photograph(browser, "compare");
    browser.eval("location.hash = '#explore'");
    until(browser, "/^12 runs/.test(document.querySelector('.explore-view .note').innerText)");
    until(browser, "document.querySelectorAll('.explore-view canvas')[1]?.width > 300");
    photograph(browser, "explore");
    browser.eval("location.hash = '#curves?show=ranks'");
    until(browser, "document.querySelectorAll('.curves-view .chart').length === 3");
    photograph(browser, "ranks");
    browser.eval("location.hash = '#curves?show=asymmetry&log=1'");
    until(browser, "document.querySelectorAll('.curves-view .chart').length >= 1");
    photograph(browser, "asymmetry");
    // A link from elsewhere may name anything.
    browser.eval("location.hash = '#run?run=../../etc/passwd/0/0'");
    until(browser, "/no such run/.test(document.querySelector('.run-view').innerText)");
    browser.press("1", 49);
    until(browser, "document.querySelectorAll('.space .row').length > 0");
}

/// No error in the console, no request to another server.
fn check_quiet(browser: &mut Browser, url: &str) {
    browser.eval("1");
    for event in &browser.events {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => panic!("{params}"),
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                // The wrong filter and the wrong run were refused.
                let text = params["entry"]["text"].as_str().unwrap_or_default();
                assert!(
                    text.contains("status of 400") || text.contains("status of 404"),
                    "{params}"
                );
            }
            "Network.requestWillBeSent" => {
                let address = params["request"]["url"].as_str().unwrap();
                assert!(address.starts_with(url) || address.starts_with("data:"), "{address}");
            }
            _ => {}
        }
    }
}
