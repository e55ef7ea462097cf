//! A stand-in for `prost-build` 0.13 in the build scripts of libsignal, which would run `protoc`, a
//! program that a machine with Rust and a C compiler lacks.
//!
//! `protox` reads the `.proto` files, and `prost-build` 0.14 writes the code. `[patch.crates-io]`
//! in the workspace's `Cargo.toml` puts this package in the place of 0.13. It has only what
//! libsignal calls.

use std::io;
use std::path::Path;

/// The settings of a generation of code, as `prost_build::Config`.
#[derive(Debug, Default)]
pub struct Config {
    generator: generator::Config,
}

impl Config {
    /// Settings without any change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ignores an argument for `protoc`. libsignal passes `--experimental_allow_proto3_optional`,
    /// and `protox` allows optional fields without it.
    pub fn protoc_arg(&mut self, _: &str) -> &mut Self {
        self
    }

    /// Writes a Rust module for each package of the `.proto` files into `OUT_DIR`. The files import
    /// others by paths in the folders `includes`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is not Protobuf, or imports a file that no folder has.
    pub fn compile_protos(
        &mut self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> io::Result<()> {
        let files = protox::compile(protos, includes).map_err(io::Error::other)?;
        self.generator.compile_fds(files)
    }
}
