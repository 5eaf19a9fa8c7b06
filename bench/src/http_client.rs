//! An HTTP/1.1 client that keeps its connection open, as Prometheus does.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct HttpClient {
    server: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    gzip: bool,
}

impl HttpClient {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, stream: None, gzip: false }
    }

    /// A client that accepts gzip. It does not decompress.
    pub(crate) fn with_gzip(server: SocketAddr) -> Self {
        Self { gzip: true, ..Self::new(server) }
    }

    /// The body as text.
    pub(crate) fn get(&mut self, path: &str) -> String {
        String::from_utf8_lossy(&self.get_bytes(path)).into_owned()
    }

    /// The body as received; empty after three failures.
    pub(crate) fn get_bytes(&mut self, path: &str) -> Vec<u8> {
        for _ in 0..3 {
            match self.try_get(path) {
                Ok(body) => return body,
                Err(_) => self.stream = None, // closed by the server between two requests
            }
        }
        Vec::new()
    }

    fn try_get(&mut self, path: &str) -> Result<Vec<u8>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.server)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                BufReader::new(stream)
            }
        };
        let gzip = if self.gzip { "accept-encoding: gzip\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{gzip}\r\n", self.server);
        stream.get_mut().write_all(request.as_bytes())?;
        let body = read_body(&mut stream)?;
        self.stream = Some(stream);
        Ok(body)
    }
}

fn read_body(stream: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let (mut length, mut chunked) = (0, false);
    loop {
        let line = read_line(stream)?.to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap_or_default(),
            Some(("transfer-encoding", _)) => chunked = true,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = Vec::new();
    if !chunked {
        stream.take(length).read_to_end(&mut body)?;
        return Ok(body);
    }
    loop {
        let size = u64::from_str_radix(&read_line(stream)?, 16).map_err(Error::other)?;
        stream.take(size).read_to_end(&mut body)?;
        read_line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
