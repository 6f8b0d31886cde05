//! Seeds of the fuzz targets: calls, tokens and configurations recorded from the published clients,
//! and the API's .proto files.

use std::{fs, path::Path};

use anyhow::Context as _;
use prost::Message as _;
use serde_json::Value;
use volt_codegen::{Sources, tree::files_below};

/// Writes the seeds of all targets, one folder for each target.
pub(super) fn write(root: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(folder).ok();
    let mut seeds = Seeds { folder, count: 0 };
    // These targets derive a sequence of events from the bytes; recorded calls do not help.
    for target in ["client", "documents", "invoke", "provider", "router", "server"] {
        seeds.add(target, [0x5a; 64])?;
    }
    let vectors = root.join("volt-runtime/tests/vectors");
    for entry in fs::read_dir(&vectors).with_context(|| vectors.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path)?;
            let vector = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            seeds.recorded("", &vector)?;
        }
    }
    let statements = root.join("fuzz/sql.seeds");
    let text = fs::read_to_string(&statements).with_context(|| statements.display().to_string())?;
    for call in text.split("\n\n").map(str::trim).filter(|call| !call.is_empty()) {
        // The first byte selects the rights and the kind of call.
        for flags in [0, 1, 3, 7] {
            seeds.add("sql", [&[flags], call.as_bytes()].concat())?;
        }
    }
    for flags in [8, 9, 11] {
        seeds.add("sql", [flags; 64])?;
    }
    descriptors(&mut seeds, &root.join("volt-codegen/tests"))?;
    // An invocation, a message and an end in the binary form.
    for seed in [
        &b"\x12\x0e\x1a\x06/a.B/C\x20\x04\x32\x02\x0a\x00"[..],
        b"\x1a\x04\x12\x02\x0a\x00",
        b"\x22\x08\x20\x01\x2a\x02no\x30\x05",
    ] {
        seeds.add("binary", seed)?;
    }
    seeds.add("messages", [0; 64])?;
    protos(&mut seeds, &root.join("volt-codegen/tests/protos"))?;
    protos(&mut seeds, &root.join("proto"))
}

struct Seeds<'a> {
    folder: &'a Path,
    count: usize,
}

impl Seeds<'_> {
    fn add(&mut self, target: &str, seed: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        self.count += 1;
        fs::write(folder.join(format!("{:04}", self.count)), seed)?;
        Ok(())
    }

    /// Collects seeds from a recording, by the names of its members.
    fn recorded(&mut self, name: &str, value: &Value) -> anyhow::Result<()> {
        match value {
            Value::Array(list) => list.iter().try_for_each(|value| self.recorded(name, value)),
            Value::Object(members) => {
                if members.contains_key("volt") && members.contains_key("credential") {
                    self.add("config", value.to_string())?;
                }
                members.iter().try_for_each(|(name, value)| self.recorded(name, value))
            }
            Value::String(text) => self.text(name, text),
            _ => Ok(()),
        }
    }

    fn text(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        match name {
            "message" if text.starts_with('{') => self.add("legacy", text),
            "token" => self.add("token", text),
            name if name.starts_with("plaintext") => {
                self.add("envelope", text)?;
                self.messages(text)
            }
            name if name.contains("frame") => match from_hex(text) {
                Some(frame) if !frame.is_empty() => self.add("frame", frame),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The messages inside an envelope.
    fn messages(&mut self, envelope: &str) -> anyhow::Result<()> {
        let envelope: Value = serde_json::from_str(envelope).unwrap_or_default();
        for member in ["/method_invoke/json_request", "/method_payload/json_payload"] {
            let Some(text) = envelope.pointer(member).and_then(Value::as_str) else { continue };
            // The first byte selects the message type.
            for choice in 0..6 {
                self.add("json", [&[choice], text.as_bytes()].concat())?;
            }
        }
        Ok(())
    }
}

/// A set of descriptors for each file of the generator's tests, without source locations, which would make
/// up most of it.
fn descriptors(seeds: &mut Seeds<'_>, tests: &Path) -> anyhow::Result<()> {
    seeds.add("descriptors", fs::read(tests.join("editions/shop.binpb"))?)?;
    let folder = tests.join("protos");
    let mut imports = Sources::default();
    for path in files_below(&folder)?.into_iter().chain(files_below(&tests.join("imports"))?) {
        let below =
            path.strip_prefix(&folder).or_else(|_| path.strip_prefix(tests.join("imports")))?;
        imports.files.insert(below.to_string_lossy().into_owned(), fs::read_to_string(&path)?);
    }
    for name in imports.files.keys() {
        let mut sources = Sources::default().with_volt_api();
        sources.imports.extend(imports.files.clone());
        sources.files.extend(sources.imports.remove_entry(name));
        let mut set = sources.compile()?;
        set.file.iter_mut().for_each(|file| file.source_code_info = None);
        seeds.add("descriptors", set.encode_to_vec())?;
    }
    Ok(())
}

fn protos(seeds: &mut Seeds<'_>, folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            protos(seeds, &path)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            // The first byte selects the options.
            seeds.add("proto", [&[0], &fs::read(&path)?[..]].concat())?;
        }
    }
    Ok(())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    digits?.chunks(2).map(|pair| Some((pair.first()? << 4) | pair.get(1)?)).collect()
}
