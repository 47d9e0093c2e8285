//! Keeps what is in memory from ending up in a file, or with another program.
//!
//! In: nothing. Out: a process that leaves no core file. Never: a secret itself.

/// From now on the system writes no core file of this process, and, on Linux, lets no other process
/// without privileges look into its memory: to be called before the first key is read.
///
/// A debugger that starts the command goes on to see it; one that is to join it later needs root.
pub(crate) fn keep_out_of_core_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Lowering a limit is always allowed, and no reason not to send a message if it is not.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // Where core files are piped to a program, Linux does not look at the limit (core(5)).
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
