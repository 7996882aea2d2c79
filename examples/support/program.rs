//! Shared by the example programs: arguments, signals, exit codes, and the rule where stand-ins may be started.
#![allow(dead_code, clippy::print_stdout, clippy::print_stderr, reason = "each program uses only a part")]

use std::error::Error;
use std::ffi::OsString;
use std::future::Future;
use std::iter::Peekable;
use std::process::ExitCode;
use std::time::Duration;

use eks_credentials::{Diagnosis, EksCredentialsProvider};

/// Wrong arguments: `EX_USAGE` in `sysexits.h` of BSD.
const EX_USAGE: u8 = 64;
/// kubelet sets this variable in every container, even if `enableServiceLinks` is false.
const CLUSTER: &str = "KUBERNETES_SERVICE_HOST";
/// How long a program waits at its end for blocking operations that cannot be cancelled, such as reading a file.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) type Arguments = Peekable<std::vec::IntoIter<String>>;

/// Runs a program: parses the arguments, and runs `main` on a new tokio runtime.
///
/// `--help` and `-h` print `usage`. If `parse` returns an error, the error and `usage` are printed, and the exit code is 64.
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

/// Returns `None` if the arguments contain `--help` or `-h`.
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

/// The parser of programs without arguments.
pub(crate) fn no_arguments(_: &mut Arguments) -> Result<(), String> {
    Ok(())
}

pub(crate) fn unknown(arg: &str) -> String {
    format!("unknown argument {arg}")
}

/// Prints the error and its causes. Returns exit code 1.
pub(crate) fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(because) = cause {
        eprintln!("  caused by: {because}");
        cause = because.source();
    }
    ExitCode::FAILURE
}

/// Returns the provider that the environment configures. Returns `None` if the environment configures nothing and
/// [stand-ins](stand_ins) may be started instead.
///
/// # Errors
///
/// Prints the error and a diagnosis of the environment, and returns the exit code.
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

/// Checks whether stand-ins for STS, for the agent or for other servers may be started.
///
/// They may never be started in a cluster. Otherwise a pod without credentials would report that it is ready, with credentials
/// that no service accepts.
///
/// # Errors
///
/// The reason why they may not be started.
pub(crate) fn stand_ins() -> Result<(), String> {
    if std::env::var_os(CLUSTER).is_some() {
        return Err(format!("stand-ins are not started in a Kubernetes cluster ({CLUSTER} is set)"));
    }
    match cfg!(feature = "testing") {
        true => Ok(()),
        false => Err("this program was built without stand-ins (without the feature `testing`)".to_owned()),
    }
}

/// Like [`stand_ins`], for an argument that starts stand-ins. The error names the argument.
pub(crate) fn stand_ins_for(arg: &str) -> Result<(), String> {
    stand_ins().map_err(|why| format!("{arg} is refused: {why}"))
}

/// The signals that end a program: SIGINT and SIGTERM. The handlers are installed before `main` of [`run`] starts.
///
/// The first process of a container has PID 1. The kernel has no default action for it, so it ignores SIGTERM if it has no
/// handler (pid_namespaces(7)), and kubelet kills it only after `terminationGracePeriodSeconds`.
pub(crate) struct Signals(system::Signals);

impl Signals {
    fn new() -> std::io::Result<Self> {
        system::Signals::new().map(Self)
    }

    /// Waits for a signal.
    pub(crate) async fn received(&mut self) -> Signal {
        self.0.received().await
    }

    /// Runs `work`. If a signal arrives first, drops `work` and returns the signal.
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

    /// The exit code of a program that a signal ended before it had a result: 128 plus the number of the signal, as shells
    /// report it.
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
