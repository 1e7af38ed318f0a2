//! A headless Firefox, driven over Marionette: JSON messages behind their length.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Long enough for a first start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The Firefox named by `RETRODICT_FIREFOX`, or the first of the usual names on the path.
pub(crate) fn installed() -> Option<PathBuf> {
    if let Some(named) = env::var_os("RETRODICT_FIREFOX") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let all = ["firefox", "firefox-esr"]
        .iter()
        .flat_map(|name| folders.iter().map(move |f| f.join(name)));
    all.into_iter().find(|path| path.is_file())
}

/// A browser with one window; both end with it.
pub(crate) struct Firefox {
    process: Child,
    stream: TcpStream,
    last: u64,
}

impl Firefox {
    /// Starts `program` with a fresh profile in `profile`.
    pub(crate) fn start(program: &Path, profile: &Path) -> Firefox {
        fs::create_dir_all(profile).unwrap();
        // Port 0 is a free one, which the browser writes into its profile. Nothing else is sent.
        let preferences = "user_pref(\"marionette.port\", 0);\n\
             user_pref(\"layout.css.prefers-color-scheme.content-override\", 1);\n\
             user_pref(\"datareporting.policy.dataSubmissionEnabled\", false);\n\
             user_pref(\"app.normandy.enabled\", false);\n\
             user_pref(\"browser.shell.checkDefaultBrowser\", false);\n";
        fs::write(profile.join("user.js"), preferences).unwrap();
        let process = Command::new(program)
            .args(["--headless", "--no-remote", "--marionette", "--profile"])
            .arg(profile)
            .env("HOME", profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (begun, written) = (Instant::now(), profile.join("MarionetteActivePort"));
        let stream = loop {
            assert!(begun.elapsed() < PATIENCE, "Firefox does not start");
            let port = fs::read_to_string(&written).ok().and_then(|port| port.trim().parse().ok());
            if let Some(stream) = port.and_then(|p: u16| TcpStream::connect(("127.0.0.1", p)).ok())
            {
                break stream;
            }
            thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut firefox = Firefox { process, stream, last: 0 };
        assert_eq!(firefox.receive()["marionetteProtocol"], 3);
        firefox.call("WebDriver:NewSession", json!({}));
        firefox
    }

    fn receive(&mut self) -> Value {
        let mut byte = [0];
        let mut length = 0;
        loop {
            self.stream.read_exact(&mut byte).unwrap();
            match byte[0] {
                b':' => break,
                digit => length = 10 * length + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message).unwrap();
        serde_json::from_slice(&message).unwrap()
    }

    /// Calls a command and returns its result.
    fn call(&mut self, command: &str, parameters: Value) -> Value {
        self.last += 1;
        let message = json!([0, self.last, command, parameters]).to_string();
        write!(self.stream, "{}:{message}", message.len()).unwrap();
        loop {
            let mut answer = self.receive();
            if answer[1] == json!(self.last) {
                assert!(answer[2].is_null(), "{command}: {}", answer[2]);
                return answer[3].take();
            }
        }
    }

    /// Opens a page and waits until all of it is there.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("WebDriver:Navigate", json!({ "url": url }));
    }

    /// The value of an expression in the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let script = json!({ "script": format!("return ({expression});"), "args": [] });
        self.call("WebDriver:ExecuteScript", script)["value"].take()
    }

    /// As a person presses a key; `code` is that of WebDriver's keys.
    pub(crate) fn press(&mut self, code: char) {
        let actions: Vec<Value> =
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": code })).to_vec();
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": actions }]);
        self.call("WebDriver:PerformActions", json!({ "actions": actions }));
    }

    /// A picture of the window.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let answer = self.call("WebDriver:TakeScreenshot", json!({ "full": false }));
        STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    /// A window of this width and height, with its frame.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        self.call("WebDriver:SetWindowRect", json!({ "width": width, "height": height }));
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
