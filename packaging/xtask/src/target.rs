//! The systems that releases are for.

use crate::Error;

#[derive(Debug, PartialEq)]
pub(crate) struct Target {
    /// In Rust's words.
    pub(crate) triple: &'static str,
    /// What compiles and links C for it.
    pub(crate) compiler: Compiler,
    /// What npm calls the system and the processor.
    pub(crate) npm: (&'static str, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Compiler {
    /// Zig, with the target in its words.
    Zig(&'static str),
    /// Debian's GCC for Windows.
    Mingw,
    /// The one of the system itself.
    Native,
}

pub(crate) const TARGETS: [Target; 6] = [
    Target {
        triple: "x86_64-unknown-linux-musl",
        compiler: Compiler::Zig("x86_64-linux-musl"),
        npm: ("linux", "x64"),
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        compiler: Compiler::Zig("aarch64-linux-musl"),
        npm: ("linux", "arm64"),
    },
    Target {
        triple: "x86_64-pc-windows-gnu",
        compiler: Compiler::Mingw,
        npm: ("win32", "x64"),
    },
    Target {
        triple: "x86_64-pc-windows-msvc",
        compiler: Compiler::Native,
        npm: ("win32", "x64"),
    },
    Target {
        triple: "aarch64-apple-darwin",
        compiler: Compiler::Native,
        npm: ("darwin", "arm64"),
    },
    Target {
        triple: "x86_64-apple-darwin",
        compiler: Compiler::Native,
        npm: ("darwin", "x64"),
    },
];

impl Target {
    pub(crate) fn is_windows(&self) -> bool {
        self.npm.0 == "win32"
    }

    pub(crate) fn is_linux(&self) -> bool {
        self.npm.0 == "linux"
    }

    /// The file name of the program.
    pub(crate) fn program(&self) -> &'static str {
        if self.is_windows() {
            "fastvm.exe"
        } else {
            "fastvm"
        }
    }

    /// The name of the archive without its ending, and of the folder in it.
    pub(crate) fn archive_stem(&self, version: &str) -> String {
        format!("fastvm-{version}-{}", self.triple)
    }

    /// The file name of the archive.
    pub(crate) fn archive(&self, version: &str) -> String {
        let ending = if self.is_windows() { "zip" } else { "tar.gz" };
        format!("{}.{ending}", self.archive_stem(version))
    }

    /// The triple as names of environment variables have it.
    pub(crate) fn in_variables(&self) -> String {
        self.triple.replace('-', "_")
    }
}

pub(crate) fn find(triple: &str) -> Result<&'static Target, Error> {
    let found = TARGETS.iter().find(|target| target.triple == triple);
    found.ok_or_else(|| {
        let all: Vec<_> = TARGETS.iter().map(|target| target.triple).collect();
        format!(
            "no releases are made for `{triple}`: use {}",
            all.join(", ")
        )
        .into()
    })
}

/// Linux builds for itself and for Windows, the others for themselves.
pub(crate) fn buildable_here() -> Vec<&'static Target> {
    let is_buildable = |target: &&Target| {
        if cfg!(target_os = "linux") {
            target.compiler != Compiler::Native
        } else if cfg!(windows) {
            target.triple.ends_with("-msvc")
        } else {
            target.triple.ends_with("-apple-darwin")
        }
    };
    TARGETS.iter().filter(is_buildable).collect()
}
