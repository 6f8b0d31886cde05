//! Parses the text of `.proto` files into descriptors, with protox.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    sync::Arc,
};

use miette::Diagnostic as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

use crate::{
    bundled::VOLT_API,
    error::{Error, Place, Problem},
    scopes,
};

/// The texts of `.proto` files, by the names under which they import each other
/// (`tdx/volt_api/volt/v1/volt.proto`). Those of `google/protobuf/` are built in.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files to generate code for.
    pub files: BTreeMap<String, String>,
    /// Further files that these may import. If imported, their types are generated too, unless
    /// [`Options::extern_path`](crate::Options::extern_path) maps them to existing code.
    pub imports: BTreeMap<String, String>,
    /// The folders searched for imports, for errors.
    pub(crate) searched: Vec<String>,
    /// Files that have been parsed already.
    pub(crate) parsed: Arc<HashMap<String, File>>,
}

impl Sources {
    /// Adds the files of the Volt API, which are part of this crate, to the possible imports.
    /// [`Options::volt_api`](crate::Options::volt_api) maps their types to those of `volt-api`.
    pub fn with_volt_api(mut self) -> Self {
        let files = VOLT_API.iter();
        self.imports.extend(files.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        self
    }

    /// Parses and links the files.
    ///
    /// # Errors
    ///
    /// Fails if a file does not parse, or an import or a name cannot be resolved. The first such
    /// problem is reported, with file, line and column.
    pub fn compile(&self) -> Result<FileDescriptorSet, Error> {
        // Omitting the options, which protox interprets one by one, takes a fraction of the time.
        let resolved = Parsed(scopes::resolve(self.parse()).into());
        let linked = self.link(resolved).or_else(|first| {
            // The texts are needed for the places of errors.
            let unparsed = self.imports.iter().chain(&self.files);
            let unparsed = unparsed.filter(|(name, _)| !self.parsed.contains_key(*name));
            let texts = unparsed.map(|(name, text)| (name.clone(), text.clone())).collect();
            self.link(Texts { texts, parsed: self.parsed.clone() }).map_err(|error| {
                // The cause is not an error in an option.
                let is_option = !error.is_parse() && error.to_string().contains("option ");
                self.explain(if is_option { &first } else { &error })
            })
        });
        let mut set = linked?;
        self.keep_used(&mut set);
        Ok(set)
    }

    /// Like [`compile`](Self::compile), but ignores imports of missing files unless a type needs
    /// them.
    pub(crate) fn compile_available(&self) -> Result<FileDescriptorSet, Error> {
        let mut files = self.parse();
        if self.files.keys().chain(self.imports.keys()).any(|name| {
            !files.contains_key(name) && files.values().any(|file| file.dependency.contains(name))
        }) {
            // A file that cannot be parsed.
            return self.compile();
        }
        let names: HashSet<String> = files.keys().cloned().collect();
        let imports = files.values().flat_map(|file| file.dependency.iter().cloned());
        let missing: Vec<String> = imports.filter(|import| !names.contains(import)).collect();
        for file in files.values_mut() {
            scopes::retain_imports(file, |import| names.contains(import));
        }
        if let Ok(mut set) = self.link(Parsed(scopes::resolve(files).into())) {
            self.keep_used(&mut set);
            return Ok(set);
        }
        // Missing files count as empty, so that the error names the type that is needed of them.
        let mut stubbed = self.clone();
        stubbed.imports.extend(missing.into_iter().map(|name| (name, String::new())));
        stubbed.compile()
    }

    /// Parses a text, whose names remain as they are written.
    pub(crate) fn parse_one(
        &self,
        name: &str,
        text: &str,
    ) -> Result<FileDescriptorProto, protox::Error> {
        let file = match self.parsed.get(name) {
            Some(file) => file.clone(),
            None => File::from_source(name, text.trim_start_matches('\u{feff}'))?,
        };
        Ok(file.into())
    }

    fn link(&self, files: impl FileResolver + 'static) -> Result<FileDescriptorSet, protox::Error> {
        let mut resolver = ChainFileResolver::new();
        resolver.add(files);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(self.files.keys())?;
        Ok(compiler.file_descriptor_set())
    }

    /// The files and all imports, as far as they can be parsed.
    fn parse(&self) -> scopes::Files {
        let mut parsed = scopes::Files::new();
        let mut open: Vec<String> = self.files.keys().cloned().collect();
        while let Some(name) = open.pop() {
            if parsed.contains_key(&name) {
                continue;
            }
            let text = self.files.get(&name).or_else(|| self.imports.get(&name));
            let file = match (self.parsed.get(&name), text) {
                (None, Some(text)) if !is_builtin(&name) => {
                    File::from_source(&name, text.trim_start_matches('\u{feff}'))
                }
                (Some(file), _) => Ok(file.clone()),
                _ => GoogleFileResolver::new().open_file(&name),
            };
            if let Ok(file) = file.map(FileDescriptorProto::from) {
                open.extend(file.dependency.iter().cloned());
                parsed.insert(name, file);
            }
        }
        parsed
    }

    /// Removes imported files whose types are not used by the files that are kept, such as those that are
    /// imported for their options.
    fn keep_used(&self, set: &mut FileDescriptorSet) {
        let mut defined = HashMap::new();
        for (index, file) in set.file.iter().enumerate() {
            define(&mut defined, index, file.package(), &file.message_type, &file.enum_type);
        }
        let is_root = |file: &FileDescriptorProto| self.files.contains_key(file.name());
        let files = set.file.iter().enumerate();
        let mut open: Vec<usize> =
            files.filter(|(_, file)| is_root(file)).map(|(index, _)| index).collect();
        let mut kept: HashSet<usize> = open.iter().copied().collect();
        while let Some(index) = open.pop() {
            let mut used = Vec::new();
            refer(&mut used, &set.file[index]);
            for name in used {
                if let Some(index) = defined.get(name).copied()
                    && kept.insert(index)
                {
                    open.push(index);
                }
            }
        }
        let mut index = 0;
        set.file.retain(|_| {
            index += 1;
            kept.contains(&(index - 1))
        });
    }
}

/// The text with which protox reports a name that it cannot resolve.
const NOT_DEFINED: &str = "is not defined";

/// Adds the full names of all types in a file, with a leading dot.
fn define(
    defined: &mut HashMap<String, usize>,
    file: usize,
    prefix: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
) {
    let full = |name: &str| match prefix {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    };
    defined.extend(enums.iter().map(|item| (format!(".{}", full(item.name())), file)));
    for message in messages {
        let name = full(message.name());
        define(defined, file, &name, &message.nested_type, &message.enum_type);
        defined.insert(format!(".{name}"), file);
    }
}

/// Adds the types of a file's fields and methods, as in the descriptors.
fn refer<'a>(used: &mut Vec<&'a str>, file: &'a FileDescriptorProto) {
    let methods = file.service.iter().flat_map(|service| &service.method);
    used.extend(methods.flat_map(|method| [method.input_type(), method.output_type()]));
    let mut open: Vec<&DescriptorProto> = file.message_type.iter().collect();
    while let Some(message) = open.pop() {
        used.extend(message.field.iter().map(FieldDescriptorProto::type_name));
        open.extend(&message.nested_type);
    }
}

/// Returns whether protobuf's own file with this name is built in.
#[must_use]
pub fn is_builtin(name: &str) -> bool {
    const FILES: [&str; 12] = [
        "any",
        "api",
        "compiler/plugin",
        "descriptor",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
        "timestamp",
        "type",
        "wrappers",
    ];
    let file = name.strip_prefix("google/protobuf/").and_then(|name| name.strip_suffix(".proto"));
    file.is_some_and(|file| FILES.contains(&file))
}

struct Texts {
    texts: BTreeMap<String, String>,
    parsed: Arc<HashMap<String, File>>,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        // Protobuf's own files always have the built-in types, even if a copy differs.
        if is_builtin(name) {
            return Err(protox::Error::file_not_found(name));
        }
        if let Some(file) = self.parsed.get(name) {
            return Ok(file.clone());
        }
        match self.texts.get(name) {
            // Some editors put a byte order mark before the text.
            Some(text) => File::from_source(name, text.trim_start_matches('\u{feff}')),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Files with absolute names.
struct Parsed(RefCell<scopes::Files>);

impl FileResolver for Parsed {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        // Each file is opened once.
        let file = self.0.borrow_mut().remove(name);
        let file = file.filter(|_| !is_builtin(name));
        Ok(File::from_file_descriptor_proto(
            file.ok_or_else(|| protox::Error::file_not_found(name))?,
        ))
    }
}

impl Sources {
    /// The place of a parse error that protox reports without one: a file ends too early.
    fn end_of_file(&self, error: &protox::Error) -> Option<Place> {
        let file = error.file().filter(|_| error.is_parse())?;
        let text = self.files.get(file).or_else(|| self.imports.get(file))?;
        let line = u32::try_from(text.lines().count()).ok()?;
        let column = u32::try_from(text.lines().last()?.chars().count()).ok()? + 1;
        Some(Place { file: file.to_owned(), position: Some((line, column)) })
    }

    /// protox has the place only in its `Debug` form, and the other details only in its labels.
    fn explain(&self, error: &protox::Error) -> Error {
        let shown = format!("{error:?}");
        let text = error.to_string();
        let place = shown.strip_suffix(&text).and_then(|place| place_of(place.trim_end()));
        let place = place.or_else(|| self.end_of_file(error));
        let mut message = if place.is_some() { text } else { shown };
        let is_edition = message.ends_with("but found 'edition'");
        if is_edition {
            "the file has an edition: as text, only proto2 and proto3 can be read"
                .clone_into(&mut message);
        }
        let at = place.as_ref().and_then(|place| place.position);
        if let Some(line) = place.as_ref().and_then(|place| self.line(place)) {
            let _ = write!(message, "\n  | {line}");
        }
        for label in error.labels().into_iter().flatten() {
            let code = error.source_code();
            let span = code.and_then(|code| code.read_span(label.inner(), 0, 0).ok());
            let (Some(text), Some(span)) = (label.label(), span) else { continue };
            let (line, column) = (span.line() + 1, span.column() + 1);
            if at.is_some_and(|(first, _)| usize::try_from(first) != Ok(line)) {
                let file = error.file().unwrap_or_default();
                let _ = write!(message, "\n  {text}: {file}:{line}:{column}");
            }
        }
        let help = if error.is_file_not_found() {
            Some(match self.searched.as_slice() {
                [] => "names of imports begin at the root that all files share".to_owned(),
                folders => format!(
                    "names of imports begin at an include folder, here {}; or name a file of the Volt API",
                    folders.join(", ")
                ),
            })
        } else if is_edition {
            let help = "compile it with protoc or buf, and generate from the set of descriptors";
            Some(help.to_owned())
        } else if message.contains(NOT_DEFINED) {
            Some("declare it, or import the file that does".to_owned())
        } else {
            error.help().map(|help| help.to_string())
        };
        Problem { place, message, help }.into()
    }

    /// The line of the text that contains a place.
    fn line(&self, place: &Place) -> Option<&str> {
        let text = self.files.get(&place.file).or_else(|| self.imports.get(&place.file))?;
        let (line, _) = place.position?;
        text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?).map(str::trim)
    }
}

/// Parses `file:line:column:`.
fn place_of(shown: &str) -> Option<Place> {
    let mut parts = shown.strip_suffix(':')?.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some(Place { file: parts.next()?.to_owned(), position: Some((line, column)) })
}
