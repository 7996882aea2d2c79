//! Like `floor`, with ring as the cryptography of rustls.

#[path = "floor.rs"]
mod floor;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "installed already")?;
    floor::main()
}
