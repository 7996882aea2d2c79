//! Every finding of a diagnosis: its cause, and an example with what to do.
//!
//! [`EksCredentialsProvider::diagnose`](crate::EksCredentialsProvider::diagnose) looks at everything that can be seen from
//! inside a pod, from the variables over the token and the endpoint to one fetch and who STS says the credentials are. Where
//! no provider can be built, [`Diagnosis::of_env`](crate::Diagnosis::of_env) does the same. The example `doctor` prints it:
//!
//! ```sh
//! cargo run --example doctor                                  # this environment, as it is
//! cargo run --example doctor -- --local trust-policy-subject  # a pod on loopback with a fault; --list lists them
//! cargo run --example doctor -- --json                        # for programs
//! ```
//!
//! Its exit code is 0 if nothing is wrong, 1 if there are warnings, 2 if there are errors, 64 if an argument is wrong. In a
//! cluster it refuses `--local`.
//!
//! An id begins with `E` (there are no credentials, or not the right ones), `W` (it works now, or for this crate, and may
//! not for long, or for others), `I` (worth knowing) or `OK`. Ids are stable: a program may match them. Of what STS and EKS
//! Auth refuse, they do not say all: `AccessDenied` is the answer to a role that does not exist, too.
//!
//! # In a pod
//!
//! Build `doctor` for the image's platform and put it into the image. In the root of the repository:
//!
//! ```sh
//! cargo build --release --manifest-path examples/deploy/image/Cargo.toml --target-dir target --bin doctor
//! ```
//!
//! (`cargo build --example doctor` would put the local pods of `--local` into it.) Then
//! `kubectl exec <pod> -c <container> -- /doctor` sees what the service sees. Without a rebuild, `kubectl cp` a static build
//! into a running container (needs `tar` there).
//!
//! Where the image has nothing (`scratch`, distroless), an image with `doctor` can look in as an ephemeral container. A plain
//! `kubectl debug --target` is not enough: an ephemeral container inherits neither the environment nor the mounts of the
//! container it looks at, and the webhook, which has done its work when the pod was created, does not see it. What it
//! shares is the pod's network, so agent and STS are reached as the service reaches them. Give it the rest by a custom
//! profile (`--custom`: stable since kubectl 1.32; its fields are a container's `env`, `volumeMounts`, `securityContext`):
//!
//! ```yaml
//! # doctor.yaml: copy env and mount from: kubectl get pod <pod> -o yaml
//! env:
//!   - { name: AWS_REGION, value: eu-central-1 }
//!   - { name: AWS_ROLE_ARN, value: "arn:aws:iam::111122223333:role/my-role" }
//!   - { name: AWS_WEB_IDENTITY_TOKEN_FILE, value: /var/run/secrets/eks.amazonaws.com/serviceaccount/token }
//! volumeMounts:
//!   - { name: aws-iam-token, mountPath: /var/run/secrets/eks.amazonaws.com/serviceaccount, readOnly: true }
//! ```
//!
//! ```sh
//! kubectl debug <pod> -it --image=<image with doctor> --custom=doctor.yaml -- /doctor
//! ```
//!
//! For EKS Pod Identity the variables are `AWS_CONTAINER_CREDENTIALS_FULL_URI` and
//! `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, the volume is `eks-pod-identity-token` and its path
//! `/var/run/secrets/pods.eks.amazonaws.com/serviceaccount`. A mount with `subPath` is not allowed in an ephemeral container,
//! and is not needed. If the container runs as another user than root, set the same `securityContext.runAsUser`: whether
//! the token may be read is then answered as for the service. Where the API server has no ephemeral containers, or
//! `--custom` is not there, copy the pod instead, which goes through the webhook like any new pod and keeps the original's
//! env and mounts:
//!
//! ```sh
//! kubectl debug <pod> -it --copy-to=doctor --container=<container> --set-image=<container>=<image with doctor> -- /doctor
//! kubectl delete pod doctor
//! ```
//!
//! (Documentation of Kubernetes: *Debug Running Pods*, *Ephemeral Containers*. Volume and path are those that the EKS webhook
//! injects. None of this was run against a cluster here.)
//!
//! # The catalogue
//!
//! The examples are what `doctor --local` printed, with N, PORT and DATE for what differs from run to run.
#![doc = include_str!("findings.md")]
