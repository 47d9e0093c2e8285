//! Hosts on the local network, found without an address.
//!
//! ```text
//! search() ─ Search ── a search of 512 bytes ──▶ Responder ─ Advertiser
//!              │  ◀── an answer, no longer ──────────┘            │
//!            Found ◀── mDNS: _hikyaku._udp and its TXT ───────────┘
//! ```
//!
//! There are two ways, because some networks filter one of them: searches of our own, by IPv4
//! broadcast and IPv6 link-local multicast; and DNS-SD over multicast DNS (RFC 6762, RFC 6763;
//! feature `mdns`). Neither is authenticated. A result suggests where a host may be and which key
//! it claims; the client checks that key when it connects.

mod announcement;
mod beacon;
mod found;
mod interfaces;
#[cfg(feature = "mdns")]
mod mdns;
#[cfg(feature = "net")]
mod net;
mod responder;
mod search;
#[cfg(any(feature = "mdns", test))]
mod txt;

#[cfg(feature = "net")]
pub use self::net::{Advertiser, AdvertiserOptions, SearchOptions, random_token, search};
pub use self::{
    announcement::{Announcement, NotAnnounceable},
    beacon::{Answer, Query, Token},
    found::{Found, Host},
    interfaces::{GROUP, Interface, is_near, targets},
    responder::Responder,
    search::{Search, Step},
};
