#!/usr/bin/env bash
# preflight.sh ARGUMENT...: runs `redpath check` with these arguments in a pipeline, and ends with its exit status (0 pass,
# 1 fail, 2 wrong call, 3 inconclusive). The report is in the file redpath-report.json ($REDPATH_REPORT), the text in the
# log, and a summary where the pipeline has one. $REDPATH is the program, if it is not in PATH.
set -euo pipefail
redpath=${REDPATH:-redpath}
report=${REDPATH_REPORT:-redpath-report.json}

status=0
"$redpath" check "$@" --output json >"$report" || status=$?
[ -s "$report" ] || exit "$status"

# The report diagnosed again: the same result, without a second probe.
"$redpath" explain "$report" || true
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  "$redpath" explain "$report" --output markdown >>"$GITHUB_STEP_SUMMARY" || true
elif [ -n "${TF_BUILD:-}" ]; then
  summary=${report%.json}.md
  "$redpath" explain "$report" --output markdown >"$summary" || true
  echo "##vso[task.uploadsummary]$(realpath "$summary")"
fi
exit "$status"
