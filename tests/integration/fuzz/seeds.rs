//! The seeds of the fuzz targets: what a peer may send on a good or a bad day; the fuzzer makes the rest of it.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

const HOST: &str = "cache1.redis.cache.windows.net";

/// A seed: its target, its name there, and its bytes.
pub(super) type Seed = (&'static str, &'static str, Vec<u8>);

/// The ones that are the same each time.
pub(super) fn fixed() -> Vec<Seed> {
    let mut seeds = Vec::new();
    redis_reply(&mut seeds);
    web_request(&mut seeds);
    resolv_conf(&mut seeds);
    dns_message(&mut seeds);
    not_tls(&mut seeds);
    token_answer(&mut seeds);
    hosts_file(&mut seeds);
    socket_list(&mut seeds);
    client_list(&mut seeds);
    seeds
}

/// Lists of clients as Redis 6 and 7 print them, by both spellings of a private link, and hostile ones.
fn client_list(seeds: &mut Vec<Seed>) {
    let seven = "id=1 addr=127.0.0.1:51188 laddr=127.0.0.1:6380 fd=8 name= age=0 idle=0 flags=N db=0 cmd=client|list user=default redir=-1 resp=2 lib-name= lib-ver=\n\
        id=3 addr=[fd40:1481:21:dbe0:7021:300:a03:1a06]:55949 fd=9 name=web age=12 idle=3 flags=N db=0 cmd=get user=app resp=3 lib-name=redis-py lib-ver=5.0.1\n\
        id=4 addr=20.50.7.7:40000 fd=10 name=batch age=86400 idle=0 flags=P db=0 cmd=subscribe user=app resp=2\n";
    let six = "id=3 addr=fd40:1481:21:dbe0:7021:300:a03:1a06:44426 fd=8 name= age=3 idle=0 flags=N db=0 cmd=get\n\
        id=4 addr=10.0.0.9:6380 fd=9 name= age=3 idle=1 flags=S db=0 cmd=replconf\n";
    let hostile = "id=x addr=[::1:5 name=a=b addr=20.1.1.1:1\n\nid=5 addr=?:0\n addr=/run/redis.sock:0 flags=U\n\
        addr=[fe80::1%eth0]:1 name=\u{202e}x user=\u{7}\nid=6";
    let events = r#"[{"ClientIp": "10.3.26.6", "PrivateLinkIPv6": "fd40::a03:1a06", "EventType": "new_conn", "TimeGenerated": "2026-11-18T09:00:00Z"}]"#;
    let polled = r#"[{"ip": "[::ffff:20.50.7.7]:4", "privateLinkIpv6": null, "count": "3"}, {"ip": "?", "count": 2}]"#;
    for (name, text) in [("events", events), ("polled", polled)] {
        seeds.push(("client_log", name, text.as_bytes().to_vec()));
    }
    for (name, piece, text) in [("redis_7", 0, seven), ("redis_6", 7, six), ("hostile", 1, hostile)] {
        seeds.push(("client_list", name, [&[piece], text.as_bytes()].concat()));
    }
}

/// A zero in front: netlink datagrams, each after its length; else `/proc/net/tcp`.
fn socket_list(seeds: &mut Vec<Seed>) {
    let message = |kind: u16, payload: &[u8]| {
        let length = u32::try_from(16 + payload.len()).expect("a short message");
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes
    };
    let mut socket = vec![0; 72]; // struct inet_diag_msg: family, state, two zeros, ports, addresses
    socket[..2].copy_from_slice(&[2, 1]);
    socket[4..8].copy_from_slice(&[0xC0, 0x01, 0x18, 0xEC]);
    socket[8..12].copy_from_slice(&[10, 60, 0, 4]);
    socket[24..28].copy_from_slice(&[10, 60, 4, 5]);
    let mut info = vec![0; 108]; // struct tcp_info as an attribute: length, kind, value
    info[..4].copy_from_slice(&[108, 0, 2, 0]);
    let datagram = [message(20, &[socket, info].concat()), message(3, &[0; 4])].concat();
    let error = message(2, &(-13_i32).to_ne_bytes());
    for (name, datagram) in [("netlink", datagram), ("netlink_error", error)] {
        let length = u16::try_from(datagram.len()).expect("a short datagram").to_be_bytes();
        seeds.push(("socket_list", name, [&[0], length.as_slice(), &datagram].concat()));
    }
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 04003C0A:C001 05043C0A:18EC 01 00000000:00000000 00:00000000 00000000  1000        0 1\n   \
        1: 0000000000000000FFFF00000400003C:C002 0000000000000000FFFF00000A3C0405:3A98 06 0:0 00:0 3 0 0 2\n";
    seeds.push(("socket_list", "proc", table.as_bytes().to_vec()));
}

/// Certificates, which have new keys each time, and the authority that the targets trust.
pub(super) fn certified() -> (Vec<Seed>, String) {
    let mut seeds = Vec::new();
    let authority = certificates(&mut seeds);
    (seeds, authority)
}

/// A blank in front: an endpoint that was sent no secret (`(`), or the first of them; `!` is `az` that ends well,
/// `#` one that fails.
fn token_answer(seeds: &mut Vec<Seed>) {
    let token = "e30.eyJvaWQiOiIxMTExMTExMS0yMjIyIiwiZXhwIjoxOTAwMDAwMDAwLCJpYXQiOjE3OTUwMDAwMDB9.c2ln";
    let http = |choice: u8, status: &str, body: &str| {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        [&[choice], answer.as_bytes()].concat()
    };
    let az = |choice: u8, stdout: &str, stderr: &str| {
        let mut bytes = vec![choice];
        bytes.extend(u16::try_from(stdout.len()).expect("a short text").to_be_bytes());
        bytes.extend(stdout.as_bytes());
        bytes.extend(u16::try_from(stderr.len()).expect("a short text").to_be_bytes());
        bytes.extend(stderr.as_bytes());
        bytes
    };
    let granted =
        format!(r#"{{"access_token":"{token}","expires_in":"3600","expires_on":"1900000000","token_type":"Bearer"}}"#);
    let printed = format!(
        r#"{{"accessToken":"{token}","expiresOn":"2030-03-17 17:46:40.000000","expires_on":1900000000,"tokenType":"Bearer"}}"#
    );
    let refused = r#"{"error":"unauthorized_client","error_description":"AADSTS700016: you sent eyJ-canary.eyJ-assertion.sig. Trace ID: 5"}"#;
    for (name, bytes) in [
        ("granted", http(b'(', "200 OK", &granted)),
        ("refused", http(b' ', "400 Bad Request", refused)),
        ("moved", http(b' ', "302 Found", "")),
        ("no-json", http(b' ', "200 OK", "<html>")),
        (
            "chunked",
            b" HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n12\r\n{\"access_token\":1}\r\n0\r\n\r\n".to_vec(),
        ),
        ("az", az(b'!', &printed, "")),
        ("az-login", az(b'#', "", "ERROR: Please run 'az login' to setup account.\n")),
        ("az-nothing", az(b'\'', "", "")),
    ] {
        seeds.push(("token_answer", name, bytes));
    }
}

fn hosts_file(seeds: &mut Vec<Seed>) {
    for (name, text) in [
        ("usual", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"),
        (
            "pinned",
            "# 10.0.0.1 cache1.redis.cache.windows.net\n20.50.1.10\tother Cache1.Redis.Cache.Windows.Net. # pinned\r\n",
        ),
        ("both", "fd00::5 cache1.redis.cache.windows.net\n10.60.4.5 cache1.redis.cache.windows.net cache1\n"),
    ] {
        seeds.push(("hosts_file", name, text.as_bytes().to_vec()));
    }
}

/// Each letter in front is the choice of what is asked: `@` nobody's PING, twice; `D` with a password.
fn redis_reply(seeds: &mut Vec<Seed>) {
    let shards = b"*2\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:8191\r\n$5\r\nnodes\r\n*1\r\n*14\r\n$2\r\nid\r\n$4\r\nnode\r\n$4\r\nport\r\n:6379\r\n$8\r\ntls-port\r\n:15000\r\n$2\r\nip\r\n$9\r\n10.60.4.5\r\n$8\r\nendpoint\r\n$9\r\n10.60.4.5\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*4\r\n$5\r\nslots\r\n*2\r\n:8192\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*8\r\n$8\r\ntls-port\r\n:15001\r\n$8\r\nendpoint\r\n$14\r\nhunter2-canary\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$6\r\nhealth\r\n$7\r\nloading\r\n";
    let slots = b"*2\r\n*4\r\n:0\r\n:8191\r\n*3\r\n$9\r\n10.60.4.5\r\n:15000\r\n$4\r\nnode\r\n*2\r\n$-1\r\n:15001\r\n*3\r\n:8192\r\n:16383\r\n*2\r\n$21\r\nnode1.internal.example\r\n:15002\r\n";
    let map = b"*1\r\n%2\r\n+slots\r\n*2\r\n:0\r\n:16383\r\n+nodes\r\n*1\r\n%3\r\n+endpoint\r\n_\r\n+port\r\n:6380\r\n+role\r\n=10\r\ntxt:master\r\n";
    let turns = |choice: u8, turns: &[&[u8]]| {
        let mut bytes = vec![choice, 0x1e];
        bytes.extend(turns.join(&0x1e));
        bytes
    };
    for (name, bytes) in [
        ("noauth", turns(b'@', &[b"-NOAUTH Authentication required.\r\n", b"-NOAUTH Authentication required.\r\n"])),
        ("pong-and-shards", turns(b'\x08', &[b"+PONG\r\n", shards, b"+OK\r\n"])),
        ("pong-and-slots", turns(b'\x20', &[b"+PONG\r\n", b"-ERR unknown command 'CLUSTER'\r\n", slots])),
        ("resp3", turns(0, &[b">2\r\n+x\r\n+y\r\n+PONG\r\n", map])),
        (
            "server-info",
            turns(
                b'\x0c',
                &[
                    b"+OK\r\n",
                    b"+PONG\r\n",
                    b"-ERR This instance has cluster support disabled\r\n",
                    b"$31\r\nid=3 addr=10.3.26.6:44426 fd=8 \r\n",
                    b"$62\r\n# Server\r\nredis_version:7.4.2\r\nrlec_version:7.22.0-95\r\nrun_id:\r\n",
                ],
            ),
        ),
        ("no-cluster", turns(0, &[b"+PONG\r\n", b"-ERR This instance has cluster support disabled\r\n"])),
        ("not-permitted", turns(0, &[b"+PONG\r\n", b"-NOPERM this user has no permissions\r\n", slots])),
        ("auth", turns(b'\x0c', &[b"+OK\r\n", b"+PONG\r\n", shards])),
        ("auth-rejected", turns(b'D', &[b"-WRONGPASS invalid username-password pair\r\n"])),
        (
            "auth-repeated",
            turns(b'T', &[b"-ERR unknown command 'AUTH', with args beginning with: 'app' 'hunter2-canary'\r\n"]),
        ),
        ("secret-as-code", turns(b'E', &[b"-OPEN SESAM\r\n"])),
        ("secret-as-number", turns(b'F', &[b"$4\r\nq8Zt\r\n"])),
        ("secret-with-breaks", turns(b'G', &[b"$19\r\nxu*1\r\nve{Ty\"kw\x07\r\n"])),
        ("unasked", [b"@".as_slice(), b"+PONG\r\n\x1e-ERR max number of clients reached\r\n"].concat()),
        ("http", turns(b'@', &[b"HTTP/1.1 400 Bad Request\r\n\r\n"])),
        ("tls-alert", turns(b'@', &[b"\x15\x03\x03\x00\x02\x02\x16"])),
        ("deep", turns(b'@', &[&b"*1\r\n".repeat(200)])),
        ("endless", turns(b'@', &[b"$2000000000\r\nx"])),
    ] {
        seeds.push(("redis_reply", name, bytes.to_vec()));
    }
}

/// The letter in front is the choice of the agent: `@` open, `A` with users, `D` starting, `P` a few bytes at a time.
fn web_request(seeds: &mut Vec<Seed>) {
    let basic = "Authorization: Basic YW5uYTpjb3JyZWN0IGhvcnNl\r\n";
    let wrong = "Authorization: Basic YW5uYTp3cm9uZw==\r\n";
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    for (name, text) in [
        ("page", format!("@{}", get("/", "Accept-Encoding: gzip;q=0.5, *;q=0\r\n"))),
        ("page-of-one", format!("@{}", get("/?target=sessions-canary&refresh=off", ""))),
        ("metrics", format!("@{}", get("/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.3\r\nAccept-Encoding: gzip\r\n"))),
        ("probe", format!("@{}{}", get("/probe?target=sessions-canary", ""), get("/probe?target=%1b%3Cb%3E", ""))),
        ("probe-busy", format!("@{}{}", get("/probe?target=busy", ""), get("/probe?target=a&target=b", ""))),
        ("records", format!("@{}{}", get("/api/v1/records", ""), get("/api/v1/records?target=%e2%80%ae", ""))),
        ("codes", format!("@{}{}{}", get("/codes", ""), get("/codes/private_zone_not_seen", ""), get("/codes/%ff", ""))),
        ("health", format!("D{}{}", get("/-/healthy", ""), get("/-/ready", ""))),
        ("reload", "@POST /-/reload HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET /-/reload HTTP/1.1\r\n\r\n".to_owned()),
        ("head", "@HEAD / HTTP/1.1\r\n\r\nHEAD /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\nOPTIONS * HTTP/1.1\r\n\r\n".to_owned()),
        ("chunked", "@POST /-/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()),
        ("long-body", format!("@POST /-/reload HTTP/1.1\r\nContent-Length: 9000\r\n\r\n{}", "x".repeat(200))),
        ("forms-of-target", "@GET http://b/-/healthy?x HTTP/1.1\r\n\r\nCONNECT a:1 HTTP/1.1\r\n\r\n".to_owned()),
        ("nobody", format!("A{}{}{}", get("/", ""), get("/-/healthy", ""), get("/metrics", wrong))),
        ("anna", format!("A{}{}", get("/", basic), get("/api/v1/records", basic))),
        ("in-pieces", format!("P{}{}", get("/-/ready", ""), get("/codes", "Accept-Encoding: x-gzip\r\n"))),
        ("byte-by-byte", format!("I{}{}", get("/-/ready", ""), get("/nothing", basic))),
        ("not-http", "@\u{16}\u{3}\u{1}\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("upgrade", format!("@{}", get("/", "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"))),
    ] {
        seeds.push(("web_request", name, text.as_bytes().to_vec()));
    }
}

fn resolv_conf(seeds: &mut Vec<Seed>) {
    for (name, text) in [
        ("azure", "nameserver 168.63.129.16\nsearch abc.internal.cloudapp.net\n"),
        (
            "kubernetes",
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.0.0.10\noptions ndots:5\n",
        ),
        (
            "everything",
            "# a comment\n; another\ndomain corp.example\nnameserver fe80::1%1\nnameserver 10.0.0.2\nnameserver ::1\nnameserver 10.0.0.4\nsortlist 10.0.0.0/255.0.0.0\noptions ndots:15 timeout:3 attempts:2 rotate use-vc no-aaaa edns0 trust-ad\n",
        ),
        ("nonsense", "nameserver\nnameserver a.b\noptions ndots:x\nsearch\nlookup file bind\n"),
    ] {
        seeds.push(("resolv_conf", name, text.as_bytes().to_vec()));
    }
    let file = b"nameserver 10.0.0.1\nsearch x\n".as_slice();
    let environment = joined([b"corp.example other.example".as_slice(), b"ndots:4 use-vc", file]);
    seeds.push(("resolv_conf", "environment", [&[0], environment.as_slice()].concat().to_vec()));
}

/// Parts of `fuzz_targets/dns_message.rs`: which question is answered, flags, counts, records.
fn dns_message(seeds: &mut Vec<Seed>) {
    const QUESTION: &[u8] = &[0xc0, 0x0c];
    let record = |name: &[u8], record_type: u16, ttl: u32, data: &[u8]| {
        let mut bytes = name.to_vec();
        bytes.extend(record_type.to_be_bytes());
        bytes.extend(1_u16.to_be_bytes());
        bytes.extend(ttl.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
        bytes.extend(data);
        bytes
    };
    let name = |text: &str| {
        let mut bytes = Vec::new();
        for label in text.split('.').filter(|label| !label.is_empty()) {
            bytes.push(u8::try_from(label.len()).expect("a short label"));
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        bytes
    };
    let answer = |question: u8, flags: [u8; 2], records: &[Vec<u8>]| {
        let mut bytes = vec![question];
        bytes.extend(flags);
        bytes.extend(u16::try_from(records.len()).expect("few records").to_be_bytes());
        bytes.extend([0; 4]);
        records.iter().for_each(|record| bytes.extend(record));
        bytes
    };
    const OK: [u8; 2] = [0x81, 0x80];
    let link = "cache1.privatelink.redis.cache.windows.net";
    let azure = "cache1-we.westeurope.cloudapp.azure.com";
    let private = answer(1, OK, &[record(QUESTION, 5, 60, &name(link)), record(&name(link), 1, 10, &[10, 60, 4, 5])]);
    let public = answer(
        1,
        OK,
        &[
            record(QUESTION, 5, 60, &name(link)),
            record(&name(link), 5, 60, &name(azure)),
            record(&name(azure), 1, 10, &[20, 50, 1, 10]),
        ],
    );
    let ipv6 = answer(2, OK, &[record(QUESTION, 28, 60, &[0xfd; 16])]);
    let none = answer(2, OK, &[]);
    let refused = answer(1, [0x81, 0x85], &[]);
    let no_name = |question| answer(question, [0x81, 0x83], &[]);
    let failed = |question| answer(question, [0x81, 0x82], &[]);
    let looping = answer(1, OK, &[record(QUESTION, 5, 60, &name("a.b")), record(&name("a.b"), 5, 60, QUESTION)]);
    let hostile =
        answer(1, OK, &[record(QUESTION, 5, 60, b"\x0a\x1b[2J$(a) <b\x03\"';\x00"), record(&name("x"), 1, 0, &[0; 4])]);
    let truncated = answer(1, [0x83, 0x80], &[]);
    let many: Vec<Vec<u8>> =
        (0..70).map(|at| record(QUESTION, 1, at, &[10, 0, 0, u8::try_from(at).expect("few")])).collect();
    let stray = vec![0, 0x12, 0, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    for (name, choice, messages) in [
        ("private", 0, vec![private.clone(), none.clone()]),
        ("public", 0, vec![public, none.clone()]),
        ("both-families", 0, vec![ipv6, private.clone()]),
        ("refused", 0, vec![refused, failed(2)]),
        ("missing", 2, vec![no_name(1), no_name(2), no_name(1), no_name(2)]),
        ("searched", 0b1_1011, vec![no_name(1), no_name(2), failed(1), failed(2), private.clone(), none.clone()]),
        ("looping", 0, vec![looping, none.clone()]),
        ("hostile", 0, vec![hostile, none.clone()]),
        ("truncated", 0, vec![truncated, none.clone(), private.clone()]),
        ("many", 32, vec![answer(1, OK, &many), none.clone()]),
        ("stray", 0, vec![stray, vec![0], private, none]),
    ] {
        let parts = joined(messages.iter().map(Vec::as_slice));
        seeds.push(("dns_message", name, [&[choice], parts.as_slice()].concat().to_vec()));
    }
}

fn certificates(seeds: &mut Vec<Seed>) -> String {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "redpath fuzz authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2080, 1, 1);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");

    let leaf = |names: &[&str], from: i32, to: i32| {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
        params.distinguished_name.push(DnType::OrganizationName, "Änderung \"x\"");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        params
    };
    let key_pair = key();
    let good = leaf(&[HOST, "10.60.4.5"], 2020, 2080).signed_by(&key_pair, &authority).expect("a certificate");
    let expired = leaf(&[HOST], 2019, 2020).signed_by(&key(), &authority).expect("a certificate");
    let other =
        leaf(&["other.example.net", "*.example.net"], 2020, 2080).signed_by(&key(), &authority).expect("a certificate");
    let own = leaf(&[HOST], 2020, 2080).self_signed(&key()).expect("a certificate");
    let mut odd = leaf(&[], 1950, 4000);
    odd.subject_alt_names = vec![
        SanType::URI("spiffe://a/b".try_into().expect("a URI")),
        SanType::Rfc822Name("a@example.net".try_into().expect("a mailbox")),
        SanType::IpAddress([0xfd; 16].into()),
    ];
    odd.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], vec![4, 1, 0]));
    let odd = odd.self_signed(&key()).expect("a certificate");
    let many: Vec<String> = (0..110).map(|at| format!("n{at}.example.net")).collect();
    let many = leaf(&many.iter().map(String::as_str).collect::<Vec<_>>(), 2020, 2080)
        .self_signed(&key())
        .expect("a certificate");
    let chain =
        |choice: u8, certificates: &[&[u8]]| [&[choice], joined(certificates.iter().copied()).as_slice()].concat();
    for (name, bytes) in [
        ("good", chain(0, &[good.der(), authority.der()])),
        ("expired", chain(0, &[expired.der()])),
        ("not-yet", chain(1, &[good.der()])),
        ("other-name", chain(4, &[good.der()])),
        ("other", chain(0, &[other.der(), own.der()])),
        ("odd", chain(0, &[odd.der()])),
        ("none", chain(0, &[b"0"])),
        ("many-names", chain(0, &[many.der()])),
        ("many", chain(0, &[&[good.der().as_ref()][..], &[b"0".as_slice(); 15]].concat())),
    ] {
        seeds.push(("certificate", name, bytes.to_vec()));
    }

    let der = CertificateDer::from(good.der().to_vec());
    for (name, version, shown) in [
        ("tls12", &rustls::version::TLS12, vec![der.clone()]),
        ("tls12-chain", &rustls::version::TLS12, vec![der.clone(), CertificateDer::from(authority.der().to_vec())]),
        ("tls13", &rustls::version::TLS13, vec![der]),
    ] {
        seeds.push(("tls_handshake", name, flight(version, shown, &key_pair).to_vec()));
    }
    authority.pem()
}

/// What comes in place of a server's flight.
fn not_tls(seeds: &mut Vec<Seed>) {
    for (name, bytes) in [
        ("alert", b"\x15\x03\x03\x00\x02\x02\x28".as_slice()),
        ("alert-of-version", b"\x15\x03\x01\x00\x02\x02\x46"),
        ("redis", b"-NOAUTH Authentication required.\r\n"),
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("tls10", b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x00\x00\x2f\x00"),
    ] {
        seeds.push(("tls_handshake", name, bytes.to_vec()));
    }
}

/// What a server says first.
fn flight(
    version: &'static rustls::SupportedProtocolVersion,
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a certificate that fits its key");
    let name = ServerName::try_from(HOST).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    let (mut hello, mut flight) = (Vec::new(), Vec::new());
    client.write_tls(&mut hello).expect("in memory");
    server.read_tls(&mut hello.as_slice()).expect("in memory");
    server.process_new_packets().expect("a good hello");
    while server.wants_write() {
        server.write_tls(&mut flight).expect("in memory");
    }
    flight
}

/// Parts, each behind its length, as `fuzz/src/parts.rs` reads them.
fn joined<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(u16::try_from(part.len()).expect("a part of less than 64 KiB").to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
