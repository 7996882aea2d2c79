//! Sends a request to each URL in the arguments, with `reqwest::Client::new()`.

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = || runtime.block_on(get());
    work();
    #[cfg(feature = "used")]
    used::fetch();
    work();
}

async fn get() {
    let client = reqwest::Client::new();
    for url in std::env::args().skip(1) {
        let response = client.get(url).send().await.unwrap();
        println!("{:?} {} {:?}", response.version(), response.status(), response.text().await.unwrap());
    }
}
