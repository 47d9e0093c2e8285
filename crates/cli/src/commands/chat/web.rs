//! The page of a chat: its address, and the links that admit to it.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use hikyaku::signers::Fingerprint;
use hikyaku_chat::server::{Doors, web_port};
use hikyaku_services::invite::{Admission, InMemory, InviteId, Invites, OneUse, UsedInvites};
use hikyaku_web::{WebConfig, WebServer};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{News, full, invite, reachable_at, state};
use crate::{
    args::HostArgs,
    exit::{Failure, in_words},
    output::{note, warn},
    values::WebLink,
    words::Page,
};

/// Opens the page if it was requested, as a listener of the chat, and prints its links. Returns new
/// links as they are created.
pub(super) async fn open(
    args: &HostArgs,
    host: &Fingerprint,
    doors: &mut Doors,
) -> Result<Option<News>, Failure> {
    let Some(address) = &args.web.web else { return Ok(None) };
    let (is_quiet, key) = (args.me.talk.quiet, state::web_key(host, &args.native)?);
    let shows_code = args.headless || args.me.lines || args.invite.qr || !full::is_able();
    let args = &args.web;
    let addresses = match address.is_unnamed() {
        true => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))],
        false => address.resolve_local(None).await?,
    };
    let server = WebServer::bind(&addresses)
        .await
        .map_err(|error| Failure::failed(Page::CannotListen(address, &in_words(&error)).text()))?;
    let local = server.local_addr();
    if !local.ip().is_loopback() && !is_quiet {
        warn(&Page::Unencrypted.text());
    }
    let (sender, news) = mpsc::unbounded_channel();
    let mut links = Links::new(places(local, &args.web_name), args.web_link, sender);
    for token in links.first() {
        for line in links.lines(&token) {
            note(&line);
        }
    }
    // A full screen would hide it.
    if shows_code
        && io::stdout().is_terminal()
        && let Some(link) = links.to_draw()
    {
        invite::draw_text(&link, "--web")?;
    }
    let names = args.web_name.iter().map(|name| host_of(name).to_owned()).collect();
    let admission = hikyaku_web::Admission::new(move |page, token| links.admits(page, token));
    let (port, door) = web_port();
    tokio::spawn(server.serve(WebConfig { key, names, admission }, port));
    doors.web = Some(door);
    Ok(Some(news))
}

/// The beginnings of links to the page.
fn places(local: SocketAddr, names: &[String]) -> Vec<String> {
    // The name of a proxy in front of the page.
    let named = names.iter().map(|name| match name.contains("://") {
        true => name.trim_end_matches('/').to_owned(),
        false => format!("https://{name}"),
    });
    // Browsers accept no address with a zone.
    let is_usable = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
    let at = reachable_at(local).into_iter().filter(is_usable);
    named.chain(at.map(|address| format!("http://{address}"))).collect()
}

/// Returns the name in what leads to the page.
fn host_of(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split(['/', ':']).next().unwrap_or(name)
}

/// Invites that admit any number of guests.
struct Reusable;

impl UsedInvites for Reusable {
    fn guest(&self, _: &InviteId) -> Option<Fingerprint> {
        None
    }

    fn remember(&mut self, _: InviteId, _: Fingerprint) -> bool {
        true
    }
}

enum Tokens {
    Once(Invites<InMemory>),
    Shared(Invites<Reusable>),
}

/// The links of a page.
struct Links {
    places: Vec<String>,
    tokens: Tokens,
    /// How many links are available at a time.
    count: usize,
    /// The pages that a link has admitted.
    admitted: BTreeSet<Fingerprint>,
    news: mpsc::UnboundedSender<String>,
    drawn: Option<Zeroizing<String>>,
}

impl Links {
    fn new(places: Vec<String>, kind: WebLink, news: mpsc::UnboundedSender<String>) -> Self {
        let (tokens, count) = match kind {
            WebLink::Once(count) => (Tokens::Once(Invites::new(InMemory::default())), count),
            WebLink::Shared => (Tokens::Shared(Invites::new(Reusable)), 1),
        };
        Self { places, tokens, count, admitted: BTreeSet::new(), news, drawn: None }
    }

    /// Creates the first links.
    fn first(&mut self) -> Vec<OneUse> {
        (0..self.count).filter_map(|_| self.issue()).collect()
    }

    fn issue(&mut self) -> Option<OneUse> {
        let token = OneUse::generate();
        let is_issued = match &mut self.tokens {
            Tokens::Once(invites) => invites.issue(&token),
            Tokens::Shared(invites) => invites.issue(&token),
        };
        let link = || Some(Zeroizing::new(self.places.first()?.clone() + "/#" + &token.to_text()));
        if self.drawn.is_none() {
            self.drawn = link();
        }
        is_issued.then_some(token)
    }

    /// Returns the link to draw.
    fn to_draw(&self) -> Option<Zeroizing<String>> {
        self.drawn.clone()
    }

    /// Returns what a token leads to.
    fn lines(&self, token: &OneUse) -> Vec<String> {
        let token = token.to_text();
        let line = |place: &String| {
            let link = format!("{place}/#{}", &*token);
            let says = match self.tokens {
                Tokens::Once(_) => Page::LinkForOne(&link),
                Tokens::Shared(_) => Page::LinkForAll(&link),
            };
            says.text()
        };
        self.places.iter().map(line).collect()
    }

    fn admits(&mut self, page: Fingerprint, token: &str) -> bool {
        match &mut self.tokens {
            Tokens::Shared(invites) => invites.admit(token, page) == Admission::Admitted,
            Tokens::Once(invites) => {
                let admits = invites.admit(token, page) == Admission::Admitted;
                if admits && self.admitted.insert(page) {
                    self.announce_another();
                }
                admits
            }
        }
    }

    fn announce_another(&mut self) {
        let lines = match self.issue() {
            Some(token) => self.lines(&token),
            None => vec![Page::NoMoreLinks.text()],
        };
        for line in lines {
            let _ = self.news.send(Page::LinkUsed(&line).text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(kind: WebLink) -> (Links, News) {
        let (sender, news) = mpsc::unbounded_channel();
        (Links::new(vec!["http://192.0.2.7:8080".to_owned()], kind, sender), news)
    }

    fn page(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_link_admits_one_page_and_another_is_announced() {
        let (mut links, mut news) = links(WebLink::Once(2));
        let tokens = links.first();
        let [first, second] = &tokens[..] else { panic!("{}", tokens.len()) };
        assert!(links.admits(page(1), &first.to_text()));
        assert!(links.admits(page(1), &first.to_text()), "the answer may have been lost");
        assert!(!links.admits(page(2), &first.to_text()));
        let told = news.try_recv().unwrap();
        assert!(news.try_recv().is_err(), "once");
        let (_, third) = told.split_once("http://192.0.2.7:8080/#").unwrap();
        assert!(links.admits(page(2), third) && links.admits(page(3), &second.to_text()));
        assert!(!links.admits(page(4), "") && !links.admits(page(4), "AAAAAAAAAAAAAAAAAAAAAAAAAA"));
    }

    #[test]
    fn a_shared_link_admits_anyone_who_has_it() {
        let (mut links, mut news) = links(WebLink::Shared);
        let token = links.first()[0].to_text();
        assert!((1..=40).all(|byte| links.admits(page(byte), &token)));
        assert!(!links.admits(page(1), "x") && news.try_recv().is_err());
    }

    #[test]
    fn a_name_is_that_of_a_proxy_and_may_have_a_scheme() {
        let local = "127.0.0.1:8080".parse().unwrap();
        let names = ["chat.example".to_owned(), "http://chat.lan:81/".to_owned()];
        let expected = ["https://chat.example", "http://chat.lan:81", "http://127.0.0.1:8080"];
        assert_eq!(places(local, &names), expected);
        assert_eq!((host_of(&names[0]), host_of(&names[1])), ("chat.example", "chat.lan"));
    }
}
