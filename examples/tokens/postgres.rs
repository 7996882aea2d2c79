//! A connection pool of sqlx for RDS for PostgreSQL, whose new connections always have a valid IAM token.
//!
//! ```text
//! cargo run --manifest-path examples/tokens/Cargo.toml --bin postgres
//! ```
//!
//! The pool is long-lived. RDS checks a token only when a connection is opened, so existing connections stay open when their token
//! ends. A task gives the pool a new token before the current one ends.

mod support;

use eks_credentials::IamTokenGenerator;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use support::{LIFETIME, Result, Verifier, ensure, half_of_lifetime, until};

/// Gives new connections of the pool a new token, as long as the program runs.
async fn renew(pool: PgPool, options: PgConnectOptions, generator: IamTokenGenerator) {
    loop {
        let wait = match generator.token().await {
            Ok(token) => {
                pool.set_connect_options(options.clone().password(token.as_str()));
                half_of_lifetime(token.expires_at())
            }
            Err(error) => {
                println!("  no token: {error}");
                LIFETIME / 8
            }
        };
        tokio::time::sleep(wait).await;
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (pod, provider) = support::pod().await?;
    let (listener, address) = support::postgres::listen().await?;
    // In a cluster this is the endpoint of RDS, and the connection has TLS (`PgSslMode::VerifyFull`).
    let host = "localhost";
    let begins = format!("{host}:{}/?Action=connect&DBUser=app&", address.port());
    let verifier = Verifier::new(pod.ledger(), "rds-db", begins);
    support::postgres::serve(listener, verifier.clone());

    let generator = provider.iam_tokens().rds(host, address.port(), "app")?;
    let token = generator.token().await?;
    let options = PgConnectOptions::new_without_pgpass().host(host).port(address.port()).username("app");
    let options = options.ssl_mode(PgSslMode::Disable);
    let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options.clone().password(token.as_str()));
    tokio::spawn(renew(pool.clone(), options, generator));

    let mut first = pool.acquire().await?;
    first.execute("SELECT 1").await?;
    println!("first connection: signed with {}", verifier.accepted()[0]);

    until("a connection with new credentials", async || {
        // The connection is closed again, so that the pool opens another one.
        if let Ok(connection) = pool.acquire().await {
            let _ = connection.close().await;
        }
        verifier.accepted().last() != verifier.accepted().first()
    })
    .await?;
    first.execute("SELECT 1").await?;
    println!("after a refresh: a new connection is signed with {}", verifier.accepted().pop().unwrap_or_default());
    println!("                 the first connection still works");

    pod.agent().stop().await;
    let connection = pool.acquire().await?;
    connection.close().await?;
    println!("outage of the agent: new connections are opened with tokens that end with the credentials");
    until("the end of the credentials", async || match pool.acquire().await {
        Ok(connection) => {
            let _ = connection.close().await;
            false
        }
        Err(error) => {
            println!("credentials have expired: a new connection is refused ({error})");
            true
        }
    })
    .await?;
    first.execute("SELECT 1").await?;
    println!("                          the first connection still works");

    let before = verifier.accepted().len();
    pod.agent().restart().await?;
    until("a connection after the outage", async || {
        if let Ok(connection) = pool.acquire().await {
            let _ = connection.close().await;
        }
        verifier.accepted().len() > before
    })
    .await?;
    println!("after the outage: a new connection is signed with {}", verifier.accepted().pop().unwrap_or_default());
    ensure(pod.agent().take_unexpected().is_empty(), "only requests that the agent expects")
}
