//! The command from outside: what is typed, what it prints, how it ends.
//!
//! One program for all of it: it links once, and its tests share their tools. One file alone:
//! `cargo test -p hikyaku-cli --test e2e ack::`.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "a test has deadlines of its own")]

mod ack;
mod armour;
mod chat;
mod chat_dtls;
mod doors;
mod dtls;
mod filters;
mod first_minutes;
mod flood;
mod formats;
mod keys;
mod multicast;
mod native;
mod native_files;
mod native_flood;
mod native_network;
mod native_told;
mod native_trust;
mod page;
mod prompts;
mod readme;
mod refusals;
mod secrecy;
mod sending;
mod stopping;
mod support;
mod written;
