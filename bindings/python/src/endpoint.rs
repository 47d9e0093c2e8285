//! Connecting, and listening.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hikyaku::{
    ConnectError, Endpoint, EndpointBuilder,
    address::{Address, AddressError},
    filter::{Action, Filter},
    limits::DEFAULT_PORT,
};
use pyo3::prelude::*;

use crate::{
    connection::Connection,
    errors::HikyakuError,
    keys::{self, TrustArg},
    runtime::{Deadline, Owned, seconds, wait},
    wake::{Wakeups, done},
};

/// An endpoint, open as long as somebody holds it.
#[derive(Clone)]
pub(crate) struct Open(#[expect(dead_code, reason = "held, not used")] pub(crate) Arc<Endpoint>);

/// Where a peer is: "host:port", "host", "[::1]:port", or a pair as sockets have it.
#[derive(FromPyObject)]
pub(crate) enum AddressArg {
    Text(String),
    Pair(String, u16),
}

impl AddressArg {
    pub(crate) fn read(self) -> PyResult<Address> {
        let invalid = |error: AddressError| HikyakuError::value(format!("address: {error}"));
        match self {
            Self::Text(text) => Address::parse(&text, DEFAULT_PORT).map_err(invalid),
            Self::Pair(host, port) => {
                let is_bare_v6 = host.contains(':') && !host.starts_with('[');
                let text =
                    if is_bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
                let text = if host.is_empty() { format!("0.0.0.0:{port}") } else { text };
                Address::parse(&text, port).map_err(invalid)
            }
        }
    }
}

/// Options of an endpoint.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    identity: Option<PathBuf>,
    passphrase: Option<String>,
    shared_key: Option<PathBuf>,
    allow: Option<PathBuf>,
    filter: Option<Vec<(String, String)>>,
    application: Option<String>,
    congestion: Option<String>,
    idle_timeout: Option<f64>,
    max_message: Option<usize>,
    max_connections: Option<usize>,
}

impl Options {
    fn builder(self) -> PyResult<EndpointBuilder> {
        let identity = keys::identity(self.identity, self.passphrase.as_deref())?;
        let mut builder = Endpoint::builder().identity(&identity);
        if let Some(path) = &self.shared_key {
            builder = builder.shared_key(keys::shared_key(path)?);
        }
        if let Some(path) = &self.allow {
            builder = builder.allow_keys(keys::allowed(path)?);
        }
        if let Some(rules) = &self.filter {
            builder = builder.filter(filter(rules)?);
        }
        if let Some(name) = &self.application {
            builder = builder.application(name);
        }
        if let Some(count) = self.max_connections {
            builder = builder.max_connections(count);
        }
        let mut transport = hikyaku::TransportConfig::default();
        if let Some(bytes) = self.max_message {
            transport = transport.max_message(bytes);
        }
        if let Some(timeout) = self.idle_timeout {
            transport = transport.idle_timeout(Some(seconds(timeout)?));
        }
        if let Some(name) = &self.congestion {
            let congestion = hikyaku::Congestion::from_name(name).ok_or_else(|| {
                HikyakuError::value(format!("congestion: {name:?} is not known here"))
            })?;
            transport = transport.congestion(congestion);
        }
        Ok(builder.transport(transport))
    }
}

/// Reads rules such as ("allow", "192.0.2.0/24").
pub(crate) fn filter(rules: &[(String, String)]) -> PyResult<Filter> {
    let mut filter = Filter::new();
    for (action, network) in rules {
        let action = match action.as_str() {
            "allow" => Action::Allow,
            "deny" => Action::Deny,
            other => {
                return Err(HikyakuError::value(format!("filter: {other:?} is not allow or deny")));
            }
        };
        let network = network
            .parse()
            .map_err(|error| HikyakuError::value(format!("filter: {network}: {error}")))?;
        filter
            .add(action, network)
            .map_err(|error| HikyakuError::value(format!("filter: {error}")))?;
    }
    Ok(filter)
}

/// Dials; the whole of it may take `within`.
async fn dial(
    builder: EndpointBuilder,
    address: Address,
    trust: hikyaku::Trust,
    within: Duration,
) -> Result<Connected, DialError> {
    let endpoint = builder.client().map_err(DialError::Start)?;
    let connected = tokio::time::timeout(within, endpoint.connect(address.clone(), trust)).await;
    match connected {
        Ok(Ok(native)) => Ok(Connected { native, endpoint }),
        Ok(Err(error)) => Err(DialError::Connect(Box::new(error))),
        Err(_) => Err(DialError::Late(address)),
    }
}

struct Connected {
    native: hikyaku::Connection,
    endpoint: Endpoint,
}

impl Connected {
    fn wrap(self, py: Python<'_>, class: &Py<PyAny>) -> PyResult<Py<PyAny>> {
        let open = Open(Arc::new(self.endpoint));
        let inner = Py::new(py, Connection::new(self.native, open))?;
        class.call1(py, (inner,))
    }
}

enum DialError {
    Start(hikyaku::StartError),
    Connect(Box<ConnectError>),
    Late(Address),
}

impl DialError {
    fn raise(&self) -> PyErr {
        match self {
            Self::Start(error) => HikyakuError::start(error),
            Self::Connect(error) => HikyakuError::connect(error),
            Self::Late(address) => HikyakuError::timeout(&format!(
                "no answer from {address} in time; is `hikyaku.listen` or `hikyaku listen` running \
                 there, and the UDP port open?"
            )),
        }
    }
}

/// Connects, and wraps the connection with `wrap`.
#[pyfunction]
pub(crate) fn _connect(
    py: Python<'_>,
    address: AddressArg,
    trust: Option<TrustArg>,
    timeout: f64,
    options: Options,
    wrap: Py<PyAny>,
) -> PyResult<Py<PyAny>> {
    let (address, trust) = (address.read()?, keys::trust(trust)?);
    let (builder, within) = (options.builder()?, seconds(timeout)?);
    let dialled = wait(py, Deadline::after(None)?, dial(builder, address, trust, within))?;
    let Some(dialled) = dialled else { return Err(HikyakuError::timeout("no answer")) };
    dialled.map_err(|error| error.raise())?.wrap(py, &wrap)
}

/// Connects, and reports the connection to an event loop.
#[pyfunction]
pub(crate) fn _connect_later(
    wakeups: &Wakeups,
    token: u64,
    address: AddressArg,
    trust: Option<TrustArg>,
    timeout: f64,
    options: Options,
    wrap: Py<PyAny>,
) -> PyResult<()> {
    let (address, trust) = (address.read()?, keys::trust(trust)?);
    let (builder, within) = (options.builder()?, seconds(timeout)?);
    wakeups.spawn(token, async move {
        let dialled = dial(builder, address, trust, within).await;
        done(move |py| match dialled {
            Ok(connected) => connected.wrap(py, &wrap),
            Err(error) => Err(error.raise()),
        })
    })
}

/// An endpoint that accepts connections.
#[pyclass(frozen, module = "hikyaku", name = "_Server")]
pub(crate) struct Server(Owned<Arc<Endpoint>>);

#[pymethods]
impl Server {
    #[new]
    fn new(py: Python<'_>, address: AddressArg, options: Options) -> PyResult<Self> {
        let (address, builder) = (address.read()?, options.builder()?);
        let bound = wait(py, Deadline::after(None)?, builder.bind(address))?;
        let Some(bound) = bound else { return Err(HikyakuError::timeout("not bound")) };
        let endpoint = bound.map_err(|error| HikyakuError::start(&error))?;
        Ok(Self(Owned::new(Arc::new(endpoint))))
    }

    /// Waits for the next connection; returns None once the server is closed.
    #[pyo3(signature = (timeout))]
    fn _accept(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Connection>> {
        let endpoint = self.0.get()?;
        match wait(py, Deadline::after(timeout)?, endpoint.accept())? {
            None => Err(HikyakuError::timeout("nobody connected in time")),
            Some(accepted) => {
                Ok(accepted.map(|native| Connection::new(native, Open(Arc::clone(endpoint)))))
            }
        }
    }

    fn _when_accepted(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let endpoint = Arc::clone(self.0.get()?);
        wakeups.spawn(token, async move {
            let accepted = endpoint.accept().await;
            done(move |py| match accepted {
                None => Ok(py.None()),
                Some(native) => {
                    Ok(Py::new(py, Connection::new(native, Open(endpoint)))?.into_any())
                }
            })
        })
    }

    /// Closes all connections, each within `timeout` seconds, and the socket.
    #[pyo3(signature = (timeout))]
    fn _close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let within = seconds(timeout)?;
        wait(py, Deadline::after(None)?, self.0.get()?.close(within))?;
        Ok(())
    }

    fn _when_closed(&self, wakeups: &Wakeups, token: u64, timeout: f64) -> PyResult<()> {
        let (endpoint, within) = (Arc::clone(self.0.get()?), seconds(timeout)?);
        wakeups.spawn(token, async move {
            endpoint.close(within).await;
            done(|py| Ok(py.None()))
        })
    }

    /// Where it listens, as (host, port).
    #[getter]
    fn address(&self) -> PyResult<(String, u16)> {
        let address = self.0.get()?.local_addr();
        Ok((address.ip().to_string(), address.port()))
    }

    /// The fingerprint of its key, which clients may pin: "SHA256:…".
    #[getter]
    fn fingerprint(&self) -> PyResult<String> {
        Ok(self.0.get()?.fingerprint().to_string())
    }

    fn __repr__(&self) -> PyResult<String> {
        let endpoint = self.0.get()?;
        Ok(format!("<hikyaku server on {}, {}>", endpoint.local_addr(), endpoint.fingerprint()))
    }
}
