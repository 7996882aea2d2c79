//! Runs a test in new network, user and mount namespaces. There it can break the network without root permissions.
//!
//! The test runs itself again as a child process of `unshare`. In the namespaces it is root. An interface like the one of the
//! real agent has the addresses of the agent, and the test injects faults with nftables.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "each test uses only a part")]

use std::ffi::OsString;
use std::future::Future;
use std::process::{Command, Output};

/// This variable is set in the child process.
const INSIDE: &str = "EKS_CREDENTIALS_NAMESPACE";
/// The name that the real agent gives to its interface.
const INTERFACE: &str = "pod-id-link0";
pub(crate) const V4: &str = "169.254.170.23";
pub(crate) const V6: &str = "fd00:ec2::23";

/// Runs `body`, which is the whole test `name`, in new namespaces.
pub(crate) fn run<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Network) -> F) {
    if std::env::var_os(INSIDE).is_none() {
        return run_again(name);
    }
    let network = Network::up();
    // Two threads: `ip` and `nft` block the thread of the test, and the refresh task must run meanwhile.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(body(network));
}

fn run_again(name: &str) {
    let mut unshare = command("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
    unshare.arg(std::env::current_exe().unwrap()).args([name, "--exact", "--ignored", "--nocapture"]);
    let output = finish(unshare.env(INSIDE, name));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    println!("{stdout}{stderr}");
    if stderr.contains("unshare:") {
        panic!(
            "unprivileged user namespaces do not work here: check kernel.apparmor_restrict_unprivileged_userns, and whether \
             this is a container that forbids them"
        );
    }
    // If no test has this name, the exit status is a success, too.
    assert!(output.status.success() && stdout.contains("1 passed"), "{name} failed in its namespace; see above");
}

/// The network of this process's namespace.
pub(crate) struct Network(());

impl Network {
    /// Enables loopback and creates the interface of the agent.
    fn up() -> Self {
        let network = Self(());
        ip("link set lo up");
        network.plug();
        network
    }

    /// Creates the interface of the agent, as the agent does when it starts. If the kernel has no dummy interfaces, a bridge
    /// without ports is used.
    pub(crate) fn plug(&self) {
        let add = |kind: &str| format!("link add {INTERFACE} type {kind}");
        if !try_run("ip", &add("dummy"), "").status.success() {
            ip(&add("bridge"));
        }
        ip(&format!("link set {INTERFACE} up"));
        self.add_address(&format!("{V4}/32"));
        self.add_address(&format!("{V6}/128"));
    }

    /// Removes the interface of the agent, as on a node on which the agent has never run.
    pub(crate) fn unplug(&self) {
        ip(&format!("link delete {INTERFACE}"));
    }

    /// Adds an address to the interface of the agent.
    pub(crate) fn add_address(&self, address: &str) {
        // Without `nodad` an IPv6 address cannot be used until duplicate address detection is finished.
        let nodad = if address.contains(':') { "nodad" } else { "" };
        ip(&format!("address add {address} dev {INTERFACE} {nodad}"));
    }

    /// Sets the rule for incoming packets, an expression of nftables. It replaces an earlier rule.
    pub(crate) fn rule(&self, rule: &str) {
        self.heal();
        let chain = "type filter hook input priority 0";
        nft(&format!("table inet faults {{ chain input {{ {chain}; {rule}; }}; }}"));
    }

    /// Removes the rule that [`rule`](Self::rule) has set.
    pub(crate) fn heal(&self) {
        nft("table inet faults; delete table inet faults");
    }

    /// Makes this process look up names only at this address. Other processes keep their settings.
    pub(crate) fn name_server(&self, address: &str) {
        replace("/etc/resolv.conf", &format!("nameserver {address}\noptions attempts:1 timeout:1\n"));
        replace("/etc/nsswitch.conf", "hosts: dns\n");
    }
}

/// Replaces the contents of a file, only for this process.
fn replace(path: &str, contents: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), contents).unwrap();
    // The mount keeps the file after its name is removed.
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

/// `ip` and `nft` can be in folders that are not in the `PATH` of every user.
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
