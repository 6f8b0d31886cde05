//! The values of the changed messages.

use std::collections::BTreeMap;

use volt_fork::{
    changes_new::acme::v1 as new, changes_new::acme::v2, changes_old::acme::v1 as old,
};

use crate::table::{Row, Table};

/// A map of texts with one entry.
fn entry() -> BTreeMap<String, String> {
    BTreeMap::from([("k".to_owned(), "v".to_owned())])
}

pub(crate) fn rows() -> Vec<Row> {
    [fields(), types(), counts(), oneofs(), kinds(), classic(), kept()]
        .into_iter()
        .flatten()
        .collect()
}

/// Fields with the same type and another name, number or presence.
fn fields() -> Vec<Row> {
    Table::<old::Fields, new::Fields>::of("acme.v1.Fields")
        .removed("removed", |old| old.with_removed("x"))
        .removed("forgotten", |old| old.with_forgotten("x"))
        .row("renamed")
        .old_value(|old| old.with_renamed("x"), |new| new.renamed_since == "x")
        .new_value(|new| new.with_renamed_since("x"), |old| old.renamed == "x")
        .row("aB")
        .old_value(|old| old.with_a_b("x"), |new| new.a_b == "x")
        .new_value(|new| new.with_a_b("x"), |old| old.a_b == "x")
        .row("present")
        .old_value(|old| old.with_present("x"), |new| new.present.as_deref() == Some("x"))
        .new_value(|new| new.with_present("x"), |old| old.present == "x")
        .rare_old_value(|old| old.with_present(""), |new| new.present.is_some())
        .row("unset")
        .old_value(|old| old.with_unset("x"), |new| new.unset == "x")
        .new_value(|new| new.with_unset("x"), |old| old.unset.as_deref() == Some("x"))
        .rare_new_value(|new| new.with_unset(""), |old| old.unset.is_some())
        .row("renumbered")
        .old_value(|old| old.with_renumbered(7), |new| new.renumbered == 7)
        .new_value(|new| new.with_renumbered(7), |old| old.renumbered == 7)
        .removed("reused", |old| old.with_reused("x"))
        .new_value(|new| new.with_another(7), |_| true)
        .removed("reused_alike", |old| old.with_reused_alike("x"))
        .old_value(|old| old.with_reused_alike("x"), |new| new.another_alike.is_empty())
        .new_value(|new| new.with_another_alike(*b"x"), |old| old.reused_alike.is_empty())
        .row("kept")
        .old_value(|old| old.with_kept("x"), |new| new.kept == "x")
        .new_value(|new| new.with_kept("x"), |old| old.kept == "x")
        .row("spelled")
        .old_value(|old| old.with_spelled("x"), |new| new.spelled == "x")
        .new_value(|new| new.with_spelled("x"), |old| old.spelled == "x")
        .row("respelled")
        .old_value(|old| old.with_respelled("x"), |new| new.respelled == "x")
        .new_value(|new| new.with_respelled("x"), |old| old.respelled == "x")
        .row("script")
        .old_value(|old| old.with_script(i64::MAX), |new| new.script == i64::MAX)
        .new_value(|new| new.with_script(i64::MAX), |old| old.script == i64::MAX)
        .rows()
}

/// Fields with another type.
fn types() -> Vec<Row> {
    let accent = "h\u{e9}!";
    Table::<old::Fields, new::Fields>::of("acme.v1.Fields")
        .row("widened")
        .old_value(|old| old.with_widened(i32::MIN), |new| new.widened == i64::from(i32::MIN))
        .new_value(|new| new.with_widened(7), |old| old.widened == 7)
        .rare_new_value(|new| new.with_widened(i64::MAX), |old| i64::from(old.widened) == i64::MAX)
        .row("encoded")
        .old_value(|old| old.with_encoded(7), |new| new.encoded == 7)
        .new_value(|new| new.with_encoded(7), |old| old.encoded == 7)
        .row("unsigned")
        .old_value(|old| old.with_unsigned(7), |new| new.unsigned == 7)
        .new_value(|new| new.with_unsigned(7), |old| old.unsigned == 7)
        .rare_old_value(|old| old.with_unsigned(-1), |new| i64::from(new.unsigned) == -1)
        .rare_new_value(
            |new| new.with_unsigned(u32::MAX),
            |old| u32::try_from(old.unsigned).is_ok(),
        )
        .row("fixed")
        .old_value(|old| old.with_fixed(7), |new| new.fixed == 7)
        .new_value(|new| new.with_fixed(7), |old| old.fixed == 7)
        .rare_old_value(|old| old.with_fixed(-1), |new| i64::from(new.fixed) == -1)
        .rare_new_value(|new| new.with_fixed(u32::MAX), |old| u32::try_from(old.fixed).is_ok())
        .row("number")
        .old_value(|old| old.with_number(old::Kind::First), |new| new.number == 4)
        .new_value(|new| new.with_number(4), |old| old.number == 4)
        .row("named")
        .old_value(|old| old.with_named("x"), |new| new.named != 0)
        .new_value(|new| new.with_named(new::Kind::Same), |old| old.named == "SAME")
        .row("keys")
        .old_value(
            |old| old.with_keys(BTreeMap::from([(1, "x".to_owned())])),
            |new| new.keys.get("1").is_some_and(|value| value == "x"),
        )
        .new_value(|new| new.with_keys(entry()), |old| !old.keys.is_empty())
        .row("contents")
        .old_value(
            |old| old.with_contents(entry()),
            |new| new.contents.get("k") == Some(&b"v".to_vec()),
        )
        .new_value(
            |new| new.with_contents(BTreeMap::from([("k".to_owned(), b"hey".to_vec())])),
            |old| old.contents.get("k").is_some_and(|value| value == "hey"),
        )
        .rare_new_value(
            |new| new.with_contents(BTreeMap::from([("k".to_owned(), vec![0xff])])),
            |old| !old.contents.is_empty(),
        )
        .row("text")
        .old_value(|old| old.with_text(accent), |new| new.text == accent.as_bytes())
        .new_value(|new| new.with_text(*b"hey"), |old| old.text == "hey")
        .rare_new_value(|new| new.with_text([0xff_u8]), |old| !old.text.is_empty())
        .row("replaced")
        .old_value(
            |old| old.with_replaced(old::Kept::default().with_a(7)),
            |new| new.replaced.as_ref().is_some_and(|pair| *pair != new::Pair::default()),
        )
        .new_value(
            |new| new.with_replaced(new::Pair::default().with_key("x")),
            |old| old.replaced.is_some_and(|kept| kept.a != 0),
        )
        .row("alike")
        .old_value(
            |old| old.with_alike(old::Other::default().with_a(7)),
            |new| new.alike == Some(new::Twin::default().with_a(7)),
        )
        .new_value(
            |new| new.with_alike(new::Twin::default().with_a(7)),
            |old| old.alike == Some(old::Other::default().with_a(7)),
        )
        .row("elsewhere")
        .old_value(
            |old| old.with_elsewhere(old::Moved::default().with_a(7)),
            |new| new.elsewhere == Some(v2::Moved::default().with_a(7)),
        )
        .new_value(
            |new| new.with_elsewhere(v2::Moved::default().with_a(7)),
            |old| old.elsewhere == Some(old::Moved::default().with_a(7)),
        )
        .row("level")
        .old_value(|old| old.with_level(old::few::Level::Low), |new| new.level == 1)
        .new_value(|new| new.with_level(new::many::Level::Low), |old| old.level == 1)
        .rare_new_value(|new| new.with_level(new::many::Level::High), |old| old.level == 2)
        .rows()
}

/// Fields with another number of values.
fn counts() -> Vec<Row> {
    let old_pair = || old::Pair::default().with_key("k").with_value("v");
    let new_pair = || new::Pair::default().with_key("k").with_value("v");
    let old_sides = || old::Sides::default().with_left(7);
    let new_sides = || new::Sides::default().with_left(7);
    Table::<old::Counts, new::Counts>::of("acme.v1.Counts")
        .row("several")
        .old_value(|old| old.with_several("x"), |new| new.several == ["x"])
        .new_value(|new| new.with_several(["x"]), |old| old.several == "x")
        .rare_new_value(|new| new.with_several(["x", "y"]), |old| old.several == "x")
        .row("one")
        .old_value(|old| old.with_one(["x"]), |new| new.one == "x")
        .new_value(|new| new.with_one("x"), |old| old.one == ["x"])
        .rare_old_value(|old| old.with_one(["x", "y"]), |new| new.one == "x")
        .row("pairs")
        .old_value(|old| old.with_pairs(entry()), |new| new.pairs == [new_pair()])
        .new_value(|new| new.with_pairs([new_pair()]), |old| old.pairs == entry())
        .rare_new_value(|new| new.with_pairs([new_pair(), new_pair()]), |old| old.pairs.len() == 2)
        .row("others")
        .old_value(|old| old.with_others(entry()), |new| !new.others.is_empty())
        .new_value(
            |new| new.with_others([new::Other::default().with_a(7)]),
            |old| !old.others.is_empty(),
        )
        .row("entries")
        .old_value(|old| old.with_entries([old_pair()]), |new| new.entries == entry())
        .new_value(|new| new.with_entries(entry()), |old| old.entries == [old_pair()])
        .rare_old_value(
            |old| old.with_entries([old_pair(), old_pair()]),
            |new| new.entries.len() == 2,
        )
        .row("no_entries")
        .old_value(
            |old| old.with_no_entries([old::Other::default().with_a(7)]),
            |new| !new.no_entries.is_empty(),
        )
        .new_value(|new| new.with_no_entries(entry()), |old| !old.no_entries.is_empty())
        .row("flat")
        .old_value(|old| old.with_flat(entry()), |new| new.flat == "v")
        .new_value(|new| new.with_flat("x"), |old| !old.flat.is_empty())
        .row("deep")
        .old_value(|old| old.with_deep("x"), |new| !new.deep.is_empty())
        .new_value(|new| new.with_deep(entry()), |old| old.deep == "v")
        .row("numbers")
        .old_value(|old| old.with_numbers(7), |new| new.numbers == [7])
        .new_value(|new| new.with_numbers([7]), |old| old.numbers == 7)
        .row("number")
        .old_value(|old| old.with_number([7]), |new| new.number == 7)
        .new_value(|new| new.with_number(7), |old| old.number == [7])
        .row("loose")
        .old_value(|old| old.with_loose(7), |new| new.loose == [7])
        .new_value(|new| new.with_loose([7]), |old| old.loose == 7)
        .rare_new_value(|new| new.with_loose([7, 8]), |old| old.loose == 7)
        .row("merged")
        .old_value(|old| old.with_merged(old_sides()), |new| new.merged == [new_sides()])
        .new_value(|new| new.with_merged([new_sides()]), |old| old.merged == Some(old_sides()))
        .rare_new_value(
            |new| new.with_merged([new_sides(), new::Sides::default().with_right(8)]),
            |old| old.merged == Some(old_sides()),
        )
        .row("packed")
        .old_value(|old| old.with_packed([1, 2]), |new| new.packed == [1, 2])
        .new_value(|new| new.with_packed([1, 2]), |old| old.packed == [1, 2])
        .row("unpacked")
        .old_value(|old| old.with_unpacked([1, 2]), |new| new.unpacked == [1, 2])
        .new_value(|new| new.with_unpacked([1, 2]), |old| old.unpacked == [1, 2])
        .row("both")
        .old_value(|old| old.with_both(7), |new| new.both == [7])
        .new_value(|new| new.with_both([7]), |old| old.both == 7)
        .rows()
}

/// Fields that exclude one another in one of the versions.
fn oneofs() -> Vec<Row> {
    use new::{alone, together};

    let is_a = |new: &new::Together| new.joined == Some(together::Joined::A("x".to_owned()));
    let is_b = |new: &new::Together| new.joined == Some(together::Joined::B("x".to_owned()));
    let both = |old: old::Together| old.with_a("x").with_b("x");
    let together = Table::<old::Together, new::Together>::of("acme.v1.Together")
        .row("a")
        .old_value(|old| old.with_a("x"), is_a)
        .old_value(both, |new| is_a(new) && is_b(new))
        .new_value(|new| new.with_a("x"), |old| old.a == "x")
        .row("b")
        .old_value(|old| old.with_b("x"), is_b)
        .old_value(both, |new| is_a(new) && is_b(new))
        .new_value(|new| new.with_b("x"), |old| old.b == "x");
    let alone = Table::<old::Alone, new::Alone>::of("acme.v1.Alone")
        .row("a")
        .old_value(
            |old| old.with_a("x"),
            |new| new.joined == Some(alone::Joined::A("x".to_owned())),
        )
        .rare_old_value(|old| old.with_a(""), |new| new.joined.is_some())
        .new_value(|new| new.with_a("x"), |old| old.a == "x");
    let both = |new: new::Apart| new.with_a("x").with_b("x");
    let is_a = |old: &old::Apart| old.parted == Some(old::apart::Parted::A("x".to_owned()));
    let is_b = |old: &old::Apart| old.parted == Some(old::apart::Parted::B("x".to_owned()));
    let apart = Table::<old::Apart, new::Apart>::of("acme.v1.Apart")
        .row("a")
        .old_value(|old| old.with_a("x"), |new| new.a == "x")
        .new_value(|new| new.with_a("x"), is_a)
        .new_value(both, |old| is_a(old) && is_b(old))
        .row("b")
        .old_value(|old| old.with_b("x"), |new| new.b == "x")
        .new_value(|new| new.with_b("x"), is_b)
        .new_value(both, |old| is_a(old) && is_b(old));
    let switched = Table::<old::Switched, new::Switched>::of("acme.v1.Switched")
        .row("b")
        .old_value(|old| old.with_b("x"), |new| new.second.is_some())
        .old_value(
            |old| old.with_b("x").with_c("x"),
            |new| new.first.is_some() && new.second.is_some(),
        )
        .new_value(|new| new.with_b("x"), |old| old.first.is_some())
        .new_value(
            |new| new.with_a("x").with_b("x"),
            |old| old.first.is_some() && old.second.is_some(),
        );
    [together.rows(), alone.rows(), apart.rows(), switched.rows()].into_iter().flatten().collect()
}

/// The values of an enum.
fn kinds() -> Vec<Row> {
    use new::Kind as New;
    use old::Kind as Old;

    Table::<old::Kinds, new::Kinds>::of("acme.v1.Kind")
        .row("KIND_NONE")
        .old_value(|old| old.with_all([Old::None]), |new| new.all == [0])
        .new_value(|new| new.with_all([New::None]), |old| old.all == [0])
        .row("KIND_REMOVED")
        .old_value(|old| old.with_all([Old::Removed]), |new| new.all == [1])
        .rare_old_value(
            |old| old.with_all([Old::Removed]),
            |new| new.all.iter().all(|value| New::try_from(*value).is_ok()),
        )
        .row("KIND_RENAMED")
        .old_value(|old| old.with_all([Old::Renamed]), |new| new.all == [2])
        .new_value(|new| new.with_all([New::RenamedSince]), |old| old.all == [2])
        .row("KIND_SAME")
        .old_value(|old| old.with_all([Old::Same]), |new| new.all == [3])
        .new_value(|new| new.with_all([New::Same]), |old| old.all == [3])
        .row("KIND_FIRST")
        .old_value(|old| old.with_all([Old::First]), |new| new.all == [4])
        .row("KIND_BEFORE")
        .new_value(|new| new.with_all([New::Before]), |old| old.all == [4])
        .row("KIND_ADDED")
        .rare_new_value(|new| new.with_all([New::Added]), |old| old.all == [5])
        .row("KIND_NUMBER")
        .old_value(|old| old.with_all([Old::Number]), |new| new.all == [7])
        .new_value(|new| new.with_all([New::Number]), |old| old.all == [6])
        .row("KIND_REPLACED")
        .old_value(
            |old| old.with_all([Old::Replaced]),
            |new| new.all == [8] && New::Heir as i32 != 8,
        )
        .new_value(|new| new.with_all([New::Heir]), |old| old.all == [Old::Heir as i32])
        .row("KIND_HEIR")
        .old_value(|old| old.with_all([Old::Heir]), |new| new.all == [New::Heir as i32])
        .new_value(|new| new.with_all([New::Heir]), |old| old.all == [Old::Heir as i32])
        .row("KIND_TWICE")
        .old_value(|old| old.with_all([Old::Twice]), |new| new.all == [12])
        .new_value(|new| new.with_all([New::Also]), |old| old.all == [12])
        .rows()
}

/// Messages of proto2.
fn classic() -> Vec<Row> {
    let classic = Table::<old::Classic, new::Classic>::of("acme.v1.Classic")
        .row("limit")
        .old_value(|old| old.with_limit(7), |new| new.limit() == 7)
        .new_value(|new| new.with_limit(7), |old| old.limit() == 7)
        .rare_old_value(|old| old, |new| new.limit() == 5)
        .rare_new_value(|new| new, |old| old.limit() == 6)
        .row("detail")
        .old_value(
            |old| old.with_detail(old::classic::Detail::default().with_a(7)),
            |new| new.detail == Some(new::classic::Detail::default().with_a(7)),
        )
        .new_value(
            |new| new.with_detail(new::classic::Detail::default().with_a(7)),
            |old| old.detail == Some(old::classic::Detail::default().with_a(7)),
        )
        .row("numbers")
        .old_value(|old| old.with_numbers([1, 2]), |new| new.numbers == [1, 2])
        .new_value(|new| new.with_numbers([1, 2]), |old| old.numbers == [1, 2]);
    let migrated = Table::<old::Migrated, new::Migrated>::of("acme.v1.Migrated")
        .row("a")
        .old_value(|old| old.with_a("x"), |new| new.a == "x")
        .new_value(|new| new.with_a("x"), |old| old.a.as_deref() == Some("x"))
        .rare_new_value(|new| new.with_a(""), |old| old.a.is_some())
        .row("numbers")
        .old_value(|old| old.with_numbers([1, 2]), |new| new.numbers == [1, 2])
        .new_value(|new| new.with_numbers([1, 2]), |old| old.numbers == [1, 2]);
    [classic.rows(), migrated.rows()].into_iter().flatten().collect()
}

/// A message that clients read and write.
fn kept() -> Vec<Row> {
    Table::<old::Kept, new::Kept>::of("acme.v1.Kept")
        .row("added")
        .returned(|new| new.with_added(7), |new| new.added == 7)
        .rows()
}
