//! Servers for the tests, real and scripted, on loopback alone: started here, stopped when dropped.

#[path = "support/agent.rs"]
pub(crate) mod agent;
#[path = "support/background.rs"]
pub(crate) mod background;
#[path = "support/bind.rs"]
pub(crate) mod bind;
#[path = "support/certificates.rs"]
pub(crate) mod certificates;
#[path = "support/cluster.rs"]
pub(crate) mod cluster;
#[path = "support/dns.rs"]
pub(crate) mod dns;
#[path = "support/fake_redis.rs"]
pub(crate) mod fake_redis;
#[path = "support/lab.rs"]
pub(crate) mod lab;
#[path = "support/namespace.rs"]
pub(crate) mod namespace;
#[path = "support/redis.rs"]
pub(crate) mod redis;
#[path = "support/release.rs"]
pub(crate) mod release;
#[path = "support/systemd.rs"]
pub(crate) mod systemd;
#[path = "support/zone.rs"]
pub(crate) mod zone;
