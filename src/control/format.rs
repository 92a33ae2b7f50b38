//! The formats of values. Each format parses what it prints, and its errors say what is accepted.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value as Json;

use super::setting::Refusal;
use super::{backend, listen};
use crate::balance::Policy;
use crate::dns::PORT;
use crate::journal::STANDARD_OUTPUT;
use crate::proxy::settings::{AdminListen, Backend, Listen, Pin, Resample};
use crate::proxy::statuses::Statuses;
use crate::proxy::trusted::Origin;
use crate::time::{format_duration, parse_duration};
use crate::usage::or_nearest;

/// How a value is parsed and printed.
pub(super) trait Format: Send + Sync {
    type Value;

    /// Whether the value is a list, each element of which has a text of its own.
    const IS_LIST: bool = false;

    /// Parses one text. The error says what is accepted.
    fn read(&self, text: &str) -> Result<Self::Value, String>;

    /// Parses all texts that are given. Only a list uses more than the last one.
    fn read_all(&self, texts: &[String]) -> Result<Self::Value, Refusal> {
        let text = texts.last().map_or("", String::as_str);
        self.read(text).map_err(|reason| Refusal { text: text.to_owned(), reason })
    }

    fn show(&self, value: &Self::Value) -> Json;

    /// The numbers that are accepted, in words; empty if that needs no words.
    fn range(&self) -> String {
        String::new()
    }

    /// The words that are accepted, if nothing else is.
    fn choices(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A list of values.
pub(super) struct List<F>(pub(super) F);

impl<F: Format> Format for List<F> {
    type Value = Vec<F::Value>;

    const IS_LIST: bool = true;

    fn read(&self, text: &str) -> Result<Self::Value, String> {
        self.0.read(text).map(|value| vec![value])
    }

    fn read_all(&self, texts: &[String]) -> Result<Self::Value, Refusal> {
        texts.iter().map(|text| self.0.read_all(std::slice::from_ref(text))).collect()
    }

    fn show(&self, value: &Self::Value) -> Json {
        value.iter().map(|value| self.0.show(value)).collect()
    }
}

/// A duration.
pub(super) enum Time {
    /// It may be 0.
    Any,
    /// It may not.
    Positive,
}

impl Format for Time {
    type Value = Duration;

    fn read(&self, text: &str) -> Result<Duration, String> {
        match (self, parse_duration(text)?) {
            (Self::Positive, Duration::ZERO) => Err("it must be longer than 0".to_owned()),
            (_, duration) => Ok(duration),
        }
    }

    fn show(&self, value: &Duration) -> Json {
        format_duration(*value).into()
    }
}

/// A whole number.
pub(super) struct Number<T> {
    least: T,
    most: Option<T>,
}

pub(super) const fn between<T>(least: T, most: T) -> Number<T> {
    Number { least, most: Some(most) }
}

pub(super) const fn at_least<T>(least: T) -> Number<T> {
    Number { least, most: None }
}

impl<T> Format for Number<T>
where
    T: Copy + Display + FromStr + PartialOrd + TryInto<u64> + Send + Sync,
{
    type Value = T;

    fn read(&self, text: &str) -> Result<T, String> {
        let Self { least, most } = self;
        let number = text.parse().ok();
        let number = number.filter(|n| n >= least && most.is_none_or(|most| *n <= most));
        number.ok_or_else(|| match most {
            Some(most) => format!("give a number from {least} to {most}"),
            None => format!("give a number, at least {least}"),
        })
    }

    fn show(&self, value: &T) -> Json {
        (*value).try_into().map_or(Json::Null, Json::from)
    }

    fn range(&self) -> String {
        let Self { least, most } = self;
        match most {
            Some(most) => format!("{least} to {most}"),
            None if self.show(least) == 0 => String::new(),
            None => format!("at least {least}"),
        }
    }
}

/// A number from 1 to 100, maybe with a percent sign.
pub(super) struct Percent;

impl Format for Percent {
    type Value = u8;

    fn read(&self, text: &str) -> Result<u8, String> {
        between(1, 100).read(text.strip_suffix('%').unwrap_or(text))
    }

    fn show(&self, value: &u8) -> Json {
        (*value).into()
    }

    fn range(&self) -> String {
        between(1, 100_u8).range()
    }
}

/// A number above 0 and at most 1.
pub(super) struct Fraction;

impl Format for Fraction {
    type Value = f64;

    fn read(&self, text: &str) -> Result<f64, String> {
        let refuse = || "give a number above 0 and at most 1, such as 0.2".to_owned();
        text.parse().ok().filter(|x| *x > 0.0 && *x <= 1.0).ok_or_else(refuse)
    }

    fn show(&self, value: &f64) -> Json {
        (*value).into()
    }

    fn range(&self) -> String {
        "above 0, at most 1".to_owned()
    }
}

/// A value, or a word that means none.
pub(super) struct Or<F>(pub(super) &'static str, pub(super) F);

impl<F: Format> Format for Or<F> {
    type Value = Option<F::Value>;

    fn read(&self, text: &str) -> Result<Self::Value, String> {
        let Self(word, format) = self;
        if text == *word {
            return Ok(None);
        }
        format.read(text).map(Some).map_err(|reason| format!("{reason}, or `{word}`"))
    }

    fn show(&self, value: &Self::Value) -> Json {
        value.as_ref().map_or_else(|| self.0.into(), |value| self.1.show(value))
    }

    fn range(&self) -> String {
        self.1.range()
    }
}

/// One of several words. A dash and an underscore are the same.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Send + Sync> Format for Choice<T> {
    type Value = T;

    fn read(&self, text: &str) -> Result<T, String> {
        let typed = text.replace('_', "-");
        let found = self.0.iter().find(|(name, _)| *name == typed).map(|(_, value)| *value);
        let names = || self.choices().join(" or ");
        found.ok_or_else(|| or_nearest(&format!("give {}", names()), text, self.choices()))
    }

    fn show(&self, value: &T) -> Json {
        let found = self.0.iter().find(|(_, known)| known == value);
        found.map_or(Json::Null, |(name, _)| Json::from(*name))
    }

    fn choices(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

/// When a backend is measured again.
pub(super) struct ResampleAfter;

impl Format for ResampleAfter {
    type Value = Resample;

    fn read(&self, text: &str) -> Result<Resample, String> {
        match text {
            "auto" => Ok(Resample::ByPolicy),
            "off" => Ok(Resample::Never),
            text => {
                let more = |reason| format!("{reason}, or `auto`, or `off`");
                Time::Positive.read(text).map(Resample::After).map_err(more)
            }
        }
    }

    fn show(&self, value: &Resample) -> Json {
        match value {
            Resample::ByPolicy => "auto".into(),
            Resample::Never => "off".into(),
            Resample::After(limit) => Time::Positive.show(limit),
        }
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Format for Switch {
    type Value = bool;

    fn read(&self, text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "give true or false".to_owned())
    }

    fn show(&self, value: &bool) -> Json {
        (*value).into()
    }
}

/// The name of a policy.
pub(super) struct PolicyName;

impl Format for PolicyName {
    type Value = Policy;

    fn read(&self, text: &str) -> Result<Policy, String> {
        text.parse().map_err(|error| or_nearest(&error, text, Policy::ALL.map(Policy::name)))
    }

    fn show(&self, value: &Policy) -> Json {
        value.name().into()
    }
}

/// A backend: a URL, followed by options.
pub(super) struct Upstream;

impl Format for Upstream {
    type Value = Backend;

    fn read(&self, text: &str) -> Result<Backend, String> {
        backend::parse(text)
    }

    fn show(&self, value: &Backend) -> Json {
        backend::show(value).into()
    }
}

/// An address to listen on.
pub(super) struct ListenAddress;

impl Format for ListenAddress {
    type Value = Listen;

    fn read(&self, text: &str) -> Result<Listen, String> {
        listen::parse(text)
    }

    fn show(&self, value: &Listen) -> Json {
        value.to_string().into()
    }
}

/// An address to listen on for the admin.
pub(super) struct AdminAddress;

impl Format for AdminAddress {
    type Value = AdminListen;

    fn read(&self, text: &str) -> Result<AdminListen, String> {
        listen::parse_admin(text)
    }

    fn show(&self, value: &AdminListen) -> Json {
        listen::show_admin(value).into()
    }
}

/// A port on all IPv4 addresses.
pub(super) struct Port;

impl Format for Port {
    type Value = Vec<Listen>;

    fn read(&self, text: &str) -> Result<Vec<Listen>, String> {
        between(0, u16::MAX).read(text).map(|port| vec![Listen::all_ipv4(port)])
    }

    fn show(&self, _value: &Vec<Listen>) -> Json {
        Json::Null
    }
}

/// An address, a network, or `unix:`.
pub(super) struct Cidr;

impl Format for Cidr {
    type Value = Origin;

    fn read(&self, text: &str) -> Result<Origin, String> {
        text.parse().map_err(|error: <Origin as FromStr>::Err| error.to_string())
    }

    fn show(&self, value: &Origin) -> Json {
        value.to_string().into()
    }
}

/// The address of a name server.
pub(super) struct NameServer;

impl Format for NameServer {
    type Value = SocketAddr;

    fn read(&self, text: &str) -> Result<SocketAddr, String> {
        let with_port = || text.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
        let ip = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let address = ip.ok().map(|ip| SocketAddr::from((ip, PORT))).or_else(with_port);
        address.ok_or_else(|| "give an IP address, or one with a port: 10.0.0.53:5353".to_owned())
    }

    fn show(&self, value: &SocketAddr) -> Json {
        match (value.port(), value.ip()) {
            (PORT, ip) => ip.to_string().into(),
            _ => value.to_string().into(),
        }
    }
}

/// Statuses of responses.
pub(super) struct StatusSet;

impl Format for StatusSet {
    type Value = Statuses;

    fn read(&self, text: &str) -> Result<Statuses, String> {
        text.parse().map_err(|error: <Statuses as FromStr>::Err| error.to_string())
    }

    fn show(&self, value: &Statuses) -> Json {
        value.to_string().into()
    }
}

/// The target of a request: a path, perhaps with a query.
pub(super) struct Target;

impl Format for Target {
    type Value = String;

    fn read(&self, text: &str) -> Result<String, String> {
        let is_part = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if text.starts_with('/') && text.bytes().all(is_part) {
            return Ok(text.to_owned());
        }
        Err("give a path such as /healthz, with % for what a URL can't contain".to_owned())
    }

    fn show(&self, value: &String) -> Json {
        value.as_str().into()
    }
}

/// A file, or `-` for standard output.
pub(super) struct Log;

impl Format for Log {
    type Value = PathBuf;

    fn read(&self, text: &str) -> Result<PathBuf, String> {
        match text {
            "" => Err("give a file, `-` for standard output".to_owned()),
            "-" => Ok(STANDARD_OUTPUT.into()),
            file => Ok(file.into()),
        }
    }

    fn show(&self, value: &PathBuf) -> Json {
        let value: &Path = value;
        value.display().to_string().into()
    }
}

/// The cores of the workers.
pub(super) struct PinList;

impl Format for PinList {
    type Value = Pin;

    fn read(&self, text: &str) -> Result<Pin, String> {
        match text {
            "none" => Ok(Pin::None),
            "auto" => Ok(Pin::Auto),
            list => list
                .split(',')
                .map(|core| core.trim().parse())
                .collect::<Result<_, _>>()
                .map(Pin::Cores)
                .map_err(|_| "give `auto`, `none`, or core numbers like 0,2".to_owned()),
        }
    }

    fn show(&self, value: &Pin) -> Json {
        match value {
            Pin::None => "none".into(),
            Pin::Auto => "auto".into(),
            Pin::Cores(cores) => {
                cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",").into()
            }
        }
    }
}
