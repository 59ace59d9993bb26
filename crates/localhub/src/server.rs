//! The server itself: its routes, its thread, its end.

use crate::faults::Faults;
use crate::log::{Log, record};
use crate::shelf::Shelf;
use crate::{api, cors, page, resolve};
use anyhow::{Context, Result};
use axum::http::{HeaderMap, header};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Router, middleware};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

pub struct Config {
    /// The built page; without it only the hub's paths are answered.
    pub dist: Option<PathBuf>,
    /// Files at `{hub_root}/{owner}/{name}/{revision}/{path}`.
    pub hub_root: PathBuf,
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// More can be ordered later, from [`Server::faults`].
    pub faults: Faults,
    /// Whether the page is isolated from other pages, so that its threads may share memory: it computes with several.
    pub isolated: bool,
}

impl Config {
    /// The files below `hub_root`, no page (which would be isolated), no faults, on a free port of this machine only.
    pub fn new(hub_root: impl Into<PathBuf>) -> Self {
        Self {
            dist: None,
            hub_root: hub_root.into(),
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            faults: Faults::default(),
            isolated: true,
        }
    }

    pub fn with_page(self, dist: impl Into<PathBuf>) -> Self {
        Self { dist: Some(dist.into()), ..self }
    }

    /// As a host answers that knows nothing of isolation.
    pub fn without_isolation(self) -> Self {
        Self { isolated: false, ..self }
    }
}

/// A running server. It stops when this is dropped, connections and all.
pub struct Server {
    address: SocketAddr,
    faults: Arc<Faults>,
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end: what the page takes as its hub's base address.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn stop(self) {}

    /// Serves until the process is ended.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the server on a thread of its own, so that it serves blocking and asynchronous callers alike. When this
/// returns, connections are accepted.
pub fn serve(config: Config) -> Result<Server> {
    let listener = TcpListener::bind(config.bind).with_context(|| format!("cannot listen on {}", config.bind))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let (faults, log) = (Arc::new(config.faults), Arc::new(Log::default()));
    let hub = Hub {
        dist: config.dist,
        shelf: Shelf::new(config.hub_root),
        address,
        faults: faults.clone(),
        isolated: config.isolated,
    };
    let router = router(hub, log.clone());
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new().name("local hub".to_owned()).spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is bound and non-blocking");
            // Small answers must not wait for the acknowledgement of the ones before them.
            let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
            tokio::select! {
                end = axum::serve(listener, router) => drop(end),
                _ = stopped => {}
            }
        });
        // Open connections are not waited for: a stopped hub is what a test of a lost connection needs.
        runtime.shutdown_background();
    })?;
    Ok(Server { address, faults, log, stop: Some(stop), thread: Some(thread) })
}

/// What every request handler may look at.
#[derive(Clone)]
pub struct Hub {
    pub dist: Option<PathBuf>,
    pub shelf: Shelf,
    pub faults: Arc<Faults>,
    pub isolated: bool,
    address: SocketAddr,
}

impl Hub {
    /// This server's address as its client wrote it (`localhost` and `127.0.0.1` are two origins to a browser).
    pub fn origin(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        match host.filter(plain) {
            Some(host) => format!("http://{host}"),
            None => format!("http://{}", self.address),
        }
    }
}

fn router(hub: Hub, log: Arc<Log>) -> Router {
    Router::new()
        .route("/{owner}/{name}/resolve/{revision}/{*path}", get(resolve::resolve))
        .route("/cdn/{owner}/{name}/{revision}/{*path}", get(resolve::cdn))
        .route("/api/models/{owner}/{name}", get(api::model))
        .route("/api/models/{owner}/{name}/revision/{revision}", get(api::model_at))
        .route("/api/models/{owner}/{name}/tree/{revision}", get(api::tree))
        .route("/api/models/{owner}/{name}/tree/{revision}/{*folder}", get(api::tree_below))
        .fallback(page::page)
        .layer(middleware::from_fn(cors::allow_every_origin))
        .layer(middleware::from_fn_with_state(log, record))
        .with_state(hub)
}
