//! As `floor`, with ring installed for rustls.

#[path = "floor.rs"]
mod floor;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "installed already")?;
    floor::main()
}
