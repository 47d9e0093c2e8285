//! The sockets of a native host: opened here, or passed by a service manager.

use std::net::UdpSocket;

use hikyaku::{Endpoint, EndpointBuilder, address::Address, limits::DEFAULT_PORT};
use hikyaku_plain::PlainListener;

use crate::{args::HostArgs, exit::Failure, service, terminal::Ending};

/// Takes the socket that a service manager passes, if there is one.
pub(super) fn passed(args: &HostArgs) -> Result<Option<UdpSocket>, Failure> {
    let passed = service::passed_socket().map_err(|e| {
        Failure::failed(say!(
            "the socket of the service manager: {e}",
            "サービスマネージャーのソケット: {e}"
        ))
    })?;
    match (&passed, &args.address) {
        (Some(_), _) if args.is_plain() => Err(Failure::usage(
            "the service manager passed a socket; a room of plain datagrams opens its own: disable \
             the socket unit",
        )),
        (Some(_), Some(address)) => Err(Failure::usage(say!(
            "{address}: the service manager passed a socket, which has an address; leave this out",
            "{address}: サービスマネージャーから受け取ったソケットにアドレスがあります。これは外してください"
        ))),
        _ => Ok(passed),
    }
}

/// Opens an endpoint over the socket that was passed, or otherwise at `address`.
pub(super) async fn endpoint(
    builder: EndpointBuilder,
    passed: Option<UdpSocket>,
    address: Option<Address>,
) -> Result<Endpoint, Failure> {
    let opened = match passed {
        Some(socket) => builder.serve_over(socket),
        None => builder.bind(address.unwrap_or(Address::unnamed(DEFAULT_PORT))).await,
    };
    Ok(opened?)
}

/// A listener for plain datagrams in addition to the native one.
pub(super) async fn plain(
    args: &HostArgs,
    address: &Address,
    ending: &mut Ending,
) -> Result<PlainListener, Failure> {
    let addresses = address.resolve_local(args.network.family()).await?;
    let armour = args.armour.read(ending).await?.armour();
    let options = args.network.socket_options();
    Ok(PlainListener::bind(&addresses, &options, armour, args.filter.read()?)?)
}
