"""sbom.py IN OUT: brings a CycloneDX list of cargo-cyclonedx into the shape that is released, and holds it to its schema.

Standard input has the lines of `cargo tree`, which is what is really built. The tool asks `cargo metadata`, which
adds the crates of features that only the tests switch on: these are left out here. Nothing else may differ.
"""

import json
import os
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

built = {tuple(line.split()[:2]) for line in sys.stdin if line.strip()}
text = open(sys.argv[1], encoding="utf-8").read()
text = text.replace(f"path+file://{os.getcwd()}#redpath@", "pkg:cargo/redpath@").replace("?download_url=file://.", "")
bom = json.loads(text)


def is_built(component):
    return (component["name"], f"v{component['version']}") in built


left_out = {component["bom-ref"] for component in bom["components"] if not is_built(component)}
bom["components"] = [component for component in bom["components"] if is_built(component)]
bom["dependencies"] = [
    {**entry, "dependsOn": [ref for ref in entry["dependsOn"] if ref not in left_out]} if "dependsOn" in entry else entry
    for entry in bom["dependencies"]
    if entry["ref"] not in left_out
]

for component in bom["components"]:
    purl = f"pkg:cargo/{component['name']}@{component['version']}"
    if component.get("purl") != purl or not component.get("licenses"):
        sys.exit(f"{purl} lacks its package URL or its licence: {component}")
listed = {(component["name"], f"v{component['version']}") for component in bom["components"]}
missing = {crate for crate in built if crate[0] != "redpath"} - listed
if missing:
    sys.exit(f"built in and not listed: {sorted(missing)}")

text = json.dumps(bom, indent=2, ensure_ascii=False) + "\n"
if os.getcwd() in text or "file://" in text or "serialNumber" in bom:
    sys.exit("a path of this machine or a serial number is in it: it would not be reproducible")
problems = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
if problems:
    sys.exit(f"it is not valid CycloneDX 1.5: {problems}")
with open(sys.argv[2], "w", encoding="utf-8") as out:
    out.write(text)
print(f"{sys.argv[2]}: {len(listed)} crates, each with package URL and licence, valid CycloneDX 1.5")
