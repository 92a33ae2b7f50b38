//! What changes something: the answers to it. The name of a new backend may have to be waited for.

use serde_json::{Map, Value as Json, json};

use super::answer::Answer;
use super::request::Request;
use super::routes::{Asked, Service};
use crate::control::changes::Changes;
use crate::control::controller::ApplyError;
use crate::control::edit::{Edit, EditError};

/// Adds the backend that the body describes.
pub(super) fn add(asked: &Asked<'_>) -> Answer {
    edit(asked.service, fields(asked.request).and_then(|fields| Edit::add(&fields)))
}

/// Configures a backend as the body says, or ejects it.
pub(super) fn set(asked: &Asked<'_>) -> Answer {
    let name = asked.name.to_owned();
    edit(asked.service, fields(asked.request).and_then(|fields| Edit::set(name, fields)))
}

/// Removes a backend once it has finished what it has.
pub(super) fn remove(asked: &Asked<'_>) -> Answer {
    edit(asked.service, Ok(Edit::Remove(asked.name.to_owned())))
}

/// Reads the configuration file again.
pub(super) fn reload(asked: &Asked<'_>) -> Answer {
    let Service { controller, reload, .. } = asked.service;
    if controller.is_stopping() {
        return refuse(&EditError::Stopping);
    }
    match reload() {
        Ok(changes) => tell(&changes),
        Err(why) => Answer::error(422, &why),
    }
}

fn fields(request: &Request) -> Result<Map<String, Json>, EditError> {
    serde_json::from_slice(&request.body).map_err(|error| {
        let why = format!("give a JSON object such as {{\"weight\": 3}}: {error}");
        EditError::Invalid(why)
    })
}

fn edit(service: &Service, edit: Result<Edit, EditError>) -> Answer {
    match edit.and_then(|edit| service.controller.edit(&edit)) {
        Ok(changes) => {
            (service.changed)(&changes);
            tell(&changes)
        }
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &EditError) -> Answer {
    let status = match error {
        EditError::Invalid(_) => 400,
        EditError::Unknown(_) => 404,
        EditError::Twice(_)
        | EditError::Ambiguous { .. }
        | EditError::Nameless(_)
        | EditError::OneOfSeveral(_)
        | EditError::Last(_)
        | EditError::Apply(
            ApplyError::Change(_) | ApplyError::Restart(_) | ApplyError::Listen(_),
        ) => 409,
        EditError::Apply(ApplyError::Locate(_)) => 422,
        EditError::Apply(ApplyError::Checks(_) | ApplyError::Names(_) | ApplyError::Stopping)
        | EditError::Stopping => 503,
    };
    Answer::error(status, &error.to_string())
}

fn tell(changes: &Changes) -> Answer {
    let Changes { added, removed, adjusted, ejected, admitted, .. } = changes;
    let Changes { opened, closed, settings, undone, .. } = changes;
    let told = json!({
        "changes": changes.to_string(),
        "added": added,
        "removed": removed,
        "adjusted": adjusted,
        "ejected": ejected,
        "admitted": admitted,
        "opened": opened,
        "closed": closed,
        "settings": settings,
        "undone": undone,
    });
    Answer::json(200, &told)
}
