//! What the environment and the builder say about one credential source.

use crate::env::Env;
use crate::error::problem::setting::Setting;
use crate::variable;

/// What was found of one source. `C` is its configuration.
#[derive(Debug)]
pub(crate) enum Found<C> {
    Absent,
    /// A remnant that no AWS SDK takes for this source: an error only if the other source is absent too.
    Partial(Setting),
    /// The source is configured, but not so that it could work: at least one reason.
    Broken(Vec<Setting>),
    Present(Configured<C>),
}

/// A complete configuration, and the variables or builder settings that it comes from.
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

    /// A source that is configured but not compiled in does not hinder the other one.
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
    /// A part of it is configured, or it could not do what the builder asks for.
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
