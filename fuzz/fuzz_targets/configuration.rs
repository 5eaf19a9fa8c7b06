//! The agent's configuration, and the web configuration: text to a configuration, or to what is wrong with it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use redpath::config;
use redpath::server::WebConfigFile;
use redpath::target::HostName;
use redpath_fuzz::{assert_harmless, assert_sentence};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = WebConfigFile::check(text, Path::new("/etc/redpath")) {
        assert_sentence(&error);
    }
    // Where the files of `az` that it names are no matter of this target.
    if text.contains("expect_from") {
        return;
    }
    let config = match config::parse(text) {
        Ok(config) => config,
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty() && error.len() < 64 * 1024, "{} bytes of problems", error.len());
            return assert_harmless("the problems", &error);
        }
    };
    assert!(!config.targets.is_empty() && config.max_concurrent_probes > 0);
    for target in &config.targets {
        assert!(target.plan.timeout <= target.interval && target.plan.samples > 0 && target.plan.target.port > 0);
        assert_harmless("a name", &target.plan.target.name);
    }
    let names = config.targets.iter().map(|target| &target.plan.target.name).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names.len(), config.targets.len(), "each target has a name of its own");
    assert!(config.metrics.phase_buckets.windows(2).all(|pair| pair[0] < pair[1]));

    let printed = config.to_yaml().expect("a valid configuration has a YAML form");
    assert_harmless("the configuration", &printed);
    match config::parse(&printed) {
        Ok(again) => assert!(again == config, "it is read back otherwise:\n{printed}"),
        Err(error) => panic!("what was printed is refused: {error}\n{printed}"),
    }

    let other = HostName::parse("cache9.example.org").expect("a host name");
    let on_demand = config.on_demand(other, None);
    assert!(on_demand.auth == redpath::plan::Auth::None, "a probe on demand has no credentials");
});
