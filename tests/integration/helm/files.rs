//! The charts' own files: authority, credential and journal, as mount, volume and configuration together; and who asks
//! an agent that only its pod reaches.

use serde_json::{Value as Json, json};

use super::{CHART, LINES, ONE_TARGET, SAMPLE, agent_of, only, pods, template, variant};

fn pod(name: &str) -> &'static Json {
    pods(variant(name)).find(|pod| !agent_of(pod)["livenessProbe"].is_null()).expect("a pod with an agent")
}

fn defaults(object: &Json) -> Json {
    let text = object["data"]["redpath.yaml"].as_str().expect("the configuration");
    let configuration: Json = serde_saphyr::from_str(text).expect("YAML");
    configuration["defaults"].clone()
}

/// Where the agent of that variant has a volume, and what the volume is.
fn mounted(name: &str, path: &str) -> Json {
    let pod = pod(name);
    let mounts = agent_of(pod)["volumeMounts"].as_array().expect("mounts");
    let mount = mounts.iter().find(|mount| mount["mountPath"] == path).unwrap_or_else(|| panic!("{name}: no {path}"));
    let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
    let mut of_name = volumes.iter().filter(|volume| volume["name"] == mount["name"]);
    let volume = of_name.next().unwrap_or_else(|| panic!("{name}: no volume of {path}"));
    assert!(of_name.next().is_none(), "{name}: two volumes {}", mount["name"]);
    volume.clone()
}

#[test]
fn helm_credential_and_authority_are_configured() {
    for (name, auto) in [("redpath/files", Json::Null), ("sample-app/preflight", json!("on"))] {
        let maps = variant(name).iter().filter(|object| object["kind"] == "ConfigMap");
        let map = maps.clone().find(|map| !map["metadata"]["name"].as_str().unwrap_or_default().contains("preflight"));
        let defaults = defaults(map.expect("the configuration"));
        assert_eq!(defaults["tls"]["ca_file"], "/run/secrets/redpath-ca/root.crt", "{name}");
        let auth = json!({
            "method": "password",
            "username": "probe",
            "password_file": "/run/secrets/redpath-credential/primary",
        });
        assert_eq!((&defaults["auth"], &defaults["application"]), (&auth, &auto), "{name}");
        assert_eq!(mounted(name, "/run/secrets/redpath-ca")["secret"]["secretName"], "authority");
        let credential = mounted(name, "/run/secrets/redpath-credential");
        assert_eq!(credential["secret"]["items"], json!([{"key": "primary", "path": "primary"}]));
    }
    let authority = mounted("sample-app/classic", "/run/secrets/redpath-ca");
    assert_eq!(authority["configMap"]["name"], "authority");
    // Before a deployment there is no application whose connections could be listed.
    let map = variant("sample-app/preflight").iter().find(|object| {
        object["kind"] == "ConfigMap"
            && object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with("-preflight"))
    });
    assert_eq!(defaults(map.expect("the configuration of the Job"))["application"], Json::Null);
}

#[test]
fn helm_journal_has_a_volume() {
    let claim = json!({"claimName": "redpath"});
    for (name, volume, kind) in [
        ("redpath/files", &claim, "persistentVolumeClaim"),
        ("sample-app/classic", &claim, "persistentVolumeClaim"),
        ("sample-app/preflight", &json!({"sizeLimit": "200Mi"}), "emptyDir"),
    ] {
        assert_eq!(&mounted(name, "/var/lib/redpath")[kind], volume, "{name}");
        let arguments = agent_of(pod(name))["args"].as_array().expect("arguments");
        assert!(arguments.contains(&json!("--journal=/var/lib/redpath/journal")), "{name}: {arguments:?}");
    }
}

/// The configuration outranks what the values add to it.
#[test]
fn helm_sidecar_application_can_be_switched_off() {
    for line in LINES {
        let sample = SAMPLE.join(line).join("sample-app").display().to_string();
        let off = "redpath-sidecar.config.defaults.application=off";
        let objects = template(line, &sample, &["--set-string", off]).expect("a rendering");
        assert_eq!(defaults(only(&objects, "ConfigMap"))["application"], "off");
    }
}

#[test]
fn helm_loopback_agent_is_asked_in_its_container() {
    for line in LINES {
        let sample = SAMPLE.join(line).join("sample-app").display().to_string();
        for (chart, prefix) in [(CHART, ""), (sample.as_str(), "redpath-sidecar.")] {
            let address = format!("{prefix}listen.address=127.0.0.1");
            let mut arguments = vec!["--set", address.as_str()];
            if prefix.is_empty() {
                arguments.extend(["--set", ONE_TARGET]);
            }
            let objects = template(line, chart, &arguments).expect("a rendering");
            let mut probes = pods(&objects).map(|pod| agent_of(pod)["livenessProbe"].clone());
            let probe = probes.find(|probe| !probe.is_null()).expect("a probe");
            let command = json!(["/usr/bin/redpath", "healthcheck", "http://127.0.0.1:9736/-/healthy"]);
            assert_eq!((&probe["exec"]["command"], &probe["httpGet"]), (&command, &Json::Null), "{chart}");
            let (secret, tls) = (format!("{prefix}web.existingSecret=web"), format!("{prefix}web.tls=true"));
            arguments.extend(["--set", &secret, "--set", &tls]);
            let said = template(line, chart, &arguments).expect_err("a refusal");
            assert!(said.contains("loopback address and web.tls"), "{said}");
        }
    }
}

#[test]
fn helm_files_that_contradict_are_refused() {
    for line in LINES {
        for (values, says) in [
            (["ca.existingSecret=a", "ca.existingConfigMap=b"], "one of them is expected"),
            (["journal.enabled=true", "journal.volume.persistentVolumeClaim.claimName=a"], "a journal has one writer"),
        ] {
            let arguments = ["--set", ONE_TARGET, "--set", values[0], "--set", values[1]];
            let said = template(line, CHART, &arguments).expect_err("a refusal");
            assert!(said.contains(says), "Helm {line}, {values:?}: {said}");
        }
        let arguments = ["--set", "configFrom.existing=a", "--set", "credential.existingSecret=b"];
        let said = template(line, CHART, &arguments).expect_err("a refusal");
        assert!(said.contains("secretMounts"), "Helm {line}: {said}");
    }
}
