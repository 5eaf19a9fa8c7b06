//! The causes that az's files name, told by what was seen and what the files say.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redpath::azure::facts::AzCache;
use redpath::clock::Timestamp;
use redpath::diagnosis::{Cause, Code, Diagnosis, Finding, Severity, Status, diagnose};
use redpath::expectation::Expectation;
use redpath::observation::dns::{ChainRecord, ResolvedAddress, ViewKind, ViewOutcome};
use redpath::observation::redis::{AuthFacts, AuthMethod, PingFacts, PingReply};
use redpath::observation::tcp::ConnectFailure;
use redpath::observation::tls::TlsFacts;
use redpath::observation::{Connection, ConnectionPhases, Observation, Phase, SkipReason, StoppedBy, View};
use redpath::target::{HostName, Target};

use super::read;

const CLASSIC: &str = "cache1.redis.cache.windows.net";
const MANAGED: &str = "amr1.westeurope.redis.azure.net";

/// What the one resolver answered.
#[derive(Clone, Copy)]
enum Dns {
    /// Through the private zone.
    Private(&'static str),
    /// Through the privatelink name and out of it again.
    Unseen,
    /// Without a privatelink name.
    NoEndpoint,
    /// The privatelink name does not exist.
    Missing,
}

struct Story {
    host: &'static str,
    port: Option<u16>,
    endpoints: &'static [&'static str],
    dns: Dns,
    answers: bool,
    username: Option<&'static str>,
    files: &'static [&'static str],
}

/// A classic cache whose endpoint answers on the private path.
const GOOD: Story = Story {
    host: CLASSIC,
    port: None,
    endpoints: &[],
    dns: Dns::Private("10.60.4.5"),
    answers: true,
    username: None,
    files: &[],
};

impl Story {
    fn diagnosed(&self) -> Diagnosis {
        let host = HostName::parse(self.host).expect("a host name");
        let mut target = Target::new(host, self.port, true);
        let mut expectation = Expectation {
            endpoints: self.endpoints.iter().map(|text| text.parse::<IpAddr>().expect("an address").into()).collect(),
            ..Expectation::default()
        };
        read(self.files).expect(&mut target, self.port.is_some(), &mut expectation);
        let observation = self.observation(&target, &expectation);
        let diagnosis = diagnose(&target, &expectation, &observation, Timestamp::now());
        // What was saved is diagnosed again to the same.
        let saved = serde_json::to_string(&expectation).expect("JSON");
        let again: Expectation = serde_json::from_str(&saved).expect("it reads back");
        assert_eq!(diagnose(&target, &again, &observation, Timestamp::now()), diagnosis);
        assert!(!saved.contains("canary"));
        diagnosis
    }

    fn observation(&self, target: &Target, expectation: &Expectation) -> Observation {
        let mut view = View::new("lab", ViewKind::Resolver, Some("10.10.0.53:53".parse().expect("an address")));
        let endpoint = redpath::azure::endpoint(self.host).expect("a known suffix");
        let private = format!("{}.{}", endpoint.record, endpoint.zone);
        let link = |name: &str, record_type: &str, data: &str| ChainRecord {
            name: name.into(),
            record_type: record_type.into(),
            ttl: 60,
            data: data.into(),
        };
        let through = link(self.host, "CNAME", &private);
        let (chain, address) = match self.dns {
            Dns::Private(ip) => (vec![through, link(&private, "A", ip)], Some(ip)),
            Dns::Unseen => (
                vec![
                    through,
                    link(&private, "CNAME", "x.cloudapp.example"),
                    link("x.cloudapp.example", "A", "20.50.1.10"),
                ],
                Some("20.50.1.10"),
            ),
            Dns::NoEndpoint => (
                vec![link(self.host, "CNAME", "x.cloudapp.example"), link("x.cloudapp.example", "A", "20.50.1.10")],
                Some("20.50.1.10"),
            ),
            Dns::Missing => (vec![through], None),
        };
        view.privatelink_zone = chain.iter().find_map(|link| redpath::azure::privatelink_zone(&link.data));
        view.chain = chain;
        view.outcome = if address.is_some() { ViewOutcome::Answered } else { ViewOutcome::NameNotFound };
        let mut observation = Observation::default();
        let took = Duration::from_millis(1);
        if let Some(ip) = address.map(|ip| ip.parse::<IpAddr>().expect("an address")) {
            view.addresses = vec![ResolvedAddress { ip, class: expectation.class(ip), ttl: Some(60) }];
            observation.phases.resolve = Phase::done(took);
            observation.phases.connection = if self.answers {
                ConnectionPhases {
                    connect: Phase::done(took),
                    tls: Phase::done(took),
                    auth: Phase::Skipped { reason: SkipReason::NoCredentials },
                    ping: Phase::done(took),
                }
            } else {
                let connect = Phase::failed(took, ConnectFailure::Timeout);
                ConnectionPhases { connect, ..ConnectionPhases::not_reached(StoppedBy::Connect) }
            };
            let mut connection = Connection::new(SocketAddr::new(ip, target.port), expectation.class(ip));
            if self.answers {
                let method = if self.username.is_some() { AuthMethod::Password } else { AuthMethod::None };
                let username = self.username.map(str::to_owned);
                connection.auth = Some(AuthFacts {
                    method,
                    username,
                    credential_error: None,
                    surrounded_by: None,
                    looks_like: None,
                    token_renewed: false,
                });
                let took = took.into();
                let reply = PingReply::Noauth;
                connection.ping =
                    Some(PingFacts { reply, samples: 1, min_seconds: took, median_seconds: took, max_seconds: took });
            }
            observation.connection = Some(connection);
        }
        observation.resolution.views = vec![view];
        observation.resolution.view_in_use = Some("lab".into());
        observation
    }

    /// The finding of `code`, which has to be an error and the cause; none of `silenced` may stand beside it.
    fn error(&self, code: Code, silenced: &[Code]) -> Finding {
        let diagnosis = self.diagnosed();
        assert_eq!(
            (diagnosis.verdict.status, diagnosis.verdict.cause),
            (Status::Fail, Cause::Code(code)),
            "{diagnosis:#?}"
        );
        for finding in &diagnosis.findings {
            assert!(!silenced.contains(&finding.code), "{finding:#?}");
        }
        let finding = diagnosis.findings.into_iter().find(|finding| finding.code == code).expect("the cause");
        assert_eq!(finding.severity, Severity::Error);
        assert!(!finding.hint.is_empty() && finding.detail.contains("snapshot"), "{finding:#?}");
        finding
    }

    fn warning(&self, code: Code) -> Finding {
        let diagnosis = self.diagnosed();
        let finding = diagnosis.findings.iter().find(|finding| finding.code == code).cloned();
        let finding = finding.unwrap_or_else(|| panic!("no {code}: {diagnosis:#?}"));
        assert_eq!(finding.severity, Severity::Warning, "{finding:#?}");
        finding
    }

    fn codes(&self) -> Vec<Code> {
        self.diagnosed().findings.iter().map(|finding| finding.code).collect()
    }
}

#[test]
fn az_agreeing_facts_add_no_finding() {
    let agreeing = Story {
        files: &[
            "redis-show.cli",
            "private-endpoint-show-approved.cli",
            "dns-zone-group-list.cli",
            "record-set-list.cli",
            "private-dns-zone-list-linked.cli",
            "link-vnet-list.cli",
        ],
        ..GOOD
    };
    assert_eq!(agreeing.codes(), Story { files: &[], ..GOOD }.codes());
    assert_eq!(agreeing.diagnosed().verdict.status, Status::Pass);
}

#[test]
fn az_pending_endpoint_explains_timeout() {
    for (file, state, hint) in [
        ("private-endpoint-show-pending.arm", "Pending", "approve"),
        ("private-endpoint-show-rejected.cli", "Rejected", "approved"),
        ("private-endpoint-show-disconnected.arm", "Disconnected", "delete"),
    ] {
        let files = [file];
        let story = Story { answers: false, files: Box::leak(Box::new(files)), ..GOOD };
        let finding = story.error(Code::EndpointNotApproved, &[Code::ConnectTimeout, Code::AzMismatch]);
        assert!(finding.summary.contains("pe-cache1") && finding.summary.contains(state), "{finding:#?}");
        assert!(finding.summary.contains(file) && finding.hint.contains(hint), "{finding:#?}");
        assert!(finding.detail.contains("does not answer"), "what was seen stays: {finding:#?}");
    }
    let none = Story { dns: Dns::NoEndpoint, files: &["private-endpoint-connection-list-pending.cli"], ..GOOD };
    let finding = none.error(Code::EndpointNotApproved, &[Code::NoPrivateEndpoint]);
    assert!(
        crate::stories::commands(&finding).iter().any(|command| command.contains("approve --id /subscriptions/")),
        "{finding:#?}"
    );
}

#[test]
fn az_approved_endpoint_leaves_timeout_to_nsg() {
    let story = Story { answers: false, files: &["private-endpoint-show-approved.cli"], ..GOOD };
    let diagnosis = story.diagnosed();
    assert_eq!(diagnosis.verdict.cause, Cause::Code(Code::ConnectTimeout));
    assert!(diagnosis.findings[0].detail.contains("says that the connection is approved"), "{diagnosis:#?}");
}

/// The connection is newer than the file.
#[test]
fn az_pending_endpoint_that_answers_is_stale() {
    let finding = Story { files: &["private-endpoint-show-pending.arm"], ..GOOD }.warning(Code::AzMismatch);
    assert!(finding.summary.contains("answers") && finding.summary.contains("Pending"), "{finding:#?}");
}

#[test]
fn az_unseen_zone_outranks_endpoint_state() {
    let codes = Story { dns: Dns::Unseen, files: &["private-endpoint-show-pending.arm"], ..GOOD }.codes();
    assert_eq!(codes[..2], [Code::PrivateZoneNotSeen, Code::EndpointNotApproved], "both are to be mended");
}

#[test]
fn az_wrong_group_id_is_named() {
    let story =
        Story { host: MANAGED, dns: Dns::NoEndpoint, files: &["private-endpoint-show-wrong-group.cli"], ..GOOD };
    let finding = story.error(Code::WrongGroupId, &[Code::NoPrivateEndpoint, Code::EndpointNotApproved]);
    assert!(finding.summary.contains("redisCache") && finding.summary.contains("redisEnterprise"), "{finding:#?}");
    assert!(crate::stories::commands(&finding)[0].contains("--group-id redisEnterprise"), "{finding:#?}");
    // Where all works, the file is what is odd.
    let works = Story { dns: Dns::Private("10.60.4.7"), ..story };
    assert_eq!(works.warning(Code::WrongGroupId).severity, Severity::Warning);
}

#[test]
fn az_zone_unlinked_or_linked_elsewhere() {
    let story = Story { dns: Dns::Unseen, files: &["private-dns-zone-list-unlinked.arm"], ..GOOD };
    let finding = story.error(Code::ZoneNotLinked, &[Code::PrivateZoneNotSeen]);
    assert!(
        crate::stories::commands(&finding).iter().all(|command| command.contains("--resource-group rg-net ")),
        "{finding:#?}"
    );
    assert!(
        crate::stories::commands(&finding)[0].contains("link vnet create")
            && crate::stories::commands(&finding)[0].contains("privatelink.redis.cache.windows.net")
    );

    for (files, says) in [
        (&["private-dns-zone-list-linked.cli"][..], "linked to 2 virtual networks"),
        (&["link-vnet-list.cli"], "linked to hub, spoke-1"),
        (&["empty-list.cli"], "is an empty list"),
        (&["link-vnet-list.cli", "link-vnet-list-fallback.arm"], "The link to spoke-1 falls back to public DNS"),
        // A list of links outranks the count that another file gave at another time.
        (&["private-dns-zone-list-unlinked.arm", "link-vnet-list.cli"], "linked to hub, spoke-1"),
    ] {
        let diagnosis = Story { dns: Dns::Unseen, files, ..GOOD }.diagnosed();
        assert_eq!(diagnosis.verdict.cause, Cause::Code(Code::PrivateZoneNotSeen), "{files:?}");
        assert!(diagnosis.findings[0].detail.contains(says), "{says}: {diagnosis:#?}");
    }
}

#[test]
fn az_zone_of_other_service_is_named() {
    for dns in [Dns::Unseen, Dns::Missing] {
        let story = Story {
            host: MANAGED,
            dns,
            files: &["redisenterprise-show-managed.cli", "dns-zone-group-list-wrong-zone.cli"],
            ..GOOD
        };
        let finding = story.error(Code::WrongZone, &[Code::PrivateZoneNotSeen, Code::PrivateRecordMissing]);
        assert!(finding.summary.contains("privatelink.redisenterprise.cache.azure.net"), "{finding:#?}");
        assert!(finding.summary.contains("needs privatelink.redis.azure.net"), "{finding:#?}");
        assert!(finding.detail.contains("keeps no record there"), "{finding:#?}");
    }
}

#[test]
fn az_zone_group_without_records_is_named() {
    let story = Story { dns: Dns::Missing, files: &["redis-show.cli", "dns-zone-group-list-no-records.cli"], ..GOOD };
    let diagnosis = story.diagnosed();
    assert_eq!(diagnosis.verdict.cause, Cause::Code(Code::PrivateRecordMissing));
    assert!(diagnosis.findings[0].detail.contains("has written no record"), "{diagnosis:#?}");
}

#[test]
fn az_fallback_link_hides_missing_record() {
    let story = Story { dns: Dns::Unseen, files: &["link-vnet-list-fallback.arm"], ..GOOD };
    let finding = story.error(Code::FallbackToInternet, &[Code::PrivateZoneNotSeen]);
    assert!(finding.summary.contains("spoke-1") && finding.detail.contains("cannot be known"), "{finding:#?}");
    // A record that is there is never asked of public DNS: then it is the link after all.
    let held = Story { dns: Dns::Unseen, files: &["link-vnet-list-fallback.arm", "record-set-list.cli"], ..GOOD };
    assert_eq!(held.diagnosed().verdict.cause, Cause::Code(Code::PrivateZoneNotSeen));
}

#[test]
fn az_public_access_warns_on_right_path() {
    let story = Story { files: &["redis-show-public.arm"], ..GOOD };
    let diagnosis = story.diagnosed();
    assert_eq!(
        (diagnosis.verdict.status, diagnosis.verdict.cause),
        (Status::Warn, Cause::Code(Code::PublicNetworkAccessEnabled))
    );
    assert!(story.warning(Code::PublicNetworkAccessEnabled).summary.contains("redis-show-public.arm"));
    let disabled = Story { dns: Dns::Unseen, files: &["redis-show.cli"], ..GOOD }.diagnosed();
    assert!(disabled.findings[0].detail.contains("public network access is disabled"), "{disabled:#?}");
}

#[test]
fn az_mismatch_names_the_file() {
    let files: &[&str] = &["redis-show.cli", "private-endpoint-show-approved.cli"];
    for (story, says) in [
        (Story { port: Some(10_000), files, ..GOOD }, "the port in use is 10000, and by"),
        (
            Story { endpoints: &["10.60.4.9"], dns: Dns::Private("10.60.4.9"), files, ..GOOD },
            "the private endpoint has 10.60.4.5, which is not among",
        ),
        (
            Story { files: &["private-endpoint-show-approved.cli", "record-set-show-stale.arm"], ..GOOD },
            "holds 10.60.4.99 (made by \"created by private endpoint pe-old",
        ),
        (
            Story { files: &["redis-list.cli", "database-list-managed-plaintext.cli"], host: MANAGED, ..GOOD },
            "TLS is spoken here, and by",
        ),
        (
            Story { host: MANAGED, username: Some("default"), files: &["redisenterprise-show-managed.cli"], ..GOOD },
            "an access key is configured, and by",
        ),
        (
            Story { host: MANAGED, files: &["redis-show.cli"], ..GOOD },
            "the files describe cache1.redis.cache.windows.net",
        ),
        (
            Story { dns: Dns::NoEndpoint, files: &["private-endpoint-connection-list-approved.cli"], ..GOOD },
            "DNS shows no private endpoint",
        ),
    ] {
        let finding = story.warning(Code::AzMismatch);
        assert!(finding.summary.contains(says), "{says}: {finding:#?}");
        assert!(finding.detail.contains("snapshots"), "{finding:#?}");
    }
}

#[test]
fn az_names_are_shell_escaped() {
    let story =
        Story { answers: false, files: &["private-endpoint-connection-list-pending.cli", "redis-show.cli"], ..GOOD };
    let mut target = Target::new(HostName::parse(CLASSIC).expect("a host name"), None, true);
    let mut expectation = Expectation::default();
    read(&["private-endpoint-connection-list-pending.cli"]).expect(&mut target, false, &mut expectation);
    let observation = story.observation(&target, &expectation);
    let connection_id = expectation.az.as_ref().and_then(|az| az.connections[0].id.clone()).expect("an ID");
    for (group, is_pasted) in [("rg-app", true), ("$(reboot)", false), ("a;b", false), ("a b", false), ("`x`", false)] {
        let az = expectation.az.as_mut().expect("the facts");
        az.connections[0].id = Some(connection_id.replace("rg-app", group));
        az.cache =
            Some(AzCache { id: Some(format!("/subscriptions/x/resourceGroups/{group}/y")), ..AzCache::default() });
        let diagnosis = diagnose(&target, &expectation, &observation, Timestamp::now());
        assert_eq!(diagnosis.verdict.cause, Cause::Code(Code::EndpointNotApproved));
        let commands = crate::stories::commands(&diagnosis.findings[0]).join("\n");
        assert_eq!(commands.contains(group), is_pasted, "{commands}");
        assert_eq!(
            commands.contains("<resource-group>") && commands.contains("<connection-id>"),
            !is_pasted,
            "{commands}"
        );
    }
}

#[test]
fn az_lower_tls_version_is_mismatch() {
    let story = Story { files: &["redis-show.cli"], ..GOOD };
    let mut target = Target::new(HostName::parse(CLASSIC).expect("a host name"), None, true);
    let mut expectation = Expectation::default();
    read(story.files).expect(&mut target, false, &mut expectation);
    let mut observation = story.observation(&target, &expectation);
    for (least, differs) in [("1.0", false), ("1.2", false), ("1.3", true), ("none", false)] {
        let cache = expectation.az.as_mut().and_then(|az| az.cache.as_mut()).expect("the cache");
        cache.minimum_tls_version = Some(least.into());
        let tls = TlsFacts { server_name: CLASSIC.into(), version: Some("TLSv1.2".into()), ..TlsFacts::default() };
        observation.connection.as_mut().expect("made above").tls = Some(tls);
        let diagnosis = diagnose(&target, &expectation, &observation, Timestamp::now());
        let told = diagnosis.findings.iter().find(|finding| finding.code == Code::AzMismatch);
        assert_eq!(told.is_some_and(|finding| finding.summary.contains("TLSv1.2 was spoken")), differs, "{least}");
    }
}

/// The record names the service that manages it.
#[test]
fn az_unknown_address_is_unexpected() {
    let files: &[&str] = &["private-endpoint-show-approved.cli", "record-set-show-stale.arm"];
    let diagnosis = Story { dns: Dns::Private("10.60.4.99"), files, ..GOOD }.diagnosed();
    assert_eq!(diagnosis.verdict.cause, Cause::Code(Code::UnexpectedAddress));
    let detail = &diagnosis.findings[0].detail;
    assert!(detail.contains("10.60.4.5 is what") && detail.contains("pe-old"), "{detail}");
}
