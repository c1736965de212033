//! A web server that answers as it is told and remembers what it was asked: Waldur, an OIDC provider, a broker's page,
//! a proxy.
#![allow(dead_code, reason = "each test file uses its share")]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{ServerConnection, StreamOwned};

use crate::tls::self_signed;

/// A request: its first line, and its header `Authorization`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

type Rule = Box<dyn Fn(&Asked) -> (u16, String) + Send>;

struct State {
    rule: Rule,
    asked: Vec<Asked>,
}

/// A server that runs until the test ends.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The certificate, as PEM.
    pub(crate) certificate: String,
    state: Arc<Mutex<State>>,
}

/// What Waldur says to whom it knows.
pub(crate) fn me() -> (u16, String) {
    (200, r#"{"uuid":"0c1d6e2a00004000800000000000001f"}"#.to_owned())
}

impl Peer {
    /// A server over TLS with a certificate of its own for 127.0.0.1.
    pub(crate) fn secure(rule: impl Fn(&Asked) -> (u16, String) + Send + 'static) -> Self {
        Self::start(TcpListener::bind("127.0.0.1:0").expect("a free port"), true, rule)
    }

    /// A server without TLS.
    pub(crate) fn plain(rule: impl Fn(&Asked) -> (u16, String) + Send + 'static) -> Self {
        Self::start(
            TcpListener::bind("127.0.0.1:0").expect("a free port"),
            false,
            rule,
        )
    }

    /// A server that listens there.
    pub(crate) fn start(
        listener: TcpListener,
        tls: bool,
        rule: impl Fn(&Asked) -> (u16, String) + Send + 'static,
    ) -> Self {
        let (config, certificate) = self_signed();
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            rule: Box::new(rule),
            asked: Vec::new(),
        }));
        let answering = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up in between is no matter.
                let _ = if tls {
                    let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                    serve(&answering, StreamOwned::new(connection, stream))
                } else {
                    serve(&answering, stream)
                };
            }
        });
        Self {
            address,
            certificate,
            state,
        }
    }

    /// Answers otherwise from now on.
    pub(crate) fn answer(&self, rule: impl Fn(&Asked) -> (u16, String) + Send + 'static) {
        self.locked().rule = Box::new(rule);
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.locked().asked.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(state: &Mutex<State>, stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let asked = read(&mut stream)?;
    let (status, body) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(asked.clone());
        (state.rule)(&asked)
    };
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}

fn read(stream: &mut impl BufRead) -> io::Result<Asked> {
    let (mut asked, mut length) = (Asked::default(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? <= 2 {
            break;
        }
        let line = line.trim_end();
        match line.split_once(": ") {
            _ if asked.line.is_empty() => line.clone_into(&mut asked.line),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.clone_into(&mut asked.authorization);
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Ok(asked)
}

/// A proxy that tunnels: answers the handshake that `greet` speaks, then passes everything on to `target`. Counts
/// tunnels by what was asked of it.
pub(crate) fn tunnel(
    target: SocketAddr,
    greet: impl Fn(&mut TcpStream) -> io::Result<String> + Send + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let Ok(greeting) = greet(&mut client) else {
                continue;
            };
            noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(greeting);
            let mut server = TcpStream::connect(target).expect("the target listens");
            let (mut from, mut to) = (
                client.try_clone().expect("cloned"),
                server.try_clone().expect("cloned"),
            );
            std::thread::spawn(move || io::copy(&mut from, &mut to));
            let _ = io::copy(&mut server, &mut client);
        }
    });
    (address, asked)
}

/// An HTTP proxy's handshake.
pub(crate) fn connect(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A SOCKS 5 proxy's handshake without credentials (RFC 1928), for addresses of version 4.
pub(crate) fn socks(client: &mut TcpStream) -> io::Result<String> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting)?;
    client.read_exact(&mut vec![0; usize::from(greeting[1])])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 10];
    client.read_exact(&mut request)?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    Ok(format!("SOCKS {request:?}"))
}
