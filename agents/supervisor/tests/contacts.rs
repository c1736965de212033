//! What is asked of Waldur, on every way there is, and what its answers are taken for.

mod peer;
mod tls;

use std::{io::Write, net::TcpListener};

use peer::{Asked, Peer, connect, me, socks, tunnel};
use reeve_checks::{Auth, Proxy, Waldur};
use reeve_supervise::vigil::{
    client::Client,
    finding::{Finding, Reason},
    waldur::{greet, has_queues},
};

fn at(peer: &Peer, scheme: &str) -> Waldur {
    Waldur {
        url: format!("{scheme}://{}/api/", peer.address),
        auth: Auth::Token("t0ken".to_owned()),
        verify: false,
        proxy: None,
    }
}

fn knows_token(asked: &Asked) -> (u16, String) {
    match asked.authorization.as_str() {
        "Token t0ken" => me(),
        _ => (401, "{}".to_owned()),
    }
}

#[tokio::test]
async fn waldur_is_asked_who_this_is_with_the_agents_token() {
    let peer = Peer::secure(knows_token);
    assert_eq!(
        greet(&Client::default(), &at(&peer, "https")).await,
        Finding::good()
    );
    let line = "GET /api/users/me/?field=uuid HTTP/1.1";
    assert_eq!(peer.asked()[0].line, line);
}

#[tokio::test]
async fn a_token_that_waldur_does_not_know_is_unauthorized_and_shown_to_nobody() {
    let peer = Peer::secure(knows_token);
    let auth = Auth::Token("revoked-token".to_owned());
    let waldur = Waldur {
        auth,
        ..at(&peer, "https")
    };
    let finding = greet(&Client::default(), &waldur).await;
    assert_eq!(finding.reason, Reason::Unauthorized);
    assert!(!finding.message.contains("revoked-token"), "{finding:?}");
    assert!(finding.message.contains("tokenRef"), "{finding:?}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_a_tls_error_that_names_the_remedy() {
    let peer = Peer::secure(knows_token);
    let waldur = Waldur {
        verify: true,
        ..at(&peer, "https")
    };
    let finding = greet(&Client::default(), &waldur).await;
    assert_eq!(finding.reason, Reason::TlsError);
    assert!(finding.message.contains("caRef"), "{finding:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart_from_one_that_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}/api/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("accept");
        client
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("written");
        // Until the client hangs up: closing with unread data would be a reset.
        std::io::copy(&mut client, &mut std::io::sink()).ok();
    });
    let waldur = Waldur {
        url,
        auth: Auth::Token("t0ken".to_owned()),
        verify: true,
        proxy: None,
    };
    let finding = greet(&Client::default(), &waldur).await;
    assert_eq!(finding.reason, Reason::TlsError, "{finding:?}");
    assert!(finding.message.contains("does not speak TLS"), "{finding:?}");
}

#[tokio::test]
async fn nobody_there_no_name_and_a_server_that_fails_are_unreachable() {
    let peer = Peer::plain(|_| (502, "<html>".to_owned()));
    let waldur = at(&peer, "http");
    for url in [
        waldur.url.clone(),
        "http://127.0.0.1:1/api/".to_owned(),
        "http://no-such-host.invalid/api/".to_owned(),
    ] {
        let waldur = Waldur {
            url: url.clone(),
            ..waldur.clone()
        };
        let finding = greet(&Client::default(), &waldur).await;
        assert_eq!(finding.reason, Reason::Unreachable, "{url}: {finding:?}");
    }
}

#[tokio::test]
async fn the_oidc_provider_is_asked_for_a_token_and_its_refusal_is_told_apart() {
    let provider = Peer::secure(|asked| {
        let known = "grant_type=client_credentials&client_id=agent&client_secret=s%26cret";
        if asked.body == known {
            (200, r#"{"access_token":"jwt","expires_in":300}"#.to_owned())
        } else {
            (401, r#"{"error":"invalid_client"}"#.to_owned())
        }
    });
    let peer = Peer::secure(|asked| {
        if asked.authorization == "Bearer jwt" {
            me()
        } else {
            (401, String::new())
        }
    });
    let with = |client_secret: &str| Waldur {
        auth: Auth::Oidc {
            token_url: format!("https://{}/token", provider.address),
            client_id: "agent".to_owned(),
            client_secret: client_secret.to_owned(),
        },
        ..at(&peer, "https")
    };
    assert_eq!(greet(&Client::default(), &with("s&cret")).await, Finding::good());
    let finding = greet(&Client::default(), &with("wrong")).await;
    assert_eq!(finding.reason, Reason::Unauthorized);
    assert!(finding.message.contains("OIDC provider"), "{finding:?}");
    assert_eq!(peer.asked().len(), 1, "nothing is asked without a token");
}

#[tokio::test]
async fn every_kind_of_proxy_is_gone_through() {
    let peer = Peer::secure(knows_token);
    let (http, connects) = tunnel(peer.address, connect);
    let (socks5, handshakes) = tunnel(peer.address, socks);
    for proxy in [format!("http://user:word@{http}"), format!("socks5h://{socks5}")] {
        let proxy = Some(Proxy(proxy));
        let waldur = Waldur {
            proxy,
            ..at(&peer, "https")
        };
        assert_eq!(greet(&Client::default(), &waldur).await, Finding::good());
    }
    let connects = connects.lock().expect("not poisoned").clone();
    let expected = format!("CONNECT {} HTTP/1.1", peer.address);
    assert!(connects[0].starts_with(&expected), "{connects:?}");
    assert!(connects[0].contains("Basic dXNlcjp3b3Jk"), "{connects:?}");
    assert_eq!(handshakes.lock().expect("not poisoned").len(), 1);
}

#[tokio::test]
async fn a_plain_waldur_is_asked_for_through_a_proxy_by_its_whole_url() {
    let proxy = Peer::plain(knows_token);
    let waldur = Waldur {
        url: "http://waldur.example.org/api/".to_owned(),
        proxy: Some(Proxy(format!("http://{}", proxy.address))),
        ..at(&proxy, "http")
    };
    assert_eq!(greet(&Client::default(), &waldur).await, Finding::good());
    let line = "GET http://waldur.example.org/api/users/me/?field=uuid HTTP/1.1";
    assert_eq!(proxy.asked()[0].line, line);
}

#[tokio::test]
async fn a_proxy_that_is_away_or_cannot_be_used_says_so() {
    let peer = Peer::secure(knows_token);
    for (proxy, reason) in [
        ("http://user:hidden@127.0.0.1:1", Reason::Unreachable),
        ("socks5://user:hidden@127.0.0.1:1", Reason::Unreachable),
        ("socks4://user:hidden@127.0.0.1:1", Reason::NotChecked),
        ("ftp://user:hidden@127.0.0.1:1", Reason::NotChecked),
    ] {
        let waldur = Waldur {
            proxy: Some(Proxy(proxy.to_owned())),
            ..at(&peer, "https")
        };
        let finding = greet(&Client::default(), &waldur).await;
        assert_eq!(finding.reason, reason, "{proxy}: {finding:?}");
        assert!(!finding.message.contains("hidden"), "{finding:?}");
    }
}

#[tokio::test]
async fn a_waldur_without_register_queue_is_named() {
    let peer = Peer::plain(|_| (405, "{}".to_owned()));
    assert!(has_queues(&Client::default(), &at(&peer, "http")).await.is_good());
    peer.answer(|_| (404, "{}".to_owned()));
    let finding = has_queues(&Client::default(), &at(&peer, "http")).await;
    assert_eq!(finding.reason, Reason::NotSupported);
    assert!(finding.message.contains("register_queue"), "{finding:?}");
    let line = peer.asked()[0].line.clone();
    assert!(line.ends_with("/register_queue/ HTTP/1.1"), "{line}");
}
