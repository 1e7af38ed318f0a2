//! A real Slurm on this machine, without systemd: one controller, one node of two cores.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::faults::until;
use super::{Folder, Output, finish};

/// The cluster; it ends when this is dropped.
pub(crate) struct Cluster {
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts it. `None`, with a line that says so, where Slurm is not installed.
    pub(crate) fn start() -> Option<Cluster> {
        // The tests of a file would starve one another.
        static ALONE: Mutex<()> = Mutex::new(());
        let missing = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel"]
            .into_iter()
            .find(|program| find(program).is_none());
        if let Some(program) = missing {
            println!("skipped: Slurm is not installed ({program})");
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = Cluster { folder: tempfile::tempdir().unwrap(), _alone: alone };
        let path = |name: &str| cluster.path().join(name).display().to_string();
        for folder in ["state", "spool"] {
            fs::create_dir(path(folder)).unwrap();
        }
        fs::write(path("slurm.conf"), cluster.configuration()).unwrap();
        let mut key = fs::read("/proc/sys/kernel/random/uuid").unwrap();
        key.resize(1024, b'k');
        fs::write(path("key"), key).unwrap();
        fs::set_permissions(path("key"), fs::Permissions::from_mode(0o400)).unwrap();
        let file = |option: &str, name: &str| format!("--{option}={}", path(name));
        cluster.call(
            "munged",
            &[
                "--force",
                &file("socket", "munge.sock"),
                &file("key-file", "key"),
                &file("pid-file", "munged.pid"),
                &file("log-file", "munged.log"),
                &file("seed-file", "munged.seed"),
            ],
        );
        until(Duration::from_secs(20), || cluster.path().join("munge.sock").exists());
        cluster.call("slurmctld", &["-c", "-i", "-f", &path("slurm.conf")]);
        cluster.start_node();
        until(Duration::from_secs(60), || cluster.ask("sinfo", &["-h", "-o", "%T"]) == "idle\n");
        Some(cluster)
    }

    fn configuration(&self) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let (host, folder) = (host.trim(), self.path().display());
        let user = finish(Command::new("id").arg("-un").stdout(Stdio::piped()).spawn()).stdout;
        let user = user.trim();
        // Both are open until both are known, so that they differ.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [controller, node] = [0, 1].map(|at| ports[at].local_addr().unwrap().port());
        format!(
            "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=10
EnforcePartLimits=ALL
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2048
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"
        )
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the node's daemon.
    pub(crate) fn start_node(&self) {
        let configuration = self.path().join("slurm.conf").display().to_string();
        self.call("slurmd", &["-c", "-f", &configuration]);
        until(Duration::from_secs(20), || self.process("slurmd").is_some());
    }

    /// Kills the node's daemon, and all processes of jobs, as the loss of the machine does.
    pub(crate) fn crash_node(&self) {
        kill("KILL", self.process("slurmd").unwrap());
        let _ = fs::remove_file(self.path().join("slurmd.pid"));
        // A child of a process that dies gets another parent, and a script may start a child at any
        // moment: so all that carry the environment of a job are killed until there are none.
        until(Duration::from_secs(20), || {
            let jobs = self.job_processes();
            for job in &jobs {
                // The keeper of a job's script does not carry it.
                let parent = format!("/proc/{}/cmdline", job.parent);
                if fs::read_to_string(parent).unwrap_or_default().contains("slurmstepd") {
                    kill("KILL", job.parent);
                }
                kill("KILL", job.id);
            }
            jobs.is_empty()
        });
    }

    /// The processes of this cluster's jobs: the scripts, and what they started.
    fn job_processes(&self) -> Vec<Process> {
        let folder = self.path().display().to_string();
        let of_job = |process: &Process| {
            let environment = fs::read(format!("/proc/{}/environ", process.id)).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            environment.contains("SLURM_JOB_ID=") && environment.contains(&folder)
        };
        processes().into_iter().filter(of_job).collect()
    }

    /// The id in the file of a daemon, where it lives.
    fn process(&self, daemon: &str) -> Option<u32> {
        let text = fs::read_to_string(self.path().join(format!("{daemon}.pid"))).ok()?;
        let id = text.trim().parse().ok()?;
        Path::new(&format!("/proc/{id}")).exists().then_some(id)
    }

    /// A program of Slurm that speaks to this cluster, or `retrodict` that uses it.
    pub(crate) fn aim<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("SLURM_CONF", self.path().join("slurm.conf"))
    }

    /// `retrodict` with arguments that have no spaces in them.
    pub(crate) fn retrodict(&self, folder: &Folder, arguments: &str) -> Output {
        let mut command = folder.command(arguments);
        finish(self.aim(command.stdout(Stdio::piped()).stderr(Stdio::piped())).spawn())
    }

    /// The output of a program of Slurm; empty where it fails.
    pub(crate) fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(find(program).unwrap());
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(self.aim(&mut command).spawn()).stdout
    }

    /// The states of all tasks that live.
    pub(crate) fn states(&self) -> Vec<String> {
        let text = self.ask("squeue", &["-h", "-r", "-o", "%T"]);
        text.lines().map(str::to_owned).collect()
    }

    fn call(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(find(program).unwrap());
        // A daemon keeps what it inherits.
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = self.aim(&mut command).status().unwrap();
        let log = |name: &str| fs::read_to_string(self.path().join(name)).unwrap_or_default();
        assert!(status.success(), "{program} failed\n{}", log(&format!("{program}.log")));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["slurmctld.log", "slurmd.log"] {
                let log = fs::read_to_string(self.path().join(name)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                println!("{name}:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
            }
        }
        // No job outlives its cluster.
        for process in self.job_processes() {
            kill("TERM", process.id);
        }
        for daemon in ["slurmd", "slurmctld", "munged"] {
            let Some(id) = self.process(daemon) else { continue };
            kill("TERM", id);
            for _ in 0..200 {
                if self.process(daemon).is_none() {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Where the program lies: daemons are often outside a user's PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

pub(crate) fn kill(signal: &str, process: u32) {
    // It may have ended.
    let _ = Command::new("kill")
        .args([&format!("-{signal}"), &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

struct Process {
    id: u32,
    parent: u32,
}

fn processes() -> Vec<Process> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let process = |id: u32| {
        let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some(Process { id, parent })
    };
    ids.filter_map(process).collect()
}
