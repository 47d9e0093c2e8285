//! A listener and a client in memory, with a wire between them that loses, damages and forges.

use super::*;

/// Begins a client's handshake that is not retried.
pub(super) fn lone(config: &ClientConfig, now: Instant) -> Association {
    Attempts::new(true, now).begin(config, now)
}

/// A datagram that a forger sends before a genuine one arrives.
pub(super) type Forge = fn(&[u8]) -> Option<Vec<u8>>;

/// A listener and a client, a wire between them, and a clock.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) client: Association,
    pub(super) from: ReplyTo,
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
    /// The probability, in 256, that a datagram is lost.
    pub(super) loss: u8,
    /// Alerts in the clear are lost.
    pub(super) alerts_are_lost: bool,
    /// The forged datagram, which arrives before each datagram for which this returns `true`, from
    /// the same sender.
    pub(super) forge: Option<Forge>,
    /// Which datagram is preceded by a forged copy of itself, and the byte in which the two differ.
    pub(super) forged: Option<(usize, usize)>,
    /// The handshakes of a client that begins another one, from another port, when one fails.
    pub(super) again: Option<(Attempts, ClientConfig)>,
    pub(super) dice: u64,
    /// Which datagram arrives damaged, and where.
    pub(super) damaged: Option<(usize, usize)>,
    pub(super) carried: usize,
    pub(super) timers: usize,
    pub(super) heard: Vec<Vec<u8>>,
    pub(super) noticed: Vec<Notice>,
    pub(super) events: Vec<Event>,
    /// What the client sent, for another sender to repeat.
    pub(super) tapped: VecDeque<Vec<u8>>,
    pub(super) answered: usize,
}

impl World {
    pub(super) fn new(server: ServerConfig, client: &ClientConfig) -> Self {
        let now = hikyaku::clock::monotonic();
        Self {
            hub: Hub::new(server),
            client: lone(client, now),
            from: address(4_000),
            now,
            wall: wall(),
            loss: 0,
            alerts_are_lost: false,
            forge: None,
            forged: None,
            again: None,
            dice: 1,
            damaged: None,
            carried: 0,
            timers: 0,
            heard: Vec::new(),
            noticed: Vec::new(),
            events: Vec::new(),
            tapped: VecDeque::new(),
            answered: 0,
        }
    }

    pub(super) fn is_lost(&mut self) -> bool {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.dice >> 40) as u8) < self.loss
    }

    /// Returns the forged datagram that arrives before this one.
    pub(super) fn forged(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        if let Some((_, at)) = self.forged.filter(|(which, _)| *which == self.carried + 1) {
            let mut copy = datagram.to_vec();
            *copy.get_mut(at)? ^= 1;
            return Some(copy);
        }
        self.forge.and_then(|forge| forge(datagram))
    }

    /// Returns what arrives of a datagram.
    pub(super) fn pass_on(&mut self, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
        self.carried += 1;
        if let Some((_, at)) = self.damaged.filter(|(which, _)| *which == self.carried) {
            let at = at.min(datagram.len() - 1);
            datagram[at] ^= 1;
        }
        let is_alert = datagram.first() == Some(&21);
        let is_lost = self.is_lost() || is_alert && self.alerts_are_lost;
        (!is_lost).then_some(datagram)
    }

    /// Delivers all datagrams in transit.
    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(datagram) = self.client.poll_output() {
                quiet = false;
                self.tapped.push_back(datagram.clone());
                if let Some(forged) = self.forged(&datagram) {
                    self.hub.handle_datagram(&forged, self.from, self.wall, self.now);
                }
                if let Some(datagram) = self.pass_on(datagram) {
                    self.hub.handle_datagram(&datagram, self.from, self.wall, self.now);
                }
            }
            while let Some((datagram, to)) = self.hub.poll_output() {
                quiet = false;
                self.answered += datagram.len();
                if let Some(forged) = self.forged(&datagram) {
                    self.client.handle_datagram(&forged, self.now, self.wall);
                }
                if to.peer == self.from.peer
                    && let Some(datagram) = self.pass_on(datagram)
                {
                    self.client.handle_datagram(&datagram, self.now, self.wall);
                }
            }
            self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
            quiet &= !self.begins_again();
            if quiet {
                return self.listen();
            }
        }
    }

    /// Begins another handshake if one is due. Returns `true` if it did.
    pub(super) fn begins_again(&mut self) -> bool {
        let Some((attempts, config)) = &mut self.again else { return false };
        let Some(Event::Ended(ended)) =
            self.events.pop_if(|event| matches!(event, Event::Ended(_)))
        else {
            return false;
        };
        match attempts.after(ended, config, self.now) {
            Ok(()) => {
                self.client = attempts.begin(config, self.now);
                self.from = address(self.from.peer.port() + 1);
                true
            }
            Err(ended) => {
                self.events.push(Event::Ended(ended));
                self.again = None;
                false
            }
        }
    }

    /// Takes what the hub reports, in order.
    pub(super) fn listen(&mut self) {
        loop {
            if let Some(arrived) = self.hub.poll_arrived() {
                self.heard.push(arrived.payload);
            } else if let Some(notice) = self.hub.poll_notice() {
                self.noticed.push(notice);
            } else {
                return;
            }
        }
    }

    /// Advances the time from timer to timer.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut timers = 0;
        loop {
            self.settle();
            let next = self.client.deadline().into_iter().chain(self.hub.deadline()).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            timers += 1;
            self.timers += 1;
            assert!(timers < 10_000, "timers without end");
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.hub.handle_timeout(self.now, self.wall);
        }
        self.now = end;
    }

    pub(super) fn restart_client(&mut self, config: &ClientConfig) {
        self.client = lone(config, self.now);
    }

    pub(super) fn ended(&mut self) -> Option<Ended> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(why) => Some(why.clone()),
            _ => None,
        })
    }

    pub(super) fn notices(&mut self) -> Vec<Notice> {
        self.noticed.extend(std::iter::from_fn(|| self.hub.poll_notice()));
        std::mem::take(&mut self.noticed)
    }

    /// Sends a message in each direction.
    #[track_caller]
    pub(super) fn speak(&mut self) {
        self.settle();
        assert!(self.client.is_established(), "{:?} {:?}", self.client, self.events);
        self.events.clear();
        self.client.send(b"question", self.now).unwrap();
        self.settle();
        assert_eq!(self.heard.pop().as_deref(), Some(b"question".as_slice()));
        self.hub.send(b"answer", self.from.peer, self.now, self.wall).unwrap();
        self.settle();
        assert_eq!(self.events, [Event::Message(b"answer".to_vec())]);
        self.events.clear();
    }
}
