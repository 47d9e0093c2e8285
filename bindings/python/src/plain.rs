//! Plain UDP datagrams, as `socket.socket` has them, with armour.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use hikyaku::{identity::SharedKey, socket::SocketOptions};
use hikyaku_plain::{
    Armour, PeerOptions, PlainListener, PlainPeer, PlainSender, ReplyTo, RetryPolicy,
};
use pyo3::{exceptions::PyOSError, prelude::*, types::PyBytes};
use tokio::sync::Mutex;

use crate::{
    address::AddressArg,
    errors::{Error, HikyakuError},
    keys,
    options::filter,
    payload::Payload,
    runtime::{Deadline, Owned, seconds, wait},
};

/// Armour of a socket: how every datagram is sealed.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    fernet: Option<String>,
    sign: Option<PathBuf>,
    passphrase: Option<String>,
    signed_by: Option<PathBuf>,
    max_age: f64,
    filter: Option<Vec<(String, String)>>,
}

impl Options {
    fn armour(&self) -> PyResult<Armour> {
        let mut armour = Armour::new();
        if let Some(text) = &self.fernet {
            let key = SharedKey::parse(text).ok_or_else(|| {
                HikyakuError::value("fernet: not a key; Fernet.generate_key() makes one")
            })?;
            armour = armour.shared_key(&key, Some(seconds(self.max_age)?));
        }
        if let Some(path) = &self.sign {
            armour = armour.sign(keys::identity(Some(path.clone()), self.passphrase.as_deref())?);
        }
        if let Some(path) = &self.signed_by {
            armour = armour.signed_by(keys::allowed(path)?, seconds(self.max_age)?);
        }
        Ok(armour)
    }

    fn filter(&self) -> PyResult<hikyaku::filter::Filter> {
        filter(self.filter.as_deref().unwrap_or_default())
    }
}

/// A received datagram, and its source.
type Came = (Vec<u8>, SocketAddr);

/// A socket for plain datagrams.
#[pyclass(frozen, module = "hikyaku", name = "_Socket")]
pub(crate) struct Socket {
    open: Owned<Both>,
}

struct Both {
    listener: Mutex<Receiving>,
    sender: PlainSender,
    local: SocketAddr,
    armour: Box<dyn Fn() -> PyResult<(Armour, hikyaku::filter::Filter)> + Send + Sync>,
}

struct Receiving {
    listener: PlainListener,
    /// The datagrams of the last batch.
    waiting: std::collections::VecDeque<Came>,
}

fn os_error(error: &impl ToString) -> PyErr {
    PyOSError::new_err(error.to_string())
}

#[pymethods]
impl Socket {
    #[new]
    fn new(py: Python<'_>, address: AddressArg, options: Options) -> PyResult<Self> {
        let (address, armour, filter) = (address.0, options.armour()?, options.filter()?);
        let handle = crate::runtime::handle()?;
        let addresses = wait(py, Deadline::after(None)?, address.resolve_local(None))?
            .transpose()
            .map_err(|error| os_error(&error))?
            .unwrap_or_default();
        let _entered = handle.enter();
        let listener = PlainListener::bind(&addresses, &SocketOptions::default(), armour, filter)
            .map_err(|error| os_error(&error))?;
        let (sender, local) = (listener.sender(), listener.local_addr());
        let receiving = Receiving { listener, waiting: std::collections::VecDeque::new() };
        let options = Arc::new(options);
        let armour = Box::new(move || Ok((options.armour()?, options.filter()?)));
        let listener = Mutex::new(receiving);
        Ok(Self { open: Owned::new(Both { listener, sender, local, armour }) })
    }

    /// Sends a datagram, and does not wait for anything.
    fn _sendto(&self, py: Python<'_>, data: Payload, address: AddressArg) -> PyResult<usize> {
        let (open, address) = (self.open.get()?, address.0);
        let len = data.0.len();
        let sending = async {
            let to = resolve(open, &address).await?;
            let to = ReplyTo { peer: to, local: None };
            open.sender.send(&data.0, to).await.map_err(|error| error.to_string())
        };
        match wait(py, Deadline::after(None)?, sending)? {
            Some(Err(error)) => Err(PyOSError::new_err(error)),
            _ => Ok(len),
        }
    }

    /// Sends a datagram again and again until the other side answers `ack_text`; returns how many
    /// times it was sent.
    fn _sendto_acknowledged(
        &self,
        py: Python<'_>,
        data: Payload,
        address: AddressArg,
        ack_text: Payload,
        timeout: f64,
    ) -> PyResult<u32> {
        let (open, address) = (self.open.get()?, address.0);
        let (armour, filter) = (open.armour)()?;
        let within = seconds(timeout)?;
        let sending = async {
            let to = resolve(open, &address).await?;
            let mut peer = PlainPeer::new(vec![to], PeerOptions::default(), armour, filter)
                .map_err(|error| error.to_string())?;
            let policy = RetryPolicy::default();
            let sent = peer.send_acknowledged(&data.0, &ack_text.0, policy, |_| {});
            match tokio::time::timeout(within, sent).await {
                Ok(Ok(acknowledged)) => Ok(Some(acknowledged.tries)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Ok(None),
            }
        };
        match wait(py, Deadline::after(None)?, sending)? {
            Some(Ok(Some(tries))) => Ok(tries),
            Some(Ok(None)) | None => {
                Err(HikyakuError::timeout("nobody acknowledged the datagram in time"))
            }
            Some(Err(error)) => Err(Error::new_err(error)),
        }
    }

    /// Receives a datagram, whole, and its sender's address.
    fn _recvfrom<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<(Bound<'py, PyBytes>, (String, u16))> {
        let open = self.open.get()?;
        let receiving = async {
            let mut receiving = open.listener.lock().await;
            let Receiving { listener, waiting } = &mut *receiving;
            while waiting.is_empty() {
                let batch = listener.recv().await?;
                waiting.extend(
                    batch
                        .filter_map(Result::ok)
                        .map(|received| (received.payload.into_owned(), received.from.peer)),
                );
            }
            Ok::<_, std::io::Error>(waiting.pop_front())
        };
        match wait(py, Deadline::after(timeout)?, receiving)? {
            Some(Ok(Some((payload, from)))) => {
                let from = (from.ip().to_canonical().to_string(), from.port());
                Ok((PyBytes::new(py, &payload), from))
            }
            Some(Err(error)) => Err(error.into()),
            _ => Err(HikyakuError::timeout("timed out")),
        }
    }

    /// Where the socket is bound, as (host, port).
    fn getsockname(&self) -> PyResult<(String, u16)> {
        let local = self.open.get()?.local;
        Ok((local.ip().to_canonical().to_string(), local.port()))
    }
}

/// Returns the address to send to, of the family of our socket.
async fn resolve(open: &Both, address: &hikyaku::address::Address) -> Result<SocketAddr, String> {
    let all = address.resolve(None).await.map_err(|error| error.to_string())?;
    let is_v4 = open.local.is_ipv4();
    let fitting = all.iter().find(|to| to.is_ipv4() == is_v4 || !is_v4);
    fitting.copied().ok_or_else(|| format!("{address}: no address that this socket can reach"))
}
