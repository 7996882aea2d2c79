//! OAUTHBEARER tokens for Amazon MSK, as the callback of librdkafka gets them: without waiting, on a thread without a runtime.
//!
//! ```text
//! cargo run --manifest-path examples/tokens/Cargo.toml --bin kafka
//! ```
//!
//! librdkafka asks for the next token at 80 % of the lifetime of the current one. With rdkafka, the callback is
//! `ClientContext::generate_oauth_token`.

mod support;

use std::time::{Duration, SystemTime};

use eks_credentials::{Health, IamTokenGenerator};
use support::{Result, ensure};

/// The result of the callback: token, name of the principal, end in milliseconds since 1970. The brokers ignore the name.
fn generate_oauth_token(generator: &IamTokenGenerator) -> Result<(String, String, i64)> {
    let token = generator.try_token()?;
    Ok((token.as_str().to_owned(), "app".to_owned(), token.expires_at_millis()))
}

fn print(when: &str, generator: &IamTokenGenerator) {
    match generate_oauth_token(generator) {
        Ok((token, _, lifetime_ms)) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let left = u64::try_from(lifetime_ms).map(Duration::from_millis).unwrap_or_default().saturating_sub(now);
            println!("{when}: a token of {} characters that ends in {:.1} s", token.len(), left.as_secs_f64());
        }
        Err(error) => println!("{when}: no token, and librdkafka tries again after 10 s ({error})"),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (pod, provider) = support::pod().await?;
    let generator = provider.iam_tokens().msk()?;
    let callback = |when: &'static str| {
        let generator = generator.clone();
        // Like the thread of librdkafka, this one is in no runtime.
        std::thread::spawn(move || print(when, &generator)).join().map_err(|_| "the callback panicked")
    };
    let mut status = provider.subscribe();
    callback("before the first fetch")?;
    status.wait_for(|status| status.is_ready()).await?;
    callback("after the first fetch")?;
    status.wait_for(|status| status.refreshes == 2).await?;
    callback("after a refresh")?;
    pod.agent().stop().await;
    status.wait_for(|status| status.health == Health::Degraded).await?;
    callback("in an outage of the agent")?;
    status.wait_for(|status| status.health == Health::Expired).await?;
    callback("after the end of the credentials")?;
    pod.agent().restart().await?;
    status.wait_for(|status| status.is_ready()).await?;
    callback("after the outage")?;
    ensure(generate_oauth_token(&generator).is_ok(), "a token after the outage")
}
