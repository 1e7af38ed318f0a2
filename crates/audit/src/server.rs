//! A server that returns log probabilities of a prompt: OpenAI's interface of completions with
//! `echo` and `logprobs`, which vLLM and llama-cpp-python have.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::scores::Record;
use crate::tls;
use crate::{AuditError, Request, Score, Scores};

/// How much is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests that wait for an answer at one time.
    pub at_once: usize,
    /// Requests a second, at most; `None` for no limit.
    pub per_second: Option<f64>,
    /// Further tries of a request that fails for a reason that may pass.
    pub retries: usize,
    /// The time that a request may take.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { at_once: 4, per_second: None, retries: 5, timeout: Duration::from_secs(120) }
    }
}

/// A server with one of its models.
pub struct Server {
    /// The address as the user gave it.
    address: String,
    model: String,
    key: Option<String>,
    agent: ureq::Agent,
    limits: Limits,
}

impl fmt::Debug for Server {
    /// Without the key.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { address, model, .. } = self;
        out.debug_struct("Server").field("address", address).field("model", model).finish()
    }
}

/// The outcome of one try.
enum Tried {
    Done(Score),
    /// It may work later; in how long, if the server says so.
    Later(String, Option<Duration>),
    Refused(String),
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    logprobs: Option<LogProbs>,
}

#[derive(Deserialize)]
struct LogProbs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f64>>,
    text_offset: Option<Vec<usize>>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl Server {
    /// The server at an address such as `http://localhost:8000/v1`. Without a model it is the only
    /// one that the server has. The key goes into the requests' headers, and nowhere else.
    ///
    /// # Errors
    /// An address without `http://`; one with `https://` in a build without the feature `tls`; or a
    /// server that does not list its models.
    pub fn new(
        address: &str,
        model: Option<&str>,
        key: Option<String>,
        limits: Limits,
    ) -> Result<Self, AuditError> {
        let refuse = |problem: &str| AuditError::Address {
            address: address.to_owned(),
            problem: problem.to_owned(),
        };
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(limits.timeout))
            .http_status_as_error(false)
            // The server is the user's: a proxy of the environment is for others.
            .proxy(None);
        if address.starts_with("https://") {
            config = tls::encrypted(config).map_err(|problem| refuse(&problem))?;
        } else if !address.starts_with("http://") {
            return Err(refuse(
                "an address begins with http:// or https://, as http://localhost:8000/v1",
            ));
        }
        let mut server = Self {
            address: address.trim_end_matches('/').to_owned(),
            model: model.unwrap_or_default().to_owned(),
            key,
            agent: config.build().into(),
            limits,
        };
        if model.is_none() {
            server.model = server.only_model()?;
        }
        Ok(server)
    }

    /// The name of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Adds the scores that are missing, and appends each to the file as it comes. `progress` is
    /// called with the number known and the number wanted.
    ///
    /// # Errors
    /// The first request that is refused, or fails too often; [`AuditError::Interrupted`] once
    /// `stop` is set. The file keeps what is known.
    pub fn fill(
        &self,
        scores: &mut Scores,
        requests: &[Request],
        file: &Path,
        stop: &AtomicBool,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), AuditError> {
        let missing = scores.missing(requests);
        let mut record = Record::open(file)?;
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let pace = Pace::new(self.limits.per_second);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.limits.at_once.clamp(1, missing.len().max(1)) {
                let sender = sender.clone();
                let (next, failed, missing, pace) = (&next, &failed, &missing, &pace);
                scope.spawn(move || {
                    let ends = || failed.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed);
                    while !ends() {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(request) = missing.get(at) else { break };
                        let score = self.score(request, pace, &ends);
                        if sender.send((at, score)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut known = requests.len() - missing.len();
            progress(known, requests.len());
            let mut result = Ok(());
            for (at, score) in receiver {
                let added = score.and_then(|score| {
                    record.add(&missing[at], score)?;
                    scores.insert(missing[at].clone(), score);
                    Ok(())
                });
                match added {
                    Ok(()) => {
                        known += 1;
                        progress(known, requests.len());
                    }
                    Err(error) if result.is_ok() => {
                        failed.store(true, Ordering::Relaxed);
                        result = Err(error);
                    }
                    Err(_) => {}
                }
            }
            match result {
                Ok(()) if known < requests.len() => Err(AuditError::Interrupted),
                result => result,
            }
        })
    }

    /// The score of a request, tried again where that may help.
    fn score(
        &self,
        request: &Request,
        pace: &Pace,
        ends: &impl Fn() -> bool,
    ) -> Result<Score, AuditError> {
        let mut wait = Duration::from_millis(250);
        for tried in 0.. {
            pace.wait();
            match self.try_once(request) {
                Tried::Done(score) => return Ok(score),
                Tried::Refused(problem) => return Err(self.refuse(problem)),
                Tried::Later(problem, _) if tried == self.limits.retries => {
                    let problem = format!("{problem}, after {} tries", tried + 1);
                    return Err(self.refuse(problem));
                }
                Tried::Later(_, after) => {
                    let until = Instant::now() + after.unwrap_or(wait).min(Duration::from_secs(60));
                    while Instant::now() < until {
                        if ends() {
                            return Err(AuditError::Interrupted);
                        }
                        let left = until.saturating_duration_since(Instant::now());
                        thread::sleep(left.min(Duration::from_millis(50)));
                    }
                    wait *= 2;
                }
            }
        }
        unreachable!("the last try returns")
    }

    fn try_once(&self, request: &Request) -> Tried {
        let body = json!({
            "model": self.model,
            "prompt": format!("{}{}", request.prompt, request.answer),
            // Some servers refuse 0; the token that they add is left out.
            "max_tokens": 1,
            "temperature": 0,
            "echo": true,
            "logprobs": 1,
        });
        let mut post = self.agent.post(format!("{}/completions", self.address));
        post = post.header("content-type", "application/json");
        if let Some(key) = &self.key {
            post = post.header("authorization", format!("Bearer {key}"));
        }
        let mut response = match post.send(body.to_string()) {
            Ok(response) => response,
            Err(error) => {
                return match tls::distrust(&error) {
                    Some(problem) => Tried::Refused(problem),
                    None => Tried::Later(format!("it does not answer: {error}"), None),
                };
            }
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|text| text.to_str().ok());
        let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let text = match response.body_mut().read_to_string() {
            Ok(text) => text,
            Err(error) => return Tried::Later(format!("its answer breaks off: {error}"), after),
        };
        match status {
            200 => match score(&text, request) {
                Ok(score) => Tried::Done(score),
                Err(problem) => Tried::Refused(problem),
            },
            408 | 425 | 429 | 500.. => {
                Tried::Later(format!("it answers with status {status}"), after)
            }
            401 | 403 => Tried::Refused(format!(
                "it refuses the key (status {status}); give it in RETRODICT_API_KEY"
            )),
            _ => Tried::Refused(format!("it answers with status {status}: {}", short(&text))),
        }
    }

    /// The model, if the server has one.
    fn only_model(&self) -> Result<String, AuditError> {
        let mut get = self.agent.get(format!("{}/models", self.address));
        if let Some(key) = &self.key {
            get = get.header("authorization", format!("Bearer {key}"));
        }
        let mut response = get.call().map_err(|error| {
            let problem = tls::distrust(&error);
            self.refuse(problem.unwrap_or_else(|| format!("it does not answer: {error}")))
        })?;
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let models: Models = serde_json::from_str(&text).map_err(|_| {
            self.refuse(format!(
                "it does not list its models (status {}); name one with --model-name",
                response.status().as_u16()
            ))
        })?;
        match &models.data[..] {
            [model] => Ok(model.id.clone()),
            models => {
                let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
                Err(self.refuse(format!(
                    "it has the models {}; name one with --model-name",
                    names.join(", ")
                )))
            }
        }
    }

    fn refuse(&self, problem: String) -> AuditError {
        AuditError::Server { address: self.address.clone(), problem }
    }
}

/// The score in a server's answer.
fn score(text: &str, request: &Request) -> Result<Score, String> {
    let completion: Completion = serde_json::from_str(text)
        .map_err(|error| format!("its answer cannot be read: {error}"))?;
    let logprobs = completion.choices.into_iter().next().and_then(|choice| choice.logprobs);
    let without = "it returns no log probabilities of the prompt; it must support `echo` with \
                   `logprobs`, as vLLM does";
    let LogProbs { tokens, token_logprobs, text_offset } = logprobs.ok_or(without)?;
    let start = request.prompt.chars().count();
    let end = start + request.answer.chars().count();
    let mut at = 0;
    let lengths = tokens.iter().map(|token| {
        let begins = at;
        at += token.chars().count();
        begins
    });
    let lengths: Vec<usize> = lengths.collect();
    let offsets = text_offset.filter(|offsets| offsets.len() == tokens.len()).unwrap_or(lengths);
    let mut score = Score { log_probability: 0.0, tokens: 0 };
    for (index, (begins, logprob)) in offsets.iter().zip(&token_logprobs).enumerate() {
        let next = offsets.get(index + 1).copied().unwrap_or(usize::MAX);
        // A token that begins in the prompt and ends in the answer counts as the answer's.
        if next > start && *begins < end {
            let Some(logprob) = logprob.filter(|logprob| !logprob.is_nan()) else {
                return Err(match index {
                    0 => "it gives the first token no log probability; the prompt is empty"
                        .to_owned(),
                    _ => without.to_owned(),
                });
            };
            score.log_probability += logprob.max(-1e4);
            score.tokens += 1;
        }
    }
    if score.tokens == 0 || offsets.last().is_none_or(|last| *last < start) {
        return Err(without.to_owned());
    }
    Ok(score)
}

/// The first words of an answer.
fn short(text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lets so many requests a second pass.
struct Pace {
    next: Mutex<Instant>,
    between: Duration,
}

impl Pace {
    fn new(per_second: Option<f64>) -> Self {
        let between = per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        Self { next: Mutex::new(Instant::now()), between }
    }

    fn wait(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.between;
            turn
        };
        thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}
