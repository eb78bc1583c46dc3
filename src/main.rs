//! The `joulebook` command.

mod cli;

/// Short-lived buffers of many sizes, from several threads: mimalloc's strength.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
