//! The local pods of `doctor`. Each pod has one fault.

#[path = "../support/faults.rs"]
mod faults;

use eks_credentials::Diagnosis;

/// One line for each fault: its name, and the finding that it causes.
pub(crate) fn list_faults() -> Result<String, String> {
    let lines = faults::all().into_iter().map(|fault| format!("{:<46} {}", fault.name, fault.finds));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

pub(crate) fn has_fault(name: &str) -> bool {
    faults::all().iter().any(|fault| fault.name == name)
}

/// `None` if there is no fault of that name.
pub(crate) async fn diagnose(name: &str) -> Option<Diagnosis> {
    match faults::all().into_iter().find(|fault| fault.name == name) {
        Some(fault) => Some(fault.diagnose().await),
        None => None,
    }
}
