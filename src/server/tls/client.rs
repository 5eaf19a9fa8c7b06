//! Client certificates, with the policies of Go's `tls.ClientAuthType`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The client certificates that the server requests or requires.
pub(crate) struct ClientCertificates {
    /// Whether one is requested, required, verified.
    pub(crate) policy: Policy,
    /// The authorities, PEM.
    pub(crate) ca_file: Option<PathBuf>,
    /// A certificate must have one of these subject alternative names; empty: any name.
    pub(crate) allowed_sans: Vec<String>,
}

/// `client_auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// `NoClientCert`: not requested.
    None,
    /// `RequestClientCert`: requested, optional, not verified.
    Request,
    /// `RequireAnyClientCert`: required, not verified.
    RequireAny,
    /// `VerifyClientCertIfGiven`: optional, verified.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: required and verified.
    RequireAndVerify,
}

impl Policy {
    const ALL: [Self; 5] = [Self::None, Self::Request, Self::RequireAny, Self::VerifyIfGiven, Self::RequireAndVerify];

    /// The policy of a name of the web configuration.
    ///
    /// # Errors
    /// A sentence with the names that are accepted.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        if name == "RequireClientCert" {
            return Ok(Self::RequireAny); // the older name, which the toolkit keeps
        }
        Self::ALL.into_iter().find(|policy| policy.as_str() == name).ok_or_else(|| {
            format!("{name:?} is not a client_auth_type: {} are", Self::ALL.map(Self::as_str).join(", "))
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "NoClientCert",
            Self::Request => "RequestClientCert",
            Self::RequireAny => "RequireAnyClientCert",
            Self::VerifyIfGiven => "VerifyClientCertIfGiven",
            Self::RequireAndVerify => "RequireAndVerifyClientCert",
        }
    }

    /// Whether a client without a certificate is rejected.
    pub(crate) fn is_mandatory(self) -> bool {
        match self {
            Self::RequireAny | Self::RequireAndVerify => true,
            Self::None | Self::Request | Self::VerifyIfGiven => false,
        }
    }

    /// Whether a certificate is verified against `client_ca_file`.
    pub(crate) fn verifies(self) -> bool {
        match self {
            Self::VerifyIfGiven | Self::RequireAndVerify => true,
            Self::None | Self::Request | Self::RequireAny => false,
        }
    }
}

/// The verifier for the settings.
///
/// # Errors
/// A sentence that names the key and the file.
pub(crate) fn verifier(
    settings: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    if settings.policy == Policy::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let chain = match &settings.ca_file {
        Some(path) if settings.policy.verifies() => {
            let mut roots = RootCertStore::empty();
            for certificate in super::certificates("client_ca_file", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("client_ca_file {} cannot be used: {error}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| format!("client_ca_file {} cannot be used: {error}", path.display()))?;
            Some(verifier)
        }
        Some(_) | None => None,
    };
    Ok(Arc::new(Verifier {
        chain,
        mandatory: settings.policy.is_mandatory(),
        allowed_sans: settings.allowed_sans.clone(),
        algorithms: provider.signature_verification_algorithms,
    }))
}

/// Verifies the chain and the names as configured, and always that the client has the private key.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<dyn ClientCertVerifier>>,
    mandatory: bool,
    allowed_sans: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.as_ref().map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        if self.allowed_sans.is_empty() || names(end_entity)?.iter().any(|name| self.allowed_sans.contains(name)) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The subject alternative names that the toolkit compares: DNS names, mail addresses, IP addresses, URIs.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let bad = |()| Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| bad(()))?;
    let Some(extension) = certificate.subject_alternative_name().map_err(|_| bad(()))? else {
        return Ok(Vec::new());
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    };
    Ok(extension.value.general_names.iter().filter_map(name).collect())
}
