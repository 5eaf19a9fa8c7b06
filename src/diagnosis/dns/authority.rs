//! What a negative answer says of its origin: the zone that answered (the SOA's owner), or that no zone did.

use super::known_server::KnownServer;
use super::views::{AnswerClass, Views, describe_answer, is_negative, right_answers, view_label};
use crate::azure::{self, AZURE_DNS, PRIVATELINK};
use crate::diagnosis::remediation::{self, shell_safe_or};
use crate::diagnosis::text::capitalized;
use crate::diagnosis::{Code, Context, Finding, Severity};
use crate::observation::dns::AuthoritySoa;
use crate::observation::{View, ViewOutcome};

/// The primary in the SOA of every private zone of Azure.
const AZURE_PRIMARY: &str = "azureprivatedns.net";

/// Parents of the primaries of Microsoft's public zones.
const PUBLIC_PRIMARIES: [&str; 6] = ["azure-dns", "azuredns", "microsoft.com", "windows.net", "msft.net", "azure.com"];

/// Lists the private zones; the one that hides the name is among them.
const LIST_ZONES: &str = "az network private-dns zone list --query '[].[name,resourceGroup,numberOfRecordSets,numberOfVirtualNetworkLinks]' --output tsv";

/// A server in use gives NOERROR without an address and without an SOA: no zone says that, so a resolver on the way
/// removed what a zone had said.
pub(super) fn answer_stripped(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let own = std::iter::once(views.in_use).chain(views.system.iter().copied());
    let host = &case.target.host;
    let view = own.into_iter().find(|view| {
        let is_azure_name = view.privatelink_zone.is_some() || azure::endpoint(host.as_str()).is_some();
        is_azure_name && is_stripped(view)
    })?;
    let who = view_label(view);
    let suffix = remediation::suffix_of(case);
    let decide = if views.dns().any(View::is_azure_dns) { None } else { Some(remediation::ask_azure(case)) };
    Some(
        Finding::new(
            Code::PrivateAnswerStripped,
            Severity::Error,
            format!("{who} gives no address for {host}, and no SOA: likely a resolver removes private addresses from its answers"),
            format!(
                "{} answers {}, without an SOA.{} A zone that lacks an address says so with its SOA (RFC 2308), so this answer was likely changed on the way. DNS rebinding protection removes private addresses from answers to public names, there or at a server that it asks (dnsmasq --stop-dns-rebind, unbound private-address). A cache that keeps no SOA looks alike; then the zone lacks the record.{}",
                capitalized(&who),
                describe_answer(view),
                extended_error_note(view),
                right_answers(views)
            ),
        )
        .hint(format!(
            "exempt {suffix} from rebinding protection at {who} (dnsmasq rebind-domain-ok=/{suffix}/, unbound private-domain: \"{suffix}\"), before any record is changed"
        ))
        .commands([remediation::ask(view, host.as_str())])
        .commands(decide),
    )
}

fn is_stripped(view: &View) -> bool {
    if !view.without_soa || view.is_azure_dns() {
        return false;
    }
    let said = view.extended_error.as_ref().is_some_and(|error| error.is_filter());
    // systemd-resolved leaves the SOA out of answers that nobody changed.
    let keeps_soa = KnownServer::by_address(view) != Some(KnownServer::Resolved);
    is_negative(view) && (said || (view.outcome == ViewOutcome::NoData && keeps_soa))
}

/// The SOA of a negative answer belongs to another zone than the `privatelink` zone that is meant.
pub(super) fn zone_shadowed(case: &Context<'_>, views: &Views<'_>) -> Option<Finding> {
    let own = std::iter::once(views.in_use).chain(views.system.iter().copied());
    let mut asked = own.chain(views.configured.iter().copied().filter(|view| !views.is_public_resolver(view)));
    let host = case.target.host.as_str();
    let exists = views.dns().any(|view| view.outcome == ViewOutcome::Answered);
    let (view, soa, meant) = asked.find_map(|view| {
        let meant = view.privatelink_zone.clone().or_else(|| azure::endpoint(host).map(|endpoint| endpoint.zone))?;
        let soa = view.soa.as_ref().filter(|soa| is_negative(view) && shadows(soa, &meant))?;
        // The public parent zone says that a misspelt name does not exist; a primary that is not known does not show
        // whether the zone is that one.
        let is_private = soa.primary == AZURE_PRIMARY || exists || view.privatelink_zone.is_some();
        is_private.then_some((view, soa, meant))
    })?;
    let (owner, primary, who) = (&soa.owner, &soa.primary, view_label(view));
    let name = view.privatelink_name().unwrap_or(host);
    let kind = if is_below(&meant, owner) { "an own copy of a parent zone" } else { "an own zone of a longer name" };
    let (whose, hint) = if primary == AZURE_PRIMARY {
        (
            format!(
                "Its primary is {primary}, so it is a private DNS zone of Azure that is linked where that server asks."
            ),
            format!("unlink or delete the private zone {owner}, and use {meant} alone for private records"),
        )
    } else {
        (
            format!(
                "Its primary is {primary}, so it is no private DNS zone of Azure but a zone of a server, such as a domain controller."
            ),
            format!(
                "delete the zone {owner} on the server that serves it ({primary}), so that {} reaches {AZURE_DNS} or a resolver that sees {meant}",
                remediation::suffix_of(case)
            ),
        )
    };
    let others: String = views
        .dns()
        .filter(|other| other.outcome == ViewOutcome::Answered && views.classify(other) != AnswerClass::Absent)
        .map(|other| {
            let through = other.privatelink_name().map(|name| format!(", through {name}")).unwrap_or_default();
            format!(" The name exists: {} answers {}{through}.", view_label(other), describe_answer(other))
        })
        .take(1)
        .collect();
    Some(
        Finding::new(
            Code::ZoneShadowed,
            Severity::Error,
            format!("the zone {owner}, {kind}, answers for {name} and hides {meant}"),
            format!(
                "{} answers {} for {name}, and the SOA of that answer is {owner}. {whose} The longest zone name that a server has wins, and what that zone lacks does not exist for its clients.{}{others}",
                capitalized(&who),
                describe_answer(view),
                extended_error_note(view)
            ),
        )
        .hint(hint)
        .commands([
            remediation::ask(view, host),
            LIST_ZONES.to_owned(),
            format!(
                "az network private-dns link vnet list --resource-group <zone-resource-group> --zone-name {} --query '[].[name,virtualNetwork.id]' --output tsv",
                shell_safe_or(owner, "<zone>")
            ),
        ]),
    )
}

/// Whether the zone of `soa` is a private parent of the zone that is meant, or a zone below it.
fn shadows(soa: &AuthoritySoa, meant: &str) -> bool {
    let is_related = is_below(meant, &soa.owner) || is_below(&soa.owner, meant);
    // Top-level domains and the root answer for what was never registered.
    let is_registered = soa.owner.contains('.') && soa.owner != "." && soa.owner != PRIVATELINK;
    is_related && is_registered && !is_public(&soa.primary)
}

fn is_public(primary: &str) -> bool {
    primary != AZURE_PRIMARY && PUBLIC_PRIMARIES.iter().any(|known| primary.contains(known))
}

fn is_below(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// ` The SOA names …` where the zone has the right name and is no private zone of Azure.
pub(super) fn own_copy_note(view: &View) -> String {
    match (&view.soa, &view.privatelink_zone) {
        (Some(soa), Some(zone)) if soa.owner == *zone && soa.primary != AZURE_PRIMARY && !is_public(&soa.primary) => {
            format!(
                " The SOA of that answer names the primary {}, and a private zone of Azure names {AZURE_PRIMARY}: likely a server's own copy of the zone answers, which no record in Azure reaches.",
                soa.primary
            )
        }
        _ => String::new(),
    }
}

/// What a negative answer says of its origin, where that is no zone of the name.
pub(super) fn origin_note(case: &Context<'_>, view: &View) -> String {
    let host = case.target.host.as_str().trim_end_matches('.').to_ascii_lowercase();
    let end = view.end_of_chain().unwrap_or(&host);
    let of_name =
        |owner: &str| owner == "." || [host.as_str(), end].iter().any(|name| *name == owner || is_below(name, owner));
    let filter = match &view.soa {
        Some(soa) if view.answered_name.is_none() && !of_name(&soa.owner) => format!(
            " The SOA of that answer is {} (primary {}), which is no zone of the name: a DNS filter (response policy zone) answers so.",
            soa.owner, soa.primary
        ),
        _ => String::new(),
    };
    format!("{filter}{}", extended_error_note(view))
}

fn extended_error_note(view: &View) -> String {
    view.extended_error.as_ref().map_or_else(String::new, |error| format!(" It adds the extended DNS error {error}."))
}
