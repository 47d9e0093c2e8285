//! Messages to the service manager that started this process, if one did (`sd_notify(3)`).

#[cfg(all(target_os = "linux", feature = "systemd"))]
mod systemd {
    use sd_notify::NotifyState;
    use tokio::task::JoinHandle;

    use crate::output::warn;

    /// A service that is running.
    #[derive(Debug)]
    pub(crate) struct Service {
        watchdog: Option<JoinHandle<()>>,
    }

    impl Service {
        /// Says that the service is ready, and from then on, as often as the manager wants, that it
        /// is not stuck.
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

    /// Says that the service ends.
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
            warn(&format!("the service manager cannot be notified: {error}"));
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "systemd")))]
mod systemd {
    /// A service that is running.
    #[derive(Debug)]
    pub(crate) struct Service;

    impl Service {
        pub(crate) const fn ready() -> Self {
            Self
        }
    }
}

pub(crate) use systemd::Service;
