//! Writes the lists of features in the manifest of `volt-api`.

use anyhow::bail;

use super::modules::Older;

/// The manifest with the list of features.
pub(super) const MANIFEST: &str = "volt-api/Cargo.toml";
/// The markers before and after that list.
pub(super) const MARKERS: [&str; 2] = [
    "# One feature for each service, written by `cargo xtask codegen`.\n",
    "# End of the services.\n",
];
/// The markers around the features of the older versions.
pub(super) const VERSION_MARKERS: [&str; 2] = [
    "# One feature for each older version of the API, as a module beside this one, written by `cargo xtask codegen`.\n",
    "# End of the versions.\n",
];

/// Returns the manifest with this list of features between the markers.
pub(super) fn with_features(manifest: &str, features: &[String]) -> anyhow::Result<String> {
    let all: Vec<_> = features.iter().map(|feature| format!("    \"{feature}\",")).collect();
    let each: Vec<_> = features.iter().map(|feature| format!("{feature} = []")).collect();
    let (all, each) = (all.join("\n"), each.join("\n"));
    between(manifest, MARKERS, &format!("services = [\n{all}\n]\n{each}\n"))
}

/// Returns the manifest with the features of the older versions between their markers.
pub(super) fn with_versions(manifest: &str, older: &[Older]) -> anyhow::Result<String> {
    let features: Vec<_> = older.iter().map(|older| format!("{} = []\n", older.module)).collect();
    between(manifest, VERSION_MARKERS, &features.concat())
}

/// Replaces the text between two markers.
fn between(manifest: &str, [start, end]: [&str; 2], text: &str) -> anyhow::Result<String> {
    let parts = manifest
        .split_once(start)
        .and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let Some((before, after)) = parts else {
        bail!("{MANIFEST} has lost its markers; [features] needs these two lines:\n{start}{end}");
    };
    Ok(format!("{before}{start}{text}{end}{after}"))
}
