//! Chains that led to an anchor a moment ago. The same bytes under the same anchors do so again: verifying
//! their signatures is most of what a handshake costs, and with P-384 issuers nearly all of it.
//!
//! A signature does not become wrong, and a time may pass. So a chain is known while every certificate in it is
//! valid, to the anchors that own the list. The name, and the proof that the server has the key, are judged by
//! every handshake. What its certificates say is kept with it, since they say the same each time.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::{self, common_validity};
use crate::observation::tls::{CertificateFacts, IntermediateFacts};

/// The most chains that are known: an agent has some hundreds of targets.
const MAX_CHAINS: usize = 512;

/// The longest text of a chain that is known, in bytes. Most have some hundreds; a server can send along any others.
const MAX_TEXT: usize = 4 * 1024;

/// The SHA-256 of a chain, with the length of each certificate.
type Fingerprint = [u8; 32];

/// What the certificates of a chain say.
#[derive(Debug)]
pub(super) struct ChainFacts {
    pub(super) leaf: CertificateFacts,
    pub(super) others: Vec<IntermediateFacts>,
}

impl ChainFacts {
    /// Reads them.
    pub(super) fn read(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Self {
        Self { leaf: certificate::facts(leaf), others: certificate::intermediates(others) }
    }

    /// How long all of it is.
    fn length(&self) -> usize {
        let Self { leaf, others } = self;
        let others = others.iter().flat_map(|other| [&other.subject, &other.issuer]);
        [&leaf.subject, &leaf.issuer].into_iter().chain(&leaf.sans).chain(others).map(String::len).sum()
    }
}

/// A chain that leads to an anchor.
#[derive(Debug)]
struct Known {
    /// The seconds since 1970 at which it does.
    valid: RangeInclusive<u64>,
    facts: Arc<ChainFacts>,
}

/// The chains that are known to lead to an anchor.
#[derive(Debug, Default)]
pub(super) struct VerifiedChains(Mutex<HashMap<Fingerprint, Known>>);

impl VerifiedChains {
    /// What this chain says, where it led to an anchor before, and does so at `now`.
    pub(super) fn get(&self, chain: &Fingerprint, now: UnixTime) -> Option<Arc<ChainFacts>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(chain).filter(|known| known.valid.contains(&now.as_secs())).map(|known| Arc::clone(&known.facts))
    }

    /// Notes a chain that was verified, unless one of its certificates does not say for how long it is valid, or it has
    /// much to say.
    pub(super) fn note(&self, fingerprint: Fingerprint, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) {
        let Some(valid) = common_validity(std::iter::once(leaf).chain(others)) else { return };
        let facts = Arc::new(ChainFacts::read(leaf, others));
        if facts.length() > MAX_TEXT {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CHAINS {
            known.clear(); // they are verified once more
        }
        known.insert(fingerprint, Known { valid, facts });
    }
}

pub(super) fn fingerprint(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Fingerprint {
    let mut hash = Sha256::new();
    for certificate in std::iter::once(leaf).chain(others) {
        hash.update((certificate.len() as u64).to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_known_by_every_byte_and_within_its_validity() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = |from: i32, to: i32| {
            let mut params = rcgen::CertificateParams::new(vec!["a.example.org".to_owned()]).expect("a name");
            (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
            params.self_signed(&key).expect("a certificate").der().clone()
        };
        let (leaf, issuer) = (certificate(2020, 2024), certificate(2021, 2030));
        let at = |year: i32| {
            let seconds = rcgen::date_time_ymd(year, 6, 1).unix_timestamp();
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.try_into().expect("after 1970")))
        };
        let chains = VerifiedChains::default();
        let known = fingerprint(&leaf, std::slice::from_ref(&issuer));
        assert!(chains.get(&known, at(2022)).is_none());
        chains.note(known, &leaf, std::slice::from_ref(&issuer));
        let facts = chains.get(&known, at(2022)).expect("it is known");
        assert_eq!((&facts.leaf, facts.others.len()), (&certificate::facts(&leaf), 1), "and what it says");
        // Where all of it is valid, and neither before the issuer's time nor after the leaf's.
        for (year, is_known) in [(2020, false), (2021, true), (2023, true), (2024, false), (2029, false)] {
            assert_eq!(chains.get(&known, at(year)).is_some(), is_known, "{year}");
        }
        // Another order, another cut, a byte more: another chain.
        let joined = CertificateDer::from([leaf.as_ref(), issuer.as_ref()].concat());
        for other in
            [fingerprint(&issuer, std::slice::from_ref(&leaf)), fingerprint(&leaf, &[]), fingerprint(&joined, &[])]
        {
            assert!(chains.get(&other, at(2022)).is_none());
        }
        // What cannot be read is verified each time; and there is a bound.
        let unreadable = CertificateDer::from(vec![0; 4]);
        chains.note([1; 32], &unreadable, &[]);
        assert!(chains.get(&[1; 32], at(2022)).is_none());
        let many = (0..99).map(|number| format!("{number}.{}.example.org", "x".repeat(60))).collect::<Vec<_>>();
        let wordy = rcgen::CertificateParams::new(many).and_then(|params| params.self_signed(&key));
        let wordy = wordy.expect("a certificate").der().clone();
        chains.note([2; 32], &wordy, &[]);
        assert!(chains.get(&[2; 32], at(2022)).is_none(), "it would be kept for each byte that somebody changes");
        for number in 0..MAX_CHAINS {
            chains.note(fingerprint(&CertificateDer::from(vec![0; number]), &[]), &leaf, &[]);
        }
        assert!(chains.0.lock().expect("no panic").len() <= MAX_CHAINS);
    }
}
