//! Time from `exec` to credentials, of the programs of `benches/weight`. Each contains only what it needs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use eks_credentials::testing::LocalPod;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::report::{Table, median, ratio};

const ROUNDS: usize = 41;
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/weight/bin");
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

const AGENT: [(&str, &str); 6] = [
    ("floor", "floor: reqwest, no TLS"),
    ("ours", "eks-credentials"),
    ("ours-pod-identity", "eks-credentials, `pod-identity` only"),
    ("aws-config", "aws-config"),
    ("object_store", "object_store"),
    ("reqsign", "reqsign"),
];
const STS: [(&str, &str); 5] = [
    ("floor-aws-lc", "floor: reqwest, aws-lc"),
    ("ours", "eks-credentials"),
    ("floor-ring", "floor: reqwest, ring"),
    ("ours-ring", "eks-credentials, `rustls-ring`"),
    ("aws-config", "aws-config"),
];

pub(crate) async fn run() -> Result<Vec<Table>> {
    ensure!(Path::new(PROGRAMS).is_dir(), "run benches/weight/measure first: it builds the programs");
    let pod = LocalPod::start().await?;
    let agent = table("Cold start, Pod Identity", &AGENT, &pod.pod_identity_env(), |_| "floor").await?;
    let https = Https::before(pod.sts().address()).await?;
    let mut env = pod.irsa_env();
    env.retain(|(name, _)| name != "AWS_ENDPOINT_URL_STS");
    env.push(("AWS_ENDPOINT_URL_STS".into(), https.url.clone()));
    env.push(("SSL_CERT_FILE".into(), https.roots.display().to_string()));
    let floor = |program: &str| if program.ends_with("ring") { "floor-ring" } else { "floor-aws-lc" };
    let mut sts = table("Cold start, IRSA over https", &STS, &env, floor).await?;
    sts.note(
        "Root certificates: those of the system and one more. reqsign cannot be configured with another STS endpoint. \
         object_store sends the token in the URL, which the stand-in refuses.",
    );
    Ok(vec![agent, sts])
}

async fn table(
    title: &str,
    programs: &[(&'static str, &str)],
    env: &[(String, String)],
    floor_of: impl Fn(&str) -> &'static str,
) -> Result<Table> {
    let mut table = Table::new(
        &format!("{title}: `exec` to credentials, medians of {ROUNDS} rounds, all programs in turn"),
        &["", "ms (× its floor)", "RSS, MiB"],
    );
    let mut measured = vec![(Vec::new(), Vec::new()); programs.len()];
    for _ in 0..ROUNDS {
        for ((program, _), (millis, rss)) in programs.iter().zip(&mut measured) {
            let (took, resident) = start(program, env).await?;
            millis.push(took);
            rss.push(resident);
        }
    }
    for ((program, title), (millis, rss)) in programs.iter().zip(&measured) {
        let floor = programs.iter().position(|(name, _)| *name == floor_of(program)).context("no floor")?;
        let against: Vec<f64> = millis.iter().zip(&measured[floor].0).map(|(mine, floor)| mine / floor).collect();
        table.row(vec![
            (*title).into(),
            format!("{:.1} ({})", median(millis), ratio(median(&against))),
            format!("{:.1}", median(rss)),
        ]);
    }
    Ok(table)
}

/// Milliseconds until the program reports credentials, and its peak memory (RSS) until then.
async fn start(program: &str, env: &[(String, String)]) -> Result<(f64, f64)> {
    let began = Instant::now();
    let mut process = Command::new(Path::new(PROGRAMS).join(program))
        .env_clear()
        .envs(env.iter().cloned())
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{program} in {PROGRAMS}"))?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().context("no stdout")?).read_line(&mut line).await?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    ensure!(!line.is_empty(), "{program} got no credentials");
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id().context("it has ended")?))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    process.stdin.take().context("no stdin")?.shutdown().await?;
    process.wait().await?;
    Ok((took, kib / 1024.0))
}

/// Terminates TLS for the STS stand-in, with its own certificate authority.
struct Https {
    url: String,
    roots: PathBuf,
    _folder: tempfile::TempDir,
}

impl Https {
    async fn before(sts: std::net::SocketAddr) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &ca)?;
        let folder = tempfile::tempdir()?;
        let roots = folder.path().join("roots.pem");
        let system = std::fs::read_to_string(SYSTEM_ROOTS).context("the system's root certificates")?;
        std::fs::write(&roots, system + &ca.pem())?;

        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| anyhow::anyhow!(e))?;
        let config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (mut client, mut sts) = (acceptor.accept(client).await?, TcpStream::connect(sts).await?);
                    copy_bidirectional(&mut client, &mut sts).await
                });
            }
        });
        Ok(Self { url, roots, _folder: folder })
    }
}
