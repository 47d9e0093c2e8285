//! One page, from its opening to its end.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use hikyaku::{Bytes, clock};
use hikyaku_chat::server::{WebClosed, WebMember, code};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use zeroize::Zeroizing;

use crate::{
    limits::{
        ASK_INTERVAL, CLOSE_WITHIN, LINES_AT_ONCE, MESSAGES_AT_ONCE, MESSAGES_PER_SECOND,
        OPENING_WITHIN, SILENT_AFTER, WRITE_WITHIN,
    },
    pace::Pace,
    server::Shared,
    session::PageSecret,
};

/// The first message of a page.
#[derive(Deserialize)]
struct Opening {
    /// The secret that the page has generated, and sends each time.
    secret: String,
    /// The token of its link, until it has a pass.
    token: Option<String>,
    pass: Option<String>,
    /// The first line to the chat.
    hello: String,
}

/// Why a page was closed.
enum End {
    /// The network or the browser has closed it, or it does not answer or read.
    Lost,
    /// The reason is sent to the page.
    Closed(WebClosed),
}

const NOT_ADMITTED: WebClosed =
    WebClosed { code: code::NOT_INVITED, reason: "the link is not valid, or has been used" };

const NOT_A_PAGE: WebClosed =
    WebClosed { code: code::FORMAT, reason: "this is for the page of a chat" };

impl From<WebClosed> for End {
    fn from(closed: WebClosed) -> Self {
        Self::Closed(closed)
    }
}

/// Serves a page until it ends.
pub(crate) async fn serve(mut socket: WebSocket, from: IpAddr, shared: Arc<Shared>) {
    let Err(End::Closed(closed)) = talk(&mut socket, from, &shared).await else { return };
    // The codes of a chat are in the range that RFC 6455 reserves for applications.
    let code = u16::try_from(closed.code).ok().filter(|code| *code >= 4_000).unwrap_or(1_001);
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(closed.reason) };
    let _ = timeout(CLOSE_WITHIN, socket.send(Message::Close(Some(frame)))).await;
}

async fn talk(socket: &mut WebSocket, from: IpAddr, shared: &Shared) -> Result<(), End> {
    let mut member = open(socket, from, shared).await?;
    let mut pace = Pace::new(Instant::now(), MESSAGES_PER_SECOND, MESSAGES_AT_ONCE);
    let mut heard_at = Instant::now();
    let mut asking = interval(ASK_INTERVAL);
    asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lines = Vec::with_capacity(LINES_AT_ONCE);
    loop {
        let next = async {
            sleep_until(pace.ready_at()).await;
            socket.recv().await
        };
        tokio::select! {
            got = member.recv(&mut lines, LINES_AT_ONCE) => {
                got?;
                write(socket, joined(&mut lines)).await?;
            }
            message = next => {
                let now = Instant::now();
                pace.count(now, 1);
                heard_at = now;
                match message {
                    Some(Ok(Message::Text(text))) if !text.is_empty() => {
                        member.send(text.as_bytes()).await?;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Lost),
                    Some(Ok(_)) => {}
                }
            }
            _ = asking.tick() => {
                if heard_at.elapsed() > SILENT_AFTER {
                    return Err(End::Lost);
                }
                // An empty message, which the page's script sees and answers, unlike a ping.
                write(socket, Utf8Bytes::default()).await?;
            }
        }
    }
}

/// Identifies the page, and brings it into the chat.
async fn open(socket: &mut WebSocket, from: IpAddr, shared: &Shared) -> Result<WebMember, End> {
    let first = timeout(OPENING_WITHIN, socket.recv()).await.map_err(|_| NOT_A_PAGE)?;
    let Some(Ok(Message::Text(text))) = first else { return Err(NOT_A_PAGE.into()) };
    let opening: Opening = serde_json::from_str(&text).map_err(|_| NOT_A_PAGE)?;
    let (hello, pass) = (Bytes::from(opening.hello), opening.pass);
    let token = opening.token.map(Zeroizing::new);
    let secret = PageSecret::parse(&Zeroizing::new(opening.secret)).ok_or(NOT_A_PAGE)?;
    let identity = shared.key.identity(&secret).ok_or(NOT_A_PAGE)?;
    let (page, now) =
        (identity.fingerprint(), Duration::from_secs(clock::unix_seconds(clock::wall())));
    let has_pass = pass.is_some_and(|pass| shared.key.admits(page, &pass, now));
    if !has_pass && !token.is_some_and(|token| shared.admits(page, &token)) {
        return Err(NOT_ADMITTED.into());
    }
    let pass = serde_json::json!({ "pass": shared.key.pass(page, now) });
    write(socket, pass.to_string().into()).await?;
    Ok(shared.port.join(identity, from, hello).await?)
}

/// Takes the lines, as one message with an end of line between them.
fn joined(lines: &mut Vec<Bytes>) -> Utf8Bytes {
    let joined = match &lines[..] {
        // Shared with the other members.
        [one] => one.clone(),
        many => many.join(&b'\n').into(),
    };
    lines.clear();
    Utf8Bytes::try_from(joined).unwrap_or_default()
}

async fn write(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), End> {
    match timeout(WRITE_WITHIN, socket.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Lost),
    }
}
