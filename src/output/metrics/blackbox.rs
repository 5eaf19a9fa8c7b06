//! Gauges of one probe under the names of the blackbox exporter, for the page `/probe`.

use super::gauges::tls;
use super::sample::Sample;
use crate::record::Record;

pub(crate) fn duration(record: &Record) -> Vec<Sample<'_>> {
    vec![Sample::new(record.took_seconds.as_f64())]
}

pub(crate) fn dns_lookup_time(record: &Record) -> Vec<Sample<'_>> {
    let took = record.observation.phases.resolve.summary().took;
    took.map(|took| Sample::new(took.as_f64())).into_iter().collect()
}

pub(crate) fn ip_protocol(record: &Record) -> Vec<Sample<'_>> {
    let connection = record.observation.connection.as_ref();
    connection.map(|to| Sample::new(if to.address.is_ipv4() { 4.0 } else { 6.0 })).into_iter().collect()
}

pub(crate) fn phase_durations(record: &Record) -> Vec<Sample<'_>> {
    let phases = &record.observation.phases;
    let took = |phase| Some((phase, phases.get(phase).took?));
    let durations = phases.names().filter_map(took);
    durations.map(|(phase, took)| Sample::new(took.as_f64()).with("phase", phase.as_str())).collect()
}

/// "TLS 1.3", as Go names what rustls calls TLSv1.3.
pub(crate) fn tls_version(record: &Record) -> Vec<Sample<'_>> {
    let version = tls(record).and_then(|tls| tls.version.as_ref());
    version
        .map(|version| Sample::new(1.0).with_display("version", version.replace("TLSv", "TLS ")))
        .into_iter()
        .collect()
}

pub(crate) fn tls_cipher(record: &Record) -> Vec<Sample<'_>> {
    let cipher = tls(record).and_then(|tls| tls.cipher.as_ref());
    cipher.map(|cipher| Sample::new(1.0).with("cipher", cipher)).into_iter().collect()
}
