//! What a child process of the command may have of the machine. Not for the module, whose process has no children.

use fidokey_core::ports::Fault;
use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// The most memory that this process may have mapped, in bytes.
const MEMORY: u64 = 512 << 20;
/// The most time that it may compute, in seconds.
const SECONDS: u64 = 10;

/// Takes from this process, for ever, what code that is not to be trusted with it could do harm with: it ends with its
/// parent, writes no file, leaves no core of a PIN, and computes and allocates only so much.
///
/// # Errors
/// [`Fault`] where one of them cannot be taken; the process had better end then.
pub fn confine() -> Result<(), Fault> {
    let fault = |call| move |errno: Errno| Fault { call, errno: errno as i32 };
    set_pdeathsig(Signal::SIGKILL).map_err(fault("prctl"))?;
    set_dumpable(false).map_err(fault("prctl"))?;
    for (resource, most) in [
        (Resource::RLIMIT_AS, MEMORY),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_CPU, SECONDS),
        (Resource::RLIMIT_FSIZE, 0),
    ] {
        setrlimit(resource, most, most).map_err(fault("setrlimit"))?;
    }
    Ok(())
}
