//! Turns the options for DTLS into configurations.

use std::{path::Path, pin::pin, time::Duration};

use hikyaku::{address::Address, clock};
use hikyaku_plain::{
    PlainPeer, PlainSendError,
    dtls::{Anchors, Certified, ClientConfig, MinVersion, PreShared, ServerConfig},
};

use crate::{
    args::{DtlsArgs, DtlsKeyArgs, DtlsListenArgs, DtlsSendArgs},
    exit::Failure,
    limits::HANDSHAKE_NOTE,
    output::{note, warn},
    words::{Both, Sender},
};

/// Returns the client's configuration if DTLS is enabled. Its handshake may take `timeout`.
pub(crate) fn client(
    args: &DtlsArgs,
    send: &DtlsSendArgs,
    address: &Address,
    timeout: Option<Duration>,
) -> Result<Option<ClientConfig>, Failure> {
    let config = untimed_client(args, send, address)?;
    Ok(config.map(|config| match timeout {
        Some(time) => config.give_up_after(time),
        None => config,
    }))
}

/// Performs the handshake, and reports once that it is still waiting.
pub(crate) async fn connect(peer: &mut PlainPeer, quiet: bool) -> Result<(), PlainSendError> {
    if peer.is_connected() {
        return Ok(());
    }
    let target = peer.target();
    let mut connecting = pin!(peer.connect());
    if let Ok(connected) = tokio::time::timeout(HANDSHAKE_NOTE, &mut connecting).await {
        return connected;
    }
    if !quiet {
        note(&Sender::DtlsWaiting(&target).text());
    }
    connecting.await
}

fn untimed_client(
    args: &DtlsArgs,
    send: &DtlsSendArgs,
    address: &Address,
) -> Result<Option<ClientConfig>, Failure> {
    if !args.dtls {
        return Ok(None);
    }
    let keys = &args.keys;
    if let Some(key) = shared_key(keys)? {
        return Ok(Some(ClientConfig::with_shared_key(key)?));
    }
    let anchors = match &send.ca {
        Some(file) => Anchors::read(file)?,
        None if !send.pin.is_empty() => Anchors::pinned(send.pin.clone()),
        None if send.insecure => Anchors::anyone(),
        None => Anchors::system()?,
    };
    let own = certified(keys)?;
    // A zone is local to this machine and appears in no certificate.
    let host = address.host();
    let name = host.split('%').next().unwrap_or(&host);
    let config = ClientConfig::new(name, anchors, own.as_ref(), min(keys), clock::wall())?;
    Ok(Some(config))
}

/// Returns the server's configuration if DTLS is enabled.
pub(crate) fn server(
    args: &DtlsArgs,
    listen: &DtlsListenArgs,
) -> Result<Option<ServerConfig>, Failure> {
    if args.dtls { configured(&args.keys, listen).map(Some) } else { Ok(None) }
}

/// The configuration of a server that speaks DTLS.
pub(crate) fn configured(
    args: &DtlsKeyArgs,
    listen: &DtlsListenArgs,
) -> Result<ServerConfig, Failure> {
    if let Some(key) = shared_key(args)? {
        return Ok(ServerConfig::with_shared_key(key)?);
    }
    let Some(own) = certified(args)? else {
        return Err(Failure::usage(Both(
            "--dtls needs --cert FILE --key FILE (`hikyaku keygen --cert NAME` makes both), or \
             --psk IDENTITY:KEYFILE",
            "--dtls には --cert FILE --key FILE（`hikyaku keygen --cert NAME` で両方を作成できます）か \
             --psk IDENTITY:KEYFILE が必要です",
        )));
    };
    let clients = listen.client_ca.as_deref().map(Anchors::read).transpose()?;
    Ok(ServerConfig::new(&own, clients, min(args))?)
}

fn min(args: &DtlsKeyArgs) -> MinVersion {
    args.min_version.map_or(MinVersion::default(), Into::into)
}

fn shared_key(args: &DtlsKeyArgs) -> Result<Option<PreShared>, Failure> {
    let Some((identity, file)) = &args.psk else { return Ok(None) };
    if min(args) == MinVersion::V1_3 {
        return Err(Failure::usage(Both(
            "--psk speaks DTLS 1.2 alone; leave out --min-version 1.3, or use certificates",
            "--psk は DTLS 1.2 だけです。--min-version 1.3 を外すか、証明書を使ってください",
        )));
    }
    Ok(Some(PreShared::read(identity, file)?))
}

fn certified(args: &DtlsKeyArgs) -> Result<Option<Certified>, Failure> {
    let (Some(certificate), Some(key)) = (&args.cert, &args.key) else { return Ok(None) };
    let own = Certified::read(certificate, key)?;
    if own.unsent() > 0 {
        warn_of_unsent(certificate, own.unsent());
    }
    Ok(Some(own))
}

fn warn_of_unsent(file: &Path, unsent: usize) {
    let certificates = if unsent == 1 { "certificate" } else { "certificates" };
    warn(&format!(
        "{}: its first certificate is sent, the {unsent} other {certificates} not; peers must \
         know its issuer",
        file.display()
    ));
}
