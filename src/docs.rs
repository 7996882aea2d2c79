//! Guides, reference pages and the guarantees of this crate.
//!
//! | question | page |
//! |---|---|
//! | IRSA or EKS Pod Identity: how do they differ, and how do I set each of them up? | [`choosing`] |
//! | How do I move a running service from IRSA to EKS Pod Identity? | [`migrating`] |
//! | What changes if I replace aws-config by this crate? | [`switching_from_aws_config`] |
//! | In which cases does this crate behave differently from the AWS SDKs, and why? | [`differences_from_the_aws_sdks`] |
//! | How do I connect to RDS, DSQL, ElastiCache, MemoryDB, MSK or another EKS cluster with IAM tokens? | `iam_tokens` |
//! | Which metrics, spans and events are there, and what does a readiness probe check? | [`observability`] |
//! | What happens after a given error: is it retried, are expired credentials served, is the fallback used? | [`failures`] |
//! | What does a finding of `diagnose()` mean, and how do I run `doctor` in a pod? | `findings` |
//! | What does the provider guarantee, and which tests check it? | [`reliability`] |
//! | Which protocols do STS, the EKS Pod Identity agent and the webhook use? | [`protocols`] |
//!
//! The pages are the Markdown files in `src/docs/` of the repository. The page `findings` requires the feature
//! `diagnose`, the page `iam_tokens` the feature `iam-tokens`, and [`switching_from_aws_config`] the feature `sdk-config`.

#[doc = include_str!("docs/choosing.md")]
pub mod choosing {}

#[doc = include_str!("docs/differences_from_the_aws_sdks.md")]
pub mod differences_from_the_aws_sdks {}

#[doc = include_str!("docs/failures.md")]
pub mod failures {}

#[cfg(feature = "diagnose")]
#[doc = include_str!("docs/findings.md")]
pub mod findings {}

#[cfg(feature = "iam-tokens")]
#[doc = include_str!("docs/iam_tokens.md")]
pub mod iam_tokens {}

#[doc = include_str!("docs/migrating.md")]
pub mod migrating {}

#[doc = include_str!("docs/observability.md")]
pub mod observability {}

#[doc = include_str!("docs/protocols.md")]
pub mod protocols {}

#[doc = include_str!("docs/reliability.md")]
pub mod reliability {}

#[cfg(feature = "sdk-config")]
#[doc = include_str!("docs/switching_from_aws_config.md")]
pub mod switching_from_aws_config {}
