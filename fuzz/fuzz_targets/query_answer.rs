//! The answers of a query API, and the list of expected vantages: each is read or refused with one sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redpath::evidence::expected::Expected;
use redpath::prometheus::answer;
use redpath_fuzz::assert_sentence;

fuzz_target!(|bytes: &[u8]| {
    match answer::read(bytes) {
        Ok(series) => {
            assert!(series.iter().flat_map(|series| &series.samples).all(|sample| sample.value.is_finite()));
        }
        Err(why) => assert_sentence(&why),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        match Expected::read(text) {
            Ok(list) => assert!(!list.vantages.is_empty() && list.vantages.iter().all(|entry| !entry.is_empty())),
            Err(why) => assert_sentence(&why),
        }
    }
});
