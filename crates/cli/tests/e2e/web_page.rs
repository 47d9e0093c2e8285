//! A chat in a web page: its link, and where it is refused.
#![cfg(feature = "web")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use crate::support::{native::Home, process::Process, refused};

/// Starts a host with a page; returns it, the page's address and the token of its link.
fn host(home: &Home) -> (Process, String, String) {
    let args = ["chat", "host", "--headless", "--hidden", "--web=127.0.0.1:0", "127.0.0.1:0"];
    let host = Process::start(home.command(&args));
    let line = host.err.line(|line| line.starts_with("one person joins with a browser: http://"));
    let (_, link) = line.split_once("http://").expect("a link");
    let (address, token) = link.trim().split_once("/#").expect("a token");
    (host, address.to_owned(), token.to_owned())
}

/// Returns the first file under a folder whose name begins and ends so.
fn find(folder: &Path, start: &str, end: &str) -> Option<std::path::PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        let fits = name.to_str().is_some_and(|name| name.starts_with(start) && name.ends_with(end));
        if fits { Some(path) } else { find(&path, start, end) }
    })
}

#[test]
fn a_host_serves_its_page_and_knows_its_pages_again_after_a_restart() {
    let home = Home::new();
    let (first, address, token) = host(&home);
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{page}");
    assert!(!page.contains(&token), "the token is in the link alone");
    first.interrupt();
    first.end();

    let path = find(home.path(), "web-", ".key").expect("the key of its pages is kept");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs::read(&path).unwrap();
    let (second, _, other) = host(&home);
    assert_ne!(token, other, "a link is for one run");
    assert_eq!(fs::read(&path).unwrap(), key);
    second.interrupt();
    second.end();
}

#[test]
fn a_page_is_refused_where_there_is_no_native_chat() {
    refused(
        2,
        &[
            (&["chat", "host", "--plain-only", "--web", "--headless"], &["--web is not for plain"]),
            (&["chat", "host", "--web-link", "shared"], &["--web"]),
            (&["chat", "host", "--web", "--web-link", "open"], &["once, once=N or shared"]),
        ],
    );
}
