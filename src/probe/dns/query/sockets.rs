//! The sockets of a query: UDP connected to one server, and a TCP connection for each message.

use std::io;
use std::net::SocketAddr;

use hickory_proto::op::Message;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::QueryError;

/// A socket that receives from `server` alone.
pub(super) fn udp_socket(server: SocketAddr) -> Result<std::net::UdpSocket, QueryError> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)
        .map_err(|error| QueryError::no_socket(&error.into()))?;
    // It also gives the socket its port (ip(7)).
    rustix::net::connect(&socket, &server).map_err(|error| QueryError::unreachable(&error.into()))?;
    Ok(socket.into())
}

/// The messages over TCP, one per query; never returns where one fails, since UDP may still answer.
pub(super) async fn messages_over_tcp(server: SocketAddr, queries: &[(u16, Vec<u8>)]) -> Vec<Message> {
    let mut messages = Vec::new();
    for (id, wire) in queries {
        let message = exchange_over_tcp(server, wire).await.ok().and_then(|bytes| Message::from_vec(&bytes).ok());
        match message {
            Some(message) if message.metadata.id == *id => messages.push(message),
            Some(_) | None => return std::future::pending().await,
        }
    }
    messages
}

/// Sends one message and receives one over a connection of its own (RFC 7766).
pub(super) async fn exchange_over_tcp(server: SocketAddr, wire: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(wire.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(wire);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)]; // at most 64 KiB
    stream.read_exact(&mut message).await?;
    Ok(message)
}
