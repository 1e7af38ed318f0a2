//! The server: where it listens, and its threads.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use retrodict_lab::store::StoreError;
use serde_json::json;
use thiserror::Error;
use tokio::runtime;
use tokio::sync::{Semaphore, watch};

use crate::curves::Curves;
use crate::guard::Guard;
use crate::progress::{of_all, of_sweeps};
use crate::routes::{MOST_PAGES, Site, router};
use crate::runs::Lists;
use crate::scan::{Scanner, Shared};
use crate::source::Source;
use crate::table::Table;

/// The port unless another is given; another free one if it is taken.
pub const PORT: u16 = 8417;

/// Threads that read files for requests.
const READERS: usize = 3;
/// Milliseconds after the last request in which the store is still followed.
const REST: u64 = 30_000;

/// Where to serve a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that holds the store.
    pub dir: PathBuf,
    /// The address to listen on; any but loopback makes a token necessary.
    pub address: IpAddr,
    /// The port; [`PORT`] if not given.
    pub port: Option<u16>,
    /// Names of this machine by which the page may be opened, besides `localhost`.
    pub hosts: Vec<String>,
    /// Require a token on loopback too.
    pub token: bool,
}

/// Why a store cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// There is none.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is not to be had.
    #[error("cannot listen on {address}: {source}; choose another --listen or --port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("cannot make a token: the system gives no random numbers ({0})")]
    Token(getrandom::Error),
    /// The server ended.
    #[error("the server failed: {0}")]
    Io(#[from] io::Error),
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    source: Source,
    dir: PathBuf,
    hosts: Vec<String>,
    token: Option<String>,
}

impl Server {
    /// Opens the store and listens; requests are answered once [`run`](Server::run) is called.
    ///
    /// # Errors
    /// [`ServeError`] if there is no store, or the address is taken.
    pub fn bind(options: Options) -> Result<Server, ServeError> {
        let source = Source::open(&options.dir)?;
        let wanted = SocketAddr::new(options.address, options.port.unwrap_or(PORT));
        let listener = TcpListener::bind(wanted).or_else(|error| {
            let taken = error.kind() == io::ErrorKind::AddrInUse && options.port.is_none();
            if taken { TcpListener::bind((options.address, 0)) } else { Err(error) }
        });
        let listener = listener.map_err(|source| ServeError::Listen { address: wanted, source })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let token = (options.token || !options.address.is_loopback()).then(token).transpose();
        let token = token.map_err(ServeError::Token)?;
        Ok(Server { listener, address, source, dir: options.dir, hosts: options.hosts, token })
    }

    /// The address of the page, with the token where one is required.
    pub fn url(&self) -> String {
        let address = self.address;
        match &self.token {
            Some(token) => format!("http://{address}/?token={token}"),
            None => format!("http://{address}/"),
        }
    }

    /// Whether it listens on an address that other machines reach.
    pub fn is_public(&self) -> bool {
        !self.address.ip().is_loopback()
    }

    /// Answers requests for ever.
    ///
    /// # Errors
    /// [`ServeError::Io`] if the server cannot be started.
    pub fn run(self) -> Result<(), ServeError> {
        let (table, begun) = (Shared::default(), Instant::now());
        let (tell, news) = watch::channel(Arc::from("{}"));
        let asked = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let scanner = Scanner::new(self.source.clone(), table.clone());
        let follower = {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            let dir = self.dir.display().to_string();
            // The router holds one receiver; every page that follows holds another.
            let pages = tell.clone();
            let watched = move || {
                let now = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                pages.receiver_count() > 1
                    || now < REST
                    || now.saturating_sub(asked.load(Ordering::Relaxed)) < REST
            };
            let say = move |table: &Table| {
                tell.send_replace(overview(&dir, table).into());
            };
            thread::Builder::new()
                .name("follow the store".to_owned())
                .spawn(move || scanner.follow(&stop, watched, say))?
        };
        let site = Site {
            source: self.source,
            table,
            lists: Arc::new(Lists::default()),
            curves: Arc::new(Curves::default()),
            news,
            places: Arc::new(Semaphore::new(MOST_PAGES)),
            asked,
            begun,
        };
        let router = router(site, Guard::new(self.address, self.hosts, self.token));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(READERS)
            .build()?;
        let listener = self.listener;
        let served = runtime.block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
        });
        stop.store(true, Ordering::Relaxed);
        // It ends within a moment; a panic in it was printed.
        let _ = follower.join();
        Ok(served?)
    }
}

/// The overview that every page shows, as JSON.
fn overview(dir: &str, table: &Table) -> String {
    let runs = || table.runs().iter().filter(|run| !run.gone);
    json!({
        "dir": dir,
        "generation": table.generation,
        "progress": of_all(table),
        "sweeps": of_sweeps(table),
        "unmeasured": runs().filter(|run| !run.measured).count(),
        "warnings": table.warnings.iter().take(20).collect::<Vec<_>>(),
        "warning_count": table.warnings.len(),
    })
    .to_string()
}

/// 128 random bits in hexadecimal.
fn token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
