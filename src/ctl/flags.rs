//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand};

use super::error::CtlError;
use crate::endpoint::Endpoint;
use crate::time::parse_duration;
use crate::usage::Advice;

/// Asks and tells a running tidegate
#[derive(Debug, Parser)]
#[command(name = "tidegatectl", version, after_help = NOTES, max_term_width = 100)]
pub struct Flags {
    /// Where the proxy is asked, as it was given to its --admin
    #[arg(
        long,
        global = true,
        value_name = "unix:PATH|ADDR:PORT",
        env = "TIDEGATE_ADMIN",
        default_value = "unix:/run/tidegate/admin.sock"
    )]
    admin: String,

    /// Print JSON, as the proxy sends it
    #[arg(long, global = true)]
    pub(super) json: bool,

    #[command(subcommand)]
    pub(super) task: Task,
}

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Show the backends; in a terminal again each second, until q or Ctrl-C
    Backends {
        /// Show them once
        #[arg(long)]
        once: bool,
    },
    /// Add a backend: URL [weight=N] [max-in-flight=N] [backup] [drained]
    Add {
        /// Such as `http://host:port` or `unix:/path/to/socket`
        url: String,
        /// weight=N, max-in-flight=N, backup, drained
        #[arg(value_name = "OPTION")]
        options: Vec<String>,
    },
    /// Remove a backend; what it has in flight may end
    Remove {
        /// Its URL, a part of that, or its id
        backend: String,
    },
    /// Give a backend another weight or limit: BACKEND weight=3 max-in-flight=off backup=false
    Set {
        /// Its URL, a part of that, or its id
        backend: String,
        /// weight=N, max-in-flight=N|off, backup=true|false
        #[arg(value_name = "OPTION", required = true)]
        options: Vec<String>,
    },
    /// Give a backend no new requests; it stays configured
    Drain {
        /// Its URL, a part of that, or its id
        backend: String,
        /// Wait until nothing is in flight at it, for so long at most
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        wait: Option<Duration>,
    },
    /// Give a drained backend requests again, few at first if the proxy has --slow-start
    Undrain {
        /// Its URL, a part of that, or its id
        backend: String,
    },
    /// Give a backend no requests for a while, after which it has to pass one
    Eject {
        /// Its URL, a part of that, or its id
        backend: String,
        /// How long, such as 30s
        #[arg(value_parser = |text: &str| parse_duration(text).map(|_| text.to_owned()))]
        duration: String,
    },
    /// End the ejection of a backend, whoever ejected it
    Admit {
        /// Its URL, a part of that, or its id
        backend: String,
    },
    /// Print the settings in force as a configuration file
    Config,
    /// Have the proxy read its configuration file again, as SIGHUP does
    Reload,
    /// Tell in a sentence each why the last requests went where they went
    Explain {
        /// How many requests, at most 200
        #[arg(value_name = "N", default_value_t = 20)]
        number: usize,
    },
    /// Show all figures in the text format of Prometheus
    Metrics,
    /// Exit with 0 if the proxy serves, with 1 if it is stopping or does not answer
    Health,
}

/// What other programs call what has another name here.
pub const ADVICE: [Advice; 5] = [
    Advice {
        task: "",
        words: &["list", "ls", "show", "status", "top", "servers"],
        tip: "'tidegatectl backends'",
    },
    Advice {
        task: "",
        words: &["enable", "ready", "up", "resume"],
        tip: "'tidegatectl undrain BACKEND'",
    },
    Advice { task: "", words: &["disable", "maint", "down"], tip: "'tidegatectl drain BACKEND'" },
    Advice { task: "", words: &["delete", "rm", "del"], tip: "'tidegatectl remove BACKEND'" },
    Advice { task: "", words: &["weight", "limit"], tip: "'tidegatectl set BACKEND weight=N'" },
];

const NOTES: &str = "\
A backend is named by its URL, by a part of that which no other one has, such as its port, or by its
id. What is changed holds until the proxy ends or reads its configuration file again.

Examples:
  tidegatectl backends
  tidegatectl drain 8081 --wait 60s
  tidegatectl undrain 8081
  tidegatectl add http://10.0.0.9:8080 weight=3
  tidegatectl --admin 127.0.0.1:9091 backends --once --json

Exit status:
  0  done; for health: the proxy serves
  1  the proxy refused it, failed, or does not answer
  2  the command line is wrong, or names no backend or several";

impl Flags {
    /// Where the proxy is asked. The variable has the form that the proxy takes: of several
    /// addresses, a Unix socket is asked, because it takes changes.
    pub(super) fn address(&self) -> Result<Endpoint, CtlError> {
        let words = self.admin.split(',').filter_map(|one| one.split_whitespace().next());
        let mut addresses = words.map(|word| (word, word.parse::<Endpoint>()));
        let addresses: Vec<_> = addresses.by_ref().collect();
        let is_unix = |(_, it): &&(&str, Result<Endpoint, _>)| matches!(it, Ok(Endpoint::Unix(_)));
        match addresses.iter().find(is_unix).or(addresses.first()) {
            Some((_, Ok(endpoint))) => Ok(endpoint.clone()),
            Some((word, Err(error))) => {
                Err(CtlError::Misuse(format!("--admin: invalid address '{word}': {error}")))
            }
            None => Err(CtlError::Misuse("--admin: the address is empty".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn address(given: &str) -> Result<String, String> {
        let flags = Flags::try_parse_from(["tidegatectl", "--admin", given, "health"]);
        let address = flags.expect("flags").address();
        address.map(|it| it.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn an_address_is_what_the_proxy_takes_and_a_unix_socket_comes_first() {
        for (given, taken) in [
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("127.0.0.1:9091", "127.0.0.1:9091"),
            ("0.0.0.0:9091 exposed host=a", "0.0.0.0:9091"),
            ("127.0.0.1:9091, unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(address(given).as_deref(), Ok(taken));
        }
        for (given, reason) in [("", "empty"), ("/run/a.sock", "'/run/a.sock': give an address")] {
            let refusal = address(given).expect_err(given);
            assert!(refusal.contains(reason), "{refusal}");
        }
    }
}
