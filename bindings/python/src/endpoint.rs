//! Connecting, and listening.

use std::{sync::Arc, time::Duration};

use hikyaku::{
    Backoff, ConnectError, Endpoint, EndpointBuilder, address::Address, known_hosts::host_name,
};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString},
};
use tokio::sync::Mutex;

use crate::{
    address::AddressArg,
    connection::Connection,
    discovery::{About, Advertiser},
    ending,
    errors::HikyakuError,
    incoming::Incoming,
    keys::{self, TrustArg},
    options::Options,
    runtime::{Deadline, Owned, seconds, wait},
    wake::{Wakeups, done},
};

/// An endpoint, open as long as something holds it.
#[derive(Clone)]
pub(crate) struct Open(pub(crate) Arc<Endpoint>);

impl Open {
    /// Holds an endpoint, and registers it for the end of the process.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let endpoint = Arc::new(endpoint);
        ending::register(&endpoint);
        Self(endpoint)
    }
}

/// Dials, within a total time of `within`.
async fn dial(
    builder: EndpointBuilder,
    addresses: Vec<Address>,
    trust: hikyaku::Trust,
    within: Duration,
) -> Result<Connected, DialError> {
    let endpoint = builder.client().map_err(DialError::Start)?;
    let connected = tokio::time::timeout(within, connect(&endpoint, &addresses, trust)).await;
    match connected {
        Ok(Ok(native)) => Ok(Connected { native, endpoint }),
        Ok(Err(error)) => Err(DialError::Connect(Box::new(error))),
        Err(_) => Err(DialError::Late(addresses)),
    }
}

/// Connects to the first of the addresses of a host that answers.
async fn connect(
    endpoint: &Endpoint,
    addresses: &[Address],
    trust: hikyaku::Trust,
) -> Result<hikyaku::Connection, ConnectError> {
    if let [address] = addresses {
        return endpoint.connect(address.clone(), trust).await;
    }
    let (mut all, mut failed) = (Vec::new(), None);
    for address in addresses {
        match address.resolve(None).await {
            Ok(found) => all.extend(found),
            Err(error) => failed = Some(error),
        }
    }
    match (failed, addresses.first()) {
        (Some(error), _) if all.is_empty() => Err(error.into()),
        (_, Some(first)) => {
            endpoint.connect_to(&host_name(&first.host(), first.port()), &all, trust).await
        }
        (_, None) => Err(ConnectError::EndpointGone),
    }
}

struct Connected {
    native: hikyaku::Connection,
    endpoint: Endpoint,
}

impl Connected {
    fn wrap(self, py: Python<'_>, class: &Py<PyAny>) -> PyResult<Py<PyAny>> {
        let open = Open::new(self.endpoint);
        let inner = Py::new(py, Connection::new(self.native, open))?;
        class.call1(py, (inner,))
    }
}

enum DialError {
    Start(hikyaku::StartError),
    Connect(Box<ConnectError>),
    Late(Vec<Address>),
}

impl DialError {
    fn raise(&self) -> PyErr {
        match self {
            Self::Start(error) => HikyakuError::start(error),
            Self::Connect(error) => HikyakuError::connect(error),
            Self::Late(addresses) => {
                let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                HikyakuError::timeout(&format!(
                    "no answer from {} in time; is `hikyaku.listen` or `hikyaku listen` running \
                     there, and the UDP port open?",
                    all.join(" or ")
                ))
            }
        }
    }
}

fn plain(addresses: Vec<AddressArg>) -> Vec<Address> {
    addresses.into_iter().map(|address| address.0).collect()
}

/// Connects to a host by its addresses, and wraps the connection with `wrap`.
#[pyfunction]
pub(crate) fn _connect(
    py: Python<'_>,
    addresses: Vec<AddressArg>,
    trust: Option<TrustArg>,
    timeout: f64,
    options: Options,
    wrap: Py<PyAny>,
) -> PyResult<Py<PyAny>> {
    let (addresses, trust) = (plain(addresses), keys::trust(trust)?);
    let (builder, within) = (options.builder()?, seconds(timeout)?);
    let dialled = wait(py, Deadline::after(None)?, dial(builder, addresses, trust, within))?;
    let Some(dialled) = dialled else { return Err(HikyakuError::timeout("no answer")) };
    dialled.map_err(|error| error.raise())?.wrap(py, &wrap)
}

/// Connects, and reports the connection to an event loop.
#[pyfunction]
pub(crate) fn _connect_later(
    wakeups: &Wakeups,
    token: u64,
    addresses: Vec<AddressArg>,
    trust: Option<TrustArg>,
    timeout: f64,
    options: Options,
    wrap: Py<PyAny>,
) -> PyResult<()> {
    let (addresses, trust) = (plain(addresses), keys::trust(trust)?);
    let (builder, within) = (options.builder()?, seconds(timeout)?);
    wakeups.spawn(token, async move {
        let dialled = dial(builder, addresses, trust, within).await;
        done(move |py| match dialled {
            Ok(connected) => connected.wrap(py, &wrap),
            Err(error) => Err(error.raise()),
        })
    })
}

/// Connections to one peer, one after the other.
#[pyclass(frozen, module = "hikyaku", name = "_Reconnecting")]
pub(crate) struct Reconnecting(Owned<Link>);

struct Link {
    native: Arc<Mutex<hikyaku::Reconnecting>>,
    open: Open,
}

#[pymethods]
impl Reconnecting {
    #[new]
    #[pyo3(signature = (address, trust, options, first_pause, longest_pause, attempts))]
    fn new(
        address: AddressArg,
        trust: Option<TrustArg>,
        options: Options,
        first_pause: f64,
        longest_pause: f64,
        attempts: Option<u32>,
    ) -> PyResult<Self> {
        let (builder, trust) = (options.builder()?, keys::trust(trust)?);
        let mut backoff = Backoff::new(seconds(first_pause)?, seconds(longest_pause)?);
        if let Some(count) = attempts {
            backoff = backoff.attempts(count);
        }
        let handle = crate::runtime::handle()?;
        let _entered = handle.enter();
        let endpoint = builder.client().map_err(|error| HikyakuError::start(&error))?;
        let native = endpoint
            .reconnecting(address.0, trust, backoff)
            .map_err(|error| HikyakuError::value(format!("address: {error}")))?;
        let native = Arc::new(Mutex::new(native));
        Ok(Self(Owned::new(Link { native, open: Open::new(endpoint) })))
    }

    #[pyo3(signature = (timeout))]
    fn _connect(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Connection> {
        let Link { native, open } = self.0.get()?;
        let connecting = async { native.lock().await.connect().await };
        match wait(py, Deadline::after(timeout)?, connecting)? {
            None => Err(HikyakuError::timeout("no connection came about in time")),
            Some(Err(error)) => Err(HikyakuError::connect(&error)),
            Some(Ok(native)) => Ok(Connection::new(native, open.clone())),
        }
    }

    fn _when_connected(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let Link { native, open } = self.0.get()?;
        let (native, open) = (Arc::clone(native), open.clone());
        wakeups.spawn(token, async move {
            let connected = native.lock().await.connect().await;
            done(move |py| match connected {
                Ok(native) => Ok(Py::new(py, Connection::new(native, open))?.into_any()),
                Err(error) => Err(HikyakuError::connect(&error)),
            })
        })
    }
}

/// An endpoint that accepts connections.
#[pyclass(frozen, module = "hikyaku", name = "_Server")]
pub(crate) struct Server(Owned<Open>);

impl Server {
    fn endpoint(&self) -> PyResult<&Arc<Endpoint>> {
        Ok(&self.0.get()?.0)
    }
}

/// A client that was refused during the handshake: its address, its key if it got that far, and
/// why.
type Refusal = ((String, u16), Option<String>, String);

fn refusal(refusal: hikyaku::Refusal) -> Refusal {
    let why = refusal.to_string();
    let from = (refusal.from.ip().to_canonical().to_string(), refusal.from.port());
    (from, refusal.key.map(|key| key.to_string()), why)
}

#[pymethods]
impl Server {
    #[new]
    fn new(py: Python<'_>, address: AddressArg, options: Options) -> PyResult<Self> {
        let builder = options.builder()?;
        let bound = wait(py, Deadline::after(None)?, builder.bind(address.0))?;
        let Some(bound) = bound else { return Err(HikyakuError::timeout("not bound")) };
        let endpoint = bound.map_err(|error| HikyakuError::start(&error))?;
        Ok(Self(Owned::new(Open::new(endpoint))))
    }

    /// Waits for the next connection; returns None once the server is closed.
    #[pyo3(signature = (timeout))]
    fn _accept(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Connection>> {
        let open = self.0.get()?;
        match wait(py, Deadline::after(timeout)?, open.0.accept())? {
            None => Err(HikyakuError::timeout("nobody connected in time")),
            Some(accepted) => Ok(accepted.map(|native| Connection::new(native, open.clone()))),
        }
    }

    fn _when_accepted(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let open = self.0.get()?.clone();
        wakeups.spawn(token, async move {
            let accepted = open.0.accept().await;
            done(move |py| match accepted {
                None => Ok(py.None()),
                Some(native) => Ok(Py::new(py, Connection::new(native, open))?.into_any()),
            })
        })
    }

    /// Waits for a connection that is not accepted yet; returns None once the server is closed.
    #[pyo3(signature = (timeout))]
    fn _incoming(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Incoming>> {
        let open = self.0.get()?;
        match wait(py, Deadline::after(timeout)?, open.0.incoming())? {
            None => Err(HikyakuError::timeout("nobody connected in time")),
            Some(incoming) => Ok(incoming.map(|native| Incoming::new(native, open.clone()))),
        }
    }

    fn _when_incoming(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let open = self.0.get()?.clone();
        wakeups.spawn(token, async move {
            let incoming = open.0.incoming().await;
            done(move |py| match incoming {
                None => Ok(py.None()),
                Some(native) => Ok(Py::new(py, Incoming::new(native, open))?.into_any()),
            })
        })
    }

    /// Waits until a client is refused; returns None once the server is closed.
    #[pyo3(signature = (timeout))]
    fn _refused(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Refusal>> {
        match wait(py, Deadline::after(timeout)?, self.endpoint()?.refused())? {
            None => Err(HikyakuError::timeout("nobody was turned away in time")),
            Some(refused) => Ok(refused.map(refusal)),
        }
    }

    fn _when_refused(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let endpoint = Arc::clone(self.endpoint()?);
        wakeups.spawn(token, async move {
            let refused = endpoint.refused().await.map(refusal);
            done(move |py| Ok(refused.into_pyobject(py)?.into_any().unbind()))
        })
    }

    /// Announces the server on the local network. Port and mDNS are for tests.
    #[pyo3(signature = (about, port, mdns))]
    fn _announce(&self, about: About, port: Option<u16>, mdns: bool) -> PyResult<Advertiser> {
        Advertiser::start(&about, self.endpoint()?, port, mdns)
    }

    /// Closes all connections, each within `timeout` seconds, and the socket.
    #[pyo3(signature = (timeout))]
    fn _close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let within = seconds(timeout)?;
        wait(py, Deadline::after(None)?, self.endpoint()?.close(within))?;
        Ok(())
    }

    fn _when_closed(&self, wakeups: &Wakeups, token: u64, timeout: f64) -> PyResult<()> {
        let (endpoint, within) = (Arc::clone(self.endpoint()?), seconds(timeout)?);
        wakeups.spawn(token, async move {
            endpoint.close(within).await;
            done(|py| Ok(py.None()))
        })
    }

    /// Where it listens, as (host, port).
    #[getter]
    fn address(&self) -> PyResult<(String, u16)> {
        let address = self.endpoint()?.local_addr();
        Ok((address.ip().to_string(), address.port()))
    }

    /// The fingerprint of its key, which clients may pin: "SHA256:…".
    #[getter]
    fn fingerprint(&self) -> PyResult<String> {
        Ok(self.endpoint()?.fingerprint().to_string())
    }

    /// Counters of the socket.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        crate::stats::of_endpoint(py, &self.endpoint()?.stats())
    }

    fn __repr__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let endpoint = self.endpoint()?;
        let text =
            format!("<hikyaku server on {}, {}>", endpoint.local_addr(), endpoint.fingerprint());
        Ok(PyString::new(py, &text))
    }
}
