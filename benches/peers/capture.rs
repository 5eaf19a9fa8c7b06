//! What the wire says of probes, by a capture on the client's side: when each phase's first byte left and when the
//! last byte that it waited for came, as the kernel stamped the packets.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use hickory_proto::op::Message;
use pcap_parser::PcapCapture;

use super::line::{CLIENT, NEAR};
use super::world::PORT;

/// A running capture.
pub(crate) struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

/// What the wire saw of one probe, in seconds; `None` where there was no such phase.
#[derive(Debug, Default)]
pub(crate) struct OnWire {
    /// Each socket that asked name servers: whether it spoke EDNS, and the time from the first question to the
    /// last answer.
    pub(crate) questions: Vec<(bool, f64)>,
    /// The same of all of them together.
    pub(crate) asked: Option<f64>,
    /// SYN out, SYN-ACK in.
    pub(crate) connect: Option<f64>,
    /// ClientHello out, the client's Finished out.
    pub(crate) tls: Option<f64>,
    /// `AUTH` out, `+OK` in.
    pub(crate) auth: Option<f64>,
    /// `PING` out, `+PONG` in.
    pub(crate) ping: Option<f64>,
    /// The first question out, the `+OK` to `AUTH` in.
    pub(crate) until_authenticated: Option<f64>,
}

impl OnWire {
    /// The C library's questions: without EDNS, unlike those of redpath's own views.
    pub(crate) fn asked_by_libc(&self) -> Option<f64> {
        self.questions.iter().find(|(edns, _)| !edns).map(|(_, took)| *took)
    }
}

impl Capture {
    /// Begins to capture, at the client.
    pub(crate) fn start(file: PathBuf) -> Self {
        // Without --immediate-mode it is given packets in blocks, and does not run while a probe does.
        let mut tcpdump = Command::new("tcpdump")
            .args(["-i", NEAR, "-Z", "root", "--time-stamp-precision=nano", "-w"])
            .arg(&file)
            .arg(format!("udp port 53 or tcp port {PORT}"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcpdump: apt-get install tcpdump");
        let said = BufReader::new(tcpdump.stderr.take().expect("a pipe"));
        let listens = said.lines().map_while(Result::ok).any(|line| line.contains("listening on"));
        assert!(listens, "tcpdump does not listen");
        Self { tcpdump, file }
    }

    /// Ends it, and says what was seen of each probe: one for each TCP connection to Redis, in order.
    pub(crate) fn finish(mut self) -> Vec<OnWire> {
        thread::sleep(Duration::from_millis(1500)); // libpcap hands on what it has once a second
        let _ = Command::new("kill").arg(self.tcpdump.id().to_string()).status();
        let _ = self.tcpdump.wait();
        let bytes = fs::read(&self.file).expect("the capture");
        let mut probes = Probes::default();
        let capture = PcapCapture::from_file(&bytes).expect("a capture that can be read");
        assert!(capture.header.is_nanosecond_precision(), "the capture has no nanoseconds");
        let begun = capture.blocks.first().map_or(0, |block| block.ts_sec);
        for block in &capture.blocks {
            let at = f64::from(block.ts_sec - begun) + f64::from(block.ts_usec) / 1e9;
            probes.take(at, block.data);
        }
        probes.connections.iter().map(Connection::on_wire).collect()
    }
}

#[derive(Default)]
struct Probes {
    /// Sockets that asked name servers and have no connection after them yet.
    asking: Vec<Asking>,
    connections: Vec<Connection>,
    /// The connection that a local port belongs to now.
    ports: HashMap<u16, usize>,
}

/// A socket that asks name servers.
struct Asking {
    port: u16,
    edns: bool,
    first_question: f64,
    last_answer: f64,
}

#[derive(Default)]
struct Connection {
    asked: Vec<Asking>,
    syn: f64,
    syn_ack: Option<f64>,
    sent: Records,
    received: Records,
}

impl Probes {
    fn take(&mut self, at: f64, packet: &[u8]) {
        let Ok(packet) = SlicedPacket::from_ip(packet) else { return };
        let Some(NetSlice::Ipv4(ip)) = &packet.net else { return };
        let outgoing = ip.header().source_addr() == CLIENT && IpAddr::from(ip.header().destination_addr()) != CLIENT;
        match &packet.transport {
            Some(TransportSlice::Udp(udp)) if outgoing => {
                let port = udp.source_port();
                if !self.asking.iter().any(|asking| asking.port == port) {
                    let edns = Message::from_vec(udp.payload()).is_ok_and(|message| message.edns.is_some());
                    self.asking.push(Asking { port, edns, first_question: at, last_answer: at });
                }
            }
            Some(TransportSlice::Udp(udp)) => {
                let latest = self.connections.last_mut().map(|connection| &mut connection.asked);
                let known = self.asking.iter_mut().chain(latest.into_iter().flatten());
                if let Some(asking) = known.into_iter().find(|asking| asking.port == udp.destination_port()) {
                    asking.last_answer = at;
                }
            }
            Some(TransportSlice::Tcp(tcp)) if outgoing && tcp.syn() => {
                let again = self.ports.get(&tcp.source_port()).and_then(|at| self.connections.get(*at));
                if again.is_none_or(|connection| connection.syn_ack.is_some()) {
                    self.ports.insert(tcp.source_port(), self.connections.len());
                    let asked = std::mem::take(&mut self.asking);
                    self.connections.push(Connection { asked, syn: at, ..Connection::default() });
                }
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let port = if outgoing { tcp.source_port() } else { tcp.destination_port() };
                let Some(connection) = self.ports.get(&port).and_then(|at| self.connections.get_mut(*at)) else {
                    return;
                };
                if tcp.syn() {
                    connection.syn_ack.get_or_insert(at);
                } else {
                    let records = if outgoing { &mut connection.sent } else { &mut connection.received };
                    records.take(at, tcp.sequence_number(), tcp.payload());
                }
            }
            _ => {}
        }
    }
}

const HANDSHAKE: u8 = 22;
/// Everything encrypted of TLS 1.3, the client's Finished included (RFC 8446, 5.1).
const APPLICATION_DATA: u8 = 23;
/// What AES-GCM and ChaCha20 add to a record, with the byte of its inner type (RFC 8446, 5.2).
const ADDED: usize = 17;

impl Connection {
    fn on_wire(&self) -> OnWire {
        let hello = self.sent.all.iter().find(|record| record.kind == HANDSHAKE);
        let finished = self.sent.all.iter().find(|record| record.kind == APPLICATION_DATA);
        let auth = self.exchange(b"+OK\r\n");
        let first_question = self.asked.iter().map(|asking| asking.first_question).reduce(f64::min);
        let last_answer = self.asked.iter().map(|asking| asking.last_answer).reduce(f64::max);
        OnWire {
            questions: self.asked.iter().map(|asked| (asked.edns, asked.last_answer - asked.first_question)).collect(),
            asked: first_question.zip(last_answer).map(|(first, last)| last - first),
            connect: self.syn_ack.map(|syn_ack| syn_ack - self.syn),
            tls: hello.zip(finished).map(|(hello, finished)| finished.end - hello.begin),
            auth: auth.map(|(sent, received)| received - sent),
            ping: self.exchange(b"+PONG\r\n").map(|(sent, received)| received - sent),
            until_authenticated: first_question.zip(auth).map(|(asked, (_, received))| received - asked),
        }
    }

    /// When the first reply that is as long as this one came, and when the command before it was sent.
    fn exchange(&self, reply: &[u8]) -> Option<(f64, f64)> {
        let encrypted = |record: &&Record| record.kind == APPLICATION_DATA;
        let mut replies = self.received.all.iter().filter(encrypted);
        let reply = replies.find(|record| record.length == reply.len() + ADDED)?;
        let command = self.sent.all.iter().filter(encrypted).rfind(|record| record.begin < reply.end)?;
        Some((command.begin, reply.end))
    }
}

/// The TLS records of one direction.
#[derive(Default)]
struct Records {
    all: Vec<Record>,
    /// The sequence number of the next byte.
    next: Option<u32>,
    /// The beginning of a record whose end has not come.
    rest: Vec<u8>,
    begin: f64,
}

struct Record {
    kind: u8,
    length: usize,
    /// When the segment with its first byte passed.
    begin: f64,
    /// The same for its last byte.
    end: f64,
}

impl Records {
    fn take(&mut self, at: f64, sequence: u32, payload: &[u8]) {
        if payload.is_empty() || self.next.is_some_and(|next| next != sequence) {
            return; // an acknowledgement, or sent again
        }
        self.next = Some(sequence.wrapping_add(u32::try_from(payload.len()).unwrap_or_default()));
        if self.rest.is_empty() {
            self.begin = at;
        }
        self.rest.extend_from_slice(payload);
        // RFC 8446, 5.1: type, version, length.
        while let Some([kind, _, _, high, low]) = self.rest.first_chunk() {
            let (kind, length) = (*kind, usize::from(u16::from_be_bytes([*high, *low])));
            if self.rest.len() < 5 + length {
                break;
            }
            self.rest.drain(..5 + length);
            self.all.push(Record { kind, length, begin: self.begin, end: at });
            self.begin = at;
        }
    }
}
