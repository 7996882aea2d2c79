//! A test in a network, user and mount namespace of its own: a network that it may break, without root.
//!
//! The test runs itself again as a child under `unshare`. Inside it is root over that network alone: the agent's real
//! addresses are on an interface like the one that the real agent makes, and nftables breaks what the test wants broken.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "each test uses its part of it")]

use std::ffi::OsString;
use std::future::Future;
use std::process::{Command, Output};

/// Set in the child.
const INSIDE: &str = "EKS_CREDENTIALS_NAMESPACE";
/// The real agent's name for it.
const INTERFACE: &str = "pod-id-link0";
pub(crate) const V4: &str = "169.254.170.23";
pub(crate) const V6: &str = "fd00:ec2::23";

/// Runs `body`, the whole of the test `name`, in namespaces of its own.
pub(crate) fn run<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Network) -> F) {
    if std::env::var_os(INSIDE).is_none() {
        return run_again(name);
    }
    let network = Network::up();
    // The driver runs on a thread of its own: `ip` and `nft` keep the test's busy.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(body(network));
}

fn run_again(name: &str) {
    let mut unshare = command("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
    unshare.arg(std::env::current_exe().unwrap()).args([name, "--exact", "--ignored", "--nocapture"]);
    let output = finish(unshare.env(INSIDE, name));
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    println!("{said}{complaints}");
    if complaints.contains("unshare:") {
        panic!(
            "no namespaces without root here: is kernel.apparmor_restrict_unprivileged_userns 1, or a container in the way?"
        );
    }
    // A name that no test has would be a success too.
    assert!(output.status.success() && said.contains("1 passed"), "{name} failed in its namespace: see above");
}

/// The network of this process's namespace.
pub(crate) struct Network(());

impl Network {
    /// Loopback and the agent's interface.
    fn up() -> Self {
        let network = Self(());
        ip("link set lo up");
        network.plug();
        network
    }

    /// Makes the agent's interface, as the agent does at its start. A bridge without ports, where the kernel has no dummies.
    pub(crate) fn plug(&self) {
        let add = |kind: &str| format!("link add {INTERFACE} type {kind}");
        if !try_run("ip", &add("dummy"), "").status.success() {
            ip(&add("bridge"));
        }
        ip(&format!("link set {INTERFACE} up"));
        self.add_address(&format!("{V4}/32"));
        self.add_address(&format!("{V6}/128"));
    }

    /// As on a node on which the agent has never run.
    pub(crate) fn unplug(&self) {
        ip(&format!("link delete {INTERFACE}"));
    }

    /// Gives this machine another address.
    pub(crate) fn add_address(&self, address: &str) {
        // An IPv6 address must not wait for nobody to have it.
        let nodad = if address.contains(':') { "nodad" } else { "" };
        ip(&format!("address add {address} dev {INTERFACE} {nodad}"));
    }

    /// From now on packets that match are dealt with so, instead of as before. An expression of nftables.
    pub(crate) fn rule(&self, rule: &str) {
        self.heal();
        let chain = "type filter hook input priority 0";
        nft(&format!("table inet faults {{ chain input {{ {chain}; {rule}; }}; }}"));
    }

    /// Ends what [`rule`](Self::rule) began.
    pub(crate) fn heal(&self) {
        nft("table inet faults; delete table inet faults");
    }

    /// Names are looked up at this address and nowhere else. Other processes keep their settings.
    pub(crate) fn name_server(&self, address: &str) {
        replace("/etc/resolv.conf", &format!("nameserver {address}\noptions attempts:1 timeout:1\n"));
        replace("/etc/nsswitch.conf", "hosts: dns\n");
    }
}

/// Other contents for a file, for this process alone.
fn replace(path: &str, contents: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), contents).unwrap();
    // The mount keeps the file when its name is gone.
    run_command("mount", &format!("--bind {} {path}", file.path().display()), "");
}

fn ip(args: &str) {
    run_command("ip", args, "");
}

fn nft(rules: &str) {
    run_command("nft", "-f -", rules);
}

fn run_command(program: &str, args: &str, input: &str) {
    let output = try_run(program, args, input);
    assert!(output.status.success(), "{program} {args} {input}: {}", text(&output.stderr));
}

fn try_run(program: &str, args: &str, input: &str) -> Output {
    use std::io::{Seek as _, Write as _};
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    stdin.rewind().unwrap();
    finish(command(program).args(args.split_whitespace()).stdin(stdin))
}

/// Where `ip` and `nft` are is not in everybody's path.
fn command(program: &str) -> Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(OsString::from(":/usr/sbin:/sbin"));
    let mut command = Command::new(program);
    command.env("PATH", path);
    command
}

fn finish(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| {
        panic!("{}: {e}; these tests need util-linux, iproute2 and nftables", command.get_program().display())
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
