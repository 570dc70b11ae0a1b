//! Parses the command line, runs a command, and maps its error to a documented exit code.

fn main() {}
