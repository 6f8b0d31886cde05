//! The report of the changes between the invented API and its next version.

use std::{fs, path::Path};

use volt_codegen::{
    Options, Sources,
    diff::{Clients, Report, Surface, Verdict, diff},
};

pub(crate) fn report() -> Report {
    let changes = Path::new(env!("CARGO_MANIFEST_DIR")).join("changes");
    let compiled = |version: &str| {
        let mut sources = Sources::default();
        for entry in fs::read_dir(changes.join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.extension().is_some_and(|extension| extension == "proto") {
                sources.files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
        sources.compile().unwrap()
    };
    let renames = fs::read_to_string(changes.join("new/RENAMES")).unwrap();
    let options = renames.lines().fold(Options::default(), |options, line| {
        let (former, now) = line.split_once(' ').unwrap();
        options.former_name(now, former.rsplit('.').next().unwrap())
    });
    diff(&compiled("old"), &compiled("new"), &options).unwrap()
}

/// The worst effect of the changes of an element on clients of one version.
pub(crate) fn promised(
    report: &Report,
    element: &str,
    surface: Surface,
    clients: Clients,
) -> Verdict {
    let changes = report.changes.iter().filter(|change| change.element == element);
    let effects = changes.map(|change| &change.effects[&surface]);
    let own = effects.filter(|effect| effect.clients.include(clients));
    own.map(|effect| effect.verdict).max().unwrap_or_default()
}
