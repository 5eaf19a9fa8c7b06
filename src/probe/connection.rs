//! stub
use super::budget::Budget;
use crate::observation::{Connection, ConnectionPhases, StoppedBy};
use crate::plan::Plan;
use std::net::IpAddr;
/// stub
#[derive(Default)]
pub struct Connector {}
impl Connector {
    /// stub
    pub fn new() -> Self {
        Self {}
    }
    /// stub
    pub async fn connect(&self, plan: &Plan, addresses: &[IpAddr], _budget: &Budget) -> (ConnectionPhases, Connection) {
        let ip = addresses[0];
        (
            ConnectionPhases::not_reached(StoppedBy::Connect),
            Connection::new((ip, plan.target.port).into(), plan.expectation.class(ip)),
        )
    }
}
