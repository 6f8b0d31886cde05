//! Data of an invented API and of its next version, written by one and read by the other: the values that are lost
//! are those for which the report of the changes promises it, and the clients are those that it names.

#![allow(clippy::unwrap_used)]

#[path = "../report/mod.rs"]
mod report;
mod rows;
mod table;

use std::collections::BTreeSet;

use volt_codegen::diff::{
    Clients, Kind,
    Surface::{Json, Wire},
    Verdict,
};

use crate::{
    report::{promised, report},
    rows::rows,
    table::Lost,
};

#[test]
fn promised_losses_of_data_are_those_that_are_seen() {
    let report = report();
    let mut differences = Vec::new();
    for row in rows() {
        for (clients, seen) in [(Clients::Old, row.old), (Clients::New, row.new)] {
            // The messages are part of requests only: these are the losses of what the clients write.
            let promised = |surface| promised(&report, &row.element, surface, clients);
            let promised = Lost { wire: promised(Wire), json: promised(Json) };
            if promised != seen {
                let (element, clients) = (&row.element, clients.name());
                differences.push(format!(
                    "{element}, data of {clients}: promised {promised:?}, seen {seen:?}"
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn every_promised_loss_has_a_row() {
    let tried: BTreeSet<_> = rows().into_iter().map(|row| row.element).collect();
    for change in report().changes {
        let is_harmless = [Wire, Json].map(|surface| change.verdict(surface)) == [Verdict::Fine; 2];
        let is_exempt = match change.kind {
            // Only peers of a still older version send freed numbers and names. Only other implementations of protobuf
            // check that a required field is set.
            Kind::NumberFreed | Kind::NameFreed | Kind::FieldRequired => true,
            // Calls: see the test of the methods.
            kind => ["service-", "method-"].iter().any(|start| kind.name().starts_with(start)),
        };
        let (element, what) = (&change.element, &change.what);
        assert!(
            is_harmless || is_exempt || tried.contains(element),
            "no row for {element}: {what}"
        );
    }
}
