//! Runs a program as a process: starts it, sends signals to it, and reads its output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

pub(crate) type Env = Vec<(String, String)>;

/// A test fails if it waits longer than this for a line or for the end of a program.
const LIMIT: Duration = Duration::from_secs(60);

/// Mounts the folder `$0` at `/mnt` and an empty `/tmp`, and makes everything read-only. Then runs the program `$1` with the
/// remaining arguments.
const READ_ONLY: &str = r#"
set -e
# The program itself may be below /tmp.
exec 3<"$1"
shift
mount --bind "$0" /mnt
mount -t tmpfs -o ro none /tmp
mount -o remount,bind,ro /mnt
mount -o remount,bind,ro /
if touch /tmp/file 2>/dev/null || touch /file 2>/dev/null || touch /mnt/file 2>/dev/null; then
    echo 'this is not read-only' >&2
    exit 99
fi
exec /proc/self/fd/3 "$@"
"#;

/// The folder of the programs.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("EKS_CREDENTIALS_PROGRAMS") {
    // A relative path starts at the root of the repository, where cargo runs tests.
    Some(folder) => std::path::absolute(folder).unwrap(),
    None => build_examples(),
});

/// Builds the examples. `cargo test` builds them too, but not with `--test programs`.
fn build_examples() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--locked", "--quiet", "--target-dir"]);
    cargo.arg(profile.parent().unwrap());
    for name in super::IMAGE.iter().chain(&super::OTHERS) {
        cargo.args(["--example", name]);
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    profile.join("examples")
}

/// A program to start. Its environment contains only `PATH` and the variables of [`env`](Self::env).
pub(crate) struct Program {
    name: &'static str,
    /// The command that runs the program, with its arguments.
    wrapper: Vec<OsString>,
    args: Vec<OsString>,
    env: Env,
}

impl Program {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, wrapper: Vec::new(), args: Vec::new(), env: Vec::new() }
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Runs the program in a new PID namespace, in which it is the first process.
    pub(crate) fn with_pid_1(mut self) -> Self {
        self.wrapper = ["unshare", "--user", "--pid", "--fork", "--kill-child", "--"].map(OsString::from).into();
        self
    }

    /// Runs the program in a new mount namespace, in which nothing is writable, `/tmp` is empty, and `tokens` is at `/mnt`.
    pub(crate) fn on_read_only_root(mut self, tokens: &Path) -> Self {
        let unshare = ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", READ_ONLY];
        self.wrapper = unshare.map(OsString::from).into();
        self.wrapper.push(tokens.into());
        self
    }

    pub(crate) fn start(self) -> Process {
        let mut words = self.wrapper.into_iter();
        let program = PROGRAMS.join(self.name);
        let mut command = match words.next() {
            None => Command::new(program),
            Some(wrapper) => {
                let mut command = Command::new(wrapper);
                command.args(words).arg(program);
                command
            }
        };
        command.args(self.args).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(self.env);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Process { name: self.name, child, stdout, printed: String::new() }
    }
}

pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The part of stdout that has been read.
    printed: String,
}

/// The exit code and the output of a process.
pub(crate) struct Ended {
    /// `None`: a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end.
pub(crate) async fn finish(program: Program) -> Ended {
    program.start().end().await
}

impl Process {
    /// Waits for the next line on stdout that contains `text`.
    pub(crate) async fn stdout_line(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read =
                timeout(LIMIT, self.stdout.read_line(&mut line)).await.expect("a line before the time limit").unwrap();
            self.printed.push_str(&line);
            if read == 0 {
                let mut stderr = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
                panic!("{} ended without printing {text:?}: {} {stderr}", self.name, self.printed);
            }
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal such as `TERM` to the program itself, not to the command that runs it.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.program_pid();
        let mut kill = Command::new("sh");
        let status = kill.args(["-c", &format!("kill -{signal} {pid}")]).status().await.unwrap();
        assert!(status.success(), "{}: {status}", self.name);
    }

    /// The process ID of the program. With `unshare --fork`, the program is a child of this child process.
    fn program_pid(&self) -> u32 {
        let child = self.child.id().expect("the process is running");
        let path = PROGRAMS.join(self.name);
        let runs_program = |pid: u32| {
            let program = std::fs::read_link(format!("/proc/{pid}/exe"));
            program.is_ok_and(|program| program.file_name() == path.file_name())
        };
        if runs_program(child) {
            return child;
        }
        let children = std::fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap();
        let program =
            children.split_whitespace().map(|pid| pid.parse().unwrap()).find(|pid| runs_program(*pid)).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{program}/status")).unwrap();
        let pids = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
        assert!(pids.ends_with("\t1"), "the program is not the first process of its namespace: {pids}");
        program
    }

    /// Waits until the process ends.
    pub(crate) async fn end(mut self) -> Ended {
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        let read = async {
            tokio::try_join!(self.stdout.read_to_string(&mut self.printed), pipe.read_to_string(&mut stderr)).unwrap();
            self.child.wait().await.unwrap()
        };
        let status =
            timeout(LIMIT, read).await.unwrap_or_else(|_| panic!("{} does not end within the time limit", self.name));
        Ended { code: status.code(), stdout: self.printed, stderr }
    }
}
