#!/usr/bin/env bash
# Cleans up after every job of a self-hosted runner, whatever its workflow says.
#
# Clone this repository on the runner's host, outside the runner's own folder, and name this file, where it lies, in the
# file .env of the runner's folder; then restart the runner:
#
#   ACTIONS_RUNNER_HOOK_JOB_COMPLETED=/opt/docker-reclaim/examples/job-completed.sh
#   DOCKER_RECLAIM_NODE=/opt/actions-runner/externals/node24/bin/node
#
# (The runner brings that Node along. Without the second line it is that of PATH, which has to be 24 or later.)

# Each input of action.yml is a variable: INPUT_, and its name in capitals. What is not here has its default.
inputs=(
  'INPUT_UNTIL=12h'
  'INPUT_INCLUDE-VOLUMES=anonymous'
  'INPUT_TIMEOUT=5m'
)

bundle="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../dist/index.js"

# A hook that fails fails the job, which has nothing to do with it.
env "${inputs[@]}" "${DOCKER_RECLAIM_NODE:-node}" "$bundle" ||
  echo '::warning::The clean-up after the job failed: see above.'
