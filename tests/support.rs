//! Servers for the tests, real and scripted, on loopback alone: started here, stopped when dropped.

#[path = "support/certificates.rs"]
pub(crate) mod certificates;
#[path = "support/redis.rs"]
pub(crate) mod redis;
