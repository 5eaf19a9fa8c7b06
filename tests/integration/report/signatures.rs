//! A stranger verifies the signature and the time stamp with the printed lines alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::{report, shown, text, two_vantages};
use crate::support::agent::Directory;

fn run(directory: &Path, line: &str) {
    let output = Command::new("bash").args(["-euc", line]).current_dir(directory).output().expect("bash");
    assert!(output.status.success(), "{line}: {output:?}");
}

/// A time-stamp authority of this test: its certificate is `tsa.pem`. It answers one request by OpenSSL.
fn authority(directory: &Path) -> SocketAddr {
    let config = "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\ncrypto_device = builtin\nsigner_cert = tsa.pem\nsigner_key = tsa.key\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n";
    std::fs::write(directory.join("tsa.cnf"), config).expect("a file");
    run(
        directory,
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.pem -days 2 -subj /CN=tsa -addext extendedKeyUsage=critical,timeStamping -addext keyUsage=critical,digitalSignature 2>/dev/null",
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let directory = directory.to_owned();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).expect("a line") > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        std::fs::write(directory.join("query.tsq"), body).expect("a file");
        let reply = Command::new("openssl")
            .args(["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq"])
            .current_dir(&directory)
            .stderr(Stdio::inherit())
            .output()
            .expect("openssl");
        let reply = reply.stdout;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\n\r\n",
            reply.len()
        )
        .and_then(|()| stream.write_all(&reply))
        .expect("the reply is sent");
    });
    address
}

#[test]
fn report_is_verified_by_printed_lines_alone() {
    let directory = Directory::new("report-signed");
    let path = &directory.0;
    let files = two_vantages(path);
    let address = authority(path);
    let file = path.join("report.html");
    let url = format!("http://{address}");
    let output =
        report(&[text(&files[0]), text(&files[1]), "--output", "html", "--write", text(&file), "--timestamp", &url]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = shown(&output);
    let line = |begin: &str| {
        let line = printed.lines().map(str::trim).find(|line| line.starts_with(begin)).expect(begin);
        line.replace("~/.ssh/id_ed25519", "key").replace("NAME", "closer").replace("AUTHORITY.pem", "tsa.pem")
    };
    run(path, "ssh-keygen -q -t ed25519 -N '' -f key; printf 'closer %s\\n' \"$(cat key.pub)\" > allowed_signers");
    run(path, &line("ssh-keygen -Y sign"));
    let (verify, stamp) = (line("ssh-keygen -Y verify"), line("openssl ts -verify"));
    run(path, &verify);
    run(path, &stamp);

    let mut changed = std::fs::read_to_string(&file).expect("the report");
    changed = changed.replacen("10.60.4.5", "10.60.4.6", 1);
    std::fs::write(&file, changed).expect("the report");
    for line in [verify, stamp] {
        let output = Command::new("bash").args(["-euc", &line]).current_dir(path).output().expect("bash");
        assert!(!output.status.success(), "{line}: {output:?}");
    }
}
