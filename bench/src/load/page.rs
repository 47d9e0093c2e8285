//! A page of the chat, as far as its server sees it: a WebSocket that reads.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use data_encoding::BASE64URL_NOPAD;
use futures_util::{SinkExt as _, StreamExt as _};
use hikyaku_chat::machine;
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use super::{
    figures::{Figures, Heard},
    member::take,
};

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    heard: Arc<Mutex<Heard>>,
    reading: JoinHandle<()>,
}

impl Page {
    /// Opens the WebSocket of a host whose links admit everybody, and joins.
    pub(super) async fn join(number: usize, web: &str, figures: Arc<Figures>) -> Result<Self> {
        let mut request = format!("ws://{web}/ws").into_client_request()?;
        let origin = HeaderValue::try_from(format!("http://{web}"))?;
        request.headers_mut().insert("origin", origin);
        let (mut socket, _) = client_async(request, TcpStream::connect(web).await?).await?;
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&number.to_be_bytes());
        let secret = BASE64URL_NOPAD.encode(&secret);
        let hello = format!(r#"{{"hikyaku":1,"device":7,"do":"hello","with":"page{number}"}}"#);
        let hello = hello.replace('"', "\\\"");
        let opening = format!(r#"{{"secret":"{secret}","token":"any","hello":"{hello}"}}"#);
        socket.send(Message::text(opening)).await?;
        loop {
            let message = socket.next().await.context("the host closed a page")??;
            if message.into_text()?.contains(r#""kind":"greeted""#) {
                break;
            }
        }
        let heard = Arc::new(Mutex::new(Heard::nothing()));
        let reading = tokio::spawn(read(socket, Arc::clone(&heard), figures));
        Ok(Self { heard, reading })
    }

    pub(super) fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(
    mut socket: WebSocketStream<TcpStream>,
    heard: Arc<Mutex<Heard>>,
    figures: Arc<Figures>,
) {
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        if text.is_empty() {
            // It is asked whether it is there.
            let _ = socket.send(Message::text("")).await;
        }
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        machine::lines(text.as_bytes()).for_each(|line| take(line, &mut heard, &figures));
    }
}
