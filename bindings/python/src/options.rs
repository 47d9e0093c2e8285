//! The options of an endpoint, as one dictionary.

use std::path::PathBuf;

use hikyaku::{
    Congestion, Endpoint, EndpointBuilder, Retry, TransportConfig,
    filter::{Action, Filter},
    socket::SocketOptions,
};
use pyo3::prelude::*;

use crate::{errors::HikyakuError, invite::Invite, keys, runtime::seconds};

/// Options of an endpoint. The Python package checks their names and gives all of them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    identity: Option<PathBuf>,
    passphrase: Option<String>,
    shared_key: Option<SharedKeyArg>,
    allow: Option<PathBuf>,
    filter: Option<Vec<(String, String)>>,
    application: Option<String>,
    max_connections: Option<usize>,
    hold_together: Option<u64>,
    retry: Option<String>,
    interface: Option<String>,
    shared_port: bool,
    key_log: Option<PathBuf>,
    transport: Transport,
}

/// Where a shared key is.
#[derive(FromPyObject)]
enum SharedKeyArg {
    Invite(Py<Invite>),
    File(PathBuf),
}

/// Timeouts, queues and credit.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Transport {
    idle_timeout: Option<f64>,
    keep_alive: Option<f64>,
    congestion: Option<String>,
    max_message: Option<usize>,
    send_queue: Option<usize>,
    credit: Option<u64>,
    channel_credit: Option<u64>,
    pool: Option<usize>,
    max_mtu: Option<usize>,
    max_ack_delay: Option<f64>,
}

impl Options {
    pub(crate) fn builder(self) -> PyResult<EndpointBuilder> {
        let identity = keys::identity(self.identity, self.passphrase.as_deref())?;
        let mut builder = Endpoint::builder().identity(&identity);
        let shared_key = match &self.shared_key {
            Some(SharedKeyArg::File(path)) => Some(keys::shared_key(path)?),
            Some(SharedKeyArg::Invite(invite)) => invite.get().shared_key(),
            None => None,
        };
        if let Some(key) = shared_key {
            builder = builder.shared_key(key);
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
        if let Some(bytes) = self.hold_together {
            builder = builder.hold_together(bytes);
        }
        if let Some(name) = &self.retry {
            builder = builder.retry(retry(name)?);
        }
        if let Some(path) = &self.key_log {
            builder = builder.key_log(path);
        }
        let socket = SocketOptions {
            interface: self.interface,
            shared_port: self.shared_port,
            ..SocketOptions::default()
        };
        Ok(builder.socket(socket).transport(self.transport.config()?))
    }
}

impl Transport {
    fn config(self) -> PyResult<TransportConfig> {
        let mut config = TransportConfig::default();
        if let Some(time) = self.idle_timeout {
            // Python expresses "no limit" as infinity.
            config = config.idle_timeout(if time == f64::INFINITY {
                None
            } else {
                Some(seconds(time)?)
            });
        }
        if let Some(time) = self.keep_alive {
            config = config.keep_alive(Some(seconds(time)?));
        }
        if let Some(name) = &self.congestion {
            config = config.congestion(Congestion::from_name(name).ok_or_else(|| {
                HikyakuError::value(format!("congestion: {name:?} is not known here"))
            })?);
        }
        if let Some(time) = self.max_ack_delay {
            config = config.max_ack_delay(seconds(time)?);
        }
        config.max_message = self.max_message.unwrap_or(config.max_message);
        config.send_queue = self.send_queue.unwrap_or(config.send_queue);
        config.credit = self.credit.unwrap_or(config.credit);
        config.channel_credit = self.channel_credit.unwrap_or(config.channel_credit);
        config.pool = self.pool.unwrap_or(config.pool);
        config.max_mtu = self.max_mtu.unwrap_or(config.max_mtu);
        Ok(config)
    }
}

fn retry(name: &str) -> PyResult<Retry> {
    match name {
        "never" => Ok(Retry::Never),
        "under load" => Ok(Retry::UnderLoad),
        "always" => Ok(Retry::Always),
        other => Err(HikyakuError::value(format!(
            "retry: {other:?} is not \"never\", \"under load\" or \"always\""
        ))),
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
