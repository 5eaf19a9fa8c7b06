//! A saved record, records line by line, or a report, read and diagnosed again, and every output of it: those
//! of the command line, and the agent's pages.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use redpath::record::saved;
use redpath_fuzz::{assert_sentence, http, outputs, world};

fuzz_target!(|bytes: &[u8]| {
    let saved = match saved::read(bytes) {
        Ok(saved) => saved,
        Err(error) => {
            let error = error.to_string();
            assert_sentence(&error);
            let says_where = ["line ", "byte ", "it is empty", "it holds no record"];
            assert!(says_where.iter().any(|place| error.contains(place)), "it does not say where: {error}");
            return;
        }
    };
    assert_eq!(saved.report.records.len(), saved.verdicts.len());
    outputs::hold(&saved.report, None);
    if let Some(record) = saved.report.records.first() {
        let paths = ["/", "/api/v1/records", "/metrics"];
        let requests = paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: 10.60.0.4\r\n\r\n")).concat();
        let agent = http::Agent { record: Some(Arc::new(record.clone())), ..http::Agent::default() };
        let answers = world::wait(agent.answers(requests.as_bytes()));
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200]);
        for answer in &answers {
            answer.assert_harmless();
        }
    }
});
