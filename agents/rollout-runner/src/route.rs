//! Connections by name. Names are resolved here: in an image of the user's, where this static program may run, libc
//! would reach for that image's own modules.

use std::io;

use hickory_resolver::TokioResolver;
use tokio::net::TcpStream;

/// Connects to the first address that answers.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return TcpStream::connect((host, port)).await;
    }
    let resolver = TokioResolver::builder_tokio()
        .and_then(hickory_resolver::ResolverBuilder::build)
        .map_err(io::Error::other)?;
    let found = resolver.lookup_ip(host).await.map_err(|error| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("name {host} cannot be resolved: {error}"),
        )
    })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("name {host} has no address"));
    for address in found.iter() {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
