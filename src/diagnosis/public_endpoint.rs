//! A public address that is expected and does not serve: whether public access is enabled comes first. What Azure
//! does on the wire where it is disabled is not known: the address may be silent, refuse or close.

use super::remediation::Resource;
use super::{Code, Context, Finding, Severity};
use crate::address::AddressClass;
use crate::observation::Connection;

/// Puts the setting of the resource in front of the other causes.
pub(super) fn setting_first(case: &Context<'_>, connection: &Connection, findings: &mut [Finding]) {
    let expected = connection.class == AddressClass::Public && case.expectation.allows(connection.address.ip());
    let Some(resource) = Resource::of(case).filter(|_| expected) else { return };
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Error && may_be_closed(finding)) {
        let others = std::mem::take(&mut finding.detail);
        finding.detail = format!(
            "The address is public, and expected to be. Most likely public network access of {} is disabled, or its firewall does not admit this network. {others}",
            resource.name()
        );
        finding.hint = format!(
            "look at publicNetworkAccess first: it has to be Enabled before a name leads to the public address; then {}",
            finding.hint
        );
        let after = std::mem::take(&mut finding.commands);
        finding.commands = vec![resource.show_public_access().into(), resource.enable_public_access().into()];
        finding.commands.extend(after);
    }
}

fn may_be_closed(finding: &Finding) -> bool {
    matches!(
        finding.code,
        Code::ConnectTimeout
            | Code::ConnectRefused
            | Code::ConnectReset
            | Code::TlsTimeout
            | Code::TlsClosed
            | Code::TlsReset
            | Code::RedisTimeout
            | Code::RedisClosed
    )
}
