//! The server as clients of all kinds meet it.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use retrodict_lab::spec::Spec;
use retrodict_lab::store::Store;
use retrodict_lab::{Experiment, Job, Resources, run_all};
use retrodict_serve::{Options, Server};
use tempfile::TempDir;

const SPEC: &str = r#"name = "tiny"
seeds = 2
[data]
kind = "reversal"
vocab_size = 40
[model]
layers = 1
heads = 2
dim = 8
[train]
batch_size = 8
epochs = 6
[probe]
every = 3
"#;

/// Trains two settings of two seeds.
fn train(out: &Path) {
    let store = Store::open(out).unwrap();
    for layers in ["1", "2"] {
        let spec = Spec::parse_with(SPEC, "tiny.toml", &[("model.layers", layers)]).unwrap();
        let experiment = Experiment::new(spec, "tiny.toml").unwrap();
        let jobs: Vec<Job<'_>> = Job::of(&experiment).collect();
        run_all(&jobs, &store, Resources::default(), &false.into());
    }
}

struct Site {
    folder: TempDir,
    port: u16,
    token: Option<String>,
}

/// An answer: status, headers, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Site {
    fn start(token: bool, prepare: impl FnOnce(&Path)) -> Site {
        let folder = tempfile::tempdir().unwrap();
        train(&folder.path().join("out"));
        prepare(folder.path());
        let options = Options {
            dir: folder.path().join("out"),
            address: "127.0.0.1".parse().unwrap(),
            port: Some(0),
            hosts: vec!["node17".to_owned()],
            token,
        };
        let server = Server::bind(options).unwrap();
        let url = server.url();
        let port = url.split([':', '/']).nth(4).unwrap().parse().unwrap();
        let token = url.split_once("token=").map(|(_, token)| token.to_owned());
        thread::spawn(move || server.run().unwrap());
        let site = Site { folder, port, token };
        // The store is read within a moment.
        let begun = Instant::now();
        while !token_free(&site).contains("\"unmeasured\":0,") {
            assert!(begun.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(50));
        }
        site
    }

    /// Sends bytes and reads until the server closes.
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        // A refused request may reset the connection after the answer.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = bytes.get(end + 4..).unwrap_or_default();
        let chunked = head.contains("transfer-encoding: chunked");
        assert!(!chunked, "only the events are of unknown length");
        Answer { status, head, body: body.to_vec() }
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let host = format!("localhost:{}", self.port);
        let host =
            if headers.contains("Host:") { String::new() } else { format!("Host: {host}\r\n") };
        let request =
            format!("{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
        self.raw(request.as_bytes())
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }
}

fn token_free(site: &Site) -> String {
    let header = site.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
    site.ask("GET", "/api/overview", &header.unwrap_or_default()).text()
}

#[test]
fn the_page_and_its_data_are_served() {
    let site = Site::start(false, |_| ());
    let page = site.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("default-src 'none'; script-src 'self'"), "{}", page.head);
    // All that the page names is there.
    let names = |text: &str| -> Vec<String> {
        let parts =
            text.split(['"', ' ']).filter(|part| part.starts_with('/') || part.starts_with("./"));
        let files = parts.filter(|part| part.ends_with(".js") || part.ends_with(".css"));
        files.map(|part| part.trim_start_matches('.').to_owned()).collect()
    };
    let mut files = names(&page.text());
    let mut at = 0;
    while at < files.len() {
        let file = site.get(&files[at]);
        assert_eq!(file.status, 200, "{}", files[at]);
        assert!(!file.text().contains("http://") || files[at] == "/dom.js", "{}", files[at]);
        for name in names(&file.text()) {
            if !files.contains(&name) {
                files.push(name);
            }
        }
        at += 1;
    }
    assert!(files.len() >= 15, "{files:?}");

    let overview = site.get("/api/overview").json();
    assert_eq!(overview["progress"]["counts"]["complete"], 4);
    let list = site.get("/api/runs?columns=model.layers,seed,held_out_nll&sort=-seed&where=model.layers+%3D%3D+2").json();
    assert_eq!(list["total"], 2);
    assert_eq!(list["rows"][0]["cells"][0], 2);
    assert_eq!(list["rows"][0]["cells"][1], 1);
    assert!(list["rows"][0]["cells"][2].as_f64().unwrap() > 0.0);
    let columns = site.get("/api/columns").json();
    assert_eq!(columns["keys"][0]["name"], "model.layers");
    assert_eq!(columns["keys"].as_array().unwrap().len(), 1);
    let curves = site.get("/api/curves?measure=held_out_nll&measure=asymmetry").json();
    assert_eq!(curves["groups"].as_array().unwrap().len(), 2);
    assert_eq!(curves["groups"][0]["seeds"], serde_json::json!([0, 1]));
    assert_eq!(curves["groups"][0]["curves"]["held_out_nll"]["x"].as_array().unwrap().len(), 6);
    let low = curves["groups"][0]["curves"]["held_out_nll"]["low"][5].as_f64().unwrap();
    assert!(low < curves["groups"][0]["curves"]["held_out_nll"]["mean"][5].as_f64().unwrap());
    let single = site.get("/api/curves?measure=train_nll&by=run&most=3").json();
    assert_eq!((single["groups"].as_array().unwrap().len(), &single["total"]), (3, &4.into()));
    let points = site.get("/api/points?axis=model.layers&axis=held_out_nll").json();
    assert_eq!(points["axes"][0]["values"].as_array().unwrap().len(), 4);

    let hash = list_of_names(&site)[0].clone();
    let run = site.get(&format!("/api/run?run={hash}")).json();
    assert_eq!((&run["status"], &run["epochs"]), (&"complete".into(), &6.into()));
    assert_eq!(run["probes"], serde_json::json!([0, 3, 6]));
    assert!(run["spec"].as_str().unwrap().contains("[model]"));
    let weights = site.get(&format!("/api/weights?run={hash}&epoch=3"));
    assert_eq!(weights.status, 200);
    let length = u32::from_le_bytes(weights.body[..4].try_into().unwrap()) as usize;
    let text: serde_json::Value = serde_json::from_slice(&weights.body[4..4 + length]).unwrap();
    let cells = text["rows"].as_u64().unwrap() * text["columns"].as_u64().unwrap();
    assert_eq!(weights.body.len(), (4 + length).next_multiple_of(4) + 4 * cells as usize);
    assert_eq!(site.get(&format!("/api/weights?run={hash}&epoch=4")).status, 422);
}

/// `experiment/hash/seed` of every run.
fn list_of_names(site: &Site) -> Vec<String> {
    let list = site.get("/api/runs?columns=experiment,hash,seed").json();
    let name = |row: &serde_json::Value| {
        let cell = |at: usize| row["cells"][at].to_string().replace('"', "");
        format!("{}/{}/{}", cell(0), cell(1), cell(2))
    };
    list["rows"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn a_wrong_filter_gets_the_message_of_the_command_line() {
    let site = Site::start(false, |_| ());
    for (filter, message) in [
        ("layers+%3E+1", "did you mean `model.layers`?"),
        ("1+%3C", "at character 4"),
        ("status+%3D%3D+complete", "a text is quoted: 'complete'"),
    ] {
        for path in ["runs", "columns", "curves", "points"] {
            let answer = site.get(&format!("/api/{path}?where={filter}"));
            assert_eq!(answer.status, 400);
            assert!(answer.text().contains(message), "{}", answer.text());
        }
    }
    assert!(site.get("/api/runs?columns=nonsense").text().contains("no column `nonsense`"));
    assert!(
        site.get("/api/curves?measure=forward_top1").text().contains("not measured after every")
    );
}

#[test]
fn only_requests_to_this_machine_are_answered_and_only_reads() {
    let site = Site::start(false, |_| ());
    for host in ["evil.example", "evil.example:8417", "127.0.0.1.evil.example", "10.1.2.3", ""] {
        let answer = site.ask("GET", "/api/overview", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 403, "{host}");
    }
    assert_eq!(site.ask("GET", "/", "Host: node17:8417\r\n").status, 200);
    assert_eq!(site.ask("GET", "/", "Host: [::1]:9\r\n").status, 200);
    // A name that is rebound may also come as an absolute address.
    let absolute = "GET http://evil.example/ HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert!(matches!(site.raw(absolute.as_bytes()).status, 400 | 403));
    let none = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert!(matches!(site.raw(none.as_bytes()).status, 400 | 403));
    let cross = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n";
    assert_eq!(site.ask("GET", "/api/overview", cross).status, 403);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in ["/", "/api/runs", "/nothing"] {
            let answer = site.ask(method, path, "Content-Length: 0\r\n");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
        }
    }
    assert_eq!(site.ask("HEAD", "/", "").status, 200);
}

#[test]
fn a_token_is_required_where_it_is_wanted() {
    let site = Site::start(true, |_| ());
    let token = site.token.clone().unwrap();
    assert_eq!(token.len(), 32);
    for path in ["/", "/api/overview", "/main.js", "/?token=", "/?token=0123", "/nothing"] {
        assert_eq!(site.get(path).status, 403, "{path}");
    }
    // The token counts at the front door alone: no other address has it in a log or a history.
    assert_eq!(site.get(&format!("/api/overview?token={token}")).status, 403);
    let admitted = site.get(&format!("/?token={token}"));
    assert_eq!(admitted.status, 303);
    assert!(admitted.head.contains("location: /\r\n"), "{}", admitted.head);
    assert!(admitted.head.contains("httponly; samesite=lax"), "{}", admitted.head);
    let cookie = format!("Cookie: other=1; retrodict-{}={token}\r\n", site.port);
    assert_eq!(site.ask("GET", "/api/overview", &cookie).status, 200);
    assert_eq!(site.ask("GET", "/api/overview", &cookie.replace(&token, "wrong")).status, 403);
}

#[test]
fn nothing_outside_the_folder_is_shown() {
    let site = Site::start(false, |folder| {
        fs::write(folder.join("secret.txt"), "the secret").unwrap();
        // A whole run outside, linked into the store.
        train(&folder.join("other"));
        fs::rename(folder.join("other/runs/tiny"), folder.join("elsewhere")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.join("elsewhere"), folder.join("out/runs/linked"))
            .unwrap();
    });
    let names = list_of_names(&site);
    assert_eq!(names.len(), 4, "{names:?}");
    let linked = names[0].replace("tiny/", "linked/");
    assert_eq!(site.get(&format!("/api/run?run={linked}")).status, 404);
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/....//secret.txt",
        "//etc/passwd",
        "/api/../../secret.txt",
        "/api/run?run=../../secret.txt/0000000000000000/0",
        "/api/run?run=..%2F..%2Fsecret.txt",
        "/api/run?run=/etc/passwd",
        "/api/weights?run=../x/0000000000000000/0&epoch=1",
        "/runs/tiny",
        "/secret.txt",
        "/page/index.html",
    ] {
        let answer = site.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(
            !answer.text().contains("the secret") && !answer.text().contains("root:"),
            "{path}"
        );
    }
    // Nothing was written.
    let left: Vec<_> =
        fs::read_dir(site.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

/// A small generator: the same addresses on every machine.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % most as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

#[test]
fn no_address_makes_the_server_fail() {
    const PATHS: [&str; 11] = [
        "/",
        "/api/runs",
        "/api/columns",
        "/api/curves",
        "/api/points",
        "/api/run",
        "/api/weights",
        "/api/overview",
        "/main.js",
        "/api",
        "/api/runs/",
    ];
    const NAMES: [&str; 14] = [
        "where", "sort", "columns", "from", "count", "run", "epoch", "tensor", "measure", "axis",
        "points", "most", "by", "token",
    ];
    const VALUES: [&str; 28] = [
        "",
        "0",
        "1",
        "-1",
        "18446744073709551616",
        "1e9",
        "nan",
        "%00",
        "%ff%fe",
        "%",
        "%zz",
        "%2e%2e%2f",
        "seed",
        "-seed",
        "held_out_nll",
        "model.layers+%3E+0",
        "((((",
        "'",
        "\"",
        "+",
        "tiny/0000000000000000/0",
        "a/b/c/d",
        "/",
        "status,status,status",
        "%F0%9F%98%80",
        "none",
        "not not true",
        "99999999999999999999999",
    ];
    let site = Site::start(false, |_| ());
    let hash = list_of_names(&site)[0].clone();
    let mut draws = Draws(7);
    for _ in 0..1500 {
        let mut path = draws.pick(&PATHS).to_owned();
        for at in 0..draws.below(5) {
            path.push(if at == 0 { '?' } else { '&' });
            path.push_str(draws.pick(&NAMES));
            if draws.below(8) > 0 {
                path.push('=');
            }
            match draws.below(4) {
                0 => path.push_str(&hash),
                _ => path.push_str(draws.pick(&VALUES)),
            }
        }
        if draws.below(4) == 0 {
            let byte = draws.below(256);
            let at = draws.below(path.len()) + 1;
            path.insert_str(at.min(path.len()), &format!("%{byte:02x}"));
        }
        let answer = site.get(&path.replace(' ', "+"));
        assert!(
            (200..500).contains(&answer.status),
            "{path}: {}\n{}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("the terminal shows why"), "{path}");
    }
    // Random bytes are no request at all.
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..draws.below(300)).map(|_| draws.below(256) as u8).collect();
        let status = site.raw(&[&bytes[..], b"\r\n\r\n"].concat()).status;
        assert!(status < 500, "{bytes:?}");
    }
    let long = format!("/api/runs?where={}", "(".repeat(20_000));
    assert!(matches!(site.get(&long).status, 400 | 414 | 431));
    assert_eq!(site.get("/").status, 200);
}

#[test]
fn a_page_is_told_of_new_runs() {
    let site = Site::start(false, |_| ());
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    let mut wait_for = |wanted: &str| {
        let begun = Instant::now();
        while !text.contains(wanted) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{text}");
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    wait_for("text/event-stream");
    wait_for("\"complete\":4");
    fs::remove_dir_all(
        fs::read_dir(site.folder.path().join("out/runs/tiny"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    )
    .unwrap();
    wait_for("\"complete\":2");
}
