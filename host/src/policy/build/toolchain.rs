//! Finds a Rust that compiles to WebAssembly.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::BuildError;

/// WebAssembly without a system interface: the host offers none, on purpose.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust that compiles guests, as their manifests have it: the same as the host's own. Debian's stable releases begin with older ones.
const RUST_VERSION_MIN: &str = env!("CARGO_PKG_RUST_VERSION");

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
    pub(super) version: String,
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
        Search::from_environment().toolchain()
    }

    /// Where the standard library comes from.
    #[must_use]
    pub fn std_library(&self) -> StdLibrary {
        self.std_library
    }
}

/// Where to look.
#[derive(Debug)]
struct Search {
    named_rustc: Option<PathBuf>,
    system_rustc: PathBuf,
    cargo: PathBuf,
    path: Vec<PathBuf>,
}

impl Search {
    fn from_environment() -> Self {
        let variable = std::env::var_os;
        Self {
            named_rustc: variable("RUSTC").map(PathBuf::from),
            system_rustc: SYSTEM_RUSTC.into(),
            cargo: variable("CARGO").map_or("cargo".into(), PathBuf::from),
            path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
        }
    }

    fn toolchain(&self) -> Result<Toolchain, BuildError> {
        let candidates = [self.named_rustc.clone(), self.on_path("rustc"), Some(self.system_rustc.clone())];
        let mut candidates: Vec<PathBuf> = candidates.into_iter().flatten().collect();
        candidates.dedup();
        let mut tried = Vec::new();
        let mut with_sources = None;
        for rustc in candidates {
            match Compiler::probe(&rustc) {
                Ok(compiler) if compiler.has_std() => return self.with(compiler, StdLibrary::Installed),
                Ok(compiler) if compiler.has_std_sources() => {
                    with_sources.get_or_insert(compiler);
                }
                Ok(_) => tried.push(format!("{} has no standard library for {TARGET}", rustc.display())),
                Err(why) => tried.push(why),
            }
        }
        match with_sources {
            Some(compiler) => self.with(compiler, StdLibrary::FromSource),
            None => Err(BuildError::NoToolchain { tried: tried.join("; ") }),
        }
    }

    fn with(&self, compiler: Compiler, std_library: StdLibrary) -> Result<Toolchain, BuildError> {
        let own_cargo = compiler.sysroot.join("bin/cargo");
        let cargo = if own_cargo.is_file() { own_cargo } else { self.cargo.clone() };
        let linker = if compiler.linker().is_some() || self.on_path("rust-lld").is_some() {
            None
        } else {
            Some(self.other_linker().ok_or_else(|| BuildError::NoLinker { rustc: compiler.rustc.clone() })?)
        };
        let Compiler { rustc, sysroot, version, .. } = compiler;
        Ok(Toolchain { rustc, cargo, sysroot, linker, std_library, version })
    }

    /// LLVM's own linker, or that of the compiler on the PATH. Debian's compiler has a link to one in a package that need not be installed.
    fn other_linker(&self) -> Option<PathBuf> {
        self.on_path("wasm-ld").or_else(|| Compiler::probe(&self.on_path("rustc")?).ok()?.linker())
    }

    /// The first file of that name on the PATH. Follows links, so that a dangling one does not count.
    fn on_path(&self, program: &str) -> Option<PathBuf> {
        self.path.iter().map(|dir| dir.join(program)).find(|file| file.is_file())
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
        // Without what Debian appends: how the compiler was built, which says nothing about the code that it makes.
        let version = verbose.lines().next().unwrap_or_default();
        let version = version.split_inclusive(')').next().unwrap_or_default();
        if numbers_of(version) < numbers_of(RUST_VERSION_MIN) {
            return Err(format!("{} is {version}, and policies need {RUST_VERSION_MIN} or newer", rustc.display()));
        }
        Ok(Self {
            rustc: rustc.to_owned(),
            sysroot: sysroot.into(),
            host: host.to_owned(),
            version: version.to_owned(),
        })
    }

    fn has_std(&self) -> bool {
        let library = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let entries = std::fs::read_dir(library).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("libstd-"))
    }

    fn has_std_sources(&self) -> bool {
        sources_below(&self.sysroot).join("Cargo.lock").is_file()
    }

    fn linker(&self) -> Option<PathBuf> {
        let linker = self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld");
        linker.is_file().then_some(linker)
    }
}

/// Where a sysroot holds the sources of the standard library.
pub(super) fn sources_below(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library")
}

/// Major and minor number of the first word that begins with a digit.
fn numbers_of(version: &str) -> Option<(u32, u32)> {
    let word = version.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// What a program prints, without the last line break.
fn text_of(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|e| format!("{} cannot be run: {e}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} failed: {}", program.display(), said.lines().next().unwrap_or_default()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::super::testing::executable;
    use super::{RUST_VERSION_MIN, Search, StdLibrary, TARGET, numbers_of};

    /// A directory with compilers that only answer questions.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.path(name);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("created");
            fs::write(&path, content).expect("written");
            path
        }

        /// A compiler in its own sysroot.
        fn rustc(&self, sysroot: &str) -> PathBuf {
            let script = format!(
                "#!/bin/sh\n[ $1 = --print ] && echo {} || echo 'rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nhost: here'\n",
                self.path(sysroot).display()
            );
            let path = self.path(&format!("{sysroot}/bin/rustc"));
            fs::create_dir_all(path.parent().expect("below the directory")).expect("created");
            executable(&path, &script);
            path
        }

        fn std(&self, sysroot: &str) {
            self.file(&format!("{sysroot}/lib/rustlib/{TARGET}/lib/libstd-1.rlib"), "");
        }

        fn sources(&self, sysroot: &str) {
            self.file(&format!("{sysroot}/lib/rustlib/src/rust/library/Cargo.lock"), "");
        }

        fn linker(&self, sysroot: &str) -> PathBuf {
            self.file(&format!("{sysroot}/lib/rustlib/here/bin/rust-lld"), "")
        }

        /// One compiler on the PATH, and the system's.
        fn search(&self) -> Search {
            let (first, system_rustc) = (self.rustc("first"), self.rustc("system"));
            let path = vec![first.parent().map(Path::to_owned).expect("in a directory"), self.path("bin")];
            Search { named_rustc: None, system_rustc, cargo: "cargo".into(), path }
        }
    }

    #[test]
    fn an_installed_standard_library_goes_before_one_from_source() {
        let machine = Machine::new();
        let search = machine.search();
        machine.sources("first");
        machine.std("system");
        machine.linker("system");
        let found = search.toolchain().expect("a toolchain");
        assert_eq!((found.rustc, found.std_library), (machine.path("system/bin/rustc"), StdLibrary::Installed));
    }

    #[test]
    fn a_compiler_that_is_named_goes_first() {
        let machine = Machine::new();
        let search = Search { named_rustc: Some(machine.rustc("named")), ..machine.search() };
        for sysroot in ["named", "first", "system"] {
            machine.sources(sysroot);
            machine.linker(sysroot);
        }
        let found = search.toolchain().expect("a toolchain");
        assert_eq!((found.rustc, found.std_library), (machine.path("named/bin/rustc"), StdLibrary::FromSource));
    }

    #[test]
    fn the_toolchain_is_named_without_paths() {
        let machine = Machine::new();
        let search = machine.search();
        machine.sources("system");
        machine.linker("system");
        let found = search.toolchain().expect("a toolchain");
        assert_eq!(found.to_string(), "rustc 1.96.0 (ac68faa20 2026-05-25), std from source");
        machine.std("system");
        let found = search.toolchain().expect("a toolchain");
        assert_eq!(found.to_string(), "rustc 1.96.0 (ac68faa20 2026-05-25)");
    }

    #[test]
    fn cargo_is_the_compilers_own_where_it_has_one() {
        let machine = Machine::new();
        let search = machine.search();
        machine.sources("system");
        machine.linker("system");
        assert_eq!(search.toolchain().expect("a toolchain").cargo, Path::new("cargo"));
        let own = machine.file("system/bin/cargo", "");
        assert_eq!(search.toolchain().expect("a toolchain").cargo, own);
    }

    #[test]
    fn a_compiler_without_a_linker_borrows_one() {
        let machine = Machine::new();
        let search = machine.search();
        machine.sources("system");
        let dangling = machine.path("bin/rust-lld");
        fs::create_dir_all(machine.path("bin")).expect("created");
        std::os::unix::fs::symlink(machine.path("absent"), dangling).expect("linked");
        let error = search.toolchain().expect_err("no linker").to_string();
        assert!(error.contains("no rust-lld or wasm-ld"), "{error}");

        let of_the_first = machine.linker("first");
        assert_eq!(search.toolchain().expect("a toolchain").linker, Some(of_the_first));
        let of_llvm = machine.file("bin/wasm-ld", "");
        assert_eq!(search.toolchain().expect("a toolchain").linker, Some(of_llvm));
        machine.linker("system");
        assert_eq!(search.toolchain().expect("a toolchain").linker, None);
    }

    #[test]
    fn a_compiler_that_is_too_old_for_policies_is_none() {
        let machine = Machine::new();
        let search = machine.search();
        let old =
            "#!/bin/sh\n[ $1 = --print ] && echo /old || echo 'rustc 1.85.0 (4d91de4e4 2025-02-17)\nhost: here'\n";
        executable(&search.system_rustc, old);
        machine.sources("system");
        machine.linker("system");
        let error = search.toolchain().expect_err("too old").to_string();
        assert!(error.contains(&format!("policies need {RUST_VERSION_MIN} or newer")), "{error}");
        assert_eq!(numbers_of("rustc 1.96.0-nightly (x 2026-05-25)"), Some((1, 96)));
        assert!(numbers_of("rustc 1.100.0") > numbers_of("1.95"));
    }

    #[test]
    fn without_a_toolchain_the_error_says_what_was_tried_and_what_to_install() {
        let machine = Machine::new();
        let search = Search { system_rustc: machine.path("absent"), ..machine.search() };
        let error = search.toolchain().expect_err("nothing there").to_string();
        let first = machine.path("first/bin/rustc");
        assert!(error.contains(&format!("{} has no standard library for {TARGET}", first.display())), "{error}");
        assert!(error.contains("absent cannot be run"), "{error}");
        assert!(error.contains("rustup target add wasm32-unknown-unknown"), "{error}");
        assert!(error.contains("apt-get install rustc-web rust-web-src"), "{error}");
    }
}
