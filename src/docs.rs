//! Guides, reference pages and the guarantees of this crate.
//!
//! | question | page |
//! |---|---|
//! | IRSA or EKS Pod Identity: how do they differ, and how do I set each of them up? | [`choosing`] |
//! | How do I move a running service from IRSA to EKS Pod Identity? | [`migrating`] |
//! | How does a pod use a role other than its own, for example in another account? | `assuming_roles` |
//! | What changes if I replace aws-config by this crate? | [`switching_from_aws_config`] |
//! | In which cases does this crate behave differently from the AWS SDKs, and why? | [`differences_from_the_aws_sdks`] |
//! | How do I connect to RDS, DSQL, ElastiCache, MemoryDB, MSK or another EKS cluster with IAM tokens? | `iam_tokens` |
//! | Which metrics, spans and events are there, and what does a readiness probe check? | [`observability`] |
//! | What happens after a given error: is it retried, are expired credentials served, is the fallback used? | [`failures`] |
//! | What does a finding of `diagnose()` mean, and how do I run `doctor` in a pod? | `findings` |
//! | How do I use `object_store`, and libraries such as delta-rs that are built on it? | `object_store` |
//! | How do I use OpenDAL? | `opendal` |
//! | What does the provider guarantee, and which tests check it? | [`reliability`] |
//! | Which protocols do STS, the EKS Pod Identity agent and the webhook use? | [`protocols`] |
//! | With which platforms, versions and EKS features was this crate tested? | [`compatibility`] |
//!
//! The pages are the Markdown files in `src/docs/` of the repository. These pages require a feature: `assuming_roles` requires
//! `assume-role`, `findings` requires `diagnose`, `iam_tokens` requires `iam-tokens`, `object_store` requires
//! `object_store_0_14`, `opendal` requires `reqsign_3`, and [`switching_from_aws_config`] requires `sdk-config`.

#[cfg(feature = "assume-role")]
#[doc = include_str!("docs/assuming_roles.md")]
pub mod assuming_roles {}

#[doc = include_str!("docs/choosing.md")]
pub mod choosing {}

#[doc = include_str!("docs/compatibility.md")]
pub mod compatibility {}

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

// The package `examples/storage` compiles the code of the next two pages, because it has the libraries that they use.
#[cfg(any(feature = "object_store_0_13", feature = "object_store_0_14"))]
#[cfg_attr(not(doctest), doc = include_str!("docs/object_store.md"))]
pub mod object_store {}

#[cfg(feature = "reqsign_3")]
#[cfg_attr(not(doctest), doc = include_str!("docs/opendal.md"))]
pub mod opendal {}

#[doc = include_str!("docs/protocols.md")]
pub mod protocols {}

#[doc = include_str!("docs/reliability.md")]
pub mod reliability {}

#[cfg(feature = "sdk-config")]
#[doc = include_str!("docs/switching_from_aws_config.md")]
pub mod switching_from_aws_config {}
