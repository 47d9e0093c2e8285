//! The HTTP server: the page at `/`, its WebSocket at `/ws`, and nothing else.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Router,
    extract::{FromRequestParts, State, WebSocketUpgrade},
    http::{
        HeaderMap, StatusCode,
        header::{HOST, ORIGIN},
        request::Parts,
    },
    response::Response,
    routing::{any, get},
};
use hikyaku::signers::Fingerprint;
use hikyaku_chat::server::WebPort;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::{
    crowd::{Crowd, Place},
    document,
    host::Names,
    limits::{
        ACCEPT_AGAIN, HEADERS_WITHIN, MAX_HEADERS, MAX_MESSAGE, REQUEST_WITHIN, SOCKET_BUFFER,
    },
    session::SessionKey,
    socket,
    throttle::Throttled,
};

/// Decides whether a link admits a page, by the page's key and the link's token. It must admit the
/// same page again, because the answer may have been lost.
pub struct Admission(Box<Admits>);

type Admits = dyn FnMut(Fingerprint, &str) -> bool + Send;

impl Admission {
    /// Admits the pages for which this returns `true`.
    #[must_use]
    pub fn new(admits: impl FnMut(Fingerprint, &str) -> bool + Send + 'static) -> Self {
        Self(Box::new(admits))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission(…)")
    }
}

/// The configuration of a web server.
#[derive(Debug)]
pub struct WebConfig {
    /// The key by which it recognises its pages.
    pub key: SessionKey,
    /// Names that lead to it, in addition to its listening addresses: those of a proxy, for
    /// example.
    pub names: Vec<String>,
    /// Decides which pages are admitted.
    pub admission: Admission,
}

/// A web server that does not respond yet.
#[derive(Debug)]
pub struct WebServer {
    listener: TcpListener,
    local: SocketAddr,
}

/// The state that all pages share.
pub(crate) struct Shared {
    pub(crate) key: SessionKey,
    pub(crate) port: WebPort,
    names: Names,
    admission: Mutex<Admission>,
}

impl Shared {
    pub(crate) fn admits(&self, page: Fingerprint, token: &str) -> bool {
        let Admission(admits) = &mut *self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        admits(page, token)
    }
}

impl WebServer {
    /// Listens on the first of these addresses that is free.
    ///
    /// # Errors
    /// When none is free.
    pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let listener = TcpListener::bind(addresses).await?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }

    /// Returns the address where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves pages until this is dropped. The messages of their members go to `port`.
    pub async fn serve(self, config: WebConfig, port: WebPort) {
        let WebConfig { key, names, admission } = config;
        let (names, admission) = (Names::new(names), Mutex::new(admission));
        let shared = Arc::new(Shared { key, port, names, admission });
        let routes =
            Router::new().route("/", get(page)).route("/ws", any(web_socket)).with_state(shared);
        let crowd = Crowd::default();
        loop {
            let Ok((stream, from)) = self.listener.accept().await else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let (Some(place), Ok(local)) = (crowd.enter(from.ip()), stream.local_addr()) else {
                continue;
            };
            // Lines must be sent without delay.
            let _ = stream.set_nodelay(true);
            let visit = Arc::new(Visit { from: from.ip(), local, _place: place });
            tokio::spawn(answer(stream, routes.clone().layer(Extension(visit))));
        }
    }
}

/// A connection of a browser.
#[derive(Debug)]
struct Visit {
    from: IpAddr,
    /// Our address of the connection.
    local: SocketAddr,
    _place: Place,
}

/// Answers the requests of a connection until it becomes a WebSocket or its time is up.
async fn answer(stream: TcpStream, routes: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(MAX_HEADERS);
    let serving = http
        .serve_connection(TokioIo::new(Throttled::new(stream)), TowerToHyperService::new(routes))
        .with_upgrades();
    // Invalid or slow requests get no response.
    let _ = timeout(REQUEST_WITHIN, serving).await;
}

/// A request for this server.
struct OurHost(String);

impl FromRequestParts<Arc<Shared>> for OurHost {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        let visit = parts.extensions.get::<Arc<Visit>>();
        let host = header(&parts.headers, &HOST);
        match (visit, host) {
            (Some(visit), Some(host)) if shared.names.allow(host, visit.local) => {
                Ok(Self(host.to_owned()))
            }
            _ => Err((
                StatusCode::MISDIRECTED_REQUEST,
                "This chat is not known under that name; its host can name it with --web-name.",
            )),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    // Different programs would read two of them differently.
    let only = all.next().filter(|_| all.next().is_none());
    only.and_then(|value| value.to_str().ok())
}

async fn page(_: OurHost) -> Response {
    document::response()
}

async fn web_socket(
    OurHost(host): OurHost,
    State(shared): State<Arc<Shared>>,
    Extension(visit): Extension<Arc<Visit>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let origin = header(&headers, &ORIGIN).unwrap_or_default();
    if !shared.names.allow_origin(origin, &host) {
        return Err(StatusCode::FORBIDDEN);
    }
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER);
    Ok(upgrade.on_upgrade(async move |socket| {
        socket::serve(socket, visit.from, shared).await;
        // The connection keeps its slot until here.
        drop(visit);
    }))
}
