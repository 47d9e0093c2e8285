//! A chat with its page, on real sockets: what a browser would do, and what it must not.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use hikyaku::{Endpoint, identity::Identity};
use hikyaku_chat::{
    event::Event,
    server::{self, Doors, Hosting, code, web_port},
    words::{Language, Sentence},
};
use hikyaku_web::{Admission, SessionKey, WebConfig, WebServer, limits};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

const PATIENCE: Duration = Duration::from_secs(300);

/// The token of the test's link.
const TOKEN: &str = "for one page";

struct Chat {
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Chat {
    /// Opens a chat whose link admits one page.
    async fn open() -> Self {
        let key = SessionKey::generate();
        let admitted = Arc::new(Mutex::new(BTreeSet::new()));
        let once = Admission::new(move |page, token| {
            let mut admitted = admitted.lock().unwrap();
            token == TOKEN
                && (admitted.is_empty() && admitted.insert(page) || admitted.contains(&page))
        });
        Self::with(key, once).await
    }

    async fn with(key: SessionKey, admission: Admission) -> Self {
        let host = Identity::generate("host").unwrap();
        let builder = Endpoint::builder()
            .identity(&host)
            .application(server::APPLICATION)
            .transport(server::transport());
        let endpoint = builder.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap()).await.unwrap();
        let (port, door) = web_port();
        let doors = Doors { native: Some(endpoint), web: Some(door), ..Doors::default() };
        let hosting = Hosting { identity: Some(host), ..Hosting::default() };
        let chat = async move {
            let never = std::future::pending();
            server::run(doors, hosting, None, |_| {}, |_| {}, never).await.unwrap();
        };
        let web = WebServer::bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap();
        let address = web.local_addr();
        let config = WebConfig { key, names: vec!["chat.example".to_owned()], admission };
        Self { address, tasks: [tokio::spawn(chat), tokio::spawn(web.serve(config, port))] }
    }

    /// Opens a chat whose link admits any page.
    async fn of_all() -> Self {
        Self::with(SessionKey::generate(), Admission::new(|_, token| token == TOKEN)).await
    }

    async fn socket(&self, host: &str, origin: &str) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("host", host.parse().unwrap());
        headers.insert("origin", origin.parse().unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        let stream = MaybeTlsStream::Plain(stream);
        tokio_tungstenite::client_async(request, stream).await.map(|(socket, _)| socket)
    }

    async fn page(&self, page: u8, name: &str) -> Page {
        let mut page = Page::new(self, page).await;
        page.come(&json!({ "token": TOKEN }), name, &json!({})).await;
        page.sees("greeted").await;
        page
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Does what the script of a page does, as far as the server sees it.
struct Page {
    socket: Socket,
    secret: String,
    pass: String,
    events: Vec<Value>,
}

impl Page {
    async fn new(chat: &Chat, number: u8) -> Self {
        let local = chat.address.to_string();
        let socket = chat.socket(&local, &format!("http://{local}")).await.unwrap();
        let secret = data_encoding::BASE64URL_NOPAD.encode(&[number; 32]);
        Self { socket, secret, pass: String::new(), events: Vec::new() }
    }

    async fn come(&mut self, with: &Value, name: &str, hello: &Value) {
        let mut first = json!({ "device": 7, "do": "hello", "with": name });
        first.as_object_mut().unwrap().extend(hello.as_object().unwrap().clone());
        let mut opening = json!({ "secret": self.secret, "hello": machine_line(&first) });
        opening.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        self.send(&opening).await;
    }

    async fn send(&mut self, what: &Value) {
        self.socket.send(Message::text(what.to_string())).await.unwrap();
    }

    async fn says(&mut self, line: &str, id: u8) {
        let id = format!("01924f7a-0000-7000-8000-0000000000{id:02x}");
        self.send(&json!({ "line": line, "id": id, "request": 1 })).await;
    }

    /// Waits for an event of a kind, and returns it. All events are stored.
    async fn sees(&mut self, kind: &str) -> Value {
        loop {
            self.read().await.unwrap_or_else(|code| panic!("{kind}: closed with {code}"));
            if let Some(seen) = self.events.iter().rev().find(|event| event["kind"] == kind) {
                return seen.clone();
            }
        }
    }

    /// Reads a message; the error is the code of the close.
    async fn read(&mut self) -> Result<(), u16> {
        let next = timeout(PATIENCE, self.socket.next()).await.expect("a message in time");
        match next {
            Some(Ok(Message::Text(text))) => {
                for line in text.lines() {
                    let event: Value = serde_json::from_str(line).unwrap();
                    match event["pass"].as_str() {
                        Some(pass) => self.pass = pass.to_owned(),
                        None => self.events.push(event),
                    }
                }
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => Err(frame.map_or(0, |frame| frame.code.into())),
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(0),
        }
    }

    async fn end(&mut self) -> u16 {
        loop {
            if let Err(code) = self.read().await {
                return code;
            }
        }
    }

    fn texts(&self) -> Vec<String> {
        let said = self.events.iter().filter(|event| event["kind"] == "said");
        said.map(text_of).collect()
    }
}

/// A machine line begins with its version.
fn machine_line(fields: &Value) -> String {
    fields.to_string().replacen('{', "{\"hikyaku\":1,", 1)
}

/// Returns the text that was signed.
fn text_of(event: &Value) -> String {
    let sealed = serde_json::from_value::<hikyaku_chat::sealed::Sealed>(event["sealed"].clone());
    sealed.unwrap().open().unwrap().words.text
}

/// Returns the server's response to these bytes, until it closes or a browser would have
/// everything.
async fn raw(chat: &Chat, request: &str) -> String {
    let mut stream = TcpStream::connect(chat.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_page_comes_with_headers_that_forbid_everything_else() {
    let chat = Chat::of_all().await;
    let answer = raw(&chat, &format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", chat.address)).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for expected in [
        "content-security-policy: default-src 'none';",
        "frame-ancestors 'none'",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "cache-control: no-store",
    ] {
        assert!(head.contains(expected), "{expected}: {head}");
    }
    assert_eq!(body, hikyaku_web::PAGE);
}

#[tokio::test]
async fn another_name_in_the_request_is_refused() {
    let chat = Chat::of_all().await;
    let port = chat.address.port();
    let local = chat.address.to_string();
    for head in [
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 192.0.2.7:{port}\r\n"),
        String::new(),
        format!("Host: {local}\r\nHost: evil.example\r\n"),
    ] {
        let answer = raw(&chat, &format!("GET / HTTP/1.1\r\n{head}\r\n")).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{head}: {answer}");
        assert!(!answer.contains("<html"), "{head}");
    }
    for (host, origin) in [
        ("evil.example", "http://evil.example"),
        (&*local, "http://evil.example"),
        (&*local, "null"),
        (&*local, "http://127.0.0.1"),
        (&*local, &*format!("https://{local}")),
    ] {
        assert!(matches!(chat.socket(host, origin).await, Err(Error::Http(_))), "{host} {origin}");
    }
    assert!(chat.socket("chat.example", "https://chat.example").await.is_ok());
}

#[tokio::test]
async fn a_link_admits_one_page_which_comes_back_with_its_pass() {
    let chat = Chat::open().await;
    let mut ana = chat.page(1, "ana").await;
    let mut eve = Page::new(&chat, 2).await;
    eve.come(&json!({ "token": TOKEN }), "eve", &json!({})).await;
    assert_eq!(u64::from(eve.end().await), code::NOT_INVITED);

    let pass = ana.pass.clone();
    ana.socket.close(None).await.unwrap();
    let mut again = Page::new(&chat, 1).await;
    again.come(&json!({ "pass": pass }), "ana", &json!({})).await;
    assert_eq!(again.sees("greeted").await["you"]["name"], "ana");

    let mut thief = Page::new(&chat, 3).await;
    thief.come(&json!({ "pass": pass }), "ana", &json!({})).await;
    assert_eq!(u64::from(thief.end().await), code::NOT_INVITED);
}

#[tokio::test]
async fn messages_are_signed_with_a_key_of_the_host_and_marked() {
    let chat = Chat::of_all().await;
    let (mut ana, mut ben) = (chat.page(1, "ana").await, chat.page(2, "ben").await);
    ana.says("<script>alert(1)</script> \u{202e}", 1).await;
    let event = ben.sees("said").await;
    let shown = serde_json::from_value::<Event>(event.clone()).unwrap();
    let sentence = Language::English.event(&shown, None).unwrap();
    let Sentence::Speech { speaker, .. } = sentence else { panic!("{sentence:?}") };
    assert_eq!(speaker, "ana (through the host)");
    assert_eq!(text_of(&event), "<script>alert(1)</script> \u{202e}", "the page escapes it");
    // With the same id it is the same message, however often it is sent.
    ana.says("<script>alert(1)</script> \u{202e}", 1).await;
    assert_eq!(ana.sees("repeated").await["id"], event["id"]);
    ana.says("/me waves", 2).await;
    ben.events.clear();
    assert_eq!(ben.sees("said").await["emote"], true);
    let read = json!({ "do": "read", "with": event["seq"] });
    ben.socket.send(Message::text(machine_line(&read))).await.unwrap();
    let delivered = ana.sees("delivered").await;
    assert_eq!((&delivered["to"], &delivered["of"]), (&json!(1), &json!(1)));
    ana.says("/msg ben only you", 3).await;
    assert_eq!(text_of(&ben.sees("whispered").await), "only you");
}

#[tokio::test]
async fn a_page_that_slept_continues_where_it_was() {
    let chat = Chat::of_all().await;
    let (mut ana, mut ben) = (chat.page(1, "ana").await, chat.page(2, "ben").await);
    ana.says("one", 1).await;
    let (after, log) = {
        let seen = ben.sees("said").await;
        (seen["seq"].clone(), ben.events.iter().find_map(|e| e.get("log")).unwrap().clone())
    };
    drop(ben);
    ana.says("two", 2).await;
    ana.says("three", 3).await;
    while ana.texts().len() < 3 {
        ana.read().await.unwrap();
    }
    let mut ben = Page::new(&chat, 2).await;
    let hello = json!({ "after": after, "log": log, "rooms": ["general"] });
    ben.come(&json!({ "token": TOKEN }), "ben", &hello).await;
    while ben.texts().len() < 2 {
        ben.read().await.unwrap();
    }
    assert_eq!(ben.texts(), ["two", "three"]);
}

#[tokio::test]
async fn a_page_that_reads_nothing_delays_nobody_and_gets_what_it_missed() {
    let chat = Chat::of_all().await;
    let (mut ana, mut ben) = (chat.page(1, "ana").await, chat.page(2, "ben").await);
    // Meanwhile ben reads nothing. Send no more than a member may at once.
    let lines: Vec<String> = (0..150).map(|number| format!("{number} ").repeat(500)).collect();
    for (number, line) in lines.iter().enumerate() {
        let id = format!("01924f7a-0000-7000-8000-{number:012x}");
        ana.send(&json!({ "line": line, "id": id })).await;
    }
    while ana.texts().len() < lines.len() {
        ana.read().await.unwrap();
    }
    while ben.texts().len() < lines.len() {
        ben.read().await.unwrap();
    }
    assert!(ben.texts() == lines, "each once, in order");
}

#[tokio::test]
async fn an_overlong_message_closes_the_page_and_an_invalid_one_is_ignored() {
    let chat = Chat::of_all().await;
    let mut ana = chat.page(1, "ana").await;
    for line in ["", "{}", "not JSON", r#"{"hikyaku":1,"do":"sealed","with":7}"#] {
        ana.socket.send(Message::text(line)).await.unwrap();
    }
    ana.says("still here", 1).await;
    ana.sees("said").await;
    let long = "x".repeat(limits::MAX_MESSAGE + 1);
    let _ = ana.socket.send(Message::text(long)).await;
    ana.end().await;
}

#[tokio::test]
async fn a_flood_is_read_no_faster_than_the_limit() {
    let chat = Chat::of_all().await;
    let (mut ana, mut ben) = (chat.page(1, "ana").await, chat.page(2, "ben").await);
    let began = Instant::now();
    let beyond = 300;
    for _ in 0..limits::MESSAGES_AT_ONCE + beyond {
        ana.socket.send(Message::text("no line")).await.unwrap();
    }
    ana.says("after the flood", 1).await;
    // Meanwhile the others talk.
    ben.says("hello", 1).await;
    ben.sees("said").await;
    assert!(ana.texts().is_empty(), "the flood is still being read");
    while !ana.texts().contains(&"after the flood".to_owned()) {
        ana.read().await.unwrap();
    }
    let least = Duration::from_secs(1) * beyond / limits::MESSAGES_PER_SECOND;
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_socket_that_sends_nothing_valid_is_closed() {
    let chat = Chat::of_all().await;
    let mut page = Page::new(&chat, 1).await;
    page.send(&json!({ "hello": 7 })).await;
    assert_eq!(u64::from(page.end().await), code::FORMAT);
    let mut page = Page::new(&chat, 1).await;
    let secret = page.secret.clone();
    page.send(&json!({ "secret": secret, "token": TOKEN, "hello": "no line" })).await;
    assert_eq!(u64::from(page.end().await), code::FORMAT);
}
