//! Connections to one peer, one after the other.

use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::{
    backoff::Backoff,
    clock::runtime_now,
    connection::Connection,
    endpoint::{ConnectError, Endpoint},
    host::address::{Address, AddressError},
    trust::Trust,
};

/// Connections to one peer, one after the other, made by [`Endpoint::reconnecting`].
///
/// ```no_run
/// # use hikyaku::{Backoff, Delivery, Endpoint, Trust};
/// # async fn reading() -> &'static str { "21.5" }
/// # async fn telemetry(trust: Trust) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Endpoint::client()?;
/// let mut link = client.reconnecting("collector:5000", trust, Backoff::default())?;
/// loop {
///     let connection = link.connect().await?;
///     while connection.send(Delivery::Latest, reading().await).await.is_ok() {}
///     let closed = connection.closed().await;
///     if !closed.is_retryable() {
///         return Err(closed.into());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Reconnecting {
    endpoint: Endpoint,
    to: Address,
    trust: Trust,
    backoff: Backoff,
    /// When the last connection was established.
    since: Option<Instant>,
}

impl Endpoint {
    /// Returns a value that connects to `to` again and again, each time as [`Endpoint::connect`]
    /// does, with the pauses of `backoff`: for a program that must stay connected.
    ///
    /// # Errors
    /// [`AddressError`] if `to` is not an address.
    pub fn reconnecting<A>(
        &self,
        to: A,
        trust: Trust,
        backoff: Backoff,
    ) -> Result<Reconnecting, AddressError>
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        let endpoint = self.clone();
        Ok(Reconnecting { endpoint, to: to.try_into()?, trust, backoff, since: None })
    }
}

impl Reconnecting {
    /// Connects, and tries again after each failure that another attempt may fix
    /// ([`ConnectError::is_retryable`]). After an earlier connection the first attempt waits too:
    /// see [`Backoff::after_connection`]. Cancel-safe.
    ///
    /// # Errors
    /// The last [`ConnectError`], when it is not retryable, or as many attempts failed as the
    /// backoff allows.
    pub async fn connect(&mut self) -> Result<Connection, ConnectError> {
        if let Some(since) = self.since.take() {
            let lasted = runtime_now().saturating_duration_since(since);
            sleep(self.backoff.after_connection(lasted, random())).await;
        }
        loop {
            let error = match self.endpoint.connect(self.to.clone(), self.trust.clone()).await {
                Ok(connection) => {
                    self.since = Some(runtime_now());
                    return Ok(connection);
                }
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            let Some(pause) = self.backoff.after_failure(random()) else { return Err(error) };
            debug!(%error, ?pause, to = %self.to, "connecting again");
            sleep(pause).await;
        }
    }
}

/// Without randomness from the system, connecting fails anyway.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
