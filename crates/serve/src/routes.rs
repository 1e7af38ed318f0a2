//! The addresses that are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use retrodict_lab::Measure;
use retrodict_lab::measures::Value as Taken;
use retrodict_lab::runs::Column;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::curves::{Curves, MOST_CURVES, Wanted};
use crate::events::{News, events};
use crate::explore::{MOST_AXES, points};
use crate::failure::Failure;
use crate::guard::{Guard, guard};
use crate::pages;
use crate::runs::{Lists, columns, detail, find, window};
use crate::scan::Shared;
use crate::source::Source;
use crate::weights;

/// The most pages that follow the store at a time.
pub(crate) const MOST_PAGES: usize = 64;

/// All that requests read.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) source: Source,
    pub(crate) table: Shared,
    pub(crate) lists: Arc<Lists>,
    pub(crate) curves: Arc<Curves>,
    pub(crate) news: News,
    /// One for each page that follows.
    pub(crate) places: Arc<Semaphore>,
    /// Milliseconds from `begun` to the last request.
    pub(crate) asked: Arc<AtomicU64>,
    pub(crate) begun: Instant,
}

/// Name and value of each part of a query string.
type Pairs = Query<Vec<(String, String)>>;

/// The first value of a name; empty if there is none.
fn one<'p>(pairs: &'p Pairs, name: &str) -> &'p str {
    pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

fn all<'p>(pairs: &'p Pairs, name: &'p str) -> impl Iterator<Item = &'p str> {
    pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| &**value)
}

/// A whole number, or `default` where it is left out.
fn number(pairs: &Pairs, name: &str, default: usize) -> Result<usize, Failure> {
    match one(pairs, name) {
        "" => Ok(default),
        text => text.parse().map_err(|_| Failure::bad(format!("{name} is no whole number"))),
    }
}

/// The server's answers.
pub(crate) fn router(site: Site, rules: Guard) -> Router {
    let files = pages::FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(move || async move { file.answer() }))
    });
    files
        .route("/palette.css", get(|| async { pages::palette_css() }))
        .route("/palette.js", get(|| async { pages::palette_js() }))
        .route("/api/events", get(follow))
        .route("/api/overview", get(overview))
        .route("/api/runs", get(list))
        .route("/api/columns", get(column_names))
        .route("/api/curves", get(curves))
        .route("/api/points", get(scatter))
        .route("/api/run", get(one_run))
        .route("/api/weights", get(matrix))
        .fallback(|uri: Uri| async move { Failure::missing(format!("there is no {}", uri.path())) })
        .layer(from_fn_with_state(site.clone(), note))
        .layer(from_fn_with_state(rules, guard))
        .with_state(site)
}

/// Notes that somebody watches.
async fn note(State(site): State<Site>, request: Request, next: Next) -> Response {
    let elapsed = u64::try_from(site.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    site.asked.store(elapsed, Ordering::Relaxed);
    next.run(request).await
}

/// Runs work that reads files beside the threads that answer.
async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let failed = |_| Failure::unreadable("the answer failed; the terminal shows why");
    spawn_blocking(work).await.map_err(failed)?
}

fn answer(value: &Value) -> Response {
    text(value.to_string())
}

fn text(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

async fn follow(State(site): State<Site>) -> Response {
    match Arc::clone(&site.places).try_acquire_owned() {
        Ok(place) => events(site.news.clone(), place).into_response(),
        Err(_) => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}

async fn overview(State(site): State<Site>) -> Response {
    let news = site.news.borrow().to_string();
    text(news)
}

async fn list(State(site): State<Site>, pairs: Pairs) -> Result<Response, Failure> {
    let (from, count) = (number(&pairs, "from", 0)?, number(&pairs, "count", 100)?);
    read(move || {
        let table = site.table.read();
        let list = site.lists.select(&table, one(&pairs, "where"), one(&pairs, "sort"))?;
        Ok(answer(&window(&table, &list, one(&pairs, "columns"), from, count)?))
    })
    .await
}

async fn column_names(State(site): State<Site>, pairs: Pairs) -> Result<Response, Failure> {
    read(move || {
        let table = site.table.read();
        let list = site.lists.select(&table, one(&pairs, "where"), "")?;
        Ok(answer(&columns(&table, &list)))
    })
    .await
}

async fn curves(State(site): State<Site>, pairs: Pairs) -> Result<Response, Failure> {
    let points = number(&pairs, "points", 600)?.clamp(4, 4000);
    let most = number(&pairs, "most", 7)?.clamp(1, MOST_CURVES);
    read(move || {
        let measure = |id: &str| match Measure::find(id) {
            Ok(measure) if matches!(measure.value, Taken::Epoch { .. }) => Ok(measure),
            Ok(_) => Err(Failure::bad(format!("{id} is not measured after every epoch"))),
            Err(error) => Err(Failure::bad(error)),
        };
        let measures: Vec<_> =
            all(&pairs, "measure").take(12).map(measure).collect::<Result<_, _>>()?;
        let runs = {
            let table = site.table.read();
            let named: Vec<u32> = all(&pairs, "run")
                .take(MOST_CURVES)
                .map(|name| find(&table, name))
                .collect::<Result<_, _>>()?;
            if named.is_empty() {
                site.lists.select(&table, one(&pairs, "where"), one(&pairs, "sort"))?.to_vec()
            } else {
                named
            }
        };
        let single = one(&pairs, "by") == "run";
        let wanted = Wanted { runs, measures, single, points, most };
        Ok(answer(&site.curves.answer(&site.source, &site.table, &wanted)))
    })
    .await
}

async fn scatter(State(site): State<Site>, pairs: Pairs) -> Result<Response, Failure> {
    read(move || {
        let axes = all(&pairs, "axis").take(MOST_AXES).map(Column::parse);
        let axes: Vec<Column> = axes.collect::<Result<_, _>>().map_err(Failure::bad)?;
        let table = site.table.read();
        let list = site.lists.select(&table, one(&pairs, "where"), one(&pairs, "sort"))?;
        Ok(answer(&points(&table, &list, &axes)))
    })
    .await
}

async fn one_run(State(site): State<Site>, pairs: Pairs) -> Result<Response, Failure> {
    read(move || Ok(answer(&detail(&site.source, &site.table, one(&pairs, "run"))?))).await
}

async fn matrix(State(site): State<Site>, pairs: Pairs) -> Result<Response, Failure> {
    let epoch = number(&pairs, "epoch", 0)? as u64;
    read(move || {
        let (seed, experiment, hash) = {
            let table = site.table.read();
            let place = find(&table, one(&pairs, "run"))?;
            let run = table.run(place).ok_or_else(|| Failure::missing("the run was removed"))?;
            let setting = table.setting(run.setting);
            (run.seed, setting.experiment.clone(), setting.hash)
        };
        let folder = site.source.run(&experiment, hash, seed).map_err(Failure::unreadable)?;
        let tensors = site.source.probe(&folder, epoch).map_err(Failure::unreadable)?;
        let name = Some(one(&pairs, "tensor")).filter(|name| !name.is_empty());
        let bytes = weights::encode(&tensors, name)?;
        Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
    })
    .await
}
