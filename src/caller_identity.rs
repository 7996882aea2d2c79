//! The identity that credentials belong to, from the STS action `GetCallerIdentity`.

#[cfg(not(all(feature = "diagnose", feature = "irsa")))]
#[path = "caller_identity/disabled.rs"]
mod get;
#[cfg(all(feature = "diagnose", feature = "irsa"))]
mod get;

pub(crate) use self::get::get;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallerIdentity {
    pub(crate) account: String,
    /// `arn:aws:sts::111122223333:assumed-role/name/session`
    pub(crate) arn: String,
    /// `AROA…:session`
    pub(crate) user_id: String,
}
