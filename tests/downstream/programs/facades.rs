//! Uses common crates whose features change their behaviour: the order of keys and the numbers of serde_json, the events that
//! tracing sends to log, and the hosts that url accepts.

use serde_json::Value;

/// The features `preserve_order`, `arbitrary_precision` and `float_roundtrip` change the results of these texts.
const JSON: [&str; 4] =
    [r#"{"b":1,"a":2}"#, "1e400", "0.1000000000000000055511151231257827", "123456789012345678901234567890"];

struct Printed;

impl log::Log for Printed {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("log: {} {} {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

fn main() {
    log::set_logger(&Printed).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    work();
    #[cfg(feature = "used")]
    used::fetch();
    work();
}

fn work() {
    log::trace!("a record");
    tracing::error!("an event without a subscriber");
    for text in JSON {
        println!("{:?}", serde_json::from_str::<Value>(text).map(|value| value.to_string()));
    }
    println!("{}", serde_json::from_str::<Value>(&"[".repeat(200)).unwrap_err());
    for url in ["http://bücher.example/", "http://0x7f.1/", "http://a b/"] {
        println!("{:?}", url::Url::parse(url).map(String::from));
    }
}
