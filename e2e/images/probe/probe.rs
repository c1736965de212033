//! A server and a client in one, for tests of the cluster's network: built by rustc alone.
//! usage: probe serve PORT | probe ask HOST:PORT

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", port] => {
            for client in TcpListener::bind(format!("0.0.0.0:{port}"))?.incoming() {
                client?.write_all(b"hello\n")?;
            }
            Ok(())
        }
        ["ask", address] => {
            let mut answer = String::new();
            TcpStream::connect(address)?.read_to_string(&mut answer)?;
            print!("{answer}");
            Ok(())
        }
        _ => panic!("usage: probe serve PORT | probe ask HOST:PORT"),
    }
}
