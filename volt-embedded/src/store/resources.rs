//! Resources: one row each, plus their kinds, aliases and attributes.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use volt_api::volt::{
    AttributeValue, OnlineStatus, Resource, ResourceAttribute, ServiceDescription, ServiceHostType,
    Version,
};

use super::{
    Tx,
    rows::{from_json, signed, strings, to_json, unsigned},
    search, tombstones,
};
use crate::error::{Result, exists as taken, invalid, not_found};

/// The kind of an identity.
pub(crate) const IDENTITY: &str = "volt:identity";
/// The kinds of a database.
pub(crate) const DATABASE_KINDS: [&str; 2] = ["volt:database", "volt:sqlite-database"];

/// The API version that this Volt speaks.
pub(crate) fn platform_version() -> Version {
    Version::default().with_version_major(0).with_version_minor(20).with_version_patch(34)
}

/// Returns the id of the resource that `reference` names: an id, or an alias after an `@`.
pub(crate) fn resolve(store: &Connection, reference: &str) -> Result<String> {
    if reference.is_empty() {
        return Err(invalid("a resource id is missing").into());
    }
    let id = match reference.strip_prefix('@') {
        Some(alias) => store
            .prepare_cached("SELECT resource_id FROM alias WHERE alias = ?1")?
            .query_row([alias], |row| row.get(0))
            .optional()?,
        None => store
            .prepare_cached("SELECT id FROM resource WHERE id = ?1")?
            .query_row([reference], |row| row.get(0))
            .optional()?,
    };
    id.ok_or_else(|| not_found("resource", reference).into())
}

/// Returns a complete resource.
pub(crate) fn get(store: &Connection, id: &str) -> Result<Option<Resource>> {
    let resource = store
        .prepare_cached(
            "SELECT id, name, description, share_mode, owner, created, modified, version, status,
                    online_status, size, store, content_hash, service,
                    (SELECT value FROM setting WHERE name = 'volt_id')
             FROM resource WHERE id = ?1",
        )?
        .query_row([id], read_row)
        .optional()?;
    let Some((mut resource, service)) = resource else { return Ok(None) };
    resource.service_description = service.map(|text| from_json(&text)).transpose()?;
    resource.platform_version = Some(platform_version());
    resource.kind =
        strings(store, "SELECT kind FROM kind WHERE resource_id = ?1 ORDER BY position", [id])?;
    resource.alias =
        strings(store, "SELECT alias FROM alias WHERE resource_id = ?1 ORDER BY alias", [id])?;
    resource.attribute = attributes(store, id)?;
    Ok(Some(resource))
}

/// Returns a resource, or fails with `NOT_FOUND`.
pub(crate) fn require(store: &Connection, id: &str) -> Result<Resource> {
    get(store, id)?.ok_or_else(|| not_found("resource", id).into())
}

/// Returns the owner of a resource, or fails with `NOT_FOUND`.
pub(crate) fn owner(store: &Connection, id: &str) -> Result<String> {
    let owner = store
        .prepare_cached("SELECT owner FROM resource WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    owner.ok_or_else(|| not_found("resource", id).into())
}

/// Returns whether a resource exists.
pub(crate) fn exists(store: &Connection, id: &str) -> Result<bool> {
    Ok(store.prepare_cached("SELECT 1 FROM resource WHERE id = ?1")?.exists([id])?)
}

/// Returns whether an identity owns any resource.
pub(crate) fn owns_any(store: &Connection, identity: &str) -> Result<bool> {
    let mut select = store.prepare_cached("SELECT 1 FROM resource WHERE owner = ?1 LIMIT 1")?;
    Ok(select.exists([identity])?)
}

/// Inserts a new resource.
pub(crate) fn insert(store: &Tx<'_>, resource: &Resource) -> Result<()> {
    if exists(store, &resource.id)? {
        return Err(taken(format!("resource `{}` exists already", resource.id)).into());
    }
    tombstones::remove(store, &resource.id)?;
    store
        .prepare_cached(
            "INSERT INTO resource VALUES (?1, '', '', 0, '', 0, 0, 0, 0, 0, 0, '', '', NULL)",
        )?
        .execute([&resource.id])?;
    update(store, resource)
}

/// Updates all columns of a resource.
pub(crate) fn update(store: &Tx<'_>, resource: &Resource) -> Result<()> {
    let id = &resource.id;
    let service = resource.service_description.as_ref().map(to_json).transpose()?;
    store
        .prepare_cached(
            "UPDATE resource SET name = ?2, description = ?3, share_mode = ?4, owner = ?5,
                    created = ?6, modified = ?7, version = ?8, status = ?9, online_status = ?10,
                    size = ?11, store = ?12, content_hash = ?13, service = ?14
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            resource.name,
            resource.description,
            resource.share_mode,
            resource.owner,
            signed(resource.created),
            signed(resource.modified),
            signed(resource.version),
            resource.status,
            resource.online_status,
            signed(resource.size),
            resource.store,
            resource.content_hash,
            service,
        ])?;
    for table in ["kind", "alias", "attribute"] {
        store
            .prepare_cached(&format!("DELETE FROM {table} WHERE resource_id = ?1"))?
            .execute([id])?;
    }
    let mut insert = store.prepare_cached("INSERT INTO kind VALUES (?1, ?2, ?3)")?;
    for (position, kind) in resource.kind.iter().enumerate() {
        insert.execute(params![id, signed(position as u64), kind])?;
    }
    let mut insert = store.prepare_cached("INSERT OR IGNORE INTO alias VALUES (?1, ?2)")?;
    for alias in &resource.alias {
        if insert.execute([alias, id])? == 0 {
            return Err(taken(format!("the alias `{alias}` is taken")).into());
        }
    }
    let mut insert = store.prepare_cached(
        "INSERT INTO attribute (id, resource_id, attribute_id, data_type, value)
         VALUES (NULLIF(?1, 0), ?2, ?3, ?4, ?5)",
    )?;
    for attribute in &resource.attribute {
        insert.execute(params![
            attribute.id,
            id,
            attribute.attribute_id,
            attribute.data_type,
            to_json(&attribute.value)?
        ])?;
    }
    Ok(())
}

/// Deletes a resource with everything that refers to its row, and adds a tombstone. Its children
/// are kept.
pub(crate) fn delete(store: &Tx<'_>, id: &str) -> Result<()> {
    let resource = require(store, id)?;
    store.prepare_cached("DELETE FROM resource WHERE id = ?1")?.execute([id])?;
    tombstones::add(store, id, &resource.owner, has_kind(&resource, IDENTITY))
}

/// Adds a kind unless the resource already has it.
pub(crate) fn add_kind(resource: &mut Resource, kind: &str) {
    if !has_kind(resource, kind) {
        resource.kind.push(kind.to_owned());
    }
}

/// Returns whether a resource has this kind.
pub(crate) fn has_kind(resource: &Resource, kind: &str) -> bool {
    resource.kind.iter().any(|one| one == kind)
}

/// Takes all relayed services offline.
pub(crate) fn take_relayed_offline(tx: &Tx<'_>) -> Result<()> {
    for id in search::services(tx, &[])? {
        let mut service = require(tx, &id)?;
        let host_type = service.service_description.as_ref().map(ServiceDescription::host_type);
        if host_type == Some(ServiceHostType::Relayed)
            && service.online_status() == OnlineStatus::Online
        {
            service.online_status = OnlineStatus::Offline.into();
            update(tx, &service)?;
        }
    }
    Ok(())
}

type RowParts = (Resource, Option<String>);

fn read_row(row: &Row<'_>) -> rusqlite::Result<RowParts> {
    let resource = Resource {
        id: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        share_mode: row.get(3)?,
        owner: row.get(4)?,
        created: unsigned(row.get(5)?),
        modified: unsigned(row.get(6)?),
        version: unsigned(row.get(7)?),
        status: row.get(8)?,
        online_status: row.get(9)?,
        size: unsigned(row.get(10)?),
        store: row.get(11)?,
        content_hash: row.get(12)?,
        volt_id: row.get::<_, Option<String>>(14)?.unwrap_or_default(),
        ..Resource::default()
    };
    Ok((resource, row.get(13)?))
}

fn attributes(store: &Connection, id: &str) -> Result<Vec<ResourceAttribute>> {
    let mut select = store.prepare_cached(
        "SELECT id, attribute_id, data_type, value FROM attribute WHERE resource_id = ?1 ORDER BY id",
    )?;
    let mut rows = select.query([id])?;
    let mut attributes = Vec::new();
    while let Some(row) = rows.next()? {
        attributes.push(ResourceAttribute {
            id: row.get(0)?,
            attribute_id: row.get(1)?,
            resource_id: id.to_owned(),
            data_type: row.get(2)?,
            value: from_json::<Vec<AttributeValue>>(&row.get::<_, String>(3)?)?,
            ..ResourceAttribute::default()
        });
    }
    Ok(attributes)
}
