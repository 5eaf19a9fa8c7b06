#!/usr/bin/env bash
# rehearsal.sh REDPATH: a cutover from beginning to end, in network namespaces of its own: six subnets, one whose zone
# is not linked, one behind a forwarder with an old answer. Prints Markdown: each command, and what it printed. Needs
# root, and what scripts/test-packages.sh installs. Ends by itself after some four minutes, and leaves nothing behind.
set -euo pipefail
redpath=$(realpath "${1:?usage: rehearsal.sh REDPATH}")
rules=$(realpath "$(dirname "$0")/../monitoring/rules/redpath.rules.yaml")
[ "$(id -u)" = 0 ] || { echo "namespaces need root" >&2; exit 1; }

host=cache1.redis.cache.windows.net
private=10.60.4.5 public=20.50.1.10
linked=10.10.0.52 unlinked=10.10.0.53 stale=10.10.0.54
subnets=(app-a app-b app-c app-d app-e app-f)
hold=30s # 48h in a real cutover
rounds=5 # how often the time to screen, metric and alert is measured

work=$(mktemp -d) name=rp$$
cd "$work"
pids=() agents=()
ends() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  for subnet in "${subnets[@]}"; do ip netns del "$name-$subnet" 2>/dev/null || true; rm -rf "/etc/netns/$name-$subnet"; done
  ip netns del "$name-hub" 2>/dev/null || true
  tmux -L "$name" kill-server 2>/dev/null || true
  cd /; rm -rf "$work"
}
trap ends EXIT
in_hub() { ip netns exec "$name-hub" "$@"; }
in_subnet() { local subnet=$1; shift; ip netns exec "$name-$subnet" "$@"; }
# A program that runs on, in its own process: its ID is the last of $pids.
starts() { local where=$1 log=$2; shift 2; (exec ip netns exec "$name-$where" "$@") >"$log" 2>&1 & pids+=($!); }
until_true() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "never true: $*" >&2; exit 1; }
now() { date -u +%s.%N; }

heading() { printf '\n## %s\n\n' "$1"; }
say() { printf '%s\n\n' "$*"; }
# A command as a person types it, where it runs, and the first lines that it prints. Its exit status is $status.
show() {
  local where=$1 lines=$2; shift 2
  printf '```console\n%s$ redpath %s\n' "$where" "${*//"$work"\//}"
  status=0
  if [ "$where" = hub ]; then in_hub "$redpath" "$@" >out 2>&1 || status=$?; else in_subnet "$where" "$redpath" "$@" >out 2>&1 || status=$?; fi
  sed -n "1,${lines}p" out
  [ "$(wc -l <out)" -le "$lines" ] || echo …
  printf '```\n\nExit status %s.\n\n' "$status"
}

# The network: a hub with the cache, the name servers and Prometheus, and six subnets.
ip netns add "$name-hub"
ip -n "$name-hub" link set lo up
for address in $private $public $linked $unlinked $stale; do ip -n "$name-hub" addr add $address/32 dev lo; done
number=0
for subnet in "${subnets[@]}"; do
  number=$((number + 1))
  ip netns add "$name-$subnet"
  ip link add "v$number" netns "$name-hub" type veth peer name eth0 netns "$name-$subnet"
  ip -n "$name-hub" addr add "10.20.$number.1/24" dev "v$number"
  ip -n "$name-hub" link set "v$number" up
  ip -n "$name-$subnet" link set lo up
  ip -n "$name-$subnet" addr add "10.20.$number.2/24" dev eth0
  ip -n "$name-$subnet" link set eth0 up
  ip -n "$name-$subnet" route add default via "10.20.$number.1"
  server=$linked
  [ "$subnet" != app-e ] || server=$unlinked
  [ "$subnet" != app-f ] || server=$stale
  mkdir -p "/etc/netns/$name-$subnet"
  printf 'nameserver %s\noptions timeout:1 attempts:1\n' "$server" >"/etc/netns/$name-$subnet/resolv.conf"
  printf '127.0.0.1 localhost\n' >"/etc/netns/$name-$subnet/hosts"
done

# The name servers: three views of one BIND. Debian's AppArmor profile goes by the path of the program.
zone() { printf '$TTL 5\n@ IN SOA ns. host. 1 60 60 60 5\n@ IN NS ns.\n%s\n' "$2" >"$1"; }
zone root 'ns. IN A 127.0.0.1'
zone parent 'cache1 5 IN CNAME cache1.privatelink'
zone outside 'cache1 5 IN CNAME we.cloudapp.azure.com.'
zone inside "cache1 5 IN A $private"
zone cloudapp "we 5 IN A $public"
for view in linked unlinked stale; do cp outside "zone-$view"; done
{
  printf 'options { directory "%s"; listen-on { any; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; dnssec-validation no; minimal-responses yes; };\ncontrols { };\n' "$work"
  for view in linked unlinked stale; do
    printf 'view %s { match-destinations { %s; }; recursion yes; zone "." { type primary; file "root"; }; zone "redis.cache.windows.net" { type primary; file "parent"; }; zone "privatelink.redis.cache.windows.net" { type primary; file "zone-%s"; }; zone "cloudapp.azure.com" { type primary; file "cloudapp"; }; };\n' "$view" "${!view}" "$view"
  done
} >named.conf
cp "$(PATH=$PATH:/usr/sbin command -v named)" named
starts hub named.log ./named -g -n 1 -c "$work/named.conf"
bind=${pids[-1]}
answers_private() { cp inside "zone-$1"; kill -HUP "$bind"; }
answers_public() { cp outside "zone-$1"; kill -HUP "$bind"; }

# The cache, with a certificate of an authority of its own.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 365 -subj /CN=authority 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj "/CN=$host" 2>/dev/null
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -out server.pem -extfile <(printf 'subjectAltName=DNS:%s' "$host") 2>/dev/null
starts hub redis.log redis-server --port 0 --tls-port 6380 --bind $private $public --requirepass a-key --save '' \
  --tls-auth-clients no --tls-cert-file "$work/server.pem" --tls-key-file "$work/server.key" --tls-ca-cert-file "$work/ca.pem"
until_true in_hub bash -c "exec 3<>/dev/tcp/$private/6380"

# An agent in each subnet, and one Prometheus.
number=0
for subnet in "${subnets[@]}"; do
  number=$((number + 1))
  mkdir "$subnet"
  cat >"$subnet/redpath.yaml" <<CONFIG
vantage: {labels: {subnet: $subnet, vnet: spoke-1}}
journal: {directory: $work/$subnet/journal}
defaults: {interval: 1s, timeout: 1s, azure_dns: "off", application: "on", tls: {ca_file: $work/ca.pem}, expect: {endpoints: [$private]}}
targets: [{name: sessions, host: $host}]
web: {listen: "10.20.$number.2:9736"}
CONFIG
  starts "$subnet" "$subnet/log" "$redpath" agent --config "$subnet/redpath.yaml"
  agents+=("${pids[-1]}")
done
scraped=$(for number in 1 2 3 4 5 6; do printf "'10.20.%s.2:9736', " "$number"; done)
printf 'global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%s]\n' "$rules" >prometheus.yaml
printf 'scrape_configs: [{job_name: redpath, static_configs: [{targets: [%s]}]}]\n' "${scraped%, }" >>prometheus.yaml
starts hub prometheus.log prometheus --config.file=prometheus.yaml --storage.tsdb.path="$work/tsdb" --web.listen-address=127.0.0.1:9090
prometheus=http://127.0.0.1:9090
printf 'vantages:\n%s' "$(printf -- '  - subnet: %s\n' "${subnets[@]}")" >vantages.yaml
printf '\ntargets: [sessions]\n' >>vantages.yaml
private_vantages() {
  in_hub "$redpath" gate --prometheus $prometheus --expected vantages.yaml --output json >gate.json || true
  [ "$(grep -c '"found": "private' gate.json)" -ge "$1" ]
}
heard() { in_hub "$redpath" gate --prometheus $prometheus --expected vantages.yaml --output json >gate.json || true; [ "$(grep -c '"found"' gate.json)" = 6 ]; }
until_true heard

printf '# A rehearsal\n\n'
say "A cutover from beginning to end, printed by \`make rehearsal\`: six subnets, each a network namespace with an agent, a real Redis behind a private and a public address, BIND, and Prometheus. Subnet app-e asks a name server whose zone is not linked, app-f a forwarder that keeps an old answer, and an application in app-c holds a connection that it opened before. What takes 48 hours in a real cutover takes $hold here. Long outputs are shortened at …"

heading 'Before'
say 'The path is public, as the operators know. The endpoint itself works, shown by its address before DNS is changed.'
show app-a 12 check $host --connect $private --endpoint $private --ca-file "$work/ca.pem" --no-azure-dns
starts app-c application.log bash -c "exec 3<>/dev/tcp/$public/6380; exec sleep 600"

heading 'The record is changed'
flipped=$(now); cutover=$(date -u +%Y-%m-%dT%H:%M:%SZ)
answers_private linked
until_true private_vantages 4
seen=$(now)
say "$(printf 'Four subnets were private in Prometheus after %.1f seconds, with a TTL of 5 seconds, probes and scrapes every second.' "$(echo "$seen $flipped" | awk '{print $1 - $2}')")"
say 'May public access be disabled?'
sleep 6
show hub 24 gate --prometheus $prometheus --expected vantages.yaml --max-age 5s

heading 'What keeps it back'
say 'In app-e, the check names the cause:'
show app-e 8 check $host --endpoint $private --ca-file "$work/ca.pem" --no-azure-dns --resolver hub=$linked
say 'In app-c, DNS is right, and an application still uses the old connection:'
show app-c 8 connections $host --endpoint $private --resolver before=$unlinked

heading 'The fixes'
say 'The zone is linked for app-e, the forwarder of app-f is flushed, and the application in app-c is restarted.'
answers_private unlinked; answers_private stale
kill "${pids[-1]}"
fixed=$(now)
show hub 14 gate --prometheus $prometheus --expected vantages.yaml --for $hold --max-age 5s --wait --interval 1s --timeout 120s
ready=$(now)
say "$(printf 'READY came %.0f seconds after the fixes.' "$(echo "$ready $fixed" | awk '{print $1 - $2}')")"
[ "$status" = 0 ]

heading 'How soon a loss is seen'
screen() { tmux -L "$name" capture-pane -p | grep -q "^$1"; }
metric() { in_hub promtool query instant $prometheus "redpath_path_private{instance='10.20.1.2:9736'} == $1" | grep -q .; }
fires() { in_hub promtool query instant $prometheus 'ALERTS{alertname="RedpathPathNotPrivate",alertstate="firing",subnet="app-a"}' | grep -q .; }
silent() { ! fires; }
# Notes how long after $flipped a command became true.
after() { local file=$1; shift; until_true "$@"; echo "$(now) $flipped" | awk '{printf "%.1f", $1 - $2}' >"$file"; }
tmux -L "$name" -f /dev/null new-session -d -x 80 -y 24 "exec ip netns exec $name-app-a $redpath watch $host --endpoint $private --ca-file $work/ca.pem --no-azure-dns"
until_true screen PASS
say "The zone's link is lost, and comes back, $rounds times. The table has the seconds from the change at the name server to the first sight of the public address in app-a: on the screen of \`redpath watch\`, in the metric \`redpath_path_private\` as Prometheus has it, and in the firing alert \`RedpathPathNotPrivate\`. The rules are those that are shipped; the alert has no \`for\`. No cache is on the way here: a forwarder with one adds the rest of the TTL. Probes, scrapes and evaluations are made every second: each slower interval adds up to its length. Screen and queries are looked at every 0.1 to 0.2 seconds."
printf '| Round | Screen | Metric | Alert fires |\n|---|---:|---:|---:|\n'
for round in $(seq $rounds); do
  flipped=$(now)
  answers_public linked
  after t-screen screen FAIL & waits=($!)
  after t-metric metric 0 & waits+=($!)
  after t-alert fires & waits+=($!)
  wait "${waits[@]}"
  printf '| %s | %s s | %s s | %s s |\n' "$round" "$(cat t-screen)" "$(cat t-metric)" "$(cat t-alert)"
  answers_private linked
  until_true screen PASS; until_true silent
done
tmux -L "$name" kill-server
echo
until_true private_vantages 6

heading 'Public access is disabled'
in_hub nft add table ip closed
in_hub nft 'add chain ip closed input { type filter hook input priority 0; }'
in_hub nft add rule ip closed input ip daddr $public tcp dport 6380 reject with tcp reset
show app-b 6 check $host --endpoint $private --ca-file "$work/ca.pem" --no-azure-dns --public-access closed --public-address $public
[ "$status" = 0 ]

heading 'The evidence'
say 'The agents are stopped, so that their journals have every probe. The lost links of the measurement are in it.'
for pid in "${agents[@]}"; do kill "$pid"; done
for pid in "${agents[@]}"; do wait "$pid" 2>/dev/null || true; done
show hub 32 report ./*/journal --expected vantages.yaml --cutover "$cutover" --verify --prometheus $prometheus
[ "$status" = 0 ]
