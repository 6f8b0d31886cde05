//! `cargo xtask api import`: adds a version of the API, with our documentation.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use volt_codegen::text::{Comments, write};

use super::source::{self, Source};
use crate::{codegen, tools};

/// Adds an API version below proto/, or brings one that is there into its form.
///
/// The files are written in one form, without the comments that they came with and with our own, from the
/// same version if it is there, else from the one that proto/VERSION names. New elements that have no
/// documentation yet are listed. When anything fails, nothing is changed.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder, a tarball (.tar, .tar.gz, .tgz), or a published version of the package
    /// @tdxvolt/volt-client-grpc, such as npm:0.20.34.
    source: Source,
    /// The API version. By default what the source says: the version of the npm package.
    #[arg(long)]
    version: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    import(&tools::root()?.join("proto"), args)
}

fn import(proto: &Path, args: &Args) -> anyhow::Result<()> {
    let found = source::read(&args.source)?;
    let version = args.version.clone().or(found.version);
    let version = version.context("the source doesn't say its version: give it with --version")?;
    let valid = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(version.split('.').all(valid), "{version:?} is no version, such as 0.20.34");

    let set = found.sources.compile().context("the files of the source don't compile")?;
    let comments = comments(proto, &version)?;
    let written = write(&set, &comments)?;
    let target = proto.join(&version);
    let existed = target.exists();
    replace(&target, &written.files)?;

    println!(
        "{} {} files in {}",
        if existed { "Rewrote" } else { "Wrote" },
        written.files.len(),
        target.display()
    );
    let unknown = comments.unknown(&set);
    if !unknown.is_empty() {
        println!("{} new elements need documentation:", unknown.len());
        for name in unknown {
            println!("  {name}");
        }
    }
    println!(
        "To generate the SDK from it, write {version} into proto/VERSION and run `cargo xtask codegen`."
    );
    Ok(())
}

/// What we say of the elements of this version, or of those that it has in common with the current one.
fn comments(proto: &Path, version: &str) -> anyhow::Result<Comments> {
    let mut comments = Comments::default();
    for version in [version.to_owned(), codegen::default_version(proto)?] {
        let folder = proto.join(version);
        if folder.exists() {
            comments = comments.or(Comments::of(&codegen::sources(&folder)?.compile()?));
        }
    }
    Ok(comments)
}

/// Puts files into a folder in place of what was there, as a whole.
fn replace(target: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let parent = target.parent().context("a version is in a folder")?;
    // Beside the target, so that it only has to be renamed; removed when anything fails.
    let fresh = tempfile::Builder::new().prefix(".import-").tempdir_in(parent)?;
    for (name, text) in files {
        let path = fresh.path().join("new").join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let (new, old) = (fresh.path().join("new"), fresh.path().join("old"));
    if target.exists() {
        fs::rename(target, &old).with_context(|| target.display().to_string())?;
    }
    if let Err(error) = fs::rename(&new, target) {
        if old.exists() {
            fs::rename(&old, target).context("what was there can't be put back")?;
        }
        bail!("{} can't be written: {error}", target.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    const OLD: &str =
        "syntax = \"proto3\";\npackage p.v1;\n// Ours.\nmessage M { string a = 1; }\n";
    const NEW: &str = "syntax = \"proto3\";\npackage p.v1;\n// Theirs.\nmessage M { string a = 1; int32 b = 2; }\n";

    /// A folder with the version 1.0.0 of an API.
    fn proto() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("1.0.0/p/v1")).unwrap();
        fs::write(folder.path().join("1.0.0/p/v1/m.proto"), OLD).unwrap();
        fs::write(folder.path().join("VERSION"), "1.0.0\n").unwrap();
        folder
    }

    fn all(proto: &Path) -> BTreeMap<String, String> {
        let paths = codegen::files_below(proto).unwrap().into_iter();
        let read = |path: std::path::PathBuf| {
            (path.display().to_string(), fs::read_to_string(path).unwrap())
        };
        paths.map(read).collect()
    }

    fn run(proto: &Path, source: &Path) -> anyhow::Result<()> {
        let source = source.to_str().unwrap().parse().unwrap();
        import(proto, &Args { source, version: Some("2.0.0".to_owned()) })
    }

    fn tarball(name: &str, text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut header = tar::Header::new_gnu();
        // The library's own setter refuses paths that lead out.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header, text.as_bytes()).unwrap();
        file.write_all(&tar.into_inner().unwrap()).unwrap();
        file
    }

    #[test]
    fn our_comments_are_kept_and_theirs_are_not() {
        let proto = proto();
        let tarball = tarball("package/protobuf/p/v1/m.proto", NEW);
        run(proto.path(), tarball.path()).unwrap();
        let text = fs::read_to_string(proto.path().join("2.0.0/p/v1/m.proto")).unwrap();
        let expected = "syntax = \"proto3\";\n\npackage p.v1;\n\n// Ours.\nmessage M {\n  string a = 1;\n  int32 b = 2;\n}\n";
        assert_eq!(text, expected);
        // Again, from a folder: nothing but what is there already.
        let before = all(proto.path());
        run(proto.path(), &proto.path().join("2.0.0")).unwrap();
        assert_eq!(all(proto.path()), before);
    }

    #[test]
    fn what_cannot_be_imported_changes_nothing() {
        let proto = proto();
        let before = all(proto.path());
        for (tarball, why) in [
            (tarball("p/../../m.proto", NEW), "a path that leads out of it"),
            (tarball("/p/v1/m.proto", NEW), "a path that leads out of it"),
            (tarball("p/v1/m.proto", "syntax = \"proto3\"; message {"), "don't compile"),
            (tarball("readme.txt", "nothing"), "there are no .proto files"),
        ] {
            let error = format!("{:#}", run(proto.path(), tarball.path()).unwrap_err());
            assert!(error.contains(why), "{error}");
            assert_eq!(all(proto.path()), before);
        }
        let mut torn = tempfile::NamedTempFile::new().unwrap();
        torn.write_all(&[0x1f, 0x8b, 8, 0, 1]).unwrap();
        let error = format!("{:#}", run(proto.path(), torn.path()).unwrap_err());
        assert!(error.contains("is no tarball, or damaged"), "{error}");
        assert_eq!(all(proto.path()), before);
    }

    #[test]
    fn a_version_that_is_none_is_refused() {
        let proto = proto();
        let source = proto.path().join("1.0.0").to_str().unwrap().parse().unwrap();
        let args = Args { source, version: Some("../x".to_owned()) };
        let error = import(proto.path(), &args).unwrap_err().to_string();
        assert!(error.contains("is no version"), "{error}");
    }
}
