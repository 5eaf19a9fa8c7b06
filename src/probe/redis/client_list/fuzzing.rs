//! The sums of a `CLIENT LIST` by themselves, for the fuzz target.

use super::super::redact::Redactor;
use super::count::ClientCounter;
use crate::expectation::Expectation;
use crate::observation::clients::ClientList;
use crate::plan::ClientNames;

/// The sums of a list that arrives in pieces of `piece` bytes.
pub(in crate::probe) fn client_list(bytes: &[u8], piece: usize) -> ClientList {
    let (expectation, redactor) = (Expectation::default(), Redactor::default());
    let mut counter = ClientCounter::new(&expectation, ClientNames::List, &redactor, Some(1));
    let whole = bytes.chunks(piece.max(1)).all(|bytes| counter.push(bytes).is_continue());
    counter.finish(whole)
}
