//! Where the files, the configuration and the observation differ. One of them is wrong or old; which one
//! is not for redpath to say.

use super::causes::not_approved;
use super::{Code, Context, Finding, Severity, is_error};
use crate::azure::facts::{AzFacts, ConnectionStatus, Switch, name_in_id};
use crate::observation::redis::AuthMethod;

/// One finding with every difference in it, or none.
pub(super) fn diagnose(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<Finding> {
    let mut differences: Vec<String> = facts.ignored.clone();
    differences.extend(port(case, facts));
    differences.extend(plain(case, facts));
    differences.extend(endpoints(case, facts));
    differences.extend(record(case, facts));
    differences.extend(tls_version(case, facts));
    differences.extend(access_keys(case, facts));
    differences.extend(approval(case, facts, findings));
    differences.extend(states(facts));
    let first = differences.first()?;
    let more = if differences.len() > 1 { format!(" (and {} more)", differences.len() - 1) } else { String::new() };
    let also: String = differences.iter().skip(1).map(|difference| format!("Also: {difference}. ")).collect();
    Some(
        Finding::new(
            Code::AzMismatch,
            Severity::Warning,
            format!("{first}{more}"),
            format!(
                "{also}The files are snapshots of unknown age. Either they are old or about something else, or the configuration is.",
            ),
        )
        .hint("have az print the files anew; where they still differ, set the configuration right"),
    )
}

fn port(case: &Context<'_>, facts: &AzFacts) -> Option<String> {
    let target = case.target;
    let port = facts.port(target.tls).filter(|port| *port != target.port)?;
    let file = facts
        .databases
        .iter()
        .find(|database| database.port == Some(port))
        .map(|database| database.file.as_str())
        .or_else(|| facts.cache.as_ref().map(|cache| cache.file.as_str()))?;
    Some(format!("the port in use is {}, and by {file} it is {port}", target.port))
}

/// TLS where az says that there is none, or the other way round.
fn plain(case: &Context<'_>, facts: &AzFacts) -> Option<String> {
    if case.target.tls {
        let plain = facts.databases.iter().find(|database| database.tls == Some(false))?;
        let none = facts.databases.iter().all(|database| database.tls == Some(false));
        return none.then(|| format!("TLS is spoken here, and by {} the database has none", plain.file));
    }
    if let Some(encrypted) = facts.databases.iter().find(|database| database.tls == Some(true)) {
        let all = facts.databases.iter().all(|database| database.tls == Some(true));
        return all.then(|| format!("TLS is not spoken here, and by {} the database demands it", encrypted.file));
    }
    let cache = facts.cache.as_ref().filter(|cache| cache.plaintext_enabled == Some(false))?;
    Some(format!("TLS is not spoken here, and by {} the port without it is closed", cache.file))
}

fn endpoints(case: &Context<'_>, facts: &AzFacts) -> Option<String> {
    let addresses = facts.addresses(case.target.host.as_str());
    let (ip, file) = addresses.iter().find(|(ip, _)| !case.expectation.is_expected_endpoint(*ip))?;
    Some(format!("by {file} the private endpoint has {ip}, which is not among the expected addresses"))
}

/// Two endpoints fight over one record, and a record made by hand outlives its endpoint.
fn record(case: &Context<'_>, facts: &AzFacts) -> Option<String> {
    let addresses = facts.addresses(case.target.host.as_str());
    let (ip, file) = addresses.first()?;
    for record in facts.records.iter().filter(|record| !record.addresses.is_empty()) {
        let differs = |held: &&std::net::IpAddr| !addresses.iter().any(|(ip, _)| ip == *held);
        if let Some(held) = record.addresses.iter().find(differs) {
            let creator = record.creator.as_ref().map(|who| format!(" (made by \"{who}\")")).unwrap_or_default();
            return Some(format!(
                "by {} the record {} holds {held}{creator}, and by {file} the private endpoint has {ip}",
                record.file, record.fqdn
            ));
        }
    }
    None
}

fn tls_version(case: &Context<'_>, facts: &AzFacts) -> Option<String> {
    let cache = facts.cache.as_ref()?;
    let least = cache.minimum_tls_version.as_deref()?;
    let tls = case.observation.connection.as_ref()?.tls.as_ref()?;
    let spoken = tls.version.as_deref()?;
    let older = case.observation.phases.connection.tls.is_done() && number(spoken)? < number(least)?;
    older.then(|| format!("{spoken} was spoken, and by {} the oldest version taken is {least}", cache.file))
}

/// `TLSv1.2` and `1.2` are 1 and 2.
fn number(version: &str) -> Option<(u32, u32)> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (major, minor) = digits.split_once(['.', '_'])?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The file that says that access keys are not taken.
pub(super) fn without_keys(facts: &AzFacts) -> Option<&str> {
    let of_databases = facts.databases.iter().map(|database| (database.access_keys, database.file.as_str()));
    let of_cache = facts.cache.iter().map(|cache| (cache.access_keys, cache.file.as_str()));
    of_databases.chain(of_cache).find(|(keys, _)| *keys == Some(Switch::Disabled)).map(|(_, file)| file)
}

/// An access key is the password of the user `default`; other users are Entra identities.
fn access_keys(case: &Context<'_>, facts: &AzFacts) -> Option<String> {
    let auth = case.observation.connection.as_ref()?.auth.as_ref()?;
    let is_key = match auth.method {
        AuthMethod::None | AuthMethod::Entra => false,
        AuthMethod::Password => auth.username.as_deref().is_none_or(|name| name == "default"),
    };
    let file = without_keys(facts).filter(|_| is_key)?;
    Some(format!("an access key is configured, and by {file} access keys are disabled"))
}

/// The cache and the endpoint know the same connection.
fn states(facts: &AzFacts) -> Option<String> {
    facts.endpoints.iter().find_map(|endpoint| {
        let (id, status) = (endpoint.id.as_deref()?, endpoint.status?);
        let same = |other: &Option<String>| other.as_deref().is_some_and(|other| other.eq_ignore_ascii_case(id));
        let (connection, other) = facts.connections.iter().find_map(|connection| {
            let other = connection.status.filter(|other| *other != status && same(&connection.endpoint_id))?;
            Some((connection, other))
        })?;
        let name = name_in_id(id);
        Some(format!(
            "by {} the connection of {name} is {status}, and by {} it is {other}",
            endpoint.file, connection.file
        ))
    })
}

/// What cannot be, if the files are right.
fn approval(case: &Context<'_>, facts: &AzFacts, findings: &[Finding]) -> Option<String> {
    if let Some(state) = not_approved(case, facts) {
        let answers = case.is_at_expected_address() && case.observation.phases.connection.connect.is_done();
        let is_reported = findings.iter().any(|finding| finding.code == Code::EndpointNotApproved);
        return (answers && !is_reported).then(|| {
            format!("the private endpoint answers, and by {} its connection is {}", state.file, state.status)
        });
    }
    let approved = facts.connections.iter().find(|connection| connection.status == Some(ConnectionStatus::Approved))?;
    let absent = findings.iter().any(|finding| is_error(finding) && finding.code == Code::NoPrivateEndpoint);
    absent.then(|| format!("DNS shows no private endpoint, and by {} a connection is approved", approved.file))
}
