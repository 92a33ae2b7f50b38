//! The parts of the help that are not about one flag.

use tidegate::usage::Advice;

/// Below the summary of `-h`.
pub(crate) const MORE: &str = "\
tidegate --help has the other flags, the environment, examples, signals and exit codes.";

/// Below the flags of `--help`.
pub(crate) const EVERYTHING: &str = r#"VALUES
  Durations are written as 500ms, 2s, 1m or 1h; 24h is the longest.

ENVIRONMENT
  Each setting but --port has a variable: TIDEGATE_RESPONSE_TIMEOUT=5s is --response-timeout 5s,
  TIDEGATE_POLICY the policy, and TIDEGATE_CONFIG the file. A flag wins over its variable, and that
  over the file. The values of a flag that may be repeated are separated by commas. A variable for
  a flag without a value is true or false.

FILE
  --config takes a file in TOML with the names of the flags, and a table for each backend:
      policy = "least-conn"
      response-timeout = "5s"
      [[backend]]
      url = "http://10.0.0.7:8080"
      weight = 3
  tidegate --print-config writes one with all settings and what they mean. On SIGHUP it is read
  again; only admin, workers, pin and verbose, and whether there is a log, need a restart.

EXAMPLES
  tidegate
      adaptive over http://localhost:8081, :8082 and :8083, on port 9090
  tidegate adaptive_ewma --connections non-persistent
  tidegate adaptive_sma --listen 127.0.0.1:8080 --upstream http://a:80 --upstream http://b:80
  tidegate adaptive_ewma --workers 2 --pin auto --log none
  tidegate least-conn --upstream 'http://a:80 weight=3' --upstream 'http://b:80 max-in-flight=8'
  tidegate --listen unix:/run/tidegate.sock --upstream unix:/run/app.sock
  tidegate --upstream http://a:80 --upstream http://b:80 --check-path /healthz
  tidegate --check --upstream http://a:80
  tidegate --config /etc/tidegate/tidegate.toml
  source <(tidegate completions bash)
      has this shell complete flags; also elvish, fish, powershell and zsh
  tidegate man | man -l -
      this as a manual page

SIGNALS
  SIGTERM, SIGINT   finish what is in flight and exit; a second one exits at once
  SIGHUP            reopen the log, and read the file of --config again
  SIGUSR1           reopen the log

EXIT STATUS
  0             stopped by a signal, or --check and --health found all well
  1             could not start, or --health got no answer
  2             a setting, an upstream or the log's path is wrong
  128 + signal  ended at once by a second signal"#;

/// What other proxies call what has another name here.
pub(crate) const ADVICE: [Advice; 4] = [
    Advice {
        task: "",
        words: &["backend", "backends", "server", "target"],
        tip: "backends are named with '--upstream http://host:port'",
    },
    Advice {
        task: "",
        words: &["bind", "address", "host"],
        tip: "where to listen is said with '--listen <ADDR:PORT>'",
    },
    Advice { task: "", words: &["threads", "cores"], tip: "threads are '--workers <N|auto>'" },
    Advice { task: "", words: &["csv", "output"], tip: "rows go to '--log <FILE|none>'" },
];
