//! quinn at its best: its sockets, TLS and transport, tuned by someone who knows it.
//!
//! Settings left at their defaults were tried and made it slower: windows of 16 MiB instead of 1.25
//! MB (they exceed the caches: 20 % more processor time), ACKs for ten packets (5 % more), BBR (10
//! % more), two threads per side (a ping-pong takes twice as long).
//!
//! Both use the same cipher from the same library, AES-128-GCM of aws-lc-rs, and the same key
//! exchange. quinn's server presents a key, in a certificate; with hikyaku the client presents one
//! as well.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

use crate::field::Size;

/// The number of streams open at once if each message is a stream; the default is 100.
const STREAMS: u32 = 10_000;

/// Longer than any round.
const IDLE: Duration = Duration::from_secs(600);

/// The time limit of MTU discovery.
const DISCOVERY: Duration = Duration::from_secs(5);

/// Creates a server on a free port of loopback. Returns its certificate in hexadecimal.
pub(crate) fn server(size: Size) -> Result<(Endpoint, String)> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&pair)?;
    let key = PrivatePkcs8KeyDer::from(pair.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())?;
    tls.alpn_protocols = vec![b"bench".to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(size));
    let endpoint = endpoint(size, Some(config))?;
    Ok((endpoint, HEXLOWER.encode(certificate.der())))
}

/// Creates an endpoint to connect from, which trusts that certificate.
pub(crate) fn client(size: Size, certificate: &str) -> Result<Endpoint> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(HEXLOWER.decode(certificate.as_bytes())?))?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"bench".to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(size));
    let mut endpoint = endpoint(size, None)?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

/// Connects and waits for MTU discovery.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    size: Size,
    address: SocketAddr,
) -> Result<Connection> {
    let connection = endpoint.connect(address, "localhost")?.await?;
    let wanted = size.limit().unwrap_or(1_452);
    let looking = async {
        // The search ends within 20 bytes of the limit.
        while usize::from(connection.stats().path.current_mtu) + 32 < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let found = tokio::time::timeout(DISCOVERY, looking).await;
    let mtu = connection.stats().path.current_mtu;
    ensure!(found.is_ok(), "quinn found an MTU of {mtu}, not {wanted}");
    Ok(connection)
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| *suite == aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

fn transport(size: Size) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.max_idle_timeout(IDLE.try_into().ok());
    if let Some(limit) = size.limit() {
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(limit as u16);
        config
            .mtu_discovery_config(Some(discovery))
            .max_concurrent_uni_streams(VarInt::from_u32(STREAMS));
    }
    Arc::new(config)
}

fn endpoint(size: Size, server: Option<ServerConfig>) -> Result<Endpoint> {
    let mut config = EndpointConfig::default();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    if let Some(limit) = size.limit() {
        config.max_udp_payload_size(limit as u16)?;
        enlarge(&socket)?;
    }
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime)).context("quinn's endpoint")
}

/// Sets the buffer size that hikyaku sets.
fn enlarge(socket: &std::net::UdpSocket) -> Result<()> {
    use rustix::net::sockopt::set_socket_recv_buffer_size_force;
    let len = hikyaku::limits::KERNEL_RECEIVE_BUFFER;
    if set_socket_recv_buffer_size_force(socket, len).is_err() {
        socket2::SockRef::from(socket).set_recv_buffer_size(len)?;
    }
    Ok(())
}
