//! The verification of tokens. One token is signed, with a key that signs nothing else: no other
//! input may be accepted for this key.

#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use volt_runtime::{
    __core::token::{LEEWAY, MAX_VALIDITY, Token},
    key::{SigningKey, VerifyingKey},
};

/// The client's key in the recorded calls, and the tokens signed with it.
static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let keys: serde_json::Value =
        serde_json::from_str(include_str!("../../volt-runtime/tests/vectors/keys.json")).unwrap();
    SigningKey::from_pem(keys["client"]["private_pem"].as_str().unwrap()).unwrap().verifying_key()
});
static SIGNED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let text = include_str!("../../volt-runtime/tests/vectors/jwt_eddsa.json");
    let tokens: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    tokens.iter().map(|token| token["token"].as_str().unwrap().to_owned()).collect()
});

fuzz_target!(|data: &[u8]| {
    if let Ok(token) =
        std::str::from_utf8(data).map_err(drop).and_then(|jwt| Token::parse_jwt(jwt).map_err(drop))
    {
        check(&token);
        assert_eq!(token.to_jwt().as_bytes(), data);
    }
    // In the form of a key exchange: the signature, then the claims.
    if let Some((signature, claims)) = data.split_at_checked(64)
        && let Ok(token) = Token::parse(claims, Bytes::copy_from_slice(signature))
    {
        check(&token);
    }
});

fn check(token: &Token) {
    if token.verify(&KEY).is_ok() {
        assert!(SIGNED.contains(&token.to_jwt()), "forged: {}", token.to_jwt());
    }
    let claims = token.claims();
    assert!(token.check("", 0).is_err() || claims.aud.is_empty());
    for now in [0, 1_700_000_000, u64::MAX, claims.iat, claims.exp] {
        let valid = token.check_times(now).is_ok();
        let within = claims.iat.saturating_sub(LEEWAY) <= now
            && now <= claims.exp.saturating_add(LEEWAY)
            && claims.exp <= now.saturating_add(MAX_VALIDITY);
        assert_eq!(valid, within, "{claims:?} at {now}");
    }
    let _ = token.ephemeral_der();
}
