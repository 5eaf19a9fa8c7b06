//! Rows of Azure's connection logs, as `az monitor log-analytics query` prints them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::az::client_log;
use redpath_fuzz::assert_sentence;

fuzz_target!(|bytes: &[u8]| match client_log::decode(bytes.to_vec()) {
    Ok(rows) => {
        assert!(rows.len() <= bytes.len() / 2, "{} rows", rows.len());
        for row in &rows {
            let addresses = row.address.iter().chain(&row.private_link);
            assert!(addresses.into_iter().all(|address| *address == address.to_canonical()), "{row:?}");
        }
    }
    Err(error) => assert_sentence(&error),
});
