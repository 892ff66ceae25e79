//! What Web Cryptography needs, by ring: digests, HMAC, AES-GCM, key derivation, signatures. Names of
//! algorithms and forms of keys are the business of platform/crypto.js.

use super::functions;
use crate::raw;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use ring::{digest, hkdf, hmac, pbkdf2};
use rquickjs::{Array, Ctx, Exception, Object, Result, TypedArray, Value};
use std::cell::RefCell;
use std::num::NonZeroU32;

/// Bytes that `Math.random` takes from the system at a time.
const CHANCE_BYTES: usize = 512;

/// Random bytes of one call (W3C Web Cryptography, `getRandomValues`).
const RANDOM_BYTES_MAX: usize = 65_536;

/// Rounds of PBKDF2, times blocks of its output: nothing can interrupt them.
const ROUNDS_MAX: u64 = 2_000_000;

type Bytes<'js> = Option<TypedArray<'js, u8>>;

pub(super) fn install<'js>(ctx: &Ctx<'js>, door: &Object<'js>) -> Result<()> {
    functions!(ctx, door, {
        "random" => |ctx: Ctx<'js>, count: usize| {
            let bytes = random(&ctx, count)?;
            TypedArray::<u8>::new_copy(ctx, bytes)
        },
        "chance" => chances(),
        "hex" => |ctx: Ctx<'js>, count: usize| -> Result<String> {
            Ok(random(&ctx, count)?.iter().map(|byte| format!("{byte:02x}")).collect())
        },
        "digest" => |ctx: Ctx<'js>, hash: String, data: Value<'js>| -> Result<Bytes<'js>> {
            let made = digest_of(&hash).and_then(|hash| {
                raw::bytes_of(&data, |data| digest::digest(hash, data))
            });
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "hmac" => |ctx: Ctx<'js>, hash: String, key: Value<'js>, data: Value<'js>| -> Result<Bytes<'js>> {
            let made = hmac_key(&hash, &key)
                .and_then(|key| raw::bytes_of(&data, |data| hmac::sign(&key, data)));
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "hmacVerify" => |hash: String, key: Value<'js>, tag: Value<'js>, data: Value<'js>| {
            hmac_key(&hash, &key).is_some_and(|key| {
                let (tag, data) = (copied(&tag), copied(&data));
                hmac::verify(&key, &data, &tag).is_ok()
            })
        },
        "seal" => |ctx: Ctx<'js>, key: Value<'js>, nonce: Value<'js>, aad: Value<'js>, data: Value<'js>| -> Result<Bytes<'js>> {
            let made = aead(&key, &nonce).and_then(|(key, nonce)| {
                let mut data = copied(&data);
                key.seal_in_place_append_tag(nonce, Aad::from(copied(&aad)), &mut data).ok()?;
                Some(data)
            });
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "open" => |ctx: Ctx<'js>, key: Value<'js>, nonce: Value<'js>, aad: Value<'js>, data: Value<'js>| -> Result<Bytes<'js>> {
            let made = aead(&key, &nonce).and_then(|(key, nonce)| {
                let mut data = copied(&data);
                let plain = key.open_in_place(nonce, Aad::from(copied(&aad)), &mut data).ok()?;
                Some(plain.to_vec())
            });
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "pbkdf2" => |ctx: Ctx<'js>, hash: String, secret: Value<'js>, salt: Value<'js>, rounds: u32, count: usize| -> Result<Bytes<'js>> {
            let made = derive_slowly(&hash, &copied(&secret), &copied(&salt), rounds, count);
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "hkdf" => |ctx: Ctx<'js>, hash: String, secret: Value<'js>, salt: Value<'js>, info: Value<'js>, count: usize| -> Result<Bytes<'js>> {
            let made = derive(&hash, &copied(&secret), &copied(&salt), &copied(&info), count);
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "keyPair" => |ctx: Ctx<'js>, kind: String| -> Result<Bytes<'js>> {
            let random = SystemRandom::new();
            let made = match curve(&kind) {
                Some(curve) => EcdsaKeyPair::generate_pkcs8(curve, &random),
                None => Ed25519KeyPair::generate_pkcs8(&random),
            };
            made.ok().map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "publicOf" => |ctx: Ctx<'js>, seed: Value<'js>| -> Result<Bytes<'js>> {
            let pair = Ed25519KeyPair::from_seed_unchecked(&copied(&seed)).ok();
            pair.map(|pair| TypedArray::new_copy(ctx, pair.public_key())).transpose()
        },
        "sign" => |ctx: Ctx<'js>, kind: String, private: Value<'js>, public: Value<'js>, data: Value<'js>| -> Result<Bytes<'js>> {
            let made = sign(&kind, &copied(&private), &copied(&public), &copied(&data));
            made.map(|made| TypedArray::new_copy(ctx, made)).transpose()
        },
        "isPair" => |kind: String, private: Value<'js>, public: Value<'js>| {
            sign(&kind, &copied(&private), &copied(&public), b"").is_some()
        },
        "verify" => |algorithm: String, key: Array<'js>, signed: Value<'js>, data: Value<'js>| -> Result<bool> {
            let first: Value<'js> = key.get(0)?;
            let second: Value<'js> = key.get(1)?;
            let (signed, data) = (copied(&signed), copied(&data));
            Ok(verify(&algorithm, &copied(&first), &copied(&second), &signed, &data))
        },
    });
    Ok(())
}

fn copied(value: &Value<'_>) -> Vec<u8> {
    raw::bytes_of(value, <[u8]>::to_vec).unwrap_or_default()
}

fn random(ctx: &Ctx<'_>, count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count.min(RANDOM_BYTES_MAX)];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Exception::throw_internal(ctx, "the system gives no random bytes")),
    }
}

fn digest_of(hash: &str) -> Option<&'static digest::Algorithm> {
    match hash {
        "SHA-1" => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        "SHA-256" => Some(&digest::SHA256),
        "SHA-384" => Some(&digest::SHA384),
        "SHA-512" => Some(&digest::SHA512),
        _ => None,
    }
}

fn hmac_key(hash: &str, key: &Value<'_>) -> Option<hmac::Key> {
    let algorithm = match hash {
        "SHA-1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "SHA-256" => hmac::HMAC_SHA256,
        "SHA-384" => hmac::HMAC_SHA384,
        "SHA-512" => hmac::HMAC_SHA512,
        _ => return None,
    };
    raw::bytes_of(key, |key| hmac::Key::new(algorithm, key))
}

fn aead(key: &Value<'_>, nonce: &Value<'_>) -> Option<(LessSafeKey, Nonce)> {
    let nonce = raw::bytes_of(nonce, Nonce::try_assume_unique_for_key)?.ok()?;
    let key = raw::bytes_of(key, |key| {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        UnboundKey::new(algorithm, key)
    })?;
    Some((LessSafeKey::new(key.ok()?), nonce))
}

fn derive_slowly(
    hash: &str,
    secret: &[u8],
    salt: &[u8],
    rounds: u32,
    count: usize,
) -> Option<Vec<u8>> {
    let (algorithm, block) = match hash {
        "SHA-1" => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        "SHA-256" => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        "SHA-384" => (pbkdf2::PBKDF2_HMAC_SHA384, 48),
        "SHA-512" => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        _ => return None,
    };
    let blocks = u64::try_from(count.div_ceil(block)).ok()?;
    if u64::from(rounds).saturating_mul(blocks) > ROUNDS_MAX {
        return None;
    }
    let mut out = vec![0; count];
    pbkdf2::derive(algorithm, NonZeroU32::new(rounds)?, salt, secret, &mut out);
    Some(out)
}

/// The length of what HKDF gives.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(hash: &str, secret: &[u8], salt: &[u8], info: &[u8], count: usize) -> Option<Vec<u8>> {
    let algorithm = match hash {
        "SHA-1" => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
        "SHA-256" => hkdf::HKDF_SHA256,
        "SHA-384" => hkdf::HKDF_SHA384,
        "SHA-512" => hkdf::HKDF_SHA512,
        _ => return None,
    };
    let key = hkdf::Salt::new(algorithm, salt).extract(secret);
    let info = [info];
    // RFC 5869 §2.3: no more than 255 blocks.
    let stream = key.expand(&info, Length(count)).ok()?;
    let mut out = vec![0; count];
    stream.fill(&mut out).ok()?;
    Some(out)
}

fn curve(kind: &str) -> Option<&'static signature::EcdsaSigningAlgorithm> {
    match kind {
        "P-256" => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        "P-384" => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => None,
    }
}

fn sign(kind: &str, private: &[u8], public: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let Some(curve) = curve(kind) else {
        let pair = Ed25519KeyPair::from_seed_and_public_key(private, public).ok()?;
        return Some(pair.sign(data).as_ref().to_vec());
    };
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(curve, private, public, &random).ok()?;
    Some(pair.sign(&random, data).ok()?.as_ref().to_vec())
}

/// `first` is the public key; of RSA the modulus, and `second` the exponent.
fn verify(algorithm: &str, first: &[u8], second: &[u8], signed: &[u8], data: &[u8]) -> bool {
    let rsa = match algorithm {
        "RSASSA-PKCS1-v1_5 SHA-256" => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RSASSA-PKCS1-v1_5 SHA-384" => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RSASSA-PKCS1-v1_5 SHA-512" => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        "RSA-PSS SHA-256" => Some(&signature::RSA_PSS_2048_8192_SHA256),
        "RSA-PSS SHA-384" => Some(&signature::RSA_PSS_2048_8192_SHA384),
        "RSA-PSS SHA-512" => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    };
    if let Some(parameters) = rsa {
        let key = signature::RsaPublicKeyComponents { n: first, e: second };
        return key.verify(parameters, data, signed).is_ok();
    }
    let algorithm: &dyn signature::VerificationAlgorithm = match algorithm {
        "P-256 SHA-256" => &signature::ECDSA_P256_SHA256_FIXED,
        "P-384 SHA-384" => &signature::ECDSA_P384_SHA384_FIXED,
        "Ed25519" => &signature::ED25519,
        _ => return false,
    };
    signature::UnparsedPublicKey::new(algorithm, first).verify(data, signed).is_ok()
}

/// `Math.random`: 53 random bits as a fraction.
fn chances() -> impl Fn() -> Result<f64> {
    let bytes = RefCell::new((vec![0_u8; CHANCE_BYTES], CHANCE_BYTES));
    move || {
        let (bytes, at) = &mut *bytes.borrow_mut();
        if *at >= bytes.len() {
            SystemRandom::new().fill(bytes).map_err(|_| rquickjs::Error::Unknown)?;
            *at = 0;
        }
        let word = bytes.get(*at..).and_then(<[u8]>::first_chunk::<8>).copied().unwrap_or_default();
        *at += word.len();
        #[expect(clippy::cast_precision_loss, reason = "it has 53 bits")]
        let bits = (u64::from_le_bytes(word) >> 11) as f64;
        Ok(bits / (1_u64 << 53) as f64)
    }
}
