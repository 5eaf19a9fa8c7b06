//! The flags of every command that resolves a name: the path that is expected, and the views that are queried.

use clap::Args;
use ipnet::IpNet;

use super::{EXPECTATIONS, PROBE};
use crate::address::ReservedUse;
use crate::expectation::{Expectation, ExpectedPath};
use crate::parse;
use crate::plan::{Resolver, ViewSelection};
use crate::secret::quote::quoted;

/// The path of a command line.
#[derive(Args)]
pub struct PathArgs {
    /// Expected kind of address
    #[arg(long, value_enum, value_name = "private|public|any", default_value_t, help_heading = EXPECTATIONS)]
    pub expect: ExpectedPath,
    /// Expected private endpoint address or range (repeatable)
    #[arg(long = "endpoint", value_name = "IP|CIDR", value_parser = parse::range, help_heading = EXPECTATIONS)]
    pub endpoints: Vec<IpNet>,
    /// Treat this range as private (repeatable)
    #[arg(long = "private-range", value_name = "IP|CIDR", value_parser = parse::range, help_heading = EXPECTATIONS)]
    pub private_ranges: Vec<IpNet>,

    /// Additional DNS server to query, `azure` for 168.63.129.16 (repeatable)
    #[arg(long = "resolver", value_name = "[NAME=]ADDRESS[:PORT]", value_parser = parse::resolver, help_heading = PROBE)]
    pub resolvers: Vec<Resolver>,
    /// Views to query: libc, system, system:ADDRESS, a resolver's name, or all
    #[arg(long, value_name = "VIEW,...", value_delimiter = ',', default_value = "all", help_heading = PROBE)]
    pub views: Vec<String>,
}

impl PathArgs {
    /// The path that is expected; everything else of an expectation is its default.
    pub(super) fn expectation(&self) -> Expectation {
        Expectation {
            path: self.expect,
            endpoints: self.endpoints.clone(),
            private_ranges: self.private_ranges.clone(),
            ..Expectation::default()
        }
    }

    /// The resolvers and the views that are queried.
    ///
    /// # Errors
    /// One sentence: two resolvers have one name, or a view is none.
    pub(super) fn resolvers_and_views(&self) -> Result<(Vec<Resolver>, ViewSelection), String> {
        let mut resolvers = self.resolvers.clone();
        parse::distinct_names(&resolvers).map_err(|(_, why)| format!("--resolver: {why}"))?;
        let views = parse::views(&self.views, &mut resolvers)
            .map_err(|(position, why)| format!("--views: {} is {why}", quoted(&self.views[position])))?;
        Ok((resolvers, views))
    }

    /// What the operator should know about the private ranges, a sentence each.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.private_ranges.iter().filter_map(ReservedUse::remark).map(|remark| format!("--private-range: {remark}"))
    }
}
