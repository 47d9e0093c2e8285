//! The service manager that started this process, if one did: what it is notified of
//! (`sd_notify(3)`), and the socket that it passes (`sd_listen_fds(3)`).

#[cfg(all(target_os = "linux", feature = "systemd"))]
mod systemd {
    use std::{io, net::UdpSocket};

    use listenfd::ListenFd;
    use sd_notify::NotifyState;
    use tokio::task::JoinHandle;

    use crate::output::warn;

    /// Takes the socket that the manager has opened, if it has. Call it once, before threads are
    /// started: it takes the names of the sockets out of the environment.
    pub(crate) fn passed_socket() -> io::Result<Option<UdpSocket>> {
        let mut passed = ListenFd::from_env();
        match passed.len() {
            0 | 1 => passed.take_udp_socket(0),
            count => Err(io::Error::other(format!("it passed {count}, not one"))),
        }
    }

    /// A service that is running.
    #[derive(Debug)]
    pub(crate) struct Service {
        watchdog: Option<JoinHandle<()>>,
    }

    impl Service {
        /// Reports that the service is ready, and from then on, as often as the manager wants, that
        /// it is alive.
        pub(crate) fn ready() -> Self {
            notify(NotifyState::Ready);
            let watchdog = sd_notify::watchdog_enabled().map(|limit| {
                // Twice as often as needed, as sd_watchdog_enabled(3) advises.
                let mut ticks = tokio::time::interval(limit / 2);
                tokio::spawn(async move {
                    loop {
                        ticks.tick().await;
                        notify(NotifyState::Watchdog);
                    }
                })
            });
            Self { watchdog }
        }
    }

    /// Reports that the service is stopping.
    impl Drop for Service {
        fn drop(&mut self) {
            notify(NotifyState::Stopping);
            if let Some(watchdog) = self.watchdog.take() {
                watchdog.abort();
            }
        }
    }

    /// Without a manager this does nothing.
    fn notify(state: NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(&[state]) {
            warn(&say!(
                "the service manager cannot be notified: {error}",
                "サービスマネージャーに通知できません: {error}"
            ));
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "systemd")))]
mod systemd {
    use std::{io, net::UdpSocket};

    /// A service that is running.
    #[derive(Debug)]
    pub(crate) struct Service;

    #[expect(clippy::unnecessary_wraps, reason = "with a service manager, it fails")]
    pub(crate) const fn passed_socket() -> io::Result<Option<UdpSocket>> {
        Ok(None)
    }

    impl Service {
        pub(crate) const fn ready() -> Self {
            Self
        }
    }
}

pub(crate) use systemd::{Service, passed_socket};
