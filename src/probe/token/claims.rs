//! The claims of a JSON Web Token. They are not verified: the server that receives the token does that.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The claims that are used, each absent where the token has no valid one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// The object ID of the identity: the user name on Azure.
    pub(super) object_id: Option<String>,
    /// When it expires, in seconds since 1970.
    pub(super) expires: Option<i64>,
    /// When it was issued, or is valid from, whichever is later.
    pub(super) begins: Option<i64>,
}

#[derive(Deserialize)]
struct Payload {
    oid: Option<String>,
    exp: Option<i64>,
    iat: Option<i64>,
    nbf: Option<i64>,
}

impl Claims {
    /// Reads a JSON Web Token (RFC 7519); anything else has no claims.
    pub(super) fn of(token: &str) -> Self {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Self::default();
        };
        let Ok(payload) = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map(Zeroizing::new) else {
            return Self::default();
        };
        let Ok(payload) = serde_json::from_slice::<Payload>(&payload) else { return Self::default() };
        Self {
            object_id: payload.oid.filter(|oid| is_id(oid)),
            expires: payload.exp,
            begins: payload.iat.max(payload.nbf),
        }
    }
}

/// Whether it looks like a GUID: nothing else is shown, or sent as a user name.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn claims_are_read() {
        let claims = Claims::of(&token(r#"{"oid":"11111111-2222","exp":20,"iat":10,"nbf":12,"aud":[]}"#));
        assert_eq!(claims, Claims { object_id: Some("11111111-2222".into()), expires: Some(20), begins: Some(12) });
    }

    #[test]
    fn invalid_token_has_no_claims() {
        let long = "1".repeat(65);
        for invalid in
            ["", "a.b", "a.b.c.d", "a.!!.c", &token("[]"), &token(r#"{"oid":7}"#), &token("{\"oid\":\"a b\"}")]
        {
            assert_eq!(Claims::of(invalid), Claims::default(), "{invalid}");
        }
        assert_eq!(Claims::of(&token(&format!(r#"{{"oid":"{long}"}}"#))).object_id, None);
    }
}
