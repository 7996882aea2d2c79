//! The local pod of the example `migrate`. It has IRSA and EKS Pod Identity.
#![allow(clippy::print_stdout, reason = "the output is for people")]

use std::error::Error;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Answer, LocalPod};

use crate::{Association, report};

/// Compares the sources of a local pod with this association.
pub(crate) async fn run(association: Association) -> Result<bool, Box<dyn Error>> {
    println!("Starting a local pod (STS and Pod Identity agent on loopback) that has both sources.");
    let pod = match association {
        Association::DifferentRole => LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/another"),
        Association::DifferentAccount => {
            LocalPod::builder().associated_role_arn("arn:aws:iam::444455556666:role/local-pod")
        }
        Association::SameRole | Association::Denied => LocalPod::builder(),
    };
    let pod = pod.start().await?;
    if association == Association::Denied {
        pod.agent().always(Answer::refuse_with(
            "ResourceNotFoundException",
            "The token included in the request has no service account role association for it.",
        ));
    }
    report(&EksCredentialsProvider::builder().env(pod.both_env()).build()?).await
}
