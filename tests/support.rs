//! Servers for the tests, real and scripted, on loopback alone: started here, stopped when dropped.

#[path = "support/agent.rs"]
pub(crate) mod agent;
#[path = "support/background.rs"]
pub(crate) mod background;
#[path = "support/bind.rs"]
pub(crate) mod bind;
#[path = "support/certificates.rs"]
pub(crate) mod certificates;
#[path = "support/chromium.rs"]
pub(crate) mod chromium;
#[path = "support/cluster.rs"]
pub(crate) mod cluster;
#[path = "support/container.rs"]
pub(crate) mod container;
#[path = "support/dns.rs"]
pub(crate) mod dns;
#[path = "support/entra.rs"]
pub(crate) mod entra;
#[path = "support/fake_redis.rs"]
pub(crate) mod fake_redis;
#[path = "support/lab.rs"]
pub(crate) mod lab;
#[path = "support/memory_cap.rs"]
pub(crate) mod memory_cap;
#[path = "support/namespace.rs"]
pub(crate) mod namespace;
#[path = "support/process.rs"]
pub(crate) mod process;
#[path = "support/redis.rs"]
pub(crate) mod redis;
#[path = "support/release.rs"]
#[allow(dead_code, reason = "used by the tests of what is shipped")]
pub(crate) mod release;
#[path = "support/zone.rs"]
pub(crate) mod zone;
