//! The pause container: holds a pod's network namespace open and does nothing else.
//! Built by rustc alone. containerd ends it with SIGKILL; pods that share a process namespace are not used here,
//! so it has no orphans to reap.

fn main() {
    loop {
        std::thread::park();
    }
}
