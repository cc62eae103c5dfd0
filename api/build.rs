//! Keeps the program small.
//!
//! Takes out of Swagger UI's release the files that `GET /docs` needs, and compresses them: the rest, mostly maps of its sources, is ten
//! times as large.

use std::borrow::Cow;
use std::error::Error;
use std::fs::File;
use std::io::{Cursor, copy};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipArchive;

/// What the page asks for.
const FILES: [&str; 4] = ["favicon-32x32.png", "index.css", "swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
    fold_functions();
    let out = std::env::var("OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED))?;
    let names: Vec<String> =
        archive.file_names().map(|name| name.map(Cow::into_owned)).collect::<Result<_, _>>()?;
    for name in FILES {
        let end = format!("/dist/{name}");
        let path =
            names.iter().find(|path| path.ends_with(&end)).ok_or_else(|| format!("there is no {name}"))?;
        // The head of a gzip file holds no time here, so that every build makes the same bytes.
        let file = File::create(Path::new(&out).join(format!("{name}.gz")))?;
        let mut compressed = GzEncoder::new(file, Compression::best());
        copy(&mut archive.by_name(path)?, &mut compressed)?;
        compressed.finish()?;
    }
    Ok(())
}

/// Has the linker of Rust's own toolchains for amd64 keep one of functions that came out alike: there are thousands, one for each type that
/// a generic function was made for.
fn fold_functions() {
    let is = |variable, value| std::env::var(variable).is_ok_and(|set| set == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
