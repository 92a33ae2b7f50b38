//! The environment: a source of settings. `TIDEGATE_RESPONSE_TIMEOUT=5s` is the same as
//! `--response-timeout 5s`.

use std::ffi::OsString;

use super::setting::{Given, Place, Setting, Spelling, Value};
use super::table;
use crate::usage::nearest;

/// The beginning of the name of each variable.
const PREFIX: &str = "TIDEGATE_";

/// The variable that names the configuration file, which is no setting.
pub(super) const CONFIG: &str = "TIDEGATE_CONFIG";

/// A variable that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// Its value is not text.
    #[error("{0}: the value is not UTF-8")]
    NoText(String),
    /// It belongs to no setting, but its name is similar to one that does.
    #[error("{variable} is no setting; did you mean {meant}?")]
    Unknown {
        /// Its name.
        variable: String,
        /// The similar names.
        meant: String,
    },
}

/// The name of a setting's variable. A setting that replaces another one has none: `--port` would
/// have `TIDEGATE_PORT`, which Kubernetes sets in each pod if there is a service named tidegate.
#[must_use]
pub fn variable(setting: &Setting) -> Option<String> {
    let is_short = matches!(setting.spelling, Spelling::InPlaceOf(_));
    let name = setting.name.to_uppercase().replace('-', "_");
    (!is_short).then(|| format!("{PREFIX}{name}"))
}

/// The settings that variables give. An empty variable is ignored. The values of a list are
/// separated by commas.
///
/// # Errors
/// See [`EnvironmentError`]. Other names are ignored, because other programs may use them.
pub fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<Given>, EnvironmentError> {
    let mut given = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if name == CONFIG {
            continue;
        }
        let is_its = |setting: &&Setting| variable(setting).is_some_and(|own| own == name);
        let Some(setting) = table::all().find(is_its) else {
            if !text.to_str().is_some_and(is_service_link) {
                refuse_typo(name)?;
            }
            continue;
        };
        let text = text.to_str().ok_or_else(|| EnvironmentError::NoText(name.to_owned()))?;
        if !text.is_empty() {
            let place = Place::Named(name.to_owned());
            let value = |text| Value { text, place: place.clone() };
            let values = texts(setting, text).into_iter().map(value).collect();
            given.push(Given { setting, values });
        }
    }
    Ok(given)
}

/// Whether Kubernetes set the variable: `TIDEGATE_UPSTREAM_PORT` is `tcp://10.0.0.2:80` in each pod
/// if there is a service named tidegate-upstream.
fn is_service_link(text: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|protocol| text.starts_with(protocol))
}

/// Refuses a name that is similar to that of a setting's variable.
fn refuse_typo(name: &str) -> Result<(), EnvironmentError> {
    let known: Vec<_> = table::all().filter_map(variable).collect();
    // The common beginning would make all names similar.
    let bare = |name| str::strip_prefix(name, PREFIX).unwrap_or(name);
    let meant = nearest(bare(name), known.iter().map(|name| bare(name)));
    if meant.is_empty() {
        return Ok(());
    }
    let meant: Vec<_> = meant.iter().map(|name| format!("{PREFIX}{name}")).collect();
    Err(EnvironmentError::Unknown { variable: name.to_owned(), meant: meant.join(" or ") })
}

fn texts(setting: &Setting, text: &str) -> Vec<String> {
    if setting.part.is_list() {
        text.split(',').map(|text| text.trim().to_owned()).collect()
    } else {
        vec![text.to_owned()]
    }
}
