//! The library chart in the sample application: the native form and the classic one.

use serde_json::Value as Json;

use super::{LINES, SAMPLE, agent_of, only, pods, template, variant};

fn pod(name: &str) -> &'static Json {
    pods(variant(name)).next().expect("a pod")
}

#[test]
fn sidecar_native_is_restarting_init_container() {
    let spec = &pod("sample-app/native")["spec"];
    let sidecar = &spec["initContainers"][0];
    assert_eq!((&sidecar["name"], &sidecar["restartPolicy"]), (&Json::from("redpath"), &Json::from("Always")));
    assert_eq!(spec["containers"].as_array().map(Vec::len), Some(1));
    assert_eq!(spec["containers"][0]["name"], "app");
}

#[test]
fn sidecar_classic_is_container() {
    let spec = &pod("sample-app/classic")["spec"];
    assert!(spec["initContainers"].is_null());
    let sidecar = &spec["containers"][1];
    assert!(sidecar["restartPolicy"].is_null(), "{sidecar}");
    assert_eq!(sidecar["name"], "path");
}

/// Every volume that it mounts is there, and the configuration comes from the object that is made, or the one that exists.
#[test]
fn sidecar_mounts_what_the_pod_has() {
    for (name, object) in [
        ("sample-app/native", Some("ConfigMap")),
        ("sample-app/classic", Some("Secret")),
        ("sample-app/existing", None),
    ] {
        let spec = &pod(name)["spec"];
        let volumes = spec["volumes"].as_array().expect("volumes");
        let mounts = agent_of(pod(name))["volumeMounts"].as_array().expect("mounts");
        for mount in mounts {
            assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{name}: {mount}");
            assert!(mount["subPath"].is_null(), "what is mounted by subPath is never renewed: {mount}");
        }
        let volume = &volumes[0];
        let held =
            if volume["secret"].is_object() { &volume["secret"]["secretName"] } else { &volume["configMap"]["name"] };
        match object {
            Some(kind) => assert_eq!(held, &only(variant(name), kind)["metadata"]["name"]),
            None => assert_eq!(held, "shop-redpath"),
        }
    }
}

/// What holds a secret is readable by the pod's group and not by everybody: the agent would warn of it.
#[test]
fn sidecar_secrets_are_for_pod_group_only() {
    const FOR_THE_GROUP: u32 = 0o440;
    for name in ["redpath/password-secret", "redpath/web-tls", "redpath/secret-config", "sample-app/classic"] {
        let spec = &pod(name)["spec"];
        assert!(spec["securityContext"]["fsGroup"].is_number(), "{name}: its group is that of the files");
        let secrets: Vec<&Json> =
            spec["volumes"].as_array().expect("volumes").iter().filter(|volume| volume["secret"].is_object()).collect();
        assert!(!secrets.is_empty(), "{name}");
        for volume in secrets {
            assert_eq!(volume["secret"]["defaultMode"], FOR_THE_GROUP, "{name}: {volume}");
        }
    }
}

/// The readiness of a container is that of its pod: the application stays in service whatever redpath finds or does.
#[test]
fn sidecar_does_not_affect_readiness() {
    let sidecar = agent_of(pod("sample-app/native"));
    assert!(sidecar["readinessProbe"].is_null() && sidecar["startupProbe"].is_null(), "{sidecar}");
    assert_eq!(sidecar["livenessProbe"]["httpGet"]["path"], "/-/healthy");
    // It is there for who wants it.
    assert_eq!(agent_of(pod("sample-app/classic"))["readinessProbe"]["httpGet"]["path"], "/-/ready");
}

#[test]
fn sidecar_invalid_values_are_refused() {
    for line in LINES {
        let sample = SAMPLE.join(line).join("sample-app").display().to_string();
        for (arguments, says) in [
            (&["--kube-version", "1.28.3"][..], "native sidecars need Kubernetes 1.29, and this is v1.28.3"),
            (&["--set", "redpath-sidecar.config=null"], "there is nothing to probe"),
            (&["--set", "redpath-sidecar.configFrom.existing=x"], "both redpath-sidecar.config and"),
            (&["--set", "redpath-sidecar.lables=x"], "lables"),
            (&["--set", "redpath-sidecar.config.target=x"], "target"),
        ] {
            let said = template(line, &sample, arguments).expect_err("a refusal");
            assert!(said.contains(says), "Helm {line}, {arguments:?}: {said}");
        }
        let classic = ["--kube-version", "1.28.3", "--set", "sidecar=classic"];
        template(line, &sample, &classic).unwrap_or_else(|said| panic!("{said}"));
    }
}
