//! The table of a wire that persists.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use volt_runtime::{Channel, Error, ErrorKind, Result};

use super::event::WireMessage;
use crate::{
    data::{
        SqlExecuteRequest, SqlExecuteStart, SqliteDatabaseApiClient, sql_execute_response::Payload,
    },
    operation::Settings,
    resources::{persists, table_of},
    rows::{FromRow, FromValue, Row, RowError, Rows, Value},
    volt::{AttributeValue, Resource},
};

/// The table of wires that name no other.
const DEFAULT: &str = "wire_data";
/// The number of messages that are read at once.
const PAGE: usize = 100;
/// The number of bytes after which a reading ends.
const PAGE_BYTES: usize = 1 << 20;
/// The number of rows that the Volt sends at a time.
const SENT: u32 = 10;

/// The table of a wire's messages, read with SQL.
pub(super) struct Table {
    client: SqliteDatabaseApiClient,
    wire: String,
    name: String,
    /// The columns of the time and the publisher, if the table has them.
    optional: Option<String>,
}

impl Table {
    /// Returns the table of a wire, or `None` if the wire does not persist.
    pub(super) fn of(channel: Channel, wire: &Resource) -> Option<Self> {
        persists(wire).then(|| Self {
            client: SqliteDatabaseApiClient::new(channel),
            wire: wire.id.clone(),
            name: match table_of(wire) {
                "" => DEFAULT.to_owned(),
                name => name.to_owned(),
            },
            optional: None,
        })
    }

    /// Returns the highest id, or `None` if there are no messages.
    pub(super) async fn last(&self, settings: &Settings) -> Result<Option<i64>> {
        if !self.exists(settings).await? {
            return Ok(None);
        }
        let sql = format!("SELECT max(id) FROM {}", quoted(&self.name));
        let last: Vec<(Option<i64>,)> = self.query(settings, sql, None).await?;
        Ok(last.first().and_then(|row| row.0))
    }

    /// Returns the next messages after an id, and whether there may be more.
    pub(super) async fn read(
        &mut self,
        settings: &Settings,
        after: i64,
    ) -> Result<(Vec<WireMessage>, bool)> {
        if self.optional.is_none() {
            if !self.exists(settings).await? {
                return Ok((Vec::new(), false));
            }
            self.optional = Some(self.columns(settings).await?);
        }
        let optional = self.optional.as_deref().unwrap_or_default();
        let sql = format!(
            "SELECT id, payload{optional} FROM {} WHERE id > ? ORDER BY id LIMIT {PAGE}",
            quoted(&self.name)
        );
        let start = self.statement(sql, Some(after.into())).with_page_size(SENT);
        let call = settings.apply(self.client.execute()).await?;
        let mut rows = Rows::<WireMessage>::start(call, start).await?;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES
            && let Some(message) = rows.row().await?
        {
            bytes += message.payload.len();
            messages.push(message);
        }
        let more = messages.len() == PAGE || bytes >= PAGE_BYTES;
        Ok((messages, more))
    }

    /// Returns whether the table exists. A Volt may create it with the first message.
    async fn exists(&self, settings: &Settings) -> Result<bool> {
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = ? COLLATE NOCASE".to_owned();
        let count: Vec<(i64,)> = self.query(settings, sql, Some(self.name.as_str().into())).await?;
        Ok(count.first().is_some_and(|row| row.0 > 0))
    }

    /// Looks the columns up. Returns the optional columns as a part of a statement.
    async fn columns(&self, settings: &Settings) -> Result<String> {
        let sql = format!("SELECT * FROM {} LIMIT 0", quoted(&self.name));
        let mut call = settings.apply(self.client.execute()).await?;
        let start = SqlExecuteStart::default().with_database_id(&self.wire).with_statement(sql);
        call.send(SqlExecuteRequest::default().with_start(start)).await?;
        let mut names = Vec::new();
        while let Some(response) = call.message().await? {
            if let Some(Payload::Header(header)) = response.payload {
                names = header.column.into_iter().map(|column| column.name).collect();
            }
        }
        let has = |name: &str| names.iter().any(|one| one == name);
        if !has("id") || !has("payload") {
            return Err(Error::new(
                ErrorKind::Conversion,
                format!(
                    "the table `{}` of the wire `{}` cannot be followed: it needs the columns `id` \
                     and `payload`, and has `{}`",
                    self.name,
                    self.wire,
                    names.join("`, `")
                ),
            ));
        }
        let optional: Vec<_> = ["", "created", "identity_did"]
            .into_iter()
            .filter(|name| name.is_empty() || has(name))
            .collect();
        Ok(optional.join(", "))
    }

    async fn query<T: FromRow>(
        &self,
        settings: &Settings,
        sql: String,
        parameter: Option<AttributeValue>,
    ) -> Result<Vec<T>> {
        let start = self.statement(sql, parameter);
        Rows::start(settings.apply(self.client.execute()).await?, start).await?.all().await
    }

    fn statement(&self, sql: String, parameter: Option<AttributeValue>) -> SqlExecuteStart {
        SqlExecuteStart::default()
            .with_database_id(&self.wire)
            .with_statement(sql)
            .with_parameter(parameter.map(|value| ("1", value)))
    }
}

impl FromRow for WireMessage {
    fn from_row(row: &Row<'_>) -> Result<Self, RowError> {
        let Time(time) = optional(row, "created")?;
        let Publisher(publisher) = optional(row, "identity_did")?;
        let Bytes(payload) = row.get("payload")?;
        Ok(Self { id: Some(row.get("id")?), publisher, time, payload })
    }
}

fn optional<T: FromValue + Default>(row: &Row<'_>, column: &str) -> Result<T, RowError> {
    if row.has(column) { row.get(column) } else { Ok(T::default()) }
}

/// The time of a message in milliseconds. Deliver the message even if the value has another form.
#[derive(Default)]
struct Time(Option<SystemTime>);

impl FromValue for Time {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        let Value::Integer(time) = value else { return Ok(Self(None)) };
        let time = u64::try_from(time).ok().map(Duration::from_millis);
        Ok(Self(time.and_then(|time| UNIX_EPOCH.checked_add(time))))
    }
}

#[derive(Default)]
struct Publisher(Option<String>);

impl FromValue for Publisher {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        Ok(Self(String::from_value(value).ok()))
    }
}

/// A message: text if it is valid UTF-8, else a blob.
struct Bytes(Vec<u8>);

impl FromValue for Bytes {
    fn from_value(value: Value<'_>) -> Result<Self, RowError> {
        match value {
            Value::Text(text) => Ok(Self(text.as_bytes().to_vec())),
            value => Vec::from_value(value).map(Self),
        }
    }
}

/// Quotes a name for SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
