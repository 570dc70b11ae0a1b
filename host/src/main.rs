//! Runs a command, and ends with its exit code.

fn main() -> std::process::ExitCode {
    backhaul::cli::run().into()
}
