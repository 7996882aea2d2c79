//! Whether one credential source is configured in the environment and the builder.

use crate::env::Env;
use crate::error::problem::setting::Setting;
use crate::variable;

/// The state of one source's configuration, which has the type `C`.
#[derive(Debug)]
pub(crate) enum Found<C> {
    Absent,
    /// An incomplete configuration that AWS SDKs ignore, or one whose feature is disabled. It is an error only if the other
    /// source is not configured either.
    Partial(Setting),
    /// The source is configured and cannot work. The list has at least one problem.
    Broken(Vec<Setting>),
    Present(Configured<C>),
}

/// A complete configuration, and the names of the variables or builder settings that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Configured<C> {
    pub(crate) config: C,
    pub(crate) settings: Vec<&'static str>,
}

impl<C> Found<C> {
    pub(crate) fn map<D>(self, f: impl FnOnce(C) -> D) -> Found<D> {
        match self {
            Self::Absent => Found::Absent,
            Self::Partial(problem) => Found::Partial(problem),
            Self::Broken(problems) => Found::Broken(problems),
            Self::Present(Configured { config, settings }) => {
                Found::Present(Configured { config: f(config), settings })
            }
        }
    }

    /// For a source whose feature is disabled. If it is configured, that is reported as [`Found::Partial`], so the other source
    /// can still be used.
    pub(super) fn not_in_this_build(env: &Env, name: &'static str, feature: &'static str) -> Result<Self, Setting> {
        Ok(match env.get(name)? {
            None => Self::Absent,
            Some(value) => {
                let value = variable::without_password(value).to_owned();
                Self::Partial(Setting::NotInThisBuild { name, value, feature })
            }
        })
    }
}

/// The source that is not used.
#[derive(Clone, Debug)]
pub(crate) enum Other<T> {
    NotConfigured,
    /// It is incompletely configured, or it cannot apply the builder's settings.
    Unusable(crate::error::Error),
    Usable(T),
}

impl<T> Other<T> {
    pub(crate) fn as_ref(&self) -> Other<&T> {
        match self {
            Self::NotConfigured => Other::NotConfigured,
            Self::Unusable(error) => Other::Unusable(error.clone()),
            Self::Usable(other) => Other::Usable(other),
        }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Other<U> {
        match self {
            Self::NotConfigured => Other::NotConfigured,
            Self::Unusable(error) => Other::Unusable(error),
            Self::Usable(other) => Other::Usable(f(other)),
        }
    }

    pub(crate) fn usable(&self) -> Option<&T> {
        match self {
            Self::Usable(other) => Some(other),
            Self::NotConfigured | Self::Unusable(_) => None,
        }
    }
}
