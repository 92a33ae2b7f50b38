use super::*;
use std::path::Path;

fn job(folder: &Path, is_fresh: bool) -> Job<'_> {
    Job {
        listen: "127.0.0.1:9000".parse().expect("an address"),
        backends: BACKENDS.get_or_init(|| vec!["127.0.0.1:8000".parse().expect("an address")]),
        is_fresh,
        cores: &[1],
        folder,
    }
}

static BACKENDS: std::sync::OnceLock<Vec<Endpoint>> = std::sync::OnceLock::new();

fn named(name: &str) -> Contender {
    EVERYONE.into_iter().find(|contender| contender.name == name).expect(name)
}

fn words(contender: Contender, job: &Job<'_>) -> String {
    contender.args(job).expect("written").join(&OsString::from(" ")).into_string().expect("text")
}

/// The configuration a contender is given.
fn config(name: &str, is_fresh: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let contender = named(name);
    let words = words(contender, &job(folder.path(), is_fresh));
    fs::read_to_string(words.rsplit(' ').next().expect("a path")).expect("written")
}

#[test]
fn every_line_up_has_names_of_its_own_and_someone_to_compare_with() {
    for line_up in [LineUp::Everyone, LineUp::OneOfEach, LineUp::Workers, LineUp::Transports] {
        let mut names: Vec<_> = line_up.contenders().iter().map(|one| one.name).collect();
        let count = names.len();
        assert!(names.contains(&"tidegate") && names.contains(&"nginx"), "{line_up:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{line_up:?}");
    }
    assert_eq!(LineUp::OneOfEach.contenders().len(), ONE_OF_EACH.len());
}

#[test]
fn ours_and_the_rival_take_the_same_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("tidegate-sma.log").display().to_string();
    let upstreams = " --upstream http://127.0.0.1:8000".repeat(3);
    assert_eq!(
        words(named("tidegate-sma"), &job(folder.path(), false)),
        format!(
            "adaptive_sma --connections persistent --listen 127.0.0.1:9000 --log {log} \
             --workers 1 --pin 1{upstreams}"
        )
    );
    assert_eq!(
        words(named("hyper-no-log"), &job(folder.path(), true)),
        format!(
            "round-robin --connections non-persistent --listen 127.0.0.1:9000 --log none \
             --workers 1 --pin 1{upstreams} --client own-pool"
        )
    );
}

#[test]
fn the_relay_has_as_many_upstreams_as_the_others() {
    let words = words(named("relay"), &job(Path::new("/nowhere"), false));
    let upstreams = " --upstream 127.0.0.1:8000".repeat(3);
    assert_eq!(words, format!("relay --listen 127.0.0.1:9000{upstreams}"));
}

#[test]
fn each_is_told_of_unix_sockets_in_its_own_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let backends = ["unix:/run/a.sock".parse().expect("a name")];
    let job = Job { backends: &backends, ..job(folder.path(), false) };
    for contender in TRANSPORTS.iter().filter(|one| one.transport == Transport::Unix) {
        let words = words(*contender, &job);
        let said = match contender.program {
            Program::Nginx | Program::Haproxy => {
                fs::read_to_string(words.rsplit(' ').next().expect("a path")).expect("written")
            }
            _ => words,
        };
        let upstream = match contender.program {
            Program::Nginx => "server unix:/run/a.sock;",
            Program::Haproxy => " unix@/run/a.sock pool-max-conn",
            _ => "--upstream unix:/run/a.sock",
        };
        assert_eq!(said.matches(upstream).count(), 3, "{said}");
    }
}

#[test]
fn nginx_and_haproxy_keep_connections_or_make_fresh_ones() {
    for (name, kept, fresh) in [
        ("nginx", &["keepalive 512;", "keepalive_timeout 75s;"][..], "keepalive_timeout 0;"),
        ("haproxy", &["option http-keep-alive", "http-reuse always"][..], "option httpclose"),
    ] {
        let config = [config(name, false), config(name, true)];
        for words in kept {
            assert!(config[0].contains(words) && !config[1].contains(words), "{name} {words}");
        }
        assert!(!config[0].contains(fresh) && config[1].contains(fresh), "{name}");
        for config in config {
            assert!(config.contains("127.0.0.1:9000"), "{config}");
            assert_eq!(config.matches("127.0.0.1:8000").count(), 3, "{config}");
        }
    }
}

#[test]
fn nginx_and_haproxy_log_only_where_they_are_to() {
    for (name, log) in [("nginx", "combined"), ("haproxy", "option httplog")] {
        assert!(!config(name, false).contains(log), "{name}");
        assert!(config(&format!("{name}-log"), false).contains(log), "{name}");
    }
}

#[test]
fn two_workers_have_two_cores() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = Job { cores: &[2, 3], ..job(folder.path(), false) };
    let of = |name: &str| {
        let contender = WORKERS.into_iter().find(|one| one.name == name).expect(name);
        let words = words(contender, &job);
        fs::read_to_string(words.rsplit(' ').next().expect("a word")).unwrap_or(words)
    };
    assert!(of("tidegate-2").contains("--workers 2 --pin 2,3"));
    let nginx = of("nginx-2");
    assert!(nginx.contains("worker_processes 2;") && nginx.contains("affinity auto 1100;"));
    let haproxy = of("haproxy-2");
    assert!(haproxy.contains("nbthread 2") && haproxy.contains("cpu-map auto:1/1-2 2 3\n"));
}
