//! A Redis client for ElastiCache that authenticates its connection again before the IAM token ends.
//!
//! ```text
//! cargo run --manifest-path examples/tokens/Cargo.toml --bin redis
//! ```
//!
//! ElastiCache closes a connection 12 hours after its last `AUTH`. The stream of credentials below sends a new token much earlier:
//! at half of the lifetime of the current one.

mod support;

use std::pin::Pin;
use std::time::Duration;

use eks_credentials::IamTokenGenerator;
use futures_util::{Stream, stream};
use redis::auth::{BasicAuth, StreamingCredentialsProvider};
use redis::{AsyncConnectionConfig, Client};
use support::{LIFETIME, Result, Verifier, ensure, half_of_lifetime, until};

/// The user `app` with IAM tokens as passwords.
struct IamTokens(IamTokenGenerator);

impl StreamingCredentialsProvider for IamTokens {
    /// The first token at once, and every further one at half of the lifetime of the one before. An error does not end the stream,
    /// except for the first token: then the connection fails.
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = redis::RedisResult<BasicAuth>> + Send + 'static>> {
        let start = (self.0.clone(), Duration::ZERO);
        Box::pin(stream::unfold(start, |(generator, wait)| async move {
            tokio::time::sleep(wait).await;
            let (item, next) = match generator.token().await {
                Ok(token) => {
                    let auth = BasicAuth::new("app".to_owned(), token.as_str().to_owned());
                    (Ok(auth), half_of_lifetime(token.expires_at()))
                }
                Err(error) => (Err(std::io::Error::other(error).into()), LIFETIME / 8),
            };
            Some((item, (generator, next)))
        }))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (pod, provider) = support::pod().await?;
    let verifier = Verifier::new(pod.ledger(), "elasticache", "sessions/?Action=connect&User=app&");
    let address = support::redis::serve(verifier.clone()).await?;

    // In a cluster this is the endpoint of ElastiCache with TLS (`rediss://`).
    let client = Client::open(format!("redis://{address}"))?;
    let tokens = IamTokens(provider.iam_tokens().elasticache("sessions", "app")?);
    let config = AsyncConnectionConfig::new().set_credentials_provider(tokens);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    println!("connected: AUTH is signed with {}", verifier.accepted()[0]);

    until("AUTH with new credentials", async || verifier.accepted().last() != verifier.accepted().first()).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    println!("after a refresh: the same connection has sent AUTH signed with {}", last(&verifier));

    pod.agent().stop().await;
    let outage = verifier.accepted().len();
    provider.subscribe().wait_for(|status| status.health == eks_credentials::Health::Expired).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    println!("outage of the agent until the credentials expire: {} more AUTH", verifier.accepted().len() - outage);
    println!("                  the connection still works, because ElastiCache checks tokens only in AUTH");

    let before = last(&verifier);
    pod.agent().restart().await?;
    until("AUTH after the outage", async || last(&verifier) != before).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    println!("after the outage: the same connection has sent AUTH signed with {}", last(&verifier));
    ensure(pod.agent().take_unexpected().is_empty(), "only requests that the agent expects")
}

/// The access key ID of the last token that was accepted.
fn last(verifier: &Verifier) -> String {
    verifier.accepted().pop().unwrap_or_default()
}
