//! The command from outside: arguments, output, exit codes.
//!
//! One test binary, which links once and shares its helpers. To run one file: `cargo test -p
//! hikyaku-cli --test e2e ack::`.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "a test has deadlines of its own")]

mod ack;
mod armour;
mod chat;
mod chat_dtls;
mod chat_member;
mod chat_outcomes;
mod discovery;
mod doors;
mod dtls;
mod filters;
mod first_minutes;
mod flood;
mod formats;
mod keys;
mod killed;
mod language;
mod manual_json;
mod multicast;
mod native;
mod native_chat;
mod native_files;
mod native_flood;
mod native_network;
mod native_reports;
mod native_trust;
mod page;
mod ports;
mod prompts;
mod readme;
mod refusals;
mod secrecy;
mod sending;
mod service;
mod stopping;
mod support;
mod web_page;
mod written;
