//! Fetches credentials, for the programs that have eks-credentials in their dependency tree.

use eks_credentials::EksCredentialsProvider;

/// Fetches credentials with the environment in `POD_ENV`, which `run` sets. It has one variable on each line.
pub fn fetch() {
    let vars = std::env::var("POD_ENV").expect("POD_ENV is set by `run`");
    let vars = vars.lines().filter_map(|line| line.split_once('='));
    let vars: Vec<(String, String)> = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // In a new thread, because the program may already be inside a runtime.
    let fetched = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let provider = EksCredentialsProvider::builder().env(vars).build()?;
            provider.credentials().await.map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        })
    });
    let credentials = fetched.join().expect("fetching does not panic").expect("`run` answers as STS and the agent");
    assert_eq!(credentials.access_key_id(), "AKIDDOWNSTREAM");
}
