//! The libraries that a program is linked with, and what their licences want to be told with it.
//!
//! Cargo knows which they are; their licences stand in the crates. A text that several crates have is shown once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// How files are called whose text must go with copies.
const NOTICES: [&str; 6] = ["licen", "copying", "copyright", "notice", "unlicense", "authors"];

const HEAD: &str = "\
The programs of this package are linked with the libraries below, each under its own licence. The texts of the licences
follow, as the libraries have them. Most are written in Rust; of those in other languages, libsqlite3-sys contains SQLite
(in the public domain), ring contains code of OpenSSL and BoringSSL, and utoipa-swagger-ui-vendored contains Swagger UI. The standard library of Rust is under MIT or Apache-2.0.
";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: std::path::PathBuf,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// What is said of the libraries of `program`, a package of this workspace.
pub fn notices(program: &str) -> anyhow::Result<String> {
    let metadata = metadata()?;
    let linked = linked(&metadata, program).with_context(|| format!("cargo knows no package {program}"))?;
    let mut text = HEAD.to_owned();
    let mut texts: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for package in &linked {
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().unwrap_or("see its text");
        writeln!(text, "\n{name}\n    {license}")?;
        for notice in notices_of(package)? {
            let key: String = notice.split_whitespace().collect();
            texts.entry(key).or_insert_with(|| (notice, Vec::new())).1.push(name.clone());
        }
    }
    let mut texts: Vec<(String, Vec<String>)> = texts.into_values().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
    for (notice, names) in texts {
        write!(text, "\n{}\n{}:\n\n{}\n", "-".repeat(80), names.join(", "), notice.trim_end())?;
    }
    Ok(text)
}

fn metadata() -> anyhow::Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version=1"])
        .args(["--filter-platform=x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("reading what cargo metadata says")
}

/// The packages from elsewhere whose code ends up in `program`, by name; macros run at build time alone.
fn linked<'a>(metadata: &'a Metadata, program: &str) -> Option<Vec<&'a Package>> {
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, &Node> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let root =
        metadata.packages.iter().find(|package| package.name == program && package.source.is_none())?;
    let mut seen = BTreeSet::from([root.id.as_str()]);
    let mut left = vec![root.id.as_str()];
    while let Some(id) = left.pop() {
        let normal = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        for dependency in normal.filter(|one| one.dep_kinds.iter().any(|kind| kind.kind.is_none())) {
            let id = dependency.pkg.as_str();
            if packages.get(id).is_some_and(|package| !is_macro(package)) && seen.insert(id) {
                left.push(id);
            }
        }
    }
    let mut linked: Vec<&Package> = seen.iter().filter_map(|id| packages.get(id).copied()).collect();
    linked.retain(|package| package.source.is_some());
    linked.sort_by_key(|package| (&package.name, &package.version));
    Some(linked)
}

fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
}

/// The texts that a crate has beside its manifest, in the order of their names.
fn notices_of(package: &Package) -> anyhow::Result<Vec<String>> {
    let directory = package.manifest_path.parent().context("a manifest has a directory")?;
    let mut files = fs::read_dir(directory)
        .with_context(|| format!("listing {}", directory.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.is_file() && is_notice(file));
    files.sort();
    let read = |file: &Path| {
        let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    files.iter().map(|file| read(file)).collect()
}

fn is_notice(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    NOTICES.iter().any(|notice| name.starts_with(notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_with_its_licence_and_its_text() {
        let text = notices("reflector-agent").unwrap();
        assert!(text.contains("\nrusqlite "), "{}", &text[..2000]);
        assert!(text.contains("Permission is hereby granted, free of charge"));
    }

    #[test]
    fn what_is_run_at_build_time_or_in_tests_alone_is_not_linked() {
        let text = notices("reflector-agent").unwrap();
        let libraries = text.split("----").next().unwrap();
        for name in ["syn", "serde_derive", "cc", "rcgen", "proptest", "reflector-agent"] {
            assert!(!libraries.contains(&format!("\n{name} ")), "{name}");
        }
    }

    #[test]
    fn every_library_has_a_licence() {
        for program in ["reflector-agent", "reflector-api"] {
            assert!(!notices(program).unwrap().contains("see its text"), "{program}");
        }
    }
}
