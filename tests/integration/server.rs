//! The agent over HTTP: real connections on loopback, with and without TLS.

mod access;
mod bounds;
mod client;
mod cross_site;
mod harness;
mod healthcheck;
mod page;
mod routes;
mod tls;
