//! Sends a span to the collector at the URL in the arguments, with the default exporter.

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;

fn main() {
    export();
    #[cfg(feature = "used")]
    used::fetch();
    export();
}

fn export() {
    let url = std::env::args().nth(1).unwrap();
    let exporter = SpanExporter::builder().with_http().with_endpoint(url).build().unwrap();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    provider.tracer("downstream").in_span("checkout", |_| ());
    println!("flush: {:?}", provider.force_flush());
    println!("shutdown: {:?}", provider.shutdown());
}
