//! Server-sent events about changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{Stream, unfold};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;

/// The shortest time between two events to one page.
const PAUSE: Duration = Duration::from_millis(900);

/// The newest overview of the store, as JSON.
pub(crate) type News = watch::Receiver<Arc<str>>;

/// The events of one page: the overview now, and whenever it has changed. The page gives back its
/// `place` when it leaves.
pub(crate) fn events(
    news: News,
    place: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = unfold((news, place, true), |(mut news, place, first)| async move {
        if !first {
            sleep(PAUSE).await;
            news.changed().await.ok()?;
        }
        let text = Arc::clone(&news.borrow_and_update());
        Some((Ok(Event::default().data(&*text)), (news, place, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
