//! JSON Web Signatures in compact serialization (RFC 7515), with the two algorithms that cluster issuers use.
//!
//! This uses aws-lc-rs directly and not a JWT library. Such a library selects its cryptography once for each process. If two
//! crates in a program select different ones, they break each other, and this crate must not cause that.

use std::io;
use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The algorithm that signs service account tokens.
///
/// Set it with [`LocalPodBuilder::signing`](super::LocalPodBuilder::signing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signing {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2048 bits, as on EKS.
    Rs256,
    /// ECDSA with P-256 and SHA-256, which other clusters can use.
    Es256,
}

/// A private key. One is generated for each algorithm and process.
enum Key {
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
}

impl Signing {
    pub(super) fn sign(self, payload: &[u8]) -> io::Result<String> {
        let input = format!("{}.{}", self.header(), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key()?.sign(input.as_bytes());
        let signature = signature.ok_or_else(|| io::Error::other("the token could not be signed"))?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Returns the payload if `token` was signed by [`sign`](Self::sign) with this algorithm.
    pub(super) fn verify(self, token: &str) -> Option<Vec<u8>> {
        let (input, signature) = token.rsplit_once('.')?;
        let (header, payload) = input.split_once('.')?;
        // `sign` writes only this header, so another `alg`, `kid` or `typ`, or a critical extension, is not valid.
        if header != self.header() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key().ok()?.verify(input.as_bytes(), &signature)?;
        URL_SAFE_NO_PAD.decode(payload).ok()
    }

    fn header(self) -> String {
        let alg = match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        };
        URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"local"}}"#))
    }

    fn key(self) -> io::Result<&'static Key> {
        static RS256: OnceLock<Option<Key>> = OnceLock::new();
        static ES256: OnceLock<Option<Key>> = OnceLock::new();
        let key = match self {
            Self::Rs256 => RS256.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok().map(Key::Rs256)),
            Self::Es256 => {
                let generate = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                ES256.get_or_init(|| generate().ok().map(Key::Es256))
            }
        };
        key.as_ref().ok_or_else(|| io::Error::other("a signing key could not be generated"))
    }
}

impl Key {
    fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature).ok()?;
                Some(signature)
            }
            Self::Es256(pair) => Some(pair.sign(&random, input).ok()?.as_ref().to_vec()),
        }
    }

    fn verify(&self, input: &[u8], signature: &[u8]) -> Option<()> {
        match self {
            Self::Rs256(pair) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).verify(input, signature)
            }
            Self::Es256(pair) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).verify(input, signature)
            }
        }
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Signing; 2] = [Signing::Rs256, Signing::Es256];

    /// Returns `input` with a signature of `signing`, even if the header names another algorithm.
    fn signed(signing: Signing, input: &str) -> String {
        let signature = signing.key().unwrap().sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn jws_verifies_its_own_signatures() {
        for signing in BOTH {
            let token = signing.sign(b"{\"sub\":\"me\"}").unwrap();
            assert_eq!(signing.verify(&token).unwrap(), b"{\"sub\":\"me\"}", "{signing:?}");
        }
    }

    /// RFC 7518, section 3.3: a signature with RSA-2048 has 256 bytes. Section 3.4: a signature with ES256 consists of R and S,
    /// 32 bytes each.
    #[test]
    fn jws_has_the_header_and_signature_of_its_algorithm() {
        for (signing, alg, size) in [(Signing::Rs256, "RS256", 256), (Signing::Es256, "ES256", 64)] {
            let token = signing.sign(b"{}").unwrap();
            let parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
            let header: serde_json::Value = serde_json::from_slice(&parts[0]).unwrap();
            assert_eq!(header, serde_json::json!({ "typ": "JWT", "alg": alg, "kid": "local" }));
            assert_eq!((parts.len(), parts[2].len()), (3, size));
        }
    }

    #[test]
    fn jws_rejects_a_changed_payload_or_signature() {
        for signing in BOTH {
            let token = signing.sign(b"{\"sub\":\"me\"}").unwrap();
            let parts: Vec<&str> = token.split('.').collect();
            let other = URL_SAFE_NO_PAD.encode("{\"sub\":\"you\"}");
            assert!(signing.verify(&format!("{}.{other}.{}", parts[0], parts[2])).is_none(), "{signing:?}");
            let mut signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
            signature[7] ^= 1;
            let signature = URL_SAFE_NO_PAD.encode(signature);
            assert!(signing.verify(&format!("{}.{}.{signature}", parts[0], parts[1])).is_none(), "{signing:?}");
            assert!(signing.verify(&format!("{}.{}.", parts[0], parts[1])).is_none(), "{signing:?}");
            assert!(signing.verify(&format!("{}.{}", parts[0], parts[1])).is_none(), "{signing:?}");
            assert!(signing.verify(&format!("{token}=")).is_none(), "{signing:?}");
            assert!(signing.verify(&format!("{token}.")).is_none(), "{signing:?}");
        }
    }

    #[test]
    fn jws_rejects_another_algorithm() {
        let [rs256, es256] = BOTH;
        assert!(rs256.verify(&es256.sign(b"{}").unwrap()).is_none());
        assert!(es256.verify(&rs256.sign(b"{}").unwrap()).is_none());
        // The signature matches the key, but the header names the other algorithm.
        for (signing, named) in [(rs256, es256), (es256, rs256)] {
            let token = signed(signing, &format!("{}.e30", named.header()));
            assert!(signing.verify(&token).is_none() && named.verify(&token).is_none(), "{signing:?}");
        }
    }

    /// The signatures match the key, so only the header can be the reason for the rejection.
    #[test]
    fn jws_rejects_another_header() {
        for (signing, alg) in [(Signing::Rs256, "RS256"), (Signing::Es256, "ES256")] {
            let with = |header: &str| signed(signing, &format!("{}.e30", URL_SAFE_NO_PAD.encode(header)));
            let usual = format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"local"}}"#);
            assert!(signing.verify(&with(&usual)).is_some(), "{signing:?}");
            for header in [
                usual.replace("local", "other"),
                usual.replace(r#","kid":"local""#, ""),
                usual.replace(alg, "none"),
                usual.replace(alg, "HS256"),
                usual.replace("JWT", "other"),
                usual.replace('}', r#","crit":["b64"],"b64":false}"#),
                String::new(),
            ] {
                assert!(signing.verify(&with(&header)).is_none(), "{header}");
            }
        }
    }
}
