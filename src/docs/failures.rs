//! How each kind of failure is treated.
//!
//! A fetch can fail in many ways, and each of them has four consequences:
//!
//! - **Cold start**: whether the first fetch of a process is repeated within
//!   [`startup_timeout`](crate::Builder::startup_timeout) (20 s by default) before callers get the error, or fails at once.
//! - **Expired credentials**: whether credentials that have expired may be served meanwhile, unless
//!   [`serve_expired(false)`](crate::Builder::serve_expired) is set. AWS services refuse expired credentials; serving them
//!   keeps the error of the service visible, and costs nothing if the clock is wrong. Credentials that are still valid are
//!   served after every failure.
//! - **Fallback**: whether the other credential source is used, if [`fallback(true)`](crate::Builder::fallback) is set and the
//!   pod has both.
//! - **Next attempt**, if no valid credentials are left: the refresh task tries again by itself, with jittered exponential
//!   backoff of up to 30 s, or of 1 to 5 s at first and up to 60 s. Callers in between get the last error at once. While
//!   credentials are valid, a failed refresh is repeated after a random share of the validity that is left, at most 10
//!   minutes.
//!
//! # Which refusals are permanent
//!
//! A refusal is **permanent** only if the answer is in the form of the service that was called *and* its code is in a short
//! list. A proxy, a service mesh or a captive portal can answer a request with any status and any page. Such an answer says
//! nothing about a trust policy or an association, so that it never ends the retries, never takes expired credentials away
//! and never switches a pod to the other source. The error then says "the answer is not from STS", or from the agent.
//!
//! The form of STS is XML with the root `ErrorResponse`, or `Error` as of Ceph RGW, with a code in it. The form of the EKS
//! Pod Identity agent is a text: an exception of EKS Auth as `[request-id]: (Name): message, fault: client`, or one of its own
//! sentences. Other servers for container credentials send JSON with `Code` and `Message`, or `code` and `message`.
//!
//! For STS the permanent codes are those of the AWS SDKs' refresh rules of 2026. Two decisions differ from these rules, which
//! raise an error: this crate serves credentials that are still valid after a permanent refusal too, and it does not treat
//! `InvalidIdentityToken` as permanent if STS could not retrieve the issuer's keys, which was seen in an outage of STS.
//! [`Error::is_transient`](crate::Error::is_transient) is the third column, and [`Error::code`](crate::Error::code) the code.
//!
//! In the tables the first matching row counts.
//!
#![doc = include_str!("failures.md")]
