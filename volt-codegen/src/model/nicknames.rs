//! Distinguishes services of the same name in several packages, because their accessors and Cargo features are not
//! in the package's module.
//!
//! The service of the oldest package version keeps the plain name: `DriveAPI` of `v1` is `drive`, that of `v2`
//! is `drive_v2`. Adding a version therefore does not break existing code. A name that hand-written code uses gets
//! the suffix `_service`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Module, Package, Service};
use crate::{Options, names};

/// The methods of the generated client, which a macro of the runtime declares.
const CLIENT: [&str; 8] = [
    "channel",
    "close",
    "config",
    "connect",
    "connect_lazy",
    "connect_with",
    "from_channel",
    "intercept",
];

pub(super) fn distinguish(packages: &mut [Package], options: &Options) {
    let mut by_hand = options.taken.get("").cloned().unwrap_or_default();
    if options.client {
        by_hand.extend(CLIENT.map(str::to_owned));
    }
    for service in packages.iter_mut().flat_map(|package| &mut package.services) {
        let feature = service.feature.as_ref().is_some_and(|name| by_hand.contains(name));
        if feature || by_hand.contains(&service.nickname) {
            add(service, "_service");
        }
    }
    let mut groups: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, package) in packages.iter().enumerate() {
        for (index, service) in package.services.iter().enumerate() {
            groups.entry(service.nickname.clone()).or_default().push((at, index));
        }
    }
    let mut taken: BTreeSet<String> = groups.keys().chain(&by_hand).cloned().collect();
    for (nickname, mut group) in groups {
        group.sort_by_key(|(at, index)| (version(&packages[*at].module), *at, *index));
        let Some(&(first, _)) = group.first() else { continue };
        for &(at, index) in &group[1..] {
            let suffixes = suffixes(&packages[at].module, &packages[first].module);
            let free =
                |suffix: &String| !taken.contains(&format!("{}{suffix}", names::bare(&nickname)));
            // One more candidate than there are taken names.
            let numbers = (2..taken.len() + 3).map(|number| format!("_{number}"));
            let Some(suffix) = suffixes.into_iter().chain(numbers).find(free) else { continue };
            let service = &mut packages[at].services[index];
            add(service, &suffix);
            taken.insert(service.nickname.clone());
        }
    }
}

fn add(service: &mut Service, suffix: &str) {
    service.nickname = format!("{}{suffix}", names::bare(&service.nickname));
    if let Some(feature) = &mut service.feature {
        feature.push_str(suffix);
    }
}

/// The version in a module such as `v2`; 0 without one.
fn version(module: &Module) -> u64 {
    let number = module.0.last().and_then(|last| last.strip_prefix('v'));
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    number.map(digits).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// Returns the suffixes that distinguish a package from another one, shortest first.
fn suffixes(module: &Module, other: &Module) -> Vec<String> {
    let bare = |parts: &[String]| {
        parts.iter().flat_map(|part| ["_", names::bare(part)]).collect::<String>()
    };
    if module == other {
        return Vec::new();
    }
    let last = module.0.len().saturating_sub(1);
    let last = Some(bare(&module.0[last..])).filter(|_| module.0.last() != other.0.last());
    last.into_iter().chain([bare(&module.0)]).collect()
}
