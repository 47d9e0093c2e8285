//! Certificates that must be refused over DTLS, whichever program is the peer.

use std::net::SocketAddr;

use crate::certificates::{Authority, Certificate};
use crate::process::{Process, Stream};
use crate::programs::{hikyaku, listen_dtls, run};

/// Checks that `send` ends with exit code 3 and one line for servers of another issuer, with an
/// expired certificate or another name, and for one that requires a client certificate when `send`
/// has none. `serve` starts a server with a certificate, which requires client certificates if it
/// is given an issuer.
#[track_caller]
pub fn send_refuses(serve: impl Fn(&Certificate, Option<&str>) -> (Process, String)) {
    let (authority, other) = (Authority::new(), Authority::new());
    let (ca, stranger) = (authority.file(), other.issue("stranger"));
    let (right, late) = (authority.issue("right"), authority.issue_expired("late"));
    let believes = ["--ca", &ca[..]];
    let has_another = ["--ca", &ca, "--cert", &stranger.file, "--key", &stranger.key];
    let elsewhere = authority.issue_elsewhere("elsewhere");
    let cases: [(&Certificate, Option<&str>, &[&str], &str); 6] = [
        (&right, None, &["--ca", &other.file()], "is not from a trusted issuer"),
        (&right, None, &[], "is not from a trusted issuer"),
        (&late, None, &believes, "expired on 2021-01-01"),
        (&elsewhere, None, &believes, "is not for 127.0.0.1, but for other.example"),
        (&right, Some(&ca), &believes, "certificate"),
        (&right, Some(&ca), &has_another, "certificate"),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(certificate, asks, options, why)| {
            let (_server, address) = serve(certificate, asks);
            not_refused(&[options, &[&address, "x"]].concat(), why)
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Checks that `send` with these arguments ends with exit code 3 and one line with the reason.
#[track_caller]
pub fn is_refused(args: &[&str], why: &str) {
    assert_eq!(not_refused(args, why), None);
}

fn not_refused(args: &[&str], why: &str) -> Option<String> {
    let exit = run(hikyaku(&[&["send", "--dtls"], args].concat()));
    // A peer that serves one client at a time is asked twice (dtls/attempts.rs), which takes time.
    let mut says = exit.err.lines().filter(|line| !line.starts_with("still waiting for the DTLS"));
    let is_clear = says.next().is_some_and(|line| line.contains(why)) && says.next().is_none();
    (exit.code != Some(3) || !is_clear).then(|| format!("{args:?}: wants {why:?}: {exit:?}"))
}

/// Checks that `listen` reports in one line each of the clients without a certificate, with one of
/// another issuer, with an expired one, and one that does not trust ours. It prints nothing from
/// them, and then hears the right client. `connect` starts a client that trusts an issuer, with or
/// without a certificate.
#[track_caller]
pub fn listen_refuses(connect: impl Fn(SocketAddr, &str, Option<&Certificate>) -> Process) {
    let (authority, other) = (Authority::new(), Authority::new());
    let (own, ca) = (authority.issue("own"), authority.file());
    let options = ["--cert", &own.file, "--key", &own.key, "--client-ca", &ca];
    let (right, late) = (authority.issue("right"), authority.issue_expired("late"));
    let stranger = other.issue("stranger");
    let elsewhere = other.file();
    let cases: [(&str, Option<&Certificate>, &str); 4] = [
        (&ca, None, "it presented no certificate"),
        (&ca, Some(&stranger), "is not from a trusted issuer"),
        (&ca, Some(&late), "its certificate expired on 2021-01-01"),
        (&elsewhere, Some(&right), "it refused the handshake: it does not"),
    ];
    for (believes, has, why) in cases {
        let (listener, address) = listen_dtls(&[&options[..], &["--once"]].concat());
        let refused = connect(address, believes, has);
        listener.wait_for_line(Stream::Err, |line| {
            line.starts_with("127.0.0.1:") && line.contains(why)
        });
        drop(refused);
        let mut welcome = connect(address, &ca, Some(&right));
        welcome.type_line("it is me");
        let exit = listener.wait_for_end();
        assert_eq!((exit.code, exit.out.as_str()), (Some(0), "it is me\n"), "{exit:?}");
        let told = exit.err.lines().filter(|line| line.starts_with("127.0.0.1:")).count();
        assert_eq!(told, 1, "{exit:?}");
    }
}
