//! Values that one version of a message writes and the other one reads.

use std::marker::PhantomData;

use volt_api::{
    __private::{
        prost,
        serde::{Serialize, de::DeserializeOwned},
    },
    json::{self, Form, Names},
};
use volt_codegen::diff::Verdict;

/// A message.
pub(crate) trait Data: prost::Message + Default + Serialize + DeserializeOwned {}

impl<T: prost::Message + Default + Serialize + DeserializeOwned> Data for T {}

/// The losses of the values that one version writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) wire: Verdict,
    pub(crate) json: Verdict,
}

/// The losses of one field or value of an enum.
pub(crate) struct Row {
    pub(crate) element: String,
    /// Values of the old version, read by the new one.
    pub(crate) old: Lost,
    /// The reverse.
    pub(crate) new: Lost,
}

/// The rows of one message, in both versions.
pub(crate) struct Table<Old, New> {
    element: &'static str,
    rows: Vec<Row>,
    versions: PhantomData<(Old, New)>,
}

impl<Old: Data, New: Data> Table<Old, New> {
    /// An empty table of a message or enum with this full name.
    pub(crate) fn of(element: &'static str) -> Self {
        Self { element, rows: Vec::new(), versions: PhantomData }
    }

    pub(crate) fn rows(self) -> Vec<Row> {
        self.rows
    }

    /// Begins the row of a field or value. The following values belong to it.
    pub(crate) fn row(mut self, part: &str) -> Self {
        let element = format!("{}.{part}", self.element);
        self.rows.push(Row { element, old: Lost::default(), new: Lost::default() });
        self
    }

    /// An ordinary value of the old version, and how the new one finds it.
    pub(crate) fn old_value(self, write: impl Fn(Old) -> Old, find: impl Fn(&New) -> bool) -> Self {
        let lost = lost(&write(Old::default()), find, Verdict::Breaking);
        self.put(lost, Lost::default())
    }

    /// An ordinary value of the new version, and how the old one finds it.
    pub(crate) fn new_value(self, write: impl Fn(New) -> New, find: impl Fn(&Old) -> bool) -> Self {
        let lost = lost(&write(New::default()), find, Verdict::Breaking);
        self.put(Lost::default(), lost)
    }

    /// A value of the old version that matters to some programs only, such as a very large one.
    pub(crate) fn rare_old_value(
        self,
        write: impl Fn(Old) -> Old,
        find: impl Fn(&New) -> bool,
    ) -> Self {
        let lost = lost(&write(Old::default()), find, Verdict::Risky);
        self.put(lost, Lost::default())
    }

    /// A value of the new version that matters to some programs only.
    pub(crate) fn rare_new_value(
        self,
        write: impl Fn(New) -> New,
        find: impl Fn(&Old) -> bool,
    ) -> Self {
        let lost = lost(&write(New::default()), find, Verdict::Risky);
        self.put(Lost::default(), lost)
    }

    /// A removed field: messages with it are read, without its value; other messages do not have it.
    pub(crate) fn removed(self, part: &str, write: impl Fn(Old) -> Old) -> Self {
        let row = self.row(part).old_value(&write, |_| true).rare_old_value(&write, |_| false);
        row.rare_new_value(|new| new, |_| false)
    }

    /// A value of the new version that a client of the old one receives and sends back.
    pub(crate) fn returned(self, write: impl Fn(New) -> New, find: impl Fn(&New) -> bool) -> Self {
        let written = write(New::default());
        let binary = Old::decode(written.encode_to_vec().as_slice());
        let text = serde_json::from_str::<Old>(&text(&written, Names::Original));
        let [binary, text] = [binary.ok(), text.ok()].map(|read| {
            read.map_or(Lost { wire: Verdict::Risky, json: Verdict::Risky }, |read| {
                lost(&read, &find, Verdict::Risky)
            })
        });
        self.put(Lost { wire: binary.wire, json: text.json }, Lost::default())
    }

    /// Adds losses to the last row.
    fn put(mut self, old: Lost, new: Lost) -> Self {
        if let Some(row) = self.rows.last_mut() {
            row.old = row.old.and(old);
            row.new = row.new.and(new);
        }
        self
    }
}

impl Lost {
    fn and(self, other: Self) -> Self {
        Self { wire: self.wire.max(other.wire), json: self.json.max(other.json) }
    }
}

/// The losses if a message is read as the other version. `verdict` is that of a loss.
fn lost<A: Data, B: Data>(written: &A, find: impl Fn(&B) -> bool, verdict: Verdict) -> Lost {
    let judge = |is_found: bool, verdict| if is_found { Verdict::Fine } else { verdict };
    let read = B::decode(written.encode_to_vec().as_slice());
    let wire = judge(read.is_ok_and(|read| find(&read)), verdict);
    let reads =
        |names| serde_json::from_str::<B>(&text(written, names)).is_ok_and(|read| find(&read));
    // A Volt writes the names in the `.proto`; some peers write those of JSON.
    let json =
        judge(reads(Names::Original), verdict).max(judge(reads(Names::LowerCamel), Verdict::Risky));
    Lost { wire, json }
}

fn text(message: &impl Data, names: Names) -> String {
    let mut out = Vec::new();
    // The messages of these tests have a form in JSON.
    let written = json::write_with_names(message, &mut out, Form::Plain, names);
    assert!(written.is_ok(), "{written:?}");
    String::from_utf8_lossy(&out).into_owned()
}
