//! A child process with its own environment, which builds both configurations.

use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};

use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use tracing_subscriber::fmt::MakeWriter;

use crate::fields::{Fields, fields};

/// The prefix of the lines that the child prints for its parent.
const MARK: &str = "@compared ";

pub(crate) struct Compared {
    /// `None` if `load_defaults` panicked.
    pub(crate) loader: Option<Fields>,
    pub(crate) ours: Fields,
    /// The events that this crate logged at WARN.
    pub(crate) warnings: String,
}

/// Runs the ignored test `name` of this program in a child process whose only variables are `env`. Returns the lines that begin
/// with `mark`.
pub(crate) fn run(name: &str, mark: &str, env: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture"]);
    // Otherwise aws-config requests a region from IMDS.
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").envs(env.iter().copied());
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{env:?}: {stdout} {}", String::from_utf8_lossy(&output.stderr));
    stdout.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
}

pub(crate) fn compare(env: &[(&str, &str)]) -> Compared {
    let lines = run("child::child", MARK, env);
    let [loader, ours, warnings] = lines.as_slice() else { panic!("{env:?}: {lines:?}") };
    Compared {
        loader: serde_json::from_str::<Option<_>>(loader).unwrap().map(known),
        ours: known(serde_json::from_str(ours).unwrap()),
        warnings: serde_json::from_str(warnings).unwrap(),
    }
}

/// Leaks the names, which are few, because `Fields` has `'static` names.
fn known(fields: std::collections::BTreeMap<String, String>) -> Fields {
    fields.into_iter().map(|(name, value)| (&*name.leak(), value)).collect()
}

#[tokio::test]
#[ignore = "the other tests run it as a child process with its own environment"]
async fn child() {
    let loaded = tokio::spawn(aws_config::load_defaults(BehaviorVersion::latest())).await;
    let loader = loaded.ok().map(|config| fields(&config));
    let (ours, warnings) = logged(tracing::Level::WARN, || {
        let provider = EksCredentialsProvider::from_env().unwrap();
        fields(&provider.sdk_config(BehaviorVersion::latest()).build())
    });
    // The test harness has already written a part of this line.
    println!();
    for json in [serde_json::json!(loader), serde_json::json!(ours), serde_json::json!(warnings)] {
        println!("{MARK}{json}");
    }
}

/// The result of `action`, and what it logs at `level` and above.
pub(crate) fn logged<T>(level: tracing::Level, action: impl FnOnce() -> T) -> (T, String) {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).without_time().with_writer(log.clone());
    let result = tracing::subscriber::with_default(subscriber.finish(), action);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (result, text)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
