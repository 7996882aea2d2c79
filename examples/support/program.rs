//! What the programs have in common: arguments, signals, exit codes, and where stand-ins may be started.
#![allow(dead_code, clippy::print_stdout, clippy::print_stderr, reason = "each program uses its part of it")]

use std::error::Error;
use std::ffi::OsString;
use std::future::Future;
use std::iter::Peekable;
use std::process::ExitCode;
use std::time::Duration;

use eks_credentials::{Diagnosis, EksCredentialsProvider};

/// `EX_USAGE` of BSD's sysexits.h: the arguments are wrong.
const EX_USAGE: u8 = 64;
/// Set by kubelet in every container, also where `enableServiceLinks` is false.
const CLUSTER: &str = "KUBERNETES_SERVICE_HOST";
/// How long the end of a program waits for blocking operations that cannot be cancelled, such as reading a file.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) type Arguments = Peekable<std::vec::IntoIter<String>>;

/// A whole program: parses the arguments, and runs `main` on a tokio runtime of its own.
///
/// `--help` (`-h`) prints `usage`. An error of `parse` is printed with `usage`, and the exit code is 64.
pub(crate) fn run<T, F: Future<Output = ExitCode>>(
    usage: &str,
    parse: impl FnOnce(&mut Arguments) -> Result<T, String>,
    main: impl FnOnce(T, Signals) -> F,
) -> ExitCode {
    let options = match arguments(std::env::args_os().skip(1), parse) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{usage}");
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            eprintln!("{what}\n{usage}");
            return ExitCode::from(EX_USAGE);
        }
    };
    let started = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = started.and_then(|runtime| {
        let ended = runtime.block_on(async { Ok(main(options, Signals::new()?).await) });
        runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        ended
    });
    ended.unwrap_or_else(|error| failed(&error))
}

/// `None`: help was asked for.
fn arguments<T>(
    args: impl Iterator<Item = OsString>,
    parse: impl FnOnce(&mut Arguments) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let args: Result<Vec<_>, _> = args.map(OsString::into_string).collect();
    let args = args.map_err(|arg| format!("argument {arg:?} is not valid UTF-8"))?;
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(None);
    }
    let mut args = args.into_iter().peekable();
    let options = parse(&mut args)?;
    args.next().map_or(Ok(Some(options)), |left| Err(unknown(&left)))
}

/// For programs without arguments.
pub(crate) fn no_arguments(_: &mut Arguments) -> Result<(), String> {
    Ok(())
}

pub(crate) fn unknown(arg: &str) -> String {
    format!("unknown argument {arg}")
}

/// Prints the error with its causes. Exit code 1.
pub(crate) fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(because) = cause {
        eprintln!("  caused by: {because}");
        cause = because.source();
    }
    ExitCode::FAILURE
}

/// The provider that the environment configures. `None` if it configures nothing and [stand-ins](stand_ins) may serve
/// instead.
///
/// # Errors
///
/// The exit code, after the error and the diagnosis of the environment have been printed.
pub(crate) async fn provider() -> Result<Option<EksCredentialsProvider>, ExitCode> {
    let error = match EksCredentialsProvider::from_env() {
        Ok(provider) => match provider.detection().cloned() {
            Ok(_) => return Ok(Some(provider)),
            Err(_) if stand_ins().is_ok() => return Ok(None),
            Err(error) => error,
        },
        Err(error) => error,
    };
    let code = failed(&error);
    eprintln!("\n{}", Diagnosis::of_env().await);
    Err(code)
}

/// Whether stand-ins of STS, of the agent or of anything else may be started. Never in a cluster: a pod whose credentials
/// are missing would report that it is ready, with credentials that no service accepts.
///
/// # Errors
///
/// Why not.
pub(crate) fn stand_ins() -> Result<(), String> {
    if std::env::var_os(CLUSTER).is_some() {
        return Err(format!("stand-ins are not started in a Kubernetes cluster ({CLUSTER} is set)"));
    }
    match cfg!(feature = "testing") {
        true => Ok(()),
        false => Err("this program was built without stand-ins (without the feature `testing`)".to_owned()),
    }
}

/// [`stand_ins`] for an argument that starts them.
pub(crate) fn stand_ins_for(arg: &str) -> Result<(), String> {
    stand_ins().map_err(|why| format!("{arg} is refused: {why}"))
}

/// The signals that end a program, from its first moment on.
///
/// The first process of a container has PID 1, for which the kernel has no default action: without a handler it ignores
/// SIGTERM (pid_namespaces(7)), and kubelet kills it after the whole `terminationGracePeriodSeconds`.
pub(crate) struct Signals(system::Signals);

impl Signals {
    fn new() -> std::io::Result<Self> {
        system::Signals::new().map(Self)
    }

    /// Waits for a signal.
    pub(crate) async fn received(&mut self) -> Signal {
        self.0.received().await
    }

    /// `work`, or the signal that came before its end. Then `work` has been dropped, and what it started with it.
    pub(crate) async fn interrupt<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Signal> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            signal = self.received() => Err(signal),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Signal {
    name: &'static str,
    number: u8,
}

impl Signal {
    const INTERRUPT: Self = Self { name: "SIGINT", number: 2 };
    #[cfg(unix)]
    const TERMINATE: Self = Self { name: "SIGTERM", number: 15 };

    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    /// Of a program that was interrupted before it had a result: what a shell reports for one that the signal has killed.
    pub(crate) fn exit_code(self) -> ExitCode {
        eprintln!("ended by {}", self.name);
        ExitCode::from(self.number.saturating_add(128))
    }
}

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{self, SignalKind};

    use super::Signal;

    pub(super) struct Signals {
        interrupt: unix::Signal,
        terminate: unix::Signal,
    }

    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(unix::signal);
            Ok(Self { interrupt: interrupt?, terminate: terminate? })
        }

        pub(super) async fn received(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::INTERRUPT,
                _ = self.terminate.recv() => Signal::TERMINATE,
            }
        }
    }
}

#[cfg(not(unix))]
mod system {
    use super::Signal;

    pub(super) struct Signals;

    impl Signals {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn received(&mut self) -> Signal {
            match tokio::signal::ctrl_c().await {
                Ok(()) => Signal::INTERRUPT,
                Err(_) => std::future::pending().await,
            }
        }
    }
}
