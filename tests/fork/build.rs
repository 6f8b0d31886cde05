//! Generates the fork, an earlier state of it, without the method, the field and the package that were added, and a fork
//! of the whole API.

use std::{env, error::Error, fs, path::PathBuf};

use volt_codegen::{VOLT_API, build::Builder};

const VOLT: &str = "tdx/volt_api/volt/v1/volt.proto";
const FILES: [&str; 3] =
    [VOLT, "tdx/volt_api/volt/v1/status.proto", "tdx/volt_api/volt/v2/volt.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let fork = FILES.map(|file| format!("proto/{file}"));
    Builder::default().own_volt_api().file_name("fork.rs").compile(fork, ["proto"])?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let before = out.join("before");
    for file in &FILES[..2] {
        let text = fs::read_to_string(format!("proto/{file}"))?;
        let kept: Vec<_> = text.lines().filter(|line| !line.contains("// added")).collect();
        let path = before.join(file);
        fs::create_dir_all(path.parent().ok_or("the path of the file has no parent folder")?)?;
        fs::write(path, kept.join("\n"))?;
    }
    let files = FILES[..2].iter().map(|file| before.join(file));
    Builder::default().own_volt_api().file_name("before.rs").compile(files, [&before])?;

    // The whole API of the SDK as a fork, with one more field. It shares all other types with the
    // SDK, whatever its version.
    let whole = out.join("whole");
    for (file, text) in VOLT_API {
        let path = whole.join(file);
        fs::create_dir_all(path.parent().ok_or("the path of the file has no parent folder")?)?;
        let resource = "message Resource {";
        fs::write(path, text.replace(resource, &format!("{resource} string mood = 900;")))?;
    }
    let files = VOLT_API.iter().map(|(file, _)| whole.join(file));
    let builder = Builder::default().own_volt_api().share_volt_api(true);
    builder.file_name("whole.rs").compile(files, [&whole])?;

    // An invented API and its next version.
    for version in ["old", "new"] {
        let folder = format!("changes/{version}");
        println!("cargo:rerun-if-changed={folder}");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
        files.sort();
        let name = format!("changes_{version}.rs");
        Builder::default().file_name(name).compile(files, [&folder])?;
    }
    let builder = Builder::default().file_name("changes_types.rs");
    builder.compile(["changes/types.proto"], ["changes"])?;
    Ok(())
}
