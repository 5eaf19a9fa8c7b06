//! What a token says of itself. It is read and not verified: the server that is given the token does that.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The claims that matter here, each absent where the token has none that makes sense.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// The object ID of the identity: the user's name for Azure.
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
    /// Of a JSON Web Token (RFC 7519); none of anything else.
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
            object_id: payload.oid.filter(|oid| is_an_id(oid)),
            expires: payload.exp,
            begins: payload.iat.max(payload.nbf),
        }
    }
}

/// Whether it looks like a GUID: nothing else is ever shown, or sent as a user's name.
fn is_an_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_token_says_whose_it_is_and_until_when() {
        let claims = Claims::of(&token(r#"{"oid":"11111111-2222","exp":20,"iat":10,"nbf":12,"aud":[]}"#));
        assert_eq!(claims, Claims { object_id: Some("11111111-2222".into()), expires: Some(20), begins: Some(12) });
    }

    #[test]
    fn nonsense_says_nothing() {
        let long = "1".repeat(65);
        for nonsense in
            ["", "a.b", "a.b.c.d", "a.!!.c", &token("[]"), &token(r#"{"oid":7}"#), &token("{\"oid\":\"a b\"}")]
        {
            assert_eq!(Claims::of(nonsense), Claims::default(), "{nonsense}");
        }
        assert_eq!(Claims::of(&token(&format!(r#"{{"oid":"{long}"}}"#))).object_id, None);
    }
}
