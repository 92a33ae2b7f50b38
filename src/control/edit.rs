//! Changes of single backends, as the admin asks for them: from the backends of the plan in force
//! to those of the next one.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::backend;
use super::controller::ApplyError;
use crate::balance::{Admission, BackendId};
use crate::proxy::settings::Backend;
use crate::time::parse_duration;
use crate::usage::or_nearest;

/// The member that says for how long a backend is ejected, which no plan has.
const EJECT: &str = "eject";

/// The word that ends an ejection.
const OFF: &str = "off";

/// What is to become of a backend.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// This one joins.
    Add(Backend),
    /// The one of this name leaves, once it has finished what it has.
    Remove(String),
    /// The one of this name is configured in another way.
    Set {
        /// Its name.
        name: String,
        /// What changes of its description.
        fields: Map<String, Json>,
        /// Whether it is ejected meanwhile.
        ejection: Option<Ejection>,
    },
}

/// What is to become of the ejection of a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ejection {
    /// It gets no requests for so long.
    For(Duration),
    /// It is over.
    Over,
}

/// Why an edit is not made. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is not understood.
    #[error("{0}")]
    Invalid(String),
    /// The backend is there already.
    #[error("there is a backend at {0} already; change that one, or remove it first")]
    Twice(String),
    /// No backend has the name.
    #[error("{0}")]
    Unknown(String),
    /// Several backends have the name.
    #[error("{name} is the name of several backends; say which by its id: {}", ids.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// What tells them apart.
        ids: Vec<String>,
    },
    /// Several backends have the name, and none of them an id.
    #[error(
        "{0} is the URL of several backends without an address, which differ; change them in the \
         configuration file and reload"
    )]
    Nameless(String),
    /// The plan has its name, and not its address.
    #[error(
        "{0} is an address of a name with `resolve=all`; only the backend of that name can change"
    )]
    OneOfSeveral(String),
    /// Requests would have nowhere to go.
    #[error("{0} is the last backend that gets requests; add another one first")]
    Last(String),
    /// The plan that would result can't be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The proxy will end soon.
    #[error("the proxy is stopping")]
    Stopping,
}

impl Edit {
    /// Has a backend join that is described by these members.
    ///
    /// # Errors
    /// They don't describe one.
    pub fn add(fields: &Map<String, Json>) -> Result<Self, EditError> {
        backend::read(fields).map(Self::Add).map_err(EditError::Invalid)
    }

    /// Has a backend be configured as these members say. `eject` among them is for how long it is
    /// ejected, or `off`.
    ///
    /// # Errors
    /// There is nothing to change, or what has to be said of an ejection is something else.
    pub fn set(name: String, mut fields: Map<String, Json>) -> Result<Self, EditError> {
        if fields.is_empty() {
            return Err(EditError::Invalid("there is nothing to change".to_owned()));
        }
        let ejection = fields.remove(EJECT).map(|value| ejection(&value)).transpose();
        let ejection = ejection.map_err(|why| EditError::Invalid(format!("{EJECT}: {why}")))?;
        if fields.contains_key("url") {
            let why = "the url of a backend can't change; add another one and remove this one";
            return Err(EditError::Invalid(why.to_owned()));
        }
        Ok(Self::Set { name, fields, ejection })
    }

    /// The name of the one that leaves or is configured in another way.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Add(_) => None,
            Self::Remove(name) | Self::Set { name, .. } => Some(name),
        }
    }

    /// The backends that result, of which `active` tells the names. Requests can be sent to those
    /// that are `reached`.
    pub(super) fn apply(
        &self,
        backends: &[Backend],
        active: &[(BackendId, Backend)],
        reached: &[Backend],
    ) -> Result<Vec<Backend>, EditError> {
        let mut edited = backends.to_vec();
        let place = |name: &str| {
            // One whose name has no address, or several, is known by its URL alone.
            let named: Vec<_> = (0..edited.len()).filter(|at| edited[*at].url == name).collect();
            if let [place] = named[..] {
                return Ok(place);
            }
            match (find(active, name), named.first()) {
                (Ok((_, found)), _) => {
                    let place = edited.iter().position(|backend| backend == found);
                    place.ok_or_else(|| EditError::OneOfSeveral(found.url.clone()))
                }
                // They have no ids, and if they are alike none are needed.
                (Err(EditError::Unknown(_)), Some(first)) => {
                    let is_alike = |at: &usize| edited[*at] == edited[*first];
                    let place = named.iter().all(is_alike).then_some(*first);
                    place.ok_or_else(|| EditError::Nameless(name.to_owned()))
                }
                (Err(error), _) => Err(error),
            }
        };
        let url = match self {
            Self::Add(backend) => {
                if let Some(same) = edited.iter().find(|it| it.address == backend.address) {
                    return Err(EditError::Twice(same.url.clone()));
                }
                edited.push(backend.clone());
                backend.url.clone()
            }
            Self::Remove(name) => {
                let place = place(name)?;
                edited.remove(place).url
            }
            // An ejection alone is no matter of the plan.
            Self::Set { fields, .. } if fields.is_empty() => return Ok(edited),
            Self::Set { name, fields, .. } => {
                let place = place(name)?;
                edited[place] = with(&edited[place], fields)?;
                edited[place].url.clone()
            }
        };
        let is_open = |it: &Backend| it.role.admission == Admission::Open;
        let gets_requests =
            |it: &Backend| is_open(it) && reached.iter().any(|other| other.is_same_server(it));
        let was_last = |is_one: &dyn Fn(&Backend) -> bool| {
            backends.iter().any(is_one) && !edited.iter().any(is_one)
        };
        // While none is reached, the last one that will get requests stays.
        if was_last(&gets_requests) || was_last(&is_open) {
            return Err(EditError::Last(url));
        }
        Ok(edited)
    }
}

fn ejection(value: &Json) -> Result<Ejection, String> {
    match value {
        Json::String(text) if text == OFF => Ok(Ejection::Over),
        Json::String(text) => match parse_duration(text) {
            Ok(Duration::ZERO) => Err("it must be longer than 0".to_owned()),
            Ok(time) => Ok(Ejection::For(time)),
            Err(why) => Err(format!("{why}, or `{OFF}`")),
        },
        _ => Err(format!("give a duration such as \"30s\", or \"{OFF}\"")),
    }
}

/// The backend with these members in place of its own.
fn with(backend: &Backend, fields: &Map<String, Json>) -> Result<Backend, EditError> {
    let mut described = backend::describe(backend);
    for (key, value) in fields {
        described.insert(key.clone(), value.clone());
    }
    backend::read(&described).map_err(EditError::Invalid)
}

/// The backend of a name, which is its URL or its id.
pub(super) fn find<'a>(
    active: &'a [(BackendId, Backend)],
    name: &str,
) -> Result<&'a (BackendId, Backend), EditError> {
    let is_meant =
        |(id, backend): &&(BackendId, Backend)| backend.url == name || id.to_string() == name;
    let found: Vec<_> = active.iter().filter(is_meant).collect();
    match found.as_slice() {
        [] => Err(unknown(active, name)),
        [one] => Ok(one),
        several => {
            let ids = several.iter().map(|(id, _)| id.to_string()).collect();
            Err(EditError::Ambiguous { name: name.to_owned(), ids })
        }
    }
}

fn unknown(active: &[(BackendId, Backend)], name: &str) -> EditError {
    let known = active.iter().map(|(_, backend)| backend.url.as_str());
    EditError::Unknown(or_nearest(&format!("there is no backend {name}"), name, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Role;
    use crate::control::backend::parse;
    use serde_json::json;

    fn backends(texts: &[&str]) -> Vec<Backend> {
        texts.iter().map(|text| parse(text).expect(text)).collect()
    }

    fn active(backends: &[Backend]) -> Vec<(BackendId, Backend)> {
        crate::balance::tests::ids(backends.len()).into_iter().zip(backends.to_vec()).collect()
    }

    fn edited(now: &[&str], edit: &Edit) -> Result<Vec<Backend>, String> {
        let now = backends(now);
        edit.apply(&now, &active(&now), &now).map_err(|error| error.to_string())
    }

    fn set(name: &str, fields: &Json) -> Result<Edit, String> {
        let fields = fields.as_object().cloned().expect("an object");
        Edit::set(name.to_owned(), fields).map_err(|error| error.to_string())
    }

    const TWO: [&str; 2] = ["http://a:1 weight=3", "http://b:1 backup"];

    #[test]
    fn a_backend_joins_leaves_and_is_configured_in_another_way() {
        let add = Edit::Add(parse("http://c:1").expect("one"));
        assert_eq!(edited(&TWO, &add), Ok(backends(&[TWO[0], TWO[1], "http://c:1"])));
        for name in ["http://a:1", "0.0"] {
            let remove = Edit::Remove(name.to_owned());
            assert_eq!(edited(&TWO, &remove), Ok(backends(&TWO[1..])), "{name}");
        }
        let edit = set("http://a:1", &json!({ "weight": null, "drained": true }));
        let expected = backends(&["http://a:1 drained", TWO[1]]);
        assert_eq!(edited(&TWO, &edit.expect("an edit")), Ok(expected));
    }

    #[test]
    fn what_can_t_be_is_refused_with_the_reason() {
        let again = Edit::Add(parse("http://a:1 weight=9").expect("one"));
        let remove = |name: &str| Edit::Remove(name.to_owned());
        let drain = |name: &str| set(name, &json!({ "drained": true })).expect("an edit");
        for (now, edit, reason) in [
            (&TWO[..], again, "a backend at http://a:1 already"),
            (&TWO, remove("http://c:1"), "no backend http://c:1; did you mean http://a:1"),
            (&TWO, remove("7.7"), "no backend 7.7"),
            (&TWO[..1], remove("http://a:1"), "http://a:1 is the last backend that gets"),
            (&TWO[..1], drain("http://a:1"), "http://a:1 is the last backend that gets"),
            (&["http://a:1", "http://b:1 drained"], remove("http://a:1"), "is the last"),
            (&["http://a:1"; 2], remove("http://a:1"), "say which by its id: 0.0, 1.0"),
        ] {
            let refusal = edited(now, &edit).expect_err(reason);
            assert!(refusal.contains(reason), "{refusal}");
        }
        let weight = set("http://a:1", &json!({ "weight": 0 })).expect("an edit");
        let refusal = edited(&TWO, &weight).expect_err("no weight");
        assert_eq!(refusal, "weight: give a number from 1 to 1000");
        for (fields, reason) in [
            (json!({}), "nothing to change"),
            (json!({ "url": "http://b" }), "can't change"),
            (json!({ "eject": 3 }), "eject: give a duration such as \"30s\", or \"off\""),
            (json!({ "eject": "3" }), "eject: `3` is not a duration"),
            (json!({ "eject": "0s" }), "eject: it must be longer than 0"),
        ] {
            let refusal = set("http://a:1", &fields).expect_err(reason);
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn one_without_an_address_gets_no_requests_and_is_not_the_last_one_that_does() {
        let now = backends(&["http://a:1", "http://nowhere:1"]);
        let reached = &now[..1];
        let drain = |name: &str| set(name, &json!({ "drained": true })).expect("an edit");
        for edit in [Edit::Remove("http://a:1".to_owned()), drain("http://a:1")] {
            let refused = edit.apply(&now, &active(reached), reached).expect_err("the last one");
            assert!(matches!(&refused, EditError::Last(url) if url == "http://a:1"), "{refused}");
        }
        let gone = Edit::Remove("http://nowhere:1".to_owned());
        let left = gone.apply(&now, &active(reached), reached);
        assert_eq!(left.expect("nothing is lost"), reached);
    }

    #[test]
    fn the_last_one_that_is_not_drained_stays_although_none_has_an_address() {
        let now = backends(&["http://a:1 drained", "http://nowhere:1"]);
        let drain = set("http://nowhere:1", &json!({ "drained": true })).expect("an edit");
        for edit in [Edit::Remove("http://nowhere:1".to_owned()), drain] {
            let refused = edit.apply(&now, &[], &[]).expect_err("the last one");
            assert!(matches!(&refused, EditError::Last(url) if url == "http://nowhere:1"));
        }
    }

    #[test]
    fn of_alike_backends_without_an_address_one_is_meant_and_others_are_told_apart_elsewhere() {
        let alike = backends(&["http://nowhere:1", "http://b:1", "http://nowhere:1"]);
        let edit = Edit::Remove("http://nowhere:1".to_owned());
        let left = edit.apply(&alike, &active(&alike[1..2]), &alike[1..2]);
        assert_eq!(left.expect("one is removed"), alike[1..]);
        let mut other = alike.clone();
        other[0].role.weight += 1;
        let refused = edit.apply(&other, &active(&alike[1..2]), &alike[1..2]);
        let why = refused.expect_err("two").to_string();
        assert!(why.contains("in the configuration file"), "{why}");
    }

    #[test]
    fn an_ejection_is_no_part_of_the_plan() {
        for (text, ejection) in
            [("30s", Ejection::For(Duration::from_secs(30))), ("off", Ejection::Over)]
        {
            let edit = set("http://a:1", &json!({ "eject": text })).expect("an edit");
            assert!(matches!(&edit, Edit::Set { ejection: Some(it), .. } if *it == ejection));
            assert_eq!(edited(&TWO, &edit), Ok(backends(&TWO)));
        }
    }

    #[test]
    fn one_of_several_of_one_name_is_named_by_its_id() {
        let edit = Edit::Remove("1.0".to_owned());
        assert_eq!(edited(&["http://a:1"; 2], &edit), Ok(backends(&["http://a:1"])));
        assert_eq!(backends(&["http://a:1"])[0].role, Role::default());
    }
}
