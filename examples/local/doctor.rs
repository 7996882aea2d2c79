//! The local pods of the example `doctor`. Each of them has one fault.

#[path = "../support/faults.rs"]
mod faults;

use eks_credentials::Diagnosis;

/// Returns one line for each fault, with its name and the finding that it causes.
pub(crate) fn list_faults() -> Result<String, String> {
    let lines = faults::all().into_iter().map(|fault| format!("{:<46} {}", fault.name, fault.finds));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

pub(crate) fn has_fault(name: &str) -> bool {
    faults::all().iter().any(|fault| fault.name == name)
}

/// Returns `None` if there is no fault with this name.
pub(crate) async fn diagnose(name: &str) -> Option<Diagnosis> {
    match faults::all().into_iter().find(|fault| fault.name == name) {
        Some(fault) => Some(fault.diagnose().await),
        None => None,
    }
}
