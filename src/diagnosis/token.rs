//! What became of the token of Entra ID: its failures are never Redis', and have causes and commands of their own.

use super::remediation::{Resource, shell_safe_or};
use super::{Code, Context, Finding, Severity};
use crate::observation::token::{ClockSkew, SkewDirection, TokenStep};
use crate::observation::{TokenFacts, TokenFailure};
use crate::phase::PhaseName;
use crate::plan::TokenSource;

/// What the token phase says.
pub(super) fn diagnose(case: &Context<'_>) -> Vec<Finding> {
    let observation = case.observation;
    let (Some(phase), Some(facts)) = (&observation.phases.token, &observation.token) else { return Vec::new() };
    if let Some(failure) = phase.failure() {
        let mut finding = unavailable(facts, failure);
        if let Some(sentence) = other_cloud(case, failure) {
            finding.detail = format!("{sentence} {}", finding.detail);
        }
        return vec![finding];
    }
    let mut findings = Vec::new();
    if let Some(failure) = facts.refresh_failure.as_ref() {
        findings.push(not_refreshed(facts, failure));
    }
    if let Some(skew) = facts.clock_skew {
        findings.push(skewed(skew));
    }
    // One code is reported once: what ends the tokens comes before what may.
    findings.truncate(1);
    findings
}

fn finding(severity: Severity, summary: String, detail: String) -> Finding {
    Finding::new(Code::CredentialUnavailable, severity, summary, detail).phase(PhaseName::Token)
}

fn unavailable(facts: &TokenFacts, failure: &TokenFailure) -> Finding {
    let Advice { why, hint, commands } = advice(facts, failure);
    let went_on = "This is no failure of Redis: the probe went on without the token, so the other phases show how far the path goes; whether Redis would take it is not known.";
    let detail = if why.is_empty() { went_on.to_owned() } else { format!("{why} {went_on}") };
    finding(Severity::Error, format!("no token of Entra ID: {failure}"), detail).hint(hint).commands(commands)
}

fn not_refreshed(facts: &TokenFacts, failure: &TokenFailure) -> Finding {
    let Advice { why, hint, commands } = advice(facts, failure);
    let until = facts.expires_at.map_or_else(|| "it expires".to_owned(), |end| end.to_string());
    let kept = format!("The kept token is used until {until}; after that the token phase fails.");
    let detail = if why.is_empty() { kept } else { format!("{kept} {why}") };
    finding(Severity::Warning, format!("the token of Entra ID cannot be refreshed: {failure}"), detail)
        .hint(hint)
        .commands(commands)
}

fn skewed(skew: ClockSkew) -> Finding {
    let by = skew.at_least_seconds;
    let (summary, why) = match skew.direction {
        SkewDirection::Ahead => (
            format!("a token of Entra ID that was just issued has expired by this machine's clock ({by} ago)"),
            "This machine's clock is ahead, or the source hands out old tokens. The token was tried all the same, since the server's clock decides.",
        ),
        SkewDirection::Behind => (
            format!("a token of Entra ID that was just issued begins {by} in the future of this machine's clock"),
            "This machine's clock is behind. The token was tried all the same, since the server's clock decides.",
        ),
    };
    finding(Severity::Warning, summary, why.to_owned())
        .hint("set this machine's clock right: tokens and certificates depend on it")
        .commands(["timedatectl status".to_owned()])
}

/// Redis rejects the token: no failure of the token phase, and none that an access key would fix.
pub(super) fn rejected(case: &Context<'_>, facts: &TokenFacts, who: &str, reply: &str) -> Finding {
    let auth = case.observation.connection.as_ref().and_then(|connection| connection.auth.as_ref());
    let renewed = match auth {
        Some(auth) if auth.token_renewed => {
            " A kept token was rejected first, and so was the new one that was fetched for it."
        }
        _ => "",
    };
    let clock = match facts.clock_skew {
        Some(_) => " The token's dates do not fit this machine's clock: it may have expired.",
        None => "",
    };
    if let Some(object_id) = facts.object_id.as_deref().filter(|id| !id.eq_ignore_ascii_case(who)) {
        return not_the_object_id(case, facts, who, object_id);
    }
    Finding::new(
        Code::AuthRejected,
        Severity::Error,
        format!("Redis rejects the token of the identity \"{who}\" ({reply})"),
        format!(
            "{} Entra ID gave the token, and the cache does not take it.{renewed}{clock} By likelihood: the identity has no access policy on this cache; Entra authentication is not enabled on the cache; a user name is configured that is not the object ID; the address belongs to another cache.",
            case.proven()
        ),
    )
    .hint(format!("assign an access policy of the cache to the object ID {who}, and enable Entra authentication"))
    .commands(Resource::of(case).iter().flat_map(|resource| [resource.list_assignments(), resource.show()]))
}

/// The user name that was sent is not the object ID that the token is for: Redis takes no other.
fn not_the_object_id(case: &Context<'_>, facts: &TokenFacts, who: &str, object_id: &str) -> Finding {
    let is_client_id = facts.client_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(who));
    let what = if is_client_id { "the client ID of the identity" } else { "not the object ID of the identity" };
    Finding::new(
        Code::AuthRejected,
        Severity::Error,
        format!("the user name \"{who}\" is {what}, and the token is for the object ID {object_id}"),
        format!("{} Redis takes a token of Entra ID only with its object ID as the user name.", case.proven()),
    )
    .hint(format!(
        "leave the user name out (username, --username, REDPATH_USERNAME), or set it to {object_id}; an access policy belongs to that object ID"
    ))
    .commands(Resource::of(case).iter().map(Resource::list_assignments))
}

struct Advice {
    why: &'static str,
    hint: &'static str,
    commands: Vec<String>,
}

fn advice(facts: &TokenFacts, failure: &TokenFailure) -> Advice {
    let source = facts.source;
    match failure {
        TokenFailure::NotConfigured { .. } | TokenFailure::FileUnreadable { .. } => not_configured_advice(source),
        TokenFailure::Unreachable { step: TokenStep::Tls, .. } => Advice {
            why: "The token endpoint is asked over verified TLS only, with the certificates of this system. A middlebox that opens TLS looks like this, too.",
            hint: "look at who answers there; give the issuer with the environment variable SSL_CERT_FILE if it is your own",
            commands: Vec::new(),
        },
        TokenFailure::Unreachable { .. } | TokenFailure::Timeout { .. } if facts.unused_proxy.is_some() => Advice {
            why: "An HTTP proxy is set in the environment (HTTPS_PROXY), and redpath does not use it: it connects to the token endpoint directly.",
            hint: "let the token endpoint through without the proxy, or run redpath where it can be reached directly; the other programs here may reach it through the proxy",
            commands: Vec::new(),
        },
        TokenFailure::Unreachable { .. } | TokenFailure::Timeout { .. } => unreachable_advice(source),
        TokenFailure::Rejected { message, .. }
            if source == TokenSource::ManagedIdentity && is_pod_identity(message) =>
        {
            Advice {
                why: "In place of the metadata service of the virtual machine, AAD Pod Identity (NMI) answers in this cluster. It is no longer supported.",
                hint: "use workload identity in the pod (workload_identity), or give the pod an AzureIdentityBinding",
                commands: vec!["kubectl get azureidentitybinding --all-namespaces".to_owned()],
            }
        }
        TokenFailure::Rejected { status, code, .. } => {
            rejected_advice(facts, *status, code.as_deref().unwrap_or_default())
        }
        TokenFailure::BadAnswer { .. } => Advice {
            why: "What answered is not the endpoint, or something in between changed its answer.",
            hint: "look at who answers there: a proxy, a sign-in page, a changed environment",
            commands: Vec::new(),
        },
        TokenFailure::AzNotFound => Advice {
            why: "The probe asks the Azure CLI of this user for the token.",
            hint: "install the Azure CLI, or take another source of the token",
            commands: vec!["az version".to_owned()],
        },
        TokenFailure::AzNotLoggedIn { .. } => Advice {
            why: "",
            hint: "log in as the user or identity that has the access policy",
            commands: vec!["az login".to_owned()],
        },
        TokenFailure::AzFailed { .. } => Advice {
            why: "",
            hint: "run the command by hand as the user of the probe",
            commands: vec!["az account show".to_owned()],
        },
    }
}

/// Whether the text of a refusal is that of AAD Pod Identity's node managed identity (NMI).
fn is_pod_identity(message: &str) -> bool {
    message.contains("azure identity found")
        || message.contains("AzureAssignedIdentity")
        || message.contains("assigned identities")
}

/// The authority of another cloud than the cache's, where both are known by their suffixes.
fn other_cloud(case: &Context<'_>, failure: &TokenFailure) -> Option<String> {
    let (TokenFailure::Rejected { endpoint, .. }
    | TokenFailure::Unreachable { endpoint, .. }
    | TokenFailure::Timeout { endpoint, .. }) = failure
    else {
        return None;
    };
    let cloud = |name: &str| match name {
        name if name.ends_with(".cn") => Some("login.chinacloudapi.cn"),
        name if name.ends_with(".usgovcloudapi.net") || name.ends_with(".us") => Some("login.microsoftonline.us"),
        name if name.ends_with(".azure.net")
            || name.ends_with(".windows.net")
            || name.ends_with("microsoftonline.com") =>
        {
            Some("login.microsoftonline.com")
        }
        _ => None,
    };
    let (cache, authority) = (cloud(case.target.host.as_str())?, cloud(endpoint)?);
    (cache != authority).then(|| {
        format!("The token was asked for at {endpoint}, and the cache is in the cloud of {cache}: set AZURE_AUTHORITY_HOST to https://{cache}/ first.")
    })
}

fn not_configured_advice(source: TokenSource) -> Advice {
    match source {
        TokenSource::WorkloadIdentity => Advice {
            why: "AKS puts AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE into a pod that has the label azure.workload.identity/use: \"true\", when it is created.",
            hint: "label the pod's template, annotate its service account with azure.workload.identity/client-id, and create the pod anew",
            commands: vec![
                "kubectl get pod <pod> --namespace <namespace> --output yaml".to_owned(),
                "az aks show --name <cluster> --resource-group <resource-group> --query securityProfile.workloadIdentity"
                    .to_owned(),
            ],
        },
        TokenSource::ManagedIdentity => Advice {
            why: "redpath asks the metadata service of a virtual machine; those of App Service, Arc and Service Fabric are others.",
            hint: "run it on a virtual machine, or take another source of the token",
            commands: Vec::new(),
        },
        TokenSource::AzureCli => Advice { why: "", hint: "run az account show as the user of the probe", commands: Vec::new() },
    }
}

fn unreachable_advice(source: TokenSource) -> Advice {
    match source {
        TokenSource::WorkloadIdentity => Advice {
            why: "The token endpoint is public: networks that let nothing out to the internet have to let this through.",
            hint: "let port 443 of the token endpoint through (service tag AzureActiveDirectory)",
            commands: vec![
                "az network nic list-effective-nsg --name <nic-of-this-vm> --resource-group <resource-group>"
                    .to_owned(),
            ],
        },
        TokenSource::ManagedIdentity => Advice {
            why: "By likelihood: this is no virtual machine of Azure; a network policy or firewall on the machine blocks 169.254.169.254; the metadata service is busy.",
            hint: "run it on a virtual machine with an identity; in a pod take workload_identity",
            commands: vec!["az vm identity show --name <vm> --resource-group <resource-group>".to_owned()],
        },
        TokenSource::AzureCli => Advice {
            why: "The Azure CLI takes seconds to start, and asks the internet.",
            hint: "allow more time with --timeout (timeout); the agent goes on fetching for its next probe",
            commands: vec![
                "az account get-access-token --scope https://redis.azure.com/.default --query expiresOn".to_owned(),
            ],
        },
    }
}

fn rejected_advice(facts: &TokenFacts, status: u16, code: &str) -> Advice {
    let client = facts.client_id.as_deref().map_or("<client-id>", |id| shell_safe_or(id, "<client-id>"));
    let credentials =
        "az identity federated-credential list --identity-name <identity> --resource-group <resource-group>".to_owned();
    match (facts.source, code) {
        (_, "AADSTS700016") => Advice {
            why: "The tenant knows no identity with this client ID: the ID or the tenant is another's.",
            hint: "set the client ID right (client_id, AZURE_CLIENT_ID), and the tenant (AZURE_TENANT_ID)",
            commands: vec![
                format!("az ad sp show --id {client}"),
                "az identity show --name <identity> --resource-group <resource-group>".to_owned(),
            ],
        },
        (_, "AADSTS70021" | "AADSTS700211" | "AADSTS700212" | "AADSTS700213") => Advice {
            why: "The identity has no federated credential for this service account: issuer, subject (system:serviceaccount:NAMESPACE:NAME) and audience have to be equal letter by letter.",
            hint: "create the federated credential for the cluster's issuer and the pod's service account",
            commands: vec![
                credentials,
                "az aks show --name <cluster> --resource-group <resource-group> --query oidcIssuerProfile.issuerUrl"
                    .to_owned(),
            ],
        },
        (_, "AADSTS700024" | "AADSTS700027" | "AADSTS50013") => Advice {
            why: "The service account token is not taken: it has expired by the endpoint's clock, or its signature is not the issuer's.",
            hint: "look whether the kubelet renews the file, and whether the node's clock is right",
            commands: vec![credentials],
        },
        (_, "AADSTS7000215" | "AADSTS7000222") => Advice {
            why: "The endpoint takes the assertion for a secret that is wrong or has expired.",
            hint: "look at the identity's credentials",
            commands: vec![credentials],
        },
        (_, "AADSTS90002" | "AADSTS900023") => Advice {
            why: "There is no such tenant.",
            hint: "set AZURE_TENANT_ID right",
            commands: vec!["az account show --query tenantId".to_owned()],
        },
        (_, "AADSTS53003") => Advice {
            why: "A policy of conditional access blocks the identity from here.",
            hint: "ask the owner of the tenant for the sign-in log of the identity",
            commands: Vec::new(),
        },
        (TokenSource::ManagedIdentity, _) if matches!(status, 400 | 404) => Advice {
            why: "The metadata service answers, and has no such identity for this machine: none is assigned, several are and no client_id says which, or the client_id is another's.",
            hint: "assign the identity to this machine, and give its client ID where there are several",
            commands: vec![
                "az vm identity show --name <vm> --resource-group <resource-group>".to_owned(),
                "az vmss identity show --name <scale-set> --resource-group <resource-group>".to_owned(),
            ],
        },
        _ if status == 429 || status >= 500 => Advice {
            why: "The endpoint is busy or in trouble; it is asked again after a while.",
            hint: "wait and probe again",
            commands: Vec::new(),
        },
        _ => Advice {
            why: "The endpoint answers, and refuses.",
            hint: "look the code up, and compare tenant, client ID and federated credential",
            commands: vec![credentials],
        },
    }
}
