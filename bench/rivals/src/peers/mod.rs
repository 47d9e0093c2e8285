//! One file per peer: its settings, and how a program would use it for speed.

#[cfg(feature = "enet")]
pub(crate) mod enet;
pub(crate) mod hikyaku;
#[cfg(feature = "kcp")]
pub(crate) mod kcp;
#[cfg(feature = "quinn")]
pub(crate) mod quinn;
pub(crate) mod raw;
#[cfg(feature = "renet")]
pub(crate) mod renet;
#[cfg(feature = "s2n")]
pub(crate) mod s2n;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::limits::KERNEL_BUFFER;

/// Binds a UDP socket to loopback, with the receive buffer that hikyaku asks for.
pub(crate) fn udp_socket() -> Result<UdpSocket> {
    use rustix::net::sockopt::set_socket_recv_buffer_size_force;
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    if set_socket_recv_buffer_size_force(&socket, KERNEL_BUFFER).is_err() {
        socket2::SockRef::from(&socket).set_recv_buffer_size(KERNEL_BUFFER)?;
    }
    Ok(socket)
}

/// Waits until a socket is readable, at most this long. Returns `true` if it is.
pub(crate) fn readable(socket: &UdpSocket, limit: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    let limit = Timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos().into() };
    match poll(&mut fds, Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// TLS for the peers that bring none of their own: TLS 1.3, the cipher and the key exchange that
/// hikyaku has, an Ed25519 key in a certificate.
#[cfg(any(feature = "quinn", feature = "tls", feature = "s2n"))]
pub(crate) mod certificates {
    use std::sync::Arc;

    use anyhow::Result;
    use data_encoding::HEXLOWER;
    use rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    };

    /// The name in the certificate.
    pub(crate) const NAME: &str = "localhost";

    /// The protocol that both ends name.
    const ALPN: &[u8] = b"bench";

    /// A key and its certificate, in DER.
    pub(crate) struct Pair {
        pub(crate) certificate: Vec<u8>,
        pub(crate) key: Vec<u8>,
    }

    impl Pair {
        pub(crate) fn generate() -> Result<Self> {
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
            let certificate =
                rcgen::CertificateParams::new([NAME.to_owned()])?.self_signed(&pair)?;
            Ok(Self { certificate: certificate.der().to_vec(), key: pair.serialize_der() })
        }

        /// Returns what a client needs to trust it.
        pub(crate) fn identity(&self) -> String {
            HEXLOWER.encode(&self.certificate)
        }

        pub(crate) fn server(&self) -> Result<ServerConfig> {
            let key = PrivatePkcs8KeyDer::from(self.key.clone());
            let mut config = ServerConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&rustls::version::TLS13])?
                .with_no_client_auth()
                .with_single_cert(
                    vec![CertificateDer::from(self.certificate.clone())],
                    key.into(),
                )?;
            config.alpn_protocols = vec![ALPN.to_vec()];
            // No session is resumed, so none is offered.
            config.send_tls13_tickets = 0;
            Ok(config)
        }
    }

    pub(crate) fn client(identity: &str) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(HEXLOWER.decode(identity.as_bytes())?))?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Every handshake is a full one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }

    fn provider() -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .retain(|suite| *suite == aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    }
}
