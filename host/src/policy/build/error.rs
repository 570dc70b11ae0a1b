use std::path::PathBuf;

/// Why a policy could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no Rust that can compile to WebAssembly.
    #[error(
        "found no Rust that compiles to WebAssembly ({tried}); install one of:\n  \
         rustup target add wasm32-unknown-unknown\n  \
         apt-get install rustc-web rust-web-src    (Debian; the standard library is then built from source)"
    )]
    NoToolchain {
        /// Each compiler that was looked at and what it lacks.
        tried: String,
    },
    /// There is a compiler, but nothing that links what it compiles.
    #[error(
        "{rustc} compiles to WebAssembly, but there is no rust-lld or wasm-ld to link with; install one of:\n  \
         apt-get install lld    (lld-N of the LLVM that `rustc -vV` names, if Debian has it)\n  \
         rustup toolchain install stable"
    )]
    NoLinker {
        /// The compiler.
        rustc: PathBuf,
    },
    /// The directory holds no crate.
    #[error("{} holds no Cargo.toml: name the directory of the policy's crate", dir.display())]
    NotACrate {
        /// The directory.
        dir: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The compiler or linker refused the crate.
    #[error("cargo could not build {}{}", dir.display(), if messages.is_empty() { String::new() } else { format!(":\n{messages}") })]
    CargoFailed {
        /// The crate's directory.
        dir: PathBuf,
        /// What cargo said, unless it was passed on.
        messages: String,
    },
    /// Cargo was stopped.
    #[error("building {} took more than {} minutes and was stopped", dir.display(), super::BUILD_MINUTES_MAX)]
    TimedOut {
        /// The crate's directory.
        dir: PathBuf,
    },
    /// Cargo succeeded, but made no module.
    #[error("building {} made no WebAssembly module: the package needs a library (src/lib.rs)", dir.display())]
    NoModule {
        /// The crate's directory.
        dir: PathBuf,
    },
    /// The module is gone, or unreadable.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes are no WebAssembly.
    #[error("not a WebAssembly module: it does not start with `\\0asm`")]
    NotWasm,
    /// The bytes are a component.
    #[error("a component already: there is nothing to build")]
    AlreadyAComponent,
    /// A module that no binding generator has prepared, and that exports none of the contract's functions.
    #[error(
        "the module carries no `component-type` section and exports no function of {package}, so it is no policy: \
         export one with `backhaul_policy::policy!`, or link the object that wit-bindgen makes for other languages"
    )]
    NotAPolicy {
        /// The contract.
        package: String,
    },
    /// The module was prepared for something else.
    #[error("the module was built for another contract: it exports {found}, this host asks for `meta` of {package}")]
    OtherContract {
        /// The contract.
        package: String,
        /// What it exports instead.
        found: String,
    },
    /// The module's shape and its `component-type` section do not agree.
    #[error("cannot turn the module into a component: {reason}")]
    Encode {
        /// What the encoder said.
        reason: String,
    },
}
