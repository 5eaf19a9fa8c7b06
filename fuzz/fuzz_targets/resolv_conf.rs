//! The system's resolver configuration and its environment variables: whom a name is asked of, and how.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::probe::fuzzing;
use redpath_fuzz::parts::parts;

fuzz_target!(|bytes: &[u8]| {
    // The environment first: most inputs are a file alone.
    let (variables, file) = match bytes.split_first() {
        Some((0, rest)) => {
            let parts = parts(rest, 3);
            let text = |at: usize| parts.get(at).map(|part| String::from_utf8_lossy(part).into_owned());
            ([text(0), text(1)], parts.get(2).copied().unwrap_or_default())
        }
        _ => ([None, None], bytes),
    };
    let read = |hostname| {
        fuzzing::resolv_conf(file, hostname, |name| match name {
            "LOCALDOMAIN" => variables[0].clone(),
            "RES_OPTIONS" => variables[1].clone(),
            _ => None,
        })
    };
    let conf = read(Some("node1.corp.example"));
    assert!(conf.servers.len() <= 3 && conf.search.len() <= 32 && conf.ndots <= 15, "{conf:?}");
    assert!(conf.servers.iter().all(|server| server.port() == 53));
    assert!(conf.search.iter().map(String::len).sum::<usize>() <= bytes.len() * 3 + 16, "{conf:?}");
    assert_eq!(conf, read(Some("node1.corp.example")), "the same file, the same resolver");
    if let Some(domains) = &variables[0] {
        let domains: Vec<&str> = domains.split_whitespace().take(32).collect();
        assert!(domains.is_empty() || conf.search == domains, "LOCALDOMAIN outranks the file: {conf:?}");
    }
    let _ = read(None);
});
