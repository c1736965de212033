//! `reeve-cluster`: a real one-node Kubernetes on this machine, for the tests and the demo of Reeve.
//! Everything here is a call into the library, which tests use directly.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use reeve_e2e::{Cluster, IMAGES, Image, Name, Options, Program, State, build_all, find, kube_binary};

/// A real one-node Kubernetes in a network namespace of its own. Needs root; see hack/setup.sh for what it needs else.
#[derive(Parser)]
#[command(name = "reeve-cluster", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Bring a cluster up and wait until it is ready; one that is up is left as it is
    Up {
        #[command(flatten)]
        which: Which,
        /// Only etcd, the API server and the controllers: no pod will run
        #[arg(long)]
        no_node: bool,
    },
    /// Remove every process, mount, namespace, control group and file of a cluster
    Down(Which),
    /// Show each program; exit code 1 when one is not running
    Status(Which),
    /// List the clusters of this machine
    List,
    /// Give images to the node: archives, or names of images built by `images`
    Load {
        #[command(flatten)]
        which: Which,
        /// Files, or names such as `operator` or `reeve/operator:0.1.0`
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Run a command in the cluster's network, with kubectl and helm on PATH and KUBECONFIG set
    Exec {
        #[command(flatten)]
        which: Which,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Print the path of the administrator's kubeconfig
    Kubeconfig(Which),
    /// Print the log of a program, of all when none is named
    Logs {
        #[command(flatten)]
        which: Which,
        /// etcd, kube-apiserver, kubelet, …
        program: Option<String>,
        /// Go on as it grows
        #[arg(short, long)]
        follow: bool,
    },
    /// Build the Kubernetes programs into the cache and print the path of the binary
    Kube,
    /// Build container images into the cache and print the paths of their archives
    Images {
        /// Only these: operator, agents, fake-waldur, site-agent, pause
        #[arg(long, num_args = 1..)]
        only: Vec<String>,
    },
}

#[derive(Args)]
struct Which {
    /// The cluster's name; several run side by side
    #[arg(long, default_value = "reeve", env = "REEVE_CLUSTER")]
    name: String,
}

impl Which {
    fn name(&self) -> Result<Name> {
        Ok(Name::new(&self.name)?)
    }

    fn open(&self) -> Result<Cluster> {
        Ok(Cluster::open(&self.name()?)?)
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().action) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<ExitCode> {
    match action {
        Action::Up { which, no_node } => up(
            &which.name()?,
            Options {
                node: !no_node,
                progress: true,
            },
        )?,
        Action::Down(which) => Cluster::down(&which.name()?)?,
        Action::Status(which) => return status(&which.open()?),
        Action::List => {
            for name in Cluster::names() {
                println!("{name}  {}", summary(&name));
            }
        }
        Action::Load { which, images } => load(&which.open()?, &images)?,
        Action::Exec { which, command } => return exec(&which.open()?, &command),
        Action::Kubeconfig(which) => println!("{}", which.open()?.kubeconfig_path().display()),
        Action::Logs {
            which,
            program,
            follow,
        } => return logs(&which.open()?, program.as_deref(), follow),
        Action::Kube => println!("{}", kube_binary()?.display()),
        Action::Images { only } => {
            for archive in build_all(&chosen(&only)?)? {
                println!("{}", archive.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn up(name: &Name, options: Options) -> Result<()> {
    let start = Instant::now();
    let running = Cluster::open(name).is_ok_and(|cluster| cluster.is_up());
    let cluster = Cluster::up(name, options)?;
    let seconds = start.elapsed().as_secs_f32();
    if running {
        eprintln!("cluster `{name}` is up already");
    } else {
        eprintln!(
            "cluster `{name}` is up after {seconds:.1} s; try `reeve-cluster exec --name {name} -- kubectl get all -A`"
        );
    }
    println!("{}", cluster.kubeconfig_path().display());
    Ok(())
}

fn status(cluster: &Cluster) -> Result<ExitCode> {
    for (program, state) in cluster.status() {
        let text = match state {
            State::Running(pid) => format!("running, process {pid}"),
            State::Paused(pid) => format!("paused, process {pid}"),
            State::Stopped => "stopped".to_owned(),
            State::Dead => "dead".to_owned(),
        };
        println!("{:<24} {text}", program.name());
    }
    cluster.ensure_alive()?;
    Ok(if cluster.is_up() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn summary(name: &Name) -> String {
    let Ok(cluster) = Cluster::open(name) else {
        return "not up, or not yet".to_owned();
    };
    let states = cluster.status();
    let running = states.iter().filter(|(_, state)| state.is_running()).count();
    format!("{running} of {} programs run", states.len())
}

fn load(cluster: &Cluster, images: &[String]) -> Result<()> {
    for word in images {
        let start = Instant::now();
        cluster.load(&find(word)?)?;
        eprintln!("  {:>5.1} s  loaded {word}", start.elapsed().as_secs_f32());
    }
    Ok(())
}

fn exec(cluster: &Cluster, words: &[String]) -> Result<ExitCode> {
    cluster.enter()?;
    let [program, arguments @ ..] = words else {
        bail!("name a command after `--`")
    };
    let error = cluster.command(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run `{program}`"))
}

fn logs(cluster: &Cluster, program: Option<&str>, follow: bool) -> Result<ExitCode> {
    let programs = match program {
        None => cluster.options().programs().to_vec(),
        Some(name) => match Program::named(name) {
            Some(program) => vec![program],
            None => bail!(
                "no program is called `{name}`: there are {}",
                Program::ALL.map(Program::name).join(", ")
            ),
        },
    };
    let mut tail = Command::new("tail");
    tail.arg("--lines=+1").args(follow.then_some("--follow=name"));
    tail.args(programs.into_iter().map(|program| cluster.log_path(program)));
    Err(tail.exec()).context("cannot run `tail`")
}

fn chosen(only: &[String]) -> Result<Vec<Image>> {
    if only.is_empty() {
        return Ok(IMAGES.to_vec());
    }
    let known = || IMAGES.map(|image| image.name).join(", ");
    let one = |name: &String| {
        Image::named(name).with_context(|| format!("no image is called `{name}`: {}", known()))
    };
    only.iter().map(one).collect()
}
