//! Finds a Rust that compiles to WebAssembly.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::BuildError;

/// WebAssembly without a system interface: the host offers none, on purpose.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler, which stands in no toolchain of rustup and may be hidden by it on the PATH.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";

/// A compiler with what it needs to make WebAssembly modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    pub(super) rustc: PathBuf,
    pub(super) cargo: PathBuf,
    pub(super) sysroot: PathBuf,
    /// A linker, where the compiler would not find its own.
    pub(super) linker: Option<PathBuf>,
    pub(super) std_library: StdLibrary,
    version: String,
}

/// Where the standard library for WebAssembly comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdLibrary {
    /// It is installed (rustup's target).
    Installed,
    /// It is built from its sources (Debian's rust-web-src, or rustup's rust-src).
    FromSource,
}

/// Shown to people and kept in the manifest, so without paths.
impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)?;
        match self.std_library {
            StdLibrary::Installed => Ok(()),
            StdLibrary::FromSource => f.write_str(", std from source"),
        }
    }
}

impl Toolchain {
    /// Finds the toolchain to build with: one with the standard library installed, else one with its sources. Looked at, in this order: the
    /// compiler that the environment variable RUSTC names, the first on the PATH, the system's.
    ///
    /// # Errors
    /// [`BuildError::NoToolchain`] and [`BuildError::NoLinker`] say what to install.
    pub fn find() -> Result<Self, BuildError> {
        let named = std::env::var_os("RUSTC").map(PathBuf::from);
        let first = on_path("rustc");
        let mut candidates: Vec<PathBuf> = [named, first, Some(SYSTEM_RUSTC.into())].into_iter().flatten().collect();
        candidates.dedup();
        let mut tried = Vec::new();
        let mut from_source = None;
        for rustc in candidates {
            match Compiler::probe(&rustc) {
                Ok(compiler) if compiler.has_std() => return compiler.toolchain(StdLibrary::Installed),
                Ok(compiler) if compiler.has_std_sources() => {
                    from_source.get_or_insert(compiler);
                }
                Ok(_) => tried.push(format!("{} has no standard library for {TARGET}", rustc.display())),
                Err(why) => tried.push(why),
            }
        }
        match from_source {
            Some(compiler) => compiler.toolchain(StdLibrary::FromSource),
            None => Err(BuildError::NoToolchain { tried: tried.join("; ") }),
        }
    }

    /// Where the standard library comes from.
    #[must_use]
    pub fn std_library(&self) -> StdLibrary {
        self.std_library
    }
}

/// A compiler that answers.
struct Compiler {
    rustc: PathBuf,
    sysroot: PathBuf,
    host: String,
    version: String,
}

impl Compiler {
    fn probe(rustc: &Path) -> Result<Self, String> {
        let sysroot = text_of(rustc, &["--print", "sysroot"])?;
        let verbose = text_of(rustc, &["-vV"])?;
        let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| format!("{} names no host in `-vV`", rustc.display()))?;
        let version = text_of(rustc, &["--version"])?;
        // Debian appends how it was built, which says nothing about the code that it makes.
        let version = version.split_once(") (").map_or(version.clone(), |(version, _)| format!("{version})"));
        Ok(Self { rustc: rustc.to_owned(), sysroot: sysroot.into(), host: host.to_owned(), version })
    }

    fn has_std(&self) -> bool {
        let library = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let entries = std::fs::read_dir(library).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("libstd-"))
    }

    fn has_std_sources(&self) -> bool {
        sources_below(&self.sysroot).join("Cargo.lock").is_file()
    }

    fn toolchain(self, std_library: StdLibrary) -> Result<Toolchain, BuildError> {
        let own_cargo = self.sysroot.join("bin/cargo");
        let cargo = if own_cargo.is_file() {
            own_cargo
        } else {
            std::env::var_os("CARGO").map_or("cargo".into(), PathBuf::from)
        };
        let linker = if self.finds_its_linker() {
            None
        } else {
            Some(other_linker().ok_or_else(|| BuildError::NoLinker { rustc: self.rustc.clone() })?)
        };
        let Self { rustc, sysroot, version, .. } = self;
        Ok(Toolchain { rustc, cargo, sysroot, linker, std_library, version })
    }

    /// Debian's package has a link to a linker in another package, which need not be installed.
    fn finds_its_linker(&self) -> bool {
        linker_below(&self.sysroot, &self.host).is_some() || on_path("rust-lld").is_some()
    }
}

/// Where a sysroot holds the sources of the standard library.
pub(super) fn sources_below(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library")
}

/// A linker that belongs to no compiler we chose: LLVM's own, or that of another toolchain.
fn other_linker() -> Option<PathBuf> {
    if let Some(linker) = on_path("wasm-ld") {
        return Some(linker);
    }
    let rustc = on_path("rustc")?;
    let sysroot = text_of(&rustc, &["--print", "sysroot"]).ok()?;
    let host = text_of(&rustc, &["-vV"]).ok()?;
    linker_below(Path::new(&sysroot), host.lines().find_map(|line| line.strip_prefix("host: "))?)
}

fn linker_below(sysroot: &Path, host: &str) -> Option<PathBuf> {
    Some(sysroot.join("lib/rustlib").join(host).join("bin/rust-lld")).filter(|linker| linker.is_file())
}

/// The first file of that name on the PATH. Follows links, so that a dangling one does not count.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// What a program prints, without the last line break.
pub(super) fn text_of(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let output = Command::new(program).args(&arguments).output();
    let output = output.map_err(|e| format!("{} cannot be run: {e}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} failed: {}", program.display(), said.lines().next().unwrap_or_default()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
