//! What another plan changed in a running proxy.

use std::fmt;

use super::sources::Hidden;
use crate::endpoint::Endpoint;
use crate::proxy::listeners::Relistened;

/// What a plan changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// The URLs of backends that get requests from now on.
    pub added: Vec<String>,
    /// The URLs of those that get none any more.
    pub removed: Vec<String>,
    /// The URLs of those whose weight or another option is a new one.
    pub adjusted: Vec<String>,
    /// The addresses that are listened on from now on.
    pub opened: Vec<String>,
    /// Those that are no more.
    pub closed: Vec<String>,
    /// The URLs of those that are ejected, and of those whose ejection is over.
    pub ejected: Vec<String>,
    /// See there.
    pub admitted: Vec<String>,
    /// The names of other settings that have a new value.
    pub settings: Vec<&'static str>,
    /// The URLs of those backends among the first three that were as the admin had told.
    pub undone: Vec<String>,
    /// Backends of the plan's file that are not used.
    pub hidden: Option<Hidden>,
}

impl Changes {
    pub(super) fn told_of(&mut self, listeners: &Relistened) {
        let Relistened { opened, closed, adjusted, .. } = listeners;
        self.opened.extend(opened.iter().map(Endpoint::url));
        self.closed.extend(closed.iter().map(Endpoint::url));
        self.adjusted.extend(adjusted.iter().map(ToString::to_string));
    }

    /// The URLs of the backends of which the plan says something else now.
    pub(super) fn backends(&self) -> impl Iterator<Item = &String> {
        self.added.iter().chain(&self.removed).chain(&self.adjusted)
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("added", self.added.join(", ")),
            ("removed", self.removed.join(", ")),
            ("adjusted", self.adjusted.join(", ")),
            ("listens on", self.opened.join(", ")),
            ("no longer listens on", self.closed.join(", ")),
            ("ejected", self.ejected.join(", ")),
            ("admitted", self.admitted.join(", ")),
            ("changed", self.settings.join(", ")),
            ("undid what the admin had told of", self.undone.join(", ")),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts.map(|(what, names)| format!("{what} {names}")).collect();
        f.write_str(if parts.is_empty() { "nothing changed" } else { "" })?;
        f.write_str(&parts.join("; "))?;
        self.hidden.as_ref().map_or(Ok(()), |hidden| write!(f, "; {hidden}"))
    }
}
