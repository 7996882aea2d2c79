//! What a program in a pod has to know of its surroundings.

use eks_credentials::Diagnosis;

/// Ends when the process is asked to end: by kubelet (SIGTERM) or by Ctrl-C. In a container the process has the id 1, for
/// which neither of them does anything by default.
pub(crate) async fn told_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => drop(interrupted.await),
    }
    #[cfg(not(unix))]
    let _ = interrupted.await;
}

/// A local pod must never replace a real one: the program would report that it is ready with credentials that nobody
/// accepts.
///
/// # Errors
///
/// In a Kubernetes cluster, with what is missing and what to do.
pub(crate) async fn refuse_stand_in_in_a_cluster() -> Result<(), String> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Ok(());
    }
    let diagnosis = Diagnosis::of_env().await;
    Err(format!(
        "this is a Kubernetes cluster (KUBERNETES_SERVICE_HOST is set), so that no local pod is started in place of the \
         credentials that this pod should have.\n{diagnosis}"
    ))
}
