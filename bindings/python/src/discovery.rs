//! Servers on the local network, announced and found.

use std::{net::SocketAddr, sync::Mutex, sync::PoisonError};

use hikyaku_services::{
    discovery::{
        Advertiser as Native, AdvertiserOptions, Announcement, Host as Found, Search,
        SearchOptions, random_token, search,
    },
    limits::DISCOVERY_PORT,
};
use pyo3::{exceptions::PyOSError, prelude::*};

use crate::{
    errors::HikyakuError,
    runtime::{Deadline, Owned, handle, seconds, wait},
    wake::{Wakeups, done},
};

/// What a search looks for: the application, a name, seconds, addresses to ask, and mDNS too.
#[derive(FromPyObject)]
pub(crate) struct Wanted(String, Option<String>, f64, Option<Vec<String>>, bool);

/// A host: application, name, room, fingerprint, members, whether it needs a key, addresses.
type Host = (String, String, String, String, Option<u32>, bool, Vec<(String, u16)>);

fn shown(host: Found) -> Host {
    let Found { announcement, addresses, .. } = host;
    (
        announcement.application().to_owned(),
        announcement.name().to_owned(),
        announcement.room().to_owned(),
        announcement.fingerprint().to_string(),
        announcement.members(),
        announcement.needs_key(),
        addresses.into_iter().map(pair).collect(),
    )
}

/// Returns an address as sockets have it; that of one interface has its number.
fn pair(address: SocketAddr) -> (String, u16) {
    let host = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    };
    (host, address.port())
}

impl Wanted {
    fn begin(self) -> PyResult<(Search, SearchOptions)> {
        let Self(application, name, time, targets, mdns) = self;
        let mut wanted = Search::new(&application, random_token(), seconds(time)?);
        match &name {
            Some(name) => wanted = wanted.for_name(name),
            None => wanted = wanted.for_all(),
        }
        let mut options = SearchOptions::default().mdns(mdns);
        if let Some(targets) = targets {
            let parsed = |target: &String| {
                target.parse().map_err(|_| HikyakuError::value(format!("no address: {target}")))
            };
            options = options.targets(targets.iter().map(parsed).collect::<PyResult<_>>()?);
        }
        Ok((wanted, options))
    }
}

/// Searches the local network.
#[pyfunction]
pub(crate) fn _discover(py: Python<'_>, wanted: Wanted) -> PyResult<Vec<Host>> {
    let (wanted, options) = wanted.begin()?;
    let found = wait(py, Deadline::after(None)?, search(wanted, &options))?;
    let Some(found) = found else { return Ok(Vec::new()) };
    let found = found.map_err(|error| PyOSError::new_err(error.to_string()))?;
    Ok(found.into_sorted().into_iter().map(shown).collect())
}

/// Searches the local network, and reports what was found to an event loop.
#[pyfunction]
pub(crate) fn _discover_later(wakeups: &Wakeups, token: u64, wanted: Wanted) -> PyResult<()> {
    let (wanted, options) = wanted.begin()?;
    wakeups.spawn(token, async move {
        let found = search(wanted, &options).await;
        done(move |py| {
            let found = found.map_err(|error| PyOSError::new_err(error.to_string()))?;
            let hosts: Vec<Host> = found.into_sorted().into_iter().map(shown).collect();
            Ok(hosts.into_pyobject(py)?.into_any().unbind())
        })
    })
}

/// Announces a server until it is stopped or dropped.
#[pyclass(frozen, module = "hikyaku", name = "_Advertiser")]
pub(crate) struct Advertiser(Owned<Mutex<Option<Native>>>);

/// What a server says of itself: application, name, room, members, whether it needs a key.
#[derive(FromPyObject)]
pub(crate) struct About(String, String, String, Option<u32>, bool);

impl Advertiser {
    /// Announces the server with this key that listens at `local`.
    pub(crate) fn start(
        about: &About,
        endpoint: &hikyaku::Endpoint,
        port: Option<u16>,
        mdns: bool,
    ) -> PyResult<Self> {
        let About(application, name, room, members, needs_key) = about;
        let local = endpoint.local_addr();
        let announcement =
            Announcement::new(application, name, local.port(), endpoint.fingerprint())
                .and_then(|announcement| announcement.with_room(room))
                .map_err(|error| HikyakuError::value(error.to_string()))?
                .with_members(*members)
                .with_key_needed(*needs_key)
                .with_addresses(&[local.ip()]);
        let options =
            AdvertiserOptions::new(local, false).port(port.unwrap_or(DISCOVERY_PORT)).mdns(mdns);
        let handle = handle()?;
        let _entered = handle.enter();
        let started = Native::start(announcement, options)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self(Owned::new(Mutex::new(Some(started)))))
    }
}

#[pymethods]
impl Advertiser {
    /// Ends the announcement, and waits until nothing is answered any longer, or does not wait.
    #[pyo3(signature = (waits))]
    fn stop(&self, py: Python<'_>, waits: bool) -> PyResult<()> {
        let native = self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(native) = native else { return Ok(()) };
        if waits {
            wait(py, Deadline::after(None)?, native.stop())?;
        } else {
            handle()?.spawn(native.stop());
        }
        Ok(())
    }
}
