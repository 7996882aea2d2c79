//! Signs and verifies a token with `jsonwebtoken::encode()` and `decode()`.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

fn main() {
    work();
    #[cfg(feature = "used")]
    used::fetch();
    work();
}

fn work() {
    let claims = json!({ "sub": "downstream", "exp": 4_000_000_000_u64 });
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"a secret")).unwrap();
    println!("{token}");
    let validation = Validation::new(Algorithm::HS256);
    let decoded = jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_secret(b"a secret"), &validation);
    println!("{:?}", decoded.map(|token| token.claims));
}
