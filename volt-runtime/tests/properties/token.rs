//! The verification of tokens accepts nothing that was altered.

use std::sync::LazyLock;

use proptest::{prelude::*, sample::Index};
use volt_runtime::{
    __core::token::{Claims, LEEWAY, TTL, Token},
    key::{SigningKey, VerifyingKey},
};

const NOW: u64 = 1_700_000_000;

struct Signed {
    key: VerifyingKey,
    claims: Vec<u8>,
    signature: Vec<u8>,
    jwt: String,
}

static SIGNED: LazyLock<[Signed; 2]> = LazyLock::new(|| {
    let binary = SigningKey::generate().unwrap();
    let mut claims = Claims::new("did:volt:1", Some("session"), &[7; 44], NOW);
    let (text, signature) = claims.sign(&binary).unwrap();
    let jwt = Token::parse(&text, signature.clone().into()).unwrap().to_jwt();
    let binary = Signed { key: binary.verifying_key(), claims: text, signature, jwt };
    let legacy = SigningKey::generate_rsa().unwrap();
    claims.sub = None;
    let jwt = claims.to_legacy_jwt(&legacy).unwrap();
    let (text, signature) = (binary.claims.clone(), binary.signature.clone());
    [binary, Signed { key: legacy.verifying_key(), claims: text, signature, jwt }]
});

/// A text that differs from the original.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), 1..=u8::MAX).prop_map(|(at, by)| Change::Flip(at, by)),
        1 => any::<Index>().prop_map(Change::Remove),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

impl Change {
    fn apply(&self, mut text: Vec<u8>) -> Vec<u8> {
        let len = text.len();
        match self {
            Self::Flip(at, by) => text[at.index(len)] ^= by,
            Self::Remove(at) => drop(text.remove(at.index(len))),
            Self::Insert(at, byte) => text.insert(at.index(len), *byte),
            Self::Cut(at) => text.truncate(at.index(len)),
        }
        text
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_altered_key_exchange_is_not_accepted(of_claims in any::<bool>(), change in change()) {
        let signed = &SIGNED[0];
        let (mut claims, mut signature) = (signed.claims.clone(), signed.signature.clone());
        let changed = if of_claims { &mut claims } else { &mut signature };
        *changed = change.apply(std::mem::take(changed));
        prop_assume!(claims != signed.claims || signature != signed.signature);
        if let Ok(token) = Token::parse(&claims, signature.into()) {
            prop_assert!(token.verify(&signed.key).is_err());
        }
    }

    #[test]
    fn an_altered_jwt_is_not_accepted(legacy in any::<bool>(), change in change()) {
        let signed = &SIGNED[usize::from(legacy)];
        let jwt = change.apply(signed.jwt.clone().into_bytes());
        prop_assume!(jwt != signed.jwt.as_bytes());
        if let Ok(token) = std::str::from_utf8(&jwt).map_err(drop)
            .and_then(|jwt| Token::parse_jwt(jwt).map_err(drop))
        {
            prop_assert!(token.verify(&signed.key).is_err());
        }
    }

    #[test]
    fn a_token_is_valid_for_its_volt_within_its_time_and_the_leeway(
        audience in "did:volt:[12]",
        offset in -200..200_i64,
    ) {
        let signed = &SIGNED[0];
        let token = Token::parse(&signed.claims, signed.signature.clone().into()).unwrap();
        let within = offset.unsigned_abs() <= TTL + LEEWAY;
        let valid = token.check(&audience, NOW.saturating_add_signed(offset)).is_ok();
        prop_assert_eq!(valid, within && audience == "did:volt:1");
    }
}

#[test]
fn unaltered_tokens_are_accepted() {
    for signed in &*SIGNED {
        let token = Token::parse_jwt(&signed.jwt).unwrap();
        token.verify(&signed.key).unwrap();
        // A token of one key is not valid for the other.
        let others = SIGNED.iter().filter(|other| other.jwt != signed.jwt);
        assert!(others.into_iter().all(|other| token.verify(&other.key).is_err()));
    }
}
