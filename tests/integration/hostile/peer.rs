//! A peer that is probed, and what has to be said of it.

use std::any::Any;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::support::background::Background;

/// The peer; it stops when it is dropped.
pub(super) struct Peer {
    /// What it does, for the name of its target.
    pub(super) name: &'static str,
    /// The causes that are right; several where the race is the kernel's.
    pub(super) causes: &'static [&'static str],
    /// The port of its Redis.
    pub(super) port: u16,
    /// The name server to ask; an honest one where there is none.
    pub(super) resolver: Option<SocketAddr>,
    _server: Box<dyn Any>,
}

impl Peer {
    /// A Redis port behind an honest name server.
    pub(super) fn at(name: &'static str, port: u16, server: impl Any, causes: &'static [&'static str]) -> Self {
        Self { name, causes, port, resolver: None, _server: Box::new(server) }
    }

    /// A name server; nothing listens at the Redis port.
    pub(super) fn resolver(
        name: &'static str,
        address: SocketAddr,
        server: impl Any,
        causes: &'static [&'static str],
    ) -> Self {
        Self { resolver: Some(address), ..Self::at(name, 1, server, causes) }
    }
}

/// A server that does with each connection what it is told; its port.
pub(super) fn tcp<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (u16, Background) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    let port = listener.local_addr().expect("an address").port();
    let background = Background::run("hostile", async move {
        let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        }
    });
    (port, background)
}
