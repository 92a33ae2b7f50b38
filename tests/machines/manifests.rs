//! The files for Kubernetes: what they contain, and that it fits together.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;
use support::dnsmasq::Dnsmasq;
use support::network::is_inside;
use support::process::run;
use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

use crate::packaging;

/// The file with tidegate itself.
pub(crate) const TIDEGATE: &str = "tidegate.yaml";

/// The name that the shipped configuration looks for its backends by.
pub(crate) const PODS: &str = "app-pods.example.test";

/// What a process needs beyond its timeouts when it stops, see `docs/operations.md`.
const REST_OF_THE_LOG: Duration = Duration::from_millis(1500);

/// An object of a file.
pub(crate) fn object(file: &str, kind: &str) -> Yaml {
    let text = fs::read_to_string(packaging("kubernetes").join(file)).unwrap();
    let objects = YamlLoader::load_from_str(&text).unwrap();
    let mut found = objects.into_iter().filter(|object| object["kind"].as_str() == Some(kind));
    let object = found.next().expect(kind);
    assert!(found.next().is_none(), "there is one {kind} in {file}");
    object
}

/// The pods of the deployment in a file, and their only container.
fn pod(file: &str) -> (Yaml, Yaml) {
    let pod = object(file, "Deployment")["spec"]["template"]["spec"].clone();
    let containers = pod["containers"].as_vec().unwrap();
    assert_eq!(containers.len(), 1);
    let container = containers[0].clone();
    (pod, container)
}

/// The path that a probe of tidegate's asks for, at the port of the admin.
pub(crate) fn probe(name: &str) -> String {
    let (_, container) = pod(TIDEGATE);
    let ask = &container[name]["httpGet"];
    assert_eq!(ask["port"].as_str(), Some("admin"));
    ask["path"].as_str().unwrap().to_owned()
}

/// The folder of the configuration as Kubernetes makes it, where a file is two links away.
pub(crate) struct Mounted {
    folder: TempDir,
}

impl Mounted {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = object(TIDEGATE, "ConfigMap")["data"].clone();
        fs::create_dir(folder.path().join("..2026")).unwrap();
        symlink("..2026", folder.path().join("..data")).unwrap();
        for (name, text) in data.as_hash().unwrap() {
            let (name, text) = (name.as_str().unwrap(), text.as_str().unwrap());
            fs::write(folder.path().join("..2026").join(name), text).unwrap();
            symlink(PathBuf::from("..data").join(name), folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// The container's arguments, with the folder where it is here.
    pub(crate) fn args(&self) -> Vec<String> {
        let (_, container) = pod(TIDEGATE);
        let mount = &container["volumeMounts"][0]["mountPath"];
        let here = self.folder.path().to_str().unwrap();
        let args = container["args"].as_vec().unwrap().iter();
        args.map(|arg| arg.as_str().unwrap().replace(mount.as_str().unwrap(), here)).collect()
    }
}

#[test]
fn the_shipped_configuration_is_valid_and_its_times_fit_the_grace_period() {
    let name = "the_shipped_configuration_is_valid_and_its_times_fit_the_grace_period";
    if !is_inside(&format!("manifests::{name}")) {
        return;
    }
    let _dnsmasq = Dnsmasq::start(&[("127.0.3.1", PODS), ("127.0.3.2", PODS)], &[]);
    let mounted = Mounted::new();
    let args = mounted.args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--check", "--json"]).collect();
    let ended = run(&args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let plan: Json = serde_json::from_str(&ended.stdout).unwrap();
    let backends: Vec<_> = plan["backends"].as_array().unwrap().iter().collect();
    assert!(ended.stdout.contains("127.0.3.1:8080"), "{backends:?}");
    let settings = &plan["settings"];
    let time = |name: &str| seconds(settings[name].as_str().unwrap());
    let (pod, _) = pod(TIDEGATE);
    let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    let needed = time("shutdown-delay") + time("drain-timeout") + REST_OF_THE_LOG;
    assert!(needed.as_secs_f64() <= grace as f64, "{needed:?} of {grace} s");
    // The pods behind are found no more before they end.
    let (app, container) = self::pod("app.yaml");
    let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
    let found = Duration::from_secs(5) + time("resolve-every");
    assert!(found.as_secs_f64() <= sleep as f64 && sleep < grace, "{found:?}, {sleep} s");
    assert!(sleep < app["terminationGracePeriodSeconds"].as_i64().unwrap());
}

/// A duration of the settings, in whole seconds.
fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').expect(text).parse().expect(text))
}

#[test]
fn no_pod_has_more_rights_than_it_needs() {
    for file in [TIDEGATE, "app.yaml"] {
        let (pod, container) = pod(file);
        let (all, own) = (&pod["securityContext"], &container["securityContext"]);
        assert_eq!(all["runAsNonRoot"], Yaml::Boolean(true), "{file}");
        assert_eq!(all["runAsUser"], Yaml::Integer(65532), "the user of the image, in {file}");
        assert_eq!(all["seccompProfile"]["type"].as_str(), Some("RuntimeDefault"), "{file}");
        assert_eq!(own["allowPrivilegeEscalation"], Yaml::Boolean(false), "{file}");
        assert_eq!(own["readOnlyRootFilesystem"], Yaml::Boolean(true), "{file}");
        assert_eq!(own["capabilities"]["drop"][0].as_str(), Some("ALL"), "{file}");
        assert_eq!(pod["automountServiceAccountToken"], Yaml::Boolean(false), "{file}");
        assert!(!container["resources"]["limits"]["memory"].is_badvalue(), "{file}");
        assert!(!container["resources"]["requests"]["cpu"].is_badvalue(), "{file}");
    }
}

#[test]
fn selectors_ports_and_names_agree() {
    for (file, name) in [(TIDEGATE, "tidegate"), ("app.yaml", "app")] {
        let (deployment, service) = (object(file, "Deployment"), object(file, "Service"));
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/name"].as_str(), Some(name));
        assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
        assert_eq!(&service["spec"]["selector"], labels);
        let update = &deployment["spec"]["strategy"]["rollingUpdate"];
        assert_eq!(update["maxUnavailable"], Yaml::Integer(0), "{file}");
    }
    let budget = object(TIDEGATE, "PodDisruptionBudget");
    let deployment = object(TIDEGATE, "Deployment");
    assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"]);
    // As many may be missing at once as leave one.
    let replicas = deployment["spec"]["replicas"].as_i64().unwrap();
    assert!(budget["spec"]["maxUnavailable"].as_i64().unwrap() < replicas);
    let config = object(TIDEGATE, "ConfigMap");
    let text = config["data"]["tidegate.toml"].as_str().unwrap();
    let (pod, container) = pod(TIDEGATE);
    assert_eq!(pod["volumes"][0]["configMap"]["name"], config["metadata"]["name"]);
    for port in container["ports"].as_vec().unwrap() {
        let number = port["containerPort"].as_i64().unwrap();
        assert!(text.contains(&format!("\"0.0.0.0:{number}")), "it listens on {number}");
    }
    let behind = object("app.yaml", "Service");
    assert_eq!(behind["spec"]["clusterIP"].as_str(), Some("None"), "each pod is a backend");
    let (name, port) = (&behind["metadata"]["name"], &behind["spec"]["ports"][0]["port"]);
    let url = format!("http://{}:{}", name.as_str().unwrap(), port.as_i64().unwrap());
    assert!(text.contains(&url), "{url}");
}
