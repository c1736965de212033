//! Which TCP connections are in the middle of something, as the kernel's socket diagnosis tells.
//! HTTP clients keep idle connections open for minutes: an established connection alone is no work.

use std::{cmp::Ordering, collections::HashMap, io, time::Duration};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use crate::vigil::sockets::Sighting;

/// A connection on which something went either way within this time is in use, in milliseconds.
const FRESH: u32 = 1_000;
/// How long a connection counts as in use when it cannot be told whether its last data was a question or an answer,
/// in milliseconds: longer than a server takes to answer.
const UNDECIDED: u32 = 10_000;
/// More than the kernel puts into one answer.
const ANSWER: usize = 64 * 1024;

/// The established connections of this network namespace by inode, and whether each is in use: it waits for an answer
/// (data was sent after the last was received), holds data that nobody has taken, or was active a moment ago.
pub fn in_use() -> io::Result<HashMap<u64, bool>> {
    let mut found = HashMap::new();
    established(|response| {
        found.insert(u64::from(response.header.inode), is_in_use(response));
    })?;
    Ok(found)
}

/// The established connections of this network namespace, as far as the kernel tells when each last received data.
pub fn sightings() -> io::Result<Vec<Sighting>> {
    let mut found = Vec::new();
    established(|response| {
        found.extend(last_data(response).map(|last| Sighting {
            inode: u64::from(response.header.inode),
            port: response.header.socket_id.destination_port,
            silence: Duration::from_millis(u64::from(last.received)),
        }));
    })?;
    Ok(found)
}

fn established(mut each: impl FnMut(&InetResponse)) -> io::Result<()> {
    for family in [AF_INET, AF_INET6] {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&request(family), 0)?;
        receive(&socket, &mut each)?;
    }
    Ok(())
}

fn request(family: u8) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::ESTABLISHED,
        socket_id: if family == AF_INET {
            SocketId::new_v4()
        } else {
            SocketId::new_v6()
        },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn receive(socket: &Socket, each: &mut impl FnMut(&InetResponse)) -> io::Result<()> {
    let mut buffer = vec![0; ANSWER];
    loop {
        let size = socket.recv(&mut &mut buffer[..], 0)?;
        let mut rest = &buffer[..size];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    each(&response);
                }
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Done(_) => return Ok(()),
                _ => {}
            }
            // Messages are aligned to four bytes.
            let length = (message.header.length as usize).next_multiple_of(4).max(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn is_in_use(response: &InetResponse) -> bool {
    let queued = response.header.recv_queue > 0 || response.header.send_queue > 0;
    queued || last_data(response).is_none_or(LastData::is_waiting)
}

fn last_data(response: &InetResponse) -> Option<LastData> {
    response.nlas.iter().find_map(|nla| match nla {
        Nla::TcpInfo(info) => LastData::read(info),
        _ => None,
    })
}

/// When data last went either way, in milliseconds ago: the greater one is the earlier one.
#[derive(Clone, Copy)]
struct LastData {
    sent: u32,
    received: u32,
}

impl LastData {
    /// Reads the fields `tcpi_last_data_sent` and `tcpi_last_data_recv` of `struct tcp_info` (linux/tcp.h), which every
    /// kernel has at the same place; newer ones only add fields at the end.
    fn read(info: &[u8]) -> Option<Self> {
        let field = |at: usize| Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            sent: field(44)?,
            received: field(52)?,
        })
    }

    fn is_waiting(self) -> bool {
        match self.received.cmp(&self.sent) {
            Ordering::Greater => true,
            // Within one tick of the kernel's clock: an answer to the last request, or the next request after an answer.
            Ordering::Equal => self.sent < UNDECIDED,
            Ordering::Less => self.received < FRESH,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
        time::{Duration, Instant},
    };

    use super::*;

    fn inode(stream: &TcpStream) -> u64 {
        let link = fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd())).expect("a descriptor");
        let text = link.to_str().expect("text");
        text.trim_start_matches("socket:[")
            .trim_end_matches(']')
            .parse()
            .expect("an inode")
    }

    fn wait_until(what: &str, inode: u64, expected: bool) {
        let start = Instant::now();
        while in_use().expect("the kernel answers").get(&inode) != Some(&expected) {
            assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        }
    }

    #[test]
    fn who_spoke_last_decides() {
        for (sent, received, waiting, why) in [
            (5_000, 9_000, true, "asked 5 s ago, last heard before that"),
            (9_000, 5_000, false, "answered 5 s ago"),
            (1_200, 300, true, "something came a moment ago"),
            (5_000, 5_000, true, "cannot be told yet"),
            (20_000, 20_000, false, "cannot be told, but nobody takes so long"),
        ] {
            assert_eq!(LastData { sent, received }.is_waiting(), waiting, "{why}");
        }
    }

    #[test]
    fn a_connection_is_seen_with_its_port_and_how_long_nothing_came() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let mut client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (mut server, _) = listener.accept().expect("accept");
        let (inode, port) = (inode(&client), listener.local_addr().expect("address").port());
        let seen = || {
            let all = sightings().expect("the kernel answers");
            all.into_iter().find(|seen| seen.inode == inode).expect("is seen")
        };
        let start = Instant::now();
        while seen().silence < Duration::from_millis(500) {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", seen());
        }
        assert_eq!(seen().port, port);
        server.write_all(b"!").expect("sent");
        client.read_exact(&mut [0]).expect("received");
        assert!(seen().silence < Duration::from_millis(500), "{:?}", seen());
    }

    #[test]
    fn a_connection_that_waits_for_an_answer_is_in_use_and_one_that_has_it_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let mut client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (mut server, _) = listener.accept().expect("accept");
        let mut byte = [0];
        client.write_all(b"?").expect("asked");
        server.read_exact(&mut byte).expect("heard");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1_500) {
            assert_eq!(
                in_use().expect("the kernel answers").get(&inode(&client)),
                Some(&true),
                "no answer yet"
            );
        }
        server.write_all(b"!").expect("answered");
        client.read_exact(&mut byte).expect("received");
        wait_until(
            "the answer is there, the connection only kept",
            inode(&client),
            false,
        );
    }
}
