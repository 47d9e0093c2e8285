//! Keeps the process's memory out of core files and away from other programs.

/// Disables core files for this process and, on Linux, denies unprivileged processes access to its
/// memory. Call it before the first key is read.
///
/// A debugger that starts the command still sees its memory; attaching to it later requires root.
pub(crate) fn keep_out_of_core_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Lowering a limit is always allowed; a failure is no reason not to send a message.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // If core files are piped to a program, Linux ignores the limit (core(5)).
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn this_process_is_not_dumped() {
        super::keep_out_of_core_files();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
