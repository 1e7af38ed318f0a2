//! Statistics of made scores, and a server that stands in for one with a model.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use retrodict_audit::{Generated, Limits, Plan, Request, Score, Scores, Server, Verdict, audit};
use retrodict_corpus::{Direction, FactFile, Templates};
use retrodict_facts::RandomState;
use serde_json::{Value, json};

const TEMPLATES: &str = "[capital]\n\
    forward = [\"The capital of {subject} is {object}.\", \"{subject}'s capital is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\"]\n";

fn facts(count: usize) -> FactFile {
    let rows: String = (0..count).map(|i| format!("land{i},capital,town{i}\n")).collect();
    FactFile::parse("facts.csv", format!("subject,relation,object\n{rows}").as_bytes()).unwrap()
}

fn templates() -> Templates {
    Templates::parse("t.toml", TEMPLATES).unwrap()
}

/// Scores of which the right answer has `bonus` nats more than noise and the answer's own prior.
fn scores(plan: &Plan, seed: u32, bonus: impl Fn(Direction) -> f64) -> Scores {
    let mut random = RandomState::new(seed);
    let mut scores = Scores::default();
    for asked in &plan.asked {
        // Priors differ much between candidates, more than what is known of them.
        let priors: Vec<f64> =
            asked.candidates.iter().map(|_| f64::from(random.randint(2000)) / 100.0).collect();
        for (source, scored) in asked.scored.iter().enumerate() {
            for phrasing in 0..asked.phrasings() {
                for &candidate in scored {
                    let noise = f64::from(random.randint(1000)) / 1000.0;
                    let right = asked.right[source].contains(&candidate);
                    let known = if right { bonus(asked.direction) } else { 0.0 };
                    let log_probability = -40.0 + priors[candidate] + noise + known;
                    let request = asked.request(phrasing, source, candidate);
                    scores.insert(request, Score { log_probability, tokens: 2 });
                }
            }
        }
    }
    scores
}

fn forward_only(direction: Direction) -> f64 {
    if direction == Direction::Forward { 3.0 } else { 0.0 }
}

#[test]
fn a_plan_asks_every_question_with_every_candidate() {
    let text = "subject,relation,object\nA,capital,B\nC,capital,D\nA,capital,E\n";
    let facts = FactFile::parse("f.csv", text.as_bytes()).unwrap();
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let [forward, reverse] = &plan.asked[..] else { panic!() };
    assert_eq!(
        (&forward.sources[..], &forward.candidates[..]),
        (&["A".into(), "C".into()][..], &["B".into(), "D".into(), "E".into()][..])
    );
    assert_eq!(forward.right, [vec![0, 2], vec![1]]);
    assert_eq!(reverse.sources, ["B", "D", "E"]);
    assert_eq!(
        forward.request(1, 0, 1),
        Request { prompt: "A's capital is".into(), answer: " D".into() }
    );
    assert_eq!(plan.requests().len(), 2 * 2 * 3 + 3 * 2);
    let few = Plan::new(&facts, &templates(), 2, 0);
    assert!(!few.asked[0].is_whole());
    assert_eq!(few.asked[0].scored[0], [0, 2]);
    assert_eq!(few.asked[0].scored[1].len(), 2);
}

#[test]
fn verdicts_follow_what_is_known() {
    let facts = facts(30);
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let result = |bonus: fn(Direction) -> f64| {
        audit(&facts, &plan, &scores(&plan, 1, bonus), &Generated::default(), "m").unwrap()
    };

    let curse = result(forward_only);
    assert_eq!(curse.all.verdict, Verdict::Curse);
    assert!(
        curse.all.forward_level > Some(0.99) && curse.all.reverse_level < Some(0.7),
        "{:?}",
        curse.all
    );
    let [low, high] = curse.all.asymmetry_interval.unwrap();
    assert!(low > 0.2 && high < 0.8 && curse.all.p < Some(0.001));
    // The gain is what was added: 3 nats, up to noise; the prior of up to 20 nats is gone.
    for fact in &curse.facts {
        assert!(
            (fact.forward.gain.unwrap() - 3.0).abs() < 1.0
                && fact.reverse.gain.unwrap().abs() < 1.0
        );
        assert_eq!(fact.forward.rank, Some(1.0));
        assert!((fact.forward.per_token * 2.0 - fact.forward.log_probability).abs() < 1e-12);
    }
    // By the raw log probability, priors hide it.
    assert!(curse.all.forward_top1 < Some(0.6));
    assert!(curse.false_curses.unwrap() < 0.08, "{:?}", curse.false_curses);

    assert_eq!(result(|_| 3.0).all.verdict, Verdict::NoneShown);
    assert_eq!(result(|_| 0.0).all.verdict, Verdict::NotKnown);
    let reverse = result(|direction| 3.0 - forward_only(direction));
    assert_eq!(reverse.all.verdict, Verdict::ReverseBetter);
}

/// A generated answer is compared with all right answers of a question, in every phrasing.
#[test]
fn own_words_are_counted_by_phrasing() {
    let facts = facts(3);
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let mut generated = Generated::default();
    for question in plan.questions() {
        let forward = question.right[0].starts_with("town");
        let right = !forward || question.prompt.starts_with("The capital");
        let text = if right { format!(" {}. And", question.right[0]) } else { " no".into() };
        generated.insert(question.prompt, text);
    }
    let result = audit(&facts, &plan, &scores(&plan, 1, |_| 3.0), &generated, "m").unwrap();
    assert_eq!((result.all.forward_exact, result.all.reverse_exact), (Some(0.5), Some(1.0)));
    assert_eq!(result.facts[1].forward.exact, Some(0.5));
    let none = Generated::default();
    let result = audit(&facts, &plan, &scores(&plan, 1, |_| 3.0), &none, "m").unwrap();
    assert_eq!(result.all.forward_exact, None);
    assert!(!serde_json::to_string(&result).unwrap().contains("exact"));
}

/// The calibration against scores of a model that knows nothing: verdicts of a curse are as rare as
/// promised.
#[test]
fn a_model_that_knows_nothing_is_rarely_cursed() {
    let facts = facts(16);
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let (mut curses, mut known) = (0, 0);
    for seed in 0..16 {
        let result =
            audit(&facts, &plan, &scores(&plan, seed, |_| 0.0), &Generated::default(), "m")
                .unwrap();
        curses += usize::from(result.all.p < Some(0.05) && result.all.asymmetry > Some(0.0));
        known += usize::from(result.all.verdict == Verdict::Curse);
    }
    assert!(curses <= 2 && known <= 1, "{curses} {known}");
}

#[test]
fn other_right_answers_do_not_count_against_a_fact() {
    let text = "subject,relation,object\nA,capital,B\nA,capital,C\nD,capital,E\nF,capital,G\n";
    let facts = FactFile::parse("f.csv", text.as_bytes()).unwrap();
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let result =
        audit(&facts, &plan, &scores(&plan, 2, |_| 9.0), &Generated::default(), "m").unwrap();
    for fact in &result.facts[..2] {
        assert_eq!(
            (fact.forward.rank, fact.forward.candidates, fact.forward.level),
            (Some(1.0), 3, Some(1.0))
        );
    }
}

#[test]
fn groups_are_one_observation() {
    let rows: String = (0..20).map(|i| format!("land{i},capital,town{i},g{}\n", i / 10)).collect();
    let text = format!("subject,relation,object,group\n{rows}");
    let facts = FactFile::parse("f.csv", text.as_bytes()).unwrap();
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let result =
        audit(&facts, &plan, &scores(&plan, 3, forward_only), &Generated::default(), "m").unwrap();
    assert_eq!(result.all.p, Some(0.5), "two groups of one sign");
    assert_eq!(result.all.facts, 20);
}

#[test]
fn missing_scores_are_named() {
    let facts = facts(3);
    let plan = Plan::new(&facts, &templates(), usize::MAX, 0);
    let error = audit(&facts, &plan, &Scores::default(), &Generated::default(), "m")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "27 of 27 log probabilities are missing, the first that of “ town0” after"
        ),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let line = "{\"prompt\":\"a\",\"answer\":\" b\",\"log_probability\":-1.5,\"tokens\":2}\n";
    std::fs::write(&path, format!("{line}{{\"prompt\":\"a\",\"ans")).unwrap();
    let read = Scores::read(&path).unwrap();
    let request = Request { prompt: "a".into(), answer: " b".into() };
    assert_eq!(read.get(&request), Some(Score { log_probability: -1.5, tokens: 2 }));
    for (bad, message) in [
        ("{}\n", "it is no score"),
        (
            "{\"prompt\":\"a\",\"answer\":\" b\",\"log_probability\":1.5,\"tokens\":2}\n",
            "log_probability is 1.5",
        ),
        (
            "{\"prompt\":\"a\",\"answer\":\" b\",\"log_probability\":-1.5,\"tokens\":0}\n",
            "with 0 tokens",
        ),
    ] {
        std::fs::write(&path, format!("{line}{bad}")).unwrap();
        let error = Scores::read(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("s.jsonl:2: {message}")) || error.contains(message),
            "{error}"
        );
    }
}

/// A request: when it came, and its authorization.
type Seen = (Instant, Option<String>);

/// A server that stands in for one with a model: each character after a space begins a token, of log
/// probability −1 for each of its letters.
struct StandIn {
    address: String,
    requests: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Its reply to a request: the status and the body.
type Behaviour = fn(usize, &Value) -> (u16, String);

impl StandIn {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let (requests, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stand_in = Self {
            address,
            requests: requests.clone(),
            at_once: at_once.clone(),
            seen: seen.clone(),
        };
        let open = Arc::new(AtomicUsize::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, at_once) = (requests.clone(), at_once.clone());
                let (seen, open) = (seen.clone(), open.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while serve(&mut reader, behaviour, &requests, &at_once, &seen, &open).is_some()
                    {
                    }
                });
            }
        });
        stand_in
    }

    fn server(&self, limits: Limits) -> Server {
        Server::new(&self.address, Some("m"), Some("secret".into()), limits).unwrap()
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(
    reader: &mut BufReader<TcpStream>,
    behaviour: Behaviour,
    requests: &AtomicUsize,
    at_once: &AtomicUsize,
    seen: &Mutex<Vec<(Instant, Option<String>)>>,
    open: &AtomicUsize,
) -> Option<()> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (status, text) = if first.starts_with("GET /v1/models ") {
        (200, json!({ "data": [{ "id": "only" }] }).to_string())
    } else {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        at_once.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        seen.lock().unwrap().push((Instant::now(), headers.get("authorization").cloned()));
        let answer = behaviour(number, &serde_json::from_slice(&body).unwrap());
        thread::sleep(Duration::from_millis(5));
        open.fetch_sub(1, Ordering::SeqCst);
        answer
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    reader.get_mut().write_all((head + &text).as_bytes()).ok()
}

/// The answer of a model.
fn answer(request: &Value) -> String {
    assert_eq!(
        (&request["echo"], &request["logprobs"], &request["model"]),
        (&json!(true), &json!(1), &json!("m"))
    );
    let text: Vec<char> = request["prompt"].as_str().unwrap().chars().collect();
    let mut tokens: Vec<String> = Vec::new();
    let mut offsets = Vec::new();
    for (at, letter) in text.iter().enumerate() {
        if at == 0 || *letter == ' ' {
            tokens.push(String::new());
            offsets.push(at);
        }
        tokens.last_mut().unwrap().push(*letter);
    }
    let mut logprobs: Vec<Value> =
        tokens.iter().map(|t| json!(-(t.trim().chars().count() as f64))).collect();
    logprobs[0] = Value::Null;
    // The token that the server adds.
    tokens.push(" and".to_owned());
    offsets.push(text.len());
    logprobs.push(json!(-100.0));
    json!({ "choices": [{ "text": "", "logprobs": {
        "tokens": tokens, "token_logprobs": logprobs, "text_offset": offsets } }] })
    .to_string()
}

fn fill(server: &Server, requests: &[Request], file: &Path) -> (Scores, Result<(), String>) {
    let mut scores = if file.exists() { Scores::read(file).unwrap() } else { Scores::default() };
    let stop = AtomicBool::new(false);
    let filled = server.fill(&mut scores, requests, file, &stop, |_, _| {});
    (scores, filled.map_err(|error| error.to_string()))
}

fn requests() -> Vec<Request> {
    Plan::new(&facts(4), &templates(), usize::MAX, 0).requests()
}

#[test]
fn a_server_gives_the_log_probabilities_of_answers_alone() {
    let stand_in = StandIn::start(|_, request| (200, answer(request)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/scores.jsonl");
    let wanted = vec![
        Request { prompt: "The capital of Perú is".into(), answer: " São Paulo".into() },
        Request { prompt: "A's capital is".into(), answer: " B".into() },
    ];
    let (scores, filled) = fill(&stand_in.server(Limits::default()), &wanted, &file);
    assert_eq!(filled, Ok(()));
    assert_eq!(scores.get(&wanted[0]), Some(Score { log_probability: -8.0, tokens: 2 }));
    assert_eq!(scores.get(&wanted[1]), Some(Score { log_probability: -1.0, tokens: 1 }));
    assert_eq!(Scores::read(&file).unwrap(), scores);
    let seen = stand_in.seen.lock().unwrap();
    assert!(seen.iter().all(|(_, key)| key.as_deref() == Some("Bearer secret")));
    // The key is written nowhere.
    assert!(!std::fs::read_to_string(&file).unwrap().contains("secret"));
    assert!(!format!("{:?}", stand_in.server(Limits::default())).contains("secret"));
    let server = Server::new(&stand_in.address, None, None, Limits::default()).unwrap();
    assert_eq!(server.model(), "only");
}

#[test]
fn requests_are_concurrent_and_paced() {
    let stand_in = StandIn::start(|_, request| (200, answer(request)));
    let folder = tempfile::tempdir().unwrap();
    let all = requests();
    let limits = Limits { at_once: 3, ..Limits::default() };
    let (_, filled) = fill(&stand_in.server(limits), &all, &folder.path().join("a.jsonl"));
    assert_eq!((filled, stand_in.count()), (Ok(()), all.len()));
    assert!((2..=3).contains(&stand_in.at_once.load(Ordering::SeqCst)));
    let limits = Limits { at_once: 8, per_second: Some(50.0), ..Limits::default() };
    let begun = Instant::now();
    let (_, filled) = fill(&stand_in.server(limits), &all[..20], &folder.path().join("b.jsonl"));
    assert_eq!(filled, Ok(()));
    assert!(begun.elapsed() >= Duration::from_millis(19 * 20), "{:?}", begun.elapsed());
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let one = &requests()[..1];
    let busy: Behaviour = |number, request| match number {
        0 => (429, "{}".to_owned()),
        1 => (503, "busy".to_owned()),
        _ => (200, answer(request)),
    };
    let stand_in = StandIn::start(busy);
    assert_eq!(fill(&stand_in.server(Limits::default()), one, &path("a")).1, Ok(()));
    assert_eq!(stand_in.count(), 3);

    let down = StandIn::start(|_, _| (500, String::new()));
    let limits = Limits { retries: 1, ..Limits::default() };
    let error = fill(&down.server(limits), one, &path("b")).1.unwrap_err();
    assert!(error.ends_with("it answers with status 500, after 2 tries"), "{error}");
    assert_eq!(down.count(), 2);

    for (behaviour, message) in [
        ((|_, _| (401, String::new())) as Behaviour, "give it in RETRODICT_API_KEY"),
        (
            |_, _| (400, "{\"error\": \"echo is not supported\"}".to_owned()),
            "echo is not supported",
        ),
        (
            |_, _| (200, "{\"choices\": [{\"text\": \"x\"}]}".to_owned()),
            "must support `echo` with `logprobs`",
        ),
        (|_, _| (200, "no JSON".to_owned()), "its answer cannot be read"),
        // Log probabilities of the generated token alone.
        (
            |_, _| {
                (
                    200,
                    json!({ "choices": [{ "logprobs": {
            "tokens": [" x"], "token_logprobs": [-1.0], "text_offset": [0] } }] })
                    .to_string(),
                )
            },
            "must support `echo` with `logprobs`",
        ),
    ] {
        let stand_in = StandIn::start(behaviour);
        let error = fill(&stand_in.server(Limits::default()), one, &path("c")).1.unwrap_err();
        assert!(error.contains(message), "{error}");
        assert_eq!(stand_in.count(), 1, "{message}");
    }

    let error = Server::new("localhost:8000", Some("m"), None, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("begins with http:// or https://"), "{error}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_https_says_how_to_get_one() {
    let address = "https://example.org/v1";
    let error = Server::new(address, Some("m"), None, Limits::default()).unwrap_err().to_string();
    assert!(error.starts_with(address) && error.contains("--features tls"), "{error}");
}

#[test]
fn what_was_asked_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.jsonl");
    let all = requests();
    let breaks: Behaviour = |number, request| match number {
        0..10 => (200, answer(request)),
        _ => (400, "enough".to_owned()),
    };
    let stand_in = StandIn::start(breaks);
    let (_, filled) =
        fill(&stand_in.server(Limits { at_once: 1, ..Limits::default() }), &all, &file);
    assert!(filled.is_err());
    assert_eq!(all.len() - Scores::read(&file).unwrap().missing(&all).len(), 10);
    // A process that was killed while it wrote.
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.truncate(text.len() - 7);
    std::fs::write(&file, text).unwrap();

    let whole = StandIn::start(|_, request| (200, answer(request)));
    let (scores, filled) = fill(&whole.server(Limits::default()), &all, &file);
    assert_eq!((filled, whole.count()), (Ok(()), all.len() - 9));
    assert_eq!(Scores::read(&file).unwrap(), scores);
    let (_, filled) = fill(&whole.server(Limits::default()), &all, &file);
    assert_eq!((filled, whole.count()), (Ok(()), all.len() - 9));

    let mut none = Scores::default();
    let stop = AtomicBool::new(true);
    let server = whole.server(Limits::default());
    let stopped = server.fill(&mut none, &all, &folder.path().join("n"), &stop, |_, _| {});
    assert!(stopped.unwrap_err().to_string().starts_with("stopped"));
}
