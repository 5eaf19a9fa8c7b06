//! The closed list of codes: name, phase, title, and the causes that suppress the finding.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::phase::PhaseName;

/// What suppresses a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suppressor {
    /// An error of the path while the connection is at an address that is not the expected one.
    WrongAddress,
    /// An error with this code.
    Code(Code),
}

macro_rules! suppressor {
    (WrongAddress) => {
        Suppressor::WrongAddress
    };
    ($code:ident) => {
        Suppressor::Code(Code::$code)
    };
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $phase:ident $title:literal $(suppressed_by [$($by:ident),*])?;)*) => {
        /// A code: the stable name of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the phases.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, `snake_case`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The phase it belongs to.
            pub fn phase(self) -> PhaseName {
                match self { $(Self::$variant => PhaseName::$phase,)* }
            }

            /// What it says, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What makes a finding with this code irrelevant, because it follows from that.
            pub(super) fn suppressed_by(self) -> &'static [Suppressor] {
                match self { $(Self::$variant => &[$($(suppressor!($by),)*)?],)* }
            }
        }
    };
}

codes! {
    /// The target's host name is the `privatelink` one, which no certificate covers.
    PrivatelinkNameConfigured "privatelink_name_configured" Resolve "the privatelink name itself is configured";
    /// A server did not answer in time.
    DnsTimeout "dns_timeout" Resolve "the DNS server does not answer";
    /// A server cannot be reached.
    DnsUnreachable "dns_unreachable" Resolve "the DNS server cannot be reached";
    /// A server answered SERVFAIL, or another code that is no answer.
    DnsServerFailure "dns_server_failure" Resolve "the DNS server fails";
    /// A server answered REFUSED.
    DnsRefused "dns_refused" Resolve "the DNS server refuses the question";
    /// A server's answer is none.
    DnsBadAnswer "dns_bad_answer" Resolve "invalid DNS response";
    /// AAAA fails beside an A record.
    AaaaLookupFails "aaaa_lookup_fails" Resolve "the question for AAAA fails beside a right A record";
    /// Queries with EDNS are dropped on the way to a name server.
    EdnsDropped "edns_dropped" Resolve "DNS queries with EDNS are dropped";
    /// Programs of musl get no address where glibc's do.
    MuslLookupFails "musl_lookup_fails" Resolve "programs of musl (Alpine) get no address";
    /// Azure's resolver blocks the name by a DNS security policy.
    DnsBlockedByPolicy "dns_blocked_by_policy" Resolve "a DNS security policy blocks the name";
    /// A DNS filter answers with an address that no machine has.
    DnsSinkhole "dns_sinkhole" Resolve "a DNS filter blocks the name";
    /// The name does not exist.
    NameNotFound "name_not_found" Resolve "the name does not exist";
    /// The name exists without an address.
    NoAddress "no_address" Resolve "the name has no address";
    /// The private zone is linked, and lacks the record.
    PrivateRecordMissing "private_record_missing" Resolve "the private zone has no record for the name" suppressed_by [EndpointNotApproved, WrongGroupId, WrongZone];
    /// Another zone than the one meant answers for the name.
    ZoneShadowed "zone_shadowed" Resolve "another zone hides the private zone" suppressed_by [WrongZone];
    /// A resolver on the way removed the private address.
    PrivateAnswerStripped "private_answer_stripped" Resolve "a resolver removes the private address";
    /// The resource has a private endpoint, and its zone is not seen from here.
    PrivateZoneNotSeen "private_zone_not_seen" Resolve "the private DNS zone is not seen from here" suppressed_by [WrongGroupId, WrongZone, ZoneNotLinked, FallbackToInternet];
    /// The resource has no private endpoint.
    NoPrivateEndpoint "no_private_endpoint" Resolve "the resource has no private endpoint" suppressed_by [EndpointNotApproved, WrongGroupId];
    /// The name leads to another product without a private endpoint.
    EndpointRemoved "endpoint_removed" Resolve "another product answers, without a private endpoint";
    /// Another product answers behind the name than its suffix says.
    MigratedName "migrated_name" Resolve "another product answers behind the old name";
    /// Servers that should agree do not.
    ResolverDisagreement "resolver_disagreement" Resolve "resolvers disagree";
    /// The address was made up by a service mesh or a proxy.
    VirtualAddress "virtual_address" Resolve "a service mesh made the address up";
    /// The address was made from an IPv4 address by DNS64.
    Dns64Address "dns64_address" Resolve "the address was made by DNS64";
    /// The name leads to private and to public addresses.
    MixedAddresses "mixed_addresses" Resolve "private and public addresses are mixed";
    /// The name leads to an address that is not the expected one.
    UnexpectedAddress "unexpected_address" Resolve "the address is not the expected one";
    /// This machine answers otherwise than DNS does.
    OverriddenLocally "overridden_locally" Resolve "this machine overrides DNS";
    /// Public where private was expected, and nothing sharper can be said.
    PublicPath "public_path" Resolve "the path is public" suppressed_by [EndpointNotApproved, WrongGroupId, WrongZone, ZoneNotLinked, FallbackToInternet];
    /// One server answers differently from one question to the next.
    FlappingAnswer "flapping_answer" Resolve "the answer changes from one question to the next";
    /// The private endpoint connection is not approved (`az`).
    EndpointNotApproved "endpoint_not_approved" Resolve "the private endpoint connection is not approved";
    /// The private endpoint is for another sub-resource (`az`).
    WrongGroupId "wrong_group_id" Resolve "the private endpoint has the wrong group ID";
    /// The private DNS zone is linked to no virtual network (`az`).
    ZoneNotLinked "zone_not_linked" Resolve "the private DNS zone is not linked";
    /// The private DNS zone has another name than the service's (`az`).
    WrongZone "wrong_zone" Resolve "the private DNS zone is not the service's";
    /// The zone link falls back to public DNS (`az`).
    FallbackToInternet "fallback_to_internet" Resolve "the zone link falls back to the internet";
    /// What `az` says and what is seen here differ.
    AzMismatch "az_mismatch" Resolve "az and the observation differ";
    /// The search list costs questions before the name itself is asked.
    SearchListWaste "search_list_waste" Resolve "the search list wastes questions";
    /// Private where public was expected.
    PrivatePath "private_path" Resolve "the path is private";
    /// Silence to the SYN.
    ConnectTimeout "connect_timeout" Connect "the address does not answer" suppressed_by [WrongAddress, EndpointNotApproved, WrongGroupId];
    /// A RST to the SYN.
    ConnectRefused "connect_refused" Connect "the connection is refused" suppressed_by [WrongAddress, EndpointNotApproved, WrongGroupId];
    /// A RST.
    ConnectReset "connect_reset" Connect "the connection is reset" suppressed_by [WrongAddress, EndpointNotApproved, WrongGroupId];
    /// No route to the host.
    HostUnreachable "host_unreachable" Connect "there is no route to the host" suppressed_by [WrongAddress];
    /// No route to the network.
    NetworkUnreachable "network_unreachable" Connect "the network is unreachable" suppressed_by [WrongAddress];
    /// Another error.
    ConnectFailed "connect_failed" Connect "the connection failed" suppressed_by [WrongAddress];
    /// Silence during the handshake.
    TlsTimeout "tls_timeout" Tls "the TLS handshake hangs" suppressed_by [WrongAddress, EndpointNotApproved, WrongGroupId];
    /// Closed during the handshake.
    TlsClosed "tls_closed" Tls "the peer closes during the TLS handshake" suppressed_by [WrongAddress, EndpointNotApproved, WrongGroupId];
    /// Reset during the handshake.
    TlsReset "tls_reset" Tls "the peer resets during the TLS handshake" suppressed_by [WrongAddress, EndpointNotApproved, WrongGroupId];
    /// The peer does not speak TLS.
    TlsNotSpoken "tls_not_spoken" Tls "the port does not speak TLS" suppressed_by [WrongAddress];
    /// The certificate is for another name.
    TlsNameMismatch "tls_name_mismatch" Tls "the certificate is for another name" suppressed_by [WrongAddress, PrivatelinkNameConfigured];
    /// The certificate has expired.
    TlsCertificateExpired "tls_certificate_expired" Tls "the certificate has expired" suppressed_by [WrongAddress];
    /// The certificate is not valid yet.
    TlsCertificateNotYetValid "tls_certificate_not_yet_valid" Tls "the certificate is not valid yet" suppressed_by [WrongAddress];
    /// The certificate expires soon.
    TlsCertificateExpiring "tls_certificate_expiring" Tls "the certificate expires soon" suppressed_by [WrongAddress];
    /// The issuer is not trusted here.
    TlsUntrustedIssuer "tls_untrusted_issuer" Tls "the certificate's issuer is not trusted here" suppressed_by [WrongAddress];
    /// No version in common.
    TlsNoSharedVersion "tls_no_shared_version" Tls "no TLS version in common" suppressed_by [WrongAddress];
    /// No cipher suite in common.
    TlsNoSharedCipher "tls_no_shared_cipher" Tls "no cipher suite in common" suppressed_by [WrongAddress];
    /// A client certificate is wanted.
    TlsClientCertificateRequired "tls_client_certificate_required" Tls "the peer wants a client certificate" suppressed_by [WrongAddress];
    /// Another failure of TLS.
    TlsFailed "tls_failed" Tls "TLS failed" suppressed_by [WrongAddress];
    /// The credential could not be read.
    CredentialUnavailable "credential_unavailable" Auth "the credential cannot be read" suppressed_by [WrongAddress];
    /// The credential was rejected.
    AuthRejected "auth_rejected" Auth "the credential is rejected" suppressed_by [WrongAddress];
    /// Authentication is demanded of a probe that could not give its credential.
    AuthRequired "auth_required" Ping "authentication is required" suppressed_by [WrongAddress];
    /// Authentication is demanded, as it should be.
    AuthEnforced "auth_enforced" Ping "authentication is enforced" suppressed_by [WrongAddress];
    /// The server answers without credentials.
    AuthNotEnforced "auth_not_enforced" Ping "the server answers without authentication" suppressed_by [WrongAddress];
    /// The user may not do this.
    PermissionDenied "permission_denied" Ping "the user lacks the permission" suppressed_by [WrongAddress];
    /// The server loads its data.
    RedisLoading "redis_loading" Ping "the server is loading its data" suppressed_by [WrongAddress];
    /// The server has no room for another client.
    RedisMaxClients "redis_max_clients" Ping "the server has no room for another client" suppressed_by [WrongAddress];
    /// The cluster is down.
    RedisClusterDown "redis_cluster_down" Ping "the cluster is down" suppressed_by [WrongAddress];
    /// The replica has lost its master.
    RedisMasterDown "redis_master_down" Ping "the replica has lost its master" suppressed_by [WrongAddress];
    /// The server redirects.
    RedisMoved "redis_moved" Ping "the server redirects to another node" suppressed_by [WrongAddress];
    /// Another error reply.
    RedisError "redis_error" Ping "the server replies with an error" suppressed_by [WrongAddress];
    /// No reply.
    RedisTimeout "redis_timeout" Ping "the server does not reply" suppressed_by [WrongAddress];
    /// Closed in place of a reply.
    RedisClosed "redis_closed" Ping "the server closes the connection" suppressed_by [WrongAddress];
    /// The peer is no Redis.
    NotRedis "not_redis" Ping "the peer does not speak Redis" suppressed_by [WrongAddress];
    /// A phase took longer than its budget.
    LatencyOverBudget "latency_over_budget" Ping "a phase took longer than its budget" suppressed_by [WrongAddress];
    /// The address under which the server sees the probe contradicts the path.
    ServerSeesOtherPath "server_sees_other_path" Ping "the server sees another path";
    /// A node that the cluster announces cannot be reached.
    ClusterNodeUnreachable "cluster_node_unreachable" Cluster "a node of the cluster cannot be reached" suppressed_by [WrongAddress];
    /// A node is announced at another address than expected.
    ClusterNodeUnexpectedAddress "cluster_node_unexpected_address" Cluster "a node is announced at an unexpected address" suppressed_by [WrongAddress];
    /// Nodes are announced by IP address, which the certificate does not cover.
    ClusterCertificateLacksIp "cluster_certificate_lacks_ip" Cluster "the certificate does not cover the announced IP" suppressed_by [WrongAddress];
    /// The public address serves.
    PublicAccessOpen "public_access_open" Posture "the public address is open";
    /// The plain-text port serves.
    PlaintextPortOpen "plaintext_port_open" Posture "the plain-text port is open" suppressed_by [WrongAddress];
    /// A check that was asked for could not be made.
    NotChecked "not_checked" Posture "a check that was asked for could not be made";
    /// The resource admits public traffic (`az`).
    PublicNetworkAccessEnabled "public_network_access_enabled" Posture "public network access is enabled";
    /// Connections of an application take the public path.
    ApplicationOnPublicPath "application_on_public_path" Application "connections of an application take the public path";
    /// Connections of an application lead to an address that is not the present one.
    ApplicationOnOldEndpoint "application_on_old_endpoint" Application "connections of an application lead to an old address";
    /// Connections of an application lead to the old name of a migration.
    OldNameStillUsed "old_name_still_used" Application "applications use the old name of a migration";
    /// The SYN of an application is not answered.
    ApplicationCannotConnect "application_cannot_connect" Application "an application gets no answer to its SYN";
    /// An application opens more connections than allowed.
    ConnectionStorm "connection_storm" Application "an application opens many connections";
    /// The connection that is held open was lost.
    HeldConnectionLost "held_connection_lost" Application "the held connection was lost";
    /// Clients of the cache have a public address at the server.
    PublicClientsPresent "public_clients_present" Application "clients do not come by the private link";
    /// No connection of an application is found.
    ApplicationNotSeen "application_not_seen" Application "no connection of an application is found";
}

impl Code {
    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|code| code.as_str() == name).copied()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_names_match_serde_in_phase_order() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).expect("a code serializes"), code.as_str());
        }
        assert!(Code::ALL.is_sorted_by_key(|code| code.phase()));
    }

    #[test]
    fn no_code_suppresses_itself_by_way_of_others() {
        fn causes(code: Code, seen: &mut Vec<Code>) {
            assert!(!seen.contains(&code), "{code} is suppressed by way of {seen:?}");
            seen.push(code);
            for suppressor in code.suppressed_by() {
                if let Suppressor::Code(cause) = suppressor {
                    causes(*cause, seen);
                }
            }
            seen.pop();
        }
        Code::ALL.iter().for_each(|code| causes(*code, &mut Vec::new()));
    }
}
