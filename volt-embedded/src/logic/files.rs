//! Files: resources with content. A path leads from a folder to a resource through the names of
//! resources. It is never used as a path on disk and cannot leave the folder.

use std::{
    collections::{HashSet, VecDeque},
    io::{self, Write as _},
    sync::Arc,
};

use aws_lc_rs::digest;
use fs_err::File as DiskFile;
use rusqlite::Connection;
use tempfile::TempPath;
use volt_api::volt::{
    File, GetFileContentRequest, GetFileDescendantsRequest, GetFileRequest, Resource,
    SaveResourceRequest, SetFileContentRequest, UploadFileStart,
};

use super::{resources::changed, signing::encode};
use crate::{
    actor::Actor,
    error::{Result, exhausted, invalid, not_found, precondition},
    rights::{CONTENT, READ, WRITE},
    store::{
        Tx, links, now, resources,
        resources::{DATABASE_KINDS, add_kind, has_kind},
    },
};

/// The largest content that fits into one message.
const MAX_CONTENT: u64 = 64 << 20;
const FOLDER: &str = "volt:folder";
const FILE: &str = "volt:file";

/// The maximum number of files and folders in a list.
const MAX_LISTED: usize = 200_000;

/// Incoming content of a file.
pub(crate) struct Upload {
    id: String,
    store_name: String,
    file: DiskFile,
    path: TempPath,
    hash: digest::Context,
    size: u64,
}

/// The content of a file, opened to be read.
pub(crate) struct OpenFile {
    pub(crate) id: String,
    pub(crate) content: DiskFile,
}

impl Upload {
    pub(crate) fn write(&mut self, block: &[u8]) -> io::Result<()> {
        self.file.write_all(block)?;
        self.hash.update(block);
        self.size += block.len() as u64;
        Ok(())
    }
}

impl Actor {
    /// Starts replacing the content of a file.
    pub(crate) fn begin_upload(&self, start: &UploadFileStart) -> Result<Upload> {
        let id = self.read(|store| {
            let id = self.reach(store, &start.resource_id, WRITE)?;
            refuse_without_content(&resources::require(store, &id)?)?;
            Ok(id)
        })?;
        self.upload(id, &start.store_name)
    }

    fn upload(&self, id: String, store_name: &str) -> Result<Upload> {
        let (file, path) = self.volt.disk.incoming()?.into_parts();
        let file = DiskFile::from_parts(file, path.to_path_buf());
        let hash = digest::Context::new(&digest::SHA256);
        Ok(Upload { id, store_name: store_name.to_owned(), file, path, hash, size: 0 })
    }

    /// Replaces a file's content. The actor's rights are checked again, because they may have changed
    /// since the upload began.
    pub(crate) fn finish_upload(&self, upload: Upload) -> Result<()> {
        // Write to disk before the change, so that other changes do not wait for it.
        self.volt.disk.sync(&upload.file)?;
        self.write(|tx| {
            resources::exists(tx, &upload.id)?
                .then_some(())
                .ok_or_else(|| not_found("resource", &upload.id))?;
            self.demand(tx, &upload.id, WRITE)?;
            self.place(tx, upload)
        })
    }

    fn place(&self, tx: &Tx<'_>, upload: Upload) -> Result<()> {
        let Upload { id, store_name, file, path, hash, size } = upload;
        drop(file);
        let mut resource = resources::require(tx, &id)?;
        if !store_name.is_empty() {
            resource.store = store_name;
        }
        let named = if resource.store.is_empty() { &resource.name } else { &resource.store };
        if let Some(extension) = extension(named) {
            let kind = format!("volt:ext:{}", extension.to_ascii_lowercase());
            resource.kind.retain(|kind| !kind.starts_with("volt:ext:"));
            add_kind(&mut resource, &kind);
        }
        resource.size = size;
        resource.content_hash = encode(hash.finish().as_ref());
        resource.modified = now().max(resource.modified);
        resource.version += 1;
        changed(tx, &resource)?;
        // Place the content before the store refers to it, and remove the old content afterwards.
        self.volt.disk.place(path, &id, &resource.content_hash)?;
        let volt = Arc::clone(&self.volt);
        tx.afterwards(move || volt.disk.keep_only(&id, &resource.content_hash));
        Ok(())
    }

    /// Opens the content of a file. Returns `None` if the file never had content.
    pub(crate) fn open_file(&self, reference: &str, path: &str) -> Result<Option<OpenFile>> {
        let mut missed = String::new();
        loop {
            let (id, hash) = self.read(|store| {
                let resource =
                    resources::require(store, &self.locate(store, reference, path, CONTENT)?)?;
                refuse_without_content(&resource)?;
                Ok((resource.id, resource.content_hash))
            })?;
            if hash.is_empty() {
                return Ok(None);
            }
            match DiskFile::open(self.volt.disk.content(&id, &hash)) {
                // The content has just been replaced: look up its new hash.
                Err(error) if error.kind() == io::ErrorKind::NotFound && hash != missed => {
                    missed = hash;
                }
                other => return Ok(Some(OpenFile { id, content: other? })),
            }
        }
    }

    /// Checks again that the actor may read a file's content.
    pub(crate) fn recheck_file(&self, id: &str) -> Result<()> {
        self.read(|store| self.demand(store, id, CONTENT))
    }

    pub(crate) fn get_file_content(&self, request: &GetFileContentRequest) -> Result<Vec<u8>> {
        let Some(mut file) = self.open_file(&request.resource_id, &request.file_path)? else {
            return Ok(Vec::new());
        };
        if file.content.metadata()?.len() > MAX_CONTENT {
            return Err(precondition("the file is longer than 64 MB: use DownloadFile").into());
        }
        let mut content = Vec::new();
        io::Read::read_to_end(&mut file.content, &mut content)?;
        Ok(content)
    }

    /// Replaces the content of a file. In a folder, a missing file is created along with its
    /// missing parent folders.
    pub(crate) fn set_file_content(&self, request: &SetFileContentRequest) -> Result<()> {
        if request.content.len() as u64 > MAX_CONTENT {
            return Err(invalid("the content is longer than 64 MB: use UploadFile").into());
        }
        // Write to disk before the change, so that other changes do not wait for it.
        let mut upload = self.upload(String::new(), &request.store_name)?;
        upload.write(&request.content)?;
        self.volt.disk.sync(&upload.file)?;
        self.write(|tx| {
            let mut id = resources::resolve(tx, &request.resource_id)?;
            let names = names(&request.file_path)?;
            for (index, name) in names.iter().enumerate() {
                id = if let Some(child) = links::child(tx, &id, name)? {
                    child
                } else {
                    let kind = if index + 1 == names.len() { FILE } else { FOLDER };
                    let new = Resource::default().with_name(*name).with_kind([kind]);
                    let request = SaveResourceRequest::default()
                        .with_resource(new)
                        .with_create(true)
                        .with_create_in_parent_id(&id);
                    self.save(tx, request)?.id
                };
            }
            self.demand(tx, &id, WRITE)?;
            refuse_without_content(&resources::require(tx, &id)?)?;
            upload.id = id;
            self.place(tx, upload)
        })
    }

    pub(crate) fn get_file(&self, request: &GetFileRequest) -> Result<File> {
        self.read(|store| {
            let id = self.locate(store, &request.resource_id, &request.file_path, READ)?;
            let path = names(&request.file_path)?.join("/");
            let base = resources::resolve(store, &request.resource_id)?;
            Ok(describe(resources::require(store, &id)?, path, &base))
        })
    }

    /// Returns all files and folders in a folder, each once, with its shortest path.
    pub(crate) fn get_file_descendants(
        &self,
        request: &GetFileDescendantsRequest,
    ) -> Result<Vec<File>> {
        self.read(|store| {
            let base = resources::resolve(store, &request.resource_id)?;
            let top = self.locate(store, &request.resource_id, &request.file_path, READ)?;
            let wanted = request.extension.trim_start_matches('.');
            let mut found = Vec::new();
            let mut seen = HashSet::from([top.clone()]);
            let mut open = VecDeque::from([(top, names(&request.file_path)?.join("/"))]);
            while let Some((folder, path)) = open.pop_front() {
                self.scope.check()?;
                for id in links::children(store, &folder)? {
                    // List a folder with several parents only once, under its shortest path: the
                    // number of paths may be exponential.
                    if !seen.insert(id.clone()) {
                        continue;
                    }
                    if seen.len() > MAX_LISTED {
                        let message =
                            format!("more than {MAX_LISTED} files: list a smaller folder");
                        return Err(exhausted(message).into());
                    }
                    let child = resources::require(store, &id)?;
                    let hidden = child.name.starts_with('.') && !request.include_hidden;
                    if hidden || !self.may(store, &id, READ)? {
                        continue;
                    }
                    let separator = if path.is_empty() { "" } else { "/" };
                    let path = format!("{path}{separator}{}", child.name);
                    open.push_back((id, path.clone()));
                    if !has_kind(&child, FILE) && !has_kind(&child, FOLDER) {
                        continue;
                    }
                    let file = describe(child, path, &base);
                    if (wanted.is_empty() || file.extension.eq_ignore_ascii_case(wanted))
                        && (!request.folders_only || file.is_directory)
                        && (request.descendant_id.is_empty()
                            || request.descendant_id == file.resource_id)
                    {
                        found.push(file);
                    }
                }
            }
            found.sort_by(|one, other| one.file_path.cmp(&other.file_path));
            Ok(found)
        })
    }

    /// Returns the resource at the end of a path, if the actor has this access to it.
    fn locate(
        &self,
        store: &Connection,
        reference: &str,
        path: &str,
        access: &str,
    ) -> Result<String> {
        let mut id = resources::resolve(store, reference)?;
        for name in names(path)? {
            id = links::child(store, &id, name)?.ok_or_else(|| not_found("file", path))?;
        }
        self.demand(store, &id, access)?;
        Ok(id)
    }
}

/// Splits a path into names.
fn names(path: &str) -> Result<Vec<&str>> {
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    if names.contains(&"..") {
        return Err(invalid(format!("`{path}` leaves the folder")).into());
    }
    Ok(names)
}

fn refuse_without_content(resource: &Resource) -> Result<()> {
    if has_kind(resource, FOLDER) || has_kind(resource, DATABASE_KINDS[1]) {
        let what = if has_kind(resource, FOLDER) { "a folder" } else { "a database" };
        return Err(precondition(format!("`{}` is {what}, not a file", resource.id)).into());
    }
    Ok(())
}

fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(stem, extension)| (!stem.is_empty()).then_some(extension))?
}

fn describe(resource: Resource, path: String, base: &str) -> File {
    let extension = extension(&resource.name).unwrap_or_default();
    File::default()
        .with_file_path(path)
        .with_extension(extension)
        .with_media_type(media_type(&extension.to_ascii_lowercase()))
        .with_size(resource.size)
        .with_is_directory(has_kind(&resource, FOLDER))
        .with_modified(resource.modified)
        .with_file_name(resource.name)
        .with_resource_id(resource.id)
        .with_owner_resource_id(base)
}

fn media_type(extension: &str) -> &'static str {
    match extension {
        "txt" | "md" | "log" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "" => "",
        _ => "application/octet-stream",
    }
}
